#include "prediction_text.h"

#include <string.h>

/* "path,label,probability,label_2,probability_2 …" */
static void begin_csv(const gm_prediction_text *text, FILE *out)
{
    fprintf(out, "%s,label,probability", text->paths ? "path" : "row");
    for (int64_t i = 2; i <= text->top; i++)
        fprintf(out, ",label_%lld,probability_%lld", (long long)i, (long long)i);
    fputs("\n", out);
}

/* As RFC 4180 quotes. */
static void csv_field(const char *text, FILE *out)
{
    if (!text[strcspn(text, ",\"\r\n")]) {
        fputs(text, out);
        return;
    }
    putc('"', out);
    for (; *text; text++) {
        if (*text == '"')
            putc('"', out);
        putc(*text, out);
    }
    putc('"', out);
}

/* Bytes of the UTF-8 sequence that text begins with; 0 if it is none, or longer than it needs to be. */
static int utf8_length(const char *text)
{
    const unsigned char *s = (const unsigned char *)text;
    const int length = s[0] < 0x80                   ? 1
                       : s[0] >= 0xc2 && s[0] < 0xe0 ? 2
                       : s[0] >= 0xe0 && s[0] < 0xf0 ? 3
                       : s[0] >= 0xf0 && s[0] < 0xf5 ? 4
                                                     : 0;
    for (int i = 1; i < length; i++)
        if ((s[i] & 0xc0) != 0x80)
            return 0;
    const bool surrogate = s[0] == 0xed && s[1] > 0x9f, beyond = s[0] == 0xf4 && s[1] > 0x8f;
    const bool overlong = (s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xf0 && s[1] < 0x90);
    return surrogate || beyond || overlong ? 0 : length;
}

/* What is not UTF-8, as paths may be, becomes U+FFFD: JSON has no other bytes. */
static void json_text(const char *text, FILE *out)
{
    putc('"', out);
    while (*text) {
        const int length = utf8_length(text);
        if (length == 0)
            fputs("\\ufffd", out);
        else if (*text == '"' || *text == '\\')
            fprintf(out, "\\%c", *text);
        else if (length == 1 && ((unsigned char)*text < 0x20 || *text == 0x7f))
            fprintf(out, "\\u%04x", (unsigned)*text);
        else
            fwrite(text, 1, (size_t)length, out);
        text += length > 0 ? length : 1;
    }
    putc('"', out);
}

/* The name of a class, or its number. */
static const char *label(const gm_head *head, int64_t class, char number[24])
{
    if (head->class_names)
        return head->class_names[class];
    snprintf(number, 24, "%lld", (long long)class);
    return number;
}

static void add_csv(const gm_prediction_text *text, const gm_predicted_sample *sample, const int64_t *classes,
                    const float *probabilities, FILE *out)
{
    char number[24];
    if (sample->path)
        csv_field(sample->path, out);
    else
        fprintf(out, "%lld", (long long)sample->row);
    for (int64_t i = 0; i < text->top; i++) {
        putc(',', out);
        csv_field(label(text->head, classes[i], number), out);
        fprintf(out, ",%.6g", (double)probabilities[classes[i]]);
    }
    putc('\n', out);
}

static void add_json(const gm_prediction_text *text, const gm_predicted_sample *sample, const int64_t *classes,
                     const float *probabilities, FILE *out)
{
    char number[24];
    fputs(text->begun ? ",\n{" : "\n{", out);
    if (sample->path) {
        fputs("\"path\": ", out);
        json_text(sample->path, out);
    } else {
        fprintf(out, "\"row\": %lld", (long long)sample->row);
    }
    fputs(", \"predictions\": [", out);
    for (int64_t i = 0; i < text->top; i++) {
        fprintf(out, "%s{\"class\": %lld, \"label\": ", i ? ", " : "", (long long)classes[i]);
        json_text(label(text->head, classes[i], number), out);
        fprintf(out, ", \"probability\": %.6g}", (double)probabilities[classes[i]]);
    }
    fputs("]}", out);
}

void gm_prediction_begin(gm_prediction_text *text, FILE *out)
{
    text->begun = false;
    if (text->format == GM_PREDICTION_CSV)
        begin_csv(text, out);
    else
        putc('[', out);
}

void gm_prediction_add(gm_prediction_text *text, const gm_predicted_sample *sample, const int64_t *classes,
                       const float *probabilities, FILE *out)
{
    (text->format == GM_PREDICTION_CSV ? add_csv : add_json)(text, sample, classes, probabilities, out);
    text->begun = true;
}

void gm_prediction_end(const gm_prediction_text *text, FILE *out)
{
    if (text->format == GM_PREDICTION_JSON)
        fputs("\n]\n", out);
}
