/* gm_layernorm_*_f32() against double precision, finite differences and PyTorch. */
#include <gemel/layernorm.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "data/norm.h"
#include "support/norm.h"

static const norm_layer shapes[] = {
    {1, 1, 1, 1, false, true, 0},        {3, 2, 2, 1, false, true, 0},      {5, 5, 7, 1, true, true, 0},
    {8, 16, 19, 1, true, true, 0},       {9, 17, 17, 1, false, false, 0},   {33, 64, 64, 1, true, true, 1},
    {40, 33, 40, 1, true, false, 0},     {65, 127, 130, 1, true, true, 2},  {31, 513, 515, 1, true, true, 0},
    {66, 100, 100, 1, false, true, 1e4}, {3, 5000, 5001, 1, true, true, 0}, {2000, 24, 24, 1, true, true, 0},
};

enum { SHAPES = sizeof shapes / sizeof *shapes };

static gm_layernorm_options options_of(const norm_layer *l)
{
    gm_layernorm_options options = gm_layernorm_default_options();
    options.relu = l->relu;
    return options;
}

static norm_trial create(const norm_layer *l, uint64_t seed)
{
    return norm_trial_create(l, gm_layernorm_saved_size(l->rows), seed);
}

static gm_context *context_for(gm_isa isa, int32_t threads, const norm_trial *t)
{
    gm_context *context = test_context_with_workspace(isa, threads, 1);
    const size_t bytes = gm_layernorm_f32_workspace(context, t->layer.rows, t->layer.cols);
    ck_assert_int_eq(gm_context_reserve(context, bytes), GM_OK);
    return context;
}

/* In place without saving, so that this is tested, too. */
static void forward(gm_context *context, norm_trial *t, const float *x, float *y)
{
    const norm_layer *l = &t->layer;
    const gm_layernorm_options options = options_of(l);
    ck_assert_int_eq(gm_layernorm_forward_f32(context, l->rows, l->cols, x, l->ld, l->affine ? t->weight.data : NULL,
                                              l->affine ? t->bias.data : NULL, &options, x == y ? NULL : t->saved.data,
                                              y, l->ld),
                     GM_OK);
}

static void backward(gm_context *context, norm_trial *t, const float *dy, float *dx)
{
    const norm_layer *l = &t->layer;
    const gm_layernorm_options options = options_of(l);
    ck_assert_int_eq(gm_layernorm_backward_f32(context, l->rows, l->cols, dy, l->ld, t->x.data, l->ld,
                                               l->affine ? t->weight.data : NULL, t->saved.data, &options, dx, l->ld,
                                               t->dweight.data, t->dbias.data),
                     GM_OK);
}

static double input(const norm_trial *t, int64_t i, int64_t j)
{
    const double x = t->x.data[i * t->layer.ld + j];
    return t->layer.relu && x < 0 ? 0 : x;
}

static void statistics(const norm_trial *t, int64_t i, double *mean, double *r)
{
    const int64_t n = t->layer.cols;
    double variance = 0;
    *mean = 0;
    for (int64_t j = 0; j < n; j++)
        *mean += input(t, i, j) / (double)n;
    for (int64_t j = 0; j < n; j++)
        variance += (input(t, i, j) - *mean) * (input(t, i, j) - *mean) / (double)n;
    *r = 1 / sqrt(variance + (double)gm_layernorm_default_options().eps);
}

static void check_row(const norm_trial *t, int64_t i, double *dweight, double *dweight_terms)
{
    const norm_layer *l = &t->layer;
    const double n = (double)l->cols, u = test_unit_roundoff;
    double mean, r, sum = 0, dot = 0, sum_terms = 0, dot_terms = 0;
    statistics(t, i, &mean, &r);
    for (int64_t j = 0; j < l->cols; j++) {
        const double a = (input(t, i, j) - mean) * r, dy = t->dy.data[i * l->ld + j], h = dy * norm_weight(t, j);
        const double bias = norm_bias(t, j), scaled = a * norm_weight(t, j);
        norm_check_value(t, &t->y, i, j, scaled + bias, 16 * u * (fabs(scaled) + fabs(bias) + fabs(norm_weight(t, j))));
        sum += h;
        dot += h * a;
        sum_terms += fabs(h);
        dot_terms += fabs(h * a);
        dweight[j] += dy * a;
        dweight_terms[j] += fabs(dy * a);
    }
    for (int64_t j = 0; j < l->cols; j++) {
        const double a = (input(t, i, j) - mean) * r, h = t->dy.data[i * l->ld + j] * norm_weight(t, j);
        const bool open = !l->relu || t->x.data[i * l->ld + j] > 0;
        const double terms = fabs(h) + sum_terms / n + (1 + fabs(a)) * dot_terms / n;
        norm_check_value(t, &t->dx, i, j, open ? r * (h - sum / n - a * dot / n) : 0, 16 * u * r * terms);
    }
}

