/* gm_model against a forward pass in double precision, its finite differences, and its own promises. */
#include <gemel/model.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "support/support.h"

static gm_model *create(gm_context *context, const gm_model_options *options)
{
    gm_model *model;
    const gm_status status = gm_model_create(context, options, &model);
    ck_assert_msg(status == GM_OK, "model: %s", gm_status_string(status));
    return model;
}

/* Small enough for finite differences of every weight. */
enum { IN = 5, HIDDEN = 7, OUT = 3, ROWS = 6, VIEWS = 2, ALL = ROWS * VIEWS, WIDE = 8 };

static gm_model_options small_options(gm_arch arch)
{
    gm_model_options options = gm_model_default_options(IN, ROWS);
    options.arch = arch;
    options.hidden_size = HIDDEN;
    options.projection_dim = OUT;
    options.seed = 5;
    return options;
}

/* Weights with nothing special about them: no bias at 0, no scale at 1. */
static void stir(gm_model *model)
{
    test_random random = test_random_create(11);
    for (int32_t i = 0; i < gm_model_parameter_count(model); i++) {
        const gm_parameter p = gm_model_parameter(model, i);
        for (int64_t j = 0; j < p.count && p.gradient; j++)
            p.value[j] += 0.3f * (float)test_random_normal(&random);
    }
}

/* The reference: matrices [ALL, cols] in double, cols <= WIDE. */
typedef double matrix[ALL][WIDE];

static void dense(matrix x, int in, int out, const double *w)
{
    for (int i = 0; i < ALL; i++) {
        double y[WIDE] = {0};
        for (int o = 0; o < out; o++)
            for (int j = 0; j < in; j++)
                y[o] += x[i][j] * w[o * in + j];
        memcpy(x[i], y, sizeof y);
    }
}

static void bias(matrix x, int cols, const double *b, bool relu)
{
    for (int i = 0; i < ALL; i++)
        for (int j = 0; j < cols; j++)
            x[i][j] = relu ? fmax(0, x[i][j] + b[j]) : x[i][j] + b[j];
}

static void batchnorm_relu(matrix x, int cols, const double *w, const double *b)
{
    for (int g = 0; g < VIEWS; g++)
        for (int j = 0; j < cols; j++) {
            double mean = 0, variance = 0;
            for (int i = g * ROWS; i < (g + 1) * ROWS; i++)
                mean += x[i][j] / ROWS;
            for (int i = g * ROWS; i < (g + 1) * ROWS; i++)
                variance += (x[i][j] - mean) * (x[i][j] - mean) / ROWS;
            for (int i = g * ROWS; i < (g + 1) * ROWS; i++)
                x[i][j] = fmax(0, (x[i][j] - mean) / sqrt(variance + 1e-5) * w[j] + b[j]);
        }
}

static void layernorm(matrix x, int cols, const double *w, const double *b)
{
    for (int i = 0; i < ALL; i++) {
        double mean = 0, variance = 0;
        for (int j = 0; j < cols; j++)
            mean += x[i][j] / cols;
        for (int j = 0; j < cols; j++)
            variance += (x[i][j] - mean) * (x[i][j] - mean) / cols;
        for (int j = 0; j < cols; j++)
            x[i][j] = (x[i][j] - mean) / sqrt(variance + 1e-5) * w[j] + b[j];
    }
}

/* A model's parameters in double, one array each, in the order of gm_model_parameter(). */
typedef struct weights {
    double *values[32];
    int64_t counts[32];
    int32_t count;
} weights;

static weights copy_weights(const gm_model *model)
{
    weights w = {.count = gm_model_parameter_count(model)};
    for (int32_t i = 0; i < w.count; i++) {
        const gm_parameter p = gm_model_parameter(model, i);
        w.counts[i] = p.count;
        w.values[i] = malloc((size_t)p.count * sizeof(double));
        for (int64_t j = 0; j < p.count; j++)
            w.values[i][j] = p.value[j];
    }
    return w;
}

static void free_weights(weights *w)
{
    for (int32_t i = 0; i < w->count; i++)
        free(w->values[i]);
}

static void reference_mlp(const weights *w, matrix x)
{
    double *const *p = w->values;
    const int widths[] = {IN, HIDDEN, HIDDEN, OUT, OUT, OUT};
    for (int layer = 0; layer < 5; layer++, p += 5) {
        dense(x, widths[layer], widths[layer + 1], p[0]);
        if (layer < 4)
            batchnorm_relu(x, widths[layer + 1], p[1], p[2]);
    }
}

