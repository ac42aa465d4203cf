/* 6 x 16: 12 sums, 2 vectors of B and 2 broadcasts are all 16 registers; 8 loads for 12 multiply-adds. */
#ifndef GEMEL_GEMM_MICRO_H
#define GEMEL_GEMM_MICRO_H

#include "simd/simd.h"

enum { TILE_ROWS = 6, TILE_VECS = 2, WHOLE_ROWS = 0, STEPS = 4, DEPTH_MOST = 320, DEPTH_WIDE = 320 };

#define MICRO_NAME "avx2 6x16"
#define MICRO_ROWS(X) X(1) X(2) X(3) X(4) X(5) X(6)
#define MICRO_VECS(X, rows) X(rows, 1) X(rows, 2)

/* x[i] lane j becomes x[j] lane i: pairs, then quadruples, then the halves of 128 bits. */
static inline void transpose(vec *x)
{
    vec pair[VEC_LANES], quad[VEC_LANES];
    for (int i = 0; i < VEC_LANES; i += 2) {
        pair[i] = _mm256_unpacklo_ps(x[i], x[i + 1]);
        pair[i + 1] = _mm256_unpackhi_ps(x[i], x[i + 1]);
    }
    for (int i = 0; i < VEC_LANES; i += 4)
        for (int j = 0; j < 2; j++) {
            quad[i + 2 * j] = _mm256_shuffle_ps(pair[i + j], pair[i + j + 2], _MM_SHUFFLE(1, 0, 1, 0));
            quad[i + 2 * j + 1] = _mm256_shuffle_ps(pair[i + j], pair[i + j + 2], _MM_SHUFFLE(3, 2, 3, 2));
        }
    for (int i = 0; i < 4; i++) {
        x[i] = _mm256_permute2f128_ps(quad[i], quad[i + 4], 0x20);
        x[i + 4] = _mm256_permute2f128_ps(quad[i], quad[i + 4], 0x31);
    }
}

#include "gemm/micro/broadcast.h"

#endif
