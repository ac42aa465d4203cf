/* Winograd's convolutions, both sizes of tiles, against the definition in double; and where they are chosen. */
#include <gemel/column_stats.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "conv/conv.h"
#include "support/convolution.h"

static const conv_case cases[] = {
    {2, 1, 1, 3, 2, 3, 3, 1, 1, 1, 0},     {1, 5, 7, 3, 5, 3, 3, 1, 1, 1, 1},
    {2, 3, 3, 20, 7, 3, 3, 1, 0, 2, 0},    {2, 5, 7, 33, 40, 3, 3, 1, 2, 1, 3},
    {4, 9, 8, 16, 32, 3, 3, 1, 1, 2, 0},   {1, 33, 33, 24, 17, 3, 3, 1, 1, 1, 0},
    {6, 14, 14, 70, 35, 3, 3, 1, 1, 3, 1}, {4, 7, 7, 130, 150, 3, 3, 1, 1, 2, 0},
    {1, 3, 130, 9, 9, 3, 3, 1, 1, 1, 0},   {1, 12, 12, 512, 40, 3, 3, 1, 1, 1, 0},
    {2, 10, 9, 40, 512, 3, 3, 1, 0, 1, 0},
};
enum { CASES = sizeof cases / sizeof *cases };

static const struct gm_conv_algorithm *const algorithms[] = {&gm_conv_winograd_2, &gm_conv_winograd_4};

static conv_operands operands_for(const gm_context *context, const conv_case *c, int algorithm, bool options,
                                  conv_fill numbers)
{
    const conv_operands o = conv_operands_create(context, c, options, false, numbers);
    for (int pass = 0; pass < GM_CONV_PASSES; pass++)
        o.plan->algorithm[pass] = algorithms[algorithm];
    return o;
}

static double *zeros(int64_t count)
{
    return calloc((size_t)count, sizeof(double));
}

/* x as it is read. */
static double *read_x(const conv_operands *o)
{
    const int64_t channels = o->c->in_channels, group_rows = o->in_rows / o->c->groups;
    double *x = zeros(o->in_rows * channels);
    for (int64_t i = 0; i < o->in_rows * channels; i++) {
        const int64_t row = i / channels, k = i % channels, line = row / group_rows * channels + k;
        x[i] = o->x.data[row * o->ldx + k];
        if (o->relu)
            x[i] = fmax(0, x[i] * o->scale.data[line] + o->shift.data[line]);
    }
    return x;
}

/* The three results in double: y before bias and residual, dx and dweight. */
typedef struct results {
    double *y, *dx, *dweight;
} results;

static void add_pixels(const conv_operands *o, const double *x, int64_t out, int64_t in, int64_t tap, const results *r)
{
    const int64_t channels = o->c->in_channels, filters = o->c->out_channels;
    for (int64_t j = 0; j < filters; j++) {
        const double dy = o->dy.data[out * o->ldy + j];
        for (int64_t k = 0; k < channels; k++) {
            const int64_t at = (j * channels + k) * 9 + tap;
            const double w = o->weight.data[at];
            r->y[out * filters + j] += x[in * channels + k] * w;
            r->dx[in * channels + k] += dy * w;
            r->dweight[at] += x[in * channels + k] * dy;
        }
    }
}

static results results_create(const conv_operands *o)
{
    const conv_case *c = o->c;
    const int64_t height = gm_conv_out_height(&o->shape), width = gm_conv_out_width(&o->shape);
    const results r = {zeros(o->out_rows * c->out_channels), zeros(o->in_rows * c->in_channels),
                       zeros(c->out_channels * o->depth)};
    double *x = read_x(o);
    for (int64_t out = 0; out < o->out_rows; out++) {
        for (int64_t tap = 0; tap < 9; tap++) {
            const int64_t h = out / width % height - c->padding + tap / 3, w = out % width - c->padding + tap % 3;
            if (0 <= h && h < c->height && 0 <= w && w < c->width)
                add_pixels(o, x, out, (out / (height * width) * c->height + h) * c->width + w, tap, &r);
        }
    }
    free(x);
    return r;
}

static void results_free(results *r)
{
    free(r->y);
    free(r->dx);
    free(r->dweight);
}

static void finish_y(const conv_operands *o, double *y)
{
    for (int64_t i = 0; i < o->out_rows; i++)
        for (int64_t j = 0; j < o->c->out_channels && o->relu; j++) {
            double *at = y + i * o->c->out_channels + j;
            *at = fmax(0, *at + (double)o->bias.data[j] + (double)o->residual.data[i * o->ldy + j]);
        }
}

/* Of a matrix whose rows are padded; what pads them must be NaN still. */
static double error_of(const float *x, int64_t rows, int64_t cols, int64_t ld, const double *expected)
{
    float *plain = malloc((size_t)(rows * cols) * sizeof *plain);
    for (int64_t i = 0; i < rows; i++) {
        memcpy(plain + i * cols, x + i * ld, (size_t)cols * sizeof *plain);
        for (int64_t j = cols; j < ld && i < rows - 1; j++)
            ck_assert_float_nan(x[i * ld + j]);
    }
    const double error = test_relative_error(plain, expected, rows * cols);
    free(plain);
    return error;
}

