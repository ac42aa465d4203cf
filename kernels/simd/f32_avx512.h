/* Sixteen lanes: AVX-512 F, BW, DQ and VL. */
#ifndef GEMEL_F32_AVX512_H
#define GEMEL_F32_AVX512_H

#include <immintrin.h>
#include <stdint.h>

typedef __m512 vec;
enum { VEC_LANES = 16 };

static inline vec vec_zero(void)
{
    return _mm512_setzero_ps();
}

static inline vec vec_set(float x)
{
    return _mm512_set1_ps(x);
}

static inline vec vec_load(const float *p)
{
    return _mm512_loadu_ps(p);
}

static inline void vec_store(float *p, vec v)
{
    _mm512_storeu_ps(p, v);
}

static inline void vec_stream(float *p, vec v)
{
    _mm512_stream_ps(p, v);
}

static inline void vec_stream_end(void)
{
    _mm_sfence();
}

static inline __mmask16 vec_first_lanes(int64_t n)
{
    return (__mmask16)((1u << n) - 1u);
}

static inline void vec_hold(vec v)
{
    (void)v;
}

static inline vec vec_load_n(const float *p, int64_t n)
{
    return _mm512_maskz_loadu_ps(vec_first_lanes(n), p);
}

static inline void vec_store_n(float *p, vec v, int64_t n)
{
    _mm512_mask_storeu_ps(p, vec_first_lanes(n), v);
}

static inline vec vec_add(vec a, vec b)
{
    return _mm512_add_ps(a, b);
}

static inline vec vec_sub(vec a, vec b)
{
    return _mm512_sub_ps(a, b);
}

static inline vec vec_mul(vec a, vec b)
{
    return _mm512_mul_ps(a, b);
}

static inline vec vec_div(vec a, vec b)
{
    return _mm512_div_ps(a, b);
}

static inline vec vec_sqrt(vec a)
{
    return _mm512_sqrt_ps(a);
}

static inline vec vec_abs(vec a)
{
    return _mm512_abs_ps(a);
}

static inline vec vec_fma(vec a, vec b, vec c)
{
    return _mm512_fmadd_ps(a, b, c);
}

static inline vec vec_fnma(vec a, vec b, vec c)
{
    return _mm512_fnmadd_ps(a, b, c);
}

static inline vec vec_min(vec a, vec b)
{
    return _mm512_min_ps(a, b);
}

static inline vec vec_max(vec a, vec b)
{
    return _mm512_max_ps(a, b);
}

static inline vec vec_select_gt(vec a, vec b, vec x, vec y)
{
    return _mm512_mask_blend_ps(_mm512_cmp_ps_mask(a, b, _CMP_GT_OQ), y, x);
}

static inline vec vec_select_eq(vec a, vec b, vec x, vec y)
{
    return _mm512_mask_blend_ps(_mm512_cmp_ps_mask(a, b, _CMP_EQ_OQ), y, x);
}

static inline unsigned vec_bits_gt(vec a, vec b)
{
    return _mm512_cmp_ps_mask(a, b, _CMP_GT_OQ);
}

static inline vec vec_keep(unsigned bits, vec v)
{
    return _mm512_maskz_mov_ps((__mmask16)bits, v);
}

static inline vec vec_load_bytes(const uint8_t *p)
{
    return _mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(_mm_loadu_si128((const void *)p)));
}

static inline void vec_store_bytes(uint8_t *p, vec v)
{
    _mm_storeu_si128((void *)p, _mm512_cvtepi32_epi8(_mm512_cvtps_epi32(v)));
}

typedef __m512i vec_order;

static inline vec_order vec_order_load(const int32_t *p)
{
    return _mm512_loadu_si512(p);
}

static inline vec vec_permute(vec v, vec_order order)
{
    return _mm512_permutexvar_ps(order, v);
}

static inline float vec_sum(vec v)
{
    return _mm512_reduce_add_ps(v);
}

static inline double vec_sum_double(vec v)
{
    const __m512d low = _mm512_cvtps_pd(_mm512_castps512_ps256(v));
    const __m512d high = _mm512_cvtps_pd(_mm512_extractf32x8_ps(v, 1));
    return _mm512_reduce_add_pd(_mm512_add_pd(low, high));
}

#endif
