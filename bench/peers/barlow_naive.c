/* The loss as its formula reads, on a BLAS: C = A^T B / n is formed, and so is G = dL/dC, in C's place. Everything but
 * the three products walks memory once or twice and is spread over the threads, so that the BLAS decides the time. */
#include "barlow.h"
#include "server.h"
#include "sgemm.h"

#include "support/operands.h"

#include <math.h>
#include <stdlib.h>

static const float lambda = 0.0051f, eps = 1e-5f;

typedef struct buffers {
    int64_t n, d;
    float *a, *b;   /* [n, d]: normalised */
    float *ra, *rb; /* [d]: 1 / standard deviation */
    float *c;       /* [d, d]: C, then G */
} buffers;

static buffers kept;

void barlow_open(int argc, char **argv)
{
    sgemm_open(argc, argv);
}

static void provide(int64_t n, int64_t d)
{
    if (kept.n == n && kept.d == d)
        return;
    free(kept.a), free(kept.b), free(kept.ra), free(kept.rb), free(kept.c);
    kept = (buffers){n,
                     d,
                     bench_floats(n * d, 1),
                     bench_floats(n * d, 2),
                     bench_floats(d, 3),
                     bench_floats(d, 4),
                     bench_floats(d * d, 5)};
}

/* Columns are taken in strips of one cache line and more, so that each thread reads whole lines of every row. */
enum { STRIP = 64 };

static void normalize(int64_t n, int64_t d, const float *z, float *a, float *r)
{
#pragma omp parallel for schedule(static)
    for (int64_t first = 0; first < d; first += STRIP) {
        const int64_t width = d - first < STRIP ? d - first : STRIP;
        float mean[STRIP] = {0}, square[STRIP] = {0};
        for (int64_t i = 0; i < n; i++)
            for (int64_t j = 0; j < width; j++)
                mean[j] += z[i * d + first + j];
        for (int64_t j = 0; j < width; j++)
            mean[j] /= (float)n;
        for (int64_t i = 0; i < n; i++)
            for (int64_t j = 0; j < width; j++) {
                const float centred = z[i * d + first + j] - mean[j];
                square[j] += centred * centred;
            }
        for (int64_t j = 0; j < width; j++)
            r[first + j] = 1.0f / sqrtf(square[j] / (float)n + eps);
        for (int64_t i = 0; i < n; i++)
            for (int64_t j = 0; j < width; j++)
                a[i * d + first + j] = (z[i * d + first + j] - mean[j]) * r[first + j];
    }
}

/* Reduces C into the loss and turns it into G in one pass. */
static double loss_and_gradient_of_c(int64_t d, float *c)
{
    double loss = 0;
#pragma omp parallel for schedule(static) reduction(+ : loss)
    for (int64_t i = 0; i < d; i++) {
        float *row = c + i * d;
        const float diagonal = row[i] - 1.0f;
        row[i] = 0;
        float sum = 0;
#pragma omp simd reduction(+ : sum)
        for (int64_t j = 0; j < d; j++) {
            sum += row[j] * row[j];
            row[j] *= 2.0f * lambda;
        }
        row[i] = 2.0f * diagonal;
        loss += (double)diagonal * diagonal + (double)lambda * sum;
    }
    return loss;
}

/* dz = r (g - mean(g) - a mean(g a)), g in dz's place. */
static void normalize_backward(int64_t n, int64_t d, const float *a, const float *r, float *dz)
{
#pragma omp parallel for schedule(static)
    for (int64_t first = 0; first < d; first += STRIP) {
        const int64_t width = d - first < STRIP ? d - first : STRIP;
        float sum[STRIP] = {0}, product[STRIP] = {0};
        for (int64_t i = 0; i < n; i++)
            for (int64_t j = 0; j < width; j++) {
                const int64_t at = i * d + first + j;
                sum[j] += dz[at];
                product[j] += dz[at] * a[at];
            }
        for (int64_t i = 0; i < n; i++)
            for (int64_t j = 0; j < width; j++) {
                const int64_t at = i * d + first + j;
                dz[at] = r[first + j] * (dz[at] - sum[j] / (float)n - a[at] * product[j] / (float)n);
            }
    }
}

double barlow_loss(int64_t n, int64_t d, const float *za, const float *zb, float *dza, float *dzb)
{
    provide(n, d);
    const float inverse = 1.0f / (float)n;
    const int rows = (int)n, columns = (int)d;
    normalize(n, d, za, kept.a, kept.ra);
    normalize(n, d, zb, kept.b, kept.rb);
    sgemm(true, false, columns, columns, rows, inverse, kept.a, columns, kept.b, columns, 0.0f, kept.c, columns);
    const double loss = loss_and_gradient_of_c(d, kept.c);
    sgemm(false, true, rows, columns, columns, inverse, kept.b, columns, kept.c, columns, 0.0f, dza, columns);
    sgemm(false, false, rows, columns, columns, inverse, kept.a, columns, kept.c, columns, 0.0f, dzb, columns);
    normalize_backward(n, d, kept.a, kept.ra, dza);
    normalize_backward(n, d, kept.b, kept.rb, dzb);
    return loss;
}
