/* gm_batchnorm_*_f32() against double precision, finite differences and PyTorch. */
#include <gemel/batchnorm.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "data/norm.h"
#include "support/norm.h"

static const norm_layer shapes[] = {
    {2, 1, 1, 1, false, false, 0},      {3, 5, 5, 1, true, true, 0},       {8, 16, 19, 2, true, true, 0},
    {9, 17, 17, 3, false, true, 0},     {40, 33, 40, 1, true, false, 0},   {66, 64, 64, 2, true, true, 1e4},
    {131, 65, 67, 1, true, true, 0},    {258, 129, 129, 3, true, true, 3}, {300, 513, 515, 1, true, true, 0},
    {1024, 96, 96, 2, false, true, 0},  {9000, 7, 9, 2, true, true, 0},    {140000, 1, 1, 2, false, true, 0},
    {12, 1030, 1030, 4, true, true, 0},
};

enum { SHAPES = sizeof shapes / sizeof *shapes };

static gm_batchnorm_options options_of(const norm_layer *l)
{
    gm_batchnorm_options options = gm_batchnorm_default_options();
    options.groups = l->groups;
    options.relu = l->relu;
    return options;
}

static norm_trial create(const norm_layer *l, uint64_t seed)
{
    return norm_trial_create(l, gm_batchnorm_saved_size(l->cols, l->groups), seed);
}

static gm_context *context_for(gm_isa isa, int32_t threads, const norm_trial *t)
{
    const gm_batchnorm_options options = options_of(&t->layer);
    gm_context *context = test_context_with_workspace(isa, threads, 1);
    const size_t bytes = gm_batchnorm_f32_workspace(context, t->layer.rows, t->layer.cols, &options);
    ck_assert_int_eq(gm_context_reserve(context, bytes), GM_OK);
    return context;
}

static void forward(gm_context *context, norm_trial *t, const float *x, float *y)
{
    const norm_layer *l = &t->layer;
    const gm_batchnorm_options options = options_of(l);
    ck_assert_int_eq(gm_batchnorm_forward_f32(context, l->rows, l->cols, x, l->ld, l->affine ? t->weight.data : NULL,
                                              l->affine ? t->bias.data : NULL, &options, t->running_mean.data,
                                              t->running_variance.data, t->saved.data, y, l->ld),
                     GM_OK);
}

static void backward(gm_context *context, norm_trial *t, const float *dy, float *dx)
{
    const norm_layer *l = &t->layer;
    const gm_batchnorm_options options = options_of(l);
    ck_assert_int_eq(gm_batchnorm_backward_f32(context, l->rows, l->cols, dy, l->ld, t->x.data, l->ld,
                                               l->affine ? t->weight.data : NULL, l->affine ? t->bias.data : NULL,
                                               t->saved.data, &options, dx, l->ld, t->dweight.data, t->dbias.data),
                     GM_OK);
}

/* Statistics of one column of one group, and the layer at one place, in double. */
typedef struct column {
    double mean, variance, r, weight, bias;
} column;

static column column_of(const norm_trial *t, int64_t group, int64_t j)
{
    const norm_layer *l = &t->layer;
    const int64_t n = l->rows / l->groups;
    const float *x = t->x.data + group * n * l->ld + j;
    column c = {.weight = norm_weight(t, j), .bias = norm_bias(t, j)};
    for (int64_t i = 0; i < n; i++)
        c.mean += x[i * l->ld] / (double)n;
    for (int64_t i = 0; i < n; i++)
        c.variance += (x[i * l->ld] - c.mean) * (x[i * l->ld] - c.mean) / (double)n;
    c.r = 1 / sqrt(c.variance + (double)gm_batchnorm_default_options().eps);
    return c;
}

/* Each element within k roundings of its terms. Where the mean is far away, the input's own spacing sets no limit:
 * the reference reads the same rounded inputs. */
