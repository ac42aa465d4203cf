#include <gemel/batchnorm.h>

#include <float.h>
#include <math.h>

#include "batchnorm/batchnorm.h"
#include "column_stats/column_stats.h"

/* Operands of the parallel loops. Arrays of columns are [groups, cols] unless they say otherwise. */
struct job {
    const struct gm_batchnorm_kernels *kernels;
    struct gm_grid grid;
    bool relu;
    const float *x, *dy;
    float *out; /* y or dx */
    int64_t ldx, lddy, ldout;
    const float *mean, *mean_low, *inverse_std;
    float *scale, *shift, *slope, *offset;
    double *partial_sum, *partial_dot; /* [slots, cols] */
    float *dweight, *dbias;            /* [cols] or NULL */
    bool not_finite;                   /* set atomically */
};

static struct gm_batchnorm_columns columns_at(const struct job *job, const struct gm_rect *rect)
{
    const int64_t first = rect->group * job->grid.cols + rect->col;
    struct gm_batchnorm_columns columns = {job->mean + first, job->scale + first, job->shift + first, NULL, NULL};
    if (job->slope) {
        columns.slope = job->slope + first;
        columns.offset = job->offset + first;
    }
    return columns;
}

static void apply_chunk(void *arg, int64_t chunk, int worker)
{
    (void)worker;
    const struct job *job = arg;
    const struct gm_rect rect = gm_grid_rect(&job->grid, chunk);
    const struct gm_batchnorm_columns columns = columns_at(job, &rect);
    job->kernels->apply(rect.rows, rect.cols, job->x + rect.row * job->ldx + rect.col, job->ldx, &columns, job->relu,
                        job->out + rect.row * job->ldout + rect.col, job->ldout);
}

static void sums_chunk(void *arg, int64_t chunk, int worker)
{
    (void)worker;
    const struct job *job = arg;
    const struct gm_rect rect = gm_grid_rect(&job->grid, chunk);
    const struct gm_batchnorm_columns columns = columns_at(job, &rect);
    const int64_t partial = rect.slot * job->grid.cols + rect.col;
    job->kernels->sums(rect.rows, rect.cols, job->dy + rect.row * job->lddy + rect.col, job->lddy,
                       job->x + rect.row * job->ldx + rect.col, job->ldx, &columns, job->relu,
                       job->partial_sum + partial, job->partial_dot + partial);
}

static void gradient_chunk(void *arg, int64_t chunk, int worker)
{
    (void)worker;
    const struct job *job = arg;
    const struct gm_rect rect = gm_grid_rect(&job->grid, chunk);
    const struct gm_batchnorm_columns columns = columns_at(job, &rect);
    job->kernels->gradient(rect.rows, rect.cols, job->dy + rect.row * job->lddy + rect.col, job->lddy,
                           job->x + rect.row * job->ldx + rect.col, job->ldx, &columns, job->relu,
                           job->out + rect.row * job->ldout + rect.col, job->ldout);
}

/* y = (x - mean) scale + shift for one group, with the low part of the mean in shift: x - mean is exact where x lies
 * near the mean, and what mean_low adds then is far below the deviation. Returns whether all of it is finite. */
static bool make_columns(int64_t cols, const float *mean_low, const float *inverse_std, const float *weight,
                         const float *bias, float *scale, float *shift)
{
    int finite = 1;
    for (int64_t j = 0; j < cols; j++) {
        scale[j] = weight ? weight[j] * inverse_std[j] : inverse_std[j];
        shift[j] = (bias ? bias[j] : 0.0f) - (mean_low ? mean_low[j] * scale[j] : 0.0f);
        finite &= fabsf(scale[j]) <= FLT_MAX && fabsf(shift[j]) <= FLT_MAX;
    }
    return finite;
}

static void make_inverse_std(int64_t cols, const float *variance, float eps, float *inverse_std)
{
    for (int64_t j = 0; j < cols; j++)
        inverse_std[j] = 1.0f / sqrtf(variance[j] + eps);
}