static void reference_axon(const weights *w, matrix x)
{
    double *const *p = w->values;
    for (int layer = 0; layer < 3; layer++, p += 4) {
        dense(x, layer ? HIDDEN : IN, HIDDEN, p[0]);
        bias(x, HIDDEN, p[1], true);
        layernorm(x, HIDDEN, p[2], p[3]);
    }
    dense(x, HIDDEN, HIDDEN, p[0]);
    bias(x, HIDDEN, p[1], true);
    dense(x, HIDDEN, OUT, p[2]);
    bias(x, OUT, p[3], false);
}

static void reference(gm_arch arch, const weights *w, const float *x, matrix z)
{
    for (int i = 0; i < ALL; i++)
        for (int j = 0; j < IN; j++)
            z[i][j] = x[i * IN + j];
    (arch == GM_ARCH_MLP ? reference_mlp : reference_axon)(w, z);
}

/* L = sum z dz, whose gradient with respect to z is dz. */
static double reference_loss(gm_arch arch, const weights *w, const float *x, const float *dz)
{
    matrix z;
    reference(arch, w, x, z);
    double loss = 0;
    for (int i = 0; i < ALL; i++)
        for (int j = 0; j < OUT; j++)
            loss += z[i][j] * dz[i * OUT + j];
    return loss;
}

static void check_output(gm_arch arch, const weights *w, const float *x, const float *z)
{
    matrix exact;
    double flat[ALL * OUT];
    reference(arch, w, x, exact);
    for (int i = 0; i < ALL * OUT; i++)
        flat[i] = exact[i / OUT][i % OUT];
    ck_assert_double_lt(test_relative_error(z, flat, ALL * OUT), 2e-6);
}

static void check_gradient(gm_arch arch, weights *w, int32_t index, const gm_parameter *p, const float *x,
                           const float *dz)
{
    const double h = 1e-6;
    double *difference = malloc((size_t)p->count * sizeof *difference);
    for (int64_t j = 0; j < p->count; j++) {
        double *value = &w->values[index][j];
        const double before = *value;
        *value = before + h;
        const double up = reference_loss(arch, w, x, dz);
        *value = before - h;
        difference[j] = (up - reference_loss(arch, w, x, dz)) / (2 * h);
        *value = before;
    }
    const double error = test_relative_error(p->gradient, difference, p->count);
    ck_assert_msg(error < 2e-5, "gradient of %s is off by %.2g", p->name, error);
    free(difference);
}

START_TEST(gradients_are_finite_differences)
{
    gm_isa isas[GM_ISA_COUNT];
    test_random random = test_random_create(3);
    float x[ALL * IN], dz[ALL * OUT], z[ALL * OUT], used[ALL * OUT];
    test_fill_normal(&random, x, ALL * IN, 0, 1);
    test_fill_normal(&random, dz, ALL * OUT, 0, 1);
    for (int i = 0, n = test_isas(isas); i < n; i++)
        for (int arch = 0; arch <= GM_ARCH_AXON; arch++) {
            gm_context *context = test_context(isas[i], 2);
            const gm_model_options options = small_options((gm_arch)arch);
            gm_model *model = create(context, &options);
            stir(model);
            weights w = copy_weights(model);
            ck_assert_int_eq(gm_model_forward_f32(model, VIEWS, ROWS, x, IN, z, OUT), GM_OK);
            check_output((gm_arch)arch, &w, x, z);
            memcpy(used, dz, sizeof dz);
            ck_assert_int_eq(gm_model_backward_f32(model, used, OUT), GM_OK);
            for (int32_t p = 0; p < w.count; p++) {
                const gm_parameter parameter = gm_model_parameter(model, p);
                if (parameter.gradient)
                    check_gradient((gm_arch)arch, &w, p, &parameter, x, dz);
            }
            free_weights(&w);
            gm_model_destroy(model);
            gm_context_destroy(context);
        }
}
END_TEST