static void check_all(const norm_trial *t)
{
    const norm_layer *l = &t->layer;
    double *dweight = calloc((size_t)l->cols, sizeof *dweight), *terms = calloc((size_t)l->cols, sizeof *terms);
    for (int64_t i = 0; i < l->rows; i++)
        check_row(t, i, dweight, terms);
    for (int64_t j = 0; j < l->cols; j++) {
        double dbias = 0, dbias_terms = 0;
        for (int64_t i = 0; i < l->rows; i++) {
            dbias += t->dy.data[i * l->ld + j];
            dbias_terms += fabsf(t->dy.data[i * l->ld + j]);
        }
        if (!(fabs(t->dbias.data[j] - dbias) <= 8 * test_unit_roundoff * dbias_terms))
            ck_abort_msg("dbias[%ld] is %.9g instead of %.9g", (long)j, t->dbias.data[j], dbias);
        if (!(fabs(t->dweight.data[j] - dweight[j]) <= 16 * test_unit_roundoff * terms[j]))
            ck_abort_msg("dweight[%ld] is %.9g instead of %.9g", (long)j, t->dweight.data[j], dweight[j]);
    }
    norm_check_padding(t);
    free(dweight);
    free(terms);
}

START_TEST(errors_are_bounded)
{
    gm_isa isas[GM_ISA_COUNT];
    for (int i = 0, n = test_isas(isas); i < n; i++) {
        norm_trial t = create(&shapes[_i], (uint64_t)_i);
        gm_context *context = context_for(isas[i], 2, &t);
        forward(context, &t, t.x.data, t.y.data);
        backward(context, &t, t.dy.data, t.dx.data);
        check_all(&t);
        gm_context_destroy(context);
        norm_trial_free(&t);
    }
}
END_TEST

/* Squared errors of ours and of plain float loops. */
static void compare_with_plain_loops(const norm_trial *t, double *own, double *plain)
{
    const norm_layer *l = &t->layer;
    *own = *plain = 0;
    for (int64_t i = 0; i < l->rows; i++) {
        const float *x = t->x.data + i * l->ld, *y = t->y.data + i * l->ld;
        double exact_mean, exact_r;
        float mean = 0, variance = 0;
        statistics(t, i, &exact_mean, &exact_r);
        for (int64_t j = 0; j < l->cols; j++)
            mean += x[j];
        mean /= (float)l->cols;
        for (int64_t j = 0; j < l->cols; j++)
            variance += (x[j] - mean) * (x[j] - mean);
        const float r = 1 / sqrtf(variance / (float)l->cols + gm_layernorm_default_options().eps);
        for (int64_t j = 0; j < l->cols; j++) {
            const double exact = (x[j] - exact_mean) * exact_r * t->weight.data[j] + t->bias.data[j];
            const double by_loop = (x[j] - mean) * r * t->weight.data[j] + t->bias.data[j];
            *own += (y[j] - exact) * (y[j] - exact);
            *plain += (by_loop - exact) * (by_loop - exact);
        }
    }
}

START_TEST(rms_error_is_that_of_float32)
{
    static const norm_layer l = {48, 64, 64, 1, false, true, 0};
    gm_isa isas[GM_ISA_COUNT];
    norm_trial t = create(&l, 11);
    for (int i = 0, n = test_isas(isas); i < n; i++) {
        double own, plain;
        gm_context *context = context_for(isas[i], 1, &t);
        forward(context, &t, t.x.data, t.y.data);
        compare_with_plain_loops(&t, &own, &plain);
        ck_assert_msg(own <= 4 * plain, "%s: squared error %g, plain float %g", gm_isa_name(isas[i]), own, plain);
        gm_context_destroy(context);
    }
    norm_trial_free(&t);
}
END_TEST

