/* 14 x 32: 28 sums, 2 vectors of B and 2 broadcasts are all 32 registers; 16 loads for 28 multiply-adds. 14 and 7
 * divide the heights of ResNet's maps, 32 every channel count from 64. */
#ifndef GEMEL_GEMM_MICRO_H
#define GEMEL_GEMM_MICRO_H

#include "simd/simd.h"

enum { TILE_ROWS = 14, TILE_VECS = 2, WHOLE_ROWS = 0, STEPS = 1, DEPTH_MOST = 512, DEPTH_WIDE = 384 };

#define MICRO_NAME "avx512 14x32"
#define MICRO_ROWS(X) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9) X(10) X(11) X(12) X(13) X(14)
#define MICRO_VECS(X, rows) X(rows, 1) X(rows, 2)

/* x[i] lane j becomes x[j] lane i: pairs, quadruples, then 128-bit quarters in two steps. */
static inline void transpose(vec *x)
{
    vec pair[VEC_LANES], quad[VEC_LANES];
    for (int i = 0; i < VEC_LANES; i += 2) {
        pair[i] = _mm512_unpacklo_ps(x[i], x[i + 1]);
        pair[i + 1] = _mm512_unpackhi_ps(x[i], x[i + 1]);
    }
    for (int i = 0; i < VEC_LANES; i += 4)
        for (int j = 0; j < 2; j++) {
            quad[i + 2 * j] = _mm512_shuffle_ps(pair[i + j], pair[i + j + 2], _MM_SHUFFLE(1, 0, 1, 0));
            quad[i + 2 * j + 1] = _mm512_shuffle_ps(pair[i + j], pair[i + j + 2], _MM_SHUFFLE(3, 2, 3, 2));
        }
    for (int i = 0; i < 4; i++) {
        const vec low_even = _mm512_shuffle_f32x4(quad[i], quad[i + 4], _MM_SHUFFLE(2, 0, 2, 0));
        const vec low_odd = _mm512_shuffle_f32x4(quad[i], quad[i + 4], _MM_SHUFFLE(3, 1, 3, 1));
        const vec high_even = _mm512_shuffle_f32x4(quad[i + 8], quad[i + 12], _MM_SHUFFLE(2, 0, 2, 0));
        const vec high_odd = _mm512_shuffle_f32x4(quad[i + 8], quad[i + 12], _MM_SHUFFLE(3, 1, 3, 1));
        x[i] = _mm512_shuffle_f32x4(low_even, high_even, _MM_SHUFFLE(2, 0, 2, 0));
        x[i + 8] = _mm512_shuffle_f32x4(low_even, high_even, _MM_SHUFFLE(3, 1, 3, 1));
        x[i + 4] = _mm512_shuffle_f32x4(low_odd, high_odd, _MM_SHUFFLE(2, 0, 2, 0));
        x[i + 12] = _mm512_shuffle_f32x4(low_odd, high_odd, _MM_SHUFFLE(3, 1, 3, 1));
    }
}

/* Half a vector (near.h): up to eight columns at twice the rate. */
#define MICRO_HALF
typedef __m256 half;

static inline half half_set(float x)
{
    return _mm256_set1_ps(x);
}

static inline half half_load_n(const float *p, int64_t n)
{
    return _mm256_maskz_loadu_ps((__mmask8)vec_first_lanes(n), p);
}

static inline void half_store_n(float *p, half x, int64_t n)
{
    _mm256_mask_storeu_ps(p, (__mmask8)vec_first_lanes(n), x);
}

static inline half half_mul(half a, half b)
{
    return _mm256_mul_ps(a, b);
}

static inline half half_fma(half a, half b, half c)
{
    return _mm256_fmadd_ps(a, b, c);
}

#include "gemm/micro/broadcast.h"

#endif
