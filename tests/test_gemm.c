/* gm_gemm_f32() against exact sums and double precision. */
#include <gemel/gemm.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "gemm/kernel.h"
#include "support/product.h"

/* Shapes that meet every part of the blocking: no, one and several blocks of k, chunks of rows and blocks of columns.
 */
static const product shapes[] = {
    {1, 1, 1, false, false, 0, 1, 0},          {1, 33, 70, false, false, 3, 1, 0},
    {5, 1, 513, true, false, 0, 1, 1},         {14, 32, 256, false, true, 0, 1, 0},
    {13, 31, 255, true, true, 1, -1, 2},       {29, 65, 257, false, false, 2, 0.5f, 1},
    {64, 64, 64, false, true, 0, 1, 0},        {100, 100, 100, true, false, 0, 1, 0},
    {257, 129, 384, false, true, 5, 2, -0.5f}, {300, 10, 512, false, false, 0, 1, 0},
    {6, 700, 300, false, false, 0, 1, 1},      {40, 500, 1100, true, false, 0, 1, 0},
    {33, 5000, 40, true, false, 0, 1, 0},      {2000, 17, 33, false, true, 0, 1, 0},
    {20, 5000, 300, false, false, 1, 1.5f, 1}, {1, 700, 200, false, false, 0, 1, 0},
    {2, 350, 801, true, false, 3, -1, 2},      {40, 20, 1024, false, false, 0, 1, 0},
    {1024, 70, 30, true, false, 0, 2, 1},      {1500, 64, 70, false, false, 1, 1, 0},
    {90, 1024, 100, false, false, 0, 1, 0},    {20, 33, 9000, true, false, 1, 2, -1},
    {64, 64, 4100, false, true, 0, 1, 0},      {103, 100, 99, false, false, 1, 2, -1},
};

static void run_shapes(product_fill fill)
{
    gm_isa isas[GM_ISA_COUNT];
    const int count = test_isas(isas);
    for (size_t s = 0; s < sizeof shapes / sizeof *shapes; s++) {
        const product *p = &shapes[s];
        product_operands o = product_operands_create(p, s, fill);
        product_reference r = product_reference_create(p, &o);
        float *before = malloc((size_t)o.c.count * sizeof *before);
        memcpy(before, o.c.data, (size_t)o.c.count * sizeof *before);
        for (int i = 0; i < count; i++) {
            memcpy(o.c.data, before, (size_t)o.c.count * sizeof *before);
            gm_context *context = product_context(isas[i], 2, p);
            ck_assert_int_eq(product_multiply(context, p, &o, o.c.data), GM_OK);
            product_check_bounds(p, &o, &r);
            gm_context_destroy(context);
        }
        free(before);
        product_reference_free(&r);
        product_operands_free(&o);
    }
}

START_TEST(errors_are_bounded_for_normal_operands)
{
    run_shapes(product_normal);
}
END_TEST

START_TEST(errors_are_bounded_for_heavy_tails)
{
    run_shapes(product_heavy_tails);
}
END_TEST

static void check_integers(gm_context *context, const product *p)
{
    product_operands o = product_operands_create(p, (uint64_t)(p->m * 1000 + p->n * 10 + p->k), product_integers);
    product_reference r = product_reference_create(p, &o);
    ck_assert_int_eq(product_multiply(context, p, &o, o.c.data), GM_OK);
    product_check_exact(p, &o, &r);
    product_reference_free(&r);
    product_operands_free(&o);
}

/* Every number of rows and columns up to two tiles and one more, for a few k on both sides of the vector lengths. */
START_TEST(small_integers_are_exact_for_every_tile)
{
    static const int64_t depths[] = {1, 2, 7, 17};
    gm_isa isas[GM_ISA_COUNT];
    for (int i = 0, count = test_isas(isas); i < count; i++) {
        gm_context *context = test_context(isas[i], 1);
        const struct gm_gemm_kernels *kernels = context->kernels.gemm;
        int64_t turn = 0;
        for (int64_t m = 1; m <= 2 * kernels->mr + 1; m++) {
            for (int64_t n = 1; n <= 2 * kernels->nr + 1; n++) {
                const bool ta = turn & 1, tb = turn & 2;
                const product p = {m, n, depths[turn / 4 % 4], ta, tb, turn % 3, 1, (turn & 8) ? 1.0f : 0.0f};
                check_integers(context, &p);
                turn += 5; /* odd: every combination of flags meets every remainder of m and n */
            }
        }
        gm_context_destroy(context);
    }
}
END_TEST

START_TEST(small_integers_are_exact_for_every_depth_and_transpose)
{
    static const int64_t depths[] = {1, 3, 8, 15, 16, 33, 127, 255, 256, 257, 384, 385, 511, 513, 800};
    gm_isa isas[GM_ISA_COUNT];
    for (int i = 0, count = test_isas(isas); i < count; i++) {
        gm_context *context = test_context(isas[i], 1);
        for (size_t d = 0; d < sizeof depths / sizeof *depths; d++) {
            for (int form = 0; form < 8; form++) {
                const product p = {17, 37, depths[d], form & 1, form & 2, form, 2, (form & 4) ? -1.0f : 0.0f};
                check_integers(context, &p);
            }
        }
        gm_context_destroy(context);
    }
}
END_TEST

