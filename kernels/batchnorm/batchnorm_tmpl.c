/* The kernels of one rectangle. Compiled once per instruction set. */
#include <string.h>

#include "batchnorm/batchnorm.h"
#include "simd/walk.h"

/* Rows summed in float before the sums go to double: the rounding of 32 terms stays near sqrt(32)/2 units. */
enum { STRIP = 32 };

/* Rows of a band of sums, and of one of results, which pays where a line takes several vectors. */
enum { LINE_VECTORS = WALK_LINE / VEC_LANES };
enum { SUM_BAND = 4, RESULT_BAND = 2, RESULTS_IN_BANDS = VEC_LANES > 1 && LINE_VECTORS > 1 };

/* Forms of the walks, to be added up. Of the sums there is no streaming one. */
enum { RELU = 1, RESIDUAL = 2, STREAM = 4, SUM_FORMS = 4, FORMS = 8 };

struct operands {
    struct gm_batchnorm_block block;
    float *sum, *dot;
};

static int form_of(const struct gm_batchnorm_block *b, bool has_residual)
{
    return (b->relu ? RELU : 0) + (has_residual ? RESIDUAL : 0) +
           (b->stream_out && walk_may_stream(b->out, b->ldout) ? STREAM : 0);
}

/* What belongs to a vector of columns, loaded before stores that might change it for all the compiler knows. */
struct columns {
    vec mean, scale, shift, slope, offset;
};

WALK_INLINE struct columns columns_at(const struct gm_batchnorm_block *b, int64_t j, int64_t lanes)
{
    const struct gm_batchnorm_line *const line = b->columns + j / GM_BATCHNORM_LINE;
    const int64_t lane = j % GM_BATCHNORM_LINE;
    return (struct columns){walk_load(line->mean + lane, lanes), walk_load(line->scale + lane, lanes),
                            walk_load(line->shift + lane, lanes), walk_load(line->slope + lane, lanes),
                            walk_load(line->offset + lane, lanes)};
}

/* x - mean */
WALK_INLINE vec deviation(const struct gm_batchnorm_block *b, const struct columns *c, int64_t i, int64_t j,
                          int64_t lanes)
{
    return vec_sub(walk_load(b->x + i * b->ldx + j, lanes), c->mean);
}

WALK_INLINE void put_line(float *p, const vec *line, bool stream)
{
    for (int v = 0; v < LINE_VECTORS; v++)
        walk_put(p + v * VEC_LANES, line[v], VEC_LANES, stream);
}

WALK_INLINE vec normalised(const struct columns *c, vec d)
{
    return vec_fma(d, c->scale, c->shift);
}

WALK_INLINE vec applied(const struct gm_batchnorm_block *b, const struct columns *c, int64_t i, int64_t j,
                        int64_t lanes, int form)
{
    vec v = normalised(c, deviation(b, c, i, j, lanes));
    if (form & RESIDUAL)
        v = vec_add(v, walk_load(b->residual + i * b->ldresidual + j, lanes));
    if (form & RESIDUAL && b->new_mask)
        walk_put_bits(b->new_mask + i * b->ldmask, j, lanes, vec_bits_gt(v, vec_zero()));
    return form & RELU ? vec_max(vec_zero(), v) : v;
}

WALK_INLINE void apply_vector(const void *arg, int64_t i, int64_t j, int64_t lanes, int form)
{
    const struct gm_batchnorm_block *b = &((const struct operands *)arg)->block;
    const struct columns c = columns_at(b, j, lanes);
    walk_put(b->out + i * b->ldout + j, applied(b, &c, i, j, lanes, form), lanes, form & STREAM);
}

