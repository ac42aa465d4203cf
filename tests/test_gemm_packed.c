/* gm_gemm_packed_f32(): the same bits as products of what was packed. */
#include <gemel/gemm.h>

#include <stdlib.h>
#include <string.h>

#include "support/product.h"

/* B packed into just the memory it needs, between guards and read-only. */
static test_guard pack(gm_context *context, const product *p, const product_operands *o)
{
    const size_t size = gm_gemm_packed_f32_size(context, p->n, p->k);
    test_guard memory = test_guard_create((int64_t)((size + 15) / 16 * 4));
    ck_assert_int_eq(gm_gemm_pack_f32(context, p->tb ? GM_TRANSPOSE : GM_NO_TRANSPOSE, p->n, p->k, o->b.data, o->ldb,
                                      (gm_gemm_packed *)memory.data),
                     GM_OK);
    test_guard_protect(&memory);
    return memory;
}

static gm_status multiply(gm_context *context, const product *p, const product_operands *o, const test_guard *packed,
                          float *c, const gm_gemm_options *options)
{
    return gm_gemm_packed_f32(context, p->ta ? GM_TRANSPOSE : GM_NO_TRANSPOSE, p->m, p->n, p->k, p->alpha, o->a.data,
                              o->lda, (const gm_gemm_packed *)packed->data, p->beta, c, o->ldc, options);
}

static gm_status multiply_plain(gm_context *context, const product *p, const product_operands *o, float *c,
                                const gm_gemm_options *options)
{
    return gm_gemm_fused_f32(context, p->ta ? GM_TRANSPOSE : GM_NO_TRANSPOSE, p->tb ? GM_TRANSPOSE : GM_NO_TRANSPOSE,
                             p->m, p->n, p->k, p->alpha, o->a.data, o->lda, o->b.data, o->ldb, p->beta, c, o->ldc,
                             options);
}

/* Just the workspace that both calls need. */
static gm_context *context_for(gm_isa isa, int32_t threads, const product *p, const gm_gemm_options *options)
{
    const gm_transpose ta = p->ta ? GM_TRANSPOSE : GM_NO_TRANSPOSE;
    gm_context *context = test_context_with_workspace(isa, threads, 1);
    ck_assert_int_eq(gm_context_reserve(context, gm_gemm_packed_f32_workspace(context, ta, p->m, p->n, p->k, options)),
                     GM_OK);
    return context;
}

static void check_same_rows(const product *p, const product_operands *o, const float *expected, const float *c)
{
    for (int64_t i = 0; i < p->m; i++)
        if (!test_same_bits(expected + i * o->ldc, c + i * o->ldc, (size_t)p->n * sizeof(float)))
            ck_abort_msg("%s: row %ld", product_describe(p), (long)i);
}

static const product shapes[] = {
    {1, 1, 1, false, false, 0, 1, 0},        {1, 700, 200, false, true, 0, 1, 0},
    {2, 350, 801, true, false, 3, -1, 2},    {14, 32, 64, false, true, 0, 1, 0},
    {29, 65, 257, false, false, 2, 0.5f, 1}, {70, 37, 0, false, true, 1, 1, 2},
    {130, 100, 100, true, false, 0, 1, 0},   {257, 129, 784, false, true, 5, 2, -2},
    {300, 700, 500, false, true, 0, 1, 0},   {20, 33, 9000, true, false, 1, 2, -1},
    {1500, 64, 70, false, false, 1, 1, 0},   {90, 700, 100, true, true, 0, 0, 1},
    {40, 2100, 400, false, true, 0, 1, 0},   {100, 1024, 30, true, false, 0, 1, 0},
    {60, 40, 5000, false, true, 0, 1, 0},
};
enum { SHAPES = sizeof shapes / sizeof *shapes };

START_TEST(bits_are_those_of_plain_products_on_any_number_of_threads)
{
    static const int32_t threads[] = {1, 2, 3, 7};
    gm_isa isas[GM_ISA_COUNT];
    for (int i = 0, count = test_isas(isas); i < count; i++) {
        for (int s = 0; s < SHAPES; s++) {
            const product *p = &shapes[s];
            product_operands o = product_operands_create(p, (uint64_t)s, product_normal);
            float *before = malloc((size_t)o.c.count * sizeof *before), *expected = malloc((size_t)(p->m * o.ldc) * 4);
            memcpy(before, o.c.data, (size_t)o.c.count * sizeof *before);
            memcpy(expected, o.c.data, (size_t)o.c.count * sizeof *before);
            for (int t = 0; t < 4; t++) {
                gm_context *context = context_for(isas[i], threads[t], p, NULL);
                if (t == 0) {
                    memcpy(expected, before, (size_t)o.c.count * sizeof *before);
                    ck_assert_int_eq(product_multiply(context, p, &o, expected), GM_OK);
                }
                test_guard packed = pack(context, p, &o);
                memcpy(o.c.data, before, (size_t)o.c.count * sizeof *before);
                ck_assert_int_eq(multiply(context, p, &o, &packed, o.c.data, NULL), GM_OK);
                check_same_rows(p, &o, expected, o.c.data);
                test_guard_free(&packed);
                gm_context_destroy(context);
            }
            free(before);
            free(expected);
            product_operands_free(&o);
        }
    }
}
END_TEST

