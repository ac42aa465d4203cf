/* The dual form of at most GM_BARLOW_NARROW_ROWS rows: everything that concerns a few columns is done while they are in
 * the cache. One loop over chunks of columns normalises them and adds their share of K_A and K_B, a second one
 * multiplies, applies the chain rule and is done with them; between the two there is only work of size n^2. */
#include <string.h>

#include "barlow/barlow.h"
#include "gemm/kernel.h"

/* Columns of a chunk of the second loop: with 256 rows two chunks of packed a and b and the products of one are 384
 * KiB, which leaves most of the level-2 cache to K_A and K_B. */
enum { PRODUCT_COLS = 64 };

/* Row length of the first loop's copy of a chunk. Rows of an embedding are often a power of two apart and then compete
 * for a few sets of each cache; after one copy everything else that reads them finds them in the level-2 cache. Lines
 * of an embedding are asked for so many rows ahead. */
enum { COPY_COLS = GM_BARLOW_COLS + 16, ROWS_AHEAD = 8, LINE_FLOATS = GM_CACHE_LINE / (int64_t)sizeof(float) };

/* Chunks that follow each other in one thread, for each thread. */
enum { GROUPS_A_THREAD = 16 };

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
    int64_t product_chunks, groups; /* of the second loop */
    /* In floats: the first loop's copy and packed operand of one side, the second one's packed operand and product of
     * one side; what a worker needs for either loop. */
    int64_t copy, right, packed, product, worker;
};

struct task {
    struct gm_barlow_job *job;
    const struct gm_gemm_kernels *gemm;
    struct sizes sizes;
    float *k_a, *k_b; /* [slots, n, n]; below the diagonal, and merged into all of the first slot */
    float factor;     /* of the products */
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
    sizes.product_cols = gm_round_up(PRODUCT_COLS, gemm->nr);
    sizes.product_chunks = gm_ceil_div(d, sizes.product_cols);
    sizes.groups = gm_min_i64(sizes.product_chunks, context->threads * GROUPS_A_THREAD);
    sizes.copy = aligned(n * COPY_COLS);
    sizes.right = aligned(gm_round_up(n, gemm->nr) * gm_min_i64(d, GM_BARLOW_COLS) + gemm->slack);
    sizes.packed = aligned(sizes.product_cols * n + gemm->slack);
    sizes.product = aligned(sizes.product_cols * n);
    sizes.worker = gm_max_i64(2 * sizes.copy + sizes.right, 4 * sizes.packed + 2 * sizes.product);
    return sizes;
}

/* Columns [first, first + cols) of a side and where they go: copied, or normalised and packed. */
struct columns {
    const struct gm_barlow_side *side;
    int64_t first, cols;
    float *to;
};

/* Chunk `chunk` of `cols` columns of a side; none if there is no such chunk before `end`. */
static struct columns chunk_columns(const struct task *task, const struct gm_barlow_side *side, int64_t chunk,
                                    int64_t end, int64_t cols, float *to)
{
    const int64_t first = chunk * cols;
    const struct columns x = {side, first, chunk < end ? gm_min_i64(cols, task->job->d - first) : 0, to};
    return x;
}

/* Asks for rows [row, end). Inline, since gcc leaves out calls of what does nothing but ask. */
static inline __attribute__((always_inline)) void ask(const struct columns *x, int64_t row, int64_t end)
{
    for (int64_t i = row; i < end; i++) {
        const float *z = x->side->view.z + i * x->side->view.ldz + x->first;
        for (int64_t j = 0; j < x->cols; j += LINE_FLOATS)
            __builtin_prefetch(z + j, 0, 2);
        __builtin_prefetch(z + x->cols - 1, 0, 2);
    }
}

/* Returns the copy. */
static struct gm_barlow_view copy(const struct task *task, const struct columns *x)
{
    struct gm_barlow_view view = gm_barlow_view_from(&x->side->view, x->first);
    for (int64_t i = 0; i < task->job->n; i++) {
        if (i + ROWS_AHEAD < task->job->n)
            ask(x, i + ROWS_AHEAD, i + ROWS_AHEAD + 1);
        memcpy(x->to + i * COPY_COLS, view.z + i * view.ldz, (size_t)x->cols * sizeof *x->to);
    }
    view.z = x->to;
    view.ldz = COPY_COLS;
    return view;
}