static void check_forward(const norm_trial *t)
{
    const norm_layer *l = &t->layer;
    const int64_t n = l->rows / l->groups;
    for (int64_t group = 0; group < l->groups; group++) {
        for (int64_t j = 0; j < l->cols; j++) {
            const column c = column_of(t, group, j);
            for (int64_t i = group * n; i < (group + 1) * n; i++) {
                const double scaled = (t->x.data[i * l->ld + j] - c.mean) * c.r * c.weight, v = scaled + c.bias;
                const double expected = l->relu && v < 0 ? 0 : v;
                const double bound = 16 * test_unit_roundoff * (fabs(scaled) + fabs(c.bias) + fabs(c.weight));
                norm_check_value(t, &t->y, i, j, expected, bound);
            }
        }
    }
}

/* The mask is the one of the forward call's y, so that values next to 0 do not disturb. */
static double masked_dy(const norm_trial *t, int64_t i, int64_t j)
{
    const int64_t at = i * t->layer.ld + j;
    return t->layer.relu && !(t->y.data[at] > 0) ? 0 : t->dy.data[at];
}

static void check_backward(const norm_trial *t)
{
    const norm_layer *l = &t->layer;
    const int64_t n = l->rows / l->groups;
    for (int64_t j = 0; j < l->cols; j++) {
        double dweight = 0, dbias = 0, dweight_terms = 0, dbias_terms = 0;
        for (int64_t group = 0; group < l->groups; group++) {
            const column c = column_of(t, group, j);
            double sum = 0, dot = 0, sum_terms = 0, dot_terms = 0;
            for (int64_t i = group * n; i < (group + 1) * n; i++) {
                const double g = masked_dy(t, i, j), a = (t->x.data[i * l->ld + j] - c.mean) * c.r;
                sum += g;
                dot += g * a;
                sum_terms += fabs(g);
                dot_terms += fabs(g * a);
            }
            for (int64_t i = group * n; i < (group + 1) * n; i++) {
                const double g = masked_dy(t, i, j), a = (t->x.data[i * l->ld + j] - c.mean) * c.r;
                const double expected = c.weight * c.r * (g - sum / (double)n - a * dot / (double)n);
                const double terms = fabs(g) + sum_terms / (double)n + (1 + fabs(a)) * dot_terms / (double)n;
                norm_check_value(t, &t->dx, i, j, expected, 16 * test_unit_roundoff * fabs(c.weight) * c.r * terms);
            }
            dbias += sum;
            dweight += dot;
            dbias_terms += sum_terms;
            dweight_terms += dot_terms;
        }
        ck_assert(fabs(t->dweight.data[j] - dweight) <= 16 * test_unit_roundoff * dweight_terms);
        ck_assert(fabs(t->dbias.data[j] - dbias) <= 8 * test_unit_roundoff * dbias_terms);
    }
}

START_TEST(errors_are_bounded)
{
    gm_isa isas[GM_ISA_COUNT];
    for (int i = 0, n = test_isas(isas); i < n; i++) {
        norm_trial t = create(&shapes[_i], (uint64_t)_i);
        gm_context *context = context_for(isas[i], 2, &t);
        forward(context, &t, t.x.data, t.y.data);
        backward(context, &t, t.dy.data, t.dx.data);
        check_forward(&t);
        check_backward(&t);
        norm_check_padding(&t);
        gm_context_destroy(context);
        norm_trial_free(&t);
    }
}
END_TEST

/* What plain float loops do, which the kernels may not be twice as far off. */
static double naive_error(const norm_trial *t, const double *expected, double *own_error)
{
    const norm_layer *l = &t->layer;
    double error = 0;
    *own_error = 0;
    for (int64_t j = 0; j < l->cols; j++) {
        float mean = 0, variance = 0;
        for (int64_t i = 0; i < l->rows; i++)
            mean += t->x.data[i * l->ld + j];
        mean /= (float)l->rows;
        for (int64_t i = 0; i < l->rows; i++)
            variance += (t->x.data[i * l->ld + j] - mean) * (t->x.data[i * l->ld + j] - mean);
        const float r = 1 / sqrtf(variance / (float)l->rows + gm_batchnorm_default_options().eps);
        for (int64_t i = 0; i < l->rows; i++) {
            const float y = (t->x.data[i * l->ld + j] - mean) * r * t->weight.data[j] + t->bias.data[j];
            const double exact = expected[i * l->cols + j];
            error += (y - exact) * (y - exact);
            *own_error += (t->y.data[i * l->ld + j] - exact) * (t->y.data[i * l->ld + j] - exact);
        }
    }
    return error;
}

