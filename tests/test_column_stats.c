/* gm_column_stats_f32() against exact sums and double precision. */
#include <gemel/column_stats.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "support/support.h"

typedef struct matrix {
    int64_t rows, cols, ldx, groups;
    bool unbiased;
} matrix;

static const matrix shapes[] = {
    {1, 1, 1, 1, false},      {2, 1, 1, 1, true},         {3, 5, 5, 1, false},         {7, 16, 16, 1, true},
    {8, 17, 17, 1, false},    {9, 31, 40, 1, false},      {40, 33, 33, 1, true},       {41, 64, 64, 1, false},
    {73, 65, 67, 1, false},   {256, 100, 101, 2, false},  {258, 129, 129, 3, true},    {600, 511, 511, 1, false},
    {300, 513, 515, 1, true}, {1024, 512, 512, 2, false}, {2100, 7, 9, 1, false},      {70000, 3, 3, 1, false},
    {66000, 1, 1, 2, true},   {12, 1030, 1030, 4, true},  {300, 1030, 1031, 1, false},
};

static gm_column_stats_options options_of(const matrix *m)
{
    gm_column_stats_options options = gm_column_stats_default_options();
    options.groups = m->groups;
    options.unbiased = m->unbiased;
    return options;
}

static void reference(const matrix *m, const float *x, double *mean, double *variance)
{
    const int64_t n = m->rows / m->groups;
    for (int64_t g = 0; g < m->groups; g++) {
        for (int64_t j = 0; j < m->cols; j++) {
            const float *column = x + g * n * m->ldx + j;
            double sum = 0, squares = 0;
            for (int64_t i = 0; i < n; i++)
                sum += column[i * m->ldx];
            for (int64_t i = 0; i < n; i++)
                squares += (column[i * m->ldx] - sum / (double)n) * (column[i * m->ldx] - sum / (double)n);
            mean[g * m->cols + j] = sum / (double)n;
            variance[g * m->cols + j] = squares / (double)(n - (m->unbiased ? 1 : 0));
        }
    }
}

static gm_context *context_for(gm_isa isa, int32_t threads, const matrix *m)
{
    gm_context *context = test_context_with_workspace(isa, threads, 1);
    const gm_column_stats_options options = options_of(m);
    const size_t bytes = gm_column_stats_f32_workspace(context, m->rows, m->cols, &options);
    ck_assert_int_eq(gm_context_reserve(context, bytes), GM_OK);
    return context;
}

/* Fills a guarded matrix whose rows are padded with NaN. */
static test_guard guarded_matrix(const matrix *m)
{
    return test_guard_create((m->rows - 1) * m->ldx + m->cols);
}

/* Writes n values of row i. */
typedef void (*row_filler)(test_random *random, int64_t i, float *x, int64_t n);

static void fill(const matrix *m, test_guard *x, row_filler row, test_random *random)
{
    for (int64_t i = 0; i < m->rows; i++)
        row(random, i, x->data + i * m->ldx, m->cols);
    test_guard_protect(x);
}

static void integer_row(test_random *random, int64_t i, float *x, int64_t n)
{
    (void)i;
    test_fill_integers(random, x, n, 1);
}

static void normal_row(test_random *random, int64_t i, float *x, int64_t n)
{
    (void)i;
    test_fill_normal(random, x, n, 0, 1);
}

static void offset_row(test_random *random, int64_t i, float *x, int64_t n)
{
    (void)i;
    test_fill_normal(random, x, n, 1e4, 1);
}

static void heavy_row(test_random *random, int64_t i, float *x, int64_t n)
{
    (void)i;
    test_fill_heavy_tails(random, x, n);
}

/* Means that no earlier rows foretell: outliers first, then a wave, then calm. */
static void drifting_row(test_random *random, int64_t i, float *x, int64_t n)
{
    const double drift = i < 10 ? 1e4 : i < 1000 ? 100 * sin((double)i / 20) : 0;
    test_fill_normal(random, x, n, drift, 1);
}

static void check_errors(const matrix *m, const float *x, double bound, const float *mean, const float *variance)
{
    const int64_t n = m->groups * m->cols, rows = m->rows / m->groups;
    double *exact_mean = calloc((size_t)n, sizeof *exact_mean), *exact = calloc((size_t)n, sizeof *exact);
    reference(m, x, exact_mean, exact);
    for (int64_t j = 0; j < n; j++) {
        const double rms = sqrt(exact[j] + exact_mean[j] * exact_mean[j]);
        ck_assert_msg(fabs(mean[j] - exact_mean[j]) <= 1e-6 * rms, "%ldx%ld column %ld: mean %g instead of %g",
                      (long)m->rows, (long)m->cols, (long)j, mean[j], exact_mean[j]);
        if (rows > 1)
            ck_assert_msg(fabs(variance[j] - exact[j]) <= bound * exact[j],
                          "%ldx%ld column %ld: variance %.9g instead of %.9g", (long)m->rows, (long)m->cols, (long)j,
                          variance[j], exact[j]);
    }
    free(exact_mean);
    free(exact);
}