/* Adds the share of normalised columns to a slot of K = A A^T, below the diagonal. */
static void add_to_gram(const struct task *task, const struct columns *x, bool overwrite, float *right, float *k)
{
    const int64_t n = task->job->n;
    const struct gm_gemm_source transposed = {.transposed = true, .data = x->to, .ld = COPY_COLS};
    task->gemm->pack_b(&transposed, 0, n, 0, x->cols, right);
    const struct gm_gemm_block block = {.rows = n,
                                        .cols = n,
                                        .depth = x->cols,
                                        .a = x->to,
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
        const struct columns a = chunk_columns(task, &job->a, chunk, end, GM_BARLOW_COLS, copy_a),
                             b = chunk_columns(task, &job->b, chunk, end, GM_BARLOW_COLS, copy_b);
        const struct gm_barlow_view view_a = copy(task, &a), view_b = copy(task, &b);
        gm_barlow_normalize_columns(job, a.cols, &view_a, &view_b, gap, &normalised);
        gm_barlow_add_diagonal(job, a.first, a.cols, gap, &sums);
        add_to_gram(task, &a, chunk == begin, right, k_a);
        add_to_gram(task, &b, chunk == begin, right, k_b);
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

/* Rows [row, end) of full panels, normalised and packed. */
static void pack_rows(const struct task *task, const struct columns *x, int64_t row, int64_t end)
{
    const int64_t n = task->job->n, nr = task->gemm->nr;
    const struct gm_gemm_source source = gm_barlow_source(&x->side->view, false);
    for (int64_t j = 0; j + nr <= x->cols && row < end; j += nr)
        task->gemm->pack_b(&source, x->first + j, nr, row, end - row, x->to + j * n + row * nr);
}

/* All rows of the last panel unless it is full. */
static void pack_rest(const struct task *task, const struct columns *x)
{
    const int64_t rest = x->cols % task->gemm->nr, j = x->cols - rest;
    const struct gm_gemm_source source = gm_barlow_source(&x->side->view, false);
    if (rest)
        task->gemm->pack_b(&source, x->first + j, rest, 0, task->job->n, x->to + j * task->job->n);
}

static void pack(const struct task *task, const struct columns *x)
{
    const int64_t n = task->job->n;
    for (int64_t row = 0, end; row < n; row = end) {
        end = gm_min_i64(row + ROWS_AHEAD, n);
        ask(x, end, gm_min_i64(end + ROWS_AHEAD, n));
        pack_rows(task, x, row, end);
    }
    pack_rest(task, x);
}

/* product = factor K x. After every other tile some rows of the columns that come next are packed, which have been
 * asked for before these tiles: the products hide the way from memory. */
static void multiply(const struct task *task, const float *k, const struct columns *x, const struct columns *next,
                     float *product)
{
    const int64_t n = task->job->n, nr = task->gemm->nr, tiles = gm_gemm_row_tiles(n, task->gemm->mr);
    const int64_t pairs = gm_ceil_div(tiles, 2), steps = gm_ceil_div(x->cols, nr) * pairs;
    for (int64_t step = 0; step < steps; step++) {
        const int64_t j = step / pairs * nr, tile = step % pairs * 2;
        const int64_t row = gm_gemm_share(n, tiles, tile), end = gm_gemm_share(n, tiles, gm_min_i64(tile + 2, tiles));
        const int64_t next_row = gm_gemm_share(n, steps, step), next_end = gm_gemm_share(n, steps, step + 1);
        if (next->cols)
            ask(next, next_row, next_end);
        const struct gm_gemm_block block = {.rows = end - row,
                                            .cols = gm_min_i64(nr, x->cols - j),
                                            .depth = n,
                                            .a = k + row * n,
                                            .lda = n,
                                            .b = x->to + j * n,
                                            .c = product + row * task->sizes.product_cols + j,
                                            .ldc = task->sizes.product_cols,
                                            .alpha = task->factor,
                                            .skip_from = INT64_MAX / 2};
        task->gemm->multiply(&block);
        pack_rows(task, next, next_row, next_end);
    }
    pack_rest(task, next);
}

static struct gm_barlow_block_side block_side(const struct task *task, const struct columns *x, const float *product)
{
    const struct gm_barlow_side *side = x->side;
    const struct gm_barlow_block_side result = {.packed = x->to,
                                                .view = gm_barlow_view_from(&side->view, x->first),
                                                .g = product,
                                                .ldg = task->sizes.product_cols,
                                                .dz = side->dz + x->first,
                                                .lddz = side->lddz};
    return result;
}

/* dL/dz of columns whose packed values and products with the other side's K are there. */
static void finish(const struct task *task, const struct columns *a, const struct columns *b, const float *product_a,
                   const float *product_b)
{
    const struct gm_barlow_job *job = task->job;
    const struct gm_barlow_kernels *kernels = job->context->kernels.barlow;
    const struct gm_barlow_block block = {
        .rows = job->n,
        .cols = a->cols,
        .panel = task->gemm->nr,
        .weight = job->weight + a->first,
        .a = block_side(task, a, product_a),
        .b = block_side(task, b, product_b),
        .stream = 2 * job->n * job->d >= STREAM_FLOATS,
    };
    double a_sum[GM_BARLOW_COLS] = {0}, b_sum[GM_BARLOW_COLS] = {0};
    float a_projection[GM_BARLOW_COLS], b_projection[GM_BARLOW_COLS];
    kernels->project(&block, a_sum, b_sum);
    gm_barlow_divide_projections(job, a->cols, a_sum, a_projection);
    gm_barlow_divide_projections(job, a->cols, b_sum, b_projection);
    kernels->chain(&block, a_projection, b_projection);
}

static void product_group(void *arg, int64_t group, int worker)
{
    const struct task *task = arg;
    const struct gm_barlow_job *job = task->job;
    const struct sizes *sizes = &task->sizes;
    const int64_t cols = sizes->product_cols;
    float *packed = task->worker + worker * sizes->worker;
    float *product_a = packed + 4 * sizes->packed, *product_b = product_a + sizes->product;
    const int64_t begin = gm_gemm_share(sizes->product_chunks, sizes->groups, group);
    const int64_t end = gm_gemm_share(sizes->product_chunks, sizes->groups, group + 1);
    struct columns a = chunk_columns(task, &job->a, begin, end, cols, packed),
                   b = chunk_columns(task, &job->b, begin, end, cols, packed + sizes->packed);
    pack(task, &a);
    pack(task, &b);
    for (int64_t chunk = begin; chunk < end; chunk++) {
        float *other = packed + ((chunk - begin) % 2 ? 0 : 2 * sizes->packed);
        const struct columns next_a = chunk_columns(task, &job->a, chunk + 1, end, cols, other),
                             next_b = chunk_columns(task, &job->b, chunk + 1, end, cols, other + sizes->packed);
        multiply(task, task->k_b, &a, &next_a, product_a);
        multiply(task, task->k_a, &b, &next_b, product_b);
        finish(task, &a, &b, product_a, product_b);
        a = next_a;
        b = next_b;
    }
}

void gm_barlow_narrow(struct gm_barlow_job *job)
{
    gm_context *context = job->context;
    struct task task = {.job = job, .gemm = context->kernels.gemm, .sizes = make_sizes(context, job->n, job->d)};
    const struct sizes *sizes = &task.sizes;
    task.factor = gm_barlow_dual_factor(job);
    const size_t mark = gm_workspace_mark(context), gram = (size_t)(sizes->slots * job->n * job->n) * sizeof(float);
    task.k_a = gm_workspace_take(context, gram);
    task.k_b = gm_workspace_take(context, gram);
    task.worker = gm_workspace_take(context, (size_t)(sizes->worker * context->threads) * sizeof(float));

    gm_parallel(context, sizes->slots, gram_slot, &task);
    gm_parallel(context, gm_ceil_div(job->n, MERGE_ROWS), merge_chunk, &task);
    set_loss(&task);
    if (job->gradients)
        gm_parallel(context, sizes->groups, product_group, &task);
    gm_workspace_release(context, mark);
}

size_t gm_barlow_narrow_workspace(const gm_context *context, int64_t n, int64_t d, bool gradients)
{
    (void)gradients;
    const struct sizes sizes = make_sizes(context, n, d);
    return 2 * gm_workspace_bytes((size_t)(sizes.slots * n * n) * sizeof(float)) +
           gm_workspace_bytes((size_t)(sizes.worker * context->threads) * sizeof(float));
}
