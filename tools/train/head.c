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

static gm_status check_shapes(const gm_tensor_file *file, const gm_tensor *weight, const gm_tensor *bias,
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

/* A name, or the last of several. */
static const char *name_of(const json_t *value)
{
    const size_t count = json_array_size(value);
    return json_string_value(count > 0 ? json_array_get(value, count - 1) : value);
}

/* names = those of an array, or of an object whose keys are the numbers of classes. source: what has them, for
 * messages. */
static gm_status collect_names(const char *source, const json_t *json, int64_t classes, struct gm_texts *names,
                               gm_error *error)
{
    const bool array = json_is_array(json);
    const size_t count = array ? json_array_size(json) : json_object_size(json);
    gm_status status = GM_OK;
    if (count != (size_t)classes)
        return gm_error_set(error, GM_BAD_DATA, "%s: has names of %zu classes where %lld are needed", source, count,
                            (long long)classes);
    for (int64_t i = 0; i < classes && status == GM_OK; i++) {
        char key[24];
        snprintf(key, sizeof key, "%lld", (long long)i);
        const char *name = name_of(array ? json_array_get(json, (size_t)i) : json_object_get(json, key));
        if (!name || !gm_text_is_plain(name, strlen(name)))
            return gm_error_set(error, GM_BAD_DATA, "%s: class %lld has no name, or one with control characters",
                                source, (long long)i);
        status = gm_texts_add(names, name, strlen(name), error);
    }
    return status;
}

static gm_status parse_names(const char *source, const char *text, int64_t classes, struct gm_texts *names,
                             gm_error *error)
{
    json_error_t where;
    json_t *json = json_loads(text, JSON_REJECT_DUPLICATES, &where);
    const gm_status status = json ? collect_names(source, json, classes, names, error)
                                  : gm_error_set(error, GM_BAD_DATA, "%s: line %d: %s", source, where.line, where.text);
    json_decref(json);
    return status;
}

/* Takes the names over if all is well. */
static gm_status set_names(gm_head *head, gm_status status, struct gm_texts *names)
{
    struct gm_texts *old = status == GM_OK ? &head->names : names;
    gm_texts_free(old);
    if (status == GM_OK) {
        head->names = *names;
        head->class_names = gm_texts_items(&head->names);
    }
    return status;
}

static gm_status read_names(const gm_tensor_file *file, gm_head *head, gm_error *error)
{
    char source[512];
    struct gm_texts names = {0};
    const char *text = gm_tensor_file_metadata(file, "class_names");
    if (!text)
        return GM_OK;
    snprintf(source, sizeof source, "%s: class_names", gm_tensor_file_path(file));
    return set_names(head, parse_names(source, text, head->classes, &names, error), &names);
}

static gm_status split_lines(const char *path, int64_t classes, struct gm_texts *names, gm_error *error)
{
    gm_status status = gm_texts_read_lines(path, names, error);
    for (int64_t i = 0; i < names->count && status == GM_OK; i++)
        if (!gm_text_is_plain(names->items[i], strlen(names->items[i])))
            status = gm_error_set(error, GM_BAD_DATA, "%s: line %lld has control characters", path, (long long)i + 1);
    if (status == GM_OK && names->count != classes)
        status = gm_error_set(error, GM_BAD_DATA, "%s: has names of %lld classes where %lld are needed", path,
                              (long long)names->count, (long long)classes);
    return status;
}

gm_status gm_head_read_names(gm_head *head, const char *path, gm_error *error)
{
    enum { MOST_BYTES = 1 << 26 };
    struct gm_texts names = {0};
    char *text;
    size_t size;
    gm_status status = gm_file_read(path, MOST_BYTES, &text, &size, error);
    if (status != GM_OK)
        return status == GM_IO_ERROR ? GM_BAD_DATA : status;
    const char first = text[strspn(text, " \t\r\n")];
    status = first == '[' || first == '{' ? parse_names(path, text, head->classes, &names, error)
                                          : split_lines(path, head->classes, &names, error);
    free(text);
    return set_names(head, status, &names);
}

gm_status gm_head_read(gm_tensor_file *file, gm_head *head, gm_error *error)
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
    status = check_shapes(file, &weights, &biases, error);
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

gm_status gm_head_load(const char *path, gm_head *head, gm_error *error)
{
    char inside[GM_BACKBONE_PATH];
    gm_tensor_file *file;
    *head = (gm_head){0};
    gm_status status = gm_tensor_file_open(gm_head_path(path, inside), &file, error);
    if (status == GM_OK)
        status = gm_head_read(file, head, error);
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
