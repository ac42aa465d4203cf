/* 8 x 12: 24 sums, 3 vectors of B and 2 of A are 29 of 32 registers; 5 loads for 24 multiply-adds by lane. */
#ifndef GEMEL_GEMM_MICRO_H
#define GEMEL_GEMM_MICRO_H

#include "simd/simd.h"

enum { TILE_ROWS = 8, TILE_VECS = 3, WHOLE_ROWS = 1, STEPS = 1, DEPTH_MOST = 384, DEPTH_WIDE = 384 };

#define MICRO_NAME "neon 8x12"
#define MICRO_ROWS(X) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8)
#define MICRO_VECS(X, rows) X(rows, 1) X(rows, 2) X(rows, 3)

/* x[i] lane j becomes x[j] lane i. */
static inline void transpose(vec *x)
{
    const float32x4x2_t top = vtrnq_f32(x[0], x[1]), bottom = vtrnq_f32(x[2], x[3]);
    x[0] = vcombine_f32(vget_low_f32(top.val[0]), vget_low_f32(bottom.val[0]));
    x[1] = vcombine_f32(vget_low_f32(top.val[1]), vget_low_f32(bottom.val[1]));
    x[2] = vcombine_f32(vget_high_f32(top.val[0]), vget_high_f32(bottom.val[0]));
    x[3] = vcombine_f32(vget_high_f32(top.val[1]), vget_high_f32(bottom.val[1]));
}

/* A packed row of A is TILE_ROWS floats whatever `rows` is, so whole vectors of it are there to load. The compilers
 * turn the broadcast of a lane into a multiplication by lane. */
static inline __attribute__((always_inline)) void step(int rows, int vecs, bool many, const float *a, const vec *right,
                                                       vec sum[TILE_ROWS][TILE_VECS])
{
    (void)many;
    GM_UNROLL
    for (int i = 0; i < rows; i++) {
        const vec left = vec_load(a + i / VEC_LANES * VEC_LANES);
        GM_UNROLL
        for (int v = 0; v < vecs; v++)
            sum[i][v] = vec_fma(vec_set(left[i % VEC_LANES]), right[v], sum[i][v]);
    }
}

#endif
