#include "formats/tensor_file.h"

#include <stdlib.h>
#include <string.h>

#include "formats/pth.h"
#include "formats/safetensors.h"
#include "support/file.h"

struct gm_tensor_file {
    char *path;
    gm_safetensors *safetensors; /* one of them is NULL */
    gm_pth *pth;
};

/* A safetensors file begins with the length of its header, less than 100 MB, and the header with a brace; PyTorch's
 * files begin with "PK" and two numbers, or with a pickle. */
static gm_status is_safetensors(const char *path, bool *answer, gm_error *error)
{
    gm_file file;
    char start[9] = "";
    gm_status status = gm_file_open(path, &file, error);
    if (status != GM_OK)
        return status;
    const size_t length = file.size < (int64_t)sizeof start ? (size_t)file.size : sizeof start;
    status = gm_file_read_at(&file, 0, start, length, error);
    gm_file_close(&file);
    *answer = start[8] == '{' && start[6] == 0 && start[7] == 0;
    if (status == GM_OK && !*answer && memcmp(start, "PK", 2) != 0 && start[0] != '\x80')
        return gm_error_set(error, GM_BAD_DATA,
                            "%s: neither a safetensors file nor a checkpoint of PyTorch's, or cut short", path);
    return status;
}

gm_status gm_tensor_file_open(const char *path, gm_tensor_file **file, gm_error *error)
{
    bool safetensors = false;
    *file = NULL;
    gm_status status = is_safetensors(path, &safetensors, error);
    if (status != GM_OK)
        return status;
    gm_tensor_file *opened = calloc(1, sizeof *opened);
    if (!opened)
        return gm_file_no_memory(error, path, sizeof *opened);
    opened->path = strdup(path);
    if (!opened->path)
        status = gm_file_no_memory(error, path, strlen(path));
    else
        status = safetensors ? gm_safetensors_open(path, &opened->safetensors, error)
                             : gm_pth_open(path, &opened->pth, error);
    if (status != GM_OK) {
        gm_tensor_file_close(opened);
        return status;
    }
    *file = opened;
    return GM_OK;
}

void gm_tensor_file_close(gm_tensor_file *file)
{
    if (!file)
        return;
    gm_safetensors_close(file->safetensors);
    gm_pth_close(file->pth);
    free(file->path);
    free(file);
}

const char *gm_tensor_file_format(const gm_tensor_file *file)
{
    return file->safetensors ? "safetensors" : "PyTorch";
}

const char *gm_tensor_file_path(const gm_tensor_file *file)
{
    return file->path;
}

const char *gm_tensor_file_metadata(const gm_tensor_file *file, const char *key)
{
    return file->safetensors ? gm_safetensors_metadata(file->safetensors, key) : NULL;
}

int64_t gm_tensor_file_all_metadata(const gm_tensor_file *file, gm_metadata *entries)
{
    return file->safetensors ? gm_safetensors_all_metadata(file->safetensors, entries) : 0;
}

int64_t gm_tensor_file_count(const gm_tensor_file *file)
{
    return file->pth ? gm_pth_count(file->pth) : gm_safetensors_count(file->safetensors);
}

gm_tensor gm_tensor_file_tensor(const gm_tensor_file *file, int64_t index)
{
    return file->pth ? gm_pth_tensor(file->pth, index) : gm_safetensors_tensor(file->safetensors, index);
}

gm_status gm_tensor_file_read(gm_tensor_file *file, int64_t index, void *data, gm_error *error)
{
    if (file->pth)
        return gm_pth_read(file->pth, index, data, error);
    gm_tensor tensor = gm_safetensors_tensor(file->safetensors, index);
    tensor.data = data;
    return gm_safetensors_read(file->safetensors, &tensor, error);
}
