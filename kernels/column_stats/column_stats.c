#include <gemel/column_stats.h>

#include <math.h>

#include "column_stats/column_stats.h"

struct job {
    const struct gm_column_stats_kernels *kernels;
    struct gm_grid grid;
    int64_t divisor_offset;
    const float *x;
    int64_t ldx;
    double *partial_mean, *partial_squares; /* [slots, cols] */
    float *mean, *mean_low, *variance;
    bool not_finite; /* set atomically */
};

static void block_chunk(void *arg, int64_t chunk, int worker)
{
    (void)worker;
    const struct job *job = arg;
    const struct gm_rect rect = gm_grid_rect(&job->grid, chunk);
    const int64_t partial = rect.slot * job->grid.cols + rect.col;
    job->kernels->block(rect.rows, rect.cols, job->x + rect.row * job->ldx + rect.col, job->ldx,
                        job->partial_mean + partial, job->partial_squares + partial);
}

/* Merges the rectangles of one column in the order of their rows. Returns whether the statistics are finite. */
static bool merge_column(const struct job *job, int64_t group, int64_t col)
{
    const struct gm_grid *grid = &job->grid;
    const int64_t first = group * grid->row_rects * grid->cols + col;
    double mean = job->partial_mean[first], squares = job->partial_squares[first];
    double done = (double)grid->rect_rows;
    for (int64_t i = 1; i < grid->row_rects; i++) {
        const double n = (double)gm_min_i64(grid->rect_rows, grid->group_rows - i * grid->rect_rows);
        const double delta = job->partial_mean[first + i * grid->cols] - mean;
        squares += job->partial_squares[first + i * grid->cols] + delta * delta * (done * n / (done + n));
        mean += delta * (n / (done + n));
        done += n;
    }
    const int64_t out = group * grid->cols + col;
    const double variance = squares / (done - (double)job->divisor_offset);
    job->mean[out] = (float)mean;
    if (job->mean_low)
        job->mean_low[out] = (float)(mean - (double)(float)mean);
    if (job->variance)
        job->variance[out] = (float)variance;
    return isfinite((float)mean) && (grid->group_rows == 1 || isfinite((float)variance));
}

static void merge_chunk(void *arg, int64_t chunk, int worker)
{
    (void)worker;
    struct job *job = arg;
    const int64_t first = chunk * job->grid.rect_cols;
    const int64_t last = gm_min_i64(first + job->grid.rect_cols, job->grid.cols);
    bool finite = true;
    for (int64_t group = 0; group < job->grid.groups; group++)
        for (int64_t col = first; col < last; col++)
            finite &= merge_column(job, group, col);
    if (!finite)
        __atomic_store_n(&job->not_finite, true, __ATOMIC_RELAXED);
}

static size_t partial_bytes(const struct gm_grid *grid)
{
    return (size_t)(gm_grid_slots(grid) * grid->cols) * sizeof(double);
}

size_t gm_column_stats_run_workspace(int64_t rows, int64_t cols, int64_t groups)
{
    if (rows == 0 || cols == 0)
        return 0;
    const struct gm_grid grid = gm_grid_make(rows, cols, groups);
    return 2 * gm_workspace_bytes(partial_bytes(&grid));
}

gm_status gm_column_stats_run(gm_context *context, int64_t rows, int64_t cols, const float *x, int64_t ldx,
                              int64_t groups, int64_t divisor_offset, float *mean, float *mean_low, float *variance)
{
    if (rows == 0 || cols == 0)
        return GM_OK;
    struct job job = {.kernels = context->kernels.column_stats,
                      .grid = gm_grid_make(rows, cols, groups),
                      .divisor_offset = divisor_offset,
                      .x = x,
                      .ldx = ldx,
                      .mean = mean,
                      .mean_low = mean_low,
                      .variance = variance};
    const size_t mark = gm_workspace_mark(context), bytes = partial_bytes(&job.grid);
    job.partial_mean = gm_workspace_take(context, bytes);
    job.partial_squares = gm_workspace_take(context, bytes);
    gm_parallel(context, gm_grid_chunks(&job.grid), block_chunk, &job);
    gm_parallel(context, job.grid.col_rects, merge_chunk, &job);
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
