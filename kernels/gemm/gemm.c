#include <gemel/gemm.h>

#include "gemm/gemm.h"
#include "gemm/kernel.h"

/* What one thread may take of the workspace, without the slots of the loss: the bound that <gemel/gemm.h> promises. */
static const int64_t floats_a_thread = (2 << 20) / (int64_t)sizeof(float);

/* Columns of one slot of the loss, in panels of nr. */
enum { SLOT_PANELS = 8 };

/* Compute chunks for each thread, so that a thread that starts late or is interrupted delays the others little. */
enum { CHUNKS_A_THREAD = 4 };

/* Columns that one chunk packs: rows long enough for the prefetcher, few enough panels to write at once. */
enum { PACK_COLS = 256 };

/* Multiply-adds below which the threads cost more than they bring. */
static const double least_parallel_work = 1 << 18;

/* Floats of a thread's packed block of A, about a quarter of the second-level cache; never changes a bit of C. */
static int64_t packed_a_floats(gm_core_type type)
{
    static const int64_t floats[] = {
        [GM_CORE_GENERIC] = 32 << 10,      [GM_CORE_ZEN4] = 64 << 10,     [GM_CORE_ZEN5] = 64 << 10,
        [GM_CORE_INTEL_SERVER] = 64 << 10, [GM_CORE_NEOVERSE] = 64 << 10,
    };
    return floats[type];
}

/* How one product is cut. Borders in k depend on k and the kernel alone, all others on caches and threads too. */
struct plan {
    int64_t depth_blocks, depth;             /* blocks of k, the longest of them */
    int64_t step;                            /* columns are cut at multiples of it */
    int64_t slots;                           /* of the loss in one row */
    int64_t row_chunks, packed_a;            /* of C; floats for one chunk's rows of A */
    int64_t col_blocks, col_steps, packed_b; /* of C; steps of the widest; floats for it */
    int64_t col_chunks, pack_chunks;         /* of one block of columns: to compute, to pack */
};

struct job {
    const struct gm_gemm_kernels *kernels;
    struct plan plan;
    int64_t m, n, k;
    const struct gm_gemm_source *a, *b;
    const struct gm_gemm_epilogue *epilogue;
    float *packed_a, *packed_b;      /* of every worker; shared */
    double *invariance, *redundancy; /* [m], [m, slots] */

    /* The block that is being computed. */
    int64_t depth_block, first_k, depth;
    int64_t first_col, cols;
};

static int64_t clamp(int64_t x, int64_t least, int64_t most)
{
    return gm_max_i64(least, gm_min_i64(x, most));
}

static struct plan make_plan(const gm_context *context, int64_t m, int64_t n, int64_t k,
                             enum gm_gemm_epilogue_kind kind)
{
    const struct gm_gemm_kernels *kernels = context->kernels.gemm;
    const bool serial = context->in_parallel || (double)m * (double)n * (double)k < least_parallel_work;
    const int64_t threads = serial ? 1 : context->threads, chunks = threads == 1 ? 1 : threads * CHUNKS_A_THREAD;
    struct plan plan;
    plan.depth_blocks = gm_max_i64(1, gm_ceil_div(k, kernels->depth));
    plan.depth = gm_max_i64(1, gm_ceil_div(k, plan.depth_blocks));
    plan.step = kind == GM_GEMM_LOSS ? SLOT_PANELS * kernels->nr : kernels->nr;
    plan.slots = kind == GM_GEMM_LOSS ? gm_ceil_div(n, plan.step) : 0;

    const int64_t tiles = gm_ceil_div(m, kernels->mr);
    const int64_t most_tiles = gm_max_i64(1, packed_a_floats(context->core_type) / (plan.depth * kernels->mr));
    plan.row_chunks = clamp(chunks, gm_ceil_div(tiles, most_tiles), gm_max_i64(1, tiles / 4));
    const int64_t chunk_tiles = gm_ceil_div(gm_ceil_div(m, plan.row_chunks), kernels->mr);
    plan.packed_a = gm_round_up(chunk_tiles * kernels->mr * plan.depth + kernels->slack, GM_CACHE_LINE);

    const int64_t steps = gm_ceil_div(n, plan.step);
    const int64_t left = (floats_a_thread - plan.packed_a) * threads - GM_CACHE_LINE - kernels->slack;
    plan.col_blocks = gm_ceil_div(steps, gm_max_i64(1, left / (plan.depth * plan.step)));
    plan.col_steps = gm_ceil_div(steps, plan.col_blocks);
    plan.packed_b = gm_round_up(plan.col_steps * plan.step * plan.depth + kernels->slack, GM_CACHE_LINE);
    plan.col_chunks = clamp(gm_ceil_div(chunks, plan.row_chunks), 1, gm_max_i64(1, plan.col_steps / 2));
    plan.pack_chunks =
        clamp(gm_ceil_div(plan.col_steps * plan.step, PACK_COLS), gm_min_i64(threads, plan.col_steps), plan.col_steps);
    return plan;
}

