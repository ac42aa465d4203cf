/* The kernels of one rectangle. Compiled once per instruction set. */
#include <string.h>

#include "batchnorm/batchnorm.h"
#include "simd/walk.h"

/* Rows summed in float before the sums go to double: the rounding of 32 terms stays near sqrt(32)/2 units. */
enum { STRIP = 32 };

struct operands {
    const float *x, *dy;
    float *out; /* y or dx */
    int64_t ldx, lddy, ldout;
    const struct gm_batchnorm_columns *columns;
    float *sum, *dot;
};

WALK_INLINE void apply_vector(const void *arg, int64_t i, int64_t j, int64_t lanes, bool relu)
{
    const struct operands *o = arg;
    const vec mean = walk_load(o->columns->mean + j, lanes), scale = walk_load(o->columns->scale + j, lanes),
              shift = walk_load(o->columns->shift + j, lanes);
    vec v = vec_fma(vec_sub(walk_load(o->x + i * o->ldx + j, lanes), mean), scale, shift);
    if (relu)
        v = vec_max(vec_zero(), v);
    walk_store(o->out + i * o->ldout + j, v, lanes);
}

/* dy where the forward call's result, computed here by the very same operations, was positive. */
WALK_INLINE vec masked(vec dy, vec d, vec scale, vec shift, bool relu)
{
    return relu ? vec_select_gt(vec_fma(d, scale, shift), vec_zero(), dy, vec_zero()) : dy;
}

WALK_INLINE void sum_vector(const void *arg, int64_t i, int64_t j, int64_t lanes, bool relu)
{
    const struct operands *o = arg;
    const vec mean = walk_load(o->columns->mean + j, lanes), scale = walk_load(o->columns->scale + j, lanes),
              shift = walk_load(o->columns->shift + j, lanes);
    vec sum = walk_load(o->sum + j, lanes), dot = walk_load(o->dot + j, lanes);
    const vec d = vec_sub(walk_load(o->x + i * o->ldx + j, lanes), mean);
    const vec g = masked(walk_load(o->dy + i * o->lddy + j, lanes), d, scale, shift, relu);
    sum = vec_add(sum, g);
    dot = vec_fma(g, d, dot);
    walk_store(o->sum + j, sum, lanes);
    walk_store(o->dot + j, dot, lanes);
}

WALK_INLINE void gradient_vector(const void *arg, int64_t i, int64_t j, int64_t lanes, bool relu)
{
    const struct operands *o = arg;
    const vec mean = walk_load(o->columns->mean + j, lanes), scale = walk_load(o->columns->scale + j, lanes),
              shift = walk_load(o->columns->shift + j, lanes), slope = walk_load(o->columns->slope + j, lanes),
              offset = walk_load(o->columns->offset + j, lanes);
    const vec d = vec_sub(walk_load(o->x + i * o->ldx + j, lanes), mean);
    const vec g = masked(walk_load(o->dy + i * o->lddy + j, lanes), d, scale, shift, relu);
    walk_store(o->out + i * o->ldout + j, vec_fma(scale, g, vec_fma(slope, d, offset)), lanes);
}

static void apply(int64_t rows, int64_t cols, const float *x, int64_t ldx, const struct gm_batchnorm_columns *columns,
                  bool relu, float *y, int64_t ldy)
{
    const struct operands o = {.x = x, .ldx = ldx, .out = y, .ldout = ldy, .columns = columns};
    walk(apply_vector, &o, 0, rows, cols, relu);
}

static void sums(int64_t rows, int64_t cols, const float *dy, int64_t lddy, const float *x, int64_t ldx,
                 const struct gm_batchnorm_columns *columns, bool relu, double *sum, double *dot)
{
    float strip_sum[GM_GRID_COLS], strip_dot[GM_GRID_COLS];
    const struct operands o = {
        .x = x, .ldx = ldx, .dy = dy, .lddy = lddy, .columns = columns, .sum = strip_sum, .dot = strip_dot};
    memset(sum, 0, (size_t)cols * sizeof *sum);
    memset(dot, 0, (size_t)cols * sizeof *dot);
    for (int64_t i = 0; i < rows; i += STRIP) {
        memset(strip_sum, 0, (size_t)cols * sizeof *strip_sum);
        memset(strip_dot, 0, (size_t)cols * sizeof *strip_dot);
        walk(sum_vector, &o, i, rows - i < STRIP ? rows : i + STRIP, cols, relu);
        for (int64_t j = 0; j < cols; j++) {
            sum[j] += (double)strip_sum[j];
            dot[j] += (double)strip_dot[j];
        }
    }
}

static void gradient(int64_t rows, int64_t cols, const float *dy, int64_t lddy, const float *x, int64_t ldx,
                     const struct gm_batchnorm_columns *columns, bool relu, float *dx, int64_t lddx)
{
    const struct operands o = {
        .x = x, .ldx = ldx, .dy = dy, .lddy = lddy, .out = dx, .ldout = lddx, .columns = columns};
    walk(gradient_vector, &o, 0, rows, cols, relu);
}

const struct gm_batchnorm_kernels GM_ENTRY(gm_batchnorm_f32) = {GM_ISA_TEXT " by rows", apply, sums, gradient};
