#include <math.h>
#include <stdio.h>
#include <unistd.h>

#include "data/dataset.h"
#include "formats/cifar.h"
#include "support/file.h"

enum { MOST_PATH = 4096, MOST_FILES = 5 };

/* The files of the two versions, as they are published. */
static const struct version {
    int32_t classes;
    const char *train[MOST_FILES + 1], *test, *names;
} versions[] = {
    {10,
     {"data_batch_1.bin", "data_batch_2.bin", "data_batch_3.bin", "data_batch_4.bin", "data_batch_5.bin", NULL},
     "test_batch.bin",
     "batches.meta.txt"},
    {100, {"train.bin", NULL}, "test.bin", "fine_label_names.txt"},
};

static bool make_path(char path[MOST_PATH], const char *folder, const char *name)
{
    return snprintf(path, MOST_PATH, "%s/%s", folder, name) < MOST_PATH;
}

static const struct version *find_version(const char *folder)
{
    char path[MOST_PATH];
    for (size_t i = 0; i < sizeof versions / sizeof versions[0]; i++)
        if (make_path(path, folder, versions[i].train[0]) && access(path, F_OK) == 0)
            return &versions[i];
    return NULL;
}

bool gm_dataset_is_cifar(const char *folder)
{
    return find_version(folder) != NULL;
}

static gm_status append(const char *folder, const char *name, int32_t classes, gm_cifar *images, gm_error *error)
{
    char path[MOST_PATH];
    if (make_path(path, folder, name) && access(path, F_OK) == 0)
        return gm_cifar_append(path, classes, images, error);
    return gm_error_set(error, GM_BAD_DATA, "%s: no file %s; unpack the whole archive of CIFAR-%d's binary version",
                        folder, name, classes);
}

/* Images without names of their classes are as good; a list of another length is not theirs. */
static gm_status read_names(struct gm_dataset_memory *memory, const char *folder, const struct version *version,
                            gm_error *error)
{
    char path[MOST_PATH];
    if (!make_path(path, folder, version->names) || access(path, F_OK) != 0)
        return GM_OK;
    const gm_status status = gm_texts_read_lines(path, &memory->class_names, error);
    if (status != GM_OK)
        return status;
    if (memory->class_names.count != version->classes)
        return gm_error_set(error, GM_BAD_DATA, "%s: has %lld names of classes, not %d", path,
                            (long long)memory->class_names.count, version->classes);
    memory->dataset.class_names = gm_texts_items(&memory->class_names);
    return GM_OK;
}

/* Exact sums of integers, as for grey images. */
static void measure_channels(gm_dataset *dataset)
{
    const int64_t count = dataset->train.rows * dataset->height * dataset->width;
    uint64_t sum[3] = {0}, squares[3] = {0};
    for (int64_t i = 0; i < count; i++)
        for (int32_t c = 0; c < 3; c++) {
            const uint32_t value = dataset->train.pixels[3 * i + c];
            sum[c] += value;
            squares[c] += value * value;
        }
    for (int32_t c = 0; c < 3; c++) {
        const double mean = (double)sum[c] / (double)count;
        const double variance = (double)squares[c] / (double)count - mean * mean;
        dataset->channel_mean[c] = (float)(mean / 255.0);
        dataset->channel_std[c] = variance > 0.0 ? (float)(sqrt(variance) / 255.0) : 1.0f;
    }
}

gm_status gm_dataset_read_cifar(struct gm_dataset_memory *memory, const char *folder, gm_error *error)
{
    const struct version *version = find_version(folder);
    gm_cifar train = {0}, test = {0};
    gm_status status = GM_OK;
    for (const char *const *name = version->train; *name && status == GM_OK; name++)
        status = append(folder, *name, version->classes, &train, error);
    if (status == GM_OK)
        status = append(folder, version->test, version->classes, &test, error);
    memory->train_pixels = train.pixels;
    memory->train_labels = train.labels;
    memory->test_pixels = test.pixels;
    memory->test_labels = test.labels;
    if (status == GM_OK)
        status = read_names(memory, folder, version, error);
    if (status != GM_OK)
        return status;
    gm_dataset *dataset = &memory->dataset;
    dataset->kind = GM_DATA_COLOR_IMAGES;
    dataset->height = dataset->width = GM_CIFAR_SIDE;
    dataset->channels = 3;
    dataset->dim = GM_CIFAR_BYTES;
    dataset->classes = version->classes;
    dataset->std = 1.0f;
    dataset->train = (gm_split){.rows = train.rows, .pixels = train.pixels, .labels = train.labels};
    dataset->test = (gm_split){.rows = test.rows, .pixels = test.pixels, .labels = test.labels};
    measure_channels(dataset);
    return GM_OK;
}