/* bound: of the variance's relative error. */
static void run_shapes(row_filler row, double bound)
{
    gm_isa isas[GM_ISA_COUNT];
    for (int i = 0, n = test_isas(isas); i < n; i++) {
        for (size_t s = 0; s < sizeof shapes / sizeof *shapes; s++) {
            const matrix *m = &shapes[s];
            test_random random = test_random_create(s);
            test_guard x = guarded_matrix(m), mean = test_guard_create(m->groups * m->cols),
                       variance = test_guard_create(m->groups * m->cols);
            fill(m, &x, row, &random);
            gm_context *context = context_for(isas[i], 2, m);
            const gm_column_stats_options options = options_of(m);
            ck_assert_int_eq(
                gm_column_stats_f32(context, m->rows, m->cols, x.data, m->ldx, &options, mean.data, variance.data),
                GM_OK);
            check_errors(m, x.data, bound, mean.data, variance.data);
            gm_context_destroy(context);
            test_guard_free(&x);
            test_guard_free(&mean);
            test_guard_free(&variance);
        }
    }
}

START_TEST(errors_are_bounded_for_normal_columns)
{
    run_shapes(normal_row, 1e-6);
}
END_TEST

START_TEST(errors_are_bounded_at_offset_1e4)
{
    run_shapes(offset_row, 1e-6);
}
END_TEST

START_TEST(errors_are_bounded_for_heavy_tails)
{
    run_shapes(heavy_row, 1e-6);
}
END_TEST

START_TEST(errors_are_bounded_for_drifting_columns)
{
    run_shapes(drifting_row, 4e-6);
}
END_TEST

/* 40 rows are three blocks, shifted by means of 8 and 32 integers: every sum is exact, the mean the rounded truth. */
START_TEST(small_integers_are_exact)
{
    gm_isa isas[GM_ISA_COUNT];
    const matrix m = {40, 77, 80, 1, false};
    test_random random = test_random_create(7);
    test_guard x = guarded_matrix(&m);
    fill(&m, &x, integer_row, &random);
    float mean[77], variance[77];
    double exact_mean[77], exact[77];
    reference(&m, x.data, exact_mean, exact);
    for (int i = 0, n = test_isas(isas); i < n; i++) {
        gm_context *context = test_context(isas[i], 1);
        ck_assert_int_eq(gm_column_stats_f32(context, m.rows, m.cols, x.data, m.ldx, NULL, mean, variance), GM_OK);
        for (int64_t j = 0; j < m.cols; j++) {
            ck_assert(mean[j] == (float)exact_mean[j]);
            ck_assert(fabs(variance[j] - exact[j]) <= exact[j] * test_unit_roundoff * 2);
        }
        gm_context_destroy(context);
    }
    test_guard_free(&x);
}
END_TEST

START_TEST(constant_columns_have_variance_zero)
{
    gm_isa isas[GM_ISA_COUNT];
    enum { ROWS = 300, COLS = 21 };
    static float x[ROWS * COLS];
    float mean[COLS], variance[COLS];
    for (int i = 0; i < ROWS * COLS; i++)
        x[i] = 0.1f + (float)(i % COLS) * 1234.567f;
    for (int i = 0, n = test_isas(isas); i < n; i++) {
        gm_context *context = test_context(isas[i], 2);
        ck_assert_int_eq(gm_column_stats_f32(context, ROWS, COLS, x, COLS, NULL, mean, variance), GM_OK);
        for (int j = 0; j < COLS; j++) {
            ck_assert(mean[j] == x[j]);
            ck_assert(variance[j] == 0.0f);
        }
        gm_context_destroy(context);
    }
}
END_TEST

START_TEST(bits_do_not_depend_on_threads)
{
    static const int32_t threads[] = {1, 2, 3, 7};
    gm_isa isas[GM_ISA_COUNT];
    const matrix m = {5000, 130, 130, 2, false};
    const gm_column_stats_options options = options_of(&m);
    float first[2][260], again[2][260];
    test_random random = test_random_create(3);
    test_guard x = guarded_matrix(&m);
    fill(&m, &x, normal_row, &random);
    for (int i = 0, n = test_isas(isas); i < n; i++) {
        for (int t = 0; t < 4; t++) {
            gm_context *context = context_for(isas[i], threads[t], &m);
            float(*out)[260] = t == 0 ? first : again;
            ck_assert_int_eq(gm_column_stats_f32(context, m.rows, m.cols, x.data, m.ldx, &options, out[0], out[1]),
                             GM_OK);
            ck_assert(test_same_bits(first, out, sizeof first));
            gm_context_destroy(context);
        }
    }
    test_guard_free(&x);
}
END_TEST

