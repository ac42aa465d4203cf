/* The serial loop over the tiles of one block of C. */
#ifndef GEMEL_GEMM_MACRO_H
#define GEMEL_GEMM_MACRO_H

#include "gemm/few_rows.h"
#include "gemm/finish.h"
#include "gemm/kernel.h"
#include "gemm/pack.h"
#include "gemm/tile.h"
#include "simd/walk.h"

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

/* Where the tile t that begins with row i finds A. */
static inline const float *tile_rows(const struct gm_gemm_block *x, int64_t t, int64_t i)
{
    if (!x->lda)
        return x->a + t * (x->a_panel ? x->a_panel : TILE_ROWS * x->depth);
    return x->a + (x->a_transposed ? i : i * x->lda);
}

/* Rows of A in place that lie a multiple of 4 KiB apart share one set of the first-level cache, which holds 8 lines: a
 * tile has no more rows then, and does not ask for those of the next one. */
static inline bool rows_clash(const struct gm_gemm_block *x)
{
    return x->lda % 1024 == 0 && x->lda && !x->a_transposed;
}

/* Each of a panel's tiles asks for its share of the next one: the first from next_b on, next_step floats a k. At its
 * peak a core takes 16 GB/s of a packed B in the first tile of a panel, more than comes from memory by itself, and
 * nothing in the others; among many it matters little. */
static inline void ask_for_next_panel(const struct gm_gemm_block *x, int64_t j, int64_t row_tiles, struct tile *tile)
{
    enum { FEW_TILES = 8 };
    const bool asks = !x->source && row_tiles <= FEW_TILES && j + TILE_COLS < x->cols;
    tile->next_step = asks ? tile->ldb / row_tiles : 0;
    tile->next_b = asks ? tile->b + TILE_COLS * (x->depth + x->b_others) : tile->b;
    if (x->next_b && x->depth > 0) {
        tile->next_step = (x->next_floats + row_tiles * x->depth - 1) / (row_tiles * x->depth);
        tile->next_b = x->next_b;
    }
}

/* The ends of a tile's rows of C; the tile computes while they come. Into the second-level cache: rows a multiple of 4
 * KiB apart share one set of the first, which holds 8 lines. */
static inline void ask_for_c(const struct tile *t, int64_t rows)
{
    if (t->stream)
        return;
    const float *c = t->old;
    for (int64_t i = 0; i < rows; i++, c += t->ldold) {
        __builtin_prefetch(c, 1, 2);
        __builtin_prefetch(c + t->cols - 1, 1, 2);
    }
}

/* One panel of B times all rows. B in place is packed by the first tile that reads it, for those after it. */
static inline void multiply_panel(const struct gm_gemm_block *x, int64_t j)
{
    if (j >= x->rows - 1 + x->skip_from)
        return;
    const bool clash = rows_clash(x);
    const int64_t further = clash ? 0 : 1; /* tiles from one to what it asks for */
    const int64_t row_tiles = gm_gemm_row_tiles(x->rows, clash && TILE_ROWS > 8 ? TILE_ROWS / 2 : TILE_ROWS);
    const int64_t base = row_tiles == 1 ? x->rows : x->rows / row_tiles, longer = x->rows - base * row_tiles;
    const int64_t cols = x->cols - j < TILE_COLS ? x->cols - j : TILE_COLS;
    const int64_t vecs = (cols + VEC_LANES - 1) / VEC_LANES;
    const bool by_rows = x->lda && !x->a_transposed;
    bool in_place = false;
    if (x->source) {
        in_place = x->source->kind == GM_GEMM_PLAIN && !x->source->transposed;
        if (!in_place)
            pack_b(x->source, x->source_col + j, cols, x->source_k, x->depth, x->panel);
    }
    const struct gm_gemm_finish finish = x->finish ? gm_gemm_finish_from(x->finish, 0, j) : (struct gm_gemm_finish){0};
    struct tile tile = {
        .depth = x->depth,
        .lda = x->lda ? x->lda : TILE_ROWS,
        .b = x->source ? x->panel : x->b + j * (x->depth + x->b_others) + x->b_before * vecs * VEC_LANES,
        .ldb = vecs * VEC_LANES,
        .kept = x->panel,
        .ldkept = in_place && row_tiles > 1 ? vecs * VEC_LANES : 0,
        .ldc = x->ldc,
        .ldold = x->old ? x->ldold : x->ldc,
        .cols = cols,
        .alpha = x->alpha,
        .beta = x->beta,
        .stream = x->stream && walk_may_stream(x->c, x->ldc),
        .finish = x->finish ? &finish : NULL,
    };
    if (in_place) {
        tile.b = x->source->data + x->source_k * x->source->ld + x->source_col + j;
        tile.ldb = x->source->ld;
    }
    ask_for_next_panel(x, j, row_tiles, &tile);
    if (in_place)
        tile.next_b = j + TILE_COLS < x->cols ? tile.b + TILE_COLS : tile.b;
    for (int64_t t = 0, i = 0, rows; t < row_tiles; t++, i += rows, tile.next_b += x->depth * tile.next_step) {
        rows = base + (t < longer);
        if (j >= i + rows - 1 + x->skip_from)
            continue;
        /* Across the diagonal of a symmetric C the vectors beyond it are left out, too. */
        const int64_t wanted = in_place ? cols : i + rows - 1 + x->skip_from - j;
        const int64_t tile_vecs = wanted < cols ? (wanted + VEC_LANES - 1) / VEC_LANES : vecs;
        tile.cols = tile_vecs < vecs ? tile_vecs * VEC_LANES : cols;
        tile.a = tile_rows(x, t, i);
        tile.next_a = tile_rows(x, t, i + further * rows);
        if (t + further == row_tiles) /* behind it may be no memory */
            tile.next_a = x->next_a ? x->next_a : x->a;
        tile.c = x->c + i * x->ldc + j;
        tile.old = x->old ? x->old + i * x->ldold + j : tile.c;
        ask_for_c(&tile, rows);
        tile_of[by_rows][in_place][rows][tile_vecs](&tile);
        if (in_place) {
            in_place = false;
            tile.b = x->panel;
            tile.ldb = vecs * VEC_LANES;
        }
        if (x->loss)
            loss_tile(x->loss, i, rows, j, cols, tile.c, x->ldc);
        if (x->finish && x->finish->sums)
            sum_tile(x->finish, i, rows, j, cols, tile.c, x->ldc);
    }
}

static void multiply(const struct gm_gemm_block *x)
{
    if (few_rows_pay(x)) {
        multiply_few_rows(x);
        return;
    }
    for (int64_t j = 0; j < x->cols; j += TILE_COLS)
        multiply_panel(x, j);
    if (x->stream)
        vec_stream_end();
}

#endif
