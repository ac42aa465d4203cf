/* The kernels of one rectangle. Compiled once per instruction set. */
#include <string.h>

#include "bias_relu/bias_relu.h"
#include "simd/walk.h"

/* Rows summed in float before the sums go to double: the rounding of 32 terms stays near sqrt(32)/2 units. */
enum { STRIP = 32 };

struct operands {
    const float *in, *y, *bias; /* in: x or dy */
    float *out, *sum;           /* out: y or dx */
    int64_t ldin, ldy, ldout;
};

WALK_INLINE void forward_vector(const void *arg, int64_t i, int64_t j, int64_t lanes, int relu)
{
    const struct operands *o = arg;
    const vec bias = o->bias ? walk_load(o->bias + j, lanes) : vec_zero();
    vec v = vec_add(walk_load(o->in + i * o->ldin + j, lanes), bias);
    if (relu)
        v = vec_max(vec_zero(), v);
    walk_store(o->out + i * o->ldout + j, v, lanes);
}

WALK_INLINE vec masked(const struct operands *o, int64_t i, int64_t j, int64_t lanes, int relu)
{
    const vec dy = walk_load(o->in + i * o->ldin + j, lanes);
    return relu ? vec_select_gt(walk_load(o->y + i * o->ldy + j, lanes), vec_zero(), dy, vec_zero()) : dy;
}

WALK_INLINE void sum_vector(const void *arg, int64_t i, int64_t j, int64_t lanes, int relu)
{
    const struct operands *o = arg;
    vec sum = walk_load(o->sum + j, lanes);
    sum = vec_add(sum, masked(o, i, j, lanes, relu));
    walk_store(o->sum + j, sum, lanes);
}

WALK_INLINE void backward_vector(const void *arg, int64_t i, int64_t j, int64_t lanes, int relu)
{
    const struct operands *o = arg;
    vec sum = walk_load(o->sum + j, lanes);
    const vec g = masked(o, i, j, lanes, relu);
    walk_store(o->out + i * o->ldout + j, g, lanes);
    sum = vec_add(sum, g);
    walk_store(o->sum + j, sum, lanes);
}

static void forward(int64_t rows, int64_t cols, const float *x, int64_t ldx, const float *bias, bool relu, float *y,
                    int64_t ldy)
{
    const struct operands o = {.in = x, .ldin = ldx, .bias = bias, .out = y, .ldout = ldy};
    walk(forward_vector, &o, 0, rows, cols, relu);
}

static void backward(int64_t rows, int64_t cols, const float *dy, int64_t lddy, const float *y, int64_t ldy, bool relu,
                     float *dx, int64_t lddx, double *sum)
{
    float strip_sum[GM_GRID_COLS];
    const struct operands o = {.in = dy, .ldin = lddy, .y = y, .ldy = ldy, .out = dx, .ldout = lddx, .sum = strip_sum};
    memset(sum, 0, (size_t)cols * sizeof *sum);
    for (int64_t i = 0; i < rows; i += STRIP) {
        const int64_t last = rows - i < STRIP ? rows : i + STRIP;
        memset(strip_sum, 0, (size_t)cols * sizeof *strip_sum);
        if (dx)
            walk(backward_vector, &o, i, last, cols, relu);
        else
            walk(sum_vector, &o, i, last, cols, relu);
        for (int64_t j = 0; j < cols; j++)
            sum[j] += (double)strip_sum[j];
    }
}

const struct gm_bias_relu_kernels GM_ENTRY(gm_bias_relu_f32) = {GM_ISA_TEXT " by rows", forward, backward};
