/* What the products of <gemel/gemm.h> refuse, leaving C untouched. */
#include <gemel/gemm.h>

#include <math.h>

#include "support/support.h"

enum call { GEMM = 1, SYRK = 2, FUSED = 4, PACKED = 8, PACK = 16, BATCH = 32, CALLS = 64 };

/* Those that take A and write C, those that take B as it is stored, and those that both do. */
enum { TO_C = GEMM | SYRK | FUSED | PACKED | BATCH, OF_B = GEMM | FUSED | PACK | BATCH, TWO = GEMM | FUSED | BATCH };

/* What can be wrong; pointers are there or not. */
enum argument {
    NONE,
    CONTEXT,
    WORKSPACE,
    TA,
    TB,
    M,
    N,
    K,
    A,
    LDA,
    B,
    LDB,
    C,
    LDC,
    OPTIONS,
    WEIGHTS,
    COUNT,
    STRIDE_A,
    STRIDE_B,
    STRIDE_C,
    ARGUMENTS
};

/* Packed weights that are wrong. */
enum weights { MISSING, RIGHT, OTHER_N, OTHER_K, NEVER_PACKED, MISALIGNED };

static const int64_t valid[ARGUMENTS] = {
    [CONTEXT] = 1,     [WORKSPACE] = 1, [M] = 2,         [N] = 3, [K] = 4,   [A] = 1,
    [LDA] = 4,         [B] = 1,         [LDB] = 3,       [C] = 1, [LDC] = 3, [OPTIONS] = sizeof(gm_gemm_options),
    [WEIGHTS] = RIGHT, [COUNT] = 3,     [STRIDE_C] = 10,
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
    {TO_C | PACK, NONE, 0, NONE, 0, GM_OK},
    {TO_C | PACK, CONTEXT, 0, NONE, 0, GM_INVALID_ARGUMENT},
    {TO_C, WORKSPACE, 0, TA, 1, GM_WORKSPACE_TOO_SMALL},
    {TO_C, TA, 2, NONE, 0, GM_INVALID_ARGUMENT},
    {OF_B, TB, -1, NONE, 0, GM_INVALID_ARGUMENT},
    {TO_C, M, -1, NONE, 0, GM_INVALID_ARGUMENT},
    {OF_B | PACKED, N, -1, NONE, 0, GM_INVALID_ARGUMENT},
    {TO_C | PACK, K, -1, NONE, 0, GM_INVALID_ARGUMENT},
    {TO_C, A, 0, NONE, 0, GM_INVALID_ARGUMENT},
    {OF_B, B, 0, NONE, 0, GM_INVALID_ARGUMENT},
    {TO_C, C, 0, NONE, 0, GM_INVALID_ARGUMENT},
    {TO_C, LDA, 3, NONE, 0, GM_INVALID_ARGUMENT},
    {TO_C, TA, 1, LDA, 1, GM_INVALID_ARGUMENT},
    {OF_B, LDB, 2, NONE, 0, GM_INVALID_ARGUMENT},
    {OF_B, TB, 1, NONE, 0, GM_INVALID_ARGUMENT},
    {TO_C, LDC, 1, NONE, 0, GM_INVALID_ARGUMENT},
    {TWO | PACKED, LDC, 2, NONE, 0, GM_INVALID_ARGUMENT},
    {TWO | PACKED, M, INT64_MAX / 2, NONE, 0, GM_SIZE_OVERFLOW},
    {SYRK, M, INT64_MAX / 2, LDC, INT64_MAX / 2, GM_SIZE_OVERFLOW},
    {TO_C, M, 0, C, 0, GM_OK},
    {TO_C, TA, 1, LDA, 2, GM_OK},
    {OF_B, TB, 1, LDB, 4, GM_OK},
    {TO_C, LDA, 7, LDC, 5, GM_OK},
    {FUSED | PACKED, OPTIONS, sizeof(gm_gemm_options) - 1, NONE, 0, GM_INVALID_ARGUMENT},
    {PACKED | PACK, WEIGHTS, MISSING, NONE, 0, GM_INVALID_ARGUMENT},
    {PACKED, WEIGHTS, OTHER_N, NONE, 0, GM_INVALID_ARGUMENT},
    {PACKED, WEIGHTS, OTHER_K, NONE, 0, GM_INVALID_ARGUMENT},
    {PACKED, WEIGHTS, NEVER_PACKED, NONE, 0, GM_INVALID_ARGUMENT},
    {PACKED | PACK, WEIGHTS, MISALIGNED, NONE, 0, GM_INVALID_ARGUMENT},
    {BATCH, COUNT, -1, NONE, 0, GM_INVALID_ARGUMENT},
    {BATCH, STRIDE_A, -1, NONE, 0, GM_INVALID_ARGUMENT},
    {BATCH, STRIDE_B, -1, NONE, 0, GM_INVALID_ARGUMENT},
    {BATCH, STRIDE_C, -1, NONE, 0, GM_INVALID_ARGUMENT},
    {BATCH, STRIDE_C, 0, NONE, 0, GM_INVALID_ARGUMENT},
    {BATCH, STRIDE_C, 5, NONE, 0, GM_INVALID_ARGUMENT},
    {BATCH, STRIDE_C, 3, LDC, 8, GM_INVALID_ARGUMENT},
    {BATCH, STRIDE_C, 2, LDC, 9, GM_INVALID_ARGUMENT},
    {BATCH, STRIDE_A, INT64_MAX / 2, NONE, 0, GM_SIZE_OVERFLOW},
    {BATCH, STRIDE_B, INT64_MAX / 16, NONE, 0, GM_SIZE_OVERFLOW},
    {BATCH, STRIDE_C, INT64_MAX / 8, NONE, 0, GM_SIZE_OVERFLOW},
    {BATCH, STRIDE_C, 3, LDC, 9, GM_OK},
    {BATCH, COUNT, 0, STRIDE_C, 0, GM_OK},
    {BATCH, COUNT, 1, STRIDE_C, 0, GM_OK},
    {PACK, K, INT64_MAX / 16, LDB, 3, GM_SIZE_OVERFLOW},
};

