/* What becomes of X in memory: the column sums of finished tiles, which are still in the first-level cache, and all of
 * it where no tile finishes C. */
#ifndef GEMEL_GEMM_FINISH_H
#define GEMEL_GEMM_FINISH_H

#include <math.h>

#include "gemm/kernel.h"
#include "simd/simd.h"

static inline void change_rows(const struct gm_gemm_finish *f, int64_t rows, int64_t j, int64_t cols, float *c,
                               int64_t ldc)
{
    const vec least = f->relu ? vec_zero() : vec_set(-INFINITY);
    for (int64_t q = 0; q < cols; q += VEC_LANES) {
        const int64_t lanes = vec_lanes_left(q, cols);
        const vec scale = f->scale ? vec_load_n(f->scale + j + q, lanes) : vec_set(1.0f);
        const vec bias = f->bias ? vec_load_n(f->bias + j + q, lanes) : vec_zero();
        for (int64_t i = 0; i < rows; i++) {
            const vec x = vec_load_n(c + i * ldc + q, lanes);
            vec_store_n(c + i * ldc + q, vec_max(least, vec_fma(scale, x, bias)), lanes);
        }
    }
}

static inline __attribute__((always_inline)) vec add_rows(vec sum, int64_t rows, bool whole, int64_t lanes,
                                                          const float *c, int64_t ldc)
{
    for (int64_t i = 0; i < rows; i++, c += ldc)
        sum = vec_add(sum, whole ? vec_load(c) : vec_load_n(c, lanes));
    return sum;
}

/* Adds rows [i, i + rows) of one block of sums to those above them. */
static inline void sum_rows(const struct gm_gemm_finish *f, int64_t i, int64_t rows, int64_t j, int64_t cols,
                            const float *c, int64_t ldc)
{
    float *sums = f->sums + i / GM_GEMM_SUM_ROWS * f->ldsums + j;
    for (int64_t q = 0; q < cols; q += VEC_LANES) {
        const int64_t lanes = vec_lanes_left(q, cols);
        const vec above = i % GM_GEMM_SUM_ROWS ? vec_load_n(sums + q, lanes) : vec_zero();
        const vec sum = lanes == VEC_LANES ? add_rows(above, rows, true, lanes, c + q, ldc)
                                           : add_rows(above, rows, false, lanes, c + q, ldc);
        vec_store_n(sums + q, sum, lanes);
    }
}

/* Adds up the tile [i, i + rows) x [j, j + cols) of what `f` describes. Tiles of a column come from top to bottom. */
static inline void sum_tile(const struct gm_gemm_finish *f, int64_t i, int64_t rows, int64_t j, int64_t cols,
                            const float *c, int64_t ldc)
{
    for (int64_t first = i, end; first < i + rows; first = end) {
        const int64_t border = (first / GM_GEMM_SUM_ROWS + 1) * GM_GEMM_SUM_ROWS;
        end = border < i + rows ? border : i + rows;
        sum_rows(f, first, end - first, j, cols, c + (first - i) * ldc, ldc);
    }
}

/* [i, i + rows) x [j, j + cols) of C, where X is. */
static inline void finish_rows(const struct gm_gemm_finish *f, int64_t i, int64_t rows, int64_t j, int64_t cols,
                               float *c, int64_t ldc)
{
    change_rows(f, rows, j, cols, c, ldc);
    if (f->sums)
        sum_tile(f, i, rows, j, cols, c, ldc);
}

static void finish(const struct gm_gemm_finish *f, int64_t rows, int64_t cols, float *c, int64_t ldc)
{
    finish_rows(f, 0, rows, 0, cols, c, ldc);
}

#endif
