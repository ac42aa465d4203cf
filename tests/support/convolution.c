#include "support/convolution.h"

#include <gemel/column_stats.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

const conv_case conv_cases[CONV_CASES] = {
    {1, 1, 1, 1, 1, 1, 1, 1, 0, 1, 0},
    {1, 1, 1, 3, 2, 3, 3, 1, 1, 1, 1},
    {2, 5, 7, 3, 5, 3, 3, 1, 1, 2, 0},
    {2, 5, 7, 4, 33, 3, 3, 2, 1, 1, 3},
    {1, 33, 33, 3, 8, 7, 7, 2, 3, 1, 0},
    {1, 9, 11, 2, 3, 5, 5, 1, 2, 1, 2},
    {2, 28, 28, 1, 20, 3, 3, 1, 1, 2, 0},
    {3, 8, 8, 17, 19, 3, 3, 1, 1, 1, 1},
    {8, 4, 4, 20, 35, 3, 3, 1, 1, 1, 0},
    {16, 4, 4, 32, 64, 3, 3, 1, 1, 2, 0},
    {16, 7, 7, 9, 12, 3, 3, 2, 1, 2, 0},
    {2, 6, 6, 16, 40, 1, 1, 1, 0, 2, 0},
    {2, 7, 5, 16, 40, 1, 1, 2, 0, 1, 5},
    {1, 10, 10, 5, 6, 2, 2, 2, 0, 1, 0},
    {1, 7, 9, 3, 4, 3, 2, 3, 1, 1, 0},
    {2, 4, 4, 3, 3, 1, 1, 1, 1, 1, 0},
    {1, 3, 3, 2, 2, 3, 3, 1, 4, 1, 0},
    {8, 3, 3, 2, 2, 3, 3, 1, 4, 1, 0},
    {1, 12, 12, 130, 300, 3, 3, 1, 1, 1, 0},
    {1, 6, 6, 1024, 34, 1, 1, 1, 0, 1, 0},
    {8, 7, 7, 400, 33, 3, 3, 1, 1, 2, 0},
    {1, 3, 600, 100, 5, 3, 3, 1, 1, 1, 0},
    {2, 40, 41, 24, 70, 1, 1, 1, 0, 2, 0},
    {6, 14, 14, 32, 48, 3, 3, 1, 1, 3, 0},
    {4, 9, 9, 300, 270, 1, 1, 2, 0, 2, 0},
    {2, 9, 7, 24, 33, 3, 3, 2, 1, 1, 3},
    {16, 7, 7, 24, 12, 3, 3, 2, 1, 2, 0},
    {8, 3, 3, 24, 2, 3, 3, 1, 4, 1, 0},
    {1, 20, 9, 512, 3, 1, 1, 2, 0, 1, 0},
    {2, 1, 30, 3, 4, 1, 5, 2, 2, 1, 0},
    {8, 4, 13, 96, 18, 3, 3, 2, 1, 1, 0}, /* rows too short for a tile */
    {8, 3, 14, 18, 300, 1, 1, 2, 0, 1, 2},
    {4, 2, 2, 8, 24, 1, 1, 2, 0, 2, 0}, /* phases of the stride without taps, one pixel wide */
    /* Few input channels, whose data gradient adds patches up: in blocks, bands, blocks of k, without taps. */
    {1, 3, 600, 2, 10, 3, 3, 1, 1, 1, 3},
    {2, 5, 6, 3, 700, 3, 3, 1, 1, 1, 0},
    {1, 3, 3, 2, 9, 3, 3, 1, 4, 1, 0},
    {1, 7, 9, 3, 9, 3, 2, 3, 1, 1, 1},
    {17, 6, 5, 1, 12, 5, 5, 2, 2, 1, 0},
    {2, 3, 3, 2, 9, 3, 3, 5, 1, 1, 1},
};

gm_conv_shape conv_shape_of(const conv_case *c)
{
    const gm_conv_shape shape = {sizeof(gm_conv_shape), c->batch,         c->height,       c->width,  c->in_channels,
                                 c->out_channels,       c->kernel_height, c->kernel_width, c->stride, c->padding};
    return shape;
}

const char *conv_describe(const conv_case *c)
{
    static char text[160];
    snprintf(text, sizeof text, "%ld x %ldx%ldx%ld to %ld, kernel %ldx%ld, stride %ld, padding %ld", (long)c->batch,
             (long)c->height, (long)c->width, (long)c->in_channels, (long)c->out_channels, (long)c->kernel_height,
             (long)c->kernel_width, (long)c->stride, (long)c->padding);
    return text;
}

void conv_integers(test_random *random, float *x, int64_t n)
{
    test_fill_integers(random, x, n, 3);
}

void conv_normal(test_random *random, float *x, int64_t n)
{
    test_fill_normal(random, x, n, 0.1, 1);
}

static test_guard matrix(test_random *random, conv_fill numbers, int64_t rows, int64_t cols, int64_t ld)
{
    test_guard guard = test_guard_create((rows - 1) * ld + cols);
    for (int64_t i = 0; i < rows && numbers; i++)
        numbers(random, guard.data + i * ld, cols);
    return guard;
}

