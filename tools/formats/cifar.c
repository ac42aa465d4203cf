#include "formats/cifar.h"

#include <stdlib.h>

#include "support/file.h"

enum { PLANE = GM_CIFAR_SIDE * GM_CIFAR_SIDE, CHANNELS = 3, MOST_LABELS = 2, MOST_ROWS = 1 << 24 };

/* CIFAR-100 has a coarse label before the fine one. */
static int64_t label_bytes(int32_t classes)
{
    return classes == 100 ? 2 : 1;
}

static gm_status grow(gm_cifar *images, int64_t rows, const char *path, gm_error *error)
{
    const size_t total = (size_t)(images->rows + rows);
    uint8_t *pixels = realloc(images->pixels, total * GM_CIFAR_BYTES);
    if (pixels)
        images->pixels = pixels;
    int32_t *labels = realloc(images->labels, total * sizeof *labels);
    if (labels)
        images->labels = labels;
    return pixels && labels ? GM_OK : gm_file_no_memory(error, path, total * (GM_CIFAR_BYTES + sizeof *labels));
}

static gm_status read_records(const gm_file *file, int32_t classes, int64_t rows, gm_cifar *images, gm_error *error)
{
    const int64_t labels = label_bytes(classes), record = labels + GM_CIFAR_BYTES;
    uint8_t bytes[MOST_LABELS + GM_CIFAR_BYTES];
    for (int64_t i = 0; i < rows; i++) {
        const gm_status status = gm_file_read_at(file, i * record, bytes, (size_t)record, error);
        if (status != GM_OK)
            return status;
        const uint8_t label = bytes[labels - 1], *planes = bytes + labels;
        if (label >= classes)
            return gm_error_set(error, GM_BAD_DATA, "%s: record %lld has label %u, but there are %d classes",
                                file->path, (long long)i, label, classes);
        images->labels[images->rows + i] = label;
        uint8_t *pixels = images->pixels + (images->rows + i) * GM_CIFAR_BYTES;
        for (int64_t p = 0; p < PLANE; p++)
            for (int64_t c = 0; c < CHANNELS; c++)
                pixels[CHANNELS * p + c] = planes[c * PLANE + p];
    }
    return GM_OK;
}

gm_status gm_cifar_append(const char *path, int32_t classes, gm_cifar *images, gm_error *error)
{
    gm_file file;
    gm_status status = gm_file_open(path, &file, error);
    if (status != GM_OK)
        return status;
    const int64_t record = label_bytes(classes) + GM_CIFAR_BYTES, rows = file.size / record;
    if (file.size == 0 || file.size % record != 0 || rows > MOST_ROWS - images->rows)
        status =
            gm_error_set(error, GM_BAD_DATA,
                         "%s: has %lld bytes, which is no whole number of CIFAR-%d's records of %lld; fetch it again",
                         path, (long long)file.size, classes, (long long)record);
    if (status == GM_OK)
        status = grow(images, rows, path, error);
    if (status == GM_OK)
        status = read_records(&file, classes, rows, images, error);
    if (status == GM_OK)
        images->rows += rows;
    gm_file_close(&file);
    return status;
}

void gm_cifar_free(gm_cifar *images)
{
    free(images->pixels);
    free(images->labels);
    *images = (gm_cifar){0};
}
