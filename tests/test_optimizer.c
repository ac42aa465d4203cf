/* gm_sgd_f32(), gm_adam_f32() and gm_lars_f32() against exact values, double precision and PyTorch. */
#include <gemel/optimizer.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "data/norm.h"
#include "support/support.h"

static const int64_t counts[] = {1, 3, 15, 16, 17, 63, 64, 65, 1000, 32768, 32769, 100003};

enum { COUNTS = sizeof counts / sizeof *counts };

/* Arrays of a parameter with the state in double that they should have. */
typedef struct trial {
    int64_t count;
    test_guard parameter, gradient, first, second;
    double *p, *m, *v;
} trial;

static trial trial_create(int64_t count, uint64_t seed)
{
    trial t = {count,
               test_guard_create(count),
               test_guard_create_at_start(count),
               test_guard_create(count),
               test_guard_create(count),
               calloc((size_t)count, sizeof(double)),
               calloc((size_t)count, sizeof(double)),
               calloc((size_t)count, sizeof(double))};
    test_random random = test_random_create(seed);
    test_fill_normal(&random, t.parameter.data, count, 0, 0.1);
    memset(t.first.data, 0, (size_t)count * sizeof(float));
    memset(t.second.data, 0, (size_t)count * sizeof(float));
    for (int64_t i = 0; i < count; i++)
        t.p[i] = t.parameter.data[i];
    return t;
}

static void trial_free(trial *t)
{
    test_guard_free(&t->parameter);
    test_guard_free(&t->gradient);
    test_guard_free(&t->first);
    test_guard_free(&t->second);
    free(t->p);
    free(t->m);
    free(t->v);
}

static void new_gradient(trial *t, test_random *random)
{
    test_fill_normal(random, t->gradient.data, t->count, 0, 1);
}

static const float rate = 0.05f, momentum = 0.9f, weight_decay = 0.01f, eta = 0.02f;
static const float beta1 = 0.9f, beta2 = 0.999f, eps = 1e-8f;

static void momentum_reference(trial *t, bool lars)
{
    double pp = 0, gg = 0, q = 1;
    for (int64_t i = 0; i < t->count; i++) {
        const double g = t->gradient.data[i] + (double)weight_decay * t->p[i];
        pp += t->p[i] * t->p[i];
        gg += g * g;
    }
    if (lars && pp > 0 && gg > 0)
        q = (double)eta * sqrt(pp / gg);
    for (int64_t i = 0; i < t->count; i++) {
        t->m[i] = (double)momentum * t->m[i] + q * (t->gradient.data[i] + (double)weight_decay * t->p[i]);
        t->p[i] -= (double)rate * t->m[i];
    }
}

static void adam_reference(trial *t, int step)
{
    const double b1 = beta1, b2 = beta2;
    for (int64_t i = 0; i < t->count; i++) {
        const double g = t->gradient.data[i] + (double)weight_decay * t->p[i];
        t->m[i] = b1 * t->m[i] + (1 - b1) * g;
        t->v[i] = b2 * t->v[i] + (1 - b2) * g * g;
        t->p[i] -= (double)rate * (t->m[i] / (1 - pow(b1, step))) / (sqrt(t->v[i] / (1 - pow(b2, step))) + (double)eps);
    }
}

enum method { SGD, ADAM, LARS };

static void step_both(gm_context *context, trial *t, enum method method, int step)
{
    gm_status status;
    switch (method) {
    case SGD:
        momentum_reference(t, false);
        status = gm_sgd_f32(context, t->count, t->parameter.data, t->gradient.data, t->first.data, rate, momentum,
                            weight_decay);
        break;
    case ADAM:
        adam_reference(t, step);
        status = gm_adam_f32(context, t->count, t->parameter.data, t->gradient.data, t->first.data, t->second.data,
                             rate, beta1, beta2, eps, weight_decay, step);
        break;
    default:
        momentum_reference(t, true);
        status = gm_lars_f32(context, t->count, t->parameter.data, t->gradient.data, t->first.data, rate, momentum,
                             weight_decay, eta);
        break;
    }
    ck_assert_int_eq(status, GM_OK);
}

