#include "train/backbone.h"

#include <float.h>
#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <jansson.h>

#include "support/file.h"
#include "support/parse.h"
#include "train/weights.h"
#include "train/weights_arch.h"

/* --- metadata -------------------------------------------------------------------------------------------------- */

/* Numbers among gm_model_options. */
typedef struct encoder_number {
    const char *key;
    size_t offset; /* of an int64_t in gm_model_options */
    bool of_images;
} encoder_number;

static const encoder_number encoder_numbers[] = {
    {"encoder_dim", offsetof(gm_model_options, encoder_dim), false},
    {"hidden_size", offsetof(gm_model_options, hidden_size), false},
    {"height", offsetof(gm_model_options, height), true},
    {"width", offsetof(gm_model_options, width), true},
    {"channels", offsetof(gm_model_options, channels), true},
};

enum { NUMBERS = sizeof encoder_numbers / sizeof *encoder_numbers, COLUMN_TENSORS = 2, HEAD_TENSORS = 2 };

gm_pixel_scale gm_pixel_scale_of(const gm_dataset *dataset)
{
    gm_pixel_scale scale = {0};
    if (dataset->kind == GM_DATA_GRAY_IMAGES)
        scale = (gm_pixel_scale){1, {dataset->mean}, {dataset->std}};
    if (dataset->kind != GM_DATA_COLOR_IMAGES)
        return scale;
    scale.channels = GM_PIXEL_CHANNELS;
    memcpy(scale.mean, dataset->channel_mean, sizeof scale.mean);
    memcpy(scale.std, dataset->channel_std, sizeof scale.std);
    return scale;
}

void gm_pixel_scale_use(const gm_pixel_scale *scale, gm_dataset *dataset)
{
    if (dataset->kind == GM_DATA_GRAY_IMAGES && scale->channels == 1) {
        dataset->mean = scale->mean[0];
        dataset->std = scale->std[0];
    }
    if (dataset->kind == GM_DATA_COLOR_IMAGES && scale->channels == GM_PIXEL_CHANNELS) {
        memcpy(dataset->channel_mean, scale->mean, sizeof scale->mean);
        memcpy(dataset->channel_std, scale->std, sizeof scale->std);
    }
}

void gm_column_scale_free(gm_column_scale *scale)
{
    free(scale->mean);
    *scale = (gm_column_scale){0};
}

/* A text of the metadata's own that is to be filled. */
static char *add_entry(gm_backbone_metadata *metadata, const char *key)
{
    char *text = metadata->text[metadata->count];
    metadata->entries[metadata->count++] = (gm_metadata){key, text};
    return text;
}

static void add_numbers(gm_backbone_metadata *metadata, const char *key, int32_t count, const float *numbers)
{
    char *text = add_entry(metadata, key);
    size_t used = 0;
    for (int32_t i = 0; i < count; i++)
        used += (size_t)snprintf(text + used, sizeof metadata->text[0] - used, "%s%.9g", i ? ", " : "[",
                                 (double)numbers[i]);
    snprintf(text + used, sizeof metadata->text[0] - used, "]");
}

/* GM_STEM_AUTO has been decided by the size of the images. */
static gm_stem stem_of(const gm_model *model, const gm_model_options *options)
{
    enum { SMALL_KERNEL = 3 };
    const gm_parameter first = gm_model_parameter(model, 0);
    if (options->stem != GM_STEM_AUTO || options->arch < GM_ARCH_RESNET18)
        return options->stem;
    return first.shape[2] == SMALL_KERNEL ? GM_STEM_SMALL : GM_STEM_IMAGENET;
}

