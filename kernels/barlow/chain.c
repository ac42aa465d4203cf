/* The chain rule through the normalisation, after the products. */
#include "barlow/barlow.h"

/* Columns of one chunk. */
enum { CHAIN_COLS = 64 };

_Static_assert((int)CHAIN_COLS <= (int)GM_BARLOW_COLS, "a chunk is a block of gm_barlow_chain_block()");

void gm_barlow_divide_projections(const struct gm_barlow_job *job, int64_t cols, const double *sum, float *projection)
{
    const double n = (double)job->n;
    const double divisor = job->options.normalization == GM_BARLOW_BATCHNORM  ? n
                           : job->options.normalization == GM_BARLOW_UNBIASED ? n - 1
                                                                              : 1;
    for (int64_t j = 0; j < cols; j++)
        projection[j] = (float)(sum[j] / divisor);
}

void gm_barlow_chain_block(const struct gm_barlow_job *job, const struct gm_barlow_block *block)
{
    const struct gm_barlow_kernels *kernels = job->context->kernels.barlow;
    double a_sum[GM_BARLOW_COLS] = {0}, b_sum[GM_BARLOW_COLS] = {0};
    float a_projection[GM_BARLOW_COLS], b_projection[GM_BARLOW_COLS];
    kernels->project(block, a_sum, b_sum);
    gm_barlow_divide_projections(job, block->cols, a_sum, a_projection);
    gm_barlow_divide_projections(job, block->cols, b_sum, b_projection);
    kernels->chain(block, a_projection, b_projection);
}

static struct gm_barlow_block_side side_from(const struct gm_barlow_side *side, int64_t col)
{
    float *dz = side->dz + col;
    const struct gm_barlow_block_side block = {
        .view = gm_barlow_view_from(&side->view, col), .g = dz, .ldg = side->lddz, .dz = dz, .lddz = side->lddz};
    return block;
}

static void chain_chunk(void *arg, int64_t chunk, int worker)
{
    (void)worker;
    const struct gm_barlow_job *job = arg;
    const int64_t col = chunk * CHAIN_COLS, cols = gm_min_i64(CHAIN_COLS, job->d - col);
    const struct gm_barlow_block block = {.rows = job->n,
                                          .cols = cols,
                                          .weight = job->weight + col,
                                          .a = side_from(&job->a, col),
                                          .b = side_from(&job->b, col)};
    gm_barlow_chain_block(job, &block);
}

void gm_barlow_chain(struct gm_barlow_job *job)
{
    gm_parallel(job->context, gm_ceil_div(job->d, CHAIN_COLS), chain_chunk, job);
}
