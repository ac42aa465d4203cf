#include <gemel/batchnorm.h>

#include <float.h>
#include <math.h>
#include <string.h>

#include "batchnorm/batchnorm.h"
#include "column_stats/column_stats.h"

/* Operands of the parallel loops. Arrays of columns are [groups, cols] unless they say otherwise. */
struct job {
    const struct gm_batchnorm_kernels *kernels;
    struct gm_grid grid;
    struct gm_batchnorm_block all;   /* the whole matrices, and columns of all groups */
    struct gm_batchnorm_line *lines; /* all.columns, for writing; [groups, lines of a group] */
    float eps, momentum;
    const float *weight, *bias; /* [cols] or NULL */
    const float *mean;
    const float *mean_low; /* or NULL */
    const float *variance; /* or NULL, if inverse_std is known */
    const float *inverse_std;
    float *new_inverse_std;                 /* the same, to be written */
    float *running_mean, *running_variance; /* [cols] or NULL */
    double *partial_sum, *partial_dot;      /* [slots, cols] */
    float *dweight, *dbias;                 /* [cols] or NULL */
    bool not_finite;                        /* set atomically */
};

static const float *at(const float *matrix, int64_t ld, const struct gm_rect *rect)
{
    return matrix ? matrix + rect->row * ld + rect->col : NULL;
}

static float *at_out(float *matrix, int64_t ld, const struct gm_rect *rect)
{
    return matrix ? matrix + rect->row * ld + rect->col : NULL;
}

static int64_t lines_of(int64_t cols)
{
    return gm_ceil_div(cols, GM_BATCHNORM_LINE);
}

/* The line of a group's column, which begins it. */
static int64_t first_line(const struct gm_grid *grid, int64_t group, int64_t col)
{
    return group * lines_of(grid->cols) + col / GM_BATCHNORM_LINE;
}

static struct gm_batchnorm_block block_at(const struct job *job, const struct gm_rect *rect)
{
    struct gm_batchnorm_block b = job->all;
    b.rows = rect->rows;
    b.cols = rect->cols;
    b.x = at(b.x, b.ldx, rect);
    b.residual = at(b.residual, b.ldresidual, rect);
    b.dy = at(b.dy, b.lddy, rect);
    b.out = at_out(b.out, b.ldout, rect);
    b.dresidual = at_out(b.dresidual, b.lddresidual, rect);
    if (b.new_mask)
        b.new_mask += rect->row * b.ldmask + rect->col / 8;
    if (b.mask)
        b.mask += rect->row * b.ldmask + rect->col / 8;
    b.columns += first_line(&job->grid, rect->group, rect->col);
    return b;
}

/* The second pass over the matrices begins where the first one ended: there the third-level cache still holds them. */
static struct gm_batchnorm_block block_from_end(const struct job *job, int64_t chunk)
{
    const struct gm_rect rect = gm_grid_rect(&job->grid, gm_grid_chunks(&job->grid) - 1 - chunk);
    return block_at(job, &rect);
}

static void apply_chunk(void *arg, int64_t chunk, int worker)
{
    (void)worker;
    const struct job *job = arg;
    const struct gm_batchnorm_block block = block_from_end(job, chunk);
    job->kernels->apply(&block);
}

static void sums_chunk(void *arg, int64_t chunk, int worker)
{
    (void)worker;
    const struct job *job = arg;
    const struct gm_rect rect = gm_grid_rect(&job->grid, chunk);
    const struct gm_batchnorm_block block = block_at(job, &rect);
    const int64_t partial = rect.slot * job->grid.cols + rect.col;
    job->kernels->sums(&block, job->partial_sum + partial, job->partial_dot + partial);
}

static void gradient_chunk(void *arg, int64_t chunk, int worker)
{
    (void)worker;
    const struct job *job = arg;
    const struct gm_batchnorm_block block = block_from_end(job, chunk);
    job->kernels->gradient(&block);
}