/* Rows of +-1 with as many of each: mean 0, variance 1, so eps 0 gives y = x weight + bias without rounding. */
START_TEST(balanced_signs_are_exact)
{
    enum { ROWS = 37, COLS = 64 };
    gm_isa isas[GM_ISA_COUNT];
    static float x[ROWS * COLS], y[ROWS * COLS], dy[ROWS * COLS], dx[ROWS * COLS];
    float weights[COLS], bias[COLS], saved[3 * ROWS], dweight[COLS], dbias[COLS];
    gm_layernorm_options options = gm_layernorm_default_options();
    options.eps = 0;
    for (int j = 0; j < COLS; j++) {
        weights[j] = (float)(j % 5 + 1);
        bias[j] = (float)(j % 3);
    }
    for (int i = 0; i < ROWS * COLS; i++) {
        x[i] = (i / COLS + i) % 2 ? 1.0f : -1.0f;
        dy[i] = (float)(i % 7 - 3);
    }
    for (int k = 0, n = test_isas(isas); k < n; k++) {
        gm_context *context = test_context(isas[k], 1);
        ck_assert_int_eq(
            gm_layernorm_forward_f32(context, ROWS, COLS, x, COLS, weights, bias, &options, saved, y, COLS), GM_OK);
        ck_assert_int_eq(gm_layernorm_backward_f32(context, ROWS, COLS, dy, COLS, x, COLS, weights, saved, &options, dx,
                                                   COLS, dweight, dbias),
                         GM_OK);
        for (int i = 0; i < ROWS; i++) {
            float sum = 0, dot = 0;
            for (int j = 0; j < COLS; j++) {
                ck_assert(y[i * COLS + j] == x[i * COLS + j] * weights[j] + bias[j]);
                sum += dy[i * COLS + j] * weights[j];
                dot += dy[i * COLS + j] * weights[j] * x[i * COLS + j];
            }
            for (int j = 0; j < COLS; j++)
                ck_assert(dx[i * COLS + j] ==
                          dy[i * COLS + j] * weights[j] - sum / COLS - x[i * COLS + j] * dot / COLS);
        }
        for (int j = 0; j < COLS; j++) {
            float sum = 0, dot = 0;
            for (int i = 0; i < ROWS; i++) {
                sum += dy[i * COLS + j];
                dot += dy[i * COLS + j] * x[i * COLS + j];
            }
            ck_assert(dbias[j] == sum);
            ck_assert(dweight[j] == dot);
        }
        gm_context_destroy(context);
    }
}
END_TEST

START_TEST(values_are_those_of_pytorch)
{
    gm_isa isas[GM_ISA_COUNT];
    gm_layernorm_options options = gm_layernorm_default_options();
    options.relu = true;
    for (int i = 0, n = test_isas(isas); i < n; i++) {
        gm_context *context = test_context(isas[i], 1);
        float saved[15], y[35], dx[35], dweight[7], dbias[7];
        ck_assert_int_eq(gm_layernorm_forward_f32(context, 5, 7, torch_ln_x, 7, torch_ln_weight, torch_ln_bias,
                                                  &options, saved, y, 7),
                         GM_OK);
        norm_check_close("y", y, torch_ln_y, 35, 2e-6);
        ck_assert_int_eq(gm_layernorm_backward_f32(context, 5, 7, torch_ln_dy, 7, torch_ln_x, 7, torch_ln_weight, saved,
                                                   &options, dx, 7, dweight, dbias),
                         GM_OK);
        norm_check_close("dx", dx, torch_ln_dx, 35, 3e-6);
        norm_check_close("dweight", dweight, torch_ln_dweight, 7, 3e-6);
        norm_check_close("dbias", dbias, torch_ln_dbias, 7, 2e-6);
        gm_context_destroy(context);
    }
}
END_TEST

static double loss(const norm_trial *t, const double *x)
{
    const norm_layer *l = &t->layer;
    double sum = 0;
    for (int64_t i = 0; i < l->rows; i++) {
        const double *row = x + i * l->cols, n = (double)l->cols;
        double mean = 0, variance = 0;
        for (int64_t j = 0; j < l->cols; j++)
            mean += fmax(0, row[j]) / n;
        for (int64_t j = 0; j < l->cols; j++)
            variance += (fmax(0, row[j]) - mean) * (fmax(0, row[j]) - mean) / n;
        for (int64_t j = 0; j < l->cols; j++)
            sum += t->dy.data[i * l->ld + j] *
                   ((fmax(0, row[j]) - mean) / sqrt(variance + (double)gm_layernorm_default_options().eps) *
                    norm_weight(t, j));
    }
    return sum;
}