/* Columns of part i when the current block's steps are shared out among `parts`. */
static void share_columns(const struct job *job, int64_t parts, int64_t i, int64_t *first, int64_t *end)
{
    const int64_t step = job->plan.step, steps = gm_ceil_div(job->cols, step);
    *first = gm_gemm_share(steps, parts, i) * step;
    *end = gm_min_i64(gm_gemm_share(steps, parts, i + 1) * step, job->cols);
}

static void pack_chunk(void *arg, int64_t chunk, int worker)
{
    (void)worker;
    const struct job *job = arg;
    int64_t first, end;
    share_columns(job, job->plan.pack_chunks, chunk, &first, &end);
    if (first < end)
        job->kernels->pack_b(job->b, job->first_col + first, end - first, job->first_k, job->depth,
                             job->packed_b + first * job->depth);
}

static void compute_chunk(void *arg, int64_t chunk, int worker)
{
    const struct job *job = arg;
    const struct plan *plan = &job->plan;
    const struct gm_gemm_epilogue *epilogue = job->epilogue;
    const int64_t row_chunk = chunk / plan->col_chunks;
    const int64_t row = gm_gemm_share(job->m, plan->row_chunks, row_chunk);
    const int64_t rows = gm_gemm_share(job->m, plan->row_chunks, row_chunk + 1) - row;
    int64_t first, end;
    share_columns(job, plan->col_chunks, chunk % plan->col_chunks, &first, &end);
    const int64_t col = job->first_col + first;
    if (first >= end || (epilogue->symmetric && col >= row + rows))
        return;
    float *packed_a = job->packed_a + worker * plan->packed_a;
    job->kernels->pack_a(job->a, row, rows, job->first_k, job->depth, packed_a);
    struct gm_gemm_block block = {
        .rows = rows,
        .cols = end - first,
        .depth = job->depth,
        .a = packed_a,
        .b = job->packed_b + first * job->depth,
        .c = epilogue->c + row * epilogue->ldc + col,
        .ldc = epilogue->ldc,
        .alpha = epilogue->alpha,
        .beta = job->depth_block > 0             ? 1.0f
                : epilogue->kind == GM_GEMM_LOSS ? 0.0f
                                                 : epilogue->beta,
        .skip_from = epilogue->symmetric ? row - col + 1 : INT64_MAX / 2,
    };
    struct gm_gemm_loss_slots slots;
    if (epilogue->kind == GM_GEMM_LOSS && job->depth_block == plan->depth_blocks - 1) {
        slots = (struct gm_gemm_loss_slots){
            .step = plan->step,
            .diagonal = epilogue->row0 + row - col,
            .redundancy = job->redundancy + row * plan->slots + col / plan->step,
            .ldr = plan->slots,
            .invariance = job->invariance + row,
            .lambda = epilogue->lambda,
        };
        block.loss = &slots;
    }
    job->kernels->multiply(&block);
}

/* Rows of C mirrored by one chunk. */
enum { MIRROR_ROWS = 32 };

static void mirror_chunk(void *arg, int64_t chunk, int worker)
{
    (void)worker;
    const struct job *job = arg;
    float *c = job->epilogue->c;
    const int64_t ldc = job->epilogue->ldc, first = chunk * MIRROR_ROWS, end = gm_min_i64(first + MIRROR_ROWS, job->m);
    for (int64_t j = first + 1; j < job->m; j++)
        for (int64_t i = first; i < gm_min_i64(j, end); i++)
            c[i * ldc + j] = c[j * ldc + i];
}

static struct gm_gemm_loss sum_loss(const struct job *job)
{
    struct gm_gemm_loss loss = {0, 0};
    for (int64_t i = 0; i < job->m; i++) {
        loss.invariance += job->invariance[i];
        for (int64_t slot = 0; slot < job->plan.slots; slot++)
            loss.redundancy += job->redundancy[i * job->plan.slots + slot];
    }
    return loss;
}

static void run_blocks(gm_context *context, struct job *job)
{
    const struct plan *plan = &job->plan;
    for (int64_t block = 0; block < plan->col_blocks; block++) {
        job->first_col = block * plan->col_steps * plan->step;
        job->cols = gm_min_i64(plan->col_steps * plan->step, job->n - job->first_col);
        for (job->depth_block = 0; job->depth_block < plan->depth_blocks; job->depth_block++) {
            job->first_k = gm_gemm_share(job->k, plan->depth_blocks, job->depth_block);
            job->depth = gm_gemm_share(job->k, plan->depth_blocks, job->depth_block + 1) - job->first_k;
            gm_parallel(context, plan->pack_chunks, pack_chunk, job);
            gm_parallel(context, plan->row_chunks * plan->col_chunks, compute_chunk, job);
        }
    }
}

