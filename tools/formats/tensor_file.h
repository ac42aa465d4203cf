/* Files of named arrays, whichever their format: safetensors, or PyTorch's checkpoints. */
#ifndef GEMEL_TENSOR_FILE_H
#define GEMEL_TENSOR_FILE_H

#include <gemel/error.h>

#include "formats/safetensors.h"
#include "formats/tensor.h"

typedef struct gm_tensor_file gm_tensor_file;

/* Reads what the file holds, but not the data. The first bytes tell the format. Errors: GM_BAD_DATA, GM_IO_ERROR,
 * GM_OUT_OF_MEMORY; *file is NULL then. */
gm_status gm_tensor_file_open(const char *path, gm_tensor_file **file, gm_error *error);
void gm_tensor_file_close(gm_tensor_file *file); /* NULL is allowed */

const char *gm_tensor_file_path(const gm_tensor_file *file);
const char *gm_tensor_file_format(const gm_tensor_file *file); /* "safetensors" or "PyTorch" */

/* The value of a metadata key of a safetensors file; NULL where there is none. */
const char *gm_tensor_file_metadata(const gm_tensor_file *file, const char *key);

/* All of them, as gm_safetensors_all_metadata() gives them; none of other files. */
int64_t gm_tensor_file_all_metadata(const gm_tensor_file *file, gm_metadata *entries);

/* .data is NULL. Names live as long as the file is open, and each is there once. */
int64_t gm_tensor_file_count(const gm_tensor_file *file);
gm_tensor gm_tensor_file_tensor(const gm_tensor_file *file, int64_t index);

/* data = the tensor's elements, of its own type, contiguous, in C order. Errors: GM_BAD_DATA, GM_IO_ERROR,
 * GM_OUT_OF_MEMORY. */
gm_status gm_tensor_file_read(gm_tensor_file *file, int64_t index, void *data, gm_error *error);

#endif