/* C is NaN on entry (beta = 0), A and B are NaN where they must not be read (alpha = 0), or empty (k = 0). */
START_TEST(empty_sums_scale_c)
{
    gm_isa isas[GM_ISA_COUNT];
    for (int i = 0, count = test_isas(isas); i < count; i++) {
        const product cases[] = {
            {20, 40, 0, false, false, 0, 1, 0}, {20, 40, 0, true, true, 0, 1, 3},  {20, 40, 300, false, false, 0, 0, 0},
            {20, 40, 300, true, true, 0, 0, 3}, {0, 40, 3, false, false, 0, 1, 0}, {20, 0, 3, false, true, 0, 1, 0},
        };
        gm_context *context = test_context(isas[i], 2);
        for (size_t s = 0; s < sizeof cases / sizeof *cases; s++) {
            const product *p = &cases[s];
            float c[20 * 40], a[1] = {NAN};
            for (int j = 0; j < 20 * 40; j++)
                c[j] = p->beta == 0.0f ? NAN : (float)j;
            const product_operands o = {.a.data = a, .b.data = a, .lda = 300, .ldb = 300, .ldc = 40};
            ck_assert_int_eq(product_multiply(context, p, &o, c), GM_OK);
            for (int j = 0; j < 20 * 40 && p->m > 0 && p->n > 0; j++)
                ck_assert(c[j] == p->beta * (float)j);
        }
        gm_context_destroy(context);
    }
}
END_TEST

START_TEST(not_finite_operands_propagate)
{
    gm_isa isas[GM_ISA_COUNT];
    for (int i = 0, count = test_isas(isas); i < count; i++) {
        const product p = {30, 50, 300, false, false, 0, 1, 1};
        product_operands o = product_operands_create(&p, 2, product_zeros);
        float a[30 * 300] = {0};
        a[7 * 300 + 290] = NAN;
        a[29 * 300] = INFINITY; /* times 0 */
        const product_operands with_nan = {.a.data = a, .b = o.b, .lda = o.lda, .ldb = o.ldb, .ldc = o.ldc};
        gm_context *context = test_context(isas[i], 1);
        ck_assert_int_eq(product_multiply(context, &p, &with_nan, o.c.data), GM_OK);
        for (int64_t row = 0; row < 30; row++)
            for (int64_t col = 0; col < 50; col++)
                ck_assert_int_eq(isnan(o.c.data[row * 50 + col]) != 0, row == 7 || row == 29);
        gm_context_destroy(context);
        product_operands_free(&o);
    }
}
END_TEST

/* Also with less workspace than the default, and of the same context: the second call meets used panels. */
START_TEST(bits_do_not_depend_on_threads)
{
    static const int32_t threads[] = {1, 2, 3, 7};
    static const product cases[] = {{300, 513, 700, false, true, 0, 1, 0},  {1000, 70, 300, true, false, 0, 1, 0},
                                    {20, 9000, 100, false, false, 0, 1, 0}, {2000, 100, 150, false, false, 0, 1, 0},
                                    {300, 200, 200, false, true, 0, 1, 0},  {2, 5000, 900, false, false, 0, 1, 0},
                                    {40, 40, 5000, true, false, 0, 1, 0}};
    gm_isa isas[GM_ISA_COUNT];
    for (int i = 0, count = test_isas(isas); i < count; i++) {
        for (size_t s = 0; s < sizeof cases / sizeof *cases; s++) {
            const product *p = &cases[s];
            product_operands o = product_operands_create(p, s, product_normal);
            const size_t bytes = (size_t)(p->m * p->n) * sizeof(float);
            float *first = malloc(bytes);
            for (int t = 0; t < 4; t++) {
                gm_context *context = product_context(isas[i], threads[t], p);
                ck_assert_uint_le(gm_context_workspace(context), (size_t)threads[t] << 21);
                for (int repeat = 0; repeat < 2; repeat++) {
                    test_fill_nan(o.c.data, o.c.count);
                    ck_assert_int_eq(product_multiply(context, p, &o, o.c.data), GM_OK);
                    if (t == 0 && repeat == 0)
                        memcpy(first, o.c.data, bytes);
                    ck_assert_msg(test_same_bits(first, o.c.data, bytes), "%s with %d threads", product_describe(p),
                                  threads[t]);
                }
                gm_context_destroy(context);
            }
            free(first);
            product_operands_free(&o);
        }
    }
}
END_TEST

static void run_backwards(void *pool, int64_t chunks, gm_chunk_body body, void *arg)
{
    (void)pool;
    while (chunks-- > 0)
        body(arg, chunks, 0);
}

