/* The names that a pickle of tensors may hold, and those of opcodes that it may not. */
#ifndef GEMEL_PICKLE_NAMES_H
#define GEMEL_PICKLE_NAMES_H

#include "formats/pickle.h"

typedef enum gm_pickle_function {
    GM_PICKLE_ORDERED_DICT,
    GM_PICKLE_REBUILD_TENSOR,
    GM_PICKLE_REBUILD_PARAMETER,
    GM_PICKLE_SIZE,
    GM_PICKLE_DEVICE,
} gm_pickle_function;

typedef struct gm_pickle_name {
    const char *module, *name;
    gm_pickle_kind kind;
    gm_tensor_type type;         /* of a storage type */
    gm_pickle_function function; /* of a function */
} gm_pickle_name;

/* NULL for a name that is not allowed. */
const gm_pickle_name *gm_pickle_name_find(const char *module, size_t module_length, const char *name, size_t length);

/* The name of an opcode that pickles may have, but not those of tensors; else NULL. */
const char *gm_pickle_refused_opcode(uint8_t opcode);

#endif
