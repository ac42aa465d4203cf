#include "support/support.h"

#include "train/matrix_loss.h"

#include <math.h>
#include <stdlib.h>

/* Both orders of the arithmetic must agree where nothing is ill-conditioned. */
static void compare_with_fused(gm_context *context, int64_t n, int64_t d, float scale)
{
    const size_t bytes = (size_t)(n * d) * sizeof(float);
    float *z[6];
    for (int i = 0; i < 6; i++)
        ck_assert_ptr_nonnull(z[i] = malloc(bytes));
    test_random random = test_random_create((uint64_t)(n + d));
    test_fill_normal(&random, z[0], n * d, 0.5, 2.0);
    test_fill_normal(&random, z[1], n * d, -0.5, 1.0);
    for (int64_t i = 0; i < n * d; i++)
        z[1][i] += 0.5f * z[0][i];

    gm_barlow_options options = gm_barlow_default_options();
    options.scale = scale;
    gm_barlow_result fused = {.size = sizeof fused}, matrix = {.size = sizeof matrix};
    gm_matrix_loss loss;
    ck_assert_int_eq(gm_matrix_loss_create(context, n, d, &loss, NULL), GM_OK);
    ck_assert_uint_ge(loss.bytes, (size_t)(d * d) * sizeof(float));
    ck_assert_int_eq(gm_context_reserve(context, gm_barlow_loss_f32_workspace(context, n, d, &options, true)), GM_OK);
    ck_assert_int_eq(gm_matrix_loss_run(&loss, z[0], z[1], &options, &matrix, z[2], z[3], NULL), GM_OK);
    ck_assert_int_eq(gm_barlow_loss_f32(context, n, d, z[0], d, z[1], d, &options, &fused, z[4], d, z[5], d), GM_OK);

    ck_assert_double_le(fabs(matrix.loss - fused.loss), 1e-6 * fused.loss);
    ck_assert_double_le(fabs(matrix.invariance - fused.invariance), 1e-5 * fused.loss);
    for (int view = 0; view < 2; view++) {
        double difference = 0, norm = 0;
        for (int64_t i = 0; i < n * d; i++) {
            const double a = z[2 + view][i], b = z[4 + view][i];
            difference += (a - b) * (a - b);
            norm += b * b;
        }
        ck_assert_double_le(sqrt(difference), 1e-5 * sqrt(norm));
    }
    gm_matrix_loss_free(&loss);
    for (int i = 0; i < 6; i++)
        free(z[i]);
}

START_TEST(agrees_with_the_fused_loss)
{
    gm_isa isas[GM_ISA_COUNT];
    for (int i = 0, count = test_isas(isas); i < count; i++) {
        gm_context *context = test_context(isas[i], 2);
        compare_with_fused(context, 32, 96, 1.0f);
        compare_with_fused(context, 96, 33, 0.25f);
        compare_with_fused(context, 7, 1, 1.0f);
        gm_context_destroy(context);
    }
}
END_TEST

START_TEST(says_when_the_matrix_is_too_large)
{
    gm_context *context = test_context(GM_ISA_SCALAR, 1);
    gm_matrix_loss loss;
    gm_error error;
    ck_assert_int_eq(gm_matrix_loss_create(context, 2, INT64_C(1) << 32, &loss, &error), GM_SIZE_OVERFLOW);
    ck_assert_ptr_null(loss.c);
    gm_context_destroy(context);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("matrix_loss");
    TCase *cases = tcase_create("matrix_loss");
    tcase_add_test(cases, agrees_with_the_fused_loss);
    tcase_add_test(cases, says_when_the_matrix_is_too_large);
    suite_add_tcase(suite, cases);
    return test_run(suite);
}
