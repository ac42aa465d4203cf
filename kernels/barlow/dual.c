/* The dual form: <K_A, K_B> with K_A = A A^T, K_B = B B^T stands for the sum of all C_ij^2, and K_B A, K_A B for the
 * gradients of that sum. */
#include "barlow/barlow.h"

/* Chunks of the inner product, in whose order their sums are added. */
enum { DOT_CHUNKS = 64, DOT_LEAST = 1 << 14 };

struct dot_task {
    const struct gm_barlow_kernels *kernels;
    int64_t n, ld, chunk_rows;
    const float *x, *y;
    double partial[DOT_CHUNKS];
};

static void dot_chunk(void *arg, int64_t chunk, int worker)
{
    (void)worker;
    struct dot_task *task = arg;
    const int64_t first = chunk * task->chunk_rows, end = gm_min_i64(first + task->chunk_rows, task->n);
    double sum = 0;
    for (int64_t row = first; row < end; row++)
        sum += task->kernels->dot(task->n, task->x + row * task->ld, task->y + row * task->ld);
    task->partial[chunk] = sum;
}

static double dot(gm_context *context, int64_t n, const float *x, const float *y, int64_t ld)
{
    struct dot_task task = {.kernels = context->kernels.barlow, .n = n, .ld = ld, .x = x, .y = y};
    task.chunk_rows = gm_max_i64(gm_ceil_div(DOT_LEAST, n), gm_ceil_div(n, DOT_CHUNKS));
    const int64_t chunks = gm_ceil_div(n, task.chunk_rows);
    gm_parallel(context, chunks, dot_chunk, &task);
    double sum = 0;
    for (int64_t i = 0; i < chunks; i++)
        sum += task.partial[i];
    return sum;
}

/* Rows up to which the gradients are made by products.c: K_A and K_B, which it reads once for each chunk of columns,
 * stay in a level-3 cache. */
enum { PRODUCTS_ROWS = 1024 };

/* Where products.c reads K as it is stored, rows must not lie 4 KiB apart. */
static int64_t gram_ld(int64_t n)
{
    return n > PRODUCTS_ROWS ? n : gm_round_up(n, 16) + 16;
}

/* k = A A^T */
static void gram(const struct gm_barlow_job *job, const struct gm_barlow_view *view, float *k)
{
    const struct gm_gemm_source left = gm_barlow_source(view, false), right = gm_barlow_source(view, true);
    const struct gm_gemm_epilogue store = {
        .kind = GM_GEMM_STORE, .c = k, .ldc = gram_ld(job->n), .alpha = 1.0f, .symmetric = true};
    gm_gemm_run(job->context, job->n, job->n, job->d, &left, &right, &store);
}

float gm_barlow_dual_factor(const struct gm_barlow_job *job)
{
    return (float)(2 * (double)job->options.lambda * (double)job->options.scale / (job->divisor * job->divisor));
}

/* g of a side = factor K A, K being the other side's. */
static void multiply(const struct gm_barlow_job *job, const float *k, const struct gm_barlow_side *side)
{
    const struct gm_gemm_source left = {.kind = GM_GEMM_PLAIN, .data = k, .ld = job->n},
                                right = gm_barlow_source(&side->view, false);
    const struct gm_gemm_epilogue store = {
        .kind = GM_GEMM_STORE, .c = side->dz, .ldc = side->lddz, .alpha = gm_barlow_dual_factor(job)};
    gm_gemm_run(job->context, job->n, job->d, job->n, &left, &right, &store);
}

void gm_barlow_set_dual_loss(struct gm_barlow_job *job, const struct gm_barlow_diagonal_sums *sums, double inner)
{
    const double off_diagonal = inner / (job->divisor * job->divisor) - sums->squares;
    job->invariance = sums->invariance;
    job->redundancy = off_diagonal < 0 ? 0 : off_diagonal; /* rounding, where C is diagonal */
}

void gm_barlow_dual(struct gm_barlow_job *job)
{
    gm_context *context = job->context;
    const int64_t n = job->n, ldk = gram_ld(n);
    const size_t mark = gm_workspace_mark(context);
    double *gap = gm_workspace_take(context, (size_t)job->d * sizeof *gap);
    float *k_a = gm_workspace_take(context, (size_t)(n * ldk) * sizeof *k_a);
    float *k_b = gm_workspace_take(context, (size_t)(n * ldk) * sizeof *k_b);

    gm_barlow_normalize(job, gap);
    struct gm_barlow_diagonal_sums sums = {0, 0};
    gm_barlow_add_diagonal(job, 0, job->d, gap, &sums);
    gram(job, &job->a.view, k_a);
    gram(job, &job->b.view, k_b);
    gm_barlow_set_dual_loss(job, &sums, dot(context, n, k_a, k_b, ldk));
    if (job->gradients && n <= PRODUCTS_ROWS) {
        gm_barlow_products(job, k_a, k_b, ldk);
    } else if (job->gradients) {
        multiply(job, k_b, &job->a);
        multiply(job, k_a, &job->b);
        gm_barlow_chain(job);
    }
    gm_workspace_release(context, mark);
}

size_t gm_barlow_dual_workspace(const gm_context *context, int64_t n, int64_t d, bool gradients)
{
    size_t most = gm_gemm_run_workspace(context, n, n, d, GM_GEMM_STORE);
    if (gradients)
        most = gm_barlow_larger(most, n <= PRODUCTS_ROWS ? gm_barlow_products_workspace(context, n, d)
                                                         : gm_gemm_run_workspace(context, n, d, n, GM_GEMM_STORE));
    return gm_workspace_bytes((size_t)d * sizeof(double)) +
           2 * gm_workspace_bytes((size_t)(n * gram_ld(n)) * sizeof(float)) + most;
}
