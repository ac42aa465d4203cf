#include <stdlib.h>
#include <string.h>

#include "data/folder.h"
#include "formats/image.h"
#include "support/file.h"
#include "support/parse.h"

/* --- labels ---------------------------------------------------------------------------------------------------- */

/* A line PATH,LABEL, cut in two: a path may hold commas. */
struct row {
    char *path, *label;
};

static int by_path(const void *a, const void *b)
{
    return strcmp(((const struct row *)a)->path, ((const struct row *)b)->path);
}

static char *trim(char *text)
{
    text += strspn(text, " \t");
    size_t length = strlen(text);
    while (length > 0 && strchr(" \t", text[length - 1]))
        text[--length] = '\0';
    return text;
}

static char *skip_dot(char *path)
{
    return strncmp(path, "./", 2) == 0 ? path + 2 : path;
}

/* Cuts the lines into *rows, sorted; a first line whose path is no image's is a heading. */
static gm_status cut_rows(const char *path, struct gm_texts *lines, struct row *rows, int64_t *count, gm_error *error)
{
    *count = 0;
    for (int64_t i = 0; i < lines->count; i++) {
        char *comma = strrchr(lines->items[i], ',');
        if (!comma || !*trim(comma + 1))
            return gm_error_set(error, GM_BAD_DATA, "%s: line %lld is not PATH,LABEL", path, (long long)i + 1);
        *comma = '\0';
        const struct row row = {skip_dot(trim(lines->items[i])), trim(comma + 1)};
        if (i > 0 || gm_image_is_named(row.path))
            rows[(*count)++] = row;
    }
    qsort(rows, (size_t)*count, sizeof *rows, by_path);
    for (int64_t i = 1; i < *count; i++)
        if (strcmp(rows[i - 1].path, rows[i].path) == 0)
            return gm_error_set(error, GM_BAD_DATA, "%s: labels %s twice", path, rows[i].path);
    return GM_OK;
}

static bool all_numbers(const struct row *rows, int64_t count)
{
    int64_t number;
    for (int64_t i = 0; i < count; i++)
        if (!gm_parse_int64(rows[i].label, 0, GM_MOST_CLASSES - 1, &number))
            return false;
    return true;
}

/* The different labels, sorted, as the names of the classes. */
static gm_status collect_names(const char *path, const struct row *rows, int64_t count, struct gm_texts *names,
                               gm_error *error)
{
    struct gm_texts all = {0};
    gm_status status = GM_OK;
    for (int64_t i = 0; i < count && status == GM_OK; i++)
        status = gm_texts_add(&all, rows[i].label, strlen(rows[i].label), error);
    gm_texts_sort(&all);
    for (int64_t i = 0; i < all.count && status == GM_OK; i++)
        if (i == 0 || strcmp(all.items[i - 1], all.items[i]) != 0)
            status = gm_texts_add(names, all.items[i], strlen(all.items[i]), error);
    gm_texts_free(&all);
    if (status == GM_OK && names->count > GM_MOST_CLASSES)
        status = gm_error_set(error, GM_BAD_DATA, "%s: has %lld different labels; at most %d are supported", path,
                              (long long)names->count, GM_MOST_CLASSES);
    return status;
}

static gm_status assign(struct gm_image_files *files, const char *path, const struct row *rows, int64_t count,
                        bool numbers, gm_error *error)
{
    for (int64_t i = 0; i < files->paths.count; i++) {
        const struct row key = {(char *)gm_image_files_inside(files, i), NULL};
        const struct row *row = bsearch(&key, rows, (size_t)count, sizeof *rows, by_path);
        if (!row)
            return gm_error_set(error, GM_BAD_DATA, "%s: has no line for %s; add it as %s,LABEL or remove the image",
                                path, key.path, key.path);
        int64_t label = numbers ? 0 : gm_texts_find(&files->class_names, row->label);
        if (numbers)
            gm_parse_int64(row->label, 0, GM_MOST_CLASSES - 1, &label);
        files->labels[i] = (int32_t)label;
        if (label >= files->classes)
            files->classes = (int32_t)label + 1;
    }
    return GM_OK;
}