static gm_context *context_for(gm_isa isa, int32_t threads, int64_t count)
{
    gm_context *context = test_context_with_workspace(isa, threads, 1);
    ck_assert_int_eq(gm_context_reserve(context, gm_lars_f32_workspace(context, count)), GM_OK);
    return context;
}

START_TEST(three_steps_of_any_length)
{
    gm_isa isas[GM_ISA_COUNT];
    for (int i = 0, n = test_isas(isas); i < n; i++) {
        for (int method = SGD; method <= LARS; method++) {
            trial t = trial_create(counts[_i], (uint64_t)_i);
            test_random random = test_random_create(99);
            gm_context *context = context_for(isas[i], 2, t.count);
            for (int step = 1; step <= 3; step++) {
                new_gradient(&t, &random);
                step_both(context, &t, (enum method)method, step);
            }
            ck_assert(test_relative_error(t.parameter.data, t.p, t.count) < 5e-7);
            ck_assert(test_relative_error(t.first.data, t.m, t.count) < 5e-7);
            if (method == ADAM)
                ck_assert(test_relative_error(t.second.data, t.v, t.count) < 5e-7);
            gm_context_destroy(context);
            trial_free(&t);
        }
    }
}
END_TEST

START_TEST(hundred_steps_stay_within_1e_6)
{
    gm_isa isas[GM_ISA_COUNT];
    for (int i = 0, n = test_isas(isas); i < n; i++) {
        trial t = trial_create(5000, 8);
        test_random random = test_random_create(17);
        gm_context *context = context_for(isas[i], 2, t.count);
        for (int step = 1; step <= 100; step++) {
            new_gradient(&t, &random);
            step_both(context, &t, (enum method)_i, step);
        }
        const double error = test_relative_error(t.parameter.data, t.p, t.count);
        ck_assert_msg(error < 1e-6, "%s: relative error %g", gm_isa_name(isas[i]), error);
        gm_context_destroy(context);
        trial_free(&t);
    }
}
END_TEST

/* Powers of two and small integers: no operation rounds. |p| = 8, |g| = 4, q = eta 2 = 1. */
START_TEST(small_integers_are_exact)
{
    enum { COUNT = 64 };
    gm_isa isas[GM_ISA_COUNT];
    for (int i = 0, n = test_isas(isas); i < n; i++) {
        gm_context *context = test_context(isas[i], 1);
        float p[COUNT], g[COUNT], v[COUNT];
        for (int method = SGD; method <= LARS; method += LARS - SGD) {
            for (int k = 0; k < COUNT; k++) {
                p[k] = k % 2 ? 1 : -1;
                g[k] = k % 3 ? -0.5f : 0.5f;
                v[k] = (float)(k % 8);
            }
            const gm_status status = method == SGD ? gm_sgd_f32(context, COUNT, p, g, v, 0.25f, 0.5f, 0)
                                                   : gm_lars_f32(context, COUNT, p, g, v, 0.25f, 0.5f, 0, 0.5f);
            ck_assert_int_eq(status, GM_OK);
            for (int k = 0; k < COUNT; k++) {
                const float velocity = 0.5f * (float)(k % 8) + (k % 3 ? -0.5f : 0.5f);
                ck_assert(v[k] == velocity);
                ck_assert(p[k] == (k % 2 ? 1 : -1) - 0.25f * velocity);
            }
        }
        gm_context_destroy(context);
    }
}
END_TEST

/* Either norm 0: the gradient goes in unscaled. */
START_TEST(lars_without_a_norm_does_not_scale)
{
    gm_isa isas[GM_ISA_COUNT];
    for (int i = 0, n = test_isas(isas); i < n; i++) {
        gm_context *context = test_context(isas[i], 1);
        float p[5] = {0}, g[5] = {1, 2, 3, 4, 5}, v[5] = {0};
        ck_assert_int_eq(gm_lars_f32(context, 5, p, g, v, 0.5f, 0.9f, 0.25f, 1e-3f), GM_OK);
        for (int k = 0; k < 5; k++)
            ck_assert(v[k] == g[k] && p[k] == -0.5f * g[k]);
        memset(g, 0, sizeof g);
        ck_assert_int_eq(gm_lars_f32(context, 5, p, g, v, 0.5f, 0.5f, 0, 1e-3f), GM_OK);
        for (int k = 0; k < 5; k++)
            ck_assert(v[k] == 0.5f * (float)(k + 1) && p[k] == -0.75f * (float)(k + 1));
        gm_context_destroy(context);
    }
}
END_TEST