static void update_running(int64_t cols, float momentum, float factor, const float *statistic, float *running)
{
    for (int64_t j = 0; j < cols; j++)
        running[j] = (1.0f - momentum) * running[j] + momentum * (factor * statistic[j]);
}

/* Merges the row chunks of a range of columns in their order, for all groups, into dweight, dbias and the gradient's
 * line: with r the inverse deviation, S = sum g, T = sum g (x - mean) and n rows,
 * dx = scale (g - S/n - (x - mean) r^2 T/n) = scale g + slope (x - mean_high) + offset. */
static bool merge_columns(const struct job *job, int64_t first_col, int64_t cols)
{
    const struct gm_grid *grid = &job->grid;
    const double share = 1.0 / (double)grid->group_rows;
    double weight_sum[GM_GRID_COLS] = {0}, bias_sum[GM_GRID_COLS] = {0}, sum[GM_GRID_COLS], dot[GM_GRID_COLS];
    int finite = 1;
    for (int64_t group = 0; group < grid->groups; group++) {
        for (int64_t j = 0; j < cols; j++)
            sum[j] = dot[j] = 0;
        for (int64_t i = 0; i < grid->row_rects; i++) {
            const int64_t partial = (group * grid->row_rects + i) * grid->cols + first_col;
            for (int64_t j = 0; j < cols; j++) {
                sum[j] += job->partial_sum[partial + j];
                dot[j] += job->partial_dot[partial + j];
            }
        }
        for (int64_t j = 0; j < cols; j++) {
            const int64_t k = group * grid->cols + first_col + j;
            const double scale = job->scale[k], low = job->mean_low[k], r = job->inverse_std[k];
            const double around = dot[j] - low * sum[j], slope = -scale * r * r * around * share;
            job->slope[k] = (float)slope;
            job->offset[k] = (float)(-scale * sum[j] * share - slope * low);
            weight_sum[j] += around * r;
            bias_sum[j] += sum[j];
            finite &= fabs(slope) <= FLT_MAX && fabs(sum[j]) <= FLT_MAX;
        }
    }
    if (job->dweight)
        for (int64_t j = 0; j < cols; j++) {
            job->dweight[first_col + j] = (float)weight_sum[j];
            job->dbias[first_col + j] = (float)bias_sum[j];
        }
    return finite;
}

static void merge_chunk(void *arg, int64_t chunk, int worker)
{
    (void)worker;
    struct job *job = arg;
    const int64_t first = chunk * job->grid.rect_cols;
    if (!merge_columns(job, first, gm_min_i64(job->grid.rect_cols, job->grid.cols - first)))
        __atomic_store_n(&job->not_finite, true, __ATOMIC_RELAXED);
}

static gm_status check_options(int64_t rows, const gm_batchnorm_options *options)
{
    if (!gm_options_valid(options->size, sizeof *options) || options->groups < 1 || rows % options->groups != 0 ||
        rows / options->groups < 2 || !(options->eps >= 0) || !(options->momentum >= 0 && options->momentum <= 1))
        return GM_INVALID_ARGUMENT;
    return GM_OK;
}

/* What all three calls share: an input and an output matrix, where in == out asks for equal leading dimensions. */
static gm_status check_matrices(const gm_context *context, int64_t rows, int64_t cols, const float *in, int64_t ldin,
                                const float *out, int64_t ldout, const float *weight, const float *bias)
{
    if (!context || !weight != !bias || (in == out && ldin != ldout))
        return GM_INVALID_ARGUMENT;
    const gm_status status = gm_check_matrix(rows, cols, in, ldin);
    return status == GM_OK ? gm_check_matrix(rows, cols, out, ldout) : status;
}

int64_t gm_batchnorm_saved_size(int64_t cols, int64_t groups)
{
    return 3 * groups * cols;
}

static size_t infer_workspace(int64_t cols)
{
    return 3 * gm_workspace_bytes((size_t)cols * sizeof(float));
}