/* A model that was planned for more rows and views, with padded matrices, gives the same numbers. */
START_TEST(smaller_batches_and_padding_change_nothing)
{
    gm_context *context = test_context(GM_ISA_AUTO, 2);
    test_random random = test_random_create(4);
    float x[ALL * IN], z[ALL * OUT], dz[ALL * OUT], wide_x[ALL * (IN + 2)], wide_z[ALL * (OUT + 3)];
    test_fill_normal(&random, x, ALL * IN, 0, 1);
    for (int arch = 0; arch <= GM_ARCH_AXON; arch++) {
        gm_model_options options = small_options((gm_arch)arch);
        gm_model *exact = create(context, &options);
        options.batch = 40;
        options.views = 3;
        gm_model *larger = create(context, &options);
        for (int i = 0; i < ALL; i++)
            memcpy(wide_x + i * (IN + 2), x + i * IN, IN * sizeof *x);
        test_fill_nan(wide_z, ALL * (OUT + 3));
        ck_assert_int_eq(gm_model_forward_f32(exact, VIEWS, ROWS, x, IN, z, OUT), GM_OK);
        ck_assert_int_eq(gm_model_forward_f32(larger, VIEWS, ROWS, wide_x, IN + 2, wide_z, OUT + 3), GM_OK);
        for (int i = 0; i < ALL; i++) {
            ck_assert(test_same_bits(z + i * OUT, wide_z + i * (OUT + 3), OUT * sizeof *z));
            for (int j = OUT; j < OUT + 3; j++)
                ck_assert(isnan(wide_z[i * (OUT + 3) + j]));
        }
        memcpy(dz, z, sizeof z);
        ck_assert_int_eq(gm_model_backward_f32(exact, dz, OUT), GM_OK);
        ck_assert_int_eq(gm_model_backward_f32(larger, wide_z, OUT + 3), GM_OK);
        for (int32_t i = 0; i < gm_model_parameter_count(exact); i++) {
            const gm_parameter a = gm_model_parameter(exact, i), b = gm_model_parameter(larger, i);
            ck_assert(!a.gradient || test_same_bits(a.gradient, b.gradient, (size_t)a.count * sizeof(float)));
        }
        gm_model_destroy(exact);
        gm_model_destroy(larger);
    }
    gm_context_destroy(context);
}
END_TEST

START_TEST(parameters_are_named_as_sequentials_number_them)
{
    static const char *const mlp[] = {"encoder.0.weight",         "encoder.1.weight",         "encoder.1.bias",
                                      "encoder.1.running_mean",   "encoder.1.running_var",    "encoder.3.weight",
                                      "encoder.4.weight",         "encoder.4.bias",           "encoder.4.running_mean",
                                      "encoder.4.running_var",    "projector.0.weight",       "projector.1.weight",
                                      "projector.1.bias",         "projector.1.running_mean", "projector.1.running_var",
                                      "projector.3.weight",       "projector.4.weight",       "projector.4.bias",
                                      "projector.4.running_mean", "projector.4.running_var",  "projector.6.weight"};
    static const char *const axon[] = {
        "encoder.0.weight",   "encoder.0.bias",   "encoder.2.weight",   "encoder.2.bias",
        "encoder.3.weight",   "encoder.3.bias",   "encoder.5.weight",   "encoder.5.bias",
        "projector.0.weight", "projector.0.bias", "projector.2.weight", "projector.2.bias",
        "projector.3.weight", "projector.3.bias", "projector.5.weight", "projector.5.bias"};
    const struct {
        const char *const *names;
        int32_t count;
    } expected[GM_ARCH_AXON + 1] = {{mlp, sizeof mlp / sizeof *mlp}, {axon, sizeof axon / sizeof *axon}};
    gm_context *context = test_context(GM_ISA_AUTO, 1);
    for (int arch = 0; arch <= GM_ARCH_AXON; arch++) {
        const gm_model_options options = small_options((gm_arch)arch);
        gm_model *model = create(context, &options);
        ck_assert_int_eq(gm_model_parameter_count(model), expected[arch].count);
        for (int32_t i = 0; i < expected[arch].count; i++) {
            const gm_parameter p = gm_model_parameter(model, i);
            ck_assert_str_eq(p.name, expected[arch].names[i]);
            ck_assert_int_eq(p.count, p.shape[0] * (p.dimensions == 2 ? p.shape[1] : 1));
            ck_assert_int_eq(p.gradient == NULL, strstr(p.name, "running") != NULL);
        }
        gm_model_destroy(model);
    }
    gm_context_destroy(context);
}
END_TEST