START_TEST(not_finite_input_is_reported)
{
    gm_isa isas[GM_ISA_COUNT];
    const float bad[] = {NAN, INFINITY, -INFINITY};
    float x[40 * 20], mean[20], variance[20];
    for (int i = 0, n = test_isas(isas); i < n; i++) {
        gm_context *context = test_context(isas[i], 1);
        for (int b = 0; b < 3; b++) {
            memset(x, 0, sizeof x);
            x[31 * 20 + 19] = bad[b];
            ck_assert_int_eq(gm_column_stats_f32(context, 40, 20, x, 20, NULL, mean, variance), GM_NOT_FINITE);
            ck_assert(mean[0] == 0.0f && variance[18] == 0.0f);
            ck_assert(!isfinite(mean[19]) && !isfinite(variance[19]));
        }
        gm_context_destroy(context);
    }
}
END_TEST

START_TEST(bad_arguments_return_their_status)
{
    gm_context *context = test_context(GM_ISA_SCALAR, 1), *bare = test_context_with_workspace(GM_ISA_SCALAR, 1, 1);
    float x[12] = {0}, mean[4], variance[4];
    gm_column_stats_options three = gm_column_stats_default_options(), zero = three, cut = three;
    three.groups = 3;
    zero.groups = 0;
    cut.size = 4;
    const struct {
        gm_context *context;
        int64_t rows, cols, ldx;
        const float *x;
        const gm_column_stats_options *options;
        float *mean;
        gm_status status;
    } cases[] = {
        {NULL, 3, 4, 4, x, NULL, mean, GM_INVALID_ARGUMENT},
        {context, 3, 4, 4, NULL, NULL, mean, GM_INVALID_ARGUMENT},
        {context, 3, 4, 4, x, NULL, NULL, GM_INVALID_ARGUMENT},
        {context, -1, 4, 4, x, NULL, mean, GM_INVALID_ARGUMENT},
        {context, 3, -4, 4, x, NULL, mean, GM_INVALID_ARGUMENT},
        {context, 3, 4, 3, x, NULL, mean, GM_INVALID_ARGUMENT},
        {context, 0, 4, 4, x, NULL, mean, GM_INVALID_ARGUMENT},
        {context, 2, 4, 4, x, &three, mean, GM_INVALID_ARGUMENT},
        {context, 3, 4, 4, x, &zero, mean, GM_INVALID_ARGUMENT},
        {context, 3, 4, 4, x, &cut, mean, GM_INVALID_ARGUMENT},
        {context, INT64_MAX / 4, 4, 4, x, NULL, mean, GM_SIZE_OVERFLOW},
        {bare, 3, 4, 4, x, NULL, mean, GM_WORKSPACE_TOO_SMALL},
        {context, 3, 0, 4, NULL, NULL, NULL, GM_OK},
        {context, 3, 4, 4, x, NULL, mean, GM_OK},
        {context, 3, 4, 4, x, &three, mean, GM_OK},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        float *out = cases[i].mean, wide[12];
        if (out && cases[i].options == &three)
            out = wide;
        const gm_status status = gm_column_stats_f32(cases[i].context, cases[i].rows, cases[i].cols, cases[i].x,
                                                     cases[i].ldx, cases[i].options, out, i == 14 ? NULL : variance);
        ck_assert_msg(status == cases[i].status, "case %zu: %s", i, gm_status_string(status));
    }
    gm_context_destroy(context);
    gm_context_destroy(bare);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("column_stats");
    TCase *tests = tcase_create("column_stats");
    suite_add_tcase(suite, tests);
    tcase_add_test(tests, errors_are_bounded_for_normal_columns);
    tcase_add_test(tests, errors_are_bounded_at_offset_1e4);
    tcase_add_test(tests, errors_are_bounded_for_heavy_tails);
    tcase_add_test(tests, errors_are_bounded_for_drifting_columns);
    tcase_add_test(tests, small_integers_are_exact);
    tcase_add_test(tests, constant_columns_have_variance_zero);
    tcase_add_test(tests, bits_do_not_depend_on_threads);
    tcase_add_test(tests, not_finite_input_is_reported);
    tcase_add_test(tests, bad_arguments_return_their_status);
    return test_run(suite);
}
