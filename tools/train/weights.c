#include "train/weights.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "support/file.h"

/* Whether `text` begins with this part of a name, and a point behind it unless it ends there. */
static bool begins(const char *text, const char *part)
{
    const size_t length = strlen(part);
    return strncmp(text, part, length) == 0 && (text[length] == '.' || text[length] == '\0');
}

static bool begins_with_any(const char *text, const char *const *parts, size_t count, size_t *length)
{
    for (size_t i = 0; i < count; i++)
        if (begins(text, parts[i])) {
            *length = strlen(parts[i]);
            return true;
        }
    return false;
}

const char *gm_weights_bare_name(const char *name)
{
    static const char *const fronts[] = {"module", "model", "model_state_dict", "state_dict", "backbone", "encoder"};
    size_t length;
    while (begins_with_any(name, fronts, sizeof fronts / sizeof *fronts, &length) && name[length] == '.')
        name += length + 1;
    return name;
}

/* A part of the model that may be missing; NULL for the encoder. */
static const char *optional_part(const char *bare_name)
{
    static const char *const parts[] = {"projector", "fc"};
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        if (begins(bare_name, parts[i]))
            return parts[i];
    return NULL;
}

static bool may_be_unused(const char *bare_name)
{
    static const char *const parts[] = {
        "fc",       "projector", "bn",        "input", "correlation", "optimizer", "optimizer_state_dict",
        "momentum", "exp_avg",   "exp_avg_sq"};
    static const char counter[] = "num_batches_tracked";
    size_t length = strlen(bare_name);
    const bool ends = length >= sizeof counter - 1 && strcmp(bare_name + length - (sizeof counter - 1), counter) == 0;
    return ends || begins_with_any(bare_name, parts, sizeof parts / sizeof *parts, &length);
}

bool gm_weights_is_encoder(const char *bare_name)
{
    return !may_be_unused(bare_name);
}

/* --- names ----------------------------------------------------------------------------------------------------- */

struct named {
    const char *bare, *name;
    int64_t index;
    bool used;
};

static int by_name(const void *a, const void *b)
{
    const struct named *x = a, *y = b;
    const int order = strcmp(x->bare, y->bare);
    return order ? order : strcmp(x->name, y->name);
}

static int by_bare_name(const void *a, const void *b)
{
    const struct named *x = a, *y = b;
    return strcmp(x->bare, y->bare);
}

static struct named *sorted_names(const gm_tensor_file *file)
{
    const int64_t count = gm_tensor_file_count(file);
    struct named *names = calloc((size_t)count + 1, sizeof *names);
    if (!names)
        return NULL;
    for (int64_t i = 0; i < count; i++) {
        const char *name = gm_tensor_file_tensor(file, i).name;
        names[i] = (struct named){gm_weights_bare_name(name), name, i, false};
    }
    qsort(names, (size_t)count, sizeof *names, by_name);
    return names;
}

/* --- one array and its tensor ---------------------------------------------------------------------------------- */

gm_tensor gm_weights_tensor(const gm_parameter *array)
{
    gm_tensor tensor = {
        .name = array->name, .type = GM_TENSOR_F32, .dimensions = array->dimensions, .data = array->value};
    memcpy(tensor.shape, array->shape, sizeof array->shape);
    return tensor;
}

static bool fits(const gm_tensor *tensor, const gm_tensor *wanted)
{
    return gm_tensor_type_is_real(tensor->type) && gm_tensor_same_shape(tensor, wanted);
}

static gm_status refuse_tensor(const gm_tensor_file *file, const gm_tensor *tensor, const gm_tensor *wanted,
                               gm_error *error)
{
    char found[128], needed[128];
    gm_tensor_describe(tensor, found, sizeof found);
    gm_tensor_describe(wanted, needed, sizeof needed);
    return gm_error_set(error, GM_BAD_DATA, "%s: tensor '%.200s' is %s where %s is needed%s", gm_tensor_file_path(file),
                        tensor->name, found, needed,
                        gm_tensor_type_is_real(tensor->type) ? "; it may be of another architecture" : "");
}

/* *index: -1 where there is none, or where it is of a part that may be missing and does not fit. */
static gm_status find(const gm_tensor_file *file, struct named *names, const gm_parameter *array, int64_t *index,
                      gm_error *error)
{
    const int64_t count = gm_tensor_file_count(file);
    const struct named key = {.bare = gm_weights_bare_name(array->name)};
    const gm_tensor wanted = gm_weights_tensor(array);
    struct named *found = bsearch(&key, names, (size_t)count, sizeof *names, by_bare_name);
    *index = -1;
    if (!found)
        return GM_OK;
    if ((found > names && by_bare_name(found - 1, found) == 0) ||
        (found + 1 < names + count && by_bare_name(found + 1, found) == 0)) {
        const struct named *first = found > names && by_bare_name(found - 1, found) == 0 ? found - 1 : found;
        return gm_error_set(error, GM_BAD_DATA, "%s: tensor '%.200s' and tensor '%.200s' both stand for %s",
                            gm_tensor_file_path(file), first[0].name, first[1].name, array->name);
    }
    const gm_tensor tensor = gm_tensor_file_tensor(file, found->index);
    if (!fits(&tensor, &wanted))
        return optional_part(key.bare) ? GM_OK : refuse_tensor(file, &tensor, &wanted, error);
    *index = found->index;
    found->used = true;
    return GM_OK;
}