WALK_INLINE void apply_band(const void *arg, int64_t i, int64_t j, int form)
{
    const struct gm_batchnorm_block *b = &((const struct operands *)arg)->block;
    vec y[RESULT_BAND][LINE_VECTORS];
    for (int v = 0; v < LINE_VECTORS; v++) {
        const struct columns c = columns_at(b, j + v * VEC_LANES, VEC_LANES);
        for (int r = 0; r < RESULT_BAND; r++)
            y[r][v] = applied(b, &c, i + r, j + v * VEC_LANES, VEC_LANES, form);
    }
    for (int r = 0; r < RESULT_BAND; r++)
        put_line(b->out + (i + r) * b->ldout + j, y[r], form & STREAM);
}

WALK_REST void apply_rest(const void *arg, int64_t i, int64_t j, int64_t lanes, int form)
{
    apply_vector(arg, i, j, lanes, form);
}

WALK_INLINE void apply_ahead(const void *arg, int64_t i, int64_t j, int form)
{
    const struct gm_batchnorm_block *b = &((const struct operands *)arg)->block;
    vec_prefetch(b->x + i * b->ldx + j);
    if (form & RESIDUAL)
        vec_prefetch(b->residual + i * b->ldresidual + j);
}

/* dy where the forward call's result was positive: by its mask, or computed here by the very same operations. */
WALK_INLINE vec masked(const struct gm_batchnorm_block *b, const struct columns *c, vec d, int64_t i, int64_t j,
                       int64_t lanes, int form)
{
    const vec dy = walk_load(b->dy + i * b->lddy + j, lanes);
    if (form & RESIDUAL && form & RELU)
        return vec_keep(walk_bits(b->mask + i * b->ldmask, j, lanes), dy);
    return form & RELU ? vec_select_gt(normalised(c, d), vec_zero(), dy, vec_zero()) : dy;
}

WALK_INLINE void backward_ahead(const void *arg, int64_t i, int64_t j, int form)
{
    const struct gm_batchnorm_block *b = &((const struct operands *)arg)->block;
    (void)form;
    vec_prefetch(b->x + i * b->ldx + j);
    vec_prefetch(b->dy + i * b->lddy + j);
}

/* rows is a constant. */
WALK_INLINE void sum_rows(const struct operands *o, int64_t i, int rows, int64_t j, int64_t lanes, int form)
{
    vec sum = walk_load(o->sum + j, lanes), dot = walk_load(o->dot + j, lanes);
    const struct columns c = columns_at(&o->block, j, lanes);
    for (int r = 0; r < rows; r++) {
        const vec d = deviation(&o->block, &c, i + r, j, lanes), g = masked(&o->block, &c, d, i + r, j, lanes, form);
        sum = vec_add(sum, g);
        dot = vec_fma(g, d, dot);
    }
    walk_store(o->sum + j, sum, lanes);
    walk_store(o->dot + j, dot, lanes);
}

WALK_INLINE void sum_vector(const void *arg, int64_t i, int64_t j, int64_t lanes, int form)
{
    sum_rows(arg, i, 1, j, lanes, form);
}

WALK_INLINE void sum_band(const void *arg, int64_t i, int64_t j, int form)
{
    for (int64_t lane = 0; lane < WALK_LINE; lane += VEC_LANES)
        sum_rows(arg, i, SUM_BAND, j + lane, VEC_LANES, form);
}

WALK_REST void sum_rest(const void *arg, int64_t i, int64_t j, int64_t lanes, int form)
{
    sum_rows(arg, i, 1, j, lanes, form);
}

WALK_INLINE vec gradient_of(const struct columns *c, vec g, vec d)
{
    return vec_fma(c->scale, g, vec_fma(c->slope, d, c->offset));
}

WALK_INLINE void gradient_vector(const void *arg, int64_t i, int64_t j, int64_t lanes, int form)
{
    const struct gm_batchnorm_block *b = &((const struct operands *)arg)->block;
    const struct columns c = columns_at(b, j, lanes);
    const vec d = deviation(b, &c, i, j, lanes), g = masked(b, &c, d, i, j, lanes, form);
    if (form & RESIDUAL && b->dresidual)
        walk_put(b->dresidual + i * b->lddresidual + j, g, lanes, b->stream_dresidual);
    walk_put(b->out + i * b->ldout + j, gradient_of(&c, g, d), lanes, form & STREAM);
}

