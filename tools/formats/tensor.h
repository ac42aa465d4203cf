/* Named arrays as files hold them: their types, shapes and numbers. */
#ifndef GEMEL_TENSOR_H
#define GEMEL_TENSOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { GM_TENSOR_MOST_DIMENSIONS = 8 };

typedef enum gm_tensor_type {
    GM_TENSOR_F32 = 0,
    GM_TENSOR_F64,
    GM_TENSOR_F16,
    GM_TENSOR_BF16, /* the upper half of an F32 */
    GM_TENSOR_I64,
    GM_TENSOR_I32,
    GM_TENSOR_I16,
    GM_TENSOR_I8,
    GM_TENSOR_U8,
    GM_TENSOR_BOOL, /* a byte, 0 or 1 */
    GM_TENSOR_TYPE_COUNT,
} gm_tensor_type;

typedef struct gm_tensor {
    const char *name;
    gm_tensor_type type;
    int32_t dimensions; /* 0 for a single number */
    int64_t shape[GM_TENSOR_MOST_DIMENSIONS];
    void *data; /* contiguous, in C order */
} gm_tensor;

/* "F32", "I64" … as safetensors calls them. */
const char *gm_tensor_type_name(gm_tensor_type type);

int64_t gm_tensor_type_size(gm_tensor_type type); /* bytes of an element */

static inline bool gm_tensor_type_is_real(gm_tensor_type type)
{
    return type <= GM_TENSOR_BF16;
}

/* Elements and bytes; false for a shape that is negative, too large or of too many dimensions. */
bool gm_tensor_size(const gm_tensor *tensor, int64_t *count, int64_t *bytes);

bool gm_tensor_same_shape(const gm_tensor *a, const gm_tensor *b);

/* "F32 [64, 3, 7, 7]", cut to `size`. */
void gm_tensor_describe(const gm_tensor *tensor, char *text, size_t size);

/* out = in for elements of a real type; F64 is rounded to nearest. in may have any alignment. */
void gm_tensor_to_f32(gm_tensor_type type, int64_t count, const void *in, float *out);

float gm_half_to_float(uint16_t half);

#endif
