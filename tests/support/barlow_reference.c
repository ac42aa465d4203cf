#include "support/barlow_reference.h"

#include <math.h>
#include <stdlib.h>

#include "support/support.h"

const char *const barlow_input_names[BARLOW_KINDS] = {"normal", "offset", "converged", "flat"};

static double *doubles(int64_t count)
{
    return calloc((size_t)count, sizeof(double));
}

double barlow_reference_normalize(const gm_barlow_options *o, int64_t n, int64_t d, const double *z, double *a)
{
    double mean = 0, squares = 0;
    for (int64_t i = 0; i < n; i++)
        mean += z[i * d] / (double)n;
    for (int64_t i = 0; i < n; i++)
        squares += (z[i * d] - mean) * (z[i * d] - mean);
    const double variance = o->normalization == GM_BARLOW_BATCHNORM  ? squares / (double)n + (double)o->eps
                            : o->normalization == GM_BARLOW_UNBIASED ? squares / (double)(n - 1)
                                                                     : squares;
    bool constant = true;
    for (int64_t i = 0; i < n; i++)
        constant = constant && z[i * d] == z[0];
    const double r = constant && o->normalization != GM_BARLOW_BATCHNORM ? 0 : 1 / sqrt(variance);
    for (int64_t i = 0; i < n; i++)
        a[i * d] = constant ? 0 : (z[i * d] - mean) * r;
    return r;
}

/* dz = r (g - mean(g) - a sum(g a) / m) */
static void chain_column(const gm_barlow_options *o, int64_t n, int64_t d, double r, const double *a, const double *g,
                         double *dz)
{
    const double m = o->normalization == GM_BARLOW_BATCHNORM  ? (double)n
                     : o->normalization == GM_BARLOW_UNBIASED ? (double)(n - 1)
                                                              : 1;
    double mean = 0, projection = 0;
    for (int64_t i = 0; i < n; i++) {
        mean += g[i * d] / (double)n;
        projection += g[i * d] * a[i * d] / m;
    }
    for (int64_t i = 0; i < n; i++)
        dz[i * d] = r * (g[i * d] - mean - a[i * d] * projection);
}

/* g = x h^T / s or x h / s for h = dL/dC; x and g are [n, d]. */
static void multiply_by_h(const barlow_reference *ref, const double *x, const double *h, bool transposed, double *g)
{
    const int64_t d = ref->d;
    for (int64_t n = 0; n < ref->n; n++)
        for (int64_t k = 0; k < d; k++)
            for (int64_t j = 0; j < d; j++)
                g[n * d + j] += x[n * d + k] * (transposed ? h[j * d + k] : h[k * d + j]) / ref->divisor;
}

/* One side's gradient from the other side's normalised values x. */
static void differentiate(const gm_barlow_options *o, const barlow_reference *ref, const double *r, const double *a,
                          const double *x, const double *h, bool transposed, double *dz, barlow_sizes *sizes)
{
    const int64_t n = ref->n, d = ref->d;
    const double factor = 2 * (double)o->lambda * (double)o->scale / ref->divisor;
    double *g = doubles(n * d), whole = 0, subtracted = 0;
    multiply_by_h(ref, x, h, transposed, g);
    for (int64_t j = 0; j < d; j++) {
        chain_column(o, n, d, r[j], a + j, g + j, dz + j);
        for (int64_t i = 0; i < n; i++) {
            whole += pow(r[j] * g[i * d + j], 2);
            subtracted += pow(r[j] * factor * ref->c[j * d + j] * x[i * d + j], 2);
        }
    }
    *sizes = (barlow_sizes){sqrt(whole), sqrt(subtracted)};
    free(g);
}

static void cross_correlate(barlow_reference *ref)
{
    const int64_t d = ref->d;
    for (int64_t k = 0; k < ref->n; k++)
        for (int64_t i = 0; i < d; i++)
            for (int64_t j = 0; j < d; j++)
                ref->c[i * d + j] += ref->a[k * d + i] * ref->b[k * d + j] / ref->divisor;
}