static const norm_calls calls = {create, context_for, forward, backward, loss};

START_TEST(gradient_is_the_difference_quotient)
{
    static const norm_layer l = {7, 19, 21, 1, true, true, 0.5};
    norm_check_gradient(&calls, &l);
}
END_TEST

START_TEST(in_place_gives_the_same_bits)
{
    norm_check_in_place(&calls, &shapes[7]);
}
END_TEST

START_TEST(bits_do_not_depend_on_threads)
{
    static const norm_layer l = {3000, 130, 130, 1, true, true, 0};
    norm_check_threads(&calls, &l);
}
END_TEST

/* Results of 32 MiB are written past the caches, unless they are in place. */
START_TEST(streamed_results_have_the_same_bits)
{
    static const norm_layer l = {8192, 1024, 1024, 1, true, true, 0};
    norm_trial t = create(&l, 5);
    const size_t bytes = (size_t)t.x.count * sizeof(float);
    float *copy = malloc(bytes);
    gm_isa isas[GM_ISA_COUNT];
    for (int i = 0, n = test_isas(isas); i < n; i++) {
        gm_context *context = context_for(isas[i], 2, &t);
        forward(context, &t, t.x.data, t.y.data);
        memcpy(copy, t.x.data, bytes);
        forward(context, &t, copy, copy);
        ck_assert(test_same_bits(copy, t.y.data, bytes));
        backward(context, &t, t.dy.data, t.dx.data);
        memcpy(copy, t.dy.data, bytes);
        backward(context, &t, copy, copy);
        ck_assert(test_same_bits(copy, t.dx.data, bytes));
        gm_context_destroy(context);
    }
    free(copy);
    norm_trial_free(&t);
}
END_TEST

START_TEST(not_finite_input_is_reported)
{
    gm_isa isas[GM_ISA_COUNT];
    enum { ROWS = 3, COLS = 20 };
    const float bad[] = {NAN, INFINITY};
    float x[ROWS * COLS], y[ROWS * COLS], dx[ROWS * COLS], saved[3 * ROWS];
    gm_layernorm_options options = gm_layernorm_default_options();
    options.relu = true;
    for (int k = 0, n = test_isas(isas); k < n; k++) {
        gm_context *context = test_context(isas[k], 1);
        for (int b = 0; b < 2; b++) {
            for (int i = 0; i < ROWS * COLS; i++)
                x[i] = (float)(i * 7 % 11);
            x[COLS + 19] = bad[b];
            ck_assert_int_eq(
                gm_layernorm_forward_f32(context, ROWS, COLS, x, COLS, NULL, NULL, &options, saved, y, COLS),
                GM_NOT_FINITE);
            ck_assert(isfinite(y[0]) && isnan(y[COLS + 19]) && isfinite(y[2 * COLS]));
            x[COLS + 19] = 0;
            ck_assert_int_eq(
                gm_layernorm_forward_f32(context, ROWS, COLS, x, COLS, NULL, NULL, &options, saved, y, COLS), GM_OK);
            y[COLS + 3] = bad[b];
            ck_assert_int_eq(gm_layernorm_backward_f32(context, ROWS, COLS, y, COLS, x, COLS, NULL, saved, &options, dx,
                                                       COLS, NULL, NULL),
                             GM_NOT_FINITE);
            ck_assert(isfinite(dx[1]) && !isfinite(dx[COLS + 3]));
        }
        gm_context_destroy(context);
    }
}
END_TEST

