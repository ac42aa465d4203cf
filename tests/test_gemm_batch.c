/* gm_gemm_batch_f32(): the same bits as one product after the other. */
#include <gemel/gemm.h>

#include <stdlib.h>
#include <string.h>

#include "support/product.h"

/* Products of one shape; A and B of each lie behind each other or are the same for all, results lie behind each other
 * with a gap or side by side. */
typedef struct batch {
    product p;
    int64_t count;
    bool same_a, same_b, side_by_side;
} batch;

typedef struct trial {
    batch b;
    test_guard a_data, b_data, c_data;
    int64_t lda, ldb, ldc, stride_a, stride_b, stride_c;
} trial;

enum { GAP = 3 };

static trial make_trial(const batch *b, uint64_t seed, product_fill fill)
{
    const product *p = &b->p;
    test_random random = test_random_create(seed);
    const int64_t a_rows = p->ta ? p->k : p->m, b_rows = p->tb ? p->n : p->k;
    trial t = {.b = *b, .lda = (p->ta ? p->m : p->k) + p->pad, .ldb = (p->tb ? p->k : p->n) + p->pad};
    t.ldc = b->side_by_side ? b->count * (p->n + GAP) : p->n + p->pad;
    t.stride_a = b->same_a ? 0 : a_rows * t.lda;
    t.stride_b = b->same_b ? 0 : b_rows * t.ldb;
    t.stride_c = b->side_by_side ? p->n + GAP : p->m * t.ldc + GAP;
    t.a_data = test_guard_create((b->count - 1) * t.stride_a + (a_rows * t.lda > p->pad ? a_rows * t.lda - p->pad : 1));
    t.b_data = test_guard_create((b->count - 1) * t.stride_b + (b_rows * t.ldb > p->pad ? b_rows * t.ldb - p->pad : 1));
    t.c_data = test_guard_create((b->count - 1) * t.stride_c + (p->m - 1) * t.ldc + p->n);
    fill(&random, t.a_data.data, t.a_data.count);
    fill(&random, t.b_data.data, t.b_data.count);
    test_guard_protect(&t.a_data);
    test_guard_protect(&t.b_data);
    return t;
}

static void free_trial(trial *t)
{
    test_guard_free(&t->a_data);
    test_guard_free(&t->b_data);
    test_guard_free(&t->c_data);
}

/* C before the call: numbers in the results if they are read, and NaN elsewhere. */
static void fill_c(const trial *t, float *c)
{
    test_random random = test_random_create(5);
    test_fill_nan(c, t->c_data.count);
    for (int64_t i = 0; i < t->b.count && t->b.p.beta != 0.0f; i++)
        for (int64_t row = 0; row < t->b.p.m; row++)
            product_integers(&random, c + i * t->stride_c + row * t->ldc, t->b.p.n);
}

static gm_context *context_for(gm_isa isa, int32_t threads, const trial *t)
{
    const product *p = &t->b.p;
    gm_context *context = test_context_with_workspace(isa, threads, 1);
    const size_t bytes =
        gm_gemm_batch_f32_workspace(context, (gm_transpose)p->ta, (gm_transpose)p->tb, t->b.count, p->m, p->n, p->k);
    ck_assert_uint_le(bytes, (size_t)threads << 21);
    ck_assert_int_eq(gm_context_reserve(context, bytes), GM_OK);
    return context;
}

static gm_status multiply(gm_context *context, const trial *t, float *c)
{
    const product *p = &t->b.p;
    return gm_gemm_batch_f32(context, (gm_transpose)p->ta, (gm_transpose)p->tb, t->b.count, p->m, p->n, p->k, p->alpha,
                             t->a_data.data, t->lda, t->stride_a, t->b_data.data, t->ldb, t->stride_b, p->beta, c,
                             t->ldc, t->stride_c);
}

static void multiply_one_by_one(gm_context *context, const trial *t, float *c)
{
    const product *p = &t->b.p;
    for (int64_t i = 0; i < t->b.count; i++)
        ck_assert_int_eq(gm_gemm_f32(context, (gm_transpose)p->ta, (gm_transpose)p->tb, p->m, p->n, p->k, p->alpha,
                                     t->a_data.data + i * t->stride_a, t->lda, t->b_data.data + i * t->stride_b, t->ldb,
                                     p->beta, c + i * t->stride_c, t->ldc),
                         GM_OK);
}

