#include <gemel/column_stats.h>

#include <math.h>

#include "column_stats/column_stats.h"

/* Elements of one chunk: 256 KiB, enough to hide the start of a chunk, few enough to share among many threads. */
enum { CHUNK_ELEMENTS = 1 << 16, CHUNK_ROWS_LEAST = 256 };

/* The cut of the matrix into chunks: a function of the shape alone, so that no sum depends on the threads. */
struct plan {
    int64_t group_rows;             /* rows that share statistics */
    int64_t chunk_rows, chunk_cols; /* of one chunk, except the last ones */
    int64_t row_chunks, col_chunks; /* row chunks of one group, column chunks of the matrix */
};

struct job {
    const struct gm_column_stats_kernels *kernels;
    struct plan plan;
    int64_t cols, groups, divisor_offset;
    const float *x;
    int64_t ldx;
    double *partial_mean, *partial_squares; /* [groups, row_chunks, cols] */
    float *mean, *mean_low, *variance;
    int64_t not_finite; /* columns, counted atomically */
};

static struct plan make_plan(int64_t rows, int64_t cols, int64_t groups)
{
    struct plan plan;
    plan.group_rows = rows / groups;
    plan.chunk_cols = gm_min_i64(cols, GM_COLUMN_STATS_COLS);
    plan.chunk_rows = gm_max_i64(CHUNK_ROWS_LEAST, CHUNK_ELEMENTS / plan.chunk_cols);
    plan.row_chunks = gm_ceil_div(plan.group_rows, plan.chunk_rows);
    plan.col_chunks = gm_ceil_div(cols, plan.chunk_cols);
    return plan;
}

static void run_chunk(void *arg, int64_t chunk, int worker)
{
    (void)worker;
    const struct job *job = arg;
    const struct plan *plan = &job->plan;
    const int64_t col_chunk = chunk % plan->col_chunks, slot = chunk / plan->col_chunks;
    const int64_t group = slot / plan->row_chunks, row_chunk = slot % plan->row_chunks;
    const int64_t first_row = row_chunk * plan->chunk_rows, first_col = col_chunk * plan->chunk_cols;
    const int64_t rows = gm_min_i64(plan->chunk_rows, plan->group_rows - first_row);
    const int64_t cols = gm_min_i64(plan->chunk_cols, job->cols - first_col);
    const float *x = job->x + (group * plan->group_rows + first_row) * job->ldx + first_col;
    const int64_t partial = slot * job->cols + first_col;
    job->kernels->block(rows, cols, x, job->ldx, job->partial_mean + partial, job->partial_squares + partial);
}

/* Merges the row chunks of one column in their order. Returns whether the statistics are finite. */
static bool merge_column(const struct job *job, int64_t group, int64_t col)
{
    const struct plan *plan = &job->plan;
    const int64_t first = group * plan->row_chunks * job->cols + col;
    double mean = job->partial_mean[first], squares = job->partial_squares[first];
    double done = (double)gm_min_i64(plan->chunk_rows, plan->group_rows);
    for (int64_t i = 1; i < plan->row_chunks; i++) {
        const double n = (double)gm_min_i64(plan->chunk_rows, plan->group_rows - i * plan->chunk_rows);
        const double delta = job->partial_mean[first + i * job->cols] - mean;
        squares += job->partial_squares[first + i * job->cols] + delta * delta * (done * n / (done + n));
        mean += delta * (n / (done + n));
        done += n;
    }
    const int64_t out = group * job->cols + col;
    const double variance = squares / (done - (double)job->divisor_offset);
    job->mean[out] = (float)mean;
    if (job->mean_low)
        job->mean_low[out] = (float)(mean - (double)(float)mean);
    if (job->variance)
        job->variance[out] = (float)variance;
    return isfinite((float)mean) && (plan->group_rows == 1 || isfinite((float)variance));
}

static void merge_chunk(void *arg, int64_t chunk, int worker)
{
    (void)worker;
    struct job *job = arg;
    const int64_t first = chunk * job->plan.chunk_cols;
    const int64_t last = gm_min_i64(first + job->plan.chunk_cols, job->cols);
    int64_t not_finite = 0;
    for (int64_t group = 0; group < job->groups; group++)
        for (int64_t col = first; col < last; col++)
            not_finite += !merge_column(job, group, col);
    if (not_finite)
        __atomic_fetch_add(&job->not_finite, not_finite, __ATOMIC_RELAXED);
}

size_t gm_column_stats_run_workspace(int64_t rows, int64_t cols, int64_t groups)
{
    if (rows == 0 || cols == 0)
        return 0;
    const struct plan plan = make_plan(rows, cols, groups);
    return 2 * gm_workspace_bytes((size_t)(groups * plan.row_chunks * cols) * sizeof(double));
}

gm_status gm_column_stats_run(gm_context *context, int64_t rows, int64_t cols, const float *x, int64_t ldx,
                              int64_t groups, int64_t divisor_offset, float *mean, float *mean_low, float *variance)
{
    if (rows == 0 || cols == 0)
        return GM_OK;
    struct job job = {.kernels = context->kernels.column_stats,
                      .plan = make_plan(rows, cols, groups),
                      .cols = cols,
                      .groups = groups,
                      .divisor_offset = divisor_offset,
                      .x = x,
                      .ldx = ldx,
                      .mean = mean,
                      .mean_low = mean_low,
                      .variance = variance};
    const int64_t slots = groups * job.plan.row_chunks;
    const size_t mark = gm_workspace_mark(context);
    job.partial_mean = gm_workspace_take(context, (size_t)(slots * cols) * sizeof(double));
    job.partial_squares = gm_workspace_take(context, (size_t)(slots * cols) * sizeof(double));
    gm_parallel(context, slots * job.plan.col_chunks, run_chunk, &job);
    gm_parallel(context, job.plan.col_chunks, merge_chunk, &job);
    gm_workspace_release(context, mark);
    return job.not_finite ? GM_NOT_FINITE : GM_OK;
}

static gm_status check_options(int64_t rows, const gm_column_stats_options *options)
{
    if (!gm_options_valid(options->size, sizeof *options) || options->groups < 1 || rows < options->groups ||
        rows % options->groups != 0)
        return GM_INVALID_ARGUMENT;
    return GM_OK;
}

gm_status gm_column_stats_f32(gm_context *context, int64_t rows, int64_t cols, const float *x, int64_t ldx,
                              const gm_column_stats_options *options, float *mean, float *variance)
{
    const gm_column_stats_options defaults = gm_column_stats_default_options();
    if (!options)
        options = &defaults;
    if (!context || (cols > 0 && !mean))
        return GM_INVALID_ARGUMENT;
    gm_status status = gm_check_matrix(rows, cols, x, ldx);
    if (status == GM_OK)
        status = check_options(rows, options);
    if (status != GM_OK)
        return status;
    if (!gm_workspace_fits(context, gm_column_stats_run_workspace(rows, cols, options->groups)))
        return GM_WORKSPACE_TOO_SMALL;
    return gm_column_stats_run(context, rows, cols, x, ldx, options->groups, options->unbiased ? 1 : 0, mean, NULL,
                               variance);
}

size_t gm_column_stats_f32_workspace(const gm_context *context, int64_t rows, int64_t cols,
                                     const gm_column_stats_options *options)
{
    (void)context;
    const int64_t groups = options && options->groups > 0 ? options->groups : 1;
    return rows < groups || cols < 1 ? 0 : gm_column_stats_run_workspace(rows, cols, groups);
}
