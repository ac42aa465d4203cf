/* One lane in plain C: the reference, and the kernels of machines without a known instruction set. */
#ifndef GEMEL_F32_SCALAR_H
#define GEMEL_F32_SCALAR_H

#include <math.h>
#include <stdint.h>

typedef float vec;
enum { VEC_LANES = 1 };

static inline vec vec_zero(void)
{
    return 0.0f;
}

static inline vec vec_set(float x)
{
    return x;
}

static inline vec vec_load(const float *p)
{
    return *p;
}

static inline void vec_store(float *p, vec v)
{
    *p = v;
}

static inline void vec_stream(float *p, vec v)
{
    vec_store(p, v);
}

static inline void vec_stream_end(void) {}

static inline void vec_hold(vec v)
{
    (void)v;
}

static inline vec vec_load_n(const float *p, int64_t n)
{
    return n > 0 ? *p : 0.0f;
}

static inline void vec_store_n(float *p, vec v, int64_t n)
{
    if (n > 0)
        *p = v;
}

static inline vec vec_add(vec a, vec b)
{
    return a + b;
}

static inline vec vec_sub(vec a, vec b)
{
    return a - b;
}

static inline vec vec_mul(vec a, vec b)
{
    return a * b;
}

static inline vec vec_div(vec a, vec b)
{
    return a / b;
}

static inline vec vec_sqrt(vec a)
{
    return sqrtf(a);
}

static inline vec vec_abs(vec a)
{
    return fabsf(a);
}

static inline vec vec_fma(vec a, vec b, vec c)
{
    return a * b + c;
}

static inline vec vec_fnma(vec a, vec b, vec c)
{
    return c - a * b;
}

static inline vec vec_min(vec a, vec b)
{
    return a < b ? a : b;
}

static inline vec vec_max(vec a, vec b)
{
    return a > b ? a : b;
}

static inline vec vec_select_gt(vec a, vec b, vec x, vec y)
{
    return a > b ? x : y;
}

static inline vec vec_select_eq(vec a, vec b, vec x, vec y)
{
    return a == b ? x : y;
}

static inline unsigned vec_bits_gt(vec a, vec b)
{
    return a > b;
}

static inline vec vec_keep(unsigned bits, vec v)
{
    return bits & 1 ? v : 0.0f;
}

static inline vec vec_load_bytes(const uint8_t *p)
{
    return *p;
}

static inline void vec_store_bytes(uint8_t *p, vec v)
{
    *p = (uint8_t)v;
}

typedef int32_t vec_order;

static inline vec_order vec_order_load(const int32_t *p)
{
    return *p;
}

static inline vec vec_permute(vec v, vec_order order)
{
    (void)order;
    return v;
}

static inline float vec_sum(vec v)
{
    return v;
}

static inline double vec_sum_double(vec v)
{
    return v;
}

#endif
