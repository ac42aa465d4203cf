#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "data/dataset.h"
#include "formats/idx.h"
#include "support/file.h"

enum { MOST_SIDE = 64 /* of gm_gray_views_u8_f32() */, MOST_PATH = 4096 };

static const char *const file_names[] = {"train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte",
                                         "t10k-labels-idx1-ubyte"};

/* The file as it is, or compressed. */
static gm_status find_file(const char *folder, const char *name, const char *package, char path[MOST_PATH],
                           gm_error *error)
{
    const char *const endings[] = {"", ".gz"};
    for (size_t i = 0; i < 2; i++) {
        const int length = snprintf(path, MOST_PATH, "%s/%s%s", folder, name, endings[i]);
        if (length >= MOST_PATH)
            return gm_file_error(error, folder, "open", ENAMETOOLONG);
        if (access(path, F_OK) == 0)
            return GM_OK;
    }
    if (package)
        return gm_error_set(error, GM_BAD_DATA,
                            "%s: no file %s or %s.gz; install Debian's package %s (apt-get install %s)", folder, name,
                            name, package, package);
    return gm_error_set(error, GM_BAD_DATA,
                        "%s: no file %s or %s.gz; put train-images-idx3-ubyte, train-labels-idx1-ubyte, "
                        "t10k-images-idx3-ubyte and t10k-labels-idx1-ubyte there, plain or as .gz",
                        folder, name, name);
}

bool gm_dataset_is_mnist(const char *folder)
{
    char path[MOST_PATH];
    for (size_t i = 0; i < sizeof file_names / sizeof file_names[0]; i++)
        if (find_file(folder, file_names[i], NULL, path, NULL) == GM_OK)
            return true;
    return false;
}

static gm_status find_and_read(const char *folder, const char *name, const char *package, int32_t rank,
                               char path[MOST_PATH], gm_idx *idx, gm_error *error)
{
    const gm_status status = find_file(folder, name, package, path, error);
    return status == GM_OK ? gm_idx_read(path, rank, idx, error) : status;
}

static gm_status read_images(const char *folder, const char *name, const char *package, gm_dataset *dataset,
                             gm_split *split, uint8_t **pixels, gm_error *error)
{
    char path[MOST_PATH];
    gm_idx idx;
    gm_status status = find_and_read(folder, name, package, 3, path, &idx, error);
    if (status != GM_OK)
        return status;
    *pixels = idx.bytes;
    const int64_t height = idx.shape[1], width = idx.shape[2];
    if (height > MOST_SIDE || width > MOST_SIDE)
        return gm_error_set(error, GM_BAD_DATA, "%s: holds images of %lld x %lld pixels; at most %d x %d are supported",
                            path, (long long)height, (long long)width, MOST_SIDE, MOST_SIDE);
    if (dataset->dim != 0 && (height != dataset->height || width != dataset->width))
        return gm_error_set(error, GM_BAD_DATA,
                            "%s: holds images of %lld x %lld pixels, but training images have "
                            "%lld x %lld",
                            path, (long long)height, (long long)width, (long long)dataset->height,
                            (long long)dataset->width);
    dataset->height = height;
    dataset->width = width;
    dataset->channels = 1;
    dataset->dim = height * width;
    split->rows = idx.shape[0];
    split->pixels = idx.bytes;
    return GM_OK;
}

static gm_status read_labels(const char *folder, const char *name, const char *package, gm_dataset *dataset,
                             gm_split *split, int32_t **labels, gm_error *error)
{
    char path[MOST_PATH];
    gm_idx idx;
    gm_status status = find_and_read(folder, name, package, 1, path, &idx, error);
    if (status != GM_OK)
        return status;
    if (idx.shape[0] != split->rows) {
        free(idx.bytes);
        return gm_error_set(error, GM_BAD_DATA, "%s: holds %lld labels for %lld images", path, (long long)idx.shape[0],
                            (long long)split->rows);
    }
    *labels = malloc((size_t)split->rows * sizeof **labels);
    if (!*labels) {
        free(idx.bytes);
        return gm_file_no_memory(error, path, (size_t)split->rows * sizeof **labels);
    }
    for (int64_t i = 0; i < split->rows; i++) {
        (*labels)[i] = idx.bytes[i];
        if (idx.bytes[i] >= dataset->classes)
            dataset->classes = idx.bytes[i] + 1;
    }
    free(idx.bytes);
    split->labels = *labels;
    return GM_OK;
}

/* Exact sums of integers: below 2^16 a pixel, so 2^48 pixels fit. */
static void measure_pixels(gm_dataset *dataset)
{
    const int64_t count = dataset->train.rows * dataset->dim;
    uint64_t sum = 0, squares = 0;
    for (int64_t i = 0; i < count; i++) {
        const uint32_t pixel = dataset->train.pixels[i];
        sum += pixel;
        squares += pixel * pixel;
    }
    const double mean = (double)sum / (double)count;
    const double variance = (double)squares / (double)count - mean * mean;
    dataset->mean = (float)(mean / 255.0);
    dataset->std = variance > 0.0 ? (float)(sqrt(variance) / 255.0) : 1.0f;
}

gm_status gm_dataset_read_mnist(struct gm_dataset_memory *memory, const char *folder, const char *package,
                                gm_error *error)
{
    gm_dataset *dataset = &memory->dataset;
    dataset->kind = GM_DATA_GRAY_IMAGES;
    gm_status status =
        read_images(folder, file_names[0], package, dataset, &dataset->train, &memory->train_pixels, error);
    if (status == GM_OK)
        status = read_labels(folder, file_names[1], package, dataset, &dataset->train, &memory->train_labels, error);
    if (status == GM_OK)
        status = read_images(folder, file_names[2], package, dataset, &dataset->test, &memory->test_pixels, error);
    if (status == GM_OK)
        status = read_labels(folder, file_names[3], package, dataset, &dataset->test, &memory->test_labels, error);
    if (status == GM_OK)
        measure_pixels(dataset);
    return status;
}