START_TEST(values_are_those_of_pytorch)
{
    gm_isa isas[GM_ISA_COUNT];
    for (int i = 0, n = test_isas(isas); i < n; i++) {
        gm_context *context = test_context(isas[i], 1);
        float sgd[9], adam[9], velocity[9] = {0}, first[9] = {0}, second[9] = {0};
        memcpy(sgd, torch_opt_start, sizeof sgd);
        memcpy(adam, torch_opt_start, sizeof adam);
        for (int step = 1; step <= 3; step++) {
            const float *gradient = torch_opt_gradients + (step - 1) * 9;
            ck_assert_int_eq(gm_sgd_f32(context, 9, sgd, gradient, velocity, 0.1f, 0.9f, 0.01f), GM_OK);
            ck_assert_int_eq(
                gm_adam_f32(context, 9, adam, gradient, first, second, 0.01f, 0.9f, 0.999f, 1e-8f, 0.01f, step), GM_OK);
        }
        for (int k = 0; k < 9; k++) {
            ck_assert_msg(fabsf(sgd[k] - torch_opt_sgd[k]) <= 5e-7f, "sgd[%d] is %.9g, PyTorch's %.9g", k, sgd[k],
                          torch_opt_sgd[k]);
            ck_assert_msg(fabsf(adam[k] - torch_opt_adam[k]) <= 5e-7f, "adam[%d] is %.9g, PyTorch's %.9g", k, adam[k],
                          torch_opt_adam[k]);
        }
        gm_context_destroy(context);
    }
}
END_TEST

START_TEST(bits_do_not_depend_on_threads)
{
    static const int32_t threads[] = {1, 2, 3, 7};
    enum { COUNT = 200001 };
    gm_isa isas[GM_ISA_COUNT];
    for (int i = 0, n = test_isas(isas); i < n; i++) {
        for (int method = SGD; method <= LARS; method++) {
            trial first = trial_create(COUNT, 3);
            for (int k = 0; k < 4; k++) {
                trial t = k == 0 ? first : trial_create(COUNT, 3);
                test_random random = test_random_create(4);
                gm_context *context = context_for(isas[i], threads[k], COUNT);
                new_gradient(&t, &random);
                step_both(context, &t, (enum method)method, 1);
                ck_assert(test_same_bits(first.parameter.data, t.parameter.data, COUNT * sizeof(float)));
                gm_context_destroy(context);
                if (k > 0)
                    trial_free(&t);
            }
            trial_free(&first);
        }
    }
}
END_TEST