static void check_case(gm_context *context, const conv_case *c, int algorithm, bool options, conv_fill numbers,
                       double bound)
{
    conv_operands o = operands_for(context, c, algorithm, options, numbers);
    results r = results_create(&o);
    const char *name = algorithms[algorithm]->name;

    finish_y(&o, r.y);
    ck_assert_int_eq(conv_forward(context, &o, NULL, NULL, NULL), GM_OK);
    const double y_error = error_of(o.y.data, o.out_rows, c->out_channels, o.ldy, r.y);
    ck_assert_msg(y_error <= bound, "%s, %s: y is %g off", conv_describe(c), name, y_error);

    for (int64_t i = 0; i < o.in_rows * c->in_channels && options; i++)
        r.dx[i] += (double)o.dx.data[i / c->in_channels * o.ldx + i % c->in_channels];
    if (!options)
        test_fill_nan(o.dx.data, o.dx.count);
    conv_data_gradient(context, &o, options ? 1 : 0);
    const double dx_error = error_of(o.dx.data, o.in_rows, c->in_channels, o.ldx, r.dx);
    ck_assert_msg(dx_error <= bound, "%s, %s: dx is %g off", conv_describe(c), name, dx_error);

    conv_weight_gradient(context, &o);
    const double dw_error = error_of(o.dweight.data, c->out_channels, o.depth, o.depth, r.dweight);
    ck_assert_msg(dw_error <= bound, "%s, %s: dweight is %g off", conv_describe(c), name, dw_error);
    results_free(&r);
    conv_operands_free(&o);
}

static void check_all(int algorithm, conv_fill numbers, double bound)
{
    gm_isa isas[GM_ISA_COUNT];
    for (int i = 0, count = test_isas(isas); i < count; i++) {
        for (int n = 0; n < 2 * CASES; n++) {
            gm_context *context = test_context_with_workspace(isas[i], 1 + n % 3, 1);
            check_case(context, &cases[n / 2], algorithm, n % 2, numbers, bound);
            gm_context_destroy(context);
        }
    }
}

START_TEST(errors_are_small_in_the_norm)
{
    check_all(0, conv_normal, 1e-6);
    check_all(1, conv_normal, 5e-6);
}
END_TEST

/* The matrices of 2x2 tiles hold halves and ones. */
START_TEST(small_integers_are_exact_with_tiles_of_2x2)
{
    check_all(0, conv_integers, 0);
}
END_TEST

/* 512 channels: 2.1e-6 was measured, a loop in float has 1.2e-6. */
START_TEST(errors_grow_slowly_with_the_channels)
{
    static const conv_case deep = {1, 8, 8, 512, 64, 3, 3, 1, 1, 1, 0};
    gm_isa isas[GM_ISA_COUNT];
    for (int i = 0, count = test_isas(isas); i < count; i++) {
        gm_context *context = test_context(isas[i], 2);
        check_case(context, &deep, 1, false, conv_normal, 3e-6);
        gm_context_destroy(context);
    }
}
END_TEST

/* y with statistics, dx and dweight of one call of each pass, one after the other. */
static float *all_results(gm_isa isa, int32_t threads, const conv_case *c, int algorithm, int64_t *count)
{
    gm_context *context = test_context_with_workspace(isa, threads, 1);
    conv_operands o = operands_for(context, c, algorithm, true, conv_normal);
    const int64_t stats = c->groups * c->out_channels;
    *count = o.y.count + o.dx.count + o.dweight.count + 3 * stats;
    float *all = malloc((size_t)*count * sizeof *all), *mean = all, *next = all + 3 * stats;
    ck_assert_int_eq(conv_forward(context, &o, mean, mean + stats, mean + 2 * stats), GM_OK);
    conv_data_gradient(context, &o, 1);
    conv_weight_gradient(context, &o);
    const test_guard *outputs[] = {&o.y, &o.dx, &o.dweight};
    for (int i = 0; i < 3; next += outputs[i++]->count)
        memcpy(next, outputs[i]->data, (size_t)outputs[i]->count * sizeof *next);
    conv_operands_free(&o);
    gm_context_destroy(context);
    return all;
}

START_TEST(bits_do_not_depend_on_threads)
{
    static const int32_t threads[] = {2, 3, 7};
    const conv_case *c = &cases[_i / 2];
    gm_isa isas[GM_ISA_COUNT];
    for (int i = 0, isa_count = test_isas(isas); i < isa_count; i++) {
        int64_t count;
        float *one = all_results(isas[i], 1, c, _i % 2, &count);
        for (int t = 0; t < 3; t++) {
            float *more = all_results(isas[i], threads[t], c, _i % 2, &count);
            ck_assert_msg(test_same_bits(one, more, (size_t)count * sizeof *one), "%s", conv_describe(c));
            free(more);
        }
        free(one);
    }
}
END_TEST