START_TEST(rms_error_is_that_of_float32)
{
    static const norm_layer l = {64, 48, 48, 1, false, true, 0};
    gm_isa isas[GM_ISA_COUNT];
    double expected[64 * 48], own;
    norm_trial t = create(&l, 11);
    for (int64_t j = 0; j < l.cols; j++) {
        const column c = column_of(&t, 0, j);
        for (int64_t i = 0; i < l.rows; i++)
            expected[i * l.cols + j] = (t.x.data[i * l.ld + j] - c.mean) * c.r * c.weight + c.bias;
    }
    for (int i = 0, n = test_isas(isas); i < n; i++) {
        gm_context *context = context_for(isas[i], 1, &t);
        forward(context, &t, t.x.data, t.y.data);
        const double naive = naive_error(&t, expected, &own);
        ck_assert_msg(own <= 4 * naive, "%s: squared error %g, plain float %g", gm_isa_name(isas[i]), own, naive);
        gm_context_destroy(context);
    }
    norm_trial_free(&t);
}
END_TEST

/* Columns of +-1 with as many of each: mean 0, variance 1, so eps 0 gives y = x weight + bias without rounding. */
START_TEST(balanced_signs_are_exact)
{
    enum { ROWS = 64, COLS = 37 };
    gm_isa isas[GM_ISA_COUNT];
    static float x[ROWS * COLS], y[ROWS * COLS], dy[ROWS * COLS], dx[ROWS * COLS];
    float weight[COLS], bias[COLS], saved[3 * COLS], dweight[COLS], dbias[COLS];
    gm_batchnorm_options options = gm_batchnorm_default_options();
    options.eps = 0;
    options.relu = true;
    for (int j = 0; j < COLS; j++) {
        weight[j] = (float)(j % 5 + 1);
        bias[j] = (float)(j % 3);
        for (int i = 0; i < ROWS; i++)
            x[i * COLS + j] = (i + j) % 2 ? 1.0f : -1.0f;
    }
    for (int i = 0; i < ROWS * COLS; i++)
        dy[i] = (float)(i % 7 - 3);
    for (int k = 0, n = test_isas(isas); k < n; k++) {
        gm_context *context = test_context(isas[k], 1);
        ck_assert_int_eq(
            gm_batchnorm_forward_f32(context, ROWS, COLS, x, COLS, weight, bias, &options, NULL, NULL, saved, y, COLS),
            GM_OK);
        ck_assert_int_eq(gm_batchnorm_backward_f32(context, ROWS, COLS, dy, COLS, x, COLS, weight, bias, saved,
                                                   &options, dx, COLS, dweight, dbias),
                         GM_OK);
        for (int j = 0; j < COLS; j++) {
            float sum = 0, dot = 0;
            for (int i = 0; i < ROWS; i++) {
                const float v = x[i * COLS + j] * weight[j] + bias[j];
                ck_assert(y[i * COLS + j] == (v > 0 ? v : 0));
                sum += v > 0 ? dy[i * COLS + j] : 0;
                dot += v > 0 ? dy[i * COLS + j] * x[i * COLS + j] : 0;
            }
            ck_assert(dbias[j] == sum);
            ck_assert(dweight[j] == dot);
            for (int i = 0; i < ROWS; i++) {
                const float g = y[i * COLS + j] > 0 ? dy[i * COLS + j] : 0;
                ck_assert(dx[i * COLS + j] == weight[j] * (g - sum / ROWS - x[i * COLS + j] * dot / ROWS));
            }
        }
        gm_context_destroy(context);
    }
}
END_TEST

