/* Python's pickles, read as data: numbers, texts, tuples, lists, dictionaries, and the few names by which torch.save()
 * describes tensors. Nothing is imported, called or built; any other name is an error that says it.
 * https://docs.python.org/3/library/pickletools.html */
#ifndef GEMEL_PICKLE_H
#define GEMEL_PICKLE_H

#include <gemel/error.h>

#include "formats/tensor.h"

/* No pickle needs more memory than its own bytes and some 50 MB: it may have at most this many bytes and values. */
enum { GM_PICKLE_MOST_BYTES = 16 << 20, GM_PICKLE_MOST_VALUES = 1 << 20 };

typedef enum gm_pickle_kind {
    GM_PICKLE_NONE,
    GM_PICKLE_BOOL,
    GM_PICKLE_INTEGER,
    GM_PICKLE_TEXT,
    GM_PICKLE_TUPLE,
    GM_PICKLE_LIST,
    GM_PICKLE_DICT,         /* keys and values in turn */
    GM_PICKLE_STORAGE_TYPE, /* torch.FloatStorage … */
    GM_PICKLE_STORAGE,      /* its items: "storage", type, key, device, elements */
    GM_PICKLE_TENSOR,       /* its items: storage, offset, size, stride, … */
    GM_PICKLE_FUNCTION,     /* one of the allowed names that stand in front of arguments */
    GM_PICKLE_OTHER,        /* float, bytes, torch.device, torch.float32 …: of no interest */
} gm_pickle_kind;

typedef struct gm_pickle_value {
    gm_pickle_kind kind;
    uint32_t count, capacity; /* of items; bytes of a text */
    union {
        int64_t integer;  /* and bool */
        const char *text; /* in the bytes that were parsed; not terminated */
        uint32_t items;   /* first of `count` in gm_pickle.items */
        gm_tensor_type type;
        int32_t function;
    };
} gm_pickle_value;

typedef struct gm_pickle {
    gm_pickle_value *values;
    uint32_t *items; /* indices of values */
    uint32_t root;
} gm_pickle;

/* Parses the pickle at the beginning of `bytes`, which must outlive it; *used is its length. name: of the file, for
 * messages. Errors: GM_BAD_DATA, GM_OUT_OF_MEMORY; nothing to free then. */
gm_status gm_pickle_parse(const char *name, const uint8_t *bytes, size_t size, gm_pickle *pickle, size_t *used,
                          gm_error *error);
void gm_pickle_free(gm_pickle *pickle);

/* Item `i` of a tuple, list, dictionary, storage or tensor. */
static inline const gm_pickle_value *gm_pickle_item(const gm_pickle *pickle, const gm_pickle_value *value, uint32_t i)
{
    return &pickle->values[pickle->items[value->items + i]];
}

bool gm_pickle_is_text(const gm_pickle_value *value, const char *text);

#endif