void gm_backbone_describe(const gm_model *model, const gm_model_options *options, const gm_pixel_scale *scale,
                          gm_backbone_metadata *metadata)
{
    const bool images = gm_arch_takes_images(options->arch);
    gm_model_options all = *options;
    all.hidden_size = options->hidden_size ? options->hidden_size : gm_default_hidden_size();
    metadata->count = 0;
    snprintf(add_entry(metadata, "arch"), sizeof metadata->text[0], "%s", gm_arch_name(options->arch));
    for (int i = 0; i < NUMBERS; i++) {
        const int64_t *number = (const void *)((const char *)&all + encoder_numbers[i].offset);
        if (encoder_numbers[i].of_images == images && *number > 0)
            snprintf(add_entry(metadata, encoder_numbers[i].key), sizeof metadata->text[0], "%lld", (long long)*number);
    }
    if (images)
        snprintf(add_entry(metadata, "stem"), sizeof metadata->text[0], "%s", gm_stem_name(stem_of(model, options)));
    if (!scale || scale->channels == 0)
        return;
    add_numbers(metadata, "mean", scale->channels, scale->mean);
    add_numbers(metadata, "std", scale->channels, scale->std);
}

/* The numbers of its kind. */
static bool read_encoder(const gm_tensor_file *file, gm_model_options *options)
{
    const char *arch = gm_tensor_file_metadata(file, "arch");
    if (!arch || gm_arch_from_name(arch, &options->arch) != GM_OK)
        return false;
    const bool images = gm_arch_takes_images(options->arch);
    for (int i = 0; i < NUMBERS; i++) {
        if (encoder_numbers[i].of_images != images)
            continue;
        const char *text = gm_tensor_file_metadata(file, encoder_numbers[i].key);
        if (!text || !gm_parse_int64(text, 1, INT32_MAX, (void *)((char *)options + encoder_numbers[i].offset)))
            return false;
    }
    return !images || gm_stem_from_name(gm_tensor_file_metadata(file, "stem"), &options->stem) == GM_OK;
}

/* A JSON array of so many numbers from `low` on, or nothing. */
static bool read_numbers(const gm_tensor_file *file, const char *key, double low, int32_t count, float *numbers,
                         bool *there)
{
    const char *text = gm_tensor_file_metadata(file, key);
    *there = text;
    if (!text)
        return true;
    json_t *array = json_loads(text, 0, NULL);
    bool good = json_array_size(array) == (size_t)count;
    for (int32_t i = 0; i < count && good; i++) {
        const double number = json_number_value(json_array_get(array, (size_t)i));
        good = number >= low && number <= (double)FLT_MAX && json_is_number(json_array_get(array, (size_t)i));
        numbers[i] = good ? (float)number : 0.0f;
    }
    json_decref(array);
    return good;
}

/* Both or neither. */
static bool read_scale(const gm_tensor_file *file, int64_t channels, gm_pixel_scale *scale)
{
    bool mean = false, std = false;
    *scale = (gm_pixel_scale){0};
    if (channels < 1 || channels > GM_PIXEL_CHANNELS)
        return true;
    if (!read_numbers(file, "mean", -(double)FLT_MAX, (int32_t)channels, scale->mean, &mean) ||
        !read_numbers(file, "std", (double)FLT_MIN, (int32_t)channels, scale->std, &std) || mean != std)
        return false;
    scale->channels = mean ? (int32_t)channels : 0;
    return true;
}

gm_status gm_backbone_options(const gm_tensor_file *file, gm_model_options *options, gm_pixel_scale *scale,
                              gm_error *error)
{
    const char *path = gm_tensor_file_path(file);
    *options = gm_model_default_options(0, 1);
    options->training = false;
    gm_status status = gm_weights_find_arch(file, options, error);
    if (status != GM_OK)
        return status;
    const bool images = gm_arch_takes_images(options->arch);
    gm_model_options said = *options;
    if (gm_tensor_file_metadata(file, "arch") &&
        (!read_encoder(file, &said) || said.arch != options->arch || said.channels != options->channels ||
         said.encoder_dim != options->encoder_dim || (!images && said.hidden_size != options->hidden_size)))
        return gm_error_set(error, GM_BAD_DATA,
                            "%s: its metadata (arch, encoder_dim, hidden_size …) say something else than its tensors",
                            path);
    if (!read_scale(file, images ? said.channels : 0, scale))
        return gm_error_set(error, GM_BAD_DATA,
                            "%s: its metadata mean and std are no arrays of a number for each of %lld channels", path,
                            (long long)said.channels);
    options->height = said.height;
    options->width = said.width;
    return GM_OK;
}