START_TEST(values_are_those_of_pytorch)
{
    gm_isa isas[GM_ISA_COUNT];
    gm_batchnorm_options options = gm_batchnorm_default_options();
    options.groups = 2;
    options.relu = true;
    for (int i = 0, n = test_isas(isas); i < n; i++) {
        gm_context *context = test_context(isas[i], 1);
        float mean[5], variance[5], saved[30], y[60], dx[60], dweight[5], dbias[5];
        memcpy(mean, torch_bn_running_mean_before, sizeof mean);
        memcpy(variance, torch_bn_running_variance_before, sizeof variance);
        ck_assert_int_eq(gm_batchnorm_forward_f32(context, 12, 5, torch_bn_x, 5, torch_bn_weight, torch_bn_bias,
                                                  &options, mean, variance, saved, y, 5),
                         GM_OK);
        norm_check_close("y", y, torch_bn_y, 60, 2e-6);
        norm_check_close("running mean", mean, torch_bn_running_mean, 5, 3e-7);
        norm_check_close("running variance", variance, torch_bn_running_variance, 5, 3e-7);
        ck_assert_int_eq(gm_batchnorm_backward_f32(context, 12, 5, torch_bn_dy, 5, torch_bn_x, 5, torch_bn_weight,
                                                   torch_bn_bias, saved, &options, dx, 5, dweight, dbias),
                         GM_OK);
        norm_check_close("dx", dx, torch_bn_dx, 60, 3e-6);
        norm_check_close("dweight", dweight, torch_bn_dweight, 5, 3e-6);
        norm_check_close("dbias", dbias, torch_bn_dbias, 5, 2e-6);
        options.relu = false;
        ck_assert_int_eq(gm_batchnorm_infer_f32(context, 12, 5, torch_bn_x, 5, torch_bn_weight, torch_bn_bias, mean,
                                                variance, &options, y, 5),
                         GM_OK);
        norm_check_close("inference", y, torch_bn_infer, 60, 2e-6);
        options.relu = true;
        gm_context_destroy(context);
    }
}
END_TEST

/* With the mask that ReLU had at the trial's own x. */
static double loss(const norm_trial *t, const double *x)
{
    const norm_layer *l = &t->layer;
    const int64_t n = l->rows / l->groups;
    double sum = 0;
    for (int64_t group = 0; group < l->groups; group++) {
        for (int64_t j = 0; j < l->cols; j++) {
            double mean = 0, variance = 0;
            for (int64_t i = group * n; i < (group + 1) * n; i++)
                mean += x[i * l->cols + j] / (double)n;
            for (int64_t i = group * n; i < (group + 1) * n; i++)
                variance += (x[i * l->cols + j] - mean) * (x[i * l->cols + j] - mean) / (double)n;
            const double r = 1 / sqrt(variance + (double)gm_batchnorm_default_options().eps);
            for (int64_t i = group * n; i < (group + 1) * n; i++)
                sum += masked_dy(t, i, j) * ((x[i * l->cols + j] - mean) * r * norm_weight(t, j) + norm_bias(t, j));
        }
    }
    return sum;
}

static const norm_calls calls = {create, context_for, forward, backward, loss};

START_TEST(gradient_is_the_difference_quotient)
{
    static const norm_layer l = {12, 19, 21, 2, true, true, 0.5};
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
    static const norm_layer l = {4000, 130, 130, 2, true, true, 0};
    norm_check_threads(&calls, &l);
}
END_TEST

START_TEST(not_finite_input_is_reported)
{
    gm_isa isas[GM_ISA_COUNT];
    enum { ROWS = 40, COLS = 20 };
    float x[ROWS * COLS], y[ROWS * COLS], dx[ROWS * COLS], saved[3 * COLS];
    gm_batchnorm_options options = gm_batchnorm_default_options();
    options.relu = true;
    for (int k = 0, n = test_isas(isas); k < n; k++) {
        gm_context *context = test_context(isas[k], 1);
        for (int i = 0; i < ROWS * COLS; i++)
            x[i] = (float)(i * 7 % 11);
        x[31 * COLS + 19] = NAN;
        ck_assert_int_eq(
            gm_batchnorm_forward_f32(context, ROWS, COLS, x, COLS, NULL, NULL, &options, NULL, NULL, saved, y, COLS),
            GM_NOT_FINITE);
        ck_assert(isfinite(y[18]) && isnan(y[19]));
        x[31 * COLS + 19] = 0;
        ck_assert_int_eq(
            gm_batchnorm_forward_f32(context, ROWS, COLS, x, COLS, NULL, NULL, &options, NULL, NULL, saved, y, COLS),
            GM_OK);
        options.relu = false;
        y[3] = INFINITY;
        ck_assert_int_eq(gm_batchnorm_backward_f32(context, ROWS, COLS, y, COLS, x, COLS, NULL, NULL, saved, &options,
                                                   dx, COLS, NULL, NULL),
                         GM_NOT_FINITE);
        ck_assert(isfinite(dx[2]) && !isfinite(dx[3]));
        options.relu = true;
        gm_context_destroy(context);
    }
}
END_TEST

