#include "train/head.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <gemel/gemm.h>
#include <jansson.h>

#include "support/file.h"
#include "support/parse.h"
#include "train/backbone.h"
#include "train/weights.h"

void gm_head_free(gm_head *head)
{
    free(head->weight);
    free(head->bias);
    gm_texts_free(&head->names);
    *head = (gm_head){0};
}

/* --- reading --------------------------------------------------------------------------------------------------- */

/* *index: of the tensor of this name, -1 without. */
static gm_status find(const gm_tensor_file *file, const char *bare_name, int64_t *index, gm_error *error)
{
    *index = -1;
    for (int64_t i = 0; i < gm_tensor_file_count(file); i++) {
        const gm_tensor tensor = gm_tensor_file_tensor(file, i);
        if (strcmp(gm_weights_bare_name(tensor.name), bare_name) != 0)
            continue;
        if (*index >= 0)
            return gm_error_set(error, GM_BAD_DATA, "%s: tensor '%.200s' and tensor '%.200s' both stand for %s",
                                gm_tensor_file_path(file), gm_tensor_file_tensor(file, *index).name, tensor.name,
                                bare_name);
        *index = i;
    }
    return GM_OK;
}

static gm_status check_shapes(const gm_tensor_file *file, const gm_tensor *weight, const gm_tensor *bias, int64_t dim,
                              gm_error *error)
{
    char of_weight[128], of_bias[128];
    if (weight->dimensions != 2 || weight->shape[0] < 1 || weight->shape[1] < 1 || bias->dimensions != 1 ||
        bias->shape[0] != weight->shape[0] || !gm_tensor_type_is_real(weight->type) ||
        !gm_tensor_type_is_real(bias->type)) {
        gm_tensor_describe(weight, of_weight, sizeof of_weight);
        gm_tensor_describe(bias, of_bias, sizeof of_bias);
        return gm_error_set(error, GM_BAD_DATA,
                            "%s: '%.200s' is %s and '%.200s' is %s where [classes, features] and [classes] are needed",
                            gm_tensor_file_path(file), weight->name, of_weight, bias->name, of_bias);
    }
    if (dim > 0 && weight->shape[1] != dim)
        return gm_error_set(error, GM_BAD_DATA, "%s: '%.200s' takes %lld features, but the encoder has %lld",
                            gm_tensor_file_path(file), weight->name, (long long)weight->shape[1], (long long)dim);
    return GM_OK;
}

static gm_status read_array(gm_tensor_file *file, int64_t index, float **values, gm_error *error)
{
    const gm_tensor tensor = gm_tensor_file_tensor(file, index);
    gm_parameter array = {.name = tensor.name, .dimensions = tensor.dimensions, .count = 1};
    for (int32_t i = 0; i < tensor.dimensions; i++)
        array.count *= tensor.shape[i];
    *values = malloc((size_t)array.count * sizeof **values);
    if (!*values)
        return gm_file_no_memory(error, gm_tensor_file_path(file), (size_t)array.count * sizeof **values);
    array.value = *values;
    return gm_weights_read_array(file, index, &array, error);
}

static gm_status add_names(const gm_tensor_file *file, const json_t *array, gm_head *head, gm_error *error)
{
    const char *path = gm_tensor_file_path(file);
    if (!json_is_array(array) || json_array_size(array) != (size_t)head->classes)
        return gm_error_set(error, GM_BAD_DATA, "%s: its class_names are no JSON array of %lld names", path,
                            (long long)head->classes);
    gm_status status = GM_OK;
    for (int64_t i = 0; i < head->classes && status == GM_OK; i++) {
        const char *name = json_string_value(json_array_get(array, (size_t)i));
        if (!name || !gm_text_is_plain(name, strlen(name)))
            return gm_error_set(error, GM_BAD_DATA, "%s: class_names[%lld] is no text, or has control characters", path,
                                (long long)i);
        status = gm_texts_add(&head->names, name, strlen(name), error);
    }
    head->class_names = gm_texts_items(&head->names);
    return status;
}

static gm_status read_names(const gm_tensor_file *file, gm_head *head, gm_error *error)
{
    const char *text = gm_tensor_file_metadata(file, "class_names");
    if (!text)
        return GM_OK;
    json_t *array = json_loads(text, 0, NULL);
    const gm_status status = add_names(file, array, head, error);
    json_decref(array);
    return status;
}

