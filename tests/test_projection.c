/* Samples in the plane: directions of greatest variance, on any number of threads. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "support/support.h"
#include "train/projection.h"

enum { DIM = 24 };

static gm_projection projections[2];

static gm_context *context_of(gm_isa isa, int32_t threads)
{
    gm_context_options options = gm_context_default_options();
    options.isa = isa;
    options.threads = threads;
    gm_context *context;
    ck_assert_int_eq(gm_context_create(&options, &context), GM_OK);
    return context;
}

/* Rows u a_i + v b_i + noise around a mean far away, u and v orthonormal. */
static float *plane_of(int64_t rows, double long_side, double short_side, float noise)
{
    test_random random = test_random_create(11);
    float *x = malloc(sizeof *x * (size_t)(rows * DIM));
    for (int64_t i = 0; i < rows; i++) {
        const double a = long_side * (2.0 * (double)i / (double)(rows - 1) - 1.0);
        const double b = short_side * (i % 2 ? 1 : -1);
        test_fill_normal(&random, x + i * DIM, DIM, 5, noise);
        for (int j = 0; j < DIM; j++) {
            const double u = j % 2 ? 0 : sqrt(2.0 / DIM), v = j % 2 ? sqrt(2.0 / DIM) : 0;
            x[i * DIM + j] += (float)(a * u + b * v);
        }
    }
    return x;
}

START_TEST(the_two_longest_directions_are_found)
{
    enum { ROWS = 101 };
    gm_isa isas[GM_ISA_COUNT];
    gm_error error;
    float *x = plane_of(ROWS, 8, 2, 0);
    const gm_samples samples = {ROWS, DIM, x, NULL};
    for (int32_t i = test_isas(isas) - 1; i >= 0; i--) {
        gm_context *context = context_of(isas[i], 1);
        gm_projection *p = &projections[0];
        ck_assert_int_eq(gm_project(context, &samples, p, &error), GM_OK);
        ck_assert_int_eq(p->points, ROWS);
        ck_assert(fabs(p->shares[0] + p->shares[1] - 1) < 1e-4 && p->shares[0] > 0.8);
        for (int64_t r = 0; r < ROWS; r++) {
            ck_assert_int_eq(p->row[r], r);
            ck_assert(fabs(fabs((double)p->at[r][1]) - 2) < 0.1);
            ck_assert(fabs(fabs((double)p->at[r][0]) - 8 * fabs(2.0 * (double)r / (ROWS - 1) - 1)) < 0.1);
        }
        gm_context_destroy(context);
    }
    free(x);
}
END_TEST

START_TEST(threads_do_not_change_it)
{
    enum { ROWS = 5001 };
    gm_error error;
    float *x = plane_of(ROWS, 3, 2, 1);
    const gm_samples samples = {ROWS, DIM, x, NULL};
    static const int32_t threads[] = {1, 2, 3, 7};
    for (int i = 0; i < 4; i++) {
        gm_context *context = context_of(GM_ISA_AUTO, threads[i]);
        memset(&projections[i > 0], 0, sizeof projections[0]);
        ck_assert_int_eq(gm_project(context, &samples, &projections[i > 0], &error), GM_OK);
        ck_assert(test_same_bits(&projections[0], &projections[i > 0], sizeof projections[0]));
        gm_context_destroy(context);
    }
    ck_assert_int_eq(projections[0].points, GM_PROJECTION_POINTS);
    ck_assert_int_eq(projections[0].row[GM_PROJECTION_POINTS - 1], ROWS * (GM_PROJECTION_POINTS - 1LL) / 2000);
    free(x);
}
END_TEST

START_TEST(what_has_no_plane)
{
    float x[6] = {1, 1, 2, 2, 3, 3};
    gm_error error;
    gm_context *context = context_of(GM_ISA_AUTO, 1);
    gm_projection *p = &projections[0];
    ck_assert_int_eq(gm_project(context, &(gm_samples){2, 3, x, NULL}, p, &error), GM_OK);
    ck_assert_int_eq(p->points, 0);
    ck_assert_int_eq(gm_project(context, &(gm_samples){6, 1, x, NULL}, p, &error), GM_OK); /* a line */
    ck_assert_int_eq(p->points, 6);
    ck_assert(fabs(p->shares[0] - 1) < 1e-5 && p->at[0][1] == 0 && fabs(fabs((double)p->at[0][0]) - 1) < 1e-5);
    for (int i = 0; i < 6; i++)
        x[i] = 7;
    ck_assert_int_eq(gm_project(context, &(gm_samples){3, 2, x, NULL}, p, &error), GM_OK); /* a point */
    ck_assert(p->points == 3 && p->shares[0] == 0 && p->at[2][0] == 0);
    gm_context_destroy(context);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("projection");
    TCase *tests = tcase_create("projection");
    tcase_add_test(tests, the_two_longest_directions_are_found);
    tcase_add_test(tests, threads_do_not_change_it);
    tcase_add_test(tests, what_has_no_plane);
    suite_add_tcase(suite, tests);
    return test_run(suite);
}
