/* The tensors and storages that the pickle of a PyTorch checkpoint describes, before their data are looked at. */
#ifndef GEMEL_PTH_TENSORS_H
#define GEMEL_PTH_TENSORS_H

#include "formats/pickle.h"

enum { GM_PTH_MOST_TENSORS = 1 << 15, GM_PTH_MOST_NAME = 512, GM_PTH_MOST_KEY = 32 };

struct gm_zip_entry;

/* Memory that tensors share. */
typedef struct gm_pth_storage {
    char key[GM_PTH_MOST_KEY + 1];
    gm_tensor_type type;
    int64_t elements, bytes;
    int64_t first;                    /* tensor in it */
    int64_t offset;                   /* in a legacy file; 0: not known yet */
    const struct gm_zip_entry *entry; /* in an archive */
} gm_pth_storage;

typedef struct gm_pth_entry {
    gm_tensor tensor; /* .name belongs to the entry */
    int64_t offset;   /* in its storage, in elements like the strides */
    int64_t stride[GM_TENSOR_MOST_DIMENSIONS];
    int32_t storage;
} gm_pth_entry;

typedef struct gm_pth_tensors {
    gm_pth_entry *entries; /* sorted by name */
    int64_t count, room;
    gm_pth_storage *storages; /* sorted by key */
    int32_t storage_count;
} gm_pth_tensors;

/* Every tensor in the pickle's dictionaries, lists and tuples lies within its storage, and its name is its own.
 * Errors: GM_BAD_DATA, GM_OUT_OF_MEMORY; gm_pth_tensors_free() what there is in any case. */
gm_status gm_pth_list_tensors(const char *path, const gm_pickle *pickle, gm_pth_tensors *tensors, gm_error *error);
void gm_pth_tensors_free(gm_pth_tensors *tensors);

/* NULL where there is none of this key. */
gm_pth_storage *gm_pth_find_storage(const gm_pth_tensors *tensors, const char *key, size_t length);

/* Whether a tensor is its storage, in the same order. */
bool gm_pth_is_whole(const gm_pth_entry *entry, const gm_pth_storage *storage);

/* data = the tensor, contiguous, from the bytes of its storage. */
void gm_pth_gather(const gm_pth_entry *entry, const uint8_t *storage, void *data);

#endif
