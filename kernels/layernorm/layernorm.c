#include <gemel/layernorm.h>

#include "layernorm/layernorm.h"

/* Rows of one chunk: 64 KiB of a matrix, so that the backward call's second reading finds it in the second-level
 * cache, but enough rows to make their partial sums of columns small against them. */
enum { CHUNK_ELEMENTS = 1 << 14, CHUNK_ROWS_LEAST = 32 };

struct job {
    const struct gm_layernorm_kernels *kernels;
    int64_t rows, cols, chunk_rows;
    float eps;
    bool relu;
    const float *x, *dy, *weight, *bias;
    float *out; /* y or dx */
    int64_t ldx, lddy, ldout;
    float *saved_out; /* of the forward call, or NULL */
    const float *saved;
    double *partial_weight, *partial_bias; /* [chunks, cols]; NULL if the sums are not wanted */
    float *dweight, *dbias;
    bool not_finite; /* set atomically */
};

static int64_t rows_of_chunk(int64_t cols)
{
    return gm_max_i64(CHUNK_ROWS_LEAST, CHUNK_ELEMENTS / cols);
}

static void forward_chunk(void *arg, int64_t chunk, int worker)
{
    (void)worker;
    struct job *job = arg;
    const int64_t first = chunk * job->chunk_rows, rows = gm_min_i64(job->chunk_rows, job->rows - first);
    float *saved = job->saved_out ? job->saved_out + first * GM_LAYERNORM_SAVED : NULL;
    if (!job->kernels->forward(rows, job->cols, job->x + first * job->ldx, job->ldx, job->weight, job->bias, job->eps,
                               job->relu, saved, job->out + first * job->ldout, job->ldout))
        __atomic_store_n(&job->not_finite, true, __ATOMIC_RELAXED);
}

static void backward_chunk(void *arg, int64_t chunk, int worker)
{
    (void)worker;
    struct job *job = arg;
    const int64_t first = chunk * job->chunk_rows, rows = gm_min_i64(job->chunk_rows, job->rows - first);
    const float *x = job->x + first * job->ldx, *dy = job->dy + first * job->lddy;
    const float *saved = job->saved + first * GM_LAYERNORM_SAVED;
    for (int64_t j = 0; job->partial_weight && j < job->cols; j += GM_GRID_COLS)
        job->kernels->sums(rows, gm_min_i64(GM_GRID_COLS, job->cols - j), dy + j, job->lddy, x + j, job->ldx, job->relu,
                           saved, job->partial_weight + chunk * job->cols + j,
                           job->partial_bias + chunk * job->cols + j);
    if (!job->kernels->gradient(rows, job->cols, dy, job->lddy, x, job->ldx, job->weight, job->relu, saved,
                                job->out + first * job->ldout, job->ldout))
        __atomic_store_n(&job->not_finite, true, __ATOMIC_RELAXED);
}

/* Adds the partial sums of a range of columns in the order of their rows. */
static void merge_chunk(void *arg, int64_t chunk, int worker)
{
    (void)worker;
    const struct job *job = arg;
    const int64_t first = chunk * GM_GRID_COLS, cols = gm_min_i64(GM_GRID_COLS, job->cols - first);
    double weight_sum[GM_GRID_COLS] = {0}, bias_sum[GM_GRID_COLS] = {0};
    for (int64_t slot = 0; slot < gm_ceil_div(job->rows, job->chunk_rows); slot++)
        for (int64_t j = 0; j < cols; j++) {
            weight_sum[j] += job->partial_weight[slot * job->cols + first + j];
            bias_sum[j] += job->partial_bias[slot * job->cols + first + j];
        }
    for (int64_t j = 0; j < cols; j++) {
        job->dweight[first + j] = (float)weight_sum[j];
        job->dbias[first + j] = (float)bias_sum[j];
    }
}

static gm_status check_call(const gm_context *context, int64_t rows, int64_t cols, const float *in, int64_t ldin,
                            const float *out, int64_t ldout, const gm_layernorm_options *options)
{
    if (!context || (in == out && ldin != ldout) || !gm_options_valid(options->size, sizeof *options) ||
        !(options->eps >= 0))
        return GM_INVALID_ARGUMENT;
    const gm_status status = gm_check_matrix(rows, cols, in, ldin);
    return status == GM_OK ? gm_check_matrix(rows, cols, out, ldout) : status;
}

