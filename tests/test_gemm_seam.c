/* The seam behind gm_gemm_f32(): normalised sources, symmetric products and the loss. */
#include <gemel/gemm.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "gemm/gemm.h"
#include "support/product.h"

static void run(gm_context *context, int64_t m, int64_t n, int64_t k, const struct gm_gemm_source *a,
                const struct gm_gemm_source *b, const struct gm_gemm_epilogue *epilogue)
{
    ck_assert_int_eq(gm_context_reserve(context, gm_gemm_run_workspace(context, m, n, k, epilogue->kind)), GM_OK);
    gm_gemm_run(context, m, n, k, a, b, epilogue);
}

/* The normalisation of `cols` stored columns, in guarded arrays that end with the last one. */
typedef struct normalisation {
    test_guard high, low, scale;
} normalisation;

static normalisation make_normalisation(test_random *random, int64_t cols)
{
    normalisation n = {test_guard_create(cols), test_guard_create(cols), test_guard_create(cols)};
    for (int64_t j = 0; j < cols; j++) {
        const double mean = 1e4 * test_random_normal(random);
        n.high.data[j] = (float)mean;
        n.low.data[j] = (float)(mean - (double)n.high.data[j]);
        n.scale.data[j] = (float)(0.5 + test_random_uniform(random));
    }
    return n;
}

static void free_normalisation(normalisation *n)
{
    test_guard_free(&n->high);
    test_guard_free(&n->low);
    test_guard_free(&n->scale);
}

static struct gm_gemm_source normalised_source(const normalisation *n, bool transposed, const float *data, int64_t ld)
{
    const struct gm_gemm_source source = {GM_GEMM_NORMALISED, transposed,  data,         ld,
                                          n->high.data,       n->low.data, n->scale.data};
    return source;
}

/* The same matrix, normalised beforehand as the source documents it. */
static float *normalise(const normalisation *n, const float *x, int64_t rows, int64_t cols, int64_t ld)
{
    float *y = malloc((size_t)(rows * ld) * sizeof *y);
    for (int64_t i = 0; i < rows; i++)
        for (int64_t j = 0; j < cols; j++)
            y[i * ld + j] = (x[i * ld + j] - n->high.data[j] - n->low.data[j]) * n->scale.data[j];
    return y;
}

START_TEST(normalised_sources_equal_normalised_operands)
{
    gm_isa isas[GM_ISA_COUNT];
    const int count = test_isas(isas);
    for (int form = 0; form < 8; form++) {
        const product p = {45, 83, 300, form & 1, form & 2, form & 4 ? 3 : 0, 1, 0};
        test_random random = test_random_create((uint64_t)form);
        product_operands o = product_operands_create(&p, (uint64_t)form, product_normal);
        const int64_t a_rows = p.ta ? p.k : p.m, a_cols = p.ta ? p.m : p.k;
        const int64_t b_rows = p.tb ? p.n : p.k, b_cols = p.tb ? p.k : p.n;
        normalisation of_a = make_normalisation(&random, a_cols), of_b = make_normalisation(&random, b_cols);
        float *a = normalise(&of_a, o.a.data, a_rows, a_cols, o.lda);
        float *b = normalise(&of_b, o.b.data, b_rows, b_cols, o.ldb);
        float *expected = malloc((size_t)(p.m * o.ldc) * sizeof *expected);
        const struct gm_gemm_source left = normalised_source(&of_a, p.ta, o.a.data, o.lda);
        const struct gm_gemm_source right = normalised_source(&of_b, p.tb, o.b.data, o.ldb);
        const struct gm_gemm_epilogue store = {.c = o.c.data, .ldc = o.ldc, .alpha = 1};
        for (int i = 0; i < count; i++) {
            gm_context *context = test_context(isas[i], 2);
            run(context, p.m, p.n, p.k, &left, &right, &store);
            ck_assert_int_eq(gm_gemm_f32(context, (gm_transpose)p.ta, (gm_transpose)p.tb, p.m, p.n, p.k, 1, a, o.lda, b,
                                         o.ldb, 0, expected, o.ldc),
                             GM_OK);
            for (int64_t row = 0; row < p.m; row++)
                ck_assert(test_same_bits(expected + row * o.ldc, o.c.data + row * o.ldc, (size_t)p.n * sizeof(float)));
            gm_context_destroy(context);
        }
        free(a);
        free(b);
        free(expected);
        free_normalisation(&of_a);
        free_normalisation(&of_b);
        product_operands_free(&o);
    }
}
END_TEST