gm_status gm_image_files_label(struct gm_image_files *files, const char *path, gm_error *error)
{
    struct gm_texts lines = {0};
    int64_t count = 0;
    gm_status status = gm_texts_read_lines(path, &lines, error);
    if (status != GM_OK)
        return status;
    struct row *rows = malloc(sizeof *rows * (size_t)(lines.count + 1));
    int32_t *labels = realloc(files->labels, sizeof *labels * (size_t)files->paths.count);
    if (labels)
        files->labels = labels;
    if (!rows || !labels) {
        status = gm_file_no_memory(error, path, sizeof *rows * (size_t)lines.count);
        goto fail;
    }
    gm_texts_free(&files->class_names);
    files->classes = 0;
    status = cut_rows(path, &lines, rows, &count, error);
    if (status != GM_OK)
        goto fail;
    const bool numbers = all_numbers(rows, count);
    if (!numbers)
        status = collect_names(path, rows, count, &files->class_names, error);
    if (status == GM_OK)
        status = assign(files, path, rows, count, numbers, error);
    if (status == GM_OK && !numbers)
        files->classes = (int32_t)files->class_names.count;
fail:
    free(rows);
    gm_texts_free(&lines);
    return status;
}

/* --- lists of training images ---------------------------------------------------------------------------------- */

/* A training image by one of its names: its path inside the folder, with or without the first train/, or the last part
 * of that. */
struct name {
    const char *text;
    int64_t file;
};

enum { NAMES_A_FILE = 3 };

static int by_text(const void *a, const void *b)
{
    const struct name *x = a, *y = b;
    const int texts = strcmp(x->text, y->text);
    return texts != 0 ? texts : (x->file > y->file) - (x->file < y->file);
}

/* An image that was drawn for evaluation may be in the list all the same: it stays where it is. */
static int64_t list_names(const struct gm_image_files *files, struct name *names)
{
    int64_t count = 0;
    for (int64_t i = 0; i < files->paths.count; i++) {
        const char *inside = gm_image_files_inside(files, i), *slash = strrchr(inside, '/');
        if (files->parts[i] != GM_PART_TRAIN && files->has_test)
            continue;
        names[count++] = (struct name){inside, i};
        if (strncmp(inside, "train/", 6) == 0)
            names[count++] = (struct name){inside + 6, i};
        if (slash)
            names[count++] = (struct name){slash + 1, i};
    }
    qsort(names, (size_t)count, sizeof *names, by_text);
    return count;
}

/* The first name that is not before `text`. */
static int64_t lower_bound(const struct name *names, int64_t count, const char *text)
{
    int64_t low = 0;
    while (count > 0) {
        const int64_t half = count / 2;
        if (strcmp(names[low + half].text, text) < 0) {
            low += half + 1;
            count -= half + 1;
        } else {
            count = half;
        }
    }
    return low;
}

static gm_status mark(const struct gm_image_files *files, const char *path, const struct gm_texts *lines,
                      const struct name *names, int64_t count, bool *listed, gm_error *error)
{
    for (int64_t i = 0; i < lines->count; i++) {
        const char *text = skip_dot(trim(lines->items[i]));
        const int64_t at = lower_bound(names, count, text);
        if (!*text)
            continue;
        if (at == count || strcmp(names[at].text, text) != 0)
            return gm_error_set(error, GM_BAD_DATA, "%s: line %lld: %s has no training image %s", path,
                                (long long)i + 1, files->folder, text);
        if (at + 1 < count && strcmp(names[at + 1].text, text) == 0 && names[at + 1].file != names[at].file)
            return gm_error_set(error, GM_BAD_DATA, "%s: line %lld: %s may be %s or %s; give its path", path,
                                (long long)i + 1, text, gm_image_files_inside(files, names[at].file),
                                gm_image_files_inside(files, names[at + 1].file));
        listed[names[at].file] = true;
    }
    return GM_OK;
}

gm_status gm_image_files_keep(struct gm_image_files *files, const char *path, gm_error *error)
{
    struct gm_texts lines = {0};
    gm_status status = gm_texts_read_lines(path, &lines, error);
    if (status != GM_OK)
        return status;
    const size_t bytes = sizeof(struct name) * NAMES_A_FILE * (size_t)files->paths.count;
    struct name *names = malloc(bytes);
    bool *listed = calloc((size_t)files->paths.count, sizeof *listed);
    if (names && listed)
        status = mark(files, path, &lines, names, list_names(files, names), listed, error);
    else
        status = gm_file_no_memory(error, path, bytes);
    for (int64_t i = 0; i < files->paths.count && status == GM_OK; i++)
        if (files->parts[i] == GM_PART_TRAIN && !listed[i])
            files->parts[i] = GM_PART_OUT;
    free(names);
    free(listed);
    gm_texts_free(&lines);
    return status;
}