/* A column that does not vary has y = bias and no gradient but through the bias; eps 0 makes it infinite. */
START_TEST(constant_columns_give_the_bias)
{
    gm_isa isas[GM_ISA_COUNT];
    enum { ROWS = 50, COLS = 3 };
    float x[ROWS * COLS], y[ROWS * COLS], saved[3 * COLS];
    const float weight[COLS] = {1, 2, 3}, bias[COLS] = {4, 5, 6};
    gm_batchnorm_options options = gm_batchnorm_default_options();
    for (int i = 0; i < ROWS * COLS; i++)
        x[i] = 0.1f + (float)(i % COLS);
    for (int k = 0, n = test_isas(isas); k < n; k++) {
        gm_context *context = test_context(isas[k], 1);
        options.eps = 1e-5f;
        ck_assert_int_eq(
            gm_batchnorm_forward_f32(context, ROWS, COLS, x, COLS, weight, bias, &options, NULL, NULL, saved, y, COLS),
            GM_OK);
        for (int i = 0; i < ROWS * COLS; i++)
            ck_assert(y[i] == bias[i % COLS]);
        options.eps = 0;
        ck_assert_int_eq(
            gm_batchnorm_forward_f32(context, ROWS, COLS, x, COLS, weight, bias, &options, NULL, NULL, saved, y, COLS),
            GM_NOT_FINITE);
        gm_context_destroy(context);
    }
}
END_TEST