size_t gm_batchnorm_f32_workspace(const gm_context *context, int64_t rows, int64_t cols,
                                  const gm_batchnorm_options *options)
{
    (void)context;
    const int64_t groups = options && options->groups > 0 ? options->groups : 1;
    if (cols < 1)
        return 0;
    if (rows < groups)
        return infer_workspace(cols);
    const struct gm_grid grid = gm_grid_make(rows, cols, groups);
    const size_t column_array = gm_workspace_bytes((size_t)(groups * cols) * sizeof(float));
    const size_t forward = 3 * column_array + gm_column_stats_run_workspace(rows, cols, groups);
    const size_t backward =
        4 * column_array + 2 * gm_workspace_bytes((size_t)(gm_grid_slots(&grid) * cols) * sizeof(double));
    return forward > backward ? forward : backward;
}

gm_status gm_batchnorm_forward_f32(gm_context *context, int64_t rows, int64_t cols, const float *x, int64_t ldx,
                                   const float *weight, const float *bias, const gm_batchnorm_options *options,
                                   float *running_mean, float *running_variance, float *saved, float *y, int64_t ldy)
{
    const gm_batchnorm_options defaults = gm_batchnorm_default_options();
    if (!options)
        options = &defaults;
    gm_status status = check_matrices(context, rows, cols, x, ldx, y, ldy, weight, bias);
    if (status == GM_OK)
        status = check_options(rows, options);
    if (status == GM_OK && (!running_mean != !running_variance || (cols > 0 && !saved)))
        status = GM_INVALID_ARGUMENT;
    if (status != GM_OK || cols == 0)
        return status;
    if (!gm_workspace_fits(context, gm_batchnorm_f32_workspace(context, rows, cols, options)))
        return GM_WORKSPACE_TOO_SMALL;

    const int64_t groups = options->groups, group_rows = rows / groups;
    const size_t column_array = (size_t)(groups * cols) * sizeof(float), mark = gm_workspace_mark(context);
    float *mean = saved, *mean_low = mean + groups * cols, *inverse_std = mean_low + groups * cols;
    float *variance = gm_workspace_take(context, column_array);
    struct job job = {.kernels = context->kernels.batchnorm,
                      .grid = gm_grid_make(rows, cols, groups),
                      .relu = options->relu,
                      .x = x,
                      .ldx = ldx,
                      .out = y,
                      .ldout = ldy,
                      .mean = mean,
                      .scale = gm_workspace_take(context, column_array),
                      .shift = gm_workspace_take(context, column_array)};
    status = gm_column_stats_run(context, rows, cols, x, ldx, groups, 0, mean, mean_low, variance);
    make_inverse_std(groups * cols, variance, options->eps, inverse_std);
    const float unbiased = (float)((double)group_rows / (double)(group_rows - 1));
    for (int64_t first = 0; first < groups * cols; first += cols) {
        if (!make_columns(cols, mean_low + first, inverse_std + first, weight, bias, job.scale + first,
                          job.shift + first))
            status = GM_NOT_FINITE;
        if (running_mean) {
            update_running(cols, options->momentum, 1.0f, mean + first, running_mean);
            update_running(cols, options->momentum, unbiased, variance + first, running_variance);
        }
    }
    gm_parallel(context, gm_grid_chunks(&job.grid), apply_chunk, &job);
    gm_workspace_release(context, mark);
    return status;
}

