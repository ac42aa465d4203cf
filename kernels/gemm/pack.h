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

/* Rows of A or columns of B that a tile takes, from `outer` on, and where they go. */
struct panel {
    int64_t outer, width, stride; /* stride: floats for each k */
    float *packed;
};

/* Vectors of one k of a panel of A. */
enum { ROW_VECS = (TILE_ROWS + VEC_LANES - 1) / VEC_LANES };

/* Panels filled side by side: each stored row is then read in one long piece, and a page of memory visited once. The
 * hardware does not foresee the next row. */
enum { PANELS = 16, ROWS_AHEAD = 2 };

/* Stored rows run along the panels and end at `end`: packed[k, i] = stored[first + k, outer + i]. What a whole vector
 * holds beyond the panel's width fills places that no tile uses, or the next k, which is still to come except at the
 * end. A panel of full width takes `vecs` vectors. */
static inline __attribute__((always_inline)) void copy_panels(const struct gm_gemm_source *s, bool normalised, int vecs,
                                                              const struct panel *panels, int64_t count, int64_t end,
                                                              int64_t first, int64_t depth)
{
    int64_t whole = 0; /* panels that are filled by whole vectors before the last k */
    while (whole < count && panels[whole].outer + vecs * VEC_LANES <= end)
        whole++;
    for (int64_t k = 0; k < depth; k++) {
        int64_t p = 0;
        for (; k < depth - 1 && p < whole; p++)
            for (int v = 0; v < vecs; v++) {
                vec_prefetch(s->data + (first + k + ROWS_AHEAD) * s->ld + panels[p].outer + v * VEC_LANES);
                vec_store(panels[p].packed + k * panels[p].stride + v * VEC_LANES,
                          fetch(s, normalised, first + k, panels[p].outer + v * VEC_LANES, VEC_LANES));
            }
        for (; p < count; p++) {
            const struct panel *q = &panels[p];
            float *out = q->packed + k * q->stride;
            for (int64_t i = 0; i < q->width; i += VEC_LANES) {
                const vec x = fetch(s, normalised, first + k, q->outer + i, vec_lanes_left(q->outer + i, end));
                if (k < depth - 1)
                    vec_store(out + i, x);
                else
                    vec_store_n(out + i, x, vec_lanes_left(i, q->stride));
            }
        }
    }
}

/* The hardware does not foresee pieces of many rows that lie pages apart. */
enum { AHEAD_FLOATS = 64 };

/* Stored rows run along k: packed[k, i] = stored[outer + i, first + k]. Panels one after the other, so what reaches
 * beyond one is overwritten by the next. */
static inline void transpose_panels(const struct gm_gemm_source *s, bool normalised, const struct panel *panels,
                                    int64_t count, int64_t first, int64_t depth)
{
    for (const struct panel *q = panels; q < panels + count; q++) {
        for (int64_t k = 0; k < depth; k += VEC_LANES) {
            const int64_t ks = vec_lanes_left(k, depth), ahead = k + AHEAD_FLOATS;
            const float *later = s->data + first + (ahead < depth ? ahead : q->width * s->ld + ahead - depth);
            for (int64_t i = 0; i < q->width; i += VEC_LANES) {
                vec square[VEC_LANES];
                GM_UNROLL
                for (int64_t r = 0; r < VEC_LANES; r++) {
                    square[r] = i + r < q->width ? fetch(s, normalised, q->outer + i + r, first + k, ks) : vec_zero();
                    if (i + r < q->width)
                        vec_prefetch(later + (q->outer + i + r) * s->ld);
                }
                transpose(square);
                float *out = q->packed + k * q->stride + i;
                for (int64_t r = 0; r < ks; r++)
                    vec_store(out + r * q->stride, square[r]);
            }
        }
    }
}

static inline __attribute__((always_inline)) void pack_panels(const struct gm_gemm_source *s, bool along, int vecs,
                                                              const struct panel *panels, int64_t count, int64_t end,
                                                              int64_t first, int64_t depth)
{
    if (along && s->kind == GM_GEMM_PLAIN)
        copy_panels(s, false, vecs, panels, count, end, first, depth);
    else if (along)
        copy_panels(s, true, vecs, panels, count, end, first, depth);
    else if (s->kind == GM_GEMM_PLAIN)
        transpose_panels(s, false, panels, count, first, depth);
    else
        transpose_panels(s, true, panels, count, first, depth);
}

static void pack_a(const struct gm_gemm_source *a, int64_t row, int64_t rows, int64_t first, int64_t depth,
                   float *packed)
{
    const int64_t tiles = gm_gemm_row_tiles(rows, TILE_ROWS);
    struct panel panels[PANELS];
    for (int64_t t = 0, count; t < tiles; t += count) {
        count = tiles - t < PANELS ? tiles - t : PANELS;
        for (int64_t p = 0; p < count; p++) {
            const int64_t begin = gm_gemm_share(rows, tiles, t + p),
                          width = gm_gemm_share(rows, tiles, t + p + 1) - begin;
            panels[p] = (struct panel){row + begin, width, TILE_ROWS, packed + (t + p) * TILE_ROWS * depth};
        }
        pack_panels(a, a->transposed, ROW_VECS, panels, count, row + rows, first, depth);
    }
}

static void pack_b(const struct gm_gemm_source *b, int64_t col, int64_t cols, int64_t first, int64_t depth,
                   float *packed)
{
    struct panel panels[PANELS];
    int64_t count = 0;
    for (int64_t j = 0; j < cols; j += TILE_COLS) {
        const int64_t width = cols - j < TILE_COLS ? cols - j : TILE_COLS;
        const int64_t stride = (width + VEC_LANES - 1) / VEC_LANES * VEC_LANES;
        panels[count++] = (struct panel){col + j, width, stride, packed + j * depth};
        if (count == PANELS || j + TILE_COLS >= cols) {
            pack_panels(b, !b->transposed, TILE_VECS, panels, count, col + cols, first, depth);
            count = 0;
        }
    }
}

#endif
