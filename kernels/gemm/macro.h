/* The serial loop over the tiles of one block of C. */
#ifndef GEMEL_GEMM_MACRO_H
#define GEMEL_GEMM_MACRO_H

#include "gemm/kernel.h"
#include "gemm/tile.h"

/* Turns one row of a finished tile from X into 2 lambda X and returns the sum of X^2, both without the diagonal, whose
 * column is `diagonal` (out of range where it does not cross). */
static inline double loss_row(float *x, int64_t cols, int64_t diagonal, float lambda)
{
    if (0 <= diagonal && diagonal < cols)
        x[diagonal] = 0.0f;
    const vec factor = vec_set(2.0f * lambda);
    double squares = 0;
    for (int64_t j = 0; j < cols; j += VEC_LANES) {
        const int64_t lanes = vec_lanes_left(j, cols);
        const vec value = vec_load_n(x + j, lanes);
        squares += vec_sum_double(vec_mul(value, value));
        vec_store_n(x + j, vec_mul(factor, value), lanes);
    }
    return squares;
}

/* A slot is begun by the tile at its left border and added to by the others, in ascending order: tiles of one row are
 * visited from left to right. */
static inline void loss_tile(const struct gm_gemm_loss_slots *s, int64_t i, int64_t rows, int64_t j, int64_t cols,
                             float *c, int64_t ldc)
{
    for (int64_t r = i; r < i + rows; r++) {
        const double squares = loss_row(c, cols, r + s->diagonal - j, s->lambda);
        double *slot = s->squares + r * s->lds + j / s->cols;
        *slot = j % s->cols == 0 ? squares : *slot + squares;
        c += ldc;
    }
}

static void multiply(const struct gm_gemm_block *x)
{
    const int64_t row_tiles = gm_gemm_row_tiles(x->rows, TILE_ROWS);
    for (int64_t j = 0; j < x->cols; j += TILE_COLS) {
        const int64_t cols = x->cols - j < TILE_COLS ? x->cols - j : TILE_COLS;
        const int64_t vecs = (cols + VEC_LANES - 1) / VEC_LANES;
        for (int64_t t = 0; t < row_tiles; t++) {
            const int64_t i = gm_gemm_share(x->rows, row_tiles, t);
            const int64_t rows = gm_gemm_share(x->rows, row_tiles, t + 1) - i;
            if (j >= i + rows - 1 + x->skip_from)
                continue;
            const struct tile tile = {
                .depth = x->depth,
                .a = x->a + t * TILE_ROWS * x->depth,
                .b = x->b + (x->ldb ? j : j * x->depth),
                .ldb = x->ldb ? x->ldb : vecs * VEC_LANES,
                .c = x->c + i * x->ldc + j,
                .ldc = x->ldc,
                .cols = cols,
                .alpha = x->alpha,
                .beta = x->beta,
            };
            tile_of[rows][vecs](&tile);
            if (x->loss)
                loss_tile(x->loss, i, rows, j, cols, tile.c, x->ldc);
        }
    }
}

#endif