gm_status gm_head_read(gm_tensor_file *file, int64_t dim, gm_head *head, gm_error *error)
{
    int64_t weight, bias;
    *head = (gm_head){0};
    gm_status status = find(file, "fc.weight", &weight, error);
    if (status == GM_OK)
        status = find(file, "fc.bias", &bias, error);
    if (status != GM_OK || (weight < 0 && bias < 0))
        return status;
    if (weight < 0 || bias < 0)
        return gm_error_set(error, GM_BAD_DATA, "%s: has %s, but no %s; a head has both", gm_tensor_file_path(file),
                            weight < 0 ? "fc.bias" : "fc.weight", weight < 0 ? "fc.weight" : "fc.bias");
    const gm_tensor weights = gm_tensor_file_tensor(file, weight), biases = gm_tensor_file_tensor(file, bias);
    status = check_shapes(file, &weights, &biases, dim, error);
    if (status != GM_OK)
        return status;
    head->classes = weights.shape[0];
    head->dim = weights.shape[1];
    status = read_array(file, weight, &head->weight, error);
    if (status == GM_OK)
        status = read_array(file, bias, &head->bias, error);
    if (status == GM_OK)
        status = read_names(file, head, error);
    if (status != GM_OK)
        gm_head_free(head);
    return status;
}

const char *gm_head_path(const char *path, char *inside)
{
    struct stat about;
    if (stat(path, &about) || !S_ISDIR(about.st_mode))
        return path;
    snprintf(inside, GM_BACKBONE_PATH, "%s/classifier.safetensors", path);
    return stat(inside, &about) ? gm_backbone_path(path, inside) : inside;
}

gm_status gm_head_load(const char *path, int64_t dim, gm_head *head, gm_error *error)
{
    char inside[GM_BACKBONE_PATH];
    gm_tensor_file *file;
    *head = (gm_head){0};
    gm_status status = gm_tensor_file_open(gm_head_path(path, inside), &file, error);
    if (status == GM_OK)
        status = gm_head_read(file, dim, head, error);
    gm_tensor_file_close(file);
    return status == GM_IO_ERROR ? GM_BAD_DATA : status;
}

/* --- writing --------------------------------------------------------------------------------------------------- */

static gm_status model_options(const char *weights, const gm_dataset *dataset, gm_model_options *options,
                               gm_error *error)
{
    char inside[GM_BACKBONE_PATH];
    gm_pixel_scale ignored;
    gm_tensor_file *file;
    gm_status status = gm_tensor_file_open(gm_backbone_path(weights, inside), &file, error);
    if (status == GM_OK)
        status = gm_backbone_options(file, options, &ignored, error);
    gm_tensor_file_close(file);
    options->height = dataset->height;
    options->width = dataset->width;
    return status == GM_IO_ERROR ? GM_BAD_DATA : status;
}

gm_status gm_head_save(const gm_head *head, const char *weights, const gm_model *model, const gm_dataset *dataset,
                       const char *path, gm_error *error)
{
    gm_model_options options;
    gm_head named = *head;
    if (!named.class_names)
        named.class_names = dataset->class_names;
    const gm_status status = model_options(weights, dataset, &options, error);
    return status == GM_OK ? gm_backbone_save(model, &options, dataset, &named, path, error) : status;
}

/* --- use ------------------------------------------------------------------------------------------------------- */

/* In double precision, so that the sum of many classes is 1 to the last digit that anybody prints. */
static bool softmax(float *row, int64_t classes)
{
    float most = row[0];
    for (int64_t c = 1; c < classes; c++)
        most = fmaxf(most, row[c]);
    double sum = 0.0;
    for (int64_t c = 0; c < classes; c++)
        sum += exp((double)row[c] - (double)most);
    for (int64_t c = 0; c < classes; c++)
        row[c] = (float)(exp((double)row[c] - (double)most) / sum);
    return isfinite(sum);
}

gm_status gm_head_probabilities(gm_context *context, const gm_head *head, int64_t rows, const float *features,
                                float *probabilities)
{
    gm_gemm_options options = gm_gemm_default_options();
    options.bias = head->bias;
    gm_status status =
        gm_context_reserve(context, gm_gemm_fused_f32_workspace(context, GM_NO_TRANSPOSE, GM_TRANSPOSE, rows,
                                                                head->classes, head->dim, &options));
    if (status == GM_OK)
        status =
            gm_gemm_fused_f32(context, GM_NO_TRANSPOSE, GM_TRANSPOSE, rows, head->classes, head->dim, 1.0f, features,
                              head->dim, head->weight, head->dim, 0.0f, probabilities, head->classes, &options);
    for (int64_t i = 0; i < rows && status == GM_OK; i++)
        if (!softmax(probabilities + i * head->classes, head->classes))
            status = GM_NOT_FINITE;
    return status;
}

void gm_head_top(const float *probabilities, int64_t classes, int64_t k, int64_t *top)
{
    int64_t found = 0;
    for (int64_t c = 0; c < classes; c++) {
        if (found == k && probabilities[c] <= probabilities[top[k - 1]])
            continue;
        int64_t at = found < k ? found++ : k - 1;
        for (; at > 0 && probabilities[c] > probabilities[top[at - 1]]; at--)
            top[at] = top[at - 1];
        top[at] = c;
    }
}