/* --- files ----------------------------------------------------------------------------------------------------- */

const char *gm_backbone_path(const char *path, char inside[GM_BACKBONE_PATH])
{
    struct stat about;
    if (stat(path, &about) || !S_ISDIR(about.st_mode))
        return path;
    snprintf(inside, GM_BACKBONE_PATH, "%s/backbone.safetensors", path);
    return inside;
}

static const char *const column_names[COLUMN_TENSORS] = {"input.mean", "input.scale"};

/* Float64, and first in the file, so that they are aligned there. */
static int64_t column_tensors(const gm_dataset *dataset, gm_tensor tensors[COLUMN_TENSORS])
{
    if (!dataset || !dataset->column_mean)
        return 0;
    const double *numbers[COLUMN_TENSORS] = {dataset->column_mean, dataset->column_scale};
    for (int i = 0; i < COLUMN_TENSORS; i++)
        tensors[i] = (gm_tensor){.name = column_names[i],
                                 .type = GM_TENSOR_F64,
                                 .dimensions = 1,
                                 .shape = {dataset->dim},
                                 .data = (void *)numbers[i]};
    return COLUMN_TENSORS;
}

static int64_t head_tensors(const gm_head *head, gm_tensor tensors[HEAD_TENSORS])
{
    if (!head)
        return 0;
    tensors[0] = (gm_tensor){.name = "fc.weight",
                             .type = GM_TENSOR_F32,
                             .dimensions = 2,
                             .shape = {head->classes, head->dim},
                             .data = head->weight};
    tensors[1] = (gm_tensor){
        .name = "fc.bias", .type = GM_TENSOR_F32, .dimensions = 1, .shape = {head->classes}, .data = head->bias};
    return HEAD_TENSORS;
}

/* *text: the names as a JSON array, to be freed; NULL without names. */
static gm_status class_names(const gm_head *head, const char *path, char **text, gm_error *error)
{
    *text = NULL;
    if (!head || !head->class_names)
        return GM_OK;
    json_t *array = json_array();
    for (int64_t i = 0; i < head->classes && array; i++)
        if (json_array_append_new(array, json_string(head->class_names[i])) != 0) {
            json_decref(array);
            return gm_error_set(error, GM_BAD_DATA,
                                "%s: the name of class %lld is not text in UTF-8, or memory is out; rename its folder",
                                path, (long long)i);
        }
    *text = json_dumps(array, JSON_COMPACT);
    json_decref(array);
    return *text ? GM_OK : gm_error_set(error, GM_OUT_OF_MEMORY, "%s: no memory for the names of classes", path);
}

gm_status gm_backbone_save(const gm_model *model, const gm_model_options *options, const gm_dataset *dataset,
                           const gm_head *head, const char *path, gm_error *error)
{
    static const char prefix[] = "encoder.";
    const int32_t most = gm_model_parameter_count(model);
    gm_tensor *tensors = calloc((size_t)most + COLUMN_TENSORS + HEAD_TENSORS, sizeof *tensors);
    char *names = NULL;
    if (!tensors)
        return gm_error_set(error, GM_OUT_OF_MEMORY, "%s: no memory to list the arrays", path);
    int64_t count = column_tensors(dataset, tensors);
    for (int32_t i = 0; i < most; i++) {
        const gm_parameter parameter = gm_model_parameter(model, i);
        if (strncmp(parameter.name, prefix, sizeof prefix - 1) == 0)
            tensors[count++] = gm_weights_tensor(&parameter);
    }
    count += head_tensors(head, tensors + count);
    const gm_pixel_scale scale = dataset ? gm_pixel_scale_of(dataset) : (gm_pixel_scale){0};
    gm_backbone_metadata metadata;
    gm_backbone_describe(model, options, &scale, &metadata);
    gm_status status = class_names(head, path, &names, error);
    if (names)
        metadata.entries[metadata.count++] = (gm_metadata){"class_names", names};
    if (status == GM_OK)
        status = gm_safetensors_write(path, count, tensors, metadata.count, metadata.entries, error);
    free(names);
    free(tensors);
    return status;
}

