/* The register tile for every number of rows and vectors: C = alpha A B + beta C with A packed and B packed or as it is
 * stored. */
#ifndef GEMEL_GEMM_TILE_H
#define GEMEL_GEMM_TILE_H

#include <stdbool.h>
#include <stdint.h>

/* Sums live in registers only where every loop over them is unrolled; the compilers have no common word for "fully". */
#ifdef __clang__
#define GM_UNROLL _Pragma("clang loop unroll(full)")
#else
#define GM_UNROLL _Pragma("GCC unroll 16")
#endif

/* Defines TILE_ROWS, TILE_VECS, DEPTH_MOST, MICRO_NAME, MICRO_ROWS, MICRO_VECS, transpose() and step(). */
#include GM_MICRO_HEADER

enum { TILE_COLS = TILE_VECS * VEC_LANES };

struct tile {
    int64_t depth;
    const float *a, *b;
    int64_t ldb; /* from one k to the next */
    float *c;
    int64_t ldc;
    int64_t cols; /* more than vecs - 1 vectors of them */
    float alpha, beta;
};

/* C = alpha sum + beta C. A masked AVX2 store costs several whole ones on AMD: full tiles have none. */
static inline __attribute__((always_inline)) void store_tile(int rows, int vecs, bool full, bool overwrite,
                                                             const struct tile *t, vec sum[TILE_ROWS][TILE_VECS])
{
    const vec alpha = vec_set(t->alpha), beta = vec_set(t->beta);
    const int64_t last = t->cols - (vecs - 1) * VEC_LANES;
    float *c = t->c;
    GM_UNROLL
    for (int i = 0; i < rows; i++) {
        GM_UNROLL
        for (int v = 0; v < vecs; v++) {
            const bool whole = full || v < vecs - 1;
            float *p = c + v * VEC_LANES;
            vec x = vec_mul(alpha, sum[i][v]);
            if (!overwrite)
                x = vec_fma(beta, whole ? vec_load(p) : vec_load_n(p, last), x);
            if (whole)
                vec_store(p, x);
            else
                vec_store_n(p, x, last);
        }
        c += t->ldc;
    }
}

static inline __attribute__((always_inline)) void multiply_tile(int rows, int vecs, const struct tile *t)
{
    vec sum[TILE_ROWS][TILE_VECS];
    GM_UNROLL
    for (int i = 0; i < rows; i++) {
        __builtin_prefetch(t->c + i * t->ldc, 1, 2);
        __builtin_prefetch(t->c + i * t->ldc + t->cols - 1, 1, 2);
        GM_UNROLL
        for (int v = 0; v < vecs; v++)
            sum[i][v] = vec_zero();
    }

    const float *a = t->a, *b = t->b;
    const int64_t ldb = t->ldb;
    for (int64_t k = t->depth; k > 0; k--) {
        step(rows, vecs, a, b, sum);
        a += TILE_ROWS;
        b += ldb;
    }

    const bool full = t->cols == vecs * VEC_LANES, overwrite = t->beta == 0.0f;
    if (full && overwrite)
        store_tile(rows, vecs, true, true, t, sum);
    else if (full)
        store_tile(rows, vecs, true, false, t, sum);
    else if (overwrite)
        store_tile(rows, vecs, false, true, t, sum);
    else
        store_tile(rows, vecs, false, false, t, sum);
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
