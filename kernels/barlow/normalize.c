/* Statistics of the columns before the products, the chain rule through the normalisation after them. */
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

static void normalize_chunk(void *arg, int64_t chunk, int worker)
{
    (void)worker;
    const struct normalize_task *task = arg;
    struct gm_barlow_job *job = task->job;
    const int64_t first = chunk * GM_BARLOW_COLS, cols = gm_min_i64(GM_BARLOW_COLS, job->d - first);
    const struct gm_barlow_view a = gm_barlow_view_from(&job->a.view, first),
                                b = gm_barlow_view_from(&job->b.view, first);
    const int64_t constant = normalize_columns(job, cols, &a) + normalize_columns(job, cols, &b);
    if (constant)
        __atomic_fetch_add(&job->constant_columns, constant, __ATOMIC_RELAXED);
    if (!task->diagonal)
        return;
    double *diagonal = task->diagonal + first;
    job->context->kernels.barlow->diagonal(job->n, cols, &a, &b, diagonal);
    for (int64_t j = 0; j < cols; j++)
        diagonal[j] /= job->divisor;
}

void gm_barlow_normalize(struct gm_barlow_job *job, double *diagonal)
{
    struct normalize_task task = {job, diagonal};
    gm_parallel(job->context, gm_ceil_div(job->d, GM_BARLOW_COLS), normalize_chunk, &task);
}

/* Sum_i (dL/da_ij) a_ij enters divided by a's own sum of squares, but for eps: n, n - 1 or 1. */
static double projection_divisor(const struct gm_barlow_job *job)
{
    switch (job->options.normalization) {
    case GM_BARLOW_COSINE:
        return 1;
    case GM_BARLOW_UNBIASED:
        return (double)(job->n - 1);
    case GM_BARLOW_BATCHNORM:
        break;
    }
    return (double)job->n;
}

static void divide_sums(const struct gm_barlow_job *job, int64_t cols, const struct gm_barlow_sums *sums,
                        struct gm_barlow_chain *chain)
{
    const double divisor = projection_divisor(job);
    for (int64_t j = 0; j < cols; j++) {
        chain->mean[j] = (float)(sums->g[j] / (double)job->n);
        chain->projection[j] = (float)(sums->ga[j] / divisor);
    }
}

static struct gm_barlow_side side_from(const struct gm_barlow_side *side, int64_t first_col)
{
    const struct gm_barlow_side from = {gm_barlow_view_from(&side->view, first_col), side->g + first_col, side->ldg};
    return from;
}

static void chain_chunk(void *arg, int64_t chunk, int worker)
{
    (void)worker;
    const struct gm_barlow_job *job = arg;
    const struct gm_barlow_kernels *kernels = job->context->kernels.barlow;
    const int64_t first = chunk * GM_BARLOW_COLS, cols = gm_min_i64(GM_BARLOW_COLS, job->d - first);
    const struct gm_barlow_side a = side_from(&job->a, first), b = side_from(&job->b, first);
    struct gm_barlow_sums a_sums, b_sums;
    struct gm_barlow_chain a_chain, b_chain;
    kernels->chain_sums(job->n, cols, job->weight + first, &a, &b, &a_sums, &b_sums);
    divide_sums(job, cols, &a_sums, &a_chain);
    divide_sums(job, cols, &b_sums, &b_chain);
    kernels->chain_apply(job->n, cols, job->weight + first, &a, &b, &a_chain, &b_chain);
}

void gm_barlow_chain(struct gm_barlow_job *job)
{
    gm_parallel(job->context, gm_ceil_div(job->d, GM_BARLOW_COLS), chain_chunk, job);
}