/* index[i]: of column_names[i], -1 without. */
static void find_columns(const gm_tensor_file *file, int64_t index[COLUMN_TENSORS])
{
    for (int i = 0; i < COLUMN_TENSORS; i++) {
        index[i] = -1;
        for (int64_t j = 0; j < gm_tensor_file_count(file); j++)
            if (strcmp(gm_tensor_file_tensor(file, j).name, column_names[i]) == 0)
                index[i] = j;
    }
}

static gm_status read_columns(gm_tensor_file *file, const int64_t index[COLUMN_TENSORS], int64_t columns,
                              double *numbers, gm_error *error)
{
    const gm_tensor wanted = {.type = GM_TENSOR_F64, .dimensions = 1, .shape = {columns}};
    gm_status status = GM_OK;
    for (int i = 0; i < COLUMN_TENSORS && status == GM_OK; i++) {
        const gm_tensor tensor = index[i] < 0 ? (gm_tensor){0} : gm_tensor_file_tensor(file, index[i]);
        if (index[i] < 0 || tensor.type != wanted.type || !gm_tensor_same_shape(&tensor, &wanted))
            return gm_error_set(error, GM_BAD_DATA, "%s: input.mean and input.scale are not both F64 [%lld]",
                                gm_tensor_file_path(file), (long long)columns);
        status = gm_tensor_file_read(file, index[i], numbers + i * columns, error);
    }
    for (int64_t i = 0; i < COLUMN_TENSORS * columns && status == GM_OK; i++)
        if (!isfinite(numbers[i]))
            status = gm_error_set(error, GM_BAD_DATA, "%s: tensor '%s' holds NaN or infinity",
                                  gm_tensor_file_path(file), column_names[i / columns]);
    return status;
}

gm_status gm_backbone_columns(gm_tensor_file *file, gm_column_scale *scale, gm_error *error)
{
    int64_t index[COLUMN_TENSORS];
    *scale = (gm_column_scale){0};
    find_columns(file, index);
    if (index[0] < 0 && index[1] < 0)
        return GM_OK;
    const gm_tensor first = gm_tensor_file_tensor(file, index[0] < 0 ? index[1] : index[0]);
    const int64_t columns = first.dimensions > 0 ? first.shape[0] : 0; /* the file holds so many */
    double *numbers = malloc(COLUMN_TENSORS * (size_t)columns * sizeof *numbers + 1);
    if (!numbers)
        return gm_file_no_memory(error, gm_tensor_file_path(file), (size_t)columns * sizeof *numbers);
    const gm_status status = read_columns(file, index, columns, numbers, error);
    if (status == GM_OK)
        *scale = (gm_column_scale){columns, numbers, numbers + columns};
    else
        free(numbers);
    return status;
}

gm_status gm_backbone_load_input(const char *path, gm_column_scale *scale, int64_t *image_size, gm_error *error)
{
    char inside[GM_BACKBONE_PATH];
    gm_tensor_file *file;
    *scale = (gm_column_scale){0};
    *image_size = 0;
    gm_status status = gm_tensor_file_open(gm_backbone_path(path, inside), &file, error);
    if (status == GM_OK) {
        gm_model_options said = gm_model_default_options(0, 1);
        if (read_encoder(file, &said) && said.height == said.width)
            *image_size = said.height;
        status = gm_backbone_columns(file, scale, error);
    }
    gm_tensor_file_close(file);
    return status == GM_IO_ERROR ? GM_BAD_DATA : status;
}

