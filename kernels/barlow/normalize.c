/* Statistics of the columns: mean, scale and the diagonal of C. */
#include <math.h>

#include "barlow/barlow.h"
#include "column_stats/column_stats.h"

_Static_assert((int)GM_BARLOW_COLS <= (int)GM_GRID_COLS, "a chunk is one block of column statistics");

struct normalize_task {
    struct gm_barlow_job *job;
    double *diagonal;
};

/* 1/deviation in the sense of the options. A column without variation has no direction: where no eps gives it a
 * deviation its scale, and with it its gradient, is 0. Its normalised value is 0 in any case, as its mean is exact. */
static float column_scale(const struct gm_barlow_job *job, double squares)
{
    const double n = (double)job->n;
    double variance = squares;
    if (job->options.normalization == GM_BARLOW_BATCHNORM)
        variance = squares / n + (double)job->options.eps;
    else if (job->options.normalization == GM_BARLOW_UNBIASED)
        variance = squares / (n - 1);
    if (variance == 0)
        return 0.0f;
    return isfinite(squares) ? (float)(1 / sqrt(variance)) : NAN;
}

/* Returns how many of the columns are constant. */
static int64_t normalize_columns(const struct gm_barlow_job *job, int64_t cols, const struct gm_barlow_view *view)
{
    double mean[GM_BARLOW_COLS], squares[GM_BARLOW_COLS];
    int64_t constant = 0;
    job->context->kernels.column_stats->block(job->n, cols, view->z, view->ldz, mean, squares);
    for (int64_t j = 0; j < cols; j++) {
        view->mean_high[j] = (float)mean[j];
        view->mean_low[j] = (float)(mean[j] - (double)view->mean_high[j]);
        view->scale[j] = column_scale(job, squares[j]);
        constant += squares[j] == 0;
    }
    return constant;
}

void gm_barlow_normalize_columns(struct gm_barlow_job *job, int64_t cols, const struct gm_barlow_view *a,
                                 const struct gm_barlow_view *b, double *diagonal)
{
    const int64_t constant = normalize_columns(job, cols, a) + normalize_columns(job, cols, b);
    if (constant)
        __atomic_fetch_add(&job->constant_columns, constant, __ATOMIC_RELAXED);
    if (!diagonal)
        return;
    job->context->kernels.barlow->diagonal(job->n, cols, a, b, diagonal);
    for (int64_t j = 0; j < cols; j++)
        diagonal[j] /= job->divisor;
}

static void normalize_chunk(void *arg, int64_t chunk, int worker)
{
    (void)worker;
    const struct normalize_task *task = arg;
    const int64_t first = chunk * GM_BARLOW_COLS, cols = gm_min_i64(GM_BARLOW_COLS, task->job->d - first);
    const struct gm_barlow_view a = gm_barlow_view_from(&task->job->a.view, first),
                                b = gm_barlow_view_from(&task->job->b.view, first);
    gm_barlow_normalize_columns(task->job, cols, &a, &b, task->diagonal ? task->diagonal + first : NULL);
}

void gm_barlow_normalize(struct gm_barlow_job *job, double *diagonal)
{
    struct normalize_task task = {job, diagonal};
    gm_parallel(job->context, gm_ceil_div(job->d, GM_BARLOW_COLS), normalize_chunk, &task);
}
