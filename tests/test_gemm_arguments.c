/* What the products of <gemel/gemm.h> refuse, leaving C untouched. */
#include <gemel/gemm.h>

#include <math.h>

#include "support/support.h"

enum call { GEMM = 1, SYRK = 2, FUSED = 4, ALL = 7, TWO = GEMM | FUSED /* operands */ };

/* What can be wrong; pointers are there or not. */
enum argument { NONE, CONTEXT, WORKSPACE, TA, TB, M, N, K, A, LDA, B, LDB, C, LDC, OPTIONS, ARGUMENTS };

static const int64_t valid[ARGUMENTS] = {
    [CONTEXT] = 1, [WORKSPACE] = 1, [M] = 2,   [N] = 3, [K] = 4,   [A] = 1,
    [LDA] = 4,     [B] = 1,         [LDB] = 3, [C] = 1, [LDC] = 3, [OPTIONS] = sizeof(gm_gemm_options),
};

/* Calls, up to two arguments that are changed, and what the calls then return. */
typedef struct arguments_case {
    int calls;
    enum argument first;
    int64_t value;
    enum argument second;
    int64_t second_value;
    gm_status status;
} arguments_case;

static const arguments_case cases[] = {
    {ALL, NONE, 0, NONE, 0, GM_OK},
    {ALL, CONTEXT, 0, NONE, 0, GM_INVALID_ARGUMENT},
    {ALL, WORKSPACE, 0, TA, 1, GM_WORKSPACE_TOO_SMALL},
    {ALL, TA, 2, NONE, 0, GM_INVALID_ARGUMENT},
    {TWO, TB, -1, NONE, 0, GM_INVALID_ARGUMENT},
    {ALL, M, -1, NONE, 0, GM_INVALID_ARGUMENT},
    {TWO, N, -1, NONE, 0, GM_INVALID_ARGUMENT},
    {ALL, K, -1, NONE, 0, GM_INVALID_ARGUMENT},
    {ALL, A, 0, NONE, 0, GM_INVALID_ARGUMENT},
    {TWO, B, 0, NONE, 0, GM_INVALID_ARGUMENT},
    {ALL, C, 0, NONE, 0, GM_INVALID_ARGUMENT},
    {ALL, LDA, 3, NONE, 0, GM_INVALID_ARGUMENT},
    {ALL, TA, 1, LDA, 1, GM_INVALID_ARGUMENT},
    {TWO, LDB, 2, NONE, 0, GM_INVALID_ARGUMENT},
    {TWO, TB, 1, NONE, 0, GM_INVALID_ARGUMENT},
    {ALL, LDC, 1, NONE, 0, GM_INVALID_ARGUMENT},
    {TWO, LDC, 2, NONE, 0, GM_INVALID_ARGUMENT},
    {TWO, M, INT64_MAX / 2, NONE, 0, GM_SIZE_OVERFLOW},
    {SYRK, M, INT64_MAX / 2, LDC, INT64_MAX / 2, GM_SIZE_OVERFLOW},
    {ALL, M, 0, C, 0, GM_OK},
    {ALL, TA, 1, LDA, 2, GM_OK},
    {TWO, TB, 1, LDB, 4, GM_OK},
    {ALL, LDA, 7, LDC, 5, GM_OK},
    {FUSED, OPTIONS, sizeof(gm_gemm_options) - 1, NONE, 0, GM_INVALID_ARGUMENT},
};

typedef struct operands {
    gm_context *context;
    float a[64], b[64], c[64], sums[64];
} operands;

static gm_status make_call(int call, const int64_t *x, operands *o)
{
    gm_context *context = x[CONTEXT] ? o->context : NULL;
    const float *a = x[A] ? o->a : NULL, *b = x[B] ? o->b : NULL;
    float *c = x[C] ? o->c : NULL;
    const gm_transpose ta = (gm_transpose)x[TA], tb = (gm_transpose)x[TB];
    if (call == GEMM)
        return gm_gemm_f32(context, ta, tb, x[M], x[N], x[K], 1, a, x[LDA], b, x[LDB], 0, c, x[LDC]);
    if (call == FUSED) {
        gm_gemm_options options = gm_gemm_default_options();
        options.size = (size_t)x[OPTIONS];
        options.column_sums = o->sums;
        return gm_gemm_fused_f32(context, ta, tb, x[M], x[N], x[K], 1, a, x[LDA], b, x[LDB], 0, c, x[LDC], &options);
    }
    return gm_syrk_f32(context, ta, x[M], x[K], 1, a, x[LDA], 0, c, x[LDC]);
}

static void check(int call, const arguments_case *example, size_t number)
{
    int64_t x[ARGUMENTS];
    for (int i = 0; i < ARGUMENTS; i++)
        x[i] = i == (int)example->first ? example->value : i == (int)example->second ? example->second_value : valid[i];
    operands o = {.context = test_context_with_workspace(GM_ISA_SCALAR, 1, x[WORKSPACE] ? 1 << 20 : 1)};
    test_fill_nan(o.c, 64);
    test_fill_nan(o.sums, 64);
    const gm_status status = make_call(call, x, &o);
    ck_assert_msg(status == example->status, "case %zu of call %d: %s", number, call, gm_status_string(status));
    if (status != GM_OK)
        for (int i = 0; i < 64; i++)
            ck_assert_msg(isnan(o.c[i]) && isnan(o.sums[i]), "case %zu of call %d wrote", number, call);
    gm_context_destroy(o.context);
}

START_TEST(bad_arguments_return_their_status)
{
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        for (int call = 1; call <= ALL; call *= 2)
            if (cases[i].calls & call)
                check(call, &cases[i], i);
}
END_TEST

/* Of NULL and of sizes that no product has. */
START_TEST(workspaces_of_nothing_are_nothing)
{
    gm_context *context = test_context(GM_ISA_SCALAR, 1);
    ck_assert_uint_eq(gm_gemm_f32_workspace(NULL, GM_NO_TRANSPOSE, GM_NO_TRANSPOSE, 3, 3, 3), 0);
    ck_assert_uint_eq(gm_gemm_f32_workspace(context, GM_NO_TRANSPOSE, GM_NO_TRANSPOSE, 3, -3, 3), 0);
    ck_assert_uint_eq(gm_gemm_fused_f32_workspace(NULL, GM_NO_TRANSPOSE, GM_NO_TRANSPOSE, 3, 3, 3, NULL), 0);
    ck_assert_uint_eq(gm_gemm_fused_f32_workspace(context, GM_NO_TRANSPOSE, GM_NO_TRANSPOSE, 3, 3, -3, NULL), 0);
    ck_assert_uint_eq(gm_syrk_f32_workspace(NULL, GM_NO_TRANSPOSE, 3, 3), 0);
    ck_assert_uint_eq(gm_syrk_f32_workspace(context, GM_NO_TRANSPOSE, -3, 3), 0);
    gm_context_destroy(context);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("gemm_arguments");
    TCase *tests = tcase_create("gemm_arguments");
    suite_add_tcase(suite, tests);
    tcase_add_test(tests, bad_arguments_return_their_status);
    tcase_add_test(tests, workspaces_of_nothing_are_nothing);
    return test_run(suite);
}