WALK_INLINE void gradient_band(const void *arg, int64_t i, int64_t j, int form)
{
    const struct gm_batchnorm_block *b = &((const struct operands *)arg)->block;
    vec g[RESULT_BAND][LINE_VECTORS], dx[RESULT_BAND][LINE_VECTORS];
    for (int v = 0; v < LINE_VECTORS; v++) {
        const int64_t col = j + v * VEC_LANES;
        const struct columns c = columns_at(b, col, VEC_LANES);
        for (int r = 0; r < RESULT_BAND; r++) {
            const vec d = deviation(b, &c, i + r, col, VEC_LANES);
            g[r][v] = masked(b, &c, d, i + r, col, VEC_LANES, form);
            dx[r][v] = gradient_of(&c, g[r][v], d);
        }
    }
    for (int r = 0; r < RESULT_BAND; r++) {
        if (form & RESIDUAL && b->dresidual)
            put_line(b->dresidual + (i + r) * b->lddresidual + j, g[r], b->stream_dresidual);
        put_line(b->out + (i + r) * b->ldout + j, dx[r], form & STREAM);
    }
}

WALK_REST void gradient_rest(const void *arg, int64_t i, int64_t j, int64_t lanes, int form)
{
    gradient_vector(arg, i, j, lanes, form);
}

static void apply(const struct gm_batchnorm_block *block)
{
    const struct operands o = {.block = *block};
    const struct walk_part all = {o.block.rows, o.block.cols, 0, o.block.rows, o.block.large};
    walk_memory(apply_vector, RESULTS_IN_BANDS ? apply_band : NULL, RESULT_BAND, apply_rest, apply_ahead, &o, &all,
                FORMS, form_of(&o.block, o.block.residual));
    vec_stream_end();
}

static void sums(const struct gm_batchnorm_block *block, double *sum, double *dot)
{
    _Alignas(WALK_ALIGNMENT) float strip_sum[GM_BATCHNORM_COLS], strip_dot[GM_BATCHNORM_COLS];
    const struct operands o = {*block, strip_sum, strip_dot};
    const int64_t rows = o.block.rows, cols = o.block.cols;
    const int form = (o.block.relu ? RELU : 0) + (o.block.mask ? RESIDUAL : 0);
    memset(sum, 0, (size_t)cols * sizeof *sum);
    memset(dot, 0, (size_t)cols * sizeof *dot);
    for (int64_t i = 0; i < rows; i += STRIP) {
        const struct walk_part part = {rows, cols, i, rows - i < STRIP ? rows : i + STRIP, o.block.large};
        memset(strip_sum, 0, (size_t)cols * sizeof *strip_sum);
        memset(strip_dot, 0, (size_t)cols * sizeof *strip_dot);
        walk_memory(sum_vector, sum_band, SUM_BAND, sum_rest, backward_ahead, &o, &part, SUM_FORMS, form);
        for (int64_t j = 0; j < cols; j++) {
            sum[j] += (double)strip_sum[j];
            dot[j] += (double)strip_dot[j];
        }
    }
}

static void gradient(const struct gm_batchnorm_block *block)
{
    struct operands o = {.block = *block};
    const struct walk_part all = {o.block.rows, o.block.cols, 0, o.block.rows, o.block.large};
    o.block.stream_dresidual &= WALK_STREAMS > 1 && walk_may_stream(o.block.dresidual, o.block.lddresidual);
    walk_memory(gradient_vector, RESULTS_IN_BANDS ? gradient_band : NULL, RESULT_BAND, gradient_rest, backward_ahead,
                &o, &all, FORMS, form_of(&o.block, o.block.mask || o.block.dresidual));
    vec_stream_end();
}

const struct gm_batchnorm_kernels GM_ENTRY(gm_batchnorm_f32) = {GM_ISA_TEXT " by rows", apply, sums, gradient};