/* Near, direct and shared products, of a k in parts, few and many of them. */
static const batch batches[] = {
    {{4, 4, 4, false, false, 0, 1, 0}, 1000, false, false, false},
    {{8, 8, 8, false, false, 1, 2, 1}, 3, false, true, true},
    {{64, 64, 64, false, true, 0, 1, 0}, 20, false, false, false},
    {{50, 70, 30, true, false, 2, 1, -1}, 33, true, false, true},
    {{33, 300, 500, true, true, 0, 0.5f, 0}, 9, false, true, false},
    {{150, 130, 400, false, false, 0, 1, 0}, 40, true, false, false},
    {{300, 1500, 90, false, true, 0, 1, 0}, 3, true, true, false},
    {{20, 33, 4500, true, false, 1, 2, -1}, 4, false, false, false},
    {{2, 350, 801, false, false, 0, 1, 0}, 10, false, false, false},
    {{30, 40, 0, false, false, 1, 1, 3}, 5, false, false, true},
    {{70, 80, 600, false, true, 0, 0, 0}, 12, false, false, false},
};

START_TEST(bits_are_those_of_single_products_on_any_number_of_threads)
{
    static const int32_t threads[] = {1, 2, 3, 7};
    gm_isa isas[GM_ISA_COUNT];
    for (int i = 0, count = test_isas(isas); i < count; i++) {
        for (size_t s = 0; s < sizeof batches / sizeof *batches; s++) {
            trial t = make_trial(&batches[s], s, product_normal);
            const size_t bytes = (size_t)t.c_data.count * sizeof(float);
            float *expected = malloc(bytes);
            fill_c(&t, expected);
            for (int n = 0; n < 4; n++) {
                gm_context *context = context_for(isas[i], threads[n], &t);
                if (n == 0)
                    multiply_one_by_one(context, &t, expected);
                fill_c(&t, t.c_data.data);
                ck_assert_int_eq(multiply(context, &t, t.c_data.data), GM_OK);
                ck_assert_msg(test_same_bits(expected, t.c_data.data, bytes), "%ld of %s, %d threads", (long)t.b.count,
                              product_describe(&t.b.p), threads[n]);
                gm_context_destroy(context);
            }
            free(expected);
            free_trial(&t);
        }
    }
}
END_TEST

START_TEST(small_integers_are_exact)
{
    gm_isa isas[GM_ISA_COUNT];
    for (int i = 0, count = test_isas(isas); i < count; i++) {
        for (size_t s = 0; s < 5; s++) {
            trial t = make_trial(&batches[s], s, product_integers);
            float *before = malloc((size_t)t.c_data.count * sizeof *before);
            fill_c(&t, before);
            fill_c(&t, t.c_data.data);
            gm_context *context = context_for(isas[i], 2, &t);
            ck_assert_int_eq(multiply(context, &t, t.c_data.data), GM_OK);
            for (int64_t n = 0; n < t.b.count; n++) {
                product_operands o = {.a = t.a_data, .b = t.b_data, .lda = t.lda, .ldb = t.ldb, .ldc = t.ldc};
                o.a.data += n * t.stride_a;
                o.b.data += n * t.stride_b;
                o.c.data = before + n * t.stride_c;
                product_reference r = product_reference_create(&t.b.p, &o);
                product p = t.b.p;
                p.beta = 1; /* what lies beside the result belongs to others */
                o.c.data = t.c_data.data + n * t.stride_c;
                product_check_exact(&p, &o, &r);
                product_reference_free(&r);
            }
            gm_context_destroy(context);
            free(before);
            free_trial(&t);
        }
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("gemm_batch");
    TCase *tests = tcase_create("gemm_batch");
    suite_add_tcase(suite, tests);
    tcase_add_test(tests, bits_are_those_of_single_products_on_any_number_of_threads);
    tcase_add_test(tests, small_integers_are_exact);
    return test_run(suite);
}
