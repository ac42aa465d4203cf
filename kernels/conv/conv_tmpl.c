/* Copying of pixels. Compiled once per instruction set. */
#include <string.h>

#include "conv/conv.h"
#include "simd/walk.h"

WALK_INLINE void copy_vector(const struct gm_conv_copy *c, int64_t j, int64_t lanes, bool line, bool relu)
{
    const vec scale = line ? walk_load(c->scale + j, lanes) : vec_zero();
    const vec shift = line ? walk_load(c->shift + j, lanes) : vec_zero();
    const float *x = c->x + j;
    float *out = c->out + j;
    for (int64_t i = 0; i < c->pixels; i++, x += c->ldx, out += c->ldout) {
        vec v = walk_load(x, lanes);
        if (line)
            v = vec_fma(scale, v, shift);
        if (relu)
            v = vec_max(vec_zero(), v);
        walk_store(out, v, lanes);
    }
}

WALK_INLINE void copy_rows(const struct gm_conv_copy *c, bool line, bool relu)
{
    int64_t j = 0;
    for (; j + VEC_LANES <= c->cols; j += VEC_LANES)
        copy_vector(c, j, VEC_LANES, line, relu);
    if (j < c->cols)
        copy_vector(c, j, c->cols - j, line, relu);
}

static void copy(const struct gm_conv_copy *c)
{
    if (c->scale && c->relu)
        copy_rows(c, true, true);
    else if (c->scale)
        copy_rows(c, true, false);
    else if (c->relu)
        copy_rows(c, false, true);
    else if (c->cols == c->ldx && c->cols == c->ldout)
        memcpy(c->out, c->x, (size_t)(c->pixels * c->cols) * sizeof(float));
    else
        copy_rows(c, false, false);
    if (c->width > c->cols)
        for (int64_t i = 0; i < c->pixels; i++)
            memset(c->out + i * c->ldout + c->cols, 0, (size_t)(c->width - c->cols) * sizeof(float));
}

const struct gm_conv_kernels GM_ENTRY(gm_conv_f32) = {GM_ISA_TEXT " copy", copy};