START_TEST(sizes_follow_the_options)
{
    gm_context *context = test_context(GM_ISA_AUTO, 1);
    const int64_t widths[] = {40, 9};
    gm_model_options defaults = gm_model_default_options(287, 4), axon = defaults, projector = defaults;
    axon.arch = GM_ARCH_AXON;
    projector.projector = widths;
    projector.projector_layers = 2;
    gm_model *a = create(context, &defaults), *b = create(context, &axon), *c = create(context, &projector);
    ck_assert_int_eq(gm_model_output_size(a), 256);
    ck_assert_int_eq(gm_model_output_size(b), 256);
    ck_assert_int_eq(gm_model_output_size(c), 9);
    ck_assert_int_eq(gm_model_feature_size(a), 512);
    ck_assert_int_eq(gm_model_feature_size(b), 512);
    const gm_parameter first = gm_model_parameter(b, 0), last = gm_model_parameter(c, gm_model_parameter_count(c) - 1);
    ck_assert(first.dimensions == 2 && first.shape[0] == 512 && first.shape[1] == 287);
    ck_assert(last.dimensions == 2 && last.shape[0] == 9 && last.shape[1] == 40);
    ck_assert_int_eq(gm_default_hidden_size(), 512);
    ck_assert_int_eq(gm_default_projection_dim(), 256);
    ck_assert(gm_default_lambda() == 0.005f);
    float x[4 * 287] = {0}, z[4 * 256];
    ck_assert_int_eq(gm_model_infer_f32(b, 4, x, 287, z, 256), GM_OK);
    const int64_t first_layer = 287 * 512, others = 512 * 512 + 512 * 256 + 2 * 256 * 256;
    ck_assert_int_eq(gm_model_flops(a, 10), 2 * 10 * (2 * first_layer + 3 * others));
    gm_model_destroy(a);
    gm_model_destroy(b);
    gm_model_destroy(c);
    gm_context_destroy(context);
}
END_TEST

/* Beside weights there is only what the forward pass writes down, and two blocks of 512 rows: what the backward pass
 * writes goes where activations were, but for the gradient of the last weights, which comes first. Gradients that are
 * added up have memory of their own. */
START_TEST(backward_takes_no_memory_of_its_own)
{
    gm_context *context = test_context(GM_ISA_AUTO, 1);
    gm_model_options options = gm_model_default_options(784, 512);
    gm_model *model = create(context, &options);
    int64_t weights_size = 0, gradients_size = 0;
    for (int32_t i = 0; i < gm_model_parameter_count(model); i++) {
        const gm_parameter p = gm_model_parameter(model, i);
        weights_size += p.count;
        gradients_size += p.gradient ? p.count : 0;
    }
    const int64_t activations = 1024 * 2 * (512 + 512 + 256 + 256), scratch = 2 * 512 * 512, last = 256 * 256;
    const size_t expected = 4 * (size_t)(weights_size + activations + scratch), statistics = 64 << 10;
    ck_assert_uint_ge(gm_model_memory(model), expected);
    ck_assert_uint_le(gm_model_memory(model), expected + 4 * last + statistics);
    gm_model_destroy(model);
    options.accumulation = true;
    model = create(context, &options);
    ck_assert_uint_ge(gm_model_memory(model), expected + 4 * (size_t)gradients_size);
    ck_assert_uint_le(gm_model_memory(model), expected + 4 * (size_t)gradients_size + statistics);
    gm_model_destroy(model);
    options.accumulation = options.training = false;
    model = create(context, &options);
    ck_assert_uint_le(gm_model_memory(model), 4 * (size_t)(weights_size + scratch) + statistics);
    gm_model_destroy(model);
    gm_context_destroy(context);
}
END_TEST

static void check_uniform(const gm_parameter *p, double limit)
{
    double squares = 0, most = 0;
    for (int64_t i = 0; i < p->count; i++) {
        squares += p->value[i] * (double)p->value[i];
        most = fmax(most, fabs(p->value[i]));
    }
    ck_assert(most <= limit && most > 0.99 * limit);
    const double variance = squares / (double)p->count;
    ck_assert_msg(fabs(variance / (limit * limit / 3) - 1) < 0.05, "%s: variance %g", p->name, variance);
}

