#include <gemel/bias_relu.h>

#include "bias_relu/bias_relu.h"

struct job {
    const struct gm_bias_relu_kernels *kernels;
    struct gm_grid grid;
    struct gm_bias_relu_block all; /* the whole matrices */
    double *partial;               /* [slots, cols] */
    float *dbias;
};

static struct gm_bias_relu_block block_at(const struct job *job, const struct gm_rect *rect)
{
    struct gm_bias_relu_block b = job->all;
    b.rows = rect->rows;
    b.cols = rect->cols;
    b.in += rect->row * b.ldin + rect->col;
    if (b.y)
        b.y += rect->row * b.ldy + rect->col;
    if (b.bias)
        b.bias += rect->col;
    if (b.out)
        b.out += rect->row * b.ldout + rect->col;
    return b;
}

static void forward_chunk(void *arg, int64_t chunk, int worker)
{
    (void)worker;
    const struct job *job = arg;
    const struct gm_rect rect = gm_grid_rect(&job->grid, chunk);
    const struct gm_bias_relu_block block = block_at(job, &rect);
    job->kernels->forward(&block);
}

static void backward_chunk(void *arg, int64_t chunk, int worker)
{
    (void)worker;
    const struct job *job = arg;
    const struct gm_rect rect = gm_grid_rect(&job->grid, chunk);
    const struct gm_bias_relu_block block = block_at(job, &rect);
    job->kernels->backward(&block, job->partial + rect.slot * job->grid.cols + rect.col);
}

static void merge_chunk(void *arg, int64_t chunk, int worker)
{
    (void)worker;
    const struct job *job = arg;
    const int64_t first = chunk * job->grid.rect_cols;
    const int64_t cols = gm_min_i64(job->grid.rect_cols, job->grid.cols - first);
    double sum[GM_GRID_COLS] = {0};
    for (int64_t slot = 0; slot < gm_grid_slots(&job->grid); slot++)
        for (int64_t j = 0; j < cols; j++)
            sum[j] += job->partial[slot * job->grid.cols + first + j];
    for (int64_t j = 0; j < cols; j++)
        job->dbias[first + j] = (float)sum[j];
}

/* An input and an output matrix, which may be the same one. */
static gm_status check_matrices(const gm_context *context, int64_t rows, int64_t cols, const float *in, int64_t ldin,
                                const float *out, int64_t ldout)
{
    if (!context || (in == out && ldin != ldout))
        return GM_INVALID_ARGUMENT;
    const gm_status status = gm_check_matrix(rows, cols, in, ldin);
    return status == GM_OK ? gm_check_matrix(rows, cols, out, ldout) : status;
}

gm_status gm_bias_relu_forward_f32(gm_context *context, int64_t rows, int64_t cols, const float *x, int64_t ldx,
                                   const float *bias, bool relu, float *y, int64_t ldy)
{
    const gm_status status = check_matrices(context, rows, cols, x, ldx, y, ldy);
    if (status != GM_OK || rows == 0 || cols == 0)
        return status;
    const bool large = rows * cols >= GM_STREAMED_ELEMENTS;
    struct job job = {.kernels = context->kernels.bias_relu,
                      .grid = gm_grid_make(rows, cols, 1),
                      .all = {.relu = relu,
                              .large = large,
                              .stream = large && y != x,
                              .in = x,
                              .ldin = ldx,
                              .bias = bias,
                              .out = y,
                              .ldout = ldy}};
    gm_parallel(context, gm_grid_chunks(&job.grid), forward_chunk, &job);
    return GM_OK;
}

gm_status gm_bias_relu_backward_f32(gm_context *context, int64_t rows, int64_t cols, const float *dy, int64_t lddy,
                                    const float *y, int64_t ldy, bool relu, float *dx, int64_t lddx, float *dbias)
{
    gm_status status = check_matrices(context, rows, cols, dy, lddy, dx, lddx);
    if (status == GM_OK && relu)
        status = gm_check_matrix(rows, cols, y, ldy);
    if (status != GM_OK || cols == 0)
        return status;
    if (!gm_workspace_fits(context, gm_bias_relu_f32_workspace(context, rows, cols)))
        return GM_WORKSPACE_TOO_SMALL;
    if (rows == 0) {
        for (int64_t j = 0; dbias && j < cols; j++)
            dbias[j] = 0;
        return GM_OK;
    }
    const bool unchanged = !relu && dx == dy, large = rows * cols >= GM_STREAMED_ELEMENTS;
    if (unchanged && !dbias)
        return GM_OK;
    const struct gm_grid grid = gm_grid_make(rows, cols, 1);
    const size_t mark = gm_workspace_mark(context);
    struct job job = {.kernels = context->kernels.bias_relu,
                      .grid = grid,
                      .all = {.relu = relu,
                              .large = large,
                              .stream = large && dx != dy,
                              .in = dy,
                              .ldin = lddy,
                              .y = relu ? y : NULL,
                              .ldy = ldy,
                              .out = unchanged ? NULL : dx,
                              .ldout = lddx},
                      .partial = gm_workspace_take(context, (size_t)(gm_grid_slots(&grid) * cols) * sizeof(double)),
                      .dbias = dbias};
    gm_parallel(context, gm_grid_chunks(&grid), backward_chunk, &job);
    if (dbias)
        gm_parallel(context, grid.col_rects, merge_chunk, &job);
    gm_workspace_release(context, mark);
    return GM_OK;
}

size_t gm_bias_relu_f32_workspace(const gm_context *context, int64_t rows, int64_t cols)
{
    (void)context;
    if (rows < 1 || cols < 1)
        return 0;
    const struct gm_grid grid = gm_grid_make(rows, cols, 1);
    return gm_workspace_bytes((size_t)(gm_grid_slots(&grid) * cols) * sizeof(double));
}