START_TEST(statistics_are_those_of_the_result)
{
    gm_isa isas[GM_ISA_COUNT];
    for (int i = 0, isa_count = test_isas(isas); i < isa_count; i++) {
        for (int n = 0; n < 2 * CASES; n++) {
            const conv_case *c = &cases[n / 2];
            gm_context *context = test_context(isas[i], 2);
            conv_operands o = operands_for(context, c, n % 2, true, conv_normal);
            conv_check_statistics(context, &o);
            conv_operands_free(&o);
            gm_context_destroy(context);
        }
    }
}
END_TEST

START_TEST(the_choice_follows_the_shape)
{
    static const struct {
        conv_case c;
        const char *name, *packed_once;
    } choices[] = {
        {{16, 56, 56, 64, 64, 3, 3, 1, 1, 1, 0}, "winograd 4x4", "winograd 4x4"},
        {{64, 4, 4, 512, 512, 3, 3, 1, 1, 1, 0}, "winograd 4x4", "winograd 4x4"},
        {{16, 7, 7, 512, 512, 3, 3, 1, 1, 1, 0}, "winograd 4x4", "winograd 4x4"},
        {{1, 7, 7, 512, 512, 3, 3, 1, 1, 1, 0}, "implicit gemm", "winograd 2x2"},
        {{1, 14, 14, 256, 256, 3, 3, 1, 1, 1, 0}, "winograd 2x2", "winograd 4x4"},
        {{1, 4, 4, 512, 512, 3, 3, 1, 1, 1, 0}, "implicit gemm", "implicit gemm"},
        {{64, 6, 6, 256, 256, 3, 3, 1, 1, 1, 0}, "winograd 2x2", "winograd 2x2"},
        {{64, 32, 32, 3, 64, 3, 3, 1, 1, 1, 0}, "implicit gemm", "implicit gemm"},
        {{16, 56, 56, 64, 64, 3, 3, 2, 1, 1, 0}, "implicit gemm", "implicit gemm"},
        {{16, 56, 56, 64, 64, 3, 3, 1, 3, 1, 0}, "implicit gemm", "implicit gemm"},
        {{1, 8, 4096, 64, 64, 3, 3, 1, 1, 1, 0}, "implicit gemm", "implicit gemm"},
    };
    gm_context *context = test_context(GM_ISA_AUTO, 1);
    for (size_t i = 0; i < sizeof choices / sizeof *choices; i++) {
        const gm_conv_shape shape = conv_shape_of(&choices[i].c);
        gm_conv_options options = gm_conv_default_options();
        for (int k = 0; k < 4; k++) {
            gm_conv_plan *plan;
            options.exact = k & 1;
            options.packed_once = k & 2;
            ck_assert_int_eq(gm_conv_plan_create(context, &shape, &options, &plan), GM_OK);
            const char *name = gm_conv_algorithm(plan, GM_CONV_FORWARD);
            const char *expected = options.packed_once ? choices[i].packed_once : choices[i].name;
            ck_assert_msg(!strcmp(name, options.exact ? "implicit gemm" : expected), "%s: %s",
                          conv_describe(&choices[i].c), name);
            gm_conv_plan_destroy(plan);
        }
    }
    gm_context_destroy(context);
}
END_TEST

/* Larger tiles, with more weights, pay from some number of images on. */
START_TEST(packed_weights_do_not_shrink_with_the_batch)
{
    static const int64_t channels[] = {3, 64, 512};
    gm_context *context = test_context(GM_ISA_AUTO, 1);
    gm_conv_options options = gm_conv_default_options();
    options.packed_once = _i == 1;
    for (int64_t side = 1; side <= 14; side++)
        for (int k = 0; k < 9; k++) {
            size_t least[2] = {0, 0};
            for (int64_t batch = 1; batch <= 80; batch++) {
                const conv_case c = {batch, side, side + k % 2, channels[k / 3], channels[k % 3], 3, 3, 1, 1, 1, 0};
                const gm_conv_shape shape = conv_shape_of(&c);
                gm_conv_plan *plan;
                ck_assert_int_eq(gm_conv_plan_create(context, &shape, &options, &plan), GM_OK);
                for (int pass = 0; pass < 2; pass++) {
                    const size_t bytes = gm_conv_packed_f32_size(plan, pass ? GM_CONV_DATA_GRADIENT : GM_CONV_FORWARD);
                    if (bytes < least[pass])
                        ck_abort_msg("%s, pass %d", conv_describe(&c), pass);
                    least[pass] = bytes;
                }
                gm_conv_plan_destroy(plan);
            }
        }
    gm_context_destroy(context);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("conv_winograd");
    TCase *tests = tcase_create("conv_winograd");
    suite_add_tcase(suite, tests);
    tcase_add_test(tests, errors_are_small_in_the_norm);
    tcase_add_test(tests, small_integers_are_exact_with_tiles_of_2x2);
    tcase_add_test(tests, errors_grow_slowly_with_the_channels);
    tcase_add_loop_test(tests, bits_do_not_depend_on_threads, 0, 2 * CASES);
    tcase_add_test(tests, statistics_are_those_of_the_result);
    tcase_add_test(tests, the_choice_follows_the_shape);
    tcase_add_loop_test(tests, packed_weights_do_not_shrink_with_the_batch, 0, 2);
    return test_run(suite);
}
