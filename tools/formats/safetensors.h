/* Named arrays in one file, in the safetensors format: 8 bytes with the length of the header, little endian; the
 * header, JSON {"name": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]}, …, "__metadata__": {"key":
 * "value"}}; the data. https://huggingface.co/docs/safetensors */
#ifndef GEMEL_SAFETENSORS_H
#define GEMEL_SAFETENSORS_H

#include <gemel/error.h>

#include "formats/tensor.h"

typedef struct gm_metadata {
    const char *key, *value;
} gm_metadata;

/* Replaces the file atomically (support/file.h). Tensors are stored in the order given; equal arguments give equal
 * files. Errors: GM_INVALID_ARGUMENT (a name that is empty, used twice or "__metadata__"; a shape that is negative or
 * too large), GM_IO_ERROR, GM_OUT_OF_MEMORY. */
gm_status gm_safetensors_write(const char *path, int64_t tensor_count, const gm_tensor *tensors, int64_t entry_count,
                               const gm_metadata *metadata, gm_error *error);

typedef struct gm_safetensors gm_safetensors;

/* Reads and checks the header; the data stay on disk. Errors: GM_IO_ERROR, GM_BAD_DATA, GM_OUT_OF_MEMORY; *file is NULL
 * then. */
gm_status gm_safetensors_open(const char *path, gm_safetensors **file, gm_error *error);
void gm_safetensors_close(gm_safetensors *file); /* NULL is allowed */

/* The value of a metadata key; NULL where there is none. Lives as long as the file is open. */
const char *gm_safetensors_metadata(const gm_safetensors *file, const char *key);

/* All of them, unless entries is NULL; returns their number. Their texts live as long as the file is open. */
int64_t gm_safetensors_all_metadata(const gm_safetensors *file, gm_metadata *entries);

/* Tensors in the order of their data; .data is NULL. Names live as long as the file is open. */
int64_t gm_safetensors_count(const gm_safetensors *file);
gm_tensor gm_safetensors_tensor(const gm_safetensors *file, int64_t index);

/* Reads the tensor of this name, type and shape into tensor->data. Errors: GM_BAD_DATA (absent, or of another type or
 * shape), GM_IO_ERROR. */
gm_status gm_safetensors_read(const gm_safetensors *file, const gm_tensor *tensor, gm_error *error);

#endif
