/* The dual form of at most GM_BARLOW_NARROW_ROWS rows: everything that concerns a few columns is done while they are in
 * the cache. One loop over chunks of columns normalises them and adds their share of K_A and K_B, a second one
 * multiplies, applies the chain rule and is done with them; between the two there is only work of size n^2. */
#include <string.h>

#include "barlow/barlow.h"
#include "gemm/kernel.h"

/* Columns of a chunk of the second loop: with 256 rows its packed a and b and their gradients are 256 KiB, which leaves
 * room in the level-2 cache for the packed K_A and K_B. */
enum { PRODUCT_COLS = 64 };

/* Row length of the first loop's copy of a chunk. Rows of an embedding are often a power of two apart and then compete
 * for a few sets of each cache; after one copy everything else that reads them finds them in the level-2 cache. */
enum { COPY_COLS = GM_BARLOW_COLS + 16 };

/* Gradients together larger than a level-2 cache are written past the caches: their lines, a row apart, would have to
 * be read first, and would be gone before anyone reads them. */
enum { STREAM_FLOATS = 1 << 18 };

/* Slots of K_A and K_B: each sums a fixed range of chunks, so that several threads can work. Their floats are bounded,
 * as is their number. */
enum { MOST_SLOTS = 16, SLOT_FLOATS = 1 << 20 };

enum { MERGE_ROWS = 16, MERGE_CHUNKS = GM_BARLOW_NARROW_ROWS / MERGE_ROWS };

struct sizes {
    int64_t chunks, slots; /* of the first loop */
    int64_t product_cols;
    /* In floats: the first loop's copy of one side and packed operands, the second one's packed operand and product of
     * one side; what a worker needs for either loop; a packed K. */
    int64_t copy, left, right, product_right, product, worker, packed_gram;
};

struct gram {
    float *sums;   /* [slots, n, n]; below the diagonal, and merged into all of the first slot */
    float *packed; /* of the first slot, as a left operand */
};

struct task {
    struct gm_barlow_job *job;
    const struct gm_gemm_kernels *gemm;
    struct sizes sizes;
    struct gram a, b;
    float *worker; /* memory of the workers, one after the other */
    struct gm_barlow_diagonal_sums diagonal[MOST_SLOTS];
    double inner[MERGE_CHUNKS];
};

static int64_t aligned(int64_t floats)
{
    return gm_round_up(floats, GM_CACHE_LINE / (int64_t)sizeof(float));
}

static struct sizes make_sizes(const gm_context *context, int64_t n, int64_t d)
{
    const struct gm_gemm_kernels *gemm = context->kernels.gemm;
    const int64_t rows = gm_gemm_row_tiles(n, gemm->mr) * gemm->mr, cols = gm_round_up(n, gemm->nr);
    const int64_t depth = gm_min_i64(d, GM_BARLOW_COLS);
    struct sizes sizes = {.chunks = gm_ceil_div(d, GM_BARLOW_COLS)};
    sizes.slots = gm_min_i64(gm_min_i64(sizes.chunks, MOST_SLOTS), SLOT_FLOATS / (2 * n * n));
    sizes.product_cols = gm_round_up(PRODUCT_COLS, gemm->nr);
    sizes.copy = aligned(n * COPY_COLS);
    sizes.left = aligned(rows * depth + gemm->slack);
    sizes.right = aligned(cols * depth + gemm->slack);
    sizes.product_right = aligned(sizes.product_cols * n + gemm->slack);
    sizes.product = aligned(sizes.product_cols * n);
    sizes.worker = gm_max_i64(2 * sizes.copy + sizes.left + sizes.right, 2 * sizes.product_right + 2 * sizes.product);
    sizes.packed_gram = rows * n + gemm->slack;
    return sizes;
}

