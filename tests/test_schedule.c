/* The learning-rate schedule against values of the published formula, and training by it. */
#include "train/schedule.h"

#include <gemel/model.h>
#include <math.h>
#include <stdlib.h>

#include "support/support.h"
#include "train/step.h"

START_TEST(follows_the_published_formula)
{
    const struct {
        int64_t step, warmup, total;
        double share;
    } cases[] = {
        {0, 10, 110, 0},
        {5, 10, 110, 0.5},
        {10, 10, 110, 1},
        {35, 10, 110, 0.8536998372026805},
        {60, 10, 110, 0.5005},
        {109, 10, 110, 0.0012464730973170658},
        {0, 0, 4, 1},
        {1, 0, 4, 0.8536998372026805},
        {3, 0, 4, 0.14730016279731956},
        {3, 4, 4, 0.75}, /* nothing but warm-up */
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        ck_assert_double_eq_tol(gm_schedule(cases[i].step, cases[i].warmup, cases[i].total), cases[i].share, 1e-15);
}
END_TEST

/* Facebook's adjust_learning_rate() with `batches` as the length of the loader, for both groups of parameters. */
static void published_rates(int batch, int epochs, int warmup_epochs, int batches, int step, double rates[2])
{
    const double base = batch / 256.0, pi = acos(-1);
    double rate;
    if (step < warmup_epochs * batches) {
        rate = base * step / (warmup_epochs * batches);
    } else {
        const double done = step - warmup_epochs * batches, all = (epochs - warmup_epochs) * batches;
        const double q = 0.5 * (1 + cos(pi * done / all)), last = base * 0.001;
        rate = base * q + last * (1 - q);
    }
    rates[0] = rate * 0.2;
    rates[1] = rate * 0.0048;
}

static int check_rates(int batch, int epochs, int warmup_epochs, int rows, bool fb, int checks)
{
    static float features[1];
    gm_dataset dataset = {.kind = GM_DATA_VECTORS, .dim = 8, .train = {.rows = rows, .features = features}};
    const int samples = fb ? (rows + 15) / 16 * 16 : rows;
    const int batches = fb ? (samples + batch - 1) / batch : samples / batch, steps = epochs * batches;
    gm_train_config config;
    gm_error error;
    gm_config_init(&config);
    config.batch_size = batch;
    config.epochs = epochs;
    config.warmup_epochs = warmup_epochs;
    config.optimizer = GM_OPTIMIZER_LARS;
    config.compat = fb ? GM_COMPAT_FB : GM_COMPAT_NONE;
    static const char *const names[] = {"batch-size", "epochs", "warmup-epochs", "optimizer", "compat"};
    for (int i = 0; i < 5; i++)
        config.set[gm_config_find(names[i])] = true;
    ck_assert_msg(gm_config_resolve(&config, &dataset, &error) == GM_OK, "%s", error.message);
    const gm_loader_options data = gm_step_data(&config, &dataset, NULL);
    ck_assert_int_eq(gm_loader_batches(&data), batches);
    for (int i = 0; i < checks; i++) {
        const int step = (int)((int64_t)(steps - 1) * i / (checks - 1)); /* the first and the last among them */
        double expected[2];
        published_rates(batch, epochs, warmup_epochs, batches, step, expected);
        const gm_rates rates = gm_rates_at(&config, batches, step);
        ck_assert_msg(fabs(rates.weights - expected[0]) <= 1e-15 * batch && /* the base rate's rounding */
                          fabs(rates.biases - expected[1]) <= 1e-16 * batch,
                      "batch %d, step %d of %d: %.17g, %.17g instead of %.17g, %.17g", batch, step, steps,
                      rates.weights, rates.biases, expected[0], expected[1]);
    }
    return checks;
}

START_TEST(rates_are_facebook_s)
{
    int checks = 0;
    checks += check_rates(2048, 1000, 10, 1281167, true, 500); /* 626 batches an epoch, the last of 1168 */
    checks += check_rates(2048, 1000, 10, 1281167, false, 500);
    checks += check_rates(256, 100, 0, 50000, true, 300);
    checks += check_rates(128, 5, 5, 60000, false, 300); /* nothing but warm-up */
    checks += check_rates(1024, 300, 10, 1281167, true, 400);
    ck_assert_int_eq(checks, 2000);
}
END_TEST

START_TEST(rises_then_falls_and_stays_above_a_thousandth)
{
    const int64_t warmup = 37, total = 1000;
    for (int64_t step = 1; step < total; step++) {
        const double before = gm_schedule(step - 1, warmup, total), here = gm_schedule(step, warmup, total);
        ck_assert(step <= warmup ? here > before : here < before);
        ck_assert(here > 0.001 && here <= 1);
    }
}
END_TEST

/* A quadratic, sum of c/2 (p - target)^2 over all parameters of a small model, each with a curvature c of its own; and
 * what LARS should make of one of them, in double. */
typedef struct array {
    double *p, *velocity, *curvature, *target;
} array;

static array array_create(const gm_parameter *parameter, test_random *random)
{
    const size_t count = (size_t)parameter->count;
    array a = {calloc(count, sizeof(double)), calloc(count, sizeof(double)), calloc(count, sizeof(double)),
               calloc(count, sizeof(double))};
    for (size_t i = 0; i < count; i++) {
        parameter->value[i] = (float)test_random_normal(random);
        a.p[i] = (double)parameter->value[i];
        a.curvature[i] = exp(0.5 * test_random_normal(random));
        a.target[i] = 3 * test_random_normal(random);
    }
    return a;
}

static void array_free(array *a)
{
    free(a->p);
    free(a->velocity);
    free(a->curvature);
    free(a->target);
}

/* One step by the formulas of the published code; matrices decay and are scaled, others are not. */
static void reference_step(array *a, int64_t count, bool matrix, double rate)
{
    const double decay = matrix ? (double)1e-6f : 0;
    double pp = 0, gg = 0, q = 1;
    for (int64_t i = 0; i < count; i++) {
        const double g = a->curvature[i] * (a->p[i] - a->target[i]) + decay * a->p[i];
        pp += a->p[i] * a->p[i];
        gg += g * g;
    }
    if (matrix && pp > 0 && gg > 0)
        q = (double)0.001f * sqrt(pp / gg);
    for (int64_t i = 0; i < count; i++) {
        const double g = a->curvature[i] * (a->p[i] - a->target[i]) + decay * a->p[i];
        a->velocity[i] = (double)0.9f * a->velocity[i] + q * g;
        a->p[i] -= rate * a->velocity[i];
    }
}

static double reference_share(int step, int warmup, int total)
{
    if (step < warmup)
        return (double)step / warmup;
    const double q = (1 + cos(acos(-1) * (step - warmup) / (total - warmup))) / 2;
    return q + 0.001 * (1 - q);
}

enum { STEPS = 100, WARMUP = 10, ARRAYS = 32 };

static const double base = 1, base_biases = 0.002; /* the targets are still far off at the end */

static gm_model *create_model(gm_context *context)
{
    gm_model_options options = gm_model_default_options(12, 2);
    options.arch = GM_ARCH_MLP;
    options.hidden_size = 9;
    options.projection_dim = 7;
    options.training = true;
    gm_model *model;
    ck_assert_int_eq(gm_model_create(context, &options, &model), GM_OK);
    ck_assert_int_le(gm_model_parameter_count(model), ARRAYS);
    return model;
}

/* Ours takes its gradient where it is, and rounds it. */
static void both_step(gm_model *model, gm_optimizer *optimizer, array *arrays, int step)
{
    const double share = gm_schedule(step, WARMUP, STEPS), reference = reference_share(step, WARMUP, STEPS);
    for (int32_t j = 0; j < gm_model_parameter_count(model); j++) {
        const gm_parameter p = gm_model_parameter(model, j);
        const bool matrix = p.dimensions > 1;
        if (!p.gradient)
            continue;
        for (int64_t i = 0; i < p.count; i++)
            p.gradient[i] = (float)(arrays[j].curvature[i] * ((double)p.value[i] - arrays[j].target[i]));
        reference_step(&arrays[j], p.count, matrix, reference * (matrix ? base : base_biases));
    }
    ck_assert_int_eq(gm_optimizer_step(optimizer, (float)(base * share), (float)(base_biases * share)), GM_OK);
}

START_TEST(a_hundred_steps_of_lars_stay_within_1e_6)
{
    const gm_optimizer_options options = gm_optimizer_default_options(GM_OPTIMIZER_LARS);
    gm_isa isas[GM_ISA_COUNT];
    for (int k = 0, n = test_isas(isas); k < n; k++) {
        gm_context *context = test_context(isas[k], 2);
        gm_model *model = create_model(context);
        gm_optimizer *optimizer;
        test_random random = test_random_create(3);
        array arrays[ARRAYS];
        ck_assert_int_eq(gm_optimizer_create(model, &options, &optimizer), GM_OK);
        for (int32_t j = 0; j < gm_model_parameter_count(model); j++) {
            const gm_parameter p = gm_model_parameter(model, j);
            arrays[j] = array_create(&p, &random);
        }
        for (int step = 0; step < STEPS; step++)
            both_step(model, optimizer, arrays, step);
        for (int32_t j = 0; j < gm_model_parameter_count(model); j++) {
            const gm_parameter p = gm_model_parameter(model, j);
            const double error = test_relative_error(p.value, arrays[j].p, p.count);
            ck_assert_msg(error < 1e-6, "%s: relative error of %s %g", gm_isa_name(isas[k]), p.name, error);
            array_free(&arrays[j]);
        }
        gm_optimizer_destroy(optimizer);
        gm_model_destroy(model);
        gm_context_destroy(context);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("schedule");
    TCase *tests = tcase_create("schedule");
    tcase_add_test(tests, follows_the_published_formula);
    tcase_add_test(tests, rates_are_facebook_s);
    tcase_add_test(tests, rises_then_falls_and_stays_above_a_thousandth);
    tcase_add_test(tests, a_hundred_steps_of_lars_stay_within_1e_6);
    suite_add_tcase(suite, tests);
    return test_run(suite);
}