barlow_reference barlow_reference_create(const gm_barlow_options *o, int64_t n, int64_t d, const double *za,
                                         const double *zb)
{
    barlow_reference ref = {.n = n,
                            .d = d,
                            .divisor = o->divisor > 0                         ? o->divisor
                                       : o->normalization == GM_BARLOW_COSINE ? 1
                                                                              : (double)n};
    double *ra = doubles(d), *rb = doubles(d), *h = doubles(d * d);
    ref.a = doubles(n * d), ref.b = doubles(n * d), ref.c = doubles(d * d);
    ref.dza = doubles(n * d), ref.dzb = doubles(n * d);
    for (int64_t j = 0; j < d; j++) {
        ra[j] = barlow_reference_normalize(o, n, d, za + j, ref.a + j);
        rb[j] = barlow_reference_normalize(o, n, d, zb + j, ref.b + j);
    }
    cross_correlate(&ref);
    const double scale = (double)o->scale, lambda = (double)o->lambda;
    for (int64_t i = 0; i < d; i++) {
        for (int64_t j = 0; j < d; j++) {
            const double c = ref.c[i * d + j];
            if (i == j)
                ref.invariance += scale * (c - 1) * (c - 1);
            else
                ref.redundancy += scale * lambda * c * c;
            h[i * d + j] = scale * (i == j ? 2 * (c - 1) : 2 * lambda * c);
        }
    }
    ref.loss = ref.invariance + ref.redundancy;
    differentiate(o, &ref, ra, ref.a, ref.b, h, true, ref.dza, &ref.size_a);
    differentiate(o, &ref, rb, ref.b, ref.a, h, false, ref.dzb, &ref.size_b);
    free(ra), free(rb), free(h);
    return ref;
}

barlow_reference barlow_reference_of_floats(const gm_barlow_options *o, int64_t n, int64_t d, const float *za,
                                            const float *zb)
{
    double *wide_a = doubles(n * d), *wide_b = doubles(n * d);
    for (int64_t i = 0; i < n * d; i++) {
        wide_a[i] = (double)za[i];
        wide_b[i] = (double)zb[i];
    }
    const barlow_reference ref = barlow_reference_create(o, n, d, wide_a, wide_b);
    free(wide_a), free(wide_b);
    return ref;
}

void barlow_reference_free(barlow_reference *ref)
{
    free(ref->a), free(ref->b), free(ref->c), free(ref->dza), free(ref->dzb);
}

void barlow_fill_noise(uint64_t seed, double *x, int64_t count)
{
    test_random random = test_random_create(seed);
    for (int64_t i = 0; i < count; i++) {
        double u[4];
        for (int k = 0; k < 4; k++)
            u[k] = test_random_uniform(&random);
        x[i] = ((u[0] + u[1]) + (u[2] + u[3]) - 2.0) * 1.75;
    }
}

double barlow_walsh(int64_t n, int64_t row, int64_t col)
{
    if (col >= n - 1)
        row = (5 * row + 3) % n;
    return __builtin_parityll((unsigned long long)(row & (col % (n - 1) + 1))) ? -1.0 : 1.0;
}

void barlow_fill_views(barlow_input kind, int64_t n, int64_t d, float *za, float *zb)
{
    double *x = doubles(n * d), *y = doubles(n * d);
    barlow_fill_noise(1, x, n * d);
    barlow_fill_noise(2, y, n * d);
    for (int64_t i = 0; i < n; i++) {
        for (int64_t j = 0; j < d; j++) {
            const int64_t at = i * d + j;
            const bool flat = kind == BARLOW_FLAT && j % 3 == 0;
            const double deviation = flat ? 0x1p-18 : exp2((double)(j % 5 - 2));
            const double mean = flat ? 5.0 : (double)(j % 7) - 3.0 + (kind == BARLOW_OFFSET ? 1e4 : 0.0);
            const double a = kind == BARLOW_CONVERGED ? barlow_walsh(n, i, j) : x[at];
            const double b = kind == BARLOW_CONVERGED ? a + 0.01 * y[at] : 0.75 * a + 0.75 * y[at];
            za[at] = (float)(mean + deviation * a);
            zb[at] = (float)(mean + deviation * b);
        }
    }
    free(x), free(y);
}

double barlow_error(const float *x, const double *expected, int64_t count, double scale)
{
    double sum = 0;
    for (int64_t i = 0; i < count; i++)
        sum += ((double)x[i] - expected[i]) * ((double)x[i] - expected[i]);
    return sqrt(sum) / (scale > 0 ? scale : 1);
}

gm_context *barlow_context(gm_isa isa, int32_t threads, int64_t n, int64_t d, const gm_barlow_options *o,
                           bool gradients)
{
    gm_context *context = test_context_with_workspace(isa, threads, 1);
    ck_assert_int_eq(gm_context_reserve(context, gm_barlow_loss_f32_workspace(context, n, d, o, gradients)), GM_OK);
    return context;
}

gm_status barlow_loss(gm_isa isa, int32_t threads, int64_t n, int64_t d, const float *za, const float *zb,
                      const gm_barlow_options *o, gm_barlow_result *result, float *dza, float *dzb)
{
    gm_context *context = barlow_context(isa, threads, n, d, o, dza != NULL);
    *result = (gm_barlow_result){.size = sizeof *result};
    if (dza) {
        test_fill_nan(dza, n * d);
        test_fill_nan(dzb, n * d);
    }
    const gm_status status = gm_barlow_loss_f32(context, n, d, za, d, zb, d, o, result, dza, d, dzb, d);
    gm_context_destroy(context);
    return status;
}
