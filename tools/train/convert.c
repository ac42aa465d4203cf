#include "train/convert.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "formats/pth.h"
#include "formats/safetensors.h"
#include "nn/onnx_graph.h"
#include "support/file.h"
#include "train/backbone.h"
#include "train/weights.h"

static const int64_t memory_allowance = 64 << 20;

static bool ends_with(const char *text, const char *end)
{
    return strlen(text) >= strlen(end) && strcmp(text + strlen(text) - strlen(end), end) == 0;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const gm_tensor *)a)->name, ((const gm_tensor *)b)->name);
}

static gm_status check_names(const char *path, gm_tensor *sorted, int64_t count, gm_error *error)
{
    qsort(sorted, (size_t)count, sizeof *sorted, by_name);
    for (int64_t i = 0; i < count; i++)
        if (!*sorted[i].name || (i > 0 && by_name(&sorted[i - 1], &sorted[i]) == 0))
            return gm_error_set(error, GM_BAD_DATA, "%s: tensor '%.200s' has no name of its own without its front",
                                path, sorted[i].name);
    return GM_OK;
}

static gm_status read_all(gm_tensor_file *file, gm_tensor *tensors, int64_t count, gm_error *error)
{
    const char *path = gm_tensor_file_path(file);
    struct stat about;
    if (stat(path, &about))
        return gm_error_set(error, GM_BAD_DATA, "%s: has gone", path);
    int64_t left = 2 * about.st_size + memory_allowance;
    gm_status status = GM_OK;
    for (int64_t i = 0; i < count && status == GM_OK; i++) {
        int64_t elements, bytes = 0;
        gm_tensor_size(&tensors[i], &elements, &bytes); /* the file's reader has checked it */
        if (bytes > left)
            return gm_error_set(error, GM_BAD_DATA, "%s: its tensors take more than twice the file and 64 MB", path);
        left -= bytes;
        tensors[i].data = malloc((size_t)bytes + 1);
        if (!tensors[i].data)
            return gm_file_no_memory(error, path, (size_t)bytes);
        status = gm_tensor_file_read(file, i, tensors[i].data, error);
    }
    return status;
}

static gm_status write_all(const gm_tensor_file *file, const char *output, int64_t count, const gm_tensor *tensors,
                           gm_error *error)
{
    if (ends_with(output, ".pth"))
        return gm_pth_write(output, count, tensors, error);
    const int64_t entry_count = gm_tensor_file_all_metadata(file, NULL);
    gm_metadata *entries = calloc((size_t)entry_count + 1, sizeof *entries);
    if (!entries)
        return gm_file_no_memory(error, output, (size_t)entry_count * sizeof *entries);
    gm_tensor_file_all_metadata(file, entries);
    const gm_status status = gm_safetensors_write(output, count, tensors, entry_count, entries, error);
    free(entries);
    return status;
}

static gm_status convert(gm_tensor_file *file, const char *output, int64_t *count, gm_error *error)
{
    const int64_t tensor_count = gm_tensor_file_count(file);
    gm_tensor *tensors = calloc((size_t)tensor_count + 1, sizeof *tensors);
    if (!tensors)
        return gm_file_no_memory(error, output, (size_t)tensor_count * sizeof *tensors);
    for (int64_t i = 0; i < tensor_count; i++)
        tensors[i] = gm_tensor_file_tensor(file, i);
    gm_status status = read_all(file, tensors, tensor_count, error);
    for (int64_t i = 0; i < tensor_count; i++)
        tensors[i].name = gm_weights_bare_name(tensors[i].name);
    if (status == GM_OK)
        status = check_names(gm_tensor_file_path(file), tensors, tensor_count, error);
    if (status == GM_OK)
        status = write_all(file, output, tensor_count, tensors, error);
    for (int64_t i = 0; i < tensor_count; i++)
        free(tensors[i].data);
    free(tensors);
    *count = tensor_count;
    return status;
}

/* On which neither the weights nor the graph depend. */
static void set_any_size(gm_model_options *options)
{
    enum { SMALL = 32, LARGE = 224 };
    options->height = options->width = options->stem == GM_STEM_SMALL ? SMALL : LARGE;
}

static gm_status check_onnx(const gm_tensor_file *file, const gm_model_options *options, const gm_column_scale *columns,
                            gm_error *error)
{
    const char *path = gm_tensor_file_path(file);
    if (options->arch == GM_ARCH_CONV && options->height == 0)
        return gm_error_set(error, GM_BAD_DATA,
                            "%s: does not say how large its images are, on which conv's graph depends; give the run's "
                            "folder or backbone.safetensors",
                            path);
    if (columns->columns > 0 && columns->columns != options->encoder_dim)
        return gm_error_set(error, GM_BAD_DATA, "%s: its encoder takes %lld columns, but input.mean has %lld", path,
                            (long long)options->encoder_dim, (long long)columns->columns);
    return GM_OK;
}

static gm_status write_onnx(gm_context *context, gm_tensor_file *file, const char *output, int64_t *count,
                            gm_error *error)
{
    gm_model_options options;
    gm_pixel_scale scale;
    gm_column_scale columns = {0};
    gm_model *model = NULL;
    gm_status status = gm_backbone_options(file, &options, &scale, error);
    if (status == GM_OK)
        status = gm_backbone_columns(file, &columns, error);
    if (status == GM_OK)
        status = check_onnx(file, &options, &columns, error);
    if (status != GM_OK)
        goto fail;
    const bool any_size = gm_arch_takes_images(options.arch) && options.height == 0;
    if (any_size)
        set_any_size(&options);
    status = gm_backbone_read(context, file, &options, &model, error);
    if (status != GM_OK)
        goto fail;
    if (any_size)
        options.height = options.width = 0;
    const gm_onnx_standardization standardization = {columns.mean, columns.scale};
    gm_backbone_metadata metadata;
    gm_backbone_describe(model, &options, &scale, &metadata);
    status = gm_model_write_onnx(model, columns.columns > 0 ? &standardization : NULL, output, metadata.count,
                                 metadata.entries, count, error);
fail:
    gm_model_destroy(model);
    gm_column_scale_free(&columns);
    return status;
}

/* No call of the model's is made: one thread is plenty. */
static gm_status convert_to_onnx(gm_tensor_file *file, const char *output, int64_t *count, gm_error *error)
{
    gm_context_options options = gm_context_default_options();
    gm_context *context;
    options.threads = 1;
    gm_status status = gm_context_create(&options, &context);
    if (status != GM_OK)
        return gm_error_set(error, status, "%s: %s", output, gm_status_string(status));
    status = write_onnx(context, file, output, count, error);
    gm_context_destroy(context);
    return status;
}

gm_status gm_weights_convert(const char *input, const char *output, int64_t *count, gm_error *error)
{
    gm_tensor_file *file;
    const bool onnx = ends_with(output, ".onnx");
    *count = 0;
    if (!onnx && !ends_with(output, ".pth") && !ends_with(output, ".safetensors"))
        return gm_error_set(error, GM_BAD_USAGE, "%s: the name must end in .safetensors, .pth or .onnx", output);
    gm_status status = gm_tensor_file_open(input, &file, error);
    if (status != GM_OK)
        return status == GM_IO_ERROR ? GM_BAD_DATA : status;
    status = onnx ? convert_to_onnx(file, output, count, error) : convert(file, output, count, error);
    gm_tensor_file_close(file);
    return status;
}