static void update_running(int64_t cols, float momentum, float factor, const float *statistic, float *running)
{
    for (int64_t j = 0; j < cols; j++)
        running[j] = (1.0f - momentum) * running[j] + momentum * (factor * statistic[j]);
}

/* Copies an array of columns to the field of their lines that begins at field in the first one. */
static void to_lines(float *field, const float *array, int64_t cols)
{
    for (; cols >= GM_BATCHNORM_LINE; cols -= GM_BATCHNORM_LINE) {
        memcpy(field, array, GM_BATCHNORM_LINE * sizeof *field);
        field += sizeof(struct gm_batchnorm_line) / sizeof *field;
        array += GM_BATCHNORM_LINE;
    }
    memcpy(field, array, (size_t)cols * sizeof *field);
}

static void from_lines(const float *field, float *array, int64_t cols)
{
    for (; cols >= GM_BATCHNORM_LINE; cols -= GM_BATCHNORM_LINE) {
        memcpy(array, field, GM_BATCHNORM_LINE * sizeof *field);
        field += sizeof(struct gm_batchnorm_line) / sizeof *field;
        array += GM_BATCHNORM_LINE;
    }
    memcpy(array, field, (size_t)cols * sizeof *field);
}

/* v = (x - mean) scale + shift for columns of one group, with the low part of the mean in shift: x - mean is exact
 * where x lies near the mean, and what mean_low adds then is far below the deviation. first: the first of these
 * columns, which begins a line. Returns whether all of it is finite. */
static bool make_columns(const struct job *job, int64_t group, int64_t first, int64_t cols)
{
    const int64_t first_of_all = group * job->grid.cols + first;
    const float *const weight = job->weight ? job->weight + first : NULL;
    const float *const bias = job->bias ? job->bias + first : NULL;
    const float *const mean_low = job->mean_low ? job->mean_low + first_of_all : NULL;
    const float *const r = job->inverse_std + first_of_all;
    struct gm_batchnorm_line *const lines = job->lines + first_line(&job->grid, group, first);
    if (job->variance)
        for (int64_t j = 0; j < cols; j++)
            job->new_inverse_std[first_of_all + j] = 1.0f / sqrtf(job->variance[first_of_all + j] + job->eps);
    float scale[GM_GRID_COLS], shift[GM_GRID_COLS];
    int finite = 1;
    for (int64_t j = 0; j < cols; j++) {
        scale[j] = weight ? weight[j] * r[j] : r[j];
        shift[j] = (bias ? bias[j] : 0.0f) - (mean_low ? mean_low[j] * scale[j] : 0.0f);
        finite &= fabsf(scale[j]) <= FLT_MAX && fabsf(shift[j]) <= FLT_MAX;
    }
    to_lines(lines->mean, job->mean + first_of_all, cols);
    to_lines(lines->scale, scale, cols);
    to_lines(lines->shift, shift, cols);
    return finite;
}

static void columns_chunk(void *arg, int64_t chunk, int worker)
{
    (void)worker;
    struct job *job = arg;
    const struct gm_grid *grid = &job->grid;
    const int64_t first = chunk * GM_GRID_COLS, cols = gm_min_i64(GM_GRID_COLS, grid->cols - first);
    const float unbiased = (float)((double)grid->group_rows / (double)(grid->group_rows - 1));
    for (int64_t group = 0; group < grid->groups; group++) {
        const int64_t first_of_all = group * grid->cols + first;
        if (!make_columns(job, group, first, cols))
            __atomic_store_n(&job->not_finite, true, __ATOMIC_RELAXED);
        if (job->running_mean) {
            update_running(cols, job->momentum, 1.0f, job->mean + first_of_all, job->running_mean + first);
            update_running(cols, job->momentum, unbiased, job->variance + first_of_all, job->running_variance + first);
        }
    }
}

/* Merges the rectangles of a range of columns in the order of their rows, for all groups, into dweight, dbias and the
 * gradient's line: with r the inverse deviation, S = sum g, T = sum g (x - mean) and n rows,
 * dx = scale (g - S/n - (x - mean) r^2 T/n) = scale g + slope (x - mean_high) + offset. */
