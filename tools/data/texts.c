#include "data/texts.h"

#include <stdlib.h>
#include <string.h>

#include "support/file.h"

enum { MOST_BYTES = 1 << 30 };

gm_status gm_texts_add(struct gm_texts *texts, const char *text, size_t length, gm_error *error)
{
    if (texts->count == texts->capacity) {
        const int64_t capacity = texts->capacity ? 2 * texts->capacity : 16;
        char **items = realloc(texts->items, (size_t)capacity * sizeof *items);
        if (!items)
            return gm_error_set(error, GM_OUT_OF_MEMORY, "no memory for %lld texts", (long long)capacity);
        texts->items = items;
        texts->capacity = capacity;
    }
    char *copy = strndup(text, length);
    if (!copy)
        return gm_error_set(error, GM_OUT_OF_MEMORY, "no memory for a text of %zu bytes", length);
    texts->items[texts->count++] = copy;
    return GM_OK;
}

gm_status gm_texts_read_lines(const char *path, struct gm_texts *texts, gm_error *error)
{
    char *bytes;
    size_t size;
    gm_status status = gm_file_read(path, MOST_BYTES, &bytes, &size, error);
    if (status == GM_OK && strlen(bytes) != size)
        status = gm_error_set(error, GM_BAD_DATA, "%s: not a text file", path);
    for (char *line = bytes; status == GM_OK && *line;) {
        const size_t length = strcspn(line, "\r\n");
        if (length > 0)
            status = gm_texts_add(texts, line, length, error);
        line += length + strspn(line + length, "\r\n");
    }
    free(bytes);
    return status;
}

static int by_bytes(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

void gm_texts_sort(struct gm_texts *texts)
{
    if (texts->count > 1)
        qsort(texts->items, (size_t)texts->count, sizeof *texts->items, by_bytes);
}

int64_t gm_texts_find(const struct gm_texts *texts, const char *text)
{
    char *const *found =
        texts->count ? bsearch(&text, texts->items, (size_t)texts->count, sizeof *texts->items, by_bytes) : NULL;
    return found ? found - texts->items : -1;
}

void gm_texts_truncate(struct gm_texts *texts, int64_t count)
{
    while (texts->count > count)
        free(texts->items[--texts->count]);
}

void gm_texts_free(struct gm_texts *texts)
{
    gm_texts_truncate(texts, 0);
    free(texts->items);
    *texts = (struct gm_texts){0};
}