int64_t gm_layernorm_saved_size(int64_t rows)
{
    return GM_LAYERNORM_SAVED * rows;
}

size_t gm_layernorm_f32_workspace(const gm_context *context, int64_t rows, int64_t cols)
{
    (void)context;
    if (rows < 1 || cols < 1)
        return 0;
    const int64_t chunks = gm_ceil_div(rows, rows_of_chunk(cols));
    return 2 * gm_workspace_bytes((size_t)(chunks * cols) * sizeof(double));
}

gm_status gm_layernorm_forward_f32(gm_context *context, int64_t rows, int64_t cols, const float *x, int64_t ldx,
                                   const float *weight, const float *bias, const gm_layernorm_options *options,
                                   float *saved, float *y, int64_t ldy)
{
    const gm_layernorm_options defaults = gm_layernorm_default_options();
    if (!options)
        options = &defaults;
    const gm_status status = check_call(context, rows, cols, x, ldx, y, ldy, options);
    if (status != GM_OK)
        return status;
    if (!weight != !bias)
        return GM_INVALID_ARGUMENT;
    if (rows == 0 || cols == 0)
        return GM_OK;
    struct job job = {.kernels = context->kernels.layernorm,
                      .rows = rows,
                      .cols = cols,
                      .chunk_rows = rows_of_chunk(cols),
                      .eps = options->eps,
                      .relu = options->relu,
                      .x = x,
                      .ldx = ldx,
                      .weight = weight,
                      .bias = bias,
                      .saved_out = saved,
                      .out = y,
                      .ldout = ldy};
    gm_parallel(context, gm_ceil_div(rows, job.chunk_rows), forward_chunk, &job);
    return job.not_finite ? GM_NOT_FINITE : GM_OK;
}

static void write_zeros(int64_t count, float *x)
{
    for (int64_t i = 0; i < count; i++)
        x[i] = 0;
}

gm_status gm_layernorm_backward_f32(gm_context *context, int64_t rows, int64_t cols, const float *dy, int64_t lddy,
                                    const float *x, int64_t ldx, const float *weight, const float *saved,
                                    const gm_layernorm_options *options, float *dx, int64_t lddx, float *dweight,
                                    float *dbias)
{
    const gm_layernorm_options defaults = gm_layernorm_default_options();
    if (!options)
        options = &defaults;
    gm_status status = check_call(context, rows, cols, dy, lddy, dx, lddx, options);
    if (status == GM_OK)
        status = gm_check_matrix(rows, cols, x, ldx);
    if (status == GM_OK && (!dweight != !dbias || (rows > 0 && cols > 0 && !saved)))
        status = GM_INVALID_ARGUMENT;
    if (status != GM_OK)
        return status;
    if (rows == 0 || cols == 0) {
        if (dweight) {
            write_zeros(cols, dweight);
            write_zeros(cols, dbias);
        }
        return GM_OK;
    }
    if (!gm_workspace_fits(context, gm_layernorm_f32_workspace(context, rows, cols)))
        return GM_WORKSPACE_TOO_SMALL;

    const size_t mark = gm_workspace_mark(context);
    struct job job = {.kernels = context->kernels.layernorm,
                      .rows = rows,
                      .cols = cols,
                      .chunk_rows = rows_of_chunk(cols),
                      .relu = options->relu,
                      .x = x,
                      .ldx = ldx,
                      .dy = dy,
                      .lddy = lddy,
                      .weight = weight,
                      .out = dx,
                      .ldout = lddx,
                      .saved = saved,
                      .dweight = dweight,
                      .dbias = dbias};
    const int64_t chunks = gm_ceil_div(rows, job.chunk_rows);
    if (dweight) {
        job.partial_weight = gm_workspace_take(context, (size_t)(chunks * cols) * sizeof(double));
        job.partial_bias = gm_workspace_take(context, (size_t)(chunks * cols) * sizeof(double));
    }
    gm_parallel(context, chunks, backward_chunk, &job);
    if (dweight)
        gm_parallel(context, gm_ceil_div(cols, GM_GRID_COLS), merge_chunk, &job);
    gm_workspace_release(context, mark);
    return job.not_finite ? GM_NOT_FINITE : GM_OK;
}