typedef struct operands {
    gm_context *context;
    float a[64], b[64], c[64], sums[64];
    _Alignas(16) char weights[1024];
} operands;

/* What has been packed of B as `weights` says. */
static gm_gemm_packed *make_weights(int64_t weights, operands *o)
{
    const int64_t n = valid[N] + (weights == OTHER_N), k = valid[K] + (weights == OTHER_K);
    if (weights == MISSING)
        return NULL;
    if (weights != NEVER_PACKED)
        ck_assert_int_eq(gm_gemm_pack_f32(o->context, GM_NO_TRANSPOSE, n, k, o->b, n, (gm_gemm_packed *)o->weights),
                         GM_OK);
    return (gm_gemm_packed *)(o->weights + (weights == MISALIGNED ? 4 : 0));
}

static gm_status make_call(int call, const int64_t *x, operands *o)
{
    gm_context *context = x[CONTEXT] ? o->context : NULL;
    const float *a = x[A] ? o->a : NULL, *b = x[B] ? o->b : NULL;
    float *c = x[C] ? o->c : NULL;
    const gm_transpose ta = (gm_transpose)x[TA], tb = (gm_transpose)x[TB];
    gm_gemm_options options = gm_gemm_default_options();
    options.size = (size_t)x[OPTIONS];
    options.column_sums = o->sums;
    gm_gemm_packed *weights = make_weights(x[WEIGHTS], o);
    switch (call) {
    case GEMM:
        return gm_gemm_f32(context, ta, tb, x[M], x[N], x[K], 1, a, x[LDA], b, x[LDB], 0, c, x[LDC]);
    case FUSED:
        return gm_gemm_fused_f32(context, ta, tb, x[M], x[N], x[K], 1, a, x[LDA], b, x[LDB], 0, c, x[LDC], &options);
    case PACKED:
        return gm_gemm_packed_f32(context, ta, x[M], x[N], x[K], 1, a, x[LDA], weights, 0, c, x[LDC], &options);
    case BATCH:
        return gm_gemm_batch_f32(context, ta, tb, x[COUNT], x[M], x[N], x[K], 1, a, x[LDA], x[STRIDE_A], b, x[LDB],
                                 x[STRIDE_B], 0, c, x[LDC], x[STRIDE_C]);
    case PACK:
        return gm_gemm_pack_f32(context, tb, x[N], x[K], b, x[LDB], weights);
    default:
        return gm_syrk_f32(context, ta, x[M], x[K], 1, a, x[LDA], 0, c, x[LDC]);
    }
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
        for (int call = 1; call < CALLS; call *= 2)
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
    ck_assert_uint_eq(gm_gemm_batch_f32_workspace(NULL, GM_NO_TRANSPOSE, GM_NO_TRANSPOSE, 3, 3, 3, 3), 0);
    ck_assert_uint_eq(gm_gemm_batch_f32_workspace(context, GM_NO_TRANSPOSE, GM_NO_TRANSPOSE, -3, 3, 3, 3), 0);
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
