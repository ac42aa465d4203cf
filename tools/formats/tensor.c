#include "formats/tensor.h"

#include <stdio.h>
#include <string.h>

static const struct {
    const char *name;
    int64_t size;
} types[] = {
    [GM_TENSOR_F32] = {"F32", 4},   [GM_TENSOR_F64] = {"F64", 8}, [GM_TENSOR_F16] = {"F16", 2},
    [GM_TENSOR_BF16] = {"BF16", 2}, [GM_TENSOR_I64] = {"I64", 8}, [GM_TENSOR_I32] = {"I32", 4},
    [GM_TENSOR_I16] = {"I16", 2},   [GM_TENSOR_I8] = {"I8", 1},   [GM_TENSOR_U8] = {"U8", 1},
    [GM_TENSOR_BOOL] = {"BOOL", 1},
};
_Static_assert(sizeof types / sizeof types[0] == GM_TENSOR_TYPE_COUNT, "a row for every type");
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "numbers are stored as they lie in memory");

const char *gm_tensor_type_name(gm_tensor_type type)
{
    return types[type].name;
}

int64_t gm_tensor_type_size(gm_tensor_type type)
{
    return types[type].size;
}

bool gm_tensor_size(const gm_tensor *tensor, int64_t *count, int64_t *bytes)
{
    if (tensor->dimensions < 0 || tensor->dimensions > GM_TENSOR_MOST_DIMENSIONS)
        return false;
    *count = 1;
    *bytes = types[tensor->type].size;
    for (int32_t i = 0; i < tensor->dimensions; i++)
        if (tensor->shape[i] < 0 || __builtin_mul_overflow(*bytes, tensor->shape[i], bytes))
            return false;
        else
            *count *= tensor->shape[i];
    return true;
}

bool gm_tensor_same_shape(const gm_tensor *a, const gm_tensor *b)
{
    for (int32_t i = 0; i < a->dimensions && i < b->dimensions; i++)
        if (a->shape[i] != b->shape[i])
            return false;
    return a->dimensions == b->dimensions;
}

void gm_tensor_describe(const gm_tensor *tensor, char *text, size_t size)
{
    size_t used = (size_t)snprintf(text, size, "%s [", types[tensor->type].name);
    for (int32_t i = 0; i < tensor->dimensions && used < size; i++)
        used += (size_t)snprintf(text + used, size - used, "%s%lld", i ? ", " : "", (long long)tensor->shape[i]);
    if (used < size)
        snprintf(text + used, size - used, "]");
}

float gm_half_to_float(uint16_t half)
{
    const uint32_t sign = (uint32_t)(half & 0x8000) << 16, exponent = half >> 10 & 31, fraction = half & 1023;
    if (exponent == 0) { /* zero or subnormal: fraction 2^-24 */
        const float magnitude = (float)fraction * 0x1p-24f;
        return sign ? -magnitude : magnitude;
    }
    const uint32_t bits = sign | (exponent == 31 ? 255 : exponent + 112) << 23 | fraction << 13;
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static float bfloat_to_float(uint16_t upper)
{
    const uint32_t bits = (uint32_t)upper << 16;
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

void gm_tensor_to_f32(gm_tensor_type type, int64_t count, const void *in, float *out)
{
    const char *next = in;
    double wide;
    uint16_t narrow;
    if (type == GM_TENSOR_F32)
        memcpy(out, in, (size_t)count * sizeof *out);
    else if (type == GM_TENSOR_F64)
        for (int64_t i = 0; i < count; i++, next += sizeof wide) {
            memcpy(&wide, next, sizeof wide);
            out[i] = (float)wide;
        }
    else
        for (int64_t i = 0; i < count; i++, next += sizeof narrow) {
            memcpy(&narrow, next, sizeof narrow);
            out[i] = type == GM_TENSOR_F16 ? gm_half_to_float(narrow) : bfloat_to_float(narrow);
        }
}
