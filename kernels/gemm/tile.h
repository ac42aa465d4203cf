/* The register tile for every number of rows and vectors: C = alpha A B + beta C with A and B packed. */
#ifndef GEMEL_GEMM_TILE_H
#define GEMEL_GEMM_TILE_H

#include <stdbool.h>
#include <stdint.h>

/* Defines TILE_ROWS, TILE_VECS, DEPTH_MOST, MICRO_NAME, MICRO_ROWS, MICRO_VECS, transpose() and step(). */
#include GM_MICRO_HEADER

enum { TILE_COLS = TILE_VECS * VEC_LANES };

struct tile {
    int64_t depth;
    const float *a, *b;
    float *c;
    int64_t ldc;
    int64_t cols; /* more than vecs - 1 vectors of them */
    float alpha, beta;
};

static inline __attribute__((always_inline)) void multiply_tile(int rows, int vecs, const struct tile *t)
{
    vec sum[TILE_ROWS][TILE_VECS];
#pragma GCC unroll 16
    for (int i = 0; i < rows; i++)
        for (int v = 0; v < vecs; v++)
            sum[i][v] = vec_zero();

    const float *a = t->a, *b = t->b;
    for (int64_t k = t->depth; k > 0; k--) {
        step(rows, vecs, a, b, sum);
        a += TILE_ROWS;
        b += vecs * VEC_LANES;
    }

    const vec alpha = vec_set(t->alpha), beta = vec_set(t->beta);
    const int64_t last = t->cols - (vecs - 1) * VEC_LANES;
    const bool overwrite = t->beta == 0.0f;
    float *c = t->c;
#pragma GCC unroll 16
    for (int i = 0; i < rows; i++) {
        for (int v = 0; v < vecs; v++) {
            const int64_t lanes = v < vecs - 1 ? VEC_LANES : last;
            vec x = vec_mul(alpha, sum[i][v]);
            if (!overwrite)
                x = vec_fma(beta, vec_load_n(c + v * VEC_LANES, lanes), x);
            vec_store_n(c + v * VEC_LANES, x, lanes);
        }
        c += t->ldc;
    }
}

#define TILE(rows, vecs)                                                                                               \
    static void tile_##rows##x##vecs(const struct tile *t)                                                             \
    {                                                                                                                  \
        multiply_tile(rows, vecs, t);                                                                                  \
    }
#define TILES(rows) MICRO_VECS(TILE, rows)
MICRO_ROWS(TILES)

#define TILE_ENTRY(rows, vecs) [rows][vecs] = tile_##rows##x##vecs,
#define TILE_ENTRIES(rows) MICRO_VECS(TILE_ENTRY, rows)
static void (*const tile_of[TILE_ROWS + 1][TILE_VECS + 1])(const struct tile *) = {MICRO_ROWS(TILE_ENTRIES)};

#endif