/* A pool may run its chunks in any order and one after the other: no chunk may wait for a later one. */
START_TEST(a_pool_of_one_thread_suffices)
{
    const product p = {300, 513, 900, false, true, 0, 1, 0};
    product_operands o = product_operands_create(&p, 4, product_normal);
    const size_t bytes = (size_t)(p.m * p.n) * sizeof(float);
    float *expected = malloc(bytes);
    gm_context_options options = gm_context_default_options();
    options.threading = GM_THREADING_INJECTED;
    options.threads = 3;
    options.parallel_for = run_backwards;
    gm_context *context = test_context(GM_ISA_AUTO, 1);
    ck_assert_int_eq(product_multiply(context, &p, &o, expected), GM_OK);
    gm_context_destroy(context);
    ck_assert_int_eq(gm_context_create(&options, &context), GM_OK);
    ck_assert_int_eq(product_multiply(context, &p, &o, o.c.data), GM_OK);
    ck_assert(test_same_bits(expected, o.c.data, bytes));
    gm_context_destroy(context);
    free(expected);
    product_operands_free(&o);
}
END_TEST

START_TEST(workspace_is_bounded)
{
    static const int64_t sizes[] = {1, 14, 100, 1000, 4096, 70000, 3000000};
    enum { SIZES = sizeof sizes / sizeof *sizes };
    gm_isa isas[GM_ISA_COUNT];
    for (int i = 0, count = test_isas(isas); i < count; i++) {
        for (int32_t threads = 1; threads <= 16; threads *= 2) {
            gm_context *context = test_context(isas[i], threads);
            for (int s = 0; s < SIZES * SIZES * SIZES; s++) {
                const int64_t m = sizes[s % SIZES], n = sizes[s / SIZES % SIZES], k = sizes[s / SIZES / SIZES];
                ck_assert_uint_le(gm_gemm_f32_workspace(context, GM_NO_TRANSPOSE, GM_TRANSPOSE, m, n, k),
                                  (size_t)threads << 21);
            }
            gm_context_destroy(context);
        }
    }
}
END_TEST

/* C so large that it goes past the caches, aligned for that, with a vector of other data behind each row. */
static void check_large(gm_context *context, int64_t m, int64_t n)
{
    enum { K = 2, BEHIND = 16 };
    const int64_t ldc = n + BEHIND;
    float *a = malloc((size_t)(m * K) * sizeof *a), *b = malloc((size_t)(K * n) * sizeof *b);
    float *c = aligned_alloc(64, (size_t)(m * ldc) * sizeof *c);
    for (int64_t i = 0; i < m * K; i++)
        a[i] = (float)(i * 7 % 31 - 15);
    for (int64_t j = 0; j < K * n; j++)
        b[j] = (float)(j * 5 % 29 - 14);
    test_fill_nan(c, m * ldc);
    ck_assert_int_eq(gm_gemm_f32(context, GM_NO_TRANSPOSE, GM_NO_TRANSPOSE, m, n, K, 1, a, K, b, n, 0, c, ldc), GM_OK);
    int64_t wrong = 0, written = 0;
    for (int64_t i = 0; i < m; i++) {
        const float *row = c + i * ldc;
        for (int64_t j = 0; j < n; j++)
            wrong += row[j] != a[i * K] * b[j] + a[i * K + 1] * b[n + j];
        for (int64_t j = n; j < ldc; j++)
            written += !isnan(row[j]);
    }
    ck_assert_msg(!wrong && !written, "[%lld, %lld]: %lld wrong, %lld written behind rows", (long long)m, (long long)n,
                  (long long)wrong, (long long)written);
    free(a);
    free(b);
    free(c);
}

START_TEST(large_results_are_exact)
{
    gm_isa isas[GM_ISA_COUNT];
    for (int i = 0, count = test_isas(isas); i < count; i++) {
        gm_context *context = test_context(isas[i], 2);
        check_large(context, 2885, 2912); /* packed together */
        check_large(context, 413, 20320); /* likewise, of few rows */
        check_large(context, 131085, 64); /* read in place */
        gm_context_destroy(context);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("gemm");
    TCase *tests = tcase_create("gemm");
    suite_add_tcase(suite, tests);
    tcase_add_test(tests, errors_are_bounded_for_normal_operands);
    tcase_add_test(tests, errors_are_bounded_for_heavy_tails);
    tcase_add_test(tests, small_integers_are_exact_for_every_tile);
    tcase_add_test(tests, small_integers_are_exact_for_every_depth_and_transpose);
    tcase_add_test(tests, empty_sums_scale_c);
    tcase_add_test(tests, not_finite_operands_propagate);
    tcase_add_test(tests, bits_do_not_depend_on_threads);
    tcase_add_test(tests, a_pool_of_one_thread_suffices);
    tcase_add_test(tests, workspace_is_bounded);
    tcase_add_test(tests, large_results_are_exact);
    return test_run(suite);
}
