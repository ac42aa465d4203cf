/* The dual form of at most GM_BARLOW_NARROW_ROWS rows: one loop over chunks of columns normalises each while it is in
 * the cache and adds its share of K_A and K_B; then products.c takes up. Between the two there is only work of size
 * n^2. */
#include <string.h>

#include "barlow/barlow.h"
#include "gemm/kernel.h"

/* Row length of the first loop's copy of a chunk. Rows of an embedding are often a power of two apart and then compete
 * for a few sets of each cache; after one copy everything else that reads them finds them in the level-2 cache. Lines
 * of an embedding are asked for so many rows ahead. */
enum { COPY_COLS = GM_BARLOW_COLS + 16, ROWS_AHEAD = 8, LINE_FLOATS = GM_CACHE_LINE / (int64_t)sizeof(float) };

/* Slots of K_A and K_B: each sums a fixed range of chunks, so that several threads can work. Their floats are bounded,
 * as is their number. */
enum { MOST_SLOTS = 16, SLOT_FLOATS = 1 << 20 };

enum { MERGE_ROWS = 16, MERGE_CHUNKS = GM_BARLOW_NARROW_ROWS / MERGE_ROWS };

struct sizes {
    int64_t chunks, slots;
    int64_t copy, right, worker; /* floats: of one side's copy, of its packed operand, of a worker */
};

struct task {
    struct gm_barlow_job *job;
    const struct gm_gemm_kernels *gemm;
    struct sizes sizes;
    float *k_a, *k_b; /* [slots, n, n]; below the diagonal, and merged into all of the first slot */
    float *worker;    /* memory of the workers, one after the other */
    struct gm_barlow_diagonal_sums diagonal[MOST_SLOTS];
    double inner[MERGE_CHUNKS];
};

static int64_t aligned(int64_t floats)
{
    return gm_round_up(floats, LINE_FLOATS);
}

static struct sizes make_sizes(const gm_context *context, int64_t n, int64_t d)
{
    const struct gm_gemm_kernels *gemm = context->kernels.gemm;
    struct sizes sizes = {.chunks = gm_ceil_div(d, GM_BARLOW_COLS)};
    sizes.slots = gm_min_i64(gm_min_i64(sizes.chunks, MOST_SLOTS), SLOT_FLOATS / (2 * n * n));
    sizes.copy = aligned(n * COPY_COLS);
    sizes.right = aligned(gm_round_up(n, gemm->nr) * gm_min_i64(d, GM_BARLOW_COLS) + gemm->slack);
    sizes.worker = 2 * sizes.copy + sizes.right;
    return sizes;
}

/* Copies columns of a view, asking ahead for rows, and returns the copy. */
static struct gm_barlow_view copy(const struct task *task, const struct gm_barlow_view *whole, int64_t first,
                                  int64_t cols, float *to)
{
    struct gm_barlow_view view = gm_barlow_view_from(whole, first);
    for (int64_t i = 0; i < task->job->n; i++) {
        const float *later = view.z + gm_min_i64(i + ROWS_AHEAD, task->job->n - 1) * view.ldz;
        for (int64_t j = 0; j < cols; j += LINE_FLOATS)
            __builtin_prefetch(later + j, 0, 2);
        __builtin_prefetch(later + cols - 1, 0, 2);
        memcpy(to + i * COPY_COLS, view.z + i * view.ldz, (size_t)cols * sizeof *to);
    }
    view.z = to;
    view.ldz = COPY_COLS;
    return view;
}

/* Adds the share of normalised columns to a slot of K = A A^T, below the diagonal. */
static void add_to_gram(const struct task *task, const float *columns, int64_t cols, bool overwrite, float *right,
                        float *k)
{
    const int64_t n = task->job->n;
    const struct gm_gemm_source transposed = {.transposed = true, .data = columns, .ld = COPY_COLS};
    task->gemm->pack_b(&transposed, 0, n, 0, cols, right);
    const struct gm_gemm_block block = {.rows = n,
                                        .cols = n,
                                        .depth = cols,
                                        .a = columns,
                                        .lda = COPY_COLS,
                                        .b = right,
                                        .c = k,
                                        .ldc = n,
                                        .alpha = 1.0f,
                                        .beta = overwrite ? 0.0f : 1.0f,
                                        .skip_from = 1};
    task->gemm->multiply(&block);
}

