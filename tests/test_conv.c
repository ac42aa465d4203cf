/* Convolution and its gradients against the definition in double. */
#include <gemel/column_stats.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "support/convolution.h"

/* A result in double, and the magnitudes whose sum bounds its error. */
typedef struct reference {
    double *value, *magnitude;
} reference;

static reference reference_create(int64_t count)
{
    const reference r = {calloc((size_t)count, sizeof(double)), calloc((size_t)count, sizeof(double))};
    return r;
}

static void reference_free(reference *r)
{
    free(r->value);
    free(r->magnitude);
}

static void reference_add(reference *r, int64_t at, double x, double magnitude)
{
    r->value[at] += x;
    r->magnitude[at] += fabs(magnitude);
}

/* x of one image as it is read; *magnitude: of the terms of its line. */
static double read_x(const conv_operands *o, int64_t row, int64_t k, double *magnitude)
{
    const conv_case *c = o->c;
    const double x = o->x.data[row * o->ldx + k];
    *magnitude = fabs(x);
    if (!o->relu)
        return x;
    const int64_t line = row / (o->in_rows / c->groups) * c->in_channels + k;
    const double scale = o->scale.data[line], shift = o->shift.data[line];
    *magnitude = fabs(scale * x) + fabs(shift);
    return fmax(0, scale * x + shift);
}

/* Calls visit for every pair of an output and an input pixel that a tap connects. */
typedef void (*visitor)(const conv_operands *o, int64_t out, int64_t in, int64_t tap, reference *r);

static void visit_taps(const conv_operands *o, visitor visit, reference *r)
{
    const conv_case *c = o->c;
    const int64_t height = gm_conv_out_height(&o->shape), width = gm_conv_out_width(&o->shape);
    for (int64_t out = 0; out < o->out_rows; out++) {
        const int64_t image = out / (height * width), row = out / width % height, col = out % width;
        for (int64_t tap = 0; tap < c->kernel_height * c->kernel_width; tap++) {
            const int64_t h = row * c->stride - c->padding + tap / c->kernel_width;
            const int64_t w = col * c->stride - c->padding + tap % c->kernel_width;
            if (0 <= h && h < c->height && 0 <= w && w < c->width)
                visit(o, out, (image * c->height + h) * c->width + w, tap, r);
        }
    }
}

static double weight_of(const conv_operands *o, int64_t out, int64_t in, int64_t tap)
{
    return o->weight.data[(out * o->c->in_channels + in) * o->c->kernel_height * o->c->kernel_width + tap];
}

static void visit_forward(const conv_operands *o, int64_t out, int64_t in, int64_t tap, reference *r)
{
    for (int64_t k = 0; k < o->c->in_channels; k++) {
        double magnitude;
        const double x = read_x(o, in, k, &magnitude);
        for (int64_t j = 0; j < o->c->out_channels; j++) {
            const double w = weight_of(o, j, k, tap);
            reference_add(r, out * o->c->out_channels + j, x * w, magnitude * w);
        }
    }
}

static void visit_data_gradient(const conv_operands *o, int64_t out, int64_t in, int64_t tap, reference *r)
{
    for (int64_t j = 0; j < o->c->out_channels; j++) {
        const double dy = o->dy.data[out * o->ldy + j];
        for (int64_t k = 0; k < o->c->in_channels; k++) {
            const double w = weight_of(o, j, k, tap);
            reference_add(r, in * o->c->in_channels + k, dy * w, dy * w);
        }
    }
}

static void visit_weight_gradient(const conv_operands *o, int64_t out, int64_t in, int64_t tap, reference *r)
{
    for (int64_t k = 0; k < o->c->in_channels; k++) {
        double magnitude;
        const double x = read_x(o, in, k, &magnitude);
        for (int64_t j = 0; j < o->c->out_channels; j++) {
            const double dy = o->dy.data[out * o->ldy + j];
            reference_add(r, j * o->depth + k * o->c->kernel_height * o->c->kernel_width + tap, x * dy, magnitude * dy);
        }
    }
}

