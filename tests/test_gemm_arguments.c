/* What the products of <gemel/gemm.h> refuse, leaving C untouched. */
#include <gemel/gemm.h>

#include <math.h>

#include "support/support.h"

START_TEST(bad_arguments_return_their_status)
{
    gm_context *context = test_context(GM_ISA_SCALAR, 1), *bare = test_context_with_workspace(GM_ISA_SCALAR, 1, 1);
    float x[12] = {0}, c[12];
    const struct {
        gm_context *context;
        int ta, tb;
        int64_t m, n, k;
        const float *a;
        int64_t lda;
        const float *b;
        int64_t ldb;
        float *c;
        int64_t ldc;
        gm_status status;
    } cases[] = {
        {NULL, 0, 0, 3, 3, 3, x, 3, x, 3, c, 3, GM_INVALID_ARGUMENT},
        {context, 2, 0, 3, 3, 3, x, 3, x, 3, c, 3, GM_INVALID_ARGUMENT},
        {context, 0, -1, 3, 3, 3, x, 3, x, 3, c, 3, GM_INVALID_ARGUMENT},
        {context, 0, 0, -1, 3, 3, x, 3, x, 3, c, 3, GM_INVALID_ARGUMENT},
        {context, 0, 0, 3, -1, 3, x, 3, x, 3, c, 3, GM_INVALID_ARGUMENT},
        {context, 0, 0, 3, 3, -1, x, 3, x, 3, c, 3, GM_INVALID_ARGUMENT},
        {context, 0, 0, 3, 3, 3, NULL, 3, x, 3, c, 3, GM_INVALID_ARGUMENT},
        {context, 0, 0, 3, 3, 3, x, 3, NULL, 3, c, 3, GM_INVALID_ARGUMENT},
        {context, 0, 0, 3, 3, 3, x, 3, x, 3, NULL, 3, GM_INVALID_ARGUMENT},
        {context, 0, 0, 2, 3, 4, x, 3, x, 3, c, 3, GM_INVALID_ARGUMENT},
        {context, 1, 0, 4, 3, 2, x, 3, x, 3, c, 3, GM_INVALID_ARGUMENT},
        {context, 0, 0, 2, 4, 3, x, 3, x, 3, c, 4, GM_INVALID_ARGUMENT},
        {context, 0, 1, 2, 3, 4, x, 4, x, 3, c, 3, GM_INVALID_ARGUMENT},
        {context, 0, 0, 3, 3, 3, x, 3, x, 3, c, 2, GM_INVALID_ARGUMENT},
        {context, 0, 0, INT64_MAX / 2, 3, 3, x, 3, x, 3, c, 3, GM_SIZE_OVERFLOW},
        {bare, 0, 0, 3, 3, 3, x, 3, x, 3, c, 3, GM_WORKSPACE_TOO_SMALL},
        {context, 0, 0, 0, 3, 3, NULL, 3, x, 3, NULL, 3, GM_OK},
        {context, 1, 1, 3, 4, 2, x, 3, x, 2, c, 4, GM_OK},
        {context, 0, 0, 3, 3, 3, x, 4, x, 3, c, 3, GM_OK},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        test_fill_nan(c, 12);
        const gm_status status =
            gm_gemm_f32(cases[i].context, (gm_transpose)cases[i].ta, (gm_transpose)cases[i].tb, cases[i].m, cases[i].n,
                        cases[i].k, 1, cases[i].a, cases[i].lda, cases[i].b, cases[i].ldb, 0, cases[i].c, cases[i].ldc);
        ck_assert_msg(status == cases[i].status, "case %zu: %s", i, gm_status_string(status));
        ck_assert_msg(status == GM_OK || isnan(c[0]), "case %zu wrote", i);
    }
    gm_context_destroy(context);
    gm_context_destroy(bare);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("gemm_arguments");
    TCase *tests = tcase_create("gemm_arguments");
    suite_add_tcase(suite, tests);
    tcase_add_test(tests, bad_arguments_return_their_status);
    return test_run(suite);
}
