/* gm_gemm_f32() and the seam behind it against exact sums and double precision. */
#include <gemel/gemm.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gemm/gemm.h"
#include "gemm/kernel.h"
#include "support/support.h"

typedef struct product {
    int64_t m, n, k;
    bool ta, tb;
    int64_t pad; /* of every leading dimension */
    float alpha, beta;
} product;

typedef struct operands {
    test_guard a, b, c;
    int64_t lda, ldb, ldc;
} operands;

typedef void (*fill_row)(test_random *random, float *x, int64_t n);

static void integer_row(test_random *random, float *x, int64_t n)
{
    test_fill_integers(random, x, n, 3);
}

static void normal_row(test_random *random, float *x, int64_t n)
{
    test_fill_normal(random, x, n, 0, 1);
}

static void heavy_row(test_random *random, float *x, int64_t n)
{
    test_fill_heavy_tails(random, x, n);
}

static void zero_row(test_random *random, float *x, int64_t n)
{
    (void)random;
    memset(x, 0, (size_t)n * sizeof *x);
}

/* A guarded matrix whose rows are padded with NaN. */
static test_guard matrix(test_random *random, int64_t rows, int64_t cols, int64_t ld, bool at_start, fill_row fill)
{
    const int64_t count = rows > 0 && cols > 0 ? (rows - 1) * ld + cols : 1;
    test_guard guard = at_start ? test_guard_create_at_start(count) : test_guard_create(count);
    for (int64_t i = 0; i < rows && cols > 0; i++)
        fill(random, guard.data + i * ld, cols);
    return guard;
}

/* C is filled only where the product reads it. */
static operands make_operands(const product *p, uint64_t seed, fill_row fill)
{
    test_random random = test_random_create(seed);
    operands o;
    const bool at_start = seed % 2 == 1;
    o.lda = (p->ta ? p->m : p->k) + p->pad;
    o.ldb = (p->tb ? p->k : p->n) + p->pad;
    o.ldc = p->n + p->pad;
    o.lda += o.lda == 0;
    o.ldb += o.ldb == 0;
    o.a = matrix(&random, p->ta ? p->k : p->m, p->ta ? p->m : p->k, o.lda, at_start, fill);
    o.b = matrix(&random, p->tb ? p->n : p->k, p->tb ? p->k : p->n, o.ldb, at_start, fill);
    o.c = matrix(&random, p->beta == 0.0f ? 0 : p->m, p->n, o.ldc, at_start, fill);
    if (p->beta == 0.0f) {
        test_guard_free(&o.c);
        o.c = at_start ? test_guard_create_at_start((p->m - 1) * o.ldc + p->n)
                       : test_guard_create((p->m - 1) * o.ldc + p->n);
    }
    test_guard_protect(&o.a);
    test_guard_protect(&o.b);
    return o;
}

static void free_operands(operands *o)
{
    test_guard_free(&o->a);
    test_guard_free(&o->b);
    test_guard_free(&o->c);
}

static gm_status call(gm_context *context, const product *p, const operands *o, float *c)
{
    return gm_gemm_f32(context, p->ta ? GM_TRANSPOSE : GM_NO_TRANSPOSE, p->tb ? GM_TRANSPOSE : GM_NO_TRANSPOSE, p->m,
                       p->n, p->k, p->alpha, o->a.data, o->lda, o->b.data, o->ldb, p->beta, c, o->ldc);
}

static const char *describe(const product *p)
{
    static char text[128];
    snprintf(text, sizeof text, "%c%c %ld %ld %ld alpha %g beta %g", p->ta ? 'T' : 'N', p->tb ? 'T' : 'N', (long)p->m,
             (long)p->n, (long)p->k, (double)p->alpha, (double)p->beta);
    return text;
}

static float a_element(const product *p, const operands *o, int64_t i, int64_t k)
{
    return o->a.data[p->ta ? k * o->lda + i : i * o->lda + k];
}

static float b_element(const product *p, const operands *o, int64_t k, int64_t j)
{
    return o->b.data[p->tb ? j * o->ldb + k : k * o->ldb + j];
}

/* C in double, the sums of magnitudes that bound its error, and C as sequential float32 gives it; each [m, n]. */
typedef struct reference {
    double *value, *magnitude;
    float *sequential;
} reference;

