/* The learning-rate schedule against values of the published formula, and training by it. */
#include "train/schedule.h"

#include <gemel/model.h>
#include <math.h>
#include <stdlib.h>

#include "support/support.h"

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
    tcase_add_test(tests, rises_then_falls_and_stays_above_a_thousandth);
    tcase_add_test(tests, a_hundred_steps_of_lars_stay_within_1e_6);
    suite_add_tcase(suite, tests);
    return test_run(suite);
}
