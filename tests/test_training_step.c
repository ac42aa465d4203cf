/* A training step of gm_model, the loss and gm_optimizer together, against PyTorch and over numbers of threads. */
#include <gemel/barlow.h>
#include <gemel/model.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/support.h"

/* As in data/make_model.py, which writes the files and describes their order. */
enum { N = 6, VIEWS = 2, ALL = VIEWS * N, IN = 9, HIDDEN = 8, OUT = 5, MOST_VALUES = 4096 };
static const float rate = 0.05f, rate_biases = 0.01f, decay = 0.02f;

typedef struct values {
    float all[MOST_VALUES];
    size_t count, read;
} values;

static void open_values(values *v, gm_arch arch)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/model_%s.f32", TEST_DATA, gm_arch_name(arch));
    FILE *file = fopen(path, "rb");
    ck_assert_msg(file, "%s cannot be opened", path);
    v->count = fread(v->all, sizeof(float), MOST_VALUES, file);
    v->read = 0;
    fclose(file);
}

static const float *next(values *v, int64_t count)
{
    ck_assert_uint_le(v->read + (size_t)count, v->count);
    v->read += (size_t)count;
    return v->all + v->read - count;
}

/* |x - expected| <= most |scale| */
static void check_error(const char *what, const float *x, const float *expected, const float *scale, int64_t count,
                        double most)
{
    double error = 0, norm = 0;
    for (int64_t i = 0; i < count; i++) {
        error += ((double)x[i] - expected[i]) * ((double)x[i] - expected[i]);
        norm += (double)scale[i] * scale[i];
    }
    ck_assert_msg(sqrt(error) <= most * sqrt(norm), "%s is off by %.2g of %.2g", what, sqrt(error), sqrt(norm));
}

static void check_next(values *v, const char *what, const float *x, int64_t count, double most)
{
    const float *expected = next(v, count);
    check_error(what, x, expected, expected, count, most);
}

/* A gradient is a sum over rows, and where its terms cancel, as they do in that of a bias before a normalisation, which
 * is 0, only the size of the terms says what its rounding may be. */
static const float *check_next_gradient(values *v, const gm_parameter *p)
{
    const float *expected = next(v, p->count), *terms = next(v, p->count);
    check_error(p->name, p->gradient, expected, terms, p->count, 2e-6);
    return expected;
}

static bool is_running(const gm_parameter *p)
{
    return strstr(p->name, "running");
}

static void load_parameters(values *v, gm_model *model)
{
    for (int32_t i = 0; i < gm_model_parameter_count(model); i++) {
        const gm_parameter p = gm_model_parameter(model, i);
        memcpy(p.value, next(v, p.count), (size_t)p.count * sizeof(float));
    }
}

static gm_model *create(gm_context *context, gm_arch arch)
{
    gm_model_options options = gm_model_default_options(IN, N);
    options.arch = arch;
    options.hidden_size = HIDDEN;
    options.projection_dim = OUT;
    gm_model *model;
    ck_assert_int_eq(gm_model_create(context, &options, &model), GM_OK);
    return model;
}

static gm_optimizer *create_optimizer(gm_model *model, gm_optimizer_kind kind)
{
    gm_optimizer_options options = gm_optimizer_default_options(kind);
    options.weight_decay = decay;
    gm_optimizer *optimizer;
    ck_assert_int_eq(gm_optimizer_create(model, &options, &optimizer), GM_OK);
    return optimizer;
}

/* Leaves PyTorch's gradients behind: Adam's g / |g| would show the rounding of the smallest. */
static void check_step(values *v, gm_context *context, gm_model *model, const float *x)
{
    float z[ALL * OUT], dz[ALL * OUT], features[ALL * HIDDEN];
    gm_barlow_result result = {.size = sizeof result};
    ck_assert_int_eq(gm_model_forward_f32(model, VIEWS, N, x, IN, z, OUT), GM_OK);
    check_next(v, "z", z, ALL * OUT, 2e-6);
    ck_assert_int_eq(gm_context_reserve(context, gm_barlow_loss_f32_workspace(context, N, OUT, NULL, true)), GM_OK);
    ck_assert_int_eq(
        gm_barlow_loss_f32(context, N, OUT, z, OUT, z + N * OUT, OUT, NULL, &result, dz, OUT, dz + N * OUT, OUT),
        GM_OK);
    const float loss = (float)result.loss;
    check_next(v, "the loss", &loss, 1, 1e-5);
    ck_assert_int_eq(gm_model_backward_f32(model, dz, OUT), GM_OK);
    for (int32_t i = 0; i < gm_model_parameter_count(model); i++) {
        const gm_parameter p = gm_model_parameter(model, i);
        if (!is_running(&p)) {
            const float *gradient = check_next_gradient(v, &p);
            memcpy(p.gradient, gradient, (size_t)p.count * sizeof(float));
        }
    }
    for (int32_t i = 0; i < gm_model_parameter_count(model); i++) {
        const gm_parameter p = gm_model_parameter(model, i);
        if (is_running(&p))
            check_next(v, p.name, p.value, p.count, 1e-6);
    }
    ck_assert_int_eq(gm_model_features_f32(model, ALL, x, IN, features, HIDDEN), GM_OK);
    check_next(v, "features", features, ALL * HIDDEN, 2e-6);
}

