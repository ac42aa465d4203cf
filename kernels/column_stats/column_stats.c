#include <gemel/column_stats.h>

#include <float.h>
#include <math.h>

#include "column_stats/column_stats.h"

void gm_column_stats_merge(int64_t done, int64_t rows, int64_t cols, const double *part_mean,
                           const double *part_squares, double *mean, double *squares)
{
    const double n = (double)rows, all = (double)(done + rows), weight = (double)done * n / all, share = n / all;
    for (int64_t j = 0; j < cols; j++) {
        const double before = done == 0 ? 0 : mean[j], delta = part_mean[j] - before;
        squares[j] = (done == 0 ? 0 : squares[j]) + part_squares[j] + delta * delta * weight;
        mean[j] = before + delta * share;
    }
}

bool gm_column_stats_finish(int64_t rows, int64_t divisor_offset, int64_t cols, const double *mean,
                            const double *squares, float *high, float *low, float *variance)
{
    const double divisor = (double)(rows - divisor_offset);
    int finite = 1;
    for (int64_t j = 0; j < cols; j++) {
        const float spread = (float)(squares[j] / divisor);
        high[j] = (float)mean[j];
        if (low)
            low[j] = (float)(mean[j] - (double)high[j]);
        if (variance)
            variance[j] = spread;
        finite &= fabsf(high[j]) <= FLT_MAX && (rows == 1 || fabsf(spread) <= FLT_MAX);
    }
    return finite;
}

struct job {
    const struct gm_column_stats_kernels *kernels;
    struct gm_grid grid;
    int64_t divisor_offset;
    bool large; /* x comes from memory */
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
    job->kernels->block(rect.rows, rect.cols, job->x + rect.row * job->ldx + rect.col, job->ldx, job->large,
                        job->partial_mean + partial, job->partial_squares + partial);
}

/* Merges the rectangles of a range of columns in the order of their rows. Returns whether the statistics are finite. */
static bool merge_columns(const struct job *job, int64_t group, int64_t first_col, int64_t cols)
{
    const struct gm_grid *grid = &job->grid;
    double mean[GM_GRID_COLS], squares[GM_GRID_COLS];
    int64_t done = 0;
    for (int64_t i = 0; i < grid->row_rects; i++) {
        const int64_t partial = (group * grid->row_rects + i) * grid->cols + first_col;
        const int64_t rows = gm_min_i64(grid->rect_rows, grid->group_rows - done);
        gm_column_stats_merge(done, rows, cols, job->partial_mean + partial, job->partial_squares + partial, mean,
                              squares);
        done += rows;
    }
    const int64_t out = group * grid->cols + first_col;
    return gm_column_stats_finish(done, job->divisor_offset, cols, mean, squares, job->mean + out,
                                  job->mean_low ? job->mean_low + out : NULL,
                                  job->variance ? job->variance + out : NULL);
}

static void merge_chunk(void *arg, int64_t chunk, int worker)
{
    (void)worker;
    struct job *job = arg;
    const int64_t first = chunk * job->grid.rect_cols;
    const int64_t cols = gm_min_i64(job->grid.rect_cols, job->grid.cols - first);
    for (int64_t group = 0; group < job->grid.groups; group++)
        if (!merge_columns(job, group, first, cols))
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
                      .large = rows * cols >= GM_STREAMED_ELEMENTS,
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
