/* gm_gemm_fused_f32() against exact sums, double precision and the separate calls. */
#include <gemel/bias_relu.h>
#include <gemel/gemm.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "support/product.h"

/* A product, its options in guarded arrays that end with the last column, and room for the sums. */
typedef struct trial {
    product p;
    product_operands o;
    test_guard scale, bias, sums;
    gm_gemm_options options;
} trial;

enum { SCALE = 1, BIAS = 2, RELU = 4, SUMS = 8, FORMS = 16 };

static trial make_trial(const product *p, int form, uint64_t seed, product_fill fill)
{
    test_random random = test_random_create(seed + 100);
    trial t = {.p = *p, .o = product_operands_create(p, seed, fill), .options = gm_gemm_default_options()};
    t.scale = test_guard_create(p->n);
    t.bias = test_guard_create(p->n);
    t.sums = test_guard_create(p->n);
    fill(&random, t.scale.data, p->n);
    fill(&random, t.bias.data, p->n);
    test_guard_protect(&t.scale);
    test_guard_protect(&t.bias);
    t.options.scale = form & SCALE ? t.scale.data : NULL;
    t.options.bias = form & BIAS ? t.bias.data : NULL;
    t.options.relu = form & RELU;
    t.options.column_sums = form & SUMS ? t.sums.data : NULL;
    return t;
}

static void free_trial(trial *t)
{
    product_operands_free(&t->o);
    test_guard_free(&t->scale);
    test_guard_free(&t->bias);
    test_guard_free(&t->sums);
}

/* In a context with just the workspace that the call needs. */
static void multiply(gm_isa isa, int32_t threads, const trial *t)
{
    const product *p = &t->p;
    const product_operands *o = &t->o;
    const gm_transpose ta = p->ta ? GM_TRANSPOSE : GM_NO_TRANSPOSE, tb = p->tb ? GM_TRANSPOSE : GM_NO_TRANSPOSE;
    gm_context *context = test_context_with_workspace(isa, threads, 1);
    const size_t bytes = gm_gemm_fused_f32_workspace(context, ta, tb, p->m, p->n, p->k, &t->options);
    ck_assert_int_eq(gm_context_reserve(context, bytes), GM_OK);
    ck_assert_int_eq(gm_gemm_fused_f32(context, ta, tb, p->m, p->n, p->k, p->alpha, o->a.data, o->lda, o->b.data,
                                       o->ldb, p->beta, o->c.data, o->ldc, &t->options),
                     GM_OK);
    gm_context_destroy(context);
}

/* Turns the reference of X into that of C, and its magnitudes into what bounds the error of C. */
static void finish_reference(const trial *t, product_reference *r)
{
    for (int64_t at = 0; at < t->p.m * t->p.n; at++) {
        const int64_t j = at % t->p.n;
        const double scale = t->options.scale ? (double)t->options.scale[j] : 1;
        const double bias = t->options.bias ? (double)t->options.bias[j] : 0;
        const double value = scale * r->value[at] + bias;
        r->value[at] = t->options.relu && value < 0 ? 0 : value;
        r->magnitude[at] = (double)(t->p.k + 5) * test_unit_roundoff * (fabs(scale) * r->magnitude[at] + fabs(bias));
    }
}

static void check_values(const trial *t, const product_reference *r, bool exact)
{
    for (int64_t at = 0; at < t->p.m * t->p.n; at++) {
        const int64_t i = at / t->p.n, j = at % t->p.n;
        const double error = fabs((double)t->o.c.data[i * t->o.ldc + j] - r->value[at]);
        if (!(error <= (exact ? 0 : r->magnitude[at])))
            ck_abort_msg("%s: error %g of C[%ld, %ld]", product_describe(&t->p), error, (long)i, (long)j);
    }
}

