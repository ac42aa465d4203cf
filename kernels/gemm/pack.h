/* Packing: panels of an operand in the order in which the tile reads them. */
#ifndef GEMEL_GEMM_PACK_H
#define GEMEL_GEMM_PACK_H

#include "gemm/kernel.h"
#include "gemm/tile.h"

/* A whole vector stored for fewer rows of A reaches into the panel's next k, which is written later. */
_Static_assert((int)TILE_ROWS <= (int)VEC_LANES || (int)TILE_ROWS % (int)VEC_LANES == 0, "one vector, or whole ones");

/* The first n elements of a stored row from column `col` on; the other lanes are 0. */
static inline vec fetch(const struct gm_gemm_source *s, bool normalised, int64_t row, int64_t col, int64_t n)
{
    const float *p = s->data + row * s->ld + col;
    if (n < VEC_LANES) {
        const vec x = vec_load_n(p, n);
        if (!normalised)
            return x;
        const vec centred = vec_sub(vec_sub(x, vec_load_n(s->mean_high + col, n)), vec_load_n(s->mean_low + col, n));
        return vec_mul(centred, vec_load_n(s->scale + col, n));
    }
    const vec x = vec_load(p);
    if (!normalised)
        return x;
    const vec centred = vec_sub(vec_sub(x, vec_load(s->mean_high + col)), vec_load(s->mean_low + col));
    return vec_mul(centred, vec_load(s->scale + col));
}

/* One panel of an operand whose stored rows run along the panel: packed[k, i] = stored[first + k, outer + i]. */
static inline void copy_panel(const struct gm_gemm_source *s, bool normalised, int64_t outer, int64_t width,
                              int64_t first, int64_t depth, int64_t stride, float *packed)
{
    for (int64_t k = 0; k < depth; k++)
        for (int64_t i = 0; i < width; i += VEC_LANES)
            vec_store(packed + k * stride + i, fetch(s, normalised, first + k, outer + i, vec_lanes_left(i, width)));
}

/* One panel of an operand whose stored rows run along k: packed[k, i] = stored[outer + i, first + k]. */
static inline void transpose_panel(const struct gm_gemm_source *s, bool normalised, int64_t outer, int64_t width,
                                   int64_t first, int64_t depth, int64_t stride, float *packed)
{
    for (int64_t k = 0; k < depth; k += VEC_LANES) {
        const int64_t ks = vec_lanes_left(k, depth);
        for (int64_t i = 0; i < width; i += VEC_LANES) {
            vec square[VEC_LANES];
            for (int64_t r = 0; r < VEC_LANES; r++)
                square[r] = i + r < width ? fetch(s, normalised, outer + i + r, first + k, ks) : vec_zero();
            transpose(square);
            for (int64_t r = 0; r < ks; r++)
                vec_store(packed + (k + r) * stride + i, square[r]);
        }
    }
}

static inline void pack_panel(const struct gm_gemm_source *s, bool along, int64_t outer, int64_t width, int64_t first,
                              int64_t depth, int64_t stride, float *packed)
{
    if (along && s->kind == GM_GEMM_PLAIN)
        copy_panel(s, false, outer, width, first, depth, stride, packed);
    else if (along)
        copy_panel(s, true, outer, width, first, depth, stride, packed);
    else if (s->kind == GM_GEMM_PLAIN)
        transpose_panel(s, false, outer, width, first, depth, stride, packed);
    else
        transpose_panel(s, true, outer, width, first, depth, stride, packed);
}

static void pack_a(const struct gm_gemm_source *a, int64_t row, int64_t rows, int64_t first, int64_t depth,
                   float *packed)
{
    const int64_t tiles = gm_gemm_row_tiles(rows, TILE_ROWS);
    for (int64_t t = 0; t < tiles; t++) {
        const int64_t begin = gm_gemm_share(rows, tiles, t), end = gm_gemm_share(rows, tiles, t + 1);
        pack_panel(a, a->transposed, row + begin, end - begin, first, depth, TILE_ROWS, packed + t * TILE_ROWS * depth);
    }
}

static void pack_b(const struct gm_gemm_source *b, int64_t col, int64_t cols, int64_t first, int64_t depth,
                   float *packed)
{
    for (int64_t j = 0; j < cols; j += TILE_COLS) {
        const int64_t width = cols - j < TILE_COLS ? cols - j : TILE_COLS;
        const int64_t stride = (width + VEC_LANES - 1) / VEC_LANES * VEC_LANES;
        pack_panel(b, !b->transposed, col + j, width, first, depth, stride, packed + j * depth);
    }
}

#endif