START_TEST(initial_weights_have_their_distribution)
{
    gm_context *one = test_context(GM_ISA_SCALAR, 1), *three = test_context(GM_ISA_AUTO, 3);
    for (int arch = 0; arch <= GM_ARCH_AXON; arch++) {
        gm_model_options options = gm_model_default_options(100, 4);
        options.arch = (gm_arch)arch;
        options.hidden_size = 200;
        gm_model *model = create(one, &options), *same = create(three, &options);
        options.seed = 1;
        gm_model *other = create(one, &options);
        for (int32_t i = 0; i < gm_model_parameter_count(model); i++) {
            const gm_parameter p = gm_model_parameter(model, i), q = gm_model_parameter(same, i),
                               r = gm_model_parameter(other, i);
            ck_assert(test_same_bits(p.value, q.value, (size_t)p.count * sizeof(float)));
            if (p.dimensions == 2) {
                const double in = (double)p.shape[1], both = (double)(p.shape[0] + p.shape[1]);
                check_uniform(&p, arch == GM_ARCH_AXON ? sqrt(6 / both) : 1 / sqrt(in));
                ck_assert(!test_same_bits(p.value, r.value, (size_t)p.count * sizeof(float)));
            } else {
                const bool bias = strstr(p.name, "bias"), mean = strstr(p.name, "running_mean");
                for (int64_t j = 0; j < p.count; j++)
                    ck_assert(p.value[j] == (bias || mean ? 0.0f : 1.0f));
            }
        }
        gm_model_destroy(model);
        gm_model_destroy(same);
        gm_model_destroy(other);
    }
    gm_context_destroy(one);
    gm_context_destroy(three);
}
END_TEST

/* Rows are independent of each other in inference, so blocks of any size must agree; rows 0 … 1100 are three blocks. */
START_TEST(inference_does_not_depend_on_blocks)
{
    enum { MANY = 1100, SOME = 37 };
    gm_isa isas[GM_ISA_COUNT];
    test_random random = test_random_create(8);
    static float x[MANY * IN], all[MANY * HIDDEN], some[SOME * HIDDEN], z[MANY * OUT];
    test_fill_normal(&random, x, MANY * IN, 0, 1);
    for (int i = 0, n = test_isas(isas); i < n; i++)
        for (int arch = 0; arch <= GM_ARCH_AXON; arch++) {
            gm_context *context = test_context(isas[i], 2);
            gm_model_options options = small_options((gm_arch)arch);
            options.training = false;
            options.batch = 0;
            gm_model *model = create(context, &options);
            stir(model);
            test_fill_nan(all, MANY * HIDDEN);
            ck_assert_int_eq(gm_model_features_f32(model, MANY, x, IN, all, HIDDEN), GM_OK);
            for (int64_t row = 0; row < MANY; row += SOME) {
                const int64_t rows = MANY - row < SOME ? MANY - row : SOME;
                ck_assert_int_eq(gm_model_features_f32(model, rows, x + row * IN, IN, some, HIDDEN), GM_OK);
                for (int64_t j = 0; j < rows * HIDDEN; j++)
                    ck_assert(fabsf(some[j] - all[row * HIDDEN + j]) <= 2e-6f * (1 + fabsf(some[j])));
            }
            test_fill_nan(z, MANY * OUT);
            ck_assert_int_eq(gm_model_infer_f32(model, MANY, x, IN, z, OUT), GM_OK);
            for (int j = 0; j < MANY * OUT; j++)
                ck_assert(isfinite(z[j]));
            ck_assert_int_eq(gm_model_forward_f32(model, 1, 4, x, IN, z, OUT), GM_INVALID_ARGUMENT);
            gm_model_destroy(model);
            gm_context_destroy(context);
        }
}
END_TEST

START_TEST(inference_may_come_between_forward_and_backward)
{
    gm_context *context = test_context(GM_ISA_AUTO, 1);
    test_random random = test_random_create(9);
    float x[ALL * IN], z[ALL * OUT], dz[ALL * OUT], y[ALL * HIDDEN], first[HIDDEN * IN];
    test_fill_normal(&random, x, ALL * IN, 0, 1);
    const gm_model_options options = small_options(GM_ARCH_MLP);
    gm_model *model = create(context, &options);
    for (int between = 0; between < 2; between++) {
        ck_assert_int_eq(gm_model_forward_f32(model, VIEWS, ROWS, x, IN, z, OUT), GM_OK);
        if (between)
            ck_assert_int_eq(gm_model_features_f32(model, ALL, x, IN, y, HIDDEN), GM_OK);
        memcpy(dz, z, sizeof z);
        ck_assert_int_eq(gm_model_backward_f32(model, dz, OUT), GM_OK);
        const gm_parameter p = gm_model_parameter(model, 0);
        if (!between)
            memcpy(first, p.gradient, sizeof first);
        ck_assert(test_same_bits(first, p.gradient, sizeof first));
    }
    gm_model_destroy(model);
    gm_context_destroy(context);
}
END_TEST

