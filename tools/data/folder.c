#include "data/folder.h"

#include <stdlib.h>
#include <string.h>

#include "data/dataset.h"
#include "support/file.h"
#include "support/random.h"

enum { DEFAULT_SIZE = 224, MOST_SIZE = 1024, CHANNELS = 3 };

/* Of the training pixels of ImageNet, as all who share weights use them. */
static const float usual_mean[CHANNELS] = {0.485f, 0.456f, 0.406f}, usual_std[CHANNELS] = {0.229f, 0.224f, 0.225f};

/* Fisher and Yates's shuffle, stopped when the test images are chosen; both parts keep the order of the files. */
static gm_status draw_test_images(struct gm_image_files *files, double share, uint64_t seed, gm_error *error)
{
    const int64_t count = files->paths.count;
    int64_t test_rows;
    gm_status status = gm_dataset_test_rows(files->folder, count, share, &test_rows, error);
    if (status != GM_OK)
        return status;
    int64_t *order = malloc((size_t)count * sizeof *order);
    if (!order)
        return gm_file_no_memory(error, files->folder, (size_t)count * sizeof *order);
    for (int64_t i = 0; i < count; i++)
        order[i] = i;
    gm_random stream = gm_random_stream(seed, 0, 0, 0, GM_RANDOM_SPLIT);
    for (int64_t last = count - 1; last >= count - test_rows; last--) {
        const int64_t other = gm_random_below(&stream, (uint32_t)last + 1);
        files->parts[order[other]] = GM_PART_TEST;
        order[other] = order[last];
    }
    free(order);
    return GM_OK;
}

/* The test images are drawn first: neither a list of training images nor a bad one changes which they are. */
static gm_status prepare(struct gm_image_files *files, const gm_dataset_options *options, struct gm_texts *skipped,
                         gm_error *error)
{
    if (options->val_split != 0.0 && files->has_test)
        return gm_error_set(error, GM_BAD_USAGE,
                            "%s: has test images of its own in val/ or test/; leave --val-split out", files->folder);
    gm_status status = GM_OK;
    if (options->labels)
        status = gm_image_files_label(files, options->labels, error);
    const double usual = files->classes > 0 && !files->has_test ? options->usual_val_split : 0.0;
    const double share = options->val_split != 0.0 ? options->val_split : usual;
    if (status == GM_OK && share != 0.0)
        status = draw_test_images(files, share, options->seed, error);
    if (status == GM_OK && options->train_list)
        status = gm_image_files_keep(files, options->train_list, error);
    if (status == GM_OK)
        status = gm_image_files_check(files, options->context, options->skip_bad_images, skipped, error);
    return status;
}

/* Moves the files of one part into a split. */
static gm_status take_part(struct gm_image_files *files, gm_part part, struct gm_texts *paths, int32_t **labels,
                           gm_split *split, gm_error *error)
{
    int64_t rows = 0;
    bool labelled = files->labels != NULL;
    for (int64_t i = 0; i < files->paths.count; i++) {
        rows += files->parts[i] == part;
        labelled = labelled && (files->parts[i] != part || files->labels[i] >= 0);
    }
    const size_t bytes = (size_t)rows * sizeof(int32_t);
    *labels = labelled && rows > 0 ? malloc(bytes) : NULL;
    if (labelled && rows > 0 && !*labels)
        return gm_file_no_memory(error, files->folder, bytes);
    for (int64_t i = 0; i < files->paths.count; i++) {
        if (files->parts[i] != part)
            continue;
        if (*labels)
            (*labels)[paths->count] = files->labels[i];
        const gm_status status = gm_texts_add(paths, files->paths.items[i], strlen(files->paths.items[i]), error);
        if (status != GM_OK)
            return status;
    }
    *split = (gm_split){.rows = rows, .labels = *labels, .paths = gm_texts_items(paths)};
    return GM_OK;
}

static gm_status fill(struct gm_dataset_memory *memory, struct gm_image_files *files, const gm_dataset_options *options,
                      gm_error *error)
{
    gm_dataset *dataset = &memory->dataset;
    gm_status status =
        take_part(files, GM_PART_TRAIN, &memory->train_paths, &memory->train_labels, &dataset->train, error);
    if (status == GM_OK)
        status = take_part(files, GM_PART_TEST, &memory->test_paths, &memory->test_labels, &dataset->test, error);
    if (status == GM_OK && dataset->train.rows == 0)
        status = gm_error_set(error, GM_BAD_DATA, "%s: no training image is left; %lld bad ones were skipped",
                              files->folder, (long long)memory->skipped.count);
    if (status != GM_OK)
        return status;
    memory->class_names = files->class_names;
    files->class_names = (struct gm_texts){0};
    dataset->kind = GM_DATA_COLOR_IMAGES;
    const int64_t usual_size = options->usual_image_size ? options->usual_image_size : DEFAULT_SIZE;
    dataset->height = dataset->width = options->image_size ? options->image_size : usual_size;
    dataset->channels = CHANNELS;
    dataset->dim = dataset->height * dataset->width * CHANNELS;
    dataset->classes = files->classes;
    dataset->class_names = memory->class_names.count ? gm_texts_items(&memory->class_names) : NULL;
    dataset->std = 1.0f;
    memcpy(dataset->channel_mean, usual_mean, sizeof usual_mean);
    memcpy(dataset->channel_std, usual_std, sizeof usual_std);
    dataset->skipped = memory->skipped.count;
    dataset->skipped_messages = gm_texts_items(&memory->skipped);
    return GM_OK;
}

gm_status gm_dataset_read_folder(struct gm_dataset_memory *memory, const char *folder,
                                 const gm_dataset_options *options, gm_error *error)
{
    const int64_t size = options->image_size ? options->image_size : options->usual_image_size;
    if (size < 0 || size > MOST_SIZE)
        return gm_error_set(error, GM_BAD_USAGE, "image-size %lld: expected 1 to %d", (long long)size, MOST_SIZE);
    size_t length = strlen(folder);
    while (length > 1 && folder[length - 1] == '/')
        length--;
    char *name = strndup(folder, length);
    if (!name)
        return gm_file_no_memory(error, folder, length);
    struct gm_image_files files = {.folder = name};
    gm_status status = gm_image_files_find(&files, error);
    if (status == GM_OK)
        status = prepare(&files, options, &memory->skipped, error);
    if (status == GM_OK)
        status = fill(memory, &files, options, error);
    gm_image_files_free(&files);
    free(name);
    return status;
}