static void gram_slot(void *arg, int64_t slot, int worker)
{
    struct task *task = arg;
    struct gm_barlow_job *job = task->job;
    const struct sizes *sizes = &task->sizes;
    float *copy_a = task->worker + worker * sizes->worker, *copy_b = copy_a + sizes->copy;
    float *right = copy_b + sizes->copy;
    const int64_t begin = gm_gemm_share(sizes->chunks, sizes->slots, slot);
    const int64_t end = gm_gemm_share(sizes->chunks, sizes->slots, slot + 1);
    const struct gm_barlow_copies normalised = {copy_a, copy_b, COPY_COLS};
    float *k_a = task->k_a + slot * job->n * job->n, *k_b = task->k_b + slot * job->n * job->n;
    struct gm_barlow_diagonal_sums sums = {0, 0};
    for (int64_t chunk = begin; chunk < end; chunk++) {
        double gap[GM_BARLOW_COLS];
        const int64_t first = chunk * GM_BARLOW_COLS, cols = gm_min_i64(GM_BARLOW_COLS, job->d - first);
        const struct gm_barlow_view a = copy(task, &job->a.view, first, cols, copy_a),
                                    b = copy(task, &job->b.view, first, cols, copy_b);
        gm_barlow_normalize_columns(job, cols, &a, &b, gap, &normalised);
        gm_barlow_add_diagonal(job, first, cols, gap, &sums);
        add_to_gram(task, copy_a, cols, chunk == begin, right, k_a);
        add_to_gram(task, copy_b, cols, chunk == begin, right, k_b);
    }
    task->diagonal[slot] = sums;
}

/* Merges the slots of one row of K in their order and mirrors it. */
static void merge_row(const struct task *task, int64_t row, float *k)
{
    const int64_t n = task->job->n;
    float *merged = k + row * n;
    for (int64_t slot = 1; slot < task->sizes.slots; slot++)
        task->job->context->kernels.barlow->add(row + 1, k + (slot * n + row) * n, merged);
    for (int64_t j = 0; j < row; j++)
        k[j * n + row] = merged[j];
}

static void merge_chunk(void *arg, int64_t chunk, int worker)
{
    (void)worker;
    struct task *task = arg;
    const int64_t n = task->job->n, end = gm_min_i64((chunk + 1) * MERGE_ROWS, n);
    double inner = 0;
    for (int64_t row = chunk * MERGE_ROWS; row < end; row++) {
        merge_row(task, row, task->k_a);
        merge_row(task, row, task->k_b);
        const float *a = task->k_a + row * n, *b = task->k_b + row * n;
        inner += 2 * task->job->context->kernels.barlow->dot(row, a, b) + (double)a[row] * (double)b[row];
    }
    task->inner[chunk] = inner;
}

static void set_loss(struct task *task)
{
    struct gm_barlow_diagonal_sums sums = {0, 0};
    double inner = 0;
    for (int64_t slot = 0; slot < task->sizes.slots; slot++) {
        sums.invariance += task->diagonal[slot].invariance;
        sums.squares += task->diagonal[slot].squares;
    }
    for (int64_t chunk = 0; chunk < gm_ceil_div(task->job->n, MERGE_ROWS); chunk++)
        inner += task->inner[chunk];
    gm_barlow_set_dual_loss(task->job, &sums, inner);
}

void gm_barlow_narrow(struct gm_barlow_job *job)
{
    gm_context *context = job->context;
    struct task task = {.job = job, .gemm = context->kernels.gemm, .sizes = make_sizes(context, job->n, job->d)};
    const struct sizes *sizes = &task.sizes;
    const size_t mark = gm_workspace_mark(context), gram = (size_t)(sizes->slots * job->n * job->n) * sizeof(float);
    task.k_a = gm_workspace_take(context, gram);
    task.k_b = gm_workspace_take(context, gram);
    const size_t mark_worker = gm_workspace_mark(context);
    task.worker = gm_workspace_take(context, (size_t)(sizes->worker * context->threads) * sizeof(float));
    gm_parallel(context, sizes->slots, gram_slot, &task);
    gm_parallel(context, gm_ceil_div(job->n, MERGE_ROWS), merge_chunk, &task);
    gm_workspace_release(context, mark_worker);
    set_loss(&task);
    if (job->gradients)
        gm_barlow_products(job, task.k_a, task.k_b, job->n);
    gm_workspace_release(context, mark);
}

size_t gm_barlow_narrow_workspace(const gm_context *context, int64_t n, int64_t d, bool gradients)
{
    const struct sizes sizes = make_sizes(context, n, d);
    const size_t worker = gm_workspace_bytes((size_t)(sizes.worker * context->threads) * sizeof(float));
    const size_t products = gradients ? gm_barlow_products_workspace(context, n, d) : 0;
    return 2 * gm_workspace_bytes((size_t)(sizes.slots * n * n) * sizeof(float)) + gm_barlow_larger(worker, products);
}
