#include <gemel/layernorm.h>

#include "layernorm/layernorm.h"

/* Rows of one chunk: about 64 of them to share among threads, none so small that its start shows. */
enum { CHUNKS = 64, CHUNK_ELEMENTS = 1 << 14, CHUNK_ROWS_LEAST = 32 };

struct job {
    const struct gm_layernorm_kernels *kernels;
    struct gm_layernorm_block all;
    int64_t chunk_rows;
    double *partial_weight, *partial_bias; /* [chunks, cols]; NULL if the sums are not wanted */
    float *strips;                         /* [chunks, 2 cols] */
    float *dweight, *dbias;
    bool not_finite; /* set atomically */
};

static int64_t rows_of_chunk(int64_t rows, int64_t cols)
{
    return gm_max_i64(gm_ceil_div(rows, CHUNKS), gm_max_i64(CHUNK_ROWS_LEAST, CHUNK_ELEMENTS / cols));
}

static struct gm_layernorm_block block_at(const struct job *job, int64_t chunk)
{
    struct gm_layernorm_block b = job->all;
    const int64_t first = chunk * job->chunk_rows;
    b.rows = gm_min_i64(job->chunk_rows, b.rows - first);
    b.x += first * b.ldx;
    b.out += first * b.ldout;
    if (b.dy)
        b.dy += first * b.lddy;
    if (b.new_saved)
        b.new_saved += first * GM_LAYERNORM_SAVED;
    if (b.saved)
        b.saved += first * GM_LAYERNORM_SAVED;
    if (job->partial_weight) {
        b.weight_sum = job->partial_weight + chunk * b.cols;
        b.bias_sum = job->partial_bias + chunk * b.cols;
        b.strip = job->strips + chunk * 2 * b.cols;
    }
    return b;
}

static void forward_chunk(void *arg, int64_t chunk, int worker)
{
    (void)worker;
    struct job *job = arg;
    const struct gm_layernorm_block block = block_at(job, chunk);
    if (!job->kernels->forward(&block))
        __atomic_store_n(&job->not_finite, true, __ATOMIC_RELAXED);
}

static void backward_chunk(void *arg, int64_t chunk, int worker)
{
    (void)worker;
    struct job *job = arg;
    const struct gm_layernorm_block block = block_at(job, chunk);
    if (!job->kernels->backward(&block))
        __atomic_store_n(&job->not_finite, true, __ATOMIC_RELAXED);
}

/* Adds the partial sums of a range of columns in the order of their rows. */
static void merge_chunk(void *arg, int64_t chunk, int worker)
{
    (void)worker;
    const struct job *job = arg;
    const int64_t first = chunk * GM_GRID_COLS, cols = gm_min_i64(GM_GRID_COLS, job->all.cols - first);
    double weight_sum[GM_GRID_COLS] = {0}, bias_sum[GM_GRID_COLS] = {0};
    for (int64_t slot = 0; slot < gm_ceil_div(job->all.rows, job->chunk_rows); slot++)
        for (int64_t j = 0; j < cols; j++) {
            weight_sum[j] += job->partial_weight[slot * job->all.cols + first + j];
            bias_sum[j] += job->partial_bias[slot * job->all.cols + first + j];
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
    const int64_t chunks = gm_ceil_div(rows, rows_of_chunk(rows, cols));
    return 3 * gm_workspace_bytes((size_t)(chunks * cols) * sizeof(double));
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
                      .chunk_rows = rows_of_chunk(rows, cols),
                      .all = {.rows = rows,
                              .cols = cols,
                              .eps = options->eps,
                              .relu = options->relu,
                              .stream = rows * cols >= GM_STREAMED_ELEMENTS && y != x,
                              .x = x,
                              .ldx = ldx,
                              .weight = weight,
                              .bias = bias,
                              .new_saved = saved,
                              .out = y,
                              .ldout = ldy}};
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
                      .chunk_rows = rows_of_chunk(rows, cols),
                      .all = {.rows = rows,
                              .cols = cols,
                              .relu = options->relu,
                              .stream = rows * cols >= GM_STREAMED_ELEMENTS && dx != dy,
                              .x = x,
                              .ldx = ldx,
                              .dy = dy,
                              .lddy = lddy,
                              .weight = weight,
                              .saved = saved,
                              .out = dx,
                              .ldout = lddx},
                      .dweight = dweight,
                      .dbias = dbias};
    const int64_t chunks = gm_ceil_div(rows, job.chunk_rows);
    if (dweight) {
        const size_t bytes = (size_t)(chunks * cols) * sizeof(double);
        job.partial_weight = gm_workspace_take(context, bytes);
        job.partial_bias = gm_workspace_take(context, bytes);
        job.strips = gm_workspace_take(context, bytes);
    }
    gm_parallel(context, chunks, backward_chunk, &job);
    if (dweight)
        gm_parallel(context, gm_ceil_div(cols, GM_GRID_COLS), merge_chunk, &job);
    gm_workspace_release(context, mark);
    return job.not_finite ? GM_NOT_FINITE : GM_OK;
}
