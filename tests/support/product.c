#include "support/product.h"

#include <gemel/gemm.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void product_integers(test_random *random, float *x, int64_t n)
{
    test_fill_integers(random, x, n, 3);
}

void product_normal(test_random *random, float *x, int64_t n)
{
    test_fill_normal(random, x, n, 0, 1);
}

void product_heavy_tails(test_random *random, float *x, int64_t n)
{
    test_fill_heavy_tails(random, x, n);
}

void product_zeros(test_random *random, float *x, int64_t n)
{
    (void)random;
    memset(x, 0, (size_t)n * sizeof *x);
}

/* A guarded matrix whose rows are padded with NaN. */
static test_guard matrix(test_random *random, int64_t rows, int64_t cols, int64_t ld, bool at_start, product_fill fill)
{
    const int64_t count = rows > 0 && cols > 0 ? (rows - 1) * ld + cols : 1;
    test_guard guard = at_start ? test_guard_create_at_start(count) : test_guard_create(count);
    for (int64_t i = 0; i < rows && cols > 0; i++)
        fill(random, guard.data + i * ld, cols);
    return guard;
}

/* C is filled only where the product reads it. */
product_operands product_operands_create(const product *p, uint64_t seed, product_fill fill)
{
    test_random random = test_random_create(seed);
    product_operands o;
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

void product_operands_free(product_operands *o)
{
    test_guard_free(&o->a);
    test_guard_free(&o->b);
    test_guard_free(&o->c);
}

const char *product_describe(const product *p)
{
    static char text[128];
    snprintf(text, sizeof text, "%c%c %ld %ld %ld alpha %g beta %g", p->ta ? 'T' : 'N', p->tb ? 'T' : 'N', (long)p->m,
             (long)p->n, (long)p->k, (double)p->alpha, (double)p->beta);
    return text;
}

static float a_element(const product *p, const product_operands *o, int64_t i, int64_t k)
{
    return o->a.data[p->ta ? k * o->lda + i : i * o->lda + k];
}

static float b_element(const product *p, const product_operands *o, int64_t k, int64_t j)
{
    return o->b.data[p->tb ? j * o->ldb + k : k * o->ldb + j];
}

product_reference product_reference_create(const product *p, const product_operands *o)
{
    const size_t count = (size_t)(p->m * p->n);
    product_reference r = {calloc(count, sizeof(double)), calloc(count, sizeof(double)), calloc(count, sizeof(float))};
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

void product_reference_free(product_reference *r)
{
    free(r->value);
    free(r->magnitude);
    free(r->sequential);
}

/* ck_assert() would write to a pipe for every element, which is slow. */
void product_check_exact(const product *p, const product_operands *o, const product_reference *r)
{
    for (int64_t i = 0; i < p->m; i++) {
        for (int64_t j = 0; j < p->n; j++)
            if (!((double)o->c.data[i * o->ldc + j] == r->value[i * p->n + j]))
                ck_abort_msg("%s: C[%ld, %ld] = %g, not %g", product_describe(p), (long)i, (long)j,
                             (double)o->c.data[i * o->ldc + j], r->value[i * p->n + j]);
        for (int64_t j = p->n; j < o->ldc && i + 1 < p->m && p->beta == 0.0f; j++)
            if (!isnan(o->c.data[i * o->ldc + j]))
                ck_abort_msg("%s: padding written", product_describe(p));
    }
}

void product_check_bounds(const product *p, const product_operands *o, const product_reference *r)
{
    double squares = 0, sequential_squares = 0;
    for (int64_t i = 0; i < p->m; i++) {
        for (int64_t j = 0; j < p->n; j++) {
            const int64_t at = i * p->n + j;
            const double error = fabs((double)o->c.data[i * o->ldc + j] - r->value[at]);
            if (!(error <= (double)(p->k + 2) * test_unit_roundoff * r->magnitude[at]))
                ck_abort_msg("%s: error %g of C[%ld, %ld]", product_describe(p), error, (long)i, (long)j);
            squares += error * error;
            sequential_squares += pow((double)r->sequential[at] - r->value[at], 2);
        }
    }
    ck_assert_msg(squares <= 4 * sequential_squares, "%s: RMS error %g, sequentially %g", product_describe(p),
                  sqrt(squares / (double)(p->m * p->n)), sqrt(sequential_squares / (double)(p->m * p->n)));
}

gm_status product_multiply(gm_context *context, const product *p, const product_operands *o, float *c)
{
    return gm_gemm_f32(context, p->ta ? GM_TRANSPOSE : GM_NO_TRANSPOSE, p->tb ? GM_TRANSPOSE : GM_NO_TRANSPOSE, p->m,
                       p->n, p->k, p->alpha, o->a.data, o->lda, o->b.data, o->ldb, p->beta, c, o->ldc);
}

gm_context *product_context(gm_isa isa, int32_t threads, const product *p)
{
    gm_context *context = test_context_with_workspace(isa, threads, 1);
    ck_assert_int_eq(
        gm_context_reserve(context, gm_gemm_f32_workspace(context, GM_NO_TRANSPOSE, GM_NO_TRANSPOSE, p->m, p->n, p->k)),
        GM_OK);
    return context;
}