static reference make_reference(const product *p, const operands *o)
{
    const size_t count = (size_t)(p->m * p->n);
    reference r = {calloc(count, sizeof(double)), calloc(count, sizeof(double)), calloc(count, sizeof(float))};
    float *row = malloc((size_t)p->n * sizeof *row);
    for (int64_t k = 0; k < p->k; k++) {
        for (int64_t j = 0; j < p->n; j++)
            row[j] = b_element(p, o, k, j);
        for (int64_t i = 0; i < p->m; i++) {
            const float a = a_element(p, o, i, k);
            double *value = r.value + i * p->n, *magnitude = r.magnitude + i * p->n;
            float *sequential = r.sequential + i * p->n;
            for (int64_t j = 0; j < p->n; j++) {
                value[j] += (double)a * (double)row[j];
                magnitude[j] += fabs((double)a * (double)row[j]);
                sequential[j] += a * row[j];
            }
        }
    }
    for (int64_t at = 0; at < p->m * p->n; at++) {
        const float before = p->beta == 0.0f ? 0.0f : o->c.data[at / p->n * o->ldc + at % p->n];
        r.value[at] = (double)p->alpha * r.value[at] + (double)p->beta * (double)before;
        r.magnitude[at] = fabs((double)p->alpha) * r.magnitude[at] + fabs((double)p->beta * (double)before);
        r.sequential[at] = p->alpha * r.sequential[at] + p->beta * before;
    }
    free(row);
    return r;
}

static void free_reference(reference *r)
{
    free(r->value);
    free(r->magnitude);
    free(r->sequential);
}

static void check_exact(const product *p, const operands *o, const reference *r)
{
    for (int64_t i = 0; i < p->m; i++) {
        for (int64_t j = 0; j < p->n; j++)
            ck_assert_msg((double)o->c.data[i * o->ldc + j] == r->value[i * p->n + j], "%s: C[%ld, %ld] = %g, not %g",
                          describe(p), (long)i, (long)j, (double)o->c.data[i * o->ldc + j], r->value[i * p->n + j]);
        for (int64_t j = p->n; j < o->ldc && i + 1 < p->m && p->beta == 0.0f; j++)
            ck_assert_msg(isnan(o->c.data[i * o->ldc + j]), "%s: padding written", describe(p));
    }
}

static void check_bounds(const product *p, const operands *o, const reference *r)
{
    double squares = 0, sequential_squares = 0;
    for (int64_t i = 0; i < p->m; i++) {
        for (int64_t j = 0; j < p->n; j++) {
            const int64_t at = i * p->n + j;
            const double error = fabs((double)o->c.data[i * o->ldc + j] - r->value[at]);
            ck_assert_msg(error <= (double)(p->k + 2) * test_unit_roundoff * r->magnitude[at],
                          "%s: error %g of C[%ld, %ld]", describe(p), error, (long)i, (long)j);
            squares += error * error;
            sequential_squares += pow((double)r->sequential[at] - r->value[at], 2);
        }
    }
    ck_assert_msg(squares <= 4 * sequential_squares, "%s: RMS error %g, sequentially %g", describe(p),
                  sqrt(squares / (double)(p->m * p->n)), sqrt(sequential_squares / (double)(p->m * p->n)));
}

static gm_context *context_for(gm_isa isa, int32_t threads, const product *p)
{
    gm_context *context = test_context_with_workspace(isa, threads, 1);
    ck_assert_int_eq(
        gm_context_reserve(context, gm_gemm_f32_workspace(context, GM_NO_TRANSPOSE, GM_NO_TRANSPOSE, p->m, p->n, p->k)),
        GM_OK);
    return context;
}

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
    {64, 64, 4100, false, true, 0, 1, 0},
};

static void run_shapes(fill_row fill)
{
    gm_isa isas[GM_ISA_COUNT];
    const int count = test_isas(isas);
    for (size_t s = 0; s < sizeof shapes / sizeof *shapes; s++) {
        const product *p = &shapes[s];
        operands o = make_operands(p, s, fill);
        reference r = make_reference(p, &o);
        float *before = malloc((size_t)o.c.count * sizeof *before);
        memcpy(before, o.c.data, (size_t)o.c.count * sizeof *before);
        for (int i = 0; i < count; i++) {
            memcpy(o.c.data, before, (size_t)o.c.count * sizeof *before);
            gm_context *context = context_for(isas[i], 2, p);
            ck_assert_int_eq(call(context, p, &o, o.c.data), GM_OK);
            check_bounds(p, &o, &r);
            gm_context_destroy(context);
        }
        free(before);
        free_reference(&r);
        free_operands(&o);
    }
}