START_TEST(bad_arguments_return_their_status)
{
    gm_context *context = test_context(GM_ISA_SCALAR, 1), *bare = test_context_with_workspace(GM_ISA_SCALAR, 1, 1);
    float x[12] = {0}, y[12] = {0}, w[4] = {0}, saved[9] = {0}, sum[4];
    gm_layernorm_options fine = gm_layernorm_default_options(), cut = fine, eps = fine;
    cut.size = 4;
    eps.eps = NAN;
    const struct {
        gm_context *context;
        int64_t rows, cols, ldx, ldy;
        const float *x, *weight;
        const gm_layernorm_options *options;
        float *saved, *y, *dweight;
        gm_status forward, backward; /* x is dy and y is dx there */
    } cases[] = {
        {NULL, 3, 4, 4, 4, x, w, &fine, saved, y, sum, GM_INVALID_ARGUMENT, GM_INVALID_ARGUMENT},
        {context, 3, 4, 4, 4, NULL, w, &fine, saved, y, sum, GM_INVALID_ARGUMENT, GM_INVALID_ARGUMENT},
        {context, 3, 4, 4, 4, x, NULL, &fine, saved, y, sum, GM_INVALID_ARGUMENT, GM_OK},
        {context, 3, 4, 4, 4, x, w, &cut, saved, y, sum, GM_INVALID_ARGUMENT, GM_INVALID_ARGUMENT},
        {context, 3, 4, 4, 4, x, w, &eps, saved, y, sum, GM_INVALID_ARGUMENT, GM_INVALID_ARGUMENT},
        {context, 3, 4, 4, 4, x, w, &fine, NULL, y, sum, GM_OK, GM_INVALID_ARGUMENT},
        {context, 3, 4, 4, 4, x, w, &fine, saved, NULL, sum, GM_INVALID_ARGUMENT, GM_INVALID_ARGUMENT},
        {context, 3, 4, 4, 4, x, w, &fine, saved, y, NULL, GM_OK, GM_INVALID_ARGUMENT},
        {context, -3, 4, 4, 4, x, w, &fine, saved, y, sum, GM_INVALID_ARGUMENT, GM_INVALID_ARGUMENT},
        {context, 3, -4, 4, 4, x, w, &fine, saved, y, sum, GM_INVALID_ARGUMENT, GM_INVALID_ARGUMENT},
        {context, 3, 4, 3, 4, x, w, &fine, saved, y, sum, GM_INVALID_ARGUMENT, GM_INVALID_ARGUMENT},
        {context, 3, 4, 4, 3, x, w, &fine, saved, y, sum, GM_INVALID_ARGUMENT, GM_INVALID_ARGUMENT},
        {context, 2, 4, 5, 4, y, w, &fine, saved, y, sum, GM_INVALID_ARGUMENT, GM_INVALID_ARGUMENT},
        {context, INT64_MAX / 2, 4, 4, 4, x, w, &fine, saved, y, sum, GM_SIZE_OVERFLOW, GM_SIZE_OVERFLOW},
        {bare, 3, 4, 4, 4, x, w, &fine, saved, y, sum, GM_OK, GM_WORKSPACE_TOO_SMALL},
        {context, 0, 4, 4, 4, NULL, w, &fine, NULL, NULL, sum, GM_OK, GM_OK},
        {context, 3, 0, 4, 4, NULL, w, &fine, NULL, NULL, sum, GM_OK, GM_OK},
        {context, 3, 4, 4, 4, x, w, NULL, saved, y, sum, GM_OK, GM_OK},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        gm_status status =
            gm_layernorm_forward_f32(cases[i].context, cases[i].rows, cases[i].cols, cases[i].x, cases[i].ldx,
                                     cases[i].weight, w, cases[i].options, cases[i].saved, cases[i].y, cases[i].ldy);
        ck_assert_msg(status == cases[i].forward, "case %zu: forward: %s", i, gm_status_string(status));
        status = gm_layernorm_backward_f32(cases[i].context, cases[i].rows, cases[i].cols, cases[i].x, cases[i].ldx, x,
                                           4, cases[i].weight, cases[i].saved, cases[i].options, cases[i].y,
                                           cases[i].ldy, cases[i].dweight, sum);
        ck_assert_msg(status == cases[i].backward, "case %zu: backward: %s", i, gm_status_string(status));
    }
    gm_context_destroy(context);
    gm_context_destroy(bare);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("layernorm");
    TCase *tests = tcase_create("layernorm");
    suite_add_tcase(suite, tests);
    tcase_add_loop_test(tests, errors_are_bounded, 0, SHAPES);
    tcase_add_test(tests, rms_error_is_that_of_float32);
    tcase_add_test(tests, balanced_signs_are_exact);
    tcase_add_test(tests, values_are_those_of_pytorch);
    tcase_add_test(tests, gradient_is_the_difference_quotient);
    tcase_add_test(tests, in_place_gives_the_same_bits);
    tcase_add_test(tests, bits_do_not_depend_on_threads);
    tcase_add_test(tests, streamed_results_have_the_same_bits);
    tcase_add_test(tests, not_finite_input_is_reported);
    tcase_add_test(tests, bad_arguments_return_their_status);
    return test_run(suite);
}
