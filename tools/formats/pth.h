/* PyTorch's checkpoints, as torch.save() writes them: a zip archive of a pickle and raw storages, or, before PyTorch
 * 1.6, pickles and storages one behind the other. The pickle is read as data (formats/pickle.h).
 * https://github.com/pytorch/pytorch/blob/main/torch/serialization.py */
#ifndef GEMEL_PTH_H
#define GEMEL_PTH_H

#include <gemel/error.h>

#include "formats/tensor.h"

typedef struct gm_pth gm_pth;

/* Reads all but the data of a state_dict() or of dictionaries, lists and tuples around some: each tensor's name is the
 * keys on the way to it, joined by points. Whatever is no tensor is left out. Memory: the pickle's bytes, at most 16 MB
 * of them, and 50 MB. Errors: GM_BAD_DATA (malformed; a pickle of anything but tensors, numbers and texts; a tensor
 * that reaches beyond its storage; names used twice), GM_IO_ERROR, GM_OUT_OF_MEMORY; *file is NULL then. */
gm_status gm_pth_open(const char *path, gm_pth **file, gm_error *error);
void gm_pth_close(gm_pth *file); /* NULL is allowed */

/* Tensors sorted by name; .data is NULL. Names live as long as the file is open. */
int64_t gm_pth_count(const gm_pth *file);
gm_tensor gm_pth_tensor(const gm_pth *file, int64_t index);

/* data = the tensor, contiguous. Keeps the storage that it is part of in memory until the next one is needed: at most
 * twice the file and 32 MB. Errors: GM_BAD_DATA (damaged), GM_IO_ERROR, GM_OUT_OF_MEMORY. */
gm_status gm_pth_read(gm_pth *file, int64_t index, void *data, gm_error *error);

/* Writes an OrderedDict of tensors as a zip archive that torch.load(path, weights_only=True) reads. The file is
 * replaced atomically; equal arguments give equal files. Errors: GM_INVALID_ARGUMENT (no name, no data, an impossible
 * shape; 4 GB or more), GM_IO_ERROR, GM_OUT_OF_MEMORY. */
gm_status gm_pth_write(const char *path, int64_t tensor_count, const gm_tensor *tensors, gm_error *error);

#endif