static void finish_forward(const conv_operands *o, reference *r)
{
    for (int64_t i = 0; i < o->out_rows && o->relu; i++) {
        for (int64_t j = 0; j < o->c->out_channels; j++) {
            const int64_t at = i * o->c->out_channels + j;
            const double bias = o->bias.data[j], residual = o->residual.data[i * o->ldy + j];
            reference_add(r, at, bias, bias);
            reference_add(r, at, residual, residual);
            r->value[at] = fmax(0, r->value[at]);
        }
    }
}

/* tolerance: of each element, in its magnitude; padding still holds its NaN. */
static void check_matrix(const conv_operands *o, const char *what, const float *x, int64_t rows, int64_t cols,
                         int64_t ld, const reference *r, double tolerance)
{
    for (int64_t i = 0; i < rows; i++) {
        for (int64_t j = 0; j < cols; j++) {
            const int64_t at = i * cols + j;
            if (!(fabs(x[i * ld + j] - r->value[at]) <= tolerance * r->magnitude[at]))
                ck_abort_msg("%s: %s (%ld, %ld) is %.9g, not %.9g", conv_describe(o->c), what, (long)i, (long)j,
                             (double)x[i * ld + j], r->value[at]);
        }
        for (int64_t j = cols; j < ld && i < rows - 1; j++)
            ck_assert_msg(isnan(x[i * ld + j]), "%s: %s wrote beyond its columns", conv_describe(o->c), what);
    }
}

/* All passes of a case; each sum of n terms may be off by `unit` (n + 6) of its magnitude. */
static void check_case(gm_context *context, const conv_case *c, bool options, conv_fill numbers, double unit)
{
    conv_operands o = conv_operands_create(context, c, options, true, numbers);
    const double pixels = (double)o.out_rows, taps = (double)(c->kernel_height * c->kernel_width);

    reference y = reference_create(o.out_rows * c->out_channels);
    visit_taps(&o, visit_forward, &y);
    finish_forward(&o, &y);
    ck_assert_int_eq(conv_forward(context, &o, NULL, NULL, NULL), GM_OK);
    check_matrix(&o, "y", o.y.data, o.out_rows, c->out_channels, o.ldy, &y, unit * ((double)o.depth + 6));

    reference dx = reference_create(o.in_rows * c->in_channels);
    for (int64_t i = 0; i < o.in_rows && options; i++)
        for (int64_t k = 0; k < c->in_channels; k++)
            reference_add(&dx, i * c->in_channels + k, o.dx.data[i * o.ldx + k], o.dx.data[i * o.ldx + k]);
    visit_taps(&o, visit_data_gradient, &dx);
    if (!options)
        test_fill_nan(o.dx.data, o.dx.count);
    conv_data_gradient(context, &o, options ? 1 : 0);
    check_matrix(&o, "dx", o.dx.data, o.in_rows, c->in_channels, o.ldx, &dx,
                 unit * ((double)c->out_channels * taps + 6));

    reference dweight = reference_create(c->out_channels * o.depth), dbias = reference_create(c->out_channels);
    visit_taps(&o, visit_weight_gradient, &dweight);
    for (int64_t i = 0; i < o.out_rows; i++)
        for (int64_t j = 0; j < c->out_channels; j++)
            reference_add(&dbias, j, o.dy.data[i * o.ldy + j], o.dy.data[i * o.ldy + j]);
    conv_weight_gradient(context, &o);
    check_matrix(&o, "dweight", o.dweight.data, c->out_channels, o.depth, o.depth, &dweight, unit * (pixels + 6));
    check_matrix(&o, "dbias", o.dbias.data, 1, c->out_channels, c->out_channels, &dbias, 1e-6);
    reference_free(&y);
    reference_free(&dx);
    reference_free(&dweight);
    reference_free(&dbias);
    conv_operands_free(&o);
}

