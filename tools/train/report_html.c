#include "train/report_html.h"

#include <stdlib.h>
#include <string.h>

/* Bytes of the well-formed UTF-8 character at text, 0 if there is none (table 3-7 of the Unicode Standard). */
static int utf8_length(const unsigned char *text)
{
    if (text[0] < 0x80)
        return 1;
    int length = text[0] >= 0xC2 && text[0] <= 0xDF ? 2 : text[0] >= 0xE0 && text[0] <= 0xEF ? 3 : 0;
    if (text[0] >= 0xF0 && text[0] <= 0xF4)
        length = 4;
    if ((text[0] == 0xE0 && text[1] < 0xA0) || (text[0] == 0xED && text[1] > 0x9F) ||
        (text[0] == 0xF0 && text[1] < 0x90) || (text[0] == 0xF4 && text[1] > 0x8F))
        return 0;
    for (int i = 1; i < length; i++)
        if ((text[i] & 0xC0) != 0x80)
            return 0;
    return length;
}

void gm_html_text(FILE *out, const char *text)
{
    const unsigned char *at = (const unsigned char *)text;
    while (*at) {
        const int length = utf8_length(at);
        const char *entity = NULL;
        if (!length || (*at < 0x20 && !strchr("\t\n", *at)) || *at == 0x7F)
            entity = "&#xFFFD;";
        else if (*at == '&')
            entity = "&amp;";
        else if (*at == '<')
            entity = "&lt;";
        else if (*at == '>')
            entity = "&gt;";
        else if (*at == '"')
            entity = "&quot;";
        else if (*at == '\'')
            entity = "&#39;";
        if (entity)
            fputs(entity, out);
        else
            fwrite(at, 1, (size_t)length, out);
        at += length ? length : 1;
    }
}

void gm_base64_write(FILE *out, const uint8_t *bytes, size_t size)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (size_t i = 0; i < size; i += 3) {
        const size_t left = size - i;
        const uint32_t b1 = left > 1 ? bytes[i + 1] : 0, b2 = left > 2 ? bytes[i + 2] : 0;
        const uint32_t group = (uint32_t)bytes[i] << 16 | b1 << 8 | b2;
        const char quad[4] = {digits[group >> 18], digits[group >> 12 & 63], left > 1 ? digits[group >> 6 & 63] : '=',
                              left > 2 ? digits[group & 63] : '='};
        fwrite(quad, 1, sizeof quad, out);
    }
}

gm_status gm_html_picture(FILE *out, const gm_picture *picture, gm_error *error)
{
    uint8_t *bytes;
    size_t size;
    const gm_status status = gm_png_encode(picture, &bytes, &size, error);
    if (status != GM_OK)
        return status;
    fputs("data:image/png;base64,", out);
    gm_base64_write(out, bytes, size);
    free(bytes);
    return GM_OK;
}