/* Adds the share of `cols` columns, normalised by the view, to a slot of K = A A^T, below the diagonal. */
static void add_to_gram(const struct task *task, const struct gm_barlow_view *view, int64_t cols, bool overwrite,
                        float *left, float *right, float *k)
{
    const int64_t n = task->job->n;
    const struct gm_gemm_source plain = gm_barlow_source(view, false), transposed = gm_barlow_source(view, true);
    task->gemm->pack_a(&plain, 0, n, 0, cols, left);
    task->gemm->pack_b(&transposed, 0, n, 0, cols, right);
    const struct gm_gemm_block block = {.rows = n,
                                        .cols = n,
                                        .depth = cols,
                                        .a = left,
                                        .b = right,
                                        .c = k,
                                        .ldc = n,
                                        .alpha = 1.0f,
                                        .beta = overwrite ? 0.0f : 1.0f,
                                        .skip_from = 1};
    task->gemm->multiply(&block);
}

/* The view of columns [first, first + cols) with their values copied. */
static struct gm_barlow_view copy_columns(const struct gm_barlow_view *view, int64_t rows, int64_t first, int64_t cols,
                                          float *copy)
{
    struct gm_barlow_view from = gm_barlow_view_from(view, first);
    for (int64_t i = 0; i < rows; i++)
        memcpy(copy + i * COPY_COLS, from.z + i * from.ldz, (size_t)cols * sizeof *copy);
    from.z = copy;
    from.ldz = COPY_COLS;
    return from;
}

