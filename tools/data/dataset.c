#include "data/dataset.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "formats/image.h"

#define DEBIAN_DATASETS "/usr/share/datasets/"

static const char *const fashion_names[] = {"T-shirt/top", "Trouser", "Pullover", "Dress", "Coat",
                                            "Sandal",      "Shirt",   "Sneaker",  "Bag",   "Ankle boot"};
static const char *const digit_names[] = {"0", "1", "2", "3", "4", "5", "6", "7", "8", "9"};

/* Data sets that are opened by name. */
static const struct known_images {
    const char *name, *folder, *package;
    const char *const *class_names;
    int32_t classes;
} known_images[] = {
    {"fashion-mnist", DEBIAN_DATASETS "fashion-mnist", "dataset-fashion-mnist", fashion_names, 10},
    {"mnist", DEBIAN_DATASETS "mnist", NULL, digit_names, 10},
};

static bool is_folder(const char *path)
{
    struct stat about;
    return stat(path, &about) == 0 && S_ISDIR(about.st_mode);
}

static bool ends_with(const char *text, const char *end)
{
    const size_t length = strlen(text), tail = strlen(end);
    return length >= tail && strcmp(text + length - tail, end) == 0;
}

/* The last part of a path, without its extension and slashes at the end. */
static void set_name(gm_dataset *dataset, const char *path)
{
    size_t end = strlen(path);
    while (end > 1 && path[end - 1] == '/')
        end--;
    size_t begin = end;
    while (begin > 0 && path[begin - 1] != '/')
        begin--;
    if (end - begin > 4 && strncmp(path + end - 4, ".npy", 4) == 0)
        end -= 4;
    snprintf(dataset->name, sizeof dataset->name, "%.*s", (int)(end - begin), path + begin);
}

static gm_status open_known(struct gm_dataset_memory *memory, const struct known_images *known, gm_error *error)
{
    const gm_status status = gm_dataset_read_mnist(memory, known->folder, known->package, error);
    if (status != GM_OK)
        return status;
    if (memory->dataset.classes > known->classes)
        return gm_error_set(error, GM_BAD_DATA, "%s: has labels up to %d; %s has %d classes", known->folder,
                            memory->dataset.classes - 1, known->name, known->classes);
    memory->dataset.classes = known->classes;
    memory->dataset.class_names = known->class_names;
    return GM_OK;
}

/* What DATA is, as far as options depend on it. */
enum source { SOURCE_WHOLE, SOURCE_NPY, SOURCE_IMAGES };

static enum source find_source(const char *what)
{
    if (ends_with(what, ".npy"))
        return SOURCE_NPY;
    if (is_folder(what))
        return gm_dataset_is_cifar(what) || gm_dataset_is_mnist(what) ? SOURCE_WHOLE : SOURCE_IMAGES;
    return access(what, F_OK) == 0 && gm_image_is_named(what) ? SOURCE_IMAGES : SOURCE_WHOLE;
}

static gm_status check_options(const char *what, enum source source, const gm_dataset_options *options, gm_error *error)
{
    if (source == SOURCE_WHOLE && (options->labels || options->val_split != 0.0))
        return gm_error_set(error, GM_BAD_USAGE,
                            "%s: brings its own labels and test images; labels and a validation split are for a .npy "
                            "file or a folder of images",
                            what);
    if (source != SOURCE_IMAGES && (options->train_list || options->skip_bad_images || options->image_size))
        return gm_error_set(error, GM_BAD_USAGE,
                            "%s: train-list, skip-bad-images and image-size are for a folder of images; leave %s out",
                            what,
                            options->train_list        ? "--train-list"
                            : options->skip_bad_images ? "--skip-bad-images"
                                                       : "--image-size");
    return GM_OK;
}

static gm_status read_dataset(struct gm_dataset_memory *memory, const char *what, const gm_dataset_options *options,
                              gm_error *error)
{
    const enum source source = find_source(what);
    const gm_status status = check_options(what, source, options, error);
    if (status != GM_OK)
        return status;
    set_name(&memory->dataset, what);
    for (size_t i = 0; i < sizeof known_images / sizeof known_images[0]; i++)
        if (strcmp(what, known_images[i].name) == 0)
            return open_known(memory, &known_images[i], error);
    if (strcmp(what, "synthetic") == 0)
        return gm_dataset_make_synthetic(memory, options, error);
    if (source == SOURCE_NPY)
        return gm_dataset_read_npy(memory, what, options, error);
    if (source == SOURCE_IMAGES)
        return gm_dataset_read_folder(memory, what, options, error);
    if (gm_dataset_is_cifar(what))
        return gm_dataset_read_cifar(memory, what, error);
    if (is_folder(what))
        return gm_dataset_read_mnist(memory, what, NULL, error);
    return gm_error_set(error, GM_BAD_DATA,
                        "%s: no such data; give fashion-mnist, mnist, synthetic, a folder of images, with the four idx "
                        "files of MNIST or with the binary files of CIFAR, an image, or a .npy file",
                        what);
}

bool gm_dataset_is_name(const char *what)
{
    bool known = strcmp(what, "synthetic") == 0;
    for (size_t i = 0; i < sizeof known_images / sizeof known_images[0]; i++)
        known = known || strcmp(what, known_images[i].name) == 0;
    return known;
}

gm_status gm_dataset_open(const char *what, const gm_dataset_options *options, gm_dataset **dataset, gm_error *error)
{
    const gm_dataset_options defaults = gm_dataset_default_options();
    if (!dataset)
        return gm_error_set(error, GM_INVALID_ARGUMENT, "no place for the data set");
    *dataset = NULL;
    if (!options)
        options = &defaults;
    if (!what || options->size < sizeof *options)
        return gm_error_set(error, GM_INVALID_ARGUMENT, "no data set named, or options without a size");
    struct gm_dataset_memory *memory = calloc(1, sizeof *memory);
    if (!memory)
        return gm_error_set(error, GM_OUT_OF_MEMORY, "%s: out of memory", what);
    const gm_status status = read_dataset(memory, what, options, error);
    if (status != GM_OK) {
        gm_dataset_close(&memory->dataset);
        return status;
    }
    *dataset = &memory->dataset;
    return GM_OK;
}

void gm_dataset_close(gm_dataset *dataset)
{
    if (!dataset)
        return;
    struct gm_dataset_memory *memory = (struct gm_dataset_memory *)dataset;
    free(memory->train_pixels);
    free(memory->test_pixels);
    free(memory->features);
    free(memory->columns);
    free(memory->train_labels);
    free(memory->test_labels);
    gm_texts_free(&memory->class_names);
    gm_texts_free(&memory->train_paths);
    gm_texts_free(&memory->test_paths);
    gm_texts_free(&memory->skipped);
    free(memory);
}