START_TEST(symmetric_products_have_the_same_bits)
{
    static const int64_t sizes[] = {1, 13, 64, 150, 333}, depths[] = {530, 5000, 7000, 530, 400};
    gm_isa isas[GM_ISA_COUNT];
    for (int i = 0, count = test_isas(isas); i < count; i++) {
        for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
            const product p = {sizes[s], sizes[s], depths[s], s & 1, !(s & 1), 1, 0.25f, 0};
            product_operands o = product_operands_create(&p, s, product_normal);
            float *c = malloc((size_t)(p.m * o.ldc) * sizeof *c);
            gm_context *context = test_context(isas[i], 2);
            const struct gm_gemm_source left = {.transposed = p.ta, .data = o.a.data, .ld = o.lda};
            const struct gm_gemm_source right = {.transposed = p.tb, .data = o.a.data, .ld = o.lda};
            struct gm_gemm_epilogue store = {.c = c, .ldc = o.ldc, .alpha = p.alpha};
            run(context, p.m, p.n, p.k, &left, &right, &store);
            store.c = o.c.data;
            store.symmetric = true;
            run(context, p.m, p.n, p.k, &left, &right, &store);
            for (int64_t row = 0; row < p.m; row++)
                ck_assert(test_same_bits(c + row * o.ldc, o.c.data + row * o.ldc, (size_t)p.n * sizeof(float)));
            gm_context_destroy(context);
            free(c);
            product_operands_free(&o);
        }
    }
}
END_TEST

/* The loss of the rows [row0, row0 + m) off the diagonal, from the cross-correlation that a plain product gives. */
static void check_loss(const float *x, const float *g, int64_t m, int64_t n, int64_t row0, float lambda, double squares)
{
    double expected_squares = 0;
    for (int64_t i = 0; i < m; i++) {
        for (int64_t j = 0; j < n; j++) {
            const double value = row0 + i == j ? 0 : (double)x[i * n + j], expected = 2 * (double)lambda * value;
            expected_squares += value * value;
            ck_assert(fabs((double)g[i * n + j] - expected) <= 4 * test_unit_roundoff * fabs(expected));
        }
    }
    ck_assert(fabs(squares - expected_squares) <= 4 * test_unit_roundoff * expected_squares);
}

START_TEST(the_loss_replaces_c_by_its_gradient)
{
    static const struct {
        int64_t m, n, k, row0;
    } cases[] = {{1, 1, 3, 0},        {17, 40, 64, 0},      {40, 40, 300, 0},    {64, 600, 520, 128},
                 {100, 700, 40, 600}, {90, 1111, 400, 300}, {256, 300, 600, 44}, {30, 3000, 64, 1500}};
    static const int32_t threads[] = {1, 2, 3, 7};
    gm_isa isas[GM_ISA_COUNT];
    for (int i = 0, count = test_isas(isas); i < count; i++) {
        for (size_t s = 0; s < sizeof cases / sizeof *cases; s++) {
            const int64_t m = cases[s].m, n = cases[s].n, k = cases[s].k;
            const product p = {m, n, k, true, false, 0, 1.0f / (float)k, 0};
            product_operands o = product_operands_create(&p, s, product_normal);
            const size_t bytes = (size_t)(m * n) * sizeof(float);
            float *x = malloc(bytes), *first = malloc(bytes);
            double squares, first_squares = 0;
            for (int t = 0; t < 4; t++) {
                gm_context *context = test_context(isas[i], threads[t]);
                const struct gm_gemm_source left = {.transposed = true, .data = o.a.data, .ld = o.lda};
                const struct gm_gemm_source right = {.data = o.b.data, .ld = o.ldb};
                const struct gm_gemm_epilogue epilogue = {.kind = GM_GEMM_LOSS,
                                                          .c = o.c.data,
                                                          .ldc = o.ldc,
                                                          .alpha = p.alpha,
                                                          .row0 = cases[s].row0,
                                                          .lambda = 0.0051f,
                                                          .squares = &squares};
                test_fill_nan(o.c.data, o.c.count);
                run(context, m, n, k, &left, &right, &epilogue);
                if (t == 0) {
                    ck_assert_int_eq(product_multiply(context, &p, &o, x), GM_OK);
                    check_loss(x, o.c.data, m, n, cases[s].row0, 0.0051f, squares);
                    memcpy(first, o.c.data, bytes);
                    first_squares = squares;
                }
                ck_assert(test_same_bits(first, o.c.data, bytes));
                ck_assert(test_same_bits(&first_squares, &squares, sizeof squares));
                gm_context_destroy(context);
            }
            free(x);
            free(first);
            product_operands_free(&o);
        }
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("gemm_seam");
    TCase *tests = tcase_create("gemm_seam");
    suite_add_tcase(suite, tests);
    tcase_add_test(tests, normalised_sources_equal_normalised_operands);
    tcase_add_test(tests, symmetric_products_have_the_same_bits);
    tcase_add_test(tests, the_loss_replaces_c_by_its_gradient);
    return test_run(suite);
}
