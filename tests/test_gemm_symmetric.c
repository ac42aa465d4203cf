/* gm_syrk_f32() against exact sums and gm_gemm_f32(). */
#include <gemel/gemm.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "support/product.h"

/* A product of A with its own transpose; its C holds numbers only where the call reads it, on and below the diagonal.
 */
static product_operands make_operands(const product *p, uint64_t seed, product_fill fill)
{
    product_operands o = product_operands_create(p, seed, fill);
    test_guard_free(&o.b);
    o.b = o.a;
    o.ldb = o.lda;
    for (int64_t i = 0; i < p->m; i++)
        for (int64_t j = i + 1; j < p->m; j++)
            o.c.data[i * o.ldc + j] = NAN;
    return o;
}

static void free_operands(product_operands *o)
{
    test_guard_free(&o->a);
    test_guard_free(&o->c);
}

static product product_of(int64_t m, int64_t k, bool ta, int64_t pad, float alpha, float beta)
{
    const product p = {m, m, k, ta, !ta, pad, alpha, beta};
    return p;
}

/* In a context with just the workspace that the call needs. */
static void multiply(gm_isa isa, int32_t threads, const product *p, const product_operands *o)
{
    const gm_transpose ta = p->ta ? GM_TRANSPOSE : GM_NO_TRANSPOSE;
    gm_context *context = test_context_with_workspace(isa, threads, 1);
    ck_assert_int_eq(gm_context_reserve(context, gm_syrk_f32_workspace(context, ta, p->m, p->k)), GM_OK);
    ck_assert_uint_le(gm_context_workspace(context), (size_t)threads << 21);
    ck_assert_int_eq(gm_syrk_f32(context, ta, p->m, p->k, p->alpha, o->a.data, o->lda, p->beta, o->c.data, o->ldc),
                     GM_OK);
    gm_context_destroy(context);
}

/* What the call makes of C: the reference reads C's lower half on both sides. */
static product_reference make_reference(const product *p, const product_operands *o)
{
    product_operands both = *o;
    both.c = test_guard_create(o->c.count);
    memcpy(both.c.data, o->c.data, (size_t)o->c.count * sizeof(float));
    for (int64_t i = 0; i < p->m; i++)
        for (int64_t j = i + 1; j < p->m; j++)
            both.c.data[i * o->ldc + j] = o->c.data[j * o->ldc + i];
    const product_reference r = product_reference_create(p, &both);
    test_guard_free(&both.c);
    return r;
}

START_TEST(small_integers_are_exact)
{
    static const int64_t sizes[] = {1, 2, 13, 14, 15, 33, 64, 100, 257, 300}, depths[] = {0, 1, 17, 300, 801};
    gm_isa isas[GM_ISA_COUNT];
    for (int i = 0, count = test_isas(isas); i < count; i++) {
        for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
            for (int form = 0; form < 4; form++) {
                const int64_t k = depths[(s + (size_t)form) % (sizeof depths / sizeof *depths)];
                const product p = product_of(sizes[s], k, form & 1, form + 1, 2, form & 2 ? -1.0f : 0.0f);
                product_operands o = make_operands(&p, s + (size_t)form, product_integers);
                product_reference r = make_reference(&p, &o);
                multiply(isas[i], 2, &p, &o);
                product_check_exact(&p, &o, &r);
                product_reference_free(&r);
                free_operands(&o);
            }
        }
    }
}
END_TEST

/* Of the whole product too, and for a k that is cut into parts. */
START_TEST(bits_are_those_of_the_whole_product_on_any_number_of_threads)
{
    static const int32_t threads[] = {1, 2, 3, 7};
    const product cases[] = {product_of(1, 530, false, 0, 0.25f, 0),   product_of(13, 5000, true, 1, 0.25f, 0),
                             product_of(64, 7000, false, 0, 1, 0),     product_of(150, 530, true, 0, 1, 0),
                             product_of(333, 400, false, 2, 3, 0),     product_of(700, 64, true, 0, 1, 0),
                             product_of(256, 1024, false, 0, -0.5f, 0)};
    gm_isa isas[GM_ISA_COUNT];
    for (int i = 0, count = test_isas(isas); i < count; i++) {
        for (size_t s = 0; s < sizeof cases / sizeof *cases; s++) {
            const product *p = &cases[s];
            product_operands o = make_operands(p, s, product_normal);
            float *whole = malloc((size_t)(p->m * o.ldc) * sizeof *whole);
            gm_context *context = product_context(isas[i], 2, p);
            ck_assert_int_eq(product_multiply(context, p, &o, whole), GM_OK);
            gm_context_destroy(context);
            for (int t = 0; t < 4; t++) {
                test_fill_nan(o.c.data, o.c.count);
                multiply(isas[i], threads[t], p, &o);
                for (int64_t row = 0; row < p->m; row++)
                    ck_assert_msg(
                        test_same_bits(whole + row * o.ldc, o.c.data + row * o.ldc, (size_t)p->m * sizeof(float)),
                        "%s, row %ld, %d threads", product_describe(p), (long)row, threads[t]);
            }
            free(whole);
            free_operands(&o);
        }
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("gemm_symmetric");
    TCase *tests = tcase_create("gemm_symmetric");
    suite_add_tcase(suite, tests);
    tcase_add_test(tests, small_integers_are_exact);
    tcase_add_test(tests, bits_are_those_of_the_whole_product_on_any_number_of_threads);
    return test_run(suite);
}
