#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "support/file.h"
#include "train/config.h"

/* The flag's name of a JSON key. */
static void flag_name(const char *key, char *name, size_t size)
{
    snprintf(name, size, "%s", key);
    for (char *c = name; *c; c++)
        *c = *c == '_' ? '-' : *c == '-' ? '_' : *c;
}

static bool is_number(gm_field_kind kind)
{
    return kind == GM_FIELD_INTEGER || kind == GM_FIELD_REAL || kind == GM_FIELD_FLOAT;
}

static gm_status set_from_json(const char *path, const char *key, const json_t *value, gm_train_config *config,
                               gm_error *error)
{
    char name[64], number[40];
    flag_name(key, name, sizeof name);
    const int32_t field = gm_config_find(name);
    if (field < 0)
        return gm_error_set(error, GM_BAD_DATA, "%s: unknown key \"%.60s\"; remove or correct it", path, key);
    const char *text = number;
    if (json_is_integer(value))
        snprintf(number, sizeof number, "%lld", (long long)json_integer_value(value));
    else if (json_is_real(value))
        snprintf(number, sizeof number, "%.17g", json_real_value(value));
    else
        text = json_string_value(value);
    if (!text || json_is_number(value) != is_number(gm_config_field(field)->kind))
        return gm_error_set(error, GM_BAD_DATA, "%s: \"%s\" takes a %s", path, key,
                            is_number(gm_config_field(field)->kind) ? "number" : "string");
    gm_error reason;
    if (gm_config_set(config, field, text, &reason) != GM_OK)
        return gm_error_set(error, GM_BAD_DATA, "%s: %s", path, reason.message);
    return GM_OK;
}

gm_status gm_config_read(const char *path, gm_train_config *config, gm_error *error)
{
    json_error_t syntax;
    json_t *root = json_load_file(path, JSON_REJECT_DUPLICATES, &syntax);
    if (!root && json_error_code(&syntax) == json_error_cannot_open_file) {
        gm_file_error(error, path, "open", errno);
        return error->code = GM_BAD_DATA;
    }
    if (!root && syntax.line < 0)
        return gm_error_set(error, GM_BAD_DATA, "%s: %s", path, syntax.text);
    if (!root)
        return gm_error_set(error, GM_BAD_DATA, "%s: line %d: %s; give the config.json of a run", path, syntax.line,
                            syntax.text);
    gm_status status = GM_OK;
    if (!json_is_object(root))
        status = gm_error_set(error, GM_BAD_DATA, "%s: not a JSON object; give the config.json of a run", path);
    for (void *i = json_object_iter(root); i && status == GM_OK; i = json_object_iter_next(root, i))
        status = set_from_json(path, json_object_iter_key(i), json_object_iter_value(i), config, error);
    json_decref(root);
    return status;
}

/* Numbers are written as shortest texts, which a JSON library would expand to 17 digits. */
static bool write_field(FILE *out, const gm_train_config *config, int32_t index)
{
    const gm_field *field = gm_config_field(index);
    char key[64], text[GM_CONFIG_PATH];
    flag_name(field->name, key, sizeof key);
    for (char *c = key; *c; c++)
        *c = *c == '-' ? '_' : *c;
    gm_config_get(config, index, text, sizeof text);
    if (is_number(field->kind))
        return fprintf(out, "  \"%s\": %s", key, text) > 0;
    json_t *string = json_string(text); /* NULL for invalid UTF-8 */
    char *quoted = string ? json_dumps(string, JSON_ENCODE_ANY) : NULL;
    const bool written = quoted && fprintf(out, "  \"%s\": %s", key, quoted) > 0;
    free(quoted);
    json_decref(string);
    return written;
}

char *gm_config_json(const gm_train_config *config)
{
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    if (!out)
        return NULL;
    bool written = true, first = true;
    for (int32_t i = 0; i < gm_config_field_count() && written; i++) {
        if (!config->set[i])
            continue;
        fputs(first ? "{\n" : ",\n", out);
        written = write_field(out, config, i);
        first = false;
    }
    fputs(first ? "{}\n" : "\n}\n", out);
    if (fclose(out) || !written) {
        free(text);
        return NULL;
    }
    return text;
}
