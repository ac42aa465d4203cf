/* What the columns decide by themselves: means, scales, the diagonal of C and its weights. */
#include <math.h>

#include "barlow/barlow.h"
#include "column_stats/column_stats.h"

_Static_assert((int)GM_BARLOW_COLS <= (int)GM_GRID_COLS, "a chunk is one block of column statistics");

struct normalize_task {
    struct gm_barlow_job *job;
    double *gap;
};

/* 1/deviation^2 in the sense of the options. A column without variation has no direction: where no eps gives it a
 * deviation its scale, and with it its gradient, is 0. Its normalised value is 0 in any case, as its mean is exact. */
static double inverse_variance(const struct gm_barlow_job *job, double squares)
{
    const double n = (double)job->n;
    double variance = squares;
    if (job->options.normalization == GM_BARLOW_BATCHNORM)
        variance = squares / n + (double)job->options.eps;
    else if (job->options.normalization == GM_BARLOW_UNBIASED)
        variance = squares / (n - 1);
    if (variance == 0)
        return 0;
    return isfinite(squares) ? 1 / variance : NAN;
}

/* 1 - |a|^2 / s: what eps, n - 1 or a lack of any variation leave to 1, without the rounding of a, for the s of the
 * normalisation. */
static double norm_gap(const struct gm_barlow_job *job, double squares, double inverse)
{
    if (squares == 0)
        return 1;
    if (job->options.normalization == GM_BARLOW_BATCHNORM)
        return (double)job->options.eps * inverse;
    return job->options.normalization == GM_BARLOW_UNBIASED ? 1 / (double)job->n : 0;
}

/* Returns how many of the columns are constant and adds their share to the gaps, unless gap is NULL. */
static int64_t normalize_columns(const struct gm_barlow_job *job, int64_t cols, const struct gm_barlow_view *view,
                                 double *gap)
{
    double mean[GM_BARLOW_COLS], squares[GM_BARLOW_COLS];
    int64_t constant = 0;
    job->context->kernels.column_stats->block(job->n, cols, view->z, view->ldz, false, mean, squares);
    for (int64_t j = 0; j < cols; j++) {
        const double inverse = inverse_variance(job, squares[j]);
        view->mean_high[j] = (float)mean[j];
        view->mean_low[j] = (float)(mean[j] - (double)view->mean_high[j]);
        view->scale[j] = (float)sqrt(inverse);
        constant += squares[j] == 0;
        if (gap)
            gap[j] += (1 - job->share + job->share * norm_gap(job, squares[j], inverse)) / 2;
    }
    return constant;
}

void gm_barlow_normalize_columns(struct gm_barlow_job *job, int64_t cols, const struct gm_barlow_view *a,
                                 const struct gm_barlow_view *b, double *gap, const struct gm_barlow_copies *copies)
{
    double distance[GM_BARLOW_COLS];
    for (int64_t j = 0; gap && j < cols; j++)
        gap[j] = 0;
    const int64_t constant = normalize_columns(job, cols, a, gap) + normalize_columns(job, cols, b, gap);
    if (constant)
        __atomic_fetch_add(&job->constant_columns, constant, __ATOMIC_RELAXED);
    if (!gap)
        return;
    job->context->kernels.barlow->distances(job->n, cols, a, b, distance, copies);
    for (int64_t j = 0; j < cols; j++)
        gap[j] += distance[j] / (2 * job->divisor);
}

void gm_barlow_add_diagonal(const struct gm_barlow_job *job, int64_t first, int64_t cols, const double *gap,
                            struct gm_barlow_diagonal_sums *sums)
{
    /* The products of the dual form hold the diagonal as if it were redundancy, those of the primal form without. */
    const double counted = job->options.form == GM_BARLOW_DUAL ? (double)job->options.lambda : 0;
    const double factor = 2 * (double)job->options.scale / job->divisor;
    for (int64_t j = 0; j < cols; j++) {
        const double diagonal = 1 - gap[j];
        sums->invariance += gap[j] * gap[j];
        sums->squares += diagonal * diagonal;
        if (job->gradients)
            job->weight[first + j] = (float)(-factor * (gap[j] + counted * diagonal));
    }
}

static void normalize_chunk(void *arg, int64_t chunk, int worker)
{
    (void)worker;
    const struct normalize_task *task = arg;
    const int64_t first = chunk * GM_BARLOW_COLS, cols = gm_min_i64(GM_BARLOW_COLS, task->job->d - first);
    const struct gm_barlow_view a = gm_barlow_view_from(&task->job->a.view, first),
                                b = gm_barlow_view_from(&task->job->b.view, first);
    gm_barlow_normalize_columns(task->job, cols, &a, &b, task->gap ? task->gap + first : NULL, NULL);
}

void gm_barlow_normalize(struct gm_barlow_job *job, double *gap)
{
    struct normalize_task task = {job, gap};
    gm_parallel(job->context, gm_ceil_div(job->d, GM_BARLOW_COLS), normalize_chunk, &task);
}