gm_status gm_batchnorm_infer_f32(gm_context *context, int64_t rows, int64_t cols, const float *x, int64_t ldx,
                                 const float *weight, const float *bias, const float *running_mean,
                                 const float *running_variance, const gm_batchnorm_options *options, float *y,
                                 int64_t ldy)
{
    const gm_batchnorm_options defaults = gm_batchnorm_default_options();
    if (!options)
        options = &defaults;
    gm_status status = check_matrices(context, rows, cols, x, ldx, y, ldy, weight, bias);
    if (status == GM_OK && (!gm_options_valid(options->size, sizeof *options) || !(options->eps >= 0) ||
                            (cols > 0 && (!running_mean || !running_variance))))
        status = GM_INVALID_ARGUMENT;
    if (status != GM_OK || rows == 0 || cols == 0)
        return status;
    const size_t column_array = (size_t)cols * sizeof(float), mark = gm_workspace_mark(context);
    if (!gm_workspace_fits(context, infer_workspace(cols)))
        return GM_WORKSPACE_TOO_SMALL;

    float *inverse_std = gm_workspace_take(context, column_array);
    struct job job = {.kernels = context->kernels.batchnorm,
                      .grid = gm_grid_make(rows, cols, 1),
                      .relu = options->relu,
                      .x = x,
                      .ldx = ldx,
                      .out = y,
                      .ldout = ldy,
                      .mean = running_mean,
                      .scale = gm_workspace_take(context, column_array),
                      .shift = gm_workspace_take(context, column_array)};
    make_inverse_std(cols, running_variance, options->eps, inverse_std);
    make_columns(cols, NULL, inverse_std, weight, bias, job.scale, job.shift);
    gm_parallel(context, gm_grid_chunks(&job.grid), apply_chunk, &job);
    gm_workspace_release(context, mark);
    return GM_OK;
}

gm_status gm_batchnorm_backward_f32(gm_context *context, int64_t rows, int64_t cols, const float *dy, int64_t lddy,
                                    const float *x, int64_t ldx, const float *weight, const float *bias,
                                    const float *saved, const gm_batchnorm_options *options, float *dx, int64_t lddx,
                                    float *dweight, float *dbias)
{
    const gm_batchnorm_options defaults = gm_batchnorm_default_options();
    if (!options)
        options = &defaults;
    gm_status status = check_matrices(context, rows, cols, dy, lddy, dx, lddx, weight, bias);
    if (status == GM_OK)
        status = gm_check_matrix(rows, cols, x, ldx);
    if (status == GM_OK)
        status = check_options(rows, options);
    if (status == GM_OK && (!dweight != !dbias || (cols > 0 && !saved)))
        status = GM_INVALID_ARGUMENT;
    if (status != GM_OK || cols == 0)
        return status;
    if (!gm_workspace_fits(context, gm_batchnorm_f32_workspace(context, rows, cols, options)))
        return GM_WORKSPACE_TOO_SMALL;

    const int64_t groups = options->groups;
    const struct gm_grid grid = gm_grid_make(rows, cols, groups);
    const size_t column_array = (size_t)(groups * cols) * sizeof(float), mark = gm_workspace_mark(context);
    const size_t partial_array = (size_t)(gm_grid_slots(&grid) * cols) * sizeof(double);
    struct job job = {.kernels = context->kernels.batchnorm,
                      .grid = grid,
                      .relu = options->relu,
                      .x = x,
                      .ldx = ldx,
                      .dy = dy,
                      .lddy = lddy,
                      .out = dx,
                      .ldout = lddx,
                      .mean = saved,
                      .mean_low = saved + groups * cols,
                      .inverse_std = saved + 2 * groups * cols,
                      .scale = gm_workspace_take(context, column_array),
                      .shift = gm_workspace_take(context, column_array),
                      .slope = gm_workspace_take(context, column_array),
                      .offset = gm_workspace_take(context, column_array),
                      .partial_sum = gm_workspace_take(context, partial_array),
                      .partial_dot = gm_workspace_take(context, partial_array),
                      .dweight = dweight,
                      .dbias = dbias};
    for (int64_t first = 0; first < groups * cols; first += cols)
        make_columns(cols, job.mean_low + first, job.inverse_std + first, weight, bias, job.scale + first,
                     job.shift + first);
    gm_parallel(context, gm_grid_chunks(&grid), sums_chunk, &job);
    gm_parallel(context, grid.col_rects, merge_chunk, &job);
    gm_parallel(context, gm_grid_chunks(&grid), gradient_chunk, &job);
    gm_workspace_release(context, mark);
    return job.not_finite ? GM_NOT_FINITE : GM_OK;
}
