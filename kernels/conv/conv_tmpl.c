/* Copying of pixels, and the transforms of Winograd's convolutions. Compiled once per instruction set. */
#include <string.h>

#include "conv/conv.h"
#include "conv/winograd_tmpl.h"
#include "simd/walk.h"

/* Floats by which the reading is ahead: the hardware does not foresee pieces of pixels. */
enum { AHEAD = 1024, LINE = 16 };

/* `lanes` neighbours of a pixel, from column j on; put: as many as are written; change: as they are read. */
WALK_INLINE void copy_vector(const struct gm_conv_copy *c, const float *x, int64_t j, int64_t lanes, int64_t put,
                             bool change, float *out)
{
    vec v = walk_load(x + j, lanes);
    if (change && c->scale)
        v = vec_fma(walk_load(c->scale + j, lanes), v, walk_load(c->shift + j, lanes));
    if (change && c->relu)
        v = vec_max(vec_zero(), v);
    walk_store(out, v, put);
}

/* Columns [first, end) of a pixel: whole vectors, then one of fewer lanes, if any. */
WALK_INLINE void copy_panel(const struct gm_conv_copy *c, const float *x, int64_t first, int64_t end, int64_t put,
                            bool change, float *out)
{
    int64_t j = first;
    for (; j + VEC_LANES <= end; j += VEC_LANES)
        copy_vector(c, x, j, VEC_LANES, VEC_LANES, change, out + j - first);
    if (j < end)
        copy_vector(c, x, j, end - j, put ? put : end - j, change, out + j - first);
}

/* In the order of memory. */
WALK_INLINE void copy_pixels(const struct gm_conv_copy *copy, bool change)
{
    const struct gm_conv_copy c = *copy; /* known to nobody else, so that it stays in registers */
    const int64_t width = c.panel_cols ? c.panel_cols : c.cols, ahead = (AHEAD / c.cols + 1) * c.ldx;
    const int64_t put = c.padded ? VEC_LANES : 0;
    const float *x = c.x;
    float *out = c.out;
    for (int64_t i = 0; i < c.pixels; i++, x += c.ldx, out += c.ldout) {
        if (c.cols <= VEC_LANES) {
            copy_vector(&c, x, 0, c.cols, put ? put : c.cols, change, out);
            continue;
        }
        for (int64_t j = 0; j < c.cols; j += LINE)
            vec_prefetch(x + ahead + j);
        float *panel = out;
        for (int64_t first = 0; first < c.cols; first += width, panel += c.panel)
            copy_panel(&c, x, first, first + width < c.cols ? first + width : c.cols, put, change, panel);
    }
}

static void copy(const struct gm_conv_copy *c)
{
    if (c->scale || c->relu)
        copy_pixels(c, true);
    else if (c->cols == c->ldx && c->cols == c->ldout && !c->panel_cols)
        memcpy(c->out, c->x, (size_t)(c->pixels * c->cols) * sizeof(float));
    else
        copy_pixels(c, false);
}

/* What a whole vector writes too much, the next one overwrites; a part of a vector costs AVX2 several stores, and there
 * would be one for each kernel row of each pixel. */
static void copy_patches(const struct gm_conv_patches *patches)
{
    const struct gm_conv_patches p = *patches;
    float *out = p.out;
    for (int64_t i = 0; i < p.patches; i++) {
        const float *x = p.lines + i * p.step;
        for (int64_t r = 0; r < p.rows; r++, x += p.ldlines, out += p.cols)
            for (int64_t j = 0; j < p.cols; j += VEC_LANES)
                vec_store(out + j, vec_load(x + j));
    }
}

const struct gm_conv_kernels GM_ENTRY(gm_conv_f32) = {GM_ISA_TEXT " copy", copy, copy_patches, &winograd_kernels};