gm_status gm_backbone_read(gm_context *context, gm_tensor_file *file, const gm_model_options *options, gm_model **model,
                           gm_error *error)
{
    gm_weights_report report;
    const gm_status status = gm_model_create(context, options, model);
    if (status != GM_OK)
        return gm_error_set(error, status, "%s: cannot build its encoder: %s", gm_tensor_file_path(file),
                            gm_status_string(status));
    return gm_weights_read(file, *model, &report, error);
}

/* height and width of images become those that it will get. */
static gm_status settle_size(const char *path, int64_t height, int64_t width, gm_model_options *options,
                             gm_error *error)
{
    if (!gm_arch_takes_images(options->arch))
        return GM_OK;
    if (height == 0)
        return gm_error_set(error, GM_BAD_DATA, "%s: takes images, not vectors", path);
    if (options->height && (options->height != height || options->width != width))
        return gm_error_set(error, GM_BAD_DATA,
                            "%s: takes images of %lld x %lld pixels; for a folder of images, pass --image-size %lld",
                            path, (long long)options->width, (long long)options->height, (long long)options->width);
    options->height = height;
    options->width = width;
    return GM_OK;
}

/* outputs: of the linear layer behind an encoder that is to be trained; 0: none, for inference. */
static gm_status load(gm_context *context, gm_tensor_file *file, int64_t height, int64_t width, int64_t batch,
                      int64_t outputs, bool accumulation, gm_model **model, gm_pixel_scale *scale, gm_error *error)
{
    const char *path = gm_tensor_file_path(file);
    gm_model_options options;
    gm_status status = gm_backbone_options(file, &options, scale, error);
    if (status == GM_OK)
        status = settle_size(path, height, width, &options, error);
    if (status != GM_OK)
        return status;
    options.batch = batch;
    if (outputs > 0) {
        options.training = true;
        options.views = 1;
        options.projector = &outputs;
        options.projector_layers = 1;
        options.projector_bias = true;
        options.accumulation = accumulation;
    }
    status = gm_backbone_read(context, file, &options, model, error);
    if (status == GM_OK && outputs == 0 && gm_model_freeze(*model) != GM_OK)
        status = gm_error_set(error, GM_OUT_OF_MEMORY, "%s: no memory for its packed weights", path);
    return status;
}

static gm_status load_path(gm_context *context, const char *path, int64_t height, int64_t width, int64_t batch,
                           int64_t outputs, bool accumulation, gm_model **model, gm_pixel_scale *scale, gm_error *error)
{
    char inside[GM_BACKBONE_PATH];
    gm_tensor_file *file;
    *model = NULL;
    gm_status status = gm_tensor_file_open(gm_backbone_path(path, inside), &file, error);
    if (status == GM_OK)
        status = load(context, file, height, width, batch, outputs, accumulation, model, scale, error);
    gm_tensor_file_close(file);
    if (status != GM_OK) {
        gm_model_destroy(*model);
        *model = NULL;
    }
    return status == GM_IO_ERROR ? GM_BAD_DATA : status;
}

gm_status gm_backbone_load(gm_context *context, const char *path, int64_t height, int64_t width, int64_t batch,
                           gm_model **model, gm_pixel_scale *scale, gm_error *error)
{
    return load_path(context, path, height, width, batch, 0, false, model, scale, error);
}

gm_status gm_backbone_load_training(gm_context *context, const char *path, int64_t height, int64_t width, int64_t batch,
                                    int64_t outputs, bool accumulation, gm_model **model, gm_pixel_scale *scale,
                                    gm_error *error)
{
    return load_path(context, path, height, width, batch, outputs, accumulation, model, scale, error);
}