START_TEST(options_have_the_same_bits)
{
    gm_isa isas[GM_ISA_COUNT];
    for (int i = 0, count = test_isas(isas); i < count; i++) {
        for (int s = 0; s < SHAPES; s++) {
            product p = shapes[s];
            p.beta = 0;
            product_operands o = product_operands_create(&p, (uint64_t)s, product_normal);
            const size_t row = (size_t)p.n * sizeof(float);
            float *expected = malloc((size_t)(p.m * o.ldc) * 4), *bias = malloc(row),
                  *sums[2] = {malloc(row), malloc(row)};
            test_random random = test_random_create(7);
            test_fill_normal(&random, bias, p.n, 0, 1);
            gm_gemm_options options = gm_gemm_default_options();
            options.scale = options.bias = bias;
            options.relu = true;
            options.column_sums = sums[0];
            gm_context *context = context_for(isas[i], 2, &p, &options);
            test_guard packed = pack(context, &p, &o);
            ck_assert_int_eq(multiply_plain(context, &p, &o, expected, &options), GM_OK);
            options.column_sums = sums[1];
            ck_assert_int_eq(multiply(context, &p, &o, &packed, o.c.data, &options), GM_OK);
            check_same_rows(&p, &o, expected, o.c.data);
            ck_assert(test_same_bits(sums[0], sums[1], row));
            test_guard_free(&packed);
            gm_context_destroy(context);
            free(expected);
            free(bias);
            free(sums[0]);
            free(sums[1]);
            product_operands_free(&o);
        }
    }
}
END_TEST

START_TEST(packing_again_takes_the_new_weights)
{
    gm_context *context = test_context(GM_ISA_AUTO, 2);
    const product p = {30, 300, 300, false, true, 0, 1, 0};
    product_operands old = product_operands_create(&p, 2, product_normal);
    product_operands o = product_operands_create(&p, 4, product_normal);
    float *expected = malloc((size_t)(p.m * p.n) * sizeof *expected);
    gm_gemm_packed *packed = malloc(gm_gemm_packed_f32_size(context, p.n, p.k));
    ck_assert_int_eq(gm_gemm_pack_f32(context, GM_TRANSPOSE, p.n, p.k, old.b.data, old.ldb, packed), GM_OK);
    ck_assert_int_eq(gm_gemm_pack_f32(context, GM_TRANSPOSE, p.n, p.k, o.b.data, o.ldb, packed), GM_OK);
    ck_assert_int_eq(product_multiply(context, &p, &o, expected), GM_OK);
    ck_assert_int_eq(gm_gemm_packed_f32(context, GM_NO_TRANSPOSE, p.m, p.n, p.k, 1, o.a.data, o.lda, packed, 0,
                                        o.c.data, o.ldc, NULL),
                     GM_OK);
    check_same_rows(&p, &o, expected, o.c.data);
    free(packed);
    free(expected);
    product_operands_free(&old);
    product_operands_free(&o);
    gm_context_destroy(context);
}
END_TEST

/* Every pair of instruction sets of this machine: refused unless they are the same, and C untouched. */
START_TEST(instruction_sets_do_not_mix)
{
    gm_isa isas[GM_ISA_COUNT];
    const int count = test_isas(isas);
    const product p = {3, 5, 7, false, false, 0, 1, 0};
    for (int i = 0; i < count * count; i++) {
        product_operands o = product_operands_create(&p, 1, product_normal);
        gm_context *packer = test_context(isas[i / count], 1), *context = test_context(isas[i % count], 1);
        test_guard packed = pack(packer, &p, &o);
        const bool same = i / count == i % count;
        test_fill_nan(o.c.data, o.c.count);
        ck_assert_int_eq(multiply(context, &p, &o, &packed, o.c.data, NULL), same ? GM_OK : GM_INVALID_ARGUMENT);
        ck_assert((o.c.data[0] == o.c.data[0]) == same);
        test_guard_free(&packed);
        gm_context_destroy(packer);
        gm_context_destroy(context);
        product_operands_free(&o);
    }
}
END_TEST

START_TEST(sizes_that_cannot_be)
{
    gm_context *context = test_context(GM_ISA_AUTO, 1);
    ck_assert_uint_eq(gm_gemm_packed_f32_size(NULL, 3, 3), 0);
    ck_assert_uint_eq(gm_gemm_packed_f32_size(context, -3, 3), 0);
    ck_assert_uint_eq(gm_gemm_packed_f32_size(context, 3, -3), 0);
    ck_assert_uint_eq(gm_gemm_packed_f32_size(context, INT64_MAX, 1), 0);
    ck_assert_uint_eq(gm_gemm_packed_f32_size(context, 1, INT64_MAX / 2), 0);
    ck_assert_uint_gt(gm_gemm_packed_f32_size(context, 0, 0), 0);
    gm_context_destroy(context);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("gemm_packed");
    TCase *tests = tcase_create("gemm_packed");
    suite_add_tcase(suite, tests);
    tcase_add_test(tests, bits_are_those_of_plain_products_on_any_number_of_threads);
    tcase_add_test(tests, options_have_the_same_bits);
    tcase_add_test(tests, packing_again_takes_the_new_weights);
    tcase_add_test(tests, instruction_sets_do_not_mix);
    tcase_add_test(tests, sizes_that_cannot_be);
    return test_run(suite);
}
