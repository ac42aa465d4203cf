/* Inside tools/data: lists of texts, such as paths and names of classes. */
#ifndef GEMEL_TEXTS_H
#define GEMEL_TEXTS_H

#include <gemel/error.h>

/* Begin with one that is all zero. */
struct gm_texts {
    int64_t count, capacity;
    char **items; /* each freed by gm_texts_free() */
};

/* Appends a copy of the first `length` bytes of text. Errors: GM_OUT_OF_MEMORY; the list is as it was then. */
gm_status gm_texts_add(struct gm_texts *texts, const char *text, size_t length, gm_error *error);

/* Appends the lines of a file, without their ends, and without those that are empty. Errors: GM_IO_ERROR, GM_BAD_DATA
 * (a file of more than 1 GB, one with zero bytes), GM_OUT_OF_MEMORY. */
gm_status gm_texts_read_lines(const char *path, struct gm_texts *texts, gm_error *error);

/* By bytes, which is by code points in UTF-8. */
void gm_texts_sort(struct gm_texts *texts);

/* The index of a text in a sorted list; -1: not there. */
int64_t gm_texts_find(const struct gm_texts *texts, const char *text);

/* Takes the list apart from the texts from `count` on, which are freed. */
void gm_texts_truncate(struct gm_texts *texts, int64_t count);

void gm_texts_free(struct gm_texts *texts);

static inline const char *const *gm_texts_items(const struct gm_texts *texts)
{
    return (const char *const *)texts->items;
}

#endif