START_TEST(not_finite_input_is_reported)
{
    gm_context *context = test_context(GM_ISA_AUTO, 2);
    for (int arch = 0; arch <= GM_ARCH_AXON; arch++) {
        float x[ALL * IN] = {0}, z[ALL * OUT] = {0};
        x[7] = NAN;
        const gm_model_options options = small_options((gm_arch)arch);
        gm_model *model = create(context, &options);
        ck_assert_int_eq(gm_model_forward_f32(model, VIEWS, ROWS, x, IN, z, OUT), GM_NOT_FINITE);
        bool written = false;
        for (int i = 0; i < ALL * OUT; i++)
            written |= isnan(z[i]);
        ck_assert(written);
        gm_model_destroy(model);
    }
    gm_context_destroy(context);
}
END_TEST

START_TEST(bad_options_return_their_status)
{
    gm_context *context = test_context(GM_ISA_SCALAR, 1);
    const int64_t good[] = {4, 3}, zero[] = {4, 0}, huge[] = {INT64_MAX, 3};
    gm_model_options cases[16];
    for (int i = 0; i < 16; i++)
        cases[i] = small_options(GM_ARCH_MLP);
    cases[0].size = 8;
    cases[1].encoder_dim = 0;
    cases[2].encoder_dim = -3;
    cases[3].hidden_size = -1;
    cases[4].projection_dim = -1;
    cases[5].batch = 0;
    cases[6].views = -1;
    cases[7].arch = GM_ARCH_COUNT;
    cases[8].arch = GM_ARCH_AXON;
    cases[8].projector = good;
    cases[8].projector_layers = 2;
    cases[9].projector = good;
    cases[10].projector = good;
    cases[10].projector_layers = 1000;
    cases[11].projector = zero;
    cases[11].projector_layers = 2;
    cases[12].encoder_dim = INT64_MAX;
    cases[13].hidden_size = INT32_MAX;
    cases[14].batch = INT64_MAX;
    cases[15].projector = huge;
    cases[15].projector_layers = 2;
    for (int i = 0; i < 16; i++) {
        gm_model *model = (gm_model *)cases;
        const gm_status status = gm_model_create(context, &cases[i], &model);
        ck_assert_msg(status == (i < 12 ? GM_INVALID_ARGUMENT : GM_SIZE_OVERFLOW), "case %d: %s", i,
                      gm_status_string(status));
        ck_assert_ptr_null(model);
    }
    gm_model *model;
    const gm_model_options options = small_options(GM_ARCH_MLP);
    ck_assert_int_eq(gm_model_create(NULL, &options, &model), GM_INVALID_ARGUMENT);
    ck_assert_int_eq(gm_model_create(context, NULL, &model), GM_INVALID_ARGUMENT);
    ck_assert_int_eq(gm_model_create(context, &options, NULL), GM_INVALID_ARGUMENT);
    gm_model_destroy(NULL);
    gm_context_destroy(context);
}
END_TEST