static void check_all(conv_fill numbers, double unit)
{
    gm_isa isas[GM_ISA_COUNT];
    for (int i = 0, count = test_isas(isas); i < count; i++) {
        for (int n = 0; n < 2 * CONV_CASES; n++) {
            gm_context *context = test_context_with_workspace(isas[i], 1 + n % 3, 1);
            check_case(context, &conv_cases[n / 2], n % 2, numbers, unit);
            gm_context_destroy(context);
        }
    }
}

START_TEST(small_integers_are_exact)
{
    check_all(conv_integers, 0);
}
END_TEST

START_TEST(errors_are_within_the_bounds)
{
    check_all(conv_normal, test_unit_roundoff);
}
END_TEST

/* Beside the bounds, which a product of bfloat16 would keep for a long sum: as good as a loop in float. */
START_TEST(errors_are_those_of_float)
{
    const conv_case c = {2, 6, 6, 256, 32, 3, 3, 1, 1, 1, 0};
    gm_isa isas[GM_ISA_COUNT];
    for (int i = 0, count = test_isas(isas); i < count; i++) {
        gm_context *context = test_context(isas[i], 2);
        conv_operands o = conv_operands_create(context, &c, false, true, conv_normal);
        reference y = reference_create(o.out_rows * c.out_channels), dw = reference_create(c.out_channels * o.depth);
        visit_taps(&o, visit_forward, &y);
        ck_assert_int_eq(conv_forward(context, &o, NULL, NULL, NULL), GM_OK);
        ck_assert_double_le(test_relative_error(o.y.data, y.value, o.y.count), 3e-6);
        visit_taps(&o, visit_weight_gradient, &dw);
        conv_weight_gradient(context, &o);
        ck_assert_double_le(test_relative_error(o.dweight.data, dw.value, o.dweight.count), 1e-6);
        reference_free(&y);
        reference_free(&dw);
        conv_operands_free(&o);
        gm_context_destroy(context);
    }
}
END_TEST

START_TEST(bits_do_not_depend_on_threads)
{
    static const int32_t threads[] = {1, 2, 3, 7};
    gm_isa isas[GM_ISA_COUNT];
    for (int i = 0, count = test_isas(isas); i < count; i++) {
        for (int n = 0; n < CONV_CASES; n++) {
            const conv_case *c = &conv_cases[n];
            float *first[4] = {NULL};
            const size_t stats = (size_t)(c->groups * c->out_channels) * sizeof(float);
            for (int t = 0; t < 4; t++) {
                gm_context *context = test_context_with_workspace(isas[i], threads[t], 1);
                conv_operands o = conv_operands_create(context, c, true, true, conv_normal);
                float *mean = malloc(3 * stats);
                conv_forward(context, &o, mean, mean + stats / 4, mean + stats / 2);
                conv_data_gradient(context, &o, 1);
                conv_weight_gradient(context, &o);
                const float *results[] = {o.y.data, o.dx.data, o.dweight.data, mean};
                const size_t bytes[] = {(size_t)o.y.count * 4, (size_t)o.dx.count * 4, (size_t)o.dweight.count * 4,
                                        3 * stats};
                for (int k = 0; k < 4; k++) {
                    if (t == 0)
                        first[k] = memcpy(malloc(bytes[k]), results[k], bytes[k]);
                    ck_assert_msg(test_same_bits(first[k], results[k], bytes[k]), "%s: result %d", conv_describe(c), k);
                }
                free(mean);
                conv_operands_free(&o);
                gm_context_destroy(context);
            }
            for (int k = 0; k < 4; k++)
                free(first[k]);
        }
    }
}
END_TEST