/* --- all of them ----------------------------------------------------------------------------------------------- */

/* A part of which something is missing keeps all its values; the encoder must be whole. */
static gm_status settle_missing(const gm_tensor_file *file, int32_t count, const gm_parameter *arrays, int64_t *index,
                                gm_error *error)
{
    for (int32_t i = 0; i < count; i++) {
        const char *part = optional_part(gm_weights_bare_name(arrays[i].name));
        if (index[i] >= 0)
            continue;
        if (!part)
            return gm_error_set(error, GM_BAD_DATA,
                                "%s: tensor '%s' is missing (module., model., state_dict., backbone. and encoder. in "
                                "front of it are looked past); the file may be of another architecture",
                                gm_tensor_file_path(file), arrays[i].name);
        for (int32_t j = 0; j < count; j++)
            if (begins(gm_weights_bare_name(arrays[j].name), part))
                index[j] = -1;
    }
    return GM_OK;
}

static gm_status match(const gm_tensor_file *file, struct named *names, int32_t count, const gm_parameter *arrays,
                       int64_t *index, gm_weights_report *report, gm_error *error)
{
    gm_status status = GM_OK;
    for (int32_t i = 0; i < count && status == GM_OK; i++)
        status = find(file, names, &arrays[i], &index[i], error);
    if (status == GM_OK)
        status = settle_missing(file, count, arrays, index, error);
    if (status != GM_OK)
        return status;
    *report = (gm_weights_report){0};
    for (int32_t i = 0; i < count; i++)
        report->loaded += index[i] >= 0;
    report->kept = count - report->loaded;
    report->unused = gm_tensor_file_count(file) - report->loaded;
    for (int64_t i = 0; i < gm_tensor_file_count(file); i++)
        if (!names[i].used && !may_be_unused(names[i].bare))
            return gm_error_set(
                error, GM_BAD_DATA,
                "%s: tensor '%.200s' has no place in the model; the file may be of another architecture",
                gm_tensor_file_path(file), names[i].name);
    return GM_OK;
}

gm_status gm_weights_match(const gm_tensor_file *file, int32_t count, const gm_parameter *arrays, int64_t *index,
                           gm_weights_report *report, gm_error *error)
{
    struct named *names = sorted_names(file);
    if (!names)
        return gm_file_no_memory(error, gm_tensor_file_path(file), (size_t)gm_tensor_file_count(file) * sizeof *names);
    const gm_status status = match(file, names, count, arrays, index, report, error);
    free(names);
    return status;
}

gm_status gm_weights_read_array(gm_tensor_file *file, int64_t index, const gm_parameter *array, gm_error *error)
{
    const gm_tensor tensor = gm_tensor_file_tensor(file, index);
    gm_status status;
    if (tensor.type == GM_TENSOR_F32) {
        status = gm_tensor_file_read(file, index, array->value, error);
    } else {
        const size_t bytes = (size_t)(array->count * gm_tensor_type_size(tensor.type));
        void *data = malloc(bytes);
        if (!data)
            return gm_file_no_memory(error, gm_tensor_file_path(file), bytes);
        status = gm_tensor_file_read(file, index, data, error);
        if (status == GM_OK)
            gm_tensor_to_f32(tensor.type, array->count, data, array->value);
        free(data);
    }
    for (int64_t i = 0; i < array->count && status == GM_OK; i++)
        if (!isfinite(array->value[i]))
            status = gm_error_set(error, GM_BAD_DATA, "%s: tensor '%.200s' holds NaN or infinity",
                                  gm_tensor_file_path(file), tensor.name);
    return status;
}

gm_status gm_weights_read(gm_tensor_file *file, gm_model *model, gm_weights_report *report, gm_error *error)
{
    const int32_t count = gm_model_parameter_count(model);
    gm_parameter *arrays = calloc((size_t)count + 1, sizeof *arrays);
    int64_t *index = calloc((size_t)count + 1, sizeof *index);
    gm_status status = GM_OUT_OF_MEMORY;
    if (!arrays || !index) {
        gm_file_no_memory(error, gm_tensor_file_path(file), (size_t)count * sizeof *arrays);
        goto fail;
    }
    for (int32_t i = 0; i < count; i++)
        arrays[i] = gm_model_parameter(model, i);
    status = gm_weights_match(file, count, arrays, index, report, error);
    for (int32_t i = 0; i < count && status == GM_OK; i++)
        if (index[i] >= 0)
            status = gm_weights_read_array(file, index[i], &arrays[i], error);
fail:
    free(arrays);
    free(index);
    return status;
}

gm_status gm_weights_load(const char *path, gm_model *model, gm_weights_report *report, gm_error *error)
{
    gm_tensor_file *file;
    gm_status status = gm_tensor_file_open(path, &file, error);
    if (status != GM_OK)
        return status;
    status = gm_weights_read(file, model, report, error);
    gm_tensor_file_close(file);
    return status;
}
