/* gm_effective_rank() where the eigenvalues are known. */
#include <math.h>

#include "support/barlow_reference.h"
#include "support/support.h"
#include "train/effective_rank.h"

enum { MOST = 64 * 100 };

typedef struct matrix {
    int64_t n, d;
    float z[MOST];
} matrix;

/* Columns of length and offset of their own; up to n - 1 of them are orthogonal, so that the eigenvalues are the
 * squared lengths. */
static matrix orthogonal(int64_t n, int64_t d, double (*length)(int64_t col))
{
    matrix m = {.n = n, .d = d};
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = 0; j < d; j++)
            m.z[i * d + j] = (float)(length(j) * (barlow_walsh(n, i, j) + (double)(j % 3)));
    return m;
}

static double equal(int64_t col)
{
    (void)col;
    return 1;
}

static double halving(int64_t col)
{
    return exp2(-(double)col / 2);
}

static double rank_of(gm_isa isa, const matrix *m, gm_status expected)
{
    float mean[100], scratch[2 * MOST];
    double rank = -1;
    for (int64_t j = 0; j < m->d; j++) {
        double sum = 0;
        for (int64_t i = 0; i < m->n; i++)
            sum += (double)m->z[i * m->d + j];
        mean[j] = (float)(sum / (double)m->n);
    }
    gm_context *context = test_context_with_workspace(isa, 2, 1);
    ck_assert_int_eq(gm_context_reserve(context, gm_effective_rank_workspace(context, m->n, m->d)), GM_OK);
    ck_assert_int_eq(gm_effective_rank(context, m->n, m->d, m->z, mean, scratch, &rank), expected);
    gm_context_destroy(context);
    return rank;
}

static void check_rank(const matrix *m, double expected)
{
    gm_isa isas[GM_ISA_COUNT];
    for (int i = 0, n = test_isas(isas); i < n; i++) {
        const double rank = rank_of(isas[i], m, GM_OK);
        ck_assert_msg(fabs(rank - expected) <= 1e-5 * expected, "%s: %g not %g", gm_isa_name(isas[i]), rank, expected);
    }
}

START_TEST(dimensions_filled_alike_are_counted)
{
    const matrix one = orthogonal(64, 1, equal), some = orthogonal(64, 31, equal), all = orthogonal(64, 63, equal);
    check_rank(&one, 1);
    check_rank(&some, 31);
    check_rank(&all, 63);
}
END_TEST

/* l_i = 2^-i: (sum l)^2 / sum l^2 = 3 (2^d - 1) / (2^d + 1) */
START_TEST(uneven_dimensions_count_less)
{
    const matrix m = orthogonal(32, 5, halving);
    check_rank(&m, 3.0 * 31 / 33);
}
END_TEST

/* More columns than rows, where the rows' inner products are taken: each column is there three times. */
START_TEST(copies_do_not_count)
{
    const matrix few = orthogonal(32, 20, equal);
    matrix copies = {.n = 32, .d = 60};
    for (int64_t i = 0; i < 32; i++)
        for (int64_t j = 0; j < 60; j++)
            copies.z[i * 60 + j] = few.z[i * 20 + j % 20];
    check_rank(&copies, 20);
}
END_TEST

START_TEST(the_scale_does_not_matter)
{
    static const float scales[] = {1e-30f, 1e30f};
    for (int s = 0; s < 2; s++) {
        matrix m = orthogonal(64, 31, equal);
        for (int64_t i = 0; i < m.n * m.d; i++)
            m.z[i] *= scales[s];
        check_rank(&m, 31);
    }
}
END_TEST

START_TEST(equal_rows_fill_nothing)
{
    matrix m = {.n = 9, .d = 4};
    for (int i = 0; i < 36; i++)
        m.z[i] = 0.5f * (float)(i % 4);
    gm_isa isas[GM_ISA_COUNT];
    for (int i = 0, n = test_isas(isas); i < n; i++)
        ck_assert(rank_of(isas[i], &m, GM_OK) == 0);
}
END_TEST

START_TEST(what_is_not_finite_is_reported)
{
    matrix m = orthogonal(16, 5, equal);
    m.z[37] = NAN;
    ck_assert(isnan(rank_of(GM_ISA_AUTO, &m, GM_NOT_FINITE)));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("effective_rank");
    TCase *tests = tcase_create("effective_rank");
    suite_add_tcase(suite, tests);
    tcase_add_test(tests, dimensions_filled_alike_are_counted);
    tcase_add_test(tests, uneven_dimensions_count_less);
    tcase_add_test(tests, copies_do_not_count);
    tcase_add_test(tests, the_scale_does_not_matter);
    tcase_add_test(tests, equal_rows_fill_nothing);
    tcase_add_test(tests, what_is_not_finite_is_reported);
    return test_run(suite);
}