static bool merge_columns(const struct job *job, int64_t first_col, int64_t cols)
{
    const struct gm_grid *grid = &job->grid;
    const double share = 1.0 / (double)grid->group_rows;
    double weight_sum[GM_GRID_COLS] = {0}, bias_sum[GM_GRID_COLS] = {0}, sum[GM_GRID_COLS], dot[GM_GRID_COLS];
    float scale[GM_GRID_COLS], slope[GM_GRID_COLS], offset[GM_GRID_COLS];
    int finite = 1;
    for (int64_t group = 0; group < grid->groups; group++) {
        struct gm_batchnorm_line *const lines = job->lines + first_line(grid, group, first_col);
        for (int64_t j = 0; j < cols; j++)
            sum[j] = dot[j] = 0;
        for (int64_t i = 0; i < grid->row_rects; i++) {
            const int64_t partial = (group * grid->row_rects + i) * grid->cols + first_col;
            for (int64_t j = 0; j < cols; j++) {
                sum[j] += job->partial_sum[partial + j];
                dot[j] += job->partial_dot[partial + j];
            }
        }
        from_lines(lines->scale, scale, cols);
        for (int64_t j = 0; j < cols; j++) {
            const int64_t k = group * grid->cols + first_col + j;
            const double low = job->mean_low[k], r = job->inverse_std[k], around = dot[j] - low * sum[j];
            const double gradient = -(double)scale[j] * r * r * around * share;
            slope[j] = (float)gradient;
            offset[j] = (float)(-(double)scale[j] * sum[j] * share - gradient * low);
            weight_sum[j] += around * r;
            bias_sum[j] += sum[j];
            finite &= fabs(gradient) <= FLT_MAX && fabs(sum[j]) <= FLT_MAX;
        }
        to_lines(lines->slope, slope, cols);
        to_lines(lines->offset, offset, cols);
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
    const int64_t first = chunk * GM_GRID_COLS;
    if (!merge_columns(job, first, gm_min_i64(GM_GRID_COLS, job->grid.cols - first)))
        __atomic_store_n(&job->not_finite, true, __ATOMIC_RELAXED);
}

static gm_status check_options(int64_t rows, const gm_batchnorm_options *options)
{
    if (!gm_options_valid(options->size, sizeof *options) || options->groups < 1 || rows % options->groups != 0 ||
        rows / options->groups < 2 || !(options->eps >= 0) || !(options->momentum >= 0 && options->momentum <= 1))
        return GM_INVALID_ARGUMENT;
    return GM_OK;
}

/* An output matrix, and an input that it may be. */
static gm_status check_output(const struct gm_batchnorm_block *all, const float *out, int64_t ldout, const float *in,
                              int64_t ldin)
{
    const gm_status status = gm_check_matrix(all->rows, all->cols, out, ldout);
    return status == GM_OK && out && out == in && ldout != ldin ? GM_INVALID_ARGUMENT : status;
}

static gm_status check_forward(const gm_context *context, const struct gm_batchnorm_block *all, bool has_residual,
                               const float *weight, const float *bias)
{
    if (!context || !weight != !bias)
        return GM_INVALID_ARGUMENT;
    gm_status status = gm_check_matrix(all->rows, all->cols, all->x, all->ldx);
    if (status == GM_OK && has_residual)
        status = gm_check_matrix(all->rows, all->cols, all->residual, all->ldresidual);
    if (status == GM_OK)
        status = check_output(all, all->out, all->ldout, all->x, all->ldx);
    if (status == GM_OK && has_residual)
        status = check_output(all, all->out, all->ldout, all->residual, all->ldresidual);
    return status;
}

static gm_status check_backward(const gm_context *context, const struct gm_batchnorm_block *all)
{
    if (!context)
        return GM_INVALID_ARGUMENT;
    gm_status status = gm_check_matrix(all->rows, all->cols, all->x, all->ldx);
    if (status == GM_OK)
        status = gm_check_matrix(all->rows, all->cols, all->dy, all->lddy);
    if (status == GM_OK)
        status = check_output(all, all->out, all->ldout, all->dy, all->lddy);
    if (status == GM_OK && all->dresidual)
        status = check_output(all, all->dresidual, all->lddresidual, all->dy, all->lddy);
    return status == GM_OK && all->dresidual && all->dresidual == all->out ? GM_INVALID_ARGUMENT : status;
}

static size_t column_array(int64_t groups, int64_t cols)
{
    return gm_workspace_bytes((size_t)(groups * cols) * sizeof(float));
}

static size_t line_array(int64_t groups, int64_t cols)
{
    return gm_workspace_bytes((size_t)(groups * lines_of(cols)) * sizeof(struct gm_batchnorm_line));
}

static size_t partial_array(const struct gm_grid *grid)
{
    return gm_workspace_bytes((size_t)(gm_grid_slots(grid) * grid->cols) * sizeof(double));
}

size_t gm_batchnorm_f32_workspace(const gm_context *context, int64_t rows, int64_t cols,
                                  const gm_batchnorm_options *options)
{
    (void)context;
    const int64_t groups = options && options->groups > 0 ? options->groups : 1;
    if (cols < 1)
        return 0;
    if (rows < groups)
        return column_array(1, cols) + line_array(1, cols);
    const struct gm_grid grid = gm_grid_of(rows, cols, groups, GM_BATCHNORM_COLS);
    const size_t forward = column_array(groups, cols) + gm_column_stats_run_workspace(rows, cols, groups);
    const size_t backward = 2 * partial_array(&grid);
    return line_array(groups, cols) + (forward > backward ? forward : backward);
}

int64_t gm_batchnorm_saved_size(int64_t cols, int64_t groups)
{
    return 3 * groups * cols;
}

static int64_t mask_ld(int64_t cols)
{
    return gm_ceil_div(cols, 8);
}

int64_t gm_batchnorm_mask_size(int64_t rows, int64_t cols)
{
    return rows * mask_ld(cols);
}

/* Takes the columns from the workspace. */
static struct job make_job(gm_context *context, const struct gm_batchnorm_block *all, const float *weight,
                           const float *bias, const gm_batchnorm_options *options, int64_t groups)
{
    struct job job = {.kernels = context->kernels.batchnorm,
                      .grid = gm_grid_of(all->rows, all->cols, groups, all->dy ? GM_BATCHNORM_COLS : GM_GRID_COLS),
                      .all = *all,
                      .eps = options->eps,
                      .momentum = options->momentum,
                      .weight = weight,
                      .bias = bias,
                      .lines = gm_workspace_take(context, line_array(groups, all->cols))};
    const bool large = all->rows * all->cols >= GM_STREAMED_ELEMENTS;
    job.all.relu = options->relu;
    job.all.large = large;
    job.all.ldmask = mask_ld(all->cols);
    job.all.columns = job.lines;
    job.all.stream_out = large && all->out != all->x && all->out != all->residual && all->out != all->dy;
    job.all.stream_dresidual = large && all->dresidual && all->dresidual != all->dy;
    return job;
}

/* y = scale x + shift, with the mean in shift. */
static void write_lines(const struct job *job, float *scale, float *shift)
{
    const int64_t cols = job->grid.cols;
    for (int64_t group = 0; group < job->grid.groups; group++)
        for (int64_t j = 0; j < cols; j++) {
            const struct gm_batchnorm_line *const line = job->lines + first_line(&job->grid, group, j);
            const double factor = line->scale[j % GM_BATCHNORM_LINE];
            scale[group * cols + j] = (float)factor;
            shift[group * cols + j] = (float)((double)line->shift[j % GM_BATCHNORM_LINE] -
                                              (double)line->mean[j % GM_BATCHNORM_LINE] * factor);
        }
}

/* What the training calls share. all: without out, only the statistics are made. line_scale, line_shift: NULL, or where
 * to write y = line_scale x + line_shift. */
static gm_status train(gm_context *context, const struct gm_batchnorm_block *all, const float *weight,
                       const float *bias, const gm_batchnorm_options *options, float *running_mean,
                       float *running_variance, float *saved, float *line_scale, float *line_shift)
{
    const int64_t rows = all->rows, cols = all->cols, groups = options->groups;
    if (!gm_workspace_fits(context, gm_batchnorm_f32_workspace(context, rows, cols, options)))
        return GM_WORKSPACE_TOO_SMALL;
    const size_t mark = gm_workspace_mark(context);
    float *const mean = saved, *const mean_low = mean + groups * cols;
    float *const variance = gm_workspace_take(context, column_array(groups, cols));
    struct job job = make_job(context, all, weight, bias, options, groups);
    job.mean = mean;
    job.mean_low = mean_low;
    job.variance = options->again ? NULL : variance;
    job.inverse_std = job.new_inverse_std = mean_low + groups * cols;
    job.running_mean = running_mean;
    job.running_variance = running_variance;
    gm_status status = GM_OK;
    if (!options->again)
        status = gm_column_stats_run(context, rows, cols, all->x, all->ldx, groups, 0, mean, mean_low, variance);
    gm_parallel(context, gm_ceil_div(all->cols, GM_GRID_COLS), columns_chunk, &job);
    if (job.not_finite)
        status = GM_NOT_FINITE;
    if (all->out)
        gm_parallel(context, gm_grid_chunks(&job.grid), apply_chunk, &job);
    if (line_scale)
        write_lines(&job, line_scale, line_shift);
    gm_workspace_release(context, mark);
    return status;
}

static gm_status check_training(int64_t rows, int64_t cols, const gm_batchnorm_options *options,
                                const float *running_mean, const float *running_variance, const float *saved)
{
    if (!running_mean != !running_variance || (cols > 0 && !saved))
        return GM_INVALID_ARGUMENT;
    const gm_status status = check_options(rows, options);
    return status == GM_OK && options->again && running_mean ? GM_INVALID_ARGUMENT : status;
}

gm_status gm_batchnorm_forward_f32(gm_context *context, int64_t rows, int64_t cols, const float *x, int64_t ldx,
                                   const float *weight, const float *bias, const gm_batchnorm_options *options,
                                   float *running_mean, float *running_variance, float *saved, float *y, int64_t ldy)
{
    const gm_batchnorm_options defaults = gm_batchnorm_default_options();
    const struct gm_batchnorm_block all = {.rows = rows, .cols = cols, .x = x, .ldx = ldx, .out = y, .ldout = ldy};
    if (!options)
        options = &defaults;
    gm_status status = check_forward(context, &all, false, weight, bias);
    if (status == GM_OK)
        status = check_training(rows, cols, options, running_mean, running_variance, saved);
    if (status != GM_OK || cols == 0)
        return status;
    return train(context, &all, weight, bias, options, running_mean, running_variance, saved, NULL, NULL);
}

gm_status gm_batchnorm_add_forward_f32(gm_context *context, int64_t rows, int64_t cols, const float *x, int64_t ldx,
                                       const float *residual, int64_t ldresidual, const float *weight,
                                       const float *bias, const gm_batchnorm_options *options, float *running_mean,
                                       float *running_variance, float *saved, uint8_t *mask, float *y, int64_t ldy)
{
    const gm_batchnorm_options defaults = gm_batchnorm_default_options();
    if (!options)
        options = &defaults;
    struct gm_batchnorm_block all = {.rows = rows,
                                     .cols = cols,
                                     .x = x,
                                     .ldx = ldx,
                                     .residual = residual,
                                     .ldresidual = ldresidual,
                                     .out = y,
                                     .ldout = ldy};
    gm_status status = check_forward(context, &all, true, weight, bias);
    if (status == GM_OK)
        status = check_training(rows, cols, options, running_mean, running_variance, saved);
    if (status == GM_OK && options->relu && cols > 0 && !mask)
        status = GM_INVALID_ARGUMENT;
    if (status != GM_OK || cols == 0)
        return status;
    all.new_mask = options->relu ? mask : NULL;
    return train(context, &all, weight, bias, options, running_mean, running_variance, saved, NULL, NULL);
}

gm_status gm_batchnorm_line_f32(gm_context *context, int64_t rows, int64_t cols, const float *x, int64_t ldx,
                                const float *weight, const float *bias, const gm_batchnorm_options *options,
                                float *running_mean, float *running_variance, float *saved, float *scale, float *shift)
{
    const gm_batchnorm_options defaults = gm_batchnorm_default_options();
    const struct gm_batchnorm_block all = {.rows = rows, .cols = cols, .x = x, .ldx = ldx};
    if (!options)
        options = &defaults;
    if (!context || !weight != !bias || (cols > 0 && (!scale || !shift)))
        return GM_INVALID_ARGUMENT;
    gm_status status = gm_check_matrix(rows, cols, x, ldx);
    if (status == GM_OK)
        status = check_training(rows, cols, options, running_mean, running_variance, saved);
    if (status != GM_OK || cols == 0)
        return status;
    return train(context, &all, weight, bias, options, running_mean, running_variance, saved, scale, shift);
}

static gm_status infer(gm_context *context, const struct gm_batchnorm_block *all, bool has_residual,
                       const float *weight, const float *bias, const float *running_mean, const float *running_variance,
                       const gm_batchnorm_options *options)
{
    const gm_batchnorm_options defaults = gm_batchnorm_default_options();
    if (!options)
        options = &defaults;
    const gm_status status = check_forward(context, all, has_residual, weight, bias);
    if (status != GM_OK)
        return status;
    if (!gm_options_valid(options->size, sizeof *options) || !(options->eps >= 0) ||
        (all->cols > 0 && (!running_mean || !running_variance)))
        return GM_INVALID_ARGUMENT;
    if (all->rows == 0 || all->cols == 0)
        return GM_OK;
    if (!gm_workspace_fits(context, column_array(1, all->cols) + line_array(1, all->cols)))
        return GM_WORKSPACE_TOO_SMALL;
    const size_t mark = gm_workspace_mark(context);
    struct job job = make_job(context, all, weight, bias, options, 1);
    job.mean = running_mean;
    job.variance = running_variance;
    job.inverse_std = job.new_inverse_std = gm_workspace_take(context, column_array(1, all->cols));
    gm_parallel(context, gm_ceil_div(all->cols, GM_GRID_COLS), columns_chunk, &job);
    gm_parallel(context, gm_grid_chunks(&job.grid), apply_chunk, &job);
    gm_workspace_release(context, mark);
    return GM_OK;
}

gm_status gm_batchnorm_infer_f32(gm_context *context, int64_t rows, int64_t cols, const float *x, int64_t ldx,
                                 const float *weight, const float *bias, const float *running_mean,
                                 const float *running_variance, const gm_batchnorm_options *options, float *y,
                                 int64_t ldy)
{
    const struct gm_batchnorm_block all = {.rows = rows, .cols = cols, .x = x, .ldx = ldx, .out = y, .ldout = ldy};
    return infer(context, &all, false, weight, bias, running_mean, running_variance, options);
}

gm_status gm_batchnorm_add_infer_f32(gm_context *context, int64_t rows, int64_t cols, const float *x, int64_t ldx,
                                     const float *residual, int64_t ldresidual, const float *weight, const float *bias,
                                     const float *running_mean, const float *running_variance,
                                     const gm_batchnorm_options *options, float *y, int64_t ldy)
{
    const struct gm_batchnorm_block all = {.rows = rows,
                                           .cols = cols,
                                           .x = x,
                                           .ldx = ldx,
                                           .residual = residual,
                                           .ldresidual = ldresidual,
                                           .out = y,
                                           .ldout = ldy};
    return infer(context, &all, true, weight, bias, running_mean, running_variance, options);
}

/* What the backward calls share. */
static gm_status differentiate(gm_context *context, const struct gm_batchnorm_block *all, const float *weight,
                               const float *bias, const float *saved, const gm_batchnorm_options *options,
                               float *dweight, float *dbias)
{
    const gm_status status = check_options(all->rows, options);
    if (status != GM_OK || !dweight != !dbias || (all->cols > 0 && !saved))
        return GM_INVALID_ARGUMENT;
    if (all->cols == 0)
        return GM_OK;
    if (!gm_workspace_fits(context, gm_batchnorm_f32_workspace(context, all->rows, all->cols, options)))
        return GM_WORKSPACE_TOO_SMALL;

    const int64_t groups = options->groups, columns = groups * all->cols;
    const size_t mark = gm_workspace_mark(context);
    struct job job = make_job(context, all, weight, bias, options, groups);
    job.partial_sum = gm_workspace_take(context, partial_array(&job.grid));
    job.partial_dot = gm_workspace_take(context, partial_array(&job.grid));
    job.mean = saved;
    job.mean_low = saved + columns;
    job.inverse_std = saved + 2 * columns;
    job.dweight = dweight;
    job.dbias = dbias;
    gm_parallel(context, gm_ceil_div(all->cols, GM_GRID_COLS), columns_chunk, &job);
    job.not_finite = false; /* as is a column whose sums are finite all the same */
    gm_parallel(context, gm_grid_chunks(&job.grid), sums_chunk, &job);
    gm_parallel(context, gm_ceil_div(all->cols, GM_GRID_COLS), merge_chunk, &job);
    gm_parallel(context, gm_grid_chunks(&job.grid), gradient_chunk, &job);
    gm_workspace_release(context, mark);
    return job.not_finite ? GM_NOT_FINITE : GM_OK;
}

gm_status gm_batchnorm_backward_f32(gm_context *context, int64_t rows, int64_t cols, const float *dy, int64_t lddy,
                                    const float *x, int64_t ldx, const float *weight, const float *bias,
                                    const float *saved, const gm_batchnorm_options *options, float *dx, int64_t lddx,
                                    float *dweight, float *dbias)
{
    const gm_batchnorm_options defaults = gm_batchnorm_default_options();
    const struct gm_batchnorm_block all = {
        .rows = rows, .cols = cols, .x = x, .ldx = ldx, .dy = dy, .lddy = lddy, .out = dx, .ldout = lddx};
    gm_status status = check_backward(context, &all);
    if (status == GM_OK && !weight != !bias)
        status = GM_INVALID_ARGUMENT;
    if (status != GM_OK)
        return status;
    return differentiate(context, &all, weight, bias, saved, options ? options : &defaults, dweight, dbias);
}

gm_status gm_batchnorm_add_backward_f32(gm_context *context, int64_t rows, int64_t cols, const float *dy, int64_t lddy,
                                        const float *x, int64_t ldx, const uint8_t *mask, const float *weight,
                                        const float *saved, const gm_batchnorm_options *options, float *dx,
                                        int64_t lddx, float *dresidual, int64_t lddresidual, float *dweight,
                                        float *dbias)
{
    const gm_batchnorm_options defaults = gm_batchnorm_default_options();
    if (!options)
        options = &defaults;
    if (!gm_options_valid(options->size, sizeof *options))
        return GM_INVALID_ARGUMENT;
    struct gm_batchnorm_block all = {.rows = rows,
                                     .cols = cols,
                                     .x = x,
                                     .ldx = ldx,
                                     .dy = dy,
                                     .lddy = lddy,
                                     .out = dx,
                                     .ldout = lddx,
                                     .dresidual = dresidual,
                                     .lddresidual = lddresidual};
    const gm_status status = check_backward(context, &all);
    if (status != GM_OK)
        return status;
    if (options->relu && cols > 0 && !mask)
        return GM_INVALID_ARGUMENT;
    if (options->relu)
        all.mask = mask;
    else if (dresidual == dy)
        all.dresidual = NULL; /* is what it should be */
    return differentiate(context, &all, weight, NULL, saved, options, dweight, dbias);
}