START_TEST(errors_are_bounded_for_normal_operands)
{
    run_shapes(normal_row);
}
END_TEST

START_TEST(errors_are_bounded_for_heavy_tails)
{
    run_shapes(heavy_row);
}
END_TEST

static void check_integers(gm_context *context, const product *p)
{
    operands o = make_operands(p, (uint64_t)(p->m * 1000 + p->n * 10 + p->k), integer_row);
    reference r = make_reference(p, &o);
    ck_assert_int_eq(call(context, p, &o, o.c.data), GM_OK);
    check_exact(p, &o, &r);
    free_reference(&r);
    free_operands(&o);
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
            const operands o = {.a.data = a, .b.data = a, .lda = 300, .ldb = 300, .ldc = 40};
            ck_assert_int_eq(call(context, p, &o, c), GM_OK);
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
        operands o = make_operands(&p, 2, zero_row);
        float a[30 * 300] = {0};
        a[7 * 300 + 290] = NAN;
        a[29 * 300] = INFINITY; /* times 0 */
        const operands with_nan = {.a.data = a, .b = o.b, .lda = o.lda, .ldb = o.ldb, .ldc = o.ldc};
        gm_context *context = test_context(isas[i], 1);
        ck_assert_int_eq(call(context, &p, &with_nan, o.c.data), GM_OK);
        for (int64_t row = 0; row < 30; row++)
            for (int64_t col = 0; col < 50; col++)
                ck_assert_int_eq(isnan(o.c.data[row * 50 + col]) != 0, row == 7 || row == 29);
        gm_context_destroy(context);
        free_operands(&o);
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
            operands o = make_operands(p, s, normal_row);
            const size_t bytes = (size_t)(p->m * p->n) * sizeof(float);
            float *first = malloc(bytes);
            for (int t = 0; t < 4; t++) {
                gm_context *context = context_for(isas[i], threads[t], p);
                ck_assert_uint_le(gm_context_workspace(context), (size_t)threads[t] << 21);
                for (int repeat = 0; repeat < 2; repeat++) {
                    test_fill_nan(o.c.data, o.c.count);
                    ck_assert_int_eq(call(context, p, &o, o.c.data), GM_OK);
                    if (t == 0 && repeat == 0)
                        memcpy(first, o.c.data, bytes);
                    ck_assert_msg(test_same_bits(first, o.c.data, bytes), "%s with %d threads", describe(p),
                                  threads[t]);
                }
                gm_context_destroy(context);
            }
            free(first);
            free_operands(&o);
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
    operands o = make_operands(&p, 4, normal_row);
    const size_t bytes = (size_t)(p.m * p.n) * sizeof(float);
    float *expected = malloc(bytes);
    gm_context_options options = gm_context_default_options();
    options.threading = GM_THREADING_INJECTED;
    options.threads = 3;
    options.parallel_for = run_backwards;
    gm_context *context = test_context(GM_ISA_AUTO, 1);
    ck_assert_int_eq(call(context, &p, &o, expected), GM_OK);
    gm_context_destroy(context);
    ck_assert_int_eq(gm_context_create(&options, &context), GM_OK);
    ck_assert_int_eq(call(context, &p, &o, o.c.data), GM_OK);
    ck_assert(test_same_bits(expected, o.c.data, bytes));
    gm_context_destroy(context);
    free(expected);
    free_operands(&o);
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
        operands o = make_operands(&p, (uint64_t)form, normal_row);
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
        free_operands(&o);
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
            operands o = make_operands(&p, s, normal_row);
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
            free_operands(&o);
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
            operands o = make_operands(&p, s, normal_row);
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
                    ck_assert_int_eq(call(context, &p, &o, x), GM_OK);
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
            free_operands(&o);
        }
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
    tcase_add_test(tests, bad_arguments_return_their_status);
    tcase_add_test(tests, normalised_sources_equal_normalised_operands);
    tcase_add_test(tests, symmetric_products_have_the_same_bits);
    tcase_add_test(tests, the_loss_replaces_c_by_its_gradient);
    return test_run(suite);
}