/* The sums are those of the C that the call has written. */
static void check_sums(const trial *t)
{
    for (int64_t j = 0; j < t->p.n && t->options.column_sums; j++) {
        double sum = 0, magnitude = 0;
        for (int64_t i = 0; i < t->p.m; i++) {
            sum += (double)t->o.c.data[i * t->o.ldc + j];
            magnitude += fabs((double)t->o.c.data[i * t->o.ldc + j]);
        }
        ck_assert_msg(fabs((double)t->sums.data[j] - sum) <= 64 * test_unit_roundoff * magnitude, "%s: sum %ld is %g",
                      product_describe(&t->p), (long)j, (double)t->sums.data[j]);
    }
}

/* Direct and shared, with k in one block, in several and in parts, few rows, no k at all. */
static const product shapes[] = {
    {1, 1, 1, false, false, 0, 1, 0},        {1, 700, 200, false, false, 0, 1, 0},
    {2, 350, 801, true, false, 3, -1, 1},    {14, 32, 64, false, true, 0, 1, 0},
    {29, 65, 257, false, false, 2, 0.5f, 1}, {70, 37, 0, false, true, 1, 1, 2},
    {130, 100, 100, true, false, 0, 1, 0},   {257, 129, 384, false, true, 5, 2, -2},
    {300, 300, 500, false, true, 0, 1, 0},   {20, 33, 9000, true, false, 1, 2, -1},
    {1500, 64, 70, false, false, 1, 1, 0},   {90, 700, 100, true, true, 0, 0, 1},
};
enum { SHAPES = sizeof shapes / sizeof *shapes };

static void run_shapes(product_fill fill, bool exact)
{
    gm_isa isas[GM_ISA_COUNT];
    const int count = test_isas(isas);
    for (int form = 0; form < FORMS; form++) {
        for (int s = form % 2; s < SHAPES; s += 2 - exact) {
            trial t = make_trial(&shapes[s], form, (uint64_t)(s + form), fill);
            product_reference r = product_reference_create(&t.p, &t.o);
            finish_reference(&t, &r);
            float *before = malloc((size_t)t.o.c.count * sizeof *before);
            memcpy(before, t.o.c.data, (size_t)t.o.c.count * sizeof *before);
            for (int i = 0; i < count; i++) {
                memcpy(t.o.c.data, before, (size_t)t.o.c.count * sizeof *before);
                test_fill_nan(t.sums.data, t.p.n);
                multiply(isas[i], 2, &t);
                check_values(&t, &r, exact);
                check_sums(&t);
            }
            free(before);
            product_reference_free(&r);
            free_trial(&t);
        }
    }
}

START_TEST(small_integers_are_exact)
{
    run_shapes(product_integers, true);
}
END_TEST

START_TEST(errors_are_bounded)
{
    run_shapes(product_heavy_tails, false);
}
END_TEST

static void check_same_rows(const trial *t, const float *expected, const char *what)
{
    for (int64_t i = 0; i < t->p.m; i++)
        ck_assert_msg(
            test_same_bits(expected + i * t->o.ldc, t->o.c.data + i * t->o.ldc, (size_t)t->p.n * sizeof(float)),
            "%s: row %ld is not that of %s", product_describe(&t->p), (long)i, what);
}

/* Bias and ReLU have the bits of the separate calls. */
START_TEST(bits_are_those_of_separate_calls)
{
    gm_isa isas[GM_ISA_COUNT];
    for (int i = 0, count = test_isas(isas); i < count; i++) {
        for (int s = 0; s < SHAPES; s++) {
            trial t = make_trial(&shapes[s], BIAS | RELU | SUMS, (uint64_t)s, product_normal);
            gm_context *context = product_context(isas[i], 2, &t.p);
            float *expected = malloc((size_t)(t.p.m * t.o.ldc) * sizeof *expected);
            memcpy(expected, t.o.c.data, (size_t)t.o.c.count * sizeof *expected);
            ck_assert_int_eq(product_multiply(context, &t.p, &t.o, expected), GM_OK);
            ck_assert_int_eq(gm_bias_relu_forward_f32(context, t.p.m, t.p.n, expected, t.o.ldc, t.options.bias, true,
                                                      expected, t.o.ldc),
                             GM_OK);
            multiply(isas[i], 2, &t);
            check_same_rows(&t, expected, "separate calls");
            free(expected);
            gm_context_destroy(context);
            free_trial(&t);
        }
    }
}
END_TEST