conv_operands conv_operands_create(const gm_context *context, const conv_case *c, bool options, bool exact,
                                   conv_fill numbers)
{
    test_random r = test_random_create((uint64_t)(c->batch * 100 + c->width));
    conv_operands o = {.c = c, .shape = conv_shape_of(c), .relu = options};
    o.in_rows = gm_conv_in_rows(&o.shape);
    o.out_rows = gm_conv_out_rows(&o.shape);
    o.ldx = c->in_channels + c->pad;
    o.ldy = c->out_channels + 2 * c->pad;
    o.depth = c->in_channels * c->kernel_height * c->kernel_width;
    o.x = matrix(&r, numbers, o.in_rows, c->in_channels, o.ldx);
    o.y = matrix(&r, NULL, o.out_rows, c->out_channels, o.ldy);
    o.dx = matrix(&r, numbers, o.in_rows, c->in_channels, o.ldx);
    o.dy = matrix(&r, numbers, o.out_rows, c->out_channels, o.ldy);
    o.residual = matrix(&r, numbers, o.out_rows, c->out_channels, o.ldy);
    o.weight = matrix(&r, numbers, c->out_channels, o.depth, o.depth);
    o.dweight = matrix(&r, NULL, c->out_channels, o.depth, o.depth);
    o.dbias = matrix(&r, NULL, 1, c->out_channels, c->out_channels);
    o.scale = matrix(&r, numbers, c->groups, c->in_channels, c->in_channels);
    o.shift = matrix(&r, numbers, c->groups, c->in_channels, c->in_channels);
    o.bias = matrix(&r, numbers, 1, c->out_channels, c->out_channels);
    test_guard_protect(&o.x);
    test_guard_protect(&o.dy);
    test_guard_protect(&o.weight);
    gm_conv_options plan_options = gm_conv_default_options();
    plan_options.groups = c->groups;
    plan_options.exact = exact;
    ck_assert_int_eq(gm_conv_plan_create(context, &o.shape, &plan_options, &o.plan), GM_OK);
    return o;
}

void conv_operands_free(conv_operands *o)
{
    test_guard *all[] = {&o->x,       &o->y,     &o->dx,    &o->dy,    &o->residual, &o->weight,
                         &o->dweight, &o->dbias, &o->scale, &o->shift, &o->bias};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        test_guard_free(all[i]);
    gm_conv_plan_destroy(o->plan);
}

gm_conv_input conv_input_of(const conv_operands *o)
{
    const gm_conv_input none = {NULL, NULL, false}, all = {o->scale.data, o->shift.data, true};
    return o->relu ? all : none;
}

void conv_reserve(gm_context *context, const conv_operands *o, gm_conv_pass pass)
{
    ck_assert_int_eq(gm_context_reserve(context, gm_conv_f32_workspace(context, o->plan, pass)), GM_OK);
}

test_guard conv_pack(gm_context *context, const conv_operands *o, gm_conv_pass pass)
{
    test_guard memory = test_guard_create((int64_t)((gm_conv_packed_f32_size(o->plan, pass) + 15) / 16 * 4));
    ck_assert_int_eq(gm_conv_pack_f32(context, o->plan, pass, o->weight.data, (gm_conv_packed *)memory.data), GM_OK);
    test_guard_protect(&memory);
    return memory;
}

gm_status conv_forward(gm_context *context, const conv_operands *o, float *mean, float *mean_low, float *variance)
{
    test_guard packed = conv_pack(context, o, GM_CONV_FORWARD);
    gm_conv_forward_options options = gm_conv_default_forward_options();
    options.input = conv_input_of(o);
    options.bias = o->relu ? o->bias.data : NULL;
    options.residual = o->relu ? o->residual.data : NULL;
    options.ldresidual = o->ldy;
    options.relu = o->relu;
    options.mean = mean;
    options.mean_low = mean_low;
    options.variance = variance;
    conv_reserve(context, o, GM_CONV_FORWARD);
    const gm_status status = gm_conv_forward_f32(context, o->plan, o->x.data, o->ldx, (gm_conv_packed *)packed.data,
                                                 &options, o->y.data, o->ldy);
    test_guard_free(&packed);
    return status;
}

void conv_data_gradient(gm_context *context, const conv_operands *o, float beta)
{
    test_guard packed = conv_pack(context, o, GM_CONV_DATA_GRADIENT);
    conv_reserve(context, o, GM_CONV_DATA_GRADIENT);
    ck_assert_int_eq(gm_conv_data_gradient_f32(context, o->plan, o->dy.data, o->ldy, (gm_conv_packed *)packed.data,
                                               beta, o->dx.data, o->ldx),
                     GM_OK);
    test_guard_free(&packed);
}

void conv_weight_gradient(gm_context *context, const conv_operands *o)
{
    const gm_conv_input input = conv_input_of(o);
    conv_reserve(context, o, GM_CONV_WEIGHT_GRADIENT);
    ck_assert_int_eq(gm_conv_weight_gradient_f32(context, o->plan, o->dy.data, o->ldy, o->x.data, o->ldx, &input,
                                                 o->dweight.data, o->dbias.data),
                     GM_OK);
}

void conv_check_statistics(gm_context *context, const conv_operands *o)
{
    const int64_t columns = o->c->groups * o->c->out_channels;
    float *got = malloc((size_t)(5 * columns) * sizeof *got), *mean = got + 3 * columns, *variance = mean + columns;
    ck_assert_int_eq(conv_forward(context, o, got, got + columns, got + 2 * columns), GM_OK);
    gm_column_stats_options options = gm_column_stats_default_options();
    options.groups = o->c->groups;
    gm_context_reserve(context, gm_column_stats_f32_workspace(context, o->out_rows, o->c->out_channels, &options));
    ck_assert_int_eq(
        gm_column_stats_f32(context, o->out_rows, o->c->out_channels, o->y.data, o->ldy, &options, mean, variance),
        GM_OK);
    for (int64_t j = 0; j < columns; j++) {
        ck_assert_double_le(fabs(got[j] - mean[j]), 2e-6 * (fabs(mean[j]) + sqrt(variance[j])));
        ck_assert_double_le(fabs(got[columns + j]), 1e-7 * fabs(got[j]));
        ck_assert_double_le(fabs(got[2 * columns + j] - variance[j]), 5e-6 * variance[j]);
    }
    free(got);
}
