/* 4 x 4 floats in plain C. */
#ifndef GEMEL_GEMM_MICRO_H
#define GEMEL_GEMM_MICRO_H

#include "simd/simd.h"

enum { TILE_ROWS = 4, TILE_VECS = 4, WHOLE_ROWS = 0, STEPS = 1, DEPTH_MOST = 256, DEPTH_WIDE = 256 };

#define MICRO_NAME "scalar 4x4"
#define MICRO_ROWS(X) X(1) X(2) X(3) X(4)
#define MICRO_VECS(X, rows) X(rows, 1) X(rows, 2) X(rows, 3) X(rows, 4)

static inline void transpose(vec *x)
{
    (void)x;
}

#include "gemm/micro/broadcast.h"

#endif