START_TEST(bad_calls_return_their_status)
{
    gm_context *context = test_context(GM_ISA_SCALAR, 1);
    const gm_model_options options = small_options(GM_ARCH_MLP);
    gm_model *model = create(context, &options);
    float x[ALL * IN] = {0}, z[ALL * WIDE];
    const gm_status bad = GM_INVALID_ARGUMENT;
    ck_assert_int_eq(gm_model_backward_f32(model, z, OUT), bad);
    ck_assert_int_eq(gm_model_forward_f32(NULL, VIEWS, ROWS, x, IN, z, OUT), bad);
    ck_assert_int_eq(gm_model_forward_f32(model, 0, ROWS, x, IN, z, OUT), bad);
    ck_assert_int_eq(gm_model_forward_f32(model, VIEWS + 1, ROWS, x, IN, z, OUT), bad);
    ck_assert_int_eq(gm_model_forward_f32(model, VIEWS, 0, x, IN, z, OUT), bad);
    ck_assert_int_eq(gm_model_forward_f32(model, VIEWS, ROWS + 1, x, IN, z, OUT), bad);
    ck_assert_int_eq(gm_model_forward_f32(model, VIEWS, ROWS, NULL, IN, z, OUT), bad);
    ck_assert_int_eq(gm_model_forward_f32(model, VIEWS, ROWS, x, IN - 1, z, OUT), bad);
    ck_assert_int_eq(gm_model_forward_f32(model, VIEWS, ROWS, x, IN, NULL, OUT), bad);
    ck_assert_int_eq(gm_model_forward_f32(model, VIEWS, ROWS, x, IN, z, OUT - 1), bad);
    ck_assert_int_eq(gm_model_forward_f32(model, VIEWS, ROWS, x, IN, z, OUT), GM_OK);
    ck_assert_int_eq(gm_model_backward_f32(NULL, z, OUT), bad);
    ck_assert_int_eq(gm_model_backward_f32(model, NULL, OUT), bad);
    ck_assert_int_eq(gm_model_backward_f32(model, z, OUT - 1), bad);
    ck_assert_int_eq(gm_model_backward_f32(model, z, OUT), GM_OK);
    ck_assert_int_eq(gm_model_backward_f32(model, z, OUT), bad);
    ck_assert_int_eq(gm_model_features_f32(NULL, ALL, x, IN, z, HIDDEN), bad);
    ck_assert_int_eq(gm_model_features_f32(model, -1, x, IN, z, HIDDEN), bad);
    ck_assert_int_eq(gm_model_features_f32(model, ALL, x, IN, z, HIDDEN - 1), bad);
    ck_assert_int_eq(gm_model_features_f32(model, ALL, NULL, IN, z, HIDDEN), bad);
    ck_assert_int_eq(gm_model_features_f32(model, 0, NULL, IN, NULL, HIDDEN), GM_OK);
    ck_assert_int_eq(gm_model_infer_f32(model, ALL, x, IN - 1, z, OUT), bad);
    gm_model_destroy(model);
    gm_context_destroy(context);
}
END_TEST

START_TEST(architectures_have_names)
{
    for (int i = 0; i < GM_ARCH_COUNT; i++) {
        gm_arch arch = GM_ARCH_COUNT;
        ck_assert_int_eq(gm_arch_from_name(gm_arch_name((gm_arch)i), &arch), GM_OK);
        ck_assert_int_eq(arch, i);
    }
    gm_arch arch;
    ck_assert_ptr_null(gm_arch_name(GM_ARCH_COUNT));
    ck_assert_int_eq(gm_arch_from_name("resnet9", &arch), GM_INVALID_ARGUMENT);
    for (int i = 0; i < GM_STEM_COUNT; i++) {
        gm_stem stem = GM_STEM_COUNT;
        ck_assert_int_eq(gm_stem_from_name(gm_stem_name((gm_stem)i), &stem), GM_OK);
        ck_assert_int_eq(stem, i);
    }
    ck_assert_ptr_null(gm_stem_name(GM_STEM_COUNT));
    ck_assert_int_eq(gm_stem_from_name("7x7", &(gm_stem){GM_STEM_AUTO}), GM_INVALID_ARGUMENT);
    ck_assert_int_eq(gm_arch_from_name(NULL, &arch), GM_INVALID_ARGUMENT);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("model");
    TCase *tests = tcase_create("model");
    suite_add_tcase(suite, tests);
    tcase_add_test(tests, gradients_are_finite_differences);
    tcase_add_test(tests, smaller_batches_and_padding_change_nothing);
    tcase_add_test(tests, parameters_are_named_as_sequentials_number_them);
    tcase_add_test(tests, sizes_follow_the_options);
    tcase_add_test(tests, backward_takes_no_memory_of_its_own);
    tcase_add_test(tests, initial_weights_have_their_distribution);
    tcase_add_test(tests, inference_does_not_depend_on_blocks);
    tcase_add_test(tests, inference_may_come_between_forward_and_backward);
    tcase_add_test(tests, not_finite_input_is_reported);
    tcase_add_test(tests, bad_options_return_their_status);
    tcase_add_test(tests, bad_calls_return_their_status);
    tcase_add_test(tests, architectures_have_names);
    return test_run(suite);
}
