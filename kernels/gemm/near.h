/* Products whose operands are in the nearest caches: all are read where they are stored, nothing is packed, nothing is
 * asked for ahead, and nothing is planned. */
#ifndef GEMEL_GEMM_NEAR_H
#define GEMEL_GEMM_NEAR_H

#include "gemm/finish.h"
#include "gemm/kernel.h"
#include "gemm/tile.h"

_Static_assert((int)GM_GEMM_NEAR_MOST <= (int)DEPTH_MOST, "one block of k");

#ifdef MICRO_HALF
/* At most half a vector of columns: half as wide, a multiply-add takes half the time. */
GM_TILE void multiply_half(int rows, const struct tile *t)
{
    half sum[TILE_ROWS];
    const float *b = t->b, *row[ROW_POINTERS];
    const int64_t lda = t->lda, cols = t->cols;
    GM_UNROLL
    for (int i = 0; i < rows; i++)
        sum[i] = half_set(0.0f);
    GM_UNROLL
    for (int i = 0; i < rows; i += POINTER_ROWS)
        row[i / POINTER_ROWS] = t->a + i * lda;
    for (int64_t k = 0; k < t->depth; k++) {
        const half right = half_load_n(b, cols);
        GM_UNROLL
        for (int i = 0; i < rows; i++)
            sum[i] = half_fma(half_set(row[i / POINTER_ROWS][i % POINTER_ROWS * lda + k]), right, sum[i]);
        b += t->ldb;
    }
    const half alpha = half_set(t->alpha), beta = half_set(t->beta);
    float *c = t->c;
    GM_UNROLL
    for (int i = 0; i < rows; i++) {
        const half x = half_mul(alpha, sum[i]);
        half_store_n(c, t->beta == 0.0f ? x : half_fma(beta, half_load_n(c, cols), x), cols);
        c += t->ldc;
    }
}

#define HALF_OF(rows)                                                                                                  \
    static void half_##rows(const struct tile *t)                                                                      \
    {                                                                                                                  \
        multiply_half(rows, t);                                                                                        \
    }
MICRO_ROWS(HALF_OF)
#define HALF_ENTRY(rows) [rows] = half_##rows,
static void (*const half_of[TILE_ROWS + 1])(const struct tile *) = {MICRO_ROWS(HALF_ENTRY)};
enum { HALF_LANES = VEC_LANES / 2 };
#else
static void (*const half_of[TILE_ROWS + 1])(const struct tile *) = {NULL};
enum { HALF_LANES = 0 };
#endif

/* Columns of the next panel when so many are left: a last half vector is a panel of its own. */
static inline int64_t near_cols(int64_t left)
{
    const int64_t whole = left / VEC_LANES * VEC_LANES;
    if (left >= TILE_COLS)
        return TILE_COLS;
    return whole > 0 && whole < left && left - whole <= HALF_LANES ? whole : left;
}

static void multiply_near(int64_t m, int64_t n, int64_t k, float alpha, const float *a, int64_t lda, const float *b,
                          int64_t ldb, float beta, float *c, int64_t ldc, const struct gm_gemm_finish *finish)
{
    const int64_t row_tiles = gm_gemm_row_tiles(m, TILE_ROWS), base = m / row_tiles, longer = m % row_tiles;
    struct tile tile; /* without what concerns packing; set by hand, since clearing it all takes a tenth of 4^3 */
    tile.depth = k;
    tile.lda = lda;
    tile.ldb = ldb;
    tile.ldc = ldc;
    tile.ldold = ldc;
    tile.alpha = alpha;
    tile.stream = false;
    tile.beta = beta;
    tile.finish = NULL;
    struct gm_gemm_finish panel_finish;
    for (int64_t j = 0; j < n; j += tile.cols) {
        tile.cols = near_cols(n - j);
        tile.a = a;
        tile.b = b + j;
        tile.c = c + j;
        const int64_t vecs = (tile.cols + VEC_LANES - 1) / VEC_LANES;
        if (finish) {
            panel_finish = gm_gemm_finish_from(finish, 0, j);
            tile.finish = &panel_finish;
        }
        for (int64_t t = 0, row = 0, rows; t < row_tiles; t++, row += rows) {
            rows = base + (t < longer);
            tile.old = tile.c;
            if (tile.cols <= HALF_LANES && !finish)
                half_of[rows](&tile);
            else
                tile_of[1][NEAR][rows][vecs](&tile);
            if (finish && finish->sums)
                sum_tile(finish, row, rows, j, tile.cols, tile.c, ldc);
            tile.a += rows * lda;
            tile.c += rows * ldc;
        }
    }
}

#endif
