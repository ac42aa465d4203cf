/* Few rows times a large B in place: too few products for each float of B to hide where it comes from. B is read a few
 * whole rows at a time, as the prefetcher likes it, and the sums wait in the first-level cache. */
#ifndef GEMEL_GEMM_FEW_ROWS_H
#define GEMEL_GEMM_FEW_ROWS_H

#include "gemm/finish.h"
#include "gemm/kernel.h"
#include "gemm/tile.h"

/* Rows of C, and rows and vectors of B in one step. */
enum { FEW_ROWS = 2, FEW_DEPTH = 8, FEW_VECS = 2, FEW_COLS = FEW_VECS * VEC_LANES };

/* Floats by which the reading of a row of B is ahead, into the second-level cache: rows a power of two apart share the
 * sets of the first one, which could not hold them until their turn comes. */
enum { FEW_AHEAD = 320 };

/* Floats of sums: half of the first-level cache. */
enum { FEW_SUMS = 4096 };

struct few_rows {
    const float *a;
    int64_t row, k; /* strides of A */
    const float *b;
    int64_t ldb;
    float *sum; /* [rows, ldsum] */
    int64_t ldsum;
};

static inline bool few_rows_pay(const struct gm_gemm_block *x)
{
    const int64_t least_floats = 1 << 16; /* of B: beyond that it is not in the first-level cache or near */
    return x->rows <= FEW_ROWS && x->source && x->source->kind == GM_GEMM_PLAIN && !x->source->transposed &&
           x->cols > 2 * TILE_COLS && x->cols * x->depth >= least_floats;
}

/* Adds `depth` terms to the sums of FEW_VECS vectors of columns, `last` lanes in the last one. */
static inline __attribute__((always_inline)) void few_rows_step(int rows, int depth, bool first, int64_t lanes,
                                                                const struct few_rows *x, int64_t j)
{
    vec sum[FEW_ROWS][FEW_VECS];
    GM_UNROLL
    for (int i = 0; i < rows; i++) {
        GM_UNROLL
        for (int v = 0; v < FEW_VECS; v++)
            sum[i][v] = first ? vec_zero() : vec_load(x->sum + i * x->ldsum + j + v * VEC_LANES);
    }
    GM_UNROLL
    for (int k = 0; k < depth; k++) {
        vec right[FEW_VECS];
        const float *b = x->b + k * x->ldb + j;
        GM_UNROLL
        for (int v = 0; v < FEW_VECS; v++) {
            const int64_t n = lanes - v * VEC_LANES;
            __builtin_prefetch(b + FEW_AHEAD + v * VEC_LANES, 0, 2);
            right[v] = lanes == FEW_COLS || n >= VEC_LANES ? vec_load(b + v * VEC_LANES)
                       : n > 0                             ? vec_load_n(b + v * VEC_LANES, n)
                                                           : vec_zero();
        }
        GM_UNROLL
        for (int i = 0; i < rows; i++) {
            const vec left = vec_set(x->a[i * x->row + k * x->k]);
            GM_UNROLL
            for (int v = 0; v < FEW_VECS; v++)
                sum[i][v] = vec_fma(left, right[v], sum[i][v]);
        }
    }
    GM_UNROLL
    for (int i = 0; i < rows; i++) {
        GM_UNROLL
        for (int v = 0; v < FEW_VECS; v++)
            vec_store(x->sum + i * x->ldsum + j + v * VEC_LANES, sum[i][v]);
    }
}

static inline __attribute__((always_inline)) void few_rows_sweep(int rows, int depth, bool first, int64_t cols,
                                                                 const struct few_rows *x)
{
    int64_t j = 0;
    for (; j + FEW_COLS <= cols; j += FEW_COLS)
        few_rows_step(rows, depth, first, FEW_COLS, x, j);
    if (j < cols)
        few_rows_step(rows, depth, first, cols - j, x, j);
}

/* The sums of all k for up to ldsum columns. */
static inline __attribute__((always_inline)) void few_rows_sums(int rows, int64_t depth, int64_t cols,
                                                                struct few_rows x)
{
    bool first = true;
    for (; depth >= FEW_DEPTH; depth -= FEW_DEPTH) {
        if (first)
            few_rows_sweep(rows, FEW_DEPTH, true, cols, &x);
        else
            few_rows_sweep(rows, FEW_DEPTH, false, cols, &x);
        first = false;
        x.a += FEW_DEPTH * x.k;
        x.b += FEW_DEPTH * x.ldb;
    }
    for (; depth > 0; depth--) {
        if (first)
            few_rows_sweep(rows, 1, true, cols, &x);
        else
            few_rows_sweep(rows, 1, false, cols, &x);
        first = false;
        x.a += x.k;
        x.b += x.ldb;
    }
}

#define FEW_ROWS_OF(rows)                                                                                              \
    static void few_rows_##rows(int64_t depth, int64_t cols, const struct few_rows *x)                                 \
    {                                                                                                                  \
        few_rows_sums(rows, depth, cols, *x);                                                                          \
    }
FEW_ROWS_OF(1)
FEW_ROWS_OF(2)

static void (*const few_rows_of[FEW_ROWS + 1])(int64_t depth, int64_t cols,
                                               const struct few_rows *x) = {NULL, few_rows_1, few_rows_2};

static inline void few_rows_store(const struct gm_gemm_block *x, int64_t j, int64_t cols, const struct few_rows *f)
{
    const vec alpha = vec_set(x->alpha), beta = vec_set(x->beta);
    for (int64_t i = 0; i < x->rows; i++) {
        float *c = x->c + i * x->ldc + j;
        const float *sum = f->sum + i * f->ldsum;
        for (int64_t q = 0; q < cols; q += VEC_LANES) {
            const int64_t lanes = vec_lanes_left(q, cols);
            const vec s = vec_mul(alpha, vec_load(sum + q));
            vec_store_n(c + q, x->beta == 0.0f ? s : vec_fma(beta, vec_load_n(c + q, lanes), s), lanes);
        }
    }
}

/* The panel's buffer holds the sums. */
static inline void multiply_few_rows(const struct gm_gemm_block *x)
{
    const bool by_rows = x->lda && !x->a_transposed;
    const int64_t lda = x->lda ? x->lda : TILE_ROWS;
    struct few_rows f = {.a = x->a, .row = by_rows ? lda : 1, .k = by_rows ? 1 : lda, .ldb = x->source->ld};
    f.sum = x->panel;
    f.ldsum = FEW_SUMS / x->rows / FEW_COLS * FEW_COLS;
    for (int64_t j = 0; j < x->cols; j += f.ldsum) {
        const int64_t cols = x->cols - j < f.ldsum ? x->cols - j : f.ldsum;
        f.b = x->source->data + x->source_k * f.ldb + x->source_col + j;
        few_rows_of[x->rows](x->depth, cols, &f);
        few_rows_store(x, j, cols, &f);
        if (x->finish)
            finish_rows(x->finish, 0, x->rows, j, cols, x->c + j, x->ldc);
    }
}

#endif