START_TEST(bad_arguments_return_their_status)
{
    gm_context *context = test_context(GM_ISA_SCALAR, 1), *bare = test_context_with_workspace(GM_ISA_SCALAR, 1, 1);
    float x[16] = {0}, y[16], w[4] = {1, 1, 1, 1}, v[4] = {1, 1, 1, 1}, saved[24];
    gm_batchnorm_options fine = gm_batchnorm_default_options(), three = fine, four = fine, none = fine, cut = fine,
                         eps = fine, momentum = fine;
    three.groups = 3;
    four.groups = 4;
    none.groups = 0;
    cut.size = 4;
    eps.eps = -1;
    momentum.momentum = NAN;
    const struct {
        gm_context *context;
        int64_t rows, cols, ldx, ldy;
        const float *x, *weight, *bias;
        const gm_batchnorm_options *options;
        float *mean, *variance, *saved, *y;
        gm_status forward, infer;
    } cases[] = {
        {NULL, 4, 4, 4, 4, x, w, w, &fine, w, v, saved, y, GM_INVALID_ARGUMENT, GM_INVALID_ARGUMENT},
        {context, 4, 4, 4, 4, NULL, w, w, &fine, w, v, saved, y, GM_INVALID_ARGUMENT, GM_INVALID_ARGUMENT},
        {context, 4, 4, 4, 4, x, NULL, w, &fine, w, v, saved, y, GM_INVALID_ARGUMENT, GM_INVALID_ARGUMENT},
        {context, 4, 4, 4, 4, x, w, NULL, &fine, w, v, saved, y, GM_INVALID_ARGUMENT, GM_INVALID_ARGUMENT},
        {context, 4, 4, 4, 4, x, w, w, &fine, NULL, v, saved, y, GM_INVALID_ARGUMENT, GM_INVALID_ARGUMENT},
        {context, 4, 4, 4, 4, x, w, w, &fine, w, NULL, saved, y, GM_INVALID_ARGUMENT, GM_INVALID_ARGUMENT},
        {context, 4, 4, 4, 4, x, w, w, &fine, w, v, NULL, y, GM_INVALID_ARGUMENT, GM_OK},
        {context, 4, 4, 4, 4, x, w, w, &fine, w, v, saved, NULL, GM_INVALID_ARGUMENT, GM_INVALID_ARGUMENT},
        {context, -4, 4, 4, 4, x, w, w, &fine, w, v, saved, y, GM_INVALID_ARGUMENT, GM_INVALID_ARGUMENT},
        {context, 4, -4, 4, 4, x, w, w, &fine, w, v, saved, y, GM_INVALID_ARGUMENT, GM_INVALID_ARGUMENT},
        {context, 4, 4, 3, 4, x, w, w, &fine, w, v, saved, y, GM_INVALID_ARGUMENT, GM_INVALID_ARGUMENT},
        {context, 4, 4, 4, 3, x, w, w, &fine, w, v, saved, y, GM_INVALID_ARGUMENT, GM_INVALID_ARGUMENT},
        {context, 3, 4, 4, 5, y, w, w, &fine, w, v, saved, y, GM_INVALID_ARGUMENT, GM_INVALID_ARGUMENT},
        {context, 4, 4, 4, 4, x, w, w, &three, w, v, saved, y, GM_INVALID_ARGUMENT, GM_OK},
        {context, 4, 4, 4, 4, x, w, w, &four, w, v, saved, y, GM_INVALID_ARGUMENT, GM_OK},
        {context, 4, 4, 4, 4, x, w, w, &none, w, v, saved, y, GM_INVALID_ARGUMENT, GM_OK},
        {context, 4, 4, 4, 4, x, w, w, &cut, w, v, saved, y, GM_INVALID_ARGUMENT, GM_INVALID_ARGUMENT},
        {context, 4, 4, 4, 4, x, w, w, &eps, w, v, saved, y, GM_INVALID_ARGUMENT, GM_INVALID_ARGUMENT},
        {context, 4, 4, 4, 4, x, w, w, &momentum, w, v, saved, y, GM_INVALID_ARGUMENT, GM_OK},
        {context, INT64_MAX / 2, 4, 4, 4, x, w, w, &fine, w, v, saved, y, GM_SIZE_OVERFLOW, GM_SIZE_OVERFLOW},
        {bare, 4, 4, 4, 4, x, w, w, &fine, w, v, saved, y, GM_WORKSPACE_TOO_SMALL, GM_WORKSPACE_TOO_SMALL},
        {context, 1, 4, 4, 4, x, w, w, &fine, w, v, saved, y, GM_INVALID_ARGUMENT, GM_OK},
        {context, 0, 4, 4, 4, NULL, w, w, &fine, w, v, saved, NULL, GM_INVALID_ARGUMENT, GM_OK},
        {context, 4, 0, 4, 4, NULL, w, w, &fine, w, v, NULL, NULL, GM_OK, GM_OK},
        {context, 4, 4, 4, 4, x, NULL, NULL, NULL, NULL, NULL, saved, y, GM_OK, GM_INVALID_ARGUMENT},
        {context, 4, 4, 4, 4, x, w, w, NULL, w, v, saved, y, GM_OK, GM_OK},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const gm_status trained = gm_batchnorm_forward_f32(
            cases[i].context, cases[i].rows, cases[i].cols, cases[i].x, cases[i].ldx, cases[i].weight, cases[i].bias,
            cases[i].options, cases[i].mean, cases[i].variance, cases[i].saved, cases[i].y, cases[i].ldy);
        ck_assert_msg(trained == cases[i].forward, "case %zu: forward: %s", i, gm_status_string(trained));
        const gm_status inferred = gm_batchnorm_infer_f32(
            cases[i].context, cases[i].rows, cases[i].cols, cases[i].x, cases[i].ldx, cases[i].weight, cases[i].bias,
            cases[i].mean, cases[i].variance, cases[i].options, cases[i].y, cases[i].ldy);
        ck_assert_msg(inferred == cases[i].infer, "case %zu: infer: %s", i, gm_status_string(inferred));
    }
    gm_context_destroy(context);
    gm_context_destroy(bare);
}
END_TEST