/* The statistics of y as column_stats finds them. */
START_TEST(statistics_are_those_of_the_result)
{
    gm_isa isas[GM_ISA_COUNT];
    for (int i = 0, count = test_isas(isas); i < count; i++) {
        for (int n = 0; n < CONV_CASES; n++) {
            const conv_case *c = &conv_cases[n];
            gm_context *context = test_context(isas[i], 2);
            conv_operands o = conv_operands_create(context, c, true, true, conv_normal);
            conv_check_statistics(context, &o);
            conv_operands_free(&o);
            gm_context_destroy(context);
        }
    }
}
END_TEST

START_TEST(a_statistic_that_is_not_finite_is_reported)
{
    gm_context *context = test_context(GM_ISA_AUTO, 2);
    conv_operands o = conv_operands_create(context, &conv_cases[2], true, true, conv_normal);
    float mean[10], low[10], variance[10];
    ck_assert_int_eq(conv_forward(context, &o, mean, low, variance), GM_OK);
    o.bias.data[3] = INFINITY;
    ck_assert_int_eq(conv_forward(context, &o, mean, low, variance), GM_NOT_FINITE);
    ck_assert_int_eq(conv_forward(context, &o, NULL, NULL, NULL), GM_OK);
    conv_operands_free(&o);
    gm_context_destroy(context);
}
END_TEST

START_TEST(the_residual_may_be_the_result)
{
    for (int n = 0; n < CONV_CASES; n++) {
        gm_context *context = test_context(GM_ISA_AUTO, 2);
        conv_operands o = conv_operands_create(context, &conv_cases[n], true, true, conv_normal);
        conv_forward(context, &o, NULL, NULL, NULL);
        float *apart = memcpy(malloc((size_t)o.y.count * 4), o.y.data, (size_t)o.y.count * 4);
        memcpy(o.y.data, o.residual.data, (size_t)o.y.count * 4);
        float *const residual = o.residual.data;
        o.residual.data = o.y.data;
        conv_forward(context, &o, NULL, NULL, NULL);
        o.residual.data = residual;
        ck_assert(test_same_bits(apart, o.y.data, (size_t)o.y.count * 4));
        free(apart);
        conv_operands_free(&o);
        gm_context_destroy(context);
    }
}
END_TEST

/* Plans that share packed weights: another batch, size of image and number of groups. */
START_TEST(packed_weights_serve_other_images)
{
    gm_context *context = test_context(GM_ISA_AUTO, 2);
    const conv_case other = {3, 11, 9, 3, 5, 3, 3, 1, 1, 3, 0};
    conv_operands o = conv_operands_create(context, &conv_cases[2], false, true, conv_normal),
                  p = conv_operands_create(context, &other, false, true, conv_normal);
    for (int pass = GM_CONV_FORWARD; pass <= GM_CONV_DATA_GRADIENT; pass++) {
        test_guard packed = conv_pack(context, &o, pass);
        conv_reserve(context, &p, pass);
        ck_assert_int_eq(pass == GM_CONV_FORWARD
                             ? gm_conv_forward_f32(context, p.plan, p.x.data, p.ldx, (gm_conv_packed *)packed.data,
                                                   NULL, p.y.data, p.ldy)
                             : gm_conv_data_gradient_f32(context, p.plan, p.dy.data, p.ldy,
                                                         (gm_conv_packed *)packed.data, 0, p.dx.data, p.ldx),
                         GM_OK);
        test_guard_free(&packed);
    }
    conv_operands_free(&o);
    conv_operands_free(&p);
    gm_context_destroy(context);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("conv");
    TCase *tests = tcase_create("conv");
    suite_add_tcase(suite, tests);
    tcase_add_test(tests, small_integers_are_exact);
    tcase_add_test(tests, errors_are_within_the_bounds);
    tcase_add_test(tests, errors_are_those_of_float);
    tcase_add_test(tests, bits_do_not_depend_on_threads);
    tcase_add_test(tests, statistics_are_those_of_the_result);
    tcase_add_test(tests, a_statistic_that_is_not_finite_is_reported);
    tcase_add_test(tests, the_residual_may_be_the_result);
    tcase_add_test(tests, packed_weights_serve_other_images);
    return test_run(suite);
}