static void gram_slot(void *arg, int64_t slot, int worker)
{
    struct task *task = arg;
    struct gm_barlow_job *job = task->job;
    const struct sizes *sizes = &task->sizes;
    float *copy_a = task->worker + worker * sizes->worker, *copy_b = copy_a + sizes->copy;
    float *left = copy_b + sizes->copy, *right = left + sizes->left;
    const int64_t begin = gm_gemm_share(sizes->chunks, sizes->slots, slot);
    const int64_t end = gm_gemm_share(sizes->chunks, sizes->slots, slot + 1);
    float *k_a = task->a.sums + slot * job->n * job->n, *k_b = task->b.sums + slot * job->n * job->n;
    struct gm_barlow_diagonal_sums sums = {0, 0};
    for (int64_t chunk = begin; chunk < end; chunk++) {
        double gap[GM_BARLOW_COLS];
        const int64_t first = chunk * GM_BARLOW_COLS, cols = gm_min_i64(GM_BARLOW_COLS, job->d - first);
        const struct gm_barlow_view a = copy_columns(&job->a.view, job->n, first, cols, copy_a),
                                    b = copy_columns(&job->b.view, job->n, first, cols, copy_b);
        gm_barlow_normalize_columns(job, cols, &a, &b, gap);
        gm_barlow_add_diagonal(job, first, cols, gap, &sums);
        add_to_gram(task, &a, cols, chunk == begin, left, right, k_a);
        add_to_gram(task, &b, cols, chunk == begin, left, right, k_b);
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
        merge_row(task, row, task->a.sums);
        merge_row(task, row, task->b.sums);
        const float *a = task->a.sums + row * n, *b = task->b.sums + row * n;
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

static void pack_gram(void *arg, int64_t side, int worker)
{
    (void)worker;
    const struct task *task = arg;
    const int64_t n = task->job->n;
    const struct gram *gram = side == 0 ? &task->a : &task->b;
    const struct gm_gemm_source source = {.kind = GM_GEMM_PLAIN, .data = gram->sums, .ld = n};
    task->gemm->pack_a(&source, 0, n, 0, n, gram->packed);
}

/* Columns [first, first + cols) of a side, normalised and packed, and their product factor K A, K being the other
 * side's. */
static struct gm_barlow_block_side multiply(const struct task *task, const struct gm_barlow_side *side,
                                            const struct gram *other, int64_t first, int64_t cols, float *right,
                                            float *product)
{
    const int64_t n = task->job->n, product_cols = task->sizes.product_cols;
    const struct gm_gemm_source source = gm_barlow_source(&side->view, false);
    task->gemm->pack_b(&source, first, cols, 0, n, right);
    const struct gm_gemm_block block = {.rows = n,
                                        .cols = cols,
                                        .depth = n,
                                        .a = other->packed,
                                        .b = right,
                                        .c = product,
                                        .ldc = product_cols,
                                        .alpha = gm_barlow_dual_factor(task->job),
                                        .skip_from = INT64_MAX / 2};
    task->gemm->multiply(&block);
    const struct gm_barlow_block_side result = {
        right, product, product_cols, side->view.scale + first, side->dz + first, side->lddz};
    return result;
}

static void product_chunk(void *arg, int64_t chunk, int worker)
{
    const struct task *task = arg;
    const struct gm_barlow_job *job = task->job;
    const struct gm_barlow_kernels *kernels = job->context->kernels.barlow;
    const struct sizes *sizes = &task->sizes;
    float *right_a = task->worker + worker * sizes->worker, *right_b = right_a + sizes->product_right;
    float *product_a = right_b + sizes->product_right, *product_b = product_a + sizes->product;
    const int64_t first = chunk * sizes->product_cols, cols = gm_min_i64(sizes->product_cols, job->d - first);
    const struct gm_barlow_block block = {
        .rows = job->n,
        .cols = cols,
        .panel = task->gemm->nr,
        .weight = job->weight + first,
        .a = multiply(task, &job->a, &task->b, first, cols, right_a, product_a),
        .b = multiply(task, &job->b, &task->a, first, cols, right_b, product_b),
        .stream = 2 * job->n * job->d >= STREAM_FLOATS,
    };
    double a_sum[GM_BARLOW_COLS] = {0}, b_sum[GM_BARLOW_COLS] = {0};
    float a_projection[GM_BARLOW_COLS], b_projection[GM_BARLOW_COLS];
    kernels->project(&block, a_sum, b_sum);
    gm_barlow_divide_projections(job, cols, a_sum, a_projection);
    gm_barlow_divide_projections(job, cols, b_sum, b_projection);
    kernels->chain(&block, a_projection, b_projection);
}

void gm_barlow_narrow(struct gm_barlow_job *job)
{
    gm_context *context = job->context;
    struct task task = {.job = job, .gemm = context->kernels.gemm, .sizes = make_sizes(context, job->n, job->d)};
    const struct sizes *sizes = &task.sizes;
    const size_t mark = gm_workspace_mark(context), gram = (size_t)(sizes->slots * job->n * job->n) * sizeof(float);
    task.a.sums = gm_workspace_take(context, gram);
    task.b.sums = gm_workspace_take(context, gram);
    task.worker = gm_workspace_take(context, (size_t)(sizes->worker * context->threads) * sizeof(float));

    gm_parallel(context, sizes->slots, gram_slot, &task);
    gm_parallel(context, gm_ceil_div(job->n, MERGE_ROWS), merge_chunk, &task);
    set_loss(&task);
    if (job->gradients) {
        task.a.packed = gm_workspace_take(context, (size_t)sizes->packed_gram * sizeof(float));
        task.b.packed = gm_workspace_take(context, (size_t)sizes->packed_gram * sizeof(float));
        gm_parallel(context, 2, pack_gram, &task);
        gm_parallel(context, gm_ceil_div(job->d, sizes->product_cols), product_chunk, &task);
    }
    gm_workspace_release(context, mark);
}

size_t gm_barlow_narrow_workspace(const gm_context *context, int64_t n, int64_t d, bool gradients)
{
    const struct sizes sizes = make_sizes(context, n, d);
    const size_t workers = gm_workspace_bytes((size_t)(sizes.worker * context->threads) * sizeof(float));
    const size_t packed = gradients ? gm_workspace_bytes((size_t)sizes.packed_gram * sizeof(float)) : 0;
    return 2 * gm_workspace_bytes((size_t)(sizes.slots * n * n) * sizeof(float)) + workers + 2 * packed;
}
