/* The learning-rate schedule against values of the published formula. */
#include "train/schedule.h"

#include <math.h>

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

int main(void)
{
    Suite *suite = suite_create("schedule");
    TCase *tests = tcase_create("schedule");
    tcase_add_test(tests, follows_the_published_formula);
    tcase_add_test(tests, rises_then_falls_and_stays_above_a_thousandth);
    suite_add_tcase(suite, tests);
    return test_run(suite);
}