/* Two steps with one gradient, so that momentum, bias corrections and the growing state all count. */
static void check_optimizer(values *v, gm_model *model, gm_optimizer_kind kind, const values *start)
{
    values weights = *start;
    load_parameters(&weights, model);
    gm_optimizer *optimizer = create_optimizer(model, kind);
    for (int step = 0; step < 2; step++)
        ck_assert_int_eq(gm_optimizer_step(optimizer, rate, rate_biases), GM_OK);
    for (int32_t i = 0; i < gm_model_parameter_count(model); i++) {
        const gm_parameter p = gm_model_parameter(model, i);
        if (!is_running(&p))
            check_next(v, p.name, p.value, p.count, 2e-6);
    }
    gm_optimizer_destroy(optimizer);
}

START_TEST(steps_are_those_of_pytorch)
{
    gm_isa isas[GM_ISA_COUNT];
    for (int i = 0, n = test_isas(isas); i < n; i++)
        for (int arch = 0; arch <= GM_ARCH_AXON; arch++) {
            gm_context *context = test_context(isas[i], 2);
            gm_model *model = create(context, (gm_arch)arch);
            values v;
            open_values(&v, (gm_arch)arch);
            const values start = v;
            load_parameters(&v, model);
            const float *x = next(&v, ALL * IN);
            check_step(&v, context, model, x);
            for (int kind = 0; kind < GM_OPTIMIZER_COUNT; kind++)
                check_optimizer(&v, model, (gm_optimizer_kind)kind, &start);
            ck_assert_uint_eq(v.read, v.count);
            gm_model_destroy(model);
            gm_context_destroy(context);
        }
}
END_TEST

/* Large enough for several chunks, blocks and threads in every kernel. */
enum { BATCH = 130, WIDTH = 150, DIM = 70, STEPS = 2 };

typedef struct trained {
    float *weights;
    size_t count;
} trained;

static trained train(gm_isa isa, int32_t threads, gm_arch arch, gm_optimizer_kind kind, const float *x)
{
    gm_context *context = test_context(isa, threads);
    gm_model_options options = gm_model_default_options(WIDTH, BATCH);
    options.arch = arch;
    options.hidden_size = WIDTH;
    options.projection_dim = DIM;
    gm_model *model;
    ck_assert_int_eq(gm_model_create(context, &options, &model), GM_OK);
    gm_optimizer *optimizer = create_optimizer(model, kind);
    ck_assert_int_eq(gm_context_reserve(context, gm_barlow_loss_f32_workspace(context, BATCH, DIM, NULL, true)), GM_OK);
    static float z[VIEWS * BATCH * DIM], dz[VIEWS * BATCH * DIM];
    gm_barlow_result result = {.size = sizeof result};
    for (int step = 0; step < STEPS; step++) {
        ck_assert_int_eq(gm_model_forward_f32(model, VIEWS, BATCH, x, WIDTH, z, DIM), GM_OK);
        ck_assert_int_eq(gm_barlow_loss_f32(context, BATCH, DIM, z, DIM, z + BATCH * DIM, DIM, NULL, &result, dz, DIM,
                                            dz + BATCH * DIM, DIM),
                         GM_OK);
        ck_assert_int_eq(gm_model_backward_f32(model, dz, DIM), GM_OK);
        ck_assert_int_eq(gm_optimizer_step(optimizer, 1e-3f, 1e-3f), GM_OK);
    }
    trained t = {NULL, 0};
    for (int32_t i = 0; i < gm_model_parameter_count(model); i++) {
        const gm_parameter p = gm_model_parameter(model, i);
        t.weights = realloc(t.weights, (t.count + (size_t)p.count) * sizeof(float));
        memcpy(t.weights + t.count, p.value, (size_t)p.count * sizeof(float));
        t.count += (size_t)p.count;
    }
    gm_optimizer_destroy(optimizer);
    gm_model_destroy(model);
    gm_context_destroy(context);
    return t;
}

START_TEST(bits_do_not_depend_on_threads)
{
    static float x[VIEWS * BATCH * WIDTH];
    gm_isa isas[GM_ISA_COUNT];
    test_random random = test_random_create(2);
    test_fill_normal(&random, x, VIEWS * BATCH * WIDTH, 0, 1);
    for (int i = 0, n = test_isas(isas); i < n; i++)
        for (int kind = 0; kind < GM_OPTIMIZER_COUNT; kind++) {
            const gm_arch arch = kind % 2 ? GM_ARCH_AXON : GM_ARCH_MLP;
            trained one = train(isas[i], 1, arch, (gm_optimizer_kind)kind, x);
            for (int32_t threads = 2; threads <= 3; threads++) {
                trained more = train(isas[i], threads, arch, (gm_optimizer_kind)kind, x);
                ck_assert(one.count == more.count);
                ck_assert(test_same_bits(one.weights, more.weights, one.count * sizeof(float)));
                free(more.weights);
            }
            free(one.weights);
        }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("training_step");
    TCase *tests = tcase_create("training_step");
    suite_add_tcase(suite, tests);
    tcase_add_test(tests, steps_are_those_of_pytorch);
    tcase_add_test(tests, bits_do_not_depend_on_threads);
    return test_run(suite);
}