void gm_gemm_run(gm_context *context, int64_t m, int64_t n, int64_t k, const struct gm_gemm_source *a,
                 const struct gm_gemm_source *b, const struct gm_gemm_epilogue *epilogue)
{
    const bool loss = epilogue->kind == GM_GEMM_LOSS;
    if (loss)
        *epilogue->loss = (struct gm_gemm_loss){0, 0};
    if (m == 0 || n == 0)
        return;
    struct job job = {
        .kernels = context->kernels.gemm,
        .plan = make_plan(context, m, n, k, epilogue->kind),
        .m = m,
        .n = n,
        .k = epilogue->alpha == 0.0f ? 0 : k,
        .a = a,
        .b = b,
        .epilogue = epilogue,
    };
    if (job.k == 0)
        job.plan.depth_blocks = 1;
    const size_t mark = gm_workspace_mark(context);
    job.packed_a = gm_workspace_take(context, (size_t)(job.plan.packed_a * context->threads) * sizeof(float));
    job.packed_b = gm_workspace_take(context, (size_t)job.plan.packed_b * sizeof(float));
    if (loss) {
        job.invariance = gm_workspace_take(context, (size_t)m * sizeof(double));
        job.redundancy = gm_workspace_take(context, (size_t)(m * job.plan.slots) * sizeof(double));
        for (int64_t i = 0; i < m; i++)
            job.invariance[i] = 0;
    }
    run_blocks(context, &job);
    if (loss)
        *epilogue->loss = sum_loss(&job);
    else if (epilogue->symmetric)
        gm_parallel(context, gm_ceil_div(m, MIRROR_ROWS), mirror_chunk, &job);
    gm_workspace_release(context, mark);
}

size_t gm_gemm_run_workspace(const gm_context *context, int64_t m, int64_t n, int64_t k,
                             enum gm_gemm_epilogue_kind kind)
{
    if (m == 0 || n == 0)
        return 0;
    const struct plan plan = make_plan(context, m, n, k, kind);
    size_t bytes = gm_workspace_bytes((size_t)(plan.packed_a * context->threads) * sizeof(float)) +
                   gm_workspace_bytes((size_t)plan.packed_b * sizeof(float));
    if (kind == GM_GEMM_LOSS)
        bytes += gm_workspace_bytes((size_t)m * sizeof(double)) +
                 gm_workspace_bytes((size_t)(m * plan.slots) * sizeof(double));
    return bytes;
}

static gm_status check_operand(gm_transpose transpose, int64_t rows, int64_t cols, const float *data, int64_t ld)
{
    if (transpose != GM_NO_TRANSPOSE && transpose != GM_TRANSPOSE)
        return GM_INVALID_ARGUMENT;
    return transpose == GM_TRANSPOSE ? gm_check_matrix(cols, rows, data, ld) : gm_check_matrix(rows, cols, data, ld);
}

gm_status gm_gemm_f32(gm_context *context, gm_transpose ta, gm_transpose tb, int64_t m, int64_t n, int64_t k,
                      float alpha, const float *a, int64_t lda, const float *b, int64_t ldb, float beta, float *c,
                      int64_t ldc)
{
    if (!context)
        return GM_INVALID_ARGUMENT;
    gm_status status = check_operand(ta, m, k, a, lda);
    if (status == GM_OK)
        status = check_operand(tb, k, n, b, ldb);
    if (status == GM_OK)
        status = gm_check_matrix(m, n, c, ldc);
    if (status != GM_OK)
        return status;
    if (!gm_workspace_fits(context, gm_gemm_run_workspace(context, m, n, k, GM_GEMM_STORE)))
        return GM_WORKSPACE_TOO_SMALL;
    const struct gm_gemm_source left = {.transposed = ta == GM_TRANSPOSE, .data = a, .ld = lda};
    const struct gm_gemm_source right = {.transposed = tb == GM_TRANSPOSE, .data = b, .ld = ldb};
    const struct gm_gemm_epilogue store = {.c = c, .ldc = ldc, .alpha = alpha, .beta = beta};
    gm_gemm_run(context, m, n, k, &left, &right, &store);
    return GM_OK;
}

size_t gm_gemm_f32_workspace(const gm_context *context, gm_transpose ta, gm_transpose tb, int64_t m, int64_t n,
                             int64_t k)
{
    (void)ta;
    (void)tb;
    return !context || m < 0 || n < 0 || k < 0 ? 0 : gm_gemm_run_workspace(context, m, n, k, GM_GEMM_STORE);
}