START_TEST(bad_arguments_of_the_backward_call)
{
    gm_context *context = test_context(GM_ISA_SCALAR, 1), *bare = test_context_with_workspace(GM_ISA_SCALAR, 1, 1);
    const float x[16] = {0}, dy[16] = {0}, w[4] = {0}, saved[12] = {0};
    float dx[16], dw[4], db[4];
    gm_batchnorm_options cut = gm_batchnorm_default_options();
    cut.size = 4;
    const struct {
        gm_context *context;
        int64_t rows, ldx;
        const float *dy, *x, *weight, *saved;
        const gm_batchnorm_options *options;
        float *dx, *dweight, *dbias;
        gm_status status;
    } cases[] = {
        {NULL, 4, 4, dy, x, w, saved, NULL, dx, dw, db, GM_INVALID_ARGUMENT},
        {context, 4, 4, NULL, x, w, saved, NULL, dx, dw, db, GM_INVALID_ARGUMENT},
        {context, 4, 4, dy, NULL, w, saved, NULL, dx, dw, db, GM_INVALID_ARGUMENT},
        {context, 4, 4, dy, x, NULL, saved, NULL, dx, dw, db, GM_INVALID_ARGUMENT},
        {context, 4, 4, dy, x, w, NULL, NULL, dx, dw, db, GM_INVALID_ARGUMENT},
        {context, 4, 4, dy, x, w, saved, &cut, dx, dw, db, GM_INVALID_ARGUMENT},
        {context, 4, 4, dy, x, w, saved, NULL, NULL, dw, db, GM_INVALID_ARGUMENT},
        {context, 4, 4, dy, x, w, saved, NULL, dx, NULL, db, GM_INVALID_ARGUMENT},
        {context, 4, 4, dy, x, w, saved, NULL, dx, dw, NULL, GM_INVALID_ARGUMENT},
        {context, 4, 3, dy, x, w, saved, NULL, dx, dw, db, GM_INVALID_ARGUMENT},
        {context, 1, 4, dy, x, w, saved, NULL, dx, dw, db, GM_INVALID_ARGUMENT},
        {context, INT64_MAX / 2, 4, dy, x, w, saved, NULL, dx, dw, db, GM_SIZE_OVERFLOW},
        {bare, 4, 4, dy, x, w, saved, NULL, dx, dw, db, GM_WORKSPACE_TOO_SMALL},
        {context, 4, 4, dy, x, w, saved, NULL, dx, dw, db, GM_OK},
        {context, 4, 4, dy, x, w, saved, NULL, dx, NULL, NULL, GM_OK},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const gm_status status = gm_batchnorm_backward_f32(
            cases[i].context, cases[i].rows, 4, cases[i].dy, 4, cases[i].x, cases[i].ldx, cases[i].weight, w,
            cases[i].saved, cases[i].options, cases[i].dx, 4, cases[i].dweight, cases[i].dbias);
        ck_assert_msg(status == cases[i].status, "case %zu: %s", i, gm_status_string(status));
    }
    gm_context_destroy(context);
    gm_context_destroy(bare);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("batchnorm");
    TCase *tests = tcase_create("batchnorm");
    suite_add_tcase(suite, tests);
    tcase_add_loop_test(tests, errors_are_bounded, 0, SHAPES);
    tcase_add_test(tests, rms_error_is_that_of_float32);
    tcase_add_test(tests, balanced_signs_are_exact);
    tcase_add_test(tests, values_are_those_of_pytorch);
    tcase_add_test(tests, gradient_is_the_difference_quotient);
    tcase_add_test(tests, in_place_gives_the_same_bits);
    tcase_add_test(tests, bits_do_not_depend_on_threads);
    tcase_add_test(tests, not_finite_input_is_reported);
    tcase_add_test(tests, constant_columns_give_the_bias);
    tcase_add_test(tests, bad_arguments_return_their_status);
    tcase_add_test(tests, bad_arguments_of_the_backward_call);
    return test_run(suite);
}
