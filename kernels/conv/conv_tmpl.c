/* Copying of pixels, and the transforms of Winograd's convolutions. Compiled once per instruction set. */
#include <string.h>

#include "conv/conv.h"
#include "conv/winograd_tmpl.h"
#include "simd/walk.h"

/* One vector of one pixel. */
WALK_INLINE void copy_vector(const struct gm_conv_copy *c, const float *x, int64_t j, int64_t lanes, bool line,
                             bool relu, float *out)
{
    vec v = walk_load(x + j, lanes);
    if (line)
        v = vec_fma(walk_load(c->scale + j, lanes), v, walk_load(c->shift + j, lanes));
    if (relu)
        v = vec_max(vec_zero(), v);
    walk_store(out, v, c->padded ? VEC_LANES : lanes);
}

/* In the order of memory. */
WALK_INLINE void copy_pixels(const struct gm_conv_copy *c, bool line, bool relu)
{
    const int64_t width = c->panel_cols ? c->panel_cols : c->cols;
    for (int64_t i = 0; i < c->pixels; i++) {
        const float *x = c->x + i * c->ldx;
        float *out = c->out + i * c->ldout;
        for (int64_t first = 0; first < c->cols; first += width, out += c->panel) {
            const int64_t end = c->cols - first < width ? c->cols : first + width;
            int64_t j = first;
            for (; j + VEC_LANES <= end; j += VEC_LANES)
                copy_vector(c, x, j, VEC_LANES, line, relu, out + j - first);
            if (j < end)
                copy_vector(c, x, j, end - j, line, relu, out + j - first);
        }
    }
}

static void copy(const struct gm_conv_copy *c)
{
    if (c->scale && c->relu)
        copy_pixels(c, true, true);
    else if (c->scale)
        copy_pixels(c, true, false);
    else if (c->relu)
        copy_pixels(c, false, true);
    else if (c->cols == c->ldx && c->cols == c->ldout && !c->panel_cols)
        memcpy(c->out, c->x, (size_t)(c->pixels * c->cols) * sizeof(float));
    else
        copy_pixels(c, false, false);
}

const struct gm_conv_kernels GM_ENTRY(gm_conv_f32) = {GM_ISA_TEXT " copy", copy, &winograd_kernels};
