/* The chain rule through the normalisation, after the products. */
#include "barlow/barlow.h"
#include "gemm/kernel.h"

/* A block: its rows of both sides, normalised and packed, are 128 KiB. */
enum { BLOCK_ROWS = 256, BLOCK_COLS = 64 };

struct chain_task {
    const struct gm_barlow_job *job;
    int64_t block_cols, packed_floats; /* of one side's block */
    float *packed;                     /* two for each worker */
};

void gm_barlow_divide_projections(const struct gm_barlow_job *job, int64_t cols, const double *sum, float *projection)
{
    const double n = (double)job->n;
    const double divisor = job->options.normalization == GM_BARLOW_BATCHNORM  ? n
                           : job->options.normalization == GM_BARLOW_UNBIASED ? n - 1
                                                                              : 1;
    for (int64_t j = 0; j < cols; j++)
        projection[j] = (float)(sum[j] / divisor);
}

static struct gm_barlow_block_side load_side(const struct chain_task *task, const struct gm_barlow_side *side,
                                             int64_t row, int64_t rows, int64_t col, int64_t cols, float *packed)
{
    const struct gm_gemm_source source = gm_barlow_source(&side->view, false);
    task->job->context->kernels.gemm->pack_b(&source, col, cols, row, rows, packed);
    float *dz = side->dz + row * side->lddz + col;
    const struct gm_barlow_block_side block = {packed, dz, side->lddz, side->view.scale + col, dz, side->lddz};
    return block;
}

static struct gm_barlow_block load_block(const struct chain_task *task, int64_t row, int64_t col, int64_t cols,
                                         int worker)
{
    const struct gm_barlow_job *job = task->job;
    const int64_t rows = gm_min_i64(BLOCK_ROWS, job->n - row);
    float *packed = task->packed + 2 * worker * task->packed_floats;
    const struct gm_barlow_block block = {
        .rows = rows,
        .cols = cols,
        .panel = job->context->kernels.gemm->nr,
        .weight = job->weight + col,
        .a = load_side(task, &job->a, row, rows, col, cols, packed),
        .b = load_side(task, &job->b, row, rows, col, cols, packed + task->packed_floats),
    };
    return block;
}

static void chain_chunk(void *arg, int64_t chunk, int worker)
{
    const struct chain_task *task = arg;
    const struct gm_barlow_job *job = task->job;
    const struct gm_barlow_kernels *kernels = job->context->kernels.barlow;
    const int64_t col = chunk * task->block_cols, cols = gm_min_i64(task->block_cols, job->d - col);
    double a_sum[GM_BARLOW_COLS] = {0}, b_sum[GM_BARLOW_COLS] = {0};
    float a_projection[GM_BARLOW_COLS], b_projection[GM_BARLOW_COLS];
    struct gm_barlow_block block;
    for (int64_t row = 0; row < job->n; row += BLOCK_ROWS) {
        block = load_block(task, row, col, cols, worker);
        kernels->project(&block, a_sum, b_sum);
    }
    gm_barlow_divide_projections(job, cols, a_sum, a_projection);
    gm_barlow_divide_projections(job, cols, b_sum, b_projection);
    for (int64_t row = 0; row < job->n; row += BLOCK_ROWS) {
        if (job->n > BLOCK_ROWS)
            block = load_block(task, row, col, cols, worker);
        kernels->chain(&block, a_projection, b_projection);
    }
}

static struct chain_task make_task(const gm_context *context, int64_t n)
{
    const struct gm_gemm_kernels *gemm = context->kernels.gemm;
    struct chain_task task = {.block_cols = gm_round_up(BLOCK_COLS, gemm->nr)};
    task.packed_floats =
        gm_round_up(task.block_cols * gm_min_i64(n, BLOCK_ROWS) + gemm->slack, GM_CACHE_LINE / (int64_t)sizeof(float));
    return task;
}

void gm_barlow_chain(struct gm_barlow_job *job)
{
    gm_context *context = job->context;
    struct chain_task task = make_task(context, job->n);
    const size_t mark = gm_workspace_mark(context);
    task.job = job;
    task.packed = gm_workspace_take(context, gm_barlow_chain_workspace(context, job->n));
    gm_parallel(context, gm_ceil_div(job->d, task.block_cols), chain_chunk, &task);
    gm_workspace_release(context, mark);
}

size_t gm_barlow_chain_workspace(const gm_context *context, int64_t n)
{
    return (size_t)(2 * make_task(context, n).packed_floats * context->threads) * sizeof(float);
}
