#include "train/projection.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <gemel/gemm.h>

#include "support/random.h"

/* Subspace iteration on X^T X without forming it, which may be large. So many steps separate directions whose variances
 * differ by a twentieth; where they differ by less, a picture is as good along one as along the other. */
enum { AXES = 2, STEPS = 60 };

typedef struct plane {
    int64_t n, d;
    float *x;      /* [n, d] centred samples */
    float *axes;   /* [d, AXES] */
    float *points; /* [n, AXES] */
} plane;

static void centre(const gm_samples *samples, const int64_t *rows, plane *p)
{
    for (int64_t i = 0; i < p->n; i++)
        memcpy(p->x + i * p->d, samples->x + rows[i] * p->d, sizeof *p->x * (size_t)p->d);
    for (int64_t j = 0; j < p->d; j++) {
        double sum = 0;
        for (int64_t i = 0; i < p->n; i++)
            sum += (double)p->x[i * p->d + j];
        const float mean = (float)(sum / (double)p->n);
        for (int64_t i = 0; i < p->n; i++)
            p->x[i * p->d + j] -= mean;
    }
}

static double dot(const float *a, const float *b, int64_t rows)
{
    double sum = 0;
    for (int64_t i = 0; i < rows; i++)
        sum += (double)a[i * AXES] * (double)b[i * AXES];
    return sum;
}

static void scale(float *a, int64_t rows, double by)
{
    for (int64_t i = 0; i < rows; i++)
        a[i * AXES] = (float)((double)a[i * AXES] * by);
}

/* Gram-Schmidt; a direction without variance becomes zero. */
static void make_orthonormal(float *axes, int64_t d)
{
    const double first = dot(axes, axes, d);
    scale(axes, d, first > 0 ? 1 / sqrt(first) : 0);
    const double along = dot(axes, axes + 1, d);
    for (int64_t i = 0; i < d; i++)
        axes[i * AXES + 1] = (float)((double)axes[i * AXES + 1] - along * (double)axes[i * AXES]);
    const double second = dot(axes + 1, axes + 1, d);
    scale(axes + 1, d, second > 1e-12 * first ? 1 / sqrt(second) : 0);
}

static gm_status find_plane(gm_context *context, const plane *p)
{
    gm_random random = gm_random_stream(0, 0, 0, 0, GM_RANDOM_PROJECTION);
    for (int64_t i = 0; i < AXES * p->d; i++)
        p->axes[i] = gm_random_uniform(&random) - 0.5f;
    gm_status status = GM_OK;
    for (int step = 0; step < STEPS && status == GM_OK; step++) {
        make_orthonormal(p->axes, p->d);
        status = gm_gemm_f32(context, GM_NO_TRANSPOSE, GM_NO_TRANSPOSE, p->n, AXES, p->d, 1.0f, p->x, p->d, p->axes,
                             AXES, 0.0f, p->points, AXES);
        if (status == GM_OK)
            status = gm_gemm_f32(context, GM_TRANSPOSE, GM_NO_TRANSPOSE, p->d, AXES, p->n, 1.0f, p->x, p->d, p->points,
                                 AXES, 0.0f, p->axes, AXES);
    }
    return status;
}

/* Turns the points in their plane until their covariance is diagonal, the greater variance first. */
static void turn(const plane *p, gm_projection *projection)
{
    const double a = dot(p->points, p->points, p->n), b = dot(p->points, p->points + 1, p->n);
    const double c = dot(p->points + 1, p->points + 1, p->n), angle = 0.5 * atan2(2 * b, a - c);
    float farthest[AXES] = {0, 0};
    double variance[AXES] = {0, 0}, all = 0;
    for (int64_t i = 0; i < p->n; i++) {
        const double x = (double)p->points[i * AXES], y = (double)p->points[i * AXES + 1];
        projection->at[i][0] = (float)(cos(angle) * x + sin(angle) * y);
        projection->at[i][1] = (float)(cos(angle) * y - sin(angle) * x);
        for (int k = 0; k < AXES; k++) {
            const float at = projection->at[i][k];
            farthest[k] = fabsf(at) > fabsf(farthest[k]) ? at : farthest[k];
            variance[k] += (double)at * (double)at;
        }
    }
    for (int64_t i = 0; i < p->n * p->d; i++)
        all += (double)p->x[i] * (double)p->x[i];
    for (int k = 0; k < AXES; k++) {
        projection->shares[k] = all > 0 ? variance[k] / all : 0;
        for (int64_t i = 0; i < p->n && farthest[k] < 0; i++)
            projection->at[i][k] = -projection->at[i][k];
    }
}

gm_status gm_project(gm_context *context, const gm_samples *samples, gm_projection *projection, gm_error *error)
{
    enum { FEWEST = 3 };
    const int64_t most = GM_PROJECTION_POINTS, d = samples->dim;
    projection->points = 0;
    if (samples->rows < FEWEST)
        return GM_OK;
    const int64_t n = samples->rows < most ? samples->rows : most;
    for (int64_t i = 0; i < n; i++)
        projection->row[i] = i * samples->rows / n;
    plane p = {n, d, malloc(sizeof(float) * (size_t)(n * d)), malloc(sizeof(float) * (size_t)(AXES * d)),
               malloc(sizeof(float) * (size_t)(AXES * n))};
    gm_status status = GM_OUT_OF_MEMORY;
    if (p.x && p.axes && p.points) {
        const size_t there = gm_gemm_f32_workspace(context, GM_NO_TRANSPOSE, GM_NO_TRANSPOSE, n, AXES, d);
        const size_t back = gm_gemm_f32_workspace(context, GM_TRANSPOSE, GM_NO_TRANSPOSE, d, AXES, n);
        status = gm_context_reserve(context, there > back ? there : back);
    }
    if (status == GM_OK) {
        centre(samples, projection->row, &p);
        status = find_plane(context, &p);
    }
    if (status == GM_OK) {
        turn(&p, projection);
        projection->points = (int32_t)n;
    }
    free(p.x);
    free(p.axes);
    free(p.points);
    return status == GM_OK ? GM_OK
                           : gm_error_set(error, status, "principal components of %lld samples: %s", (long long)n,
                                          gm_status_string(status));
}
