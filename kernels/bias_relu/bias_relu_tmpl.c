/* The kernels of one rectangle. Compiled once per instruction set. */
#include <string.h>

#include "bias_relu/bias_relu.h"
#include "simd/walk.h"

/* Rows summed in float before the sums go to double: the rounding of 32 terms stays near sqrt(32)/2 units. */
enum { STRIP = 32 };

/* Forms of the walks: RELU or not, and where the result goes. */
enum { RELU = 1, OUT = 2, STREAM = 4, FORMS = 6 };

struct operands {
    struct gm_bias_relu_block block;
    float *sum;
};

static int form_of(const struct gm_bias_relu_block *b)
{
    const bool stream = b->stream && walk_may_stream(b->out, b->ldout);
    return (b->relu ? RELU : 0) + (!b->out ? 0 : stream ? STREAM : OUT);
}

WALK_INLINE void forward_vector(const void *arg, int64_t i, int64_t j, int64_t lanes, int form)
{
    const struct gm_bias_relu_block *b = &((const struct operands *)arg)->block;
    const vec bias = b->bias ? walk_load(b->bias + j, lanes) : vec_zero();
    vec v = vec_add(walk_load(b->in + i * b->ldin + j, lanes), bias);
    if (form & RELU)
        v = vec_max(vec_zero(), v);
    walk_put(b->out + i * b->ldout + j, v, lanes, form >= STREAM);
}

WALK_REST void forward_rest(const void *arg, int64_t i, int64_t j, int64_t lanes, int form)
{
    forward_vector(arg, i, j, lanes, form);
}

WALK_INLINE void forward_ahead(const void *arg, int64_t i, int64_t j, int form)
{
    const struct gm_bias_relu_block *b = &((const struct operands *)arg)->block;
    (void)form;
    vec_prefetch(b->in + i * b->ldin + j);
}

WALK_INLINE void backward_vector(const void *arg, int64_t i, int64_t j, int64_t lanes, int form)
{
    const struct operands *o = arg;
    const struct gm_bias_relu_block *b = &o->block;
    const vec sum = walk_load(o->sum + j, lanes);
    vec g = walk_load(b->in + i * b->ldin + j, lanes);
    if (form & RELU)
        g = vec_select_gt(walk_load(b->y + i * b->ldy + j, lanes), vec_zero(), g, vec_zero());
    if (form >= OUT)
        walk_put(b->out + i * b->ldout + j, g, lanes, form >= STREAM);
    walk_store(o->sum + j, vec_add(sum, g), lanes);
}

WALK_REST void backward_rest(const void *arg, int64_t i, int64_t j, int64_t lanes, int form)
{
    backward_vector(arg, i, j, lanes, form);
}

WALK_INLINE void backward_ahead(const void *arg, int64_t i, int64_t j, int form)
{
    const struct gm_bias_relu_block *b = &((const struct operands *)arg)->block;
    vec_prefetch(b->in + i * b->ldin + j);
    if (form & RELU)
        vec_prefetch(b->y + i * b->ldy + j);
}

static void forward(const struct gm_bias_relu_block *block)
{
    const struct operands o = {.block = *block};
    const struct walk_part all = {o.block.rows, o.block.cols, 0, o.block.rows, o.block.large};
    walk_memory(forward_vector, NULL, 0, forward_rest, forward_ahead, &o, &all, FORMS, form_of(&o.block));
    vec_stream_end();
}

static void backward(const struct gm_bias_relu_block *block, double *sum)
{
    _Alignas(WALK_ALIGNMENT) float strip_sum[GM_GRID_COLS];
    const struct operands o = {*block, strip_sum};
    const int64_t rows = o.block.rows, cols = o.block.cols;
    const int form = form_of(&o.block);
    memset(sum, 0, (size_t)cols * sizeof *sum);
    for (int64_t i = 0; i < rows; i += STRIP) {
        const struct walk_part part = {rows, cols, i, rows - i < STRIP ? rows : i + STRIP, o.block.large};
        memset(strip_sum, 0, (size_t)cols * sizeof *strip_sum);
        walk_memory(backward_vector, NULL, 0, backward_rest, backward_ahead, &o, &part, FORMS, form);
        for (int64_t j = 0; j < cols; j++)
            sum[j] += (double)strip_sum[j];
    }
    vec_stream_end();
}

const struct gm_bias_relu_kernels GM_ENTRY(gm_bias_relu_f32) = {GM_ISA_TEXT " by rows", forward, backward};