START_TEST(bad_arguments_return_their_status)
{
    gm_context *context = test_context(GM_ISA_SCALAR, 1), *bare = test_context_with_workspace(GM_ISA_SCALAR, 1, 1);
    float p[4] = {1}, m[4] = {0}, s[4] = {0};
    const float g[4] = {1};
    const struct {
        gm_context *context;
        int64_t count;
        float *p;
        const float *g;
        float *m, *s;
        float rate, momentum, decay, other; /* other: beta2 and eta */
        int64_t step;
        gm_status sgd, adam, lars;
    } cases[] = {
        {NULL, 4, p, g, m, s, 1, 0.9f, 0, 0.5f, 1, GM_INVALID_ARGUMENT, GM_INVALID_ARGUMENT, GM_INVALID_ARGUMENT},
        {context, -1, p, g, m, s, 1, 0.9f, 0, 0.5f, 1, GM_INVALID_ARGUMENT, GM_INVALID_ARGUMENT, GM_INVALID_ARGUMENT},
        {context, 4, NULL, g, m, s, 1, 0.9f, 0, 0.5f, 1, GM_INVALID_ARGUMENT, GM_INVALID_ARGUMENT, GM_INVALID_ARGUMENT},
        {context, 4, p, NULL, m, s, 1, 0.9f, 0, 0.5f, 1, GM_INVALID_ARGUMENT, GM_INVALID_ARGUMENT, GM_INVALID_ARGUMENT},
        {context, 4, p, g, NULL, s, 1, 0.9f, 0, 0.5f, 1, GM_INVALID_ARGUMENT, GM_INVALID_ARGUMENT, GM_INVALID_ARGUMENT},
        {context, 4, p, g, m, NULL, 1, 0.9f, 0, 0.5f, 1, GM_OK, GM_INVALID_ARGUMENT, GM_OK},
        {context, 4, p, g, m, s, -1, 0.9f, 0, 0.5f, 1, GM_INVALID_ARGUMENT, GM_INVALID_ARGUMENT, GM_INVALID_ARGUMENT},
        {context, 4, p, g, m, s, NAN, 0.9f, 0, 0.5f, 1, GM_INVALID_ARGUMENT, GM_INVALID_ARGUMENT, GM_INVALID_ARGUMENT},
        {context, 4, p, g, m, s, 1, -1, 0, 0.5f, 1, GM_INVALID_ARGUMENT, GM_INVALID_ARGUMENT, GM_INVALID_ARGUMENT},
        {context, 4, p, g, m, s, 1, 1, 0, 0.5f, 1, GM_OK, GM_INVALID_ARGUMENT, GM_OK},
        {context, 4, p, g, m, s, 1, 0.9f, -1, 0.5f, 1, GM_INVALID_ARGUMENT, GM_INVALID_ARGUMENT, GM_INVALID_ARGUMENT},
        {context, 4, p, g, m, s, 1, 0.9f, 0, -1, 1, GM_OK, GM_INVALID_ARGUMENT, GM_INVALID_ARGUMENT},
        {context, 4, p, g, m, s, 1, 0.9f, 0, 1, 1, GM_OK, GM_INVALID_ARGUMENT, GM_OK},
        {context, 4, p, g, m, s, 1, 0.9f, 0, 0.5f, 0, GM_OK, GM_INVALID_ARGUMENT, GM_OK},
        {bare, 4, p, g, m, s, 1, 0.9f, 0, 0.5f, 1, GM_OK, GM_OK, GM_WORKSPACE_TOO_SMALL},
        {context, 0, NULL, NULL, NULL, NULL, 1, 0.9f, 0, 0.5f, 1, GM_OK, GM_OK, GM_OK},
        {context, 4, p, g, m, s, 1, 0.9f, 0, 0.5f, 1, GM_OK, GM_OK, GM_OK},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        gm_status status = gm_sgd_f32(cases[i].context, cases[i].count, cases[i].p, cases[i].g, cases[i].m,
                                      cases[i].rate, cases[i].momentum, cases[i].decay);
        ck_assert_msg(status == cases[i].sgd, "case %zu: sgd: %s", i, gm_status_string(status));
        status = gm_adam_f32(cases[i].context, cases[i].count, cases[i].p, cases[i].g, cases[i].m, cases[i].s,
                             cases[i].rate, cases[i].momentum, cases[i].other, 1e-8f, cases[i].decay, cases[i].step);
        ck_assert_msg(status == cases[i].adam, "case %zu: adam: %s", i, gm_status_string(status));
        status = gm_lars_f32(cases[i].context, cases[i].count, cases[i].p, cases[i].g, cases[i].m, cases[i].rate,
                             cases[i].momentum, cases[i].decay, cases[i].other);
        ck_assert_msg(status == cases[i].lars, "case %zu: lars: %s", i, gm_status_string(status));
    }
    gm_context_destroy(context);
    gm_context_destroy(bare);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("optimizer");
    TCase *tests = tcase_create("optimizer");
    suite_add_tcase(suite, tests);
    tcase_add_loop_test(tests, three_steps_of_any_length, 0, COUNTS);
    tcase_add_loop_test(tests, hundred_steps_stay_within_1e_6, SGD, LARS + 1);
    tcase_add_test(tests, small_integers_are_exact);
    tcase_add_test(tests, lars_without_a_norm_does_not_scale);
    tcase_add_test(tests, values_are_those_of_pytorch);
    tcase_add_test(tests, bits_do_not_depend_on_threads);
    tcase_add_test(tests, bad_arguments_return_their_status);
    return test_run(suite);
}