START_TEST(bits_do_not_depend_on_threads)
{
    static const int32_t threads[] = {1, 2, 3, 7};
    static const product cases[] = {
        {300, 513, 700, false, true, 0, 1, 0},  {1000, 70, 300, true, false, 0, 1, 0},
        {20, 9000, 100, false, false, 0, 1, 0}, {2001, 100, 150, false, false, 0, 1, 0},
        {500, 500, 200, true, true, 1, 1, 0},   {40, 40, 5000, true, false, 0, 1, 0},
    };
    gm_isa isas[GM_ISA_COUNT];
    for (int i = 0, count = test_isas(isas); i < count; i++) {
        for (size_t s = 0; s < sizeof cases / sizeof *cases; s++) {
            trial t = make_trial(&cases[s], FORMS - 1, s, product_normal);
            float *first = malloc((size_t)t.o.c.count * sizeof *first);
            float *sums = malloc((size_t)t.p.n * sizeof *sums);
            for (int n = 0; n < 4; n++) {
                test_fill_nan(t.o.c.data, t.o.c.count);
                test_fill_nan(t.sums.data, t.p.n);
                multiply(isas[i], threads[n], &t);
                if (n == 0) {
                    memcpy(first, t.o.c.data, (size_t)t.o.c.count * sizeof *first);
                    memcpy(sums, t.sums.data, (size_t)t.p.n * sizeof *sums);
                }
                check_same_rows(&t, first, "one thread");
                ck_assert(test_same_bits(sums, t.sums.data, (size_t)t.p.n * sizeof *sums));
            }
            free(first);
            free(sums);
            free_trial(&t);
        }
    }
}
END_TEST

/* ReLU keeps NaN, and the sums show it; no rows have sums of 0. */
START_TEST(not_numbers_and_no_rows)
{
    gm_isa isas[GM_ISA_COUNT];
    for (int i = 0, count = test_isas(isas); i < count; i++) {
        gm_context *context = test_context(isas[i], 1);
        const float a[2] = {1, NAN}, b[3] = {1, -1, 2};
        float c[6], sums[3] = {NAN, NAN, NAN};
        gm_gemm_options options = gm_gemm_default_options();
        options.relu = true;
        options.column_sums = sums;
        ck_assert_int_eq(
            gm_gemm_fused_f32(context, GM_NO_TRANSPOSE, GM_NO_TRANSPOSE, 2, 3, 1, 1, a, 1, b, 3, 0, c, 3, &options),
            GM_OK);
        for (int j = 0; j < 3; j++) {
            ck_assert(c[j] == fmaxf(b[j], 0));
            ck_assert(isnan(c[3 + j]) && isnan(sums[j]));
        }
        ck_assert_int_eq(
            gm_gemm_fused_f32(context, GM_NO_TRANSPOSE, GM_NO_TRANSPOSE, 0, 3, 1, 1, a, 1, b, 3, 0, c, 3, &options),
            GM_OK);
        for (int j = 0; j < 3; j++)
            ck_assert(sums[j] == 0.0f);
        gm_context_destroy(context);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("gemm_fused");
    TCase *tests = tcase_create("gemm_fused");
    suite_add_tcase(suite, tests);
    tcase_add_test(tests, small_integers_are_exact);
    tcase_add_test(tests, errors_are_bounded);
    tcase_add_test(tests, bits_are_those_of_separate_calls);
    tcase_add_test(tests, bits_do_not_depend_on_threads);
    tcase_add_test(tests, not_numbers_and_no_rows);
    return test_run(suite);
}
