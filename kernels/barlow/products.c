/* The gradients of the dual form of not too many rows, a few columns after the other: while they are in the cache they
 * are normalised, multiplied, put through the chain rule and done with. */
#include "barlow/barlow.h"
#include "gemm/kernel.h"

/* Columns of a chunk, and of one with many rows: two chunks of packed a and b and the products of one take 384 KiB with
 * 256 rows and 768 KiB with 1024. */
enum { COLS = 64, COLS_OF_MANY = 32, MANY_ROWS = 256 };

/* Chunks that follow each other in one thread, for each thread. */
enum { GROUPS_A_THREAD = 16 };

/* Rows of the first chunk that are asked for ahead. */
enum { ROWS_AHEAD = 8, LINE_FLOATS = GM_CACHE_LINE / (int64_t)sizeof(float) };

struct sizes {
    int64_t cols, chunks, groups;    /* cols: of a chunk */
    int64_t depth_blocks;            /* of the rows, which are summed over */
    int64_t packed, product, worker; /* floats: of one side's chunk, and of a worker */
};

struct task {
    const struct gm_barlow_job *job;
    const struct gm_gemm_kernels *gemm;
    struct sizes sizes;
    const float *k_a, *k_b;
    int64_t ldk;
    float factor;
    float *worker; /* memory of the workers, one after the other */
};

static struct sizes make_sizes(const gm_context *context, int64_t n, int64_t d)
{
    const struct gm_gemm_kernels *gemm = context->kernels.gemm;
    struct sizes sizes = {.cols = gm_round_up(n > MANY_ROWS ? COLS_OF_MANY : COLS, gemm->nr)};
    sizes.chunks = gm_ceil_div(d, sizes.cols);
    sizes.groups = gm_min_i64(sizes.chunks, context->threads * GROUPS_A_THREAD);
    sizes.depth_blocks = gm_ceil_div(n, gemm->depth);
    sizes.packed = gm_round_up(sizes.cols * n + gemm->slack, LINE_FLOATS);
    sizes.product = gm_round_up(sizes.cols * n, LINE_FLOATS);
    sizes.worker = 4 * sizes.packed + 2 * sizes.product;
    return sizes;
}

/* Columns [first, first + cols) of a side and where they are packed, a panel after the other with room for nr columns
 * and all rows. */
struct columns {
    const struct gm_barlow_side *side;
    int64_t first, cols;
    float *packed;
};

/* A chunk of a side; no columns if it is not before `end`. */
static struct columns chunk_columns(const struct task *task, const struct gm_barlow_side *side, int64_t chunk,
                                    int64_t end, float *packed)
{
    const int64_t first = chunk * task->sizes.cols;
    const struct columns x = {side, first, chunk < end ? gm_min_i64(task->sizes.cols, task->job->d - first) : 0,
                              packed};
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

/* Rows [row, end) of full panels, normalised and packed. */
static void pack_rows(const struct task *task, const struct columns *x, int64_t row, int64_t end)
{
    const int64_t n = task->job->n, nr = task->gemm->nr;
    const struct gm_gemm_source source = gm_barlow_source(&x->side->view, false);
    for (int64_t j = 0; j + nr <= x->cols && row < end; j += nr)
        task->gemm->pack_b(&source, x->first + j, nr, row, end - row, x->packed + j * n + row * nr);
}

/* The last panel unless it is full, each block of rows by itself as the product reads it. */
static void pack_rest(const struct task *task, const struct columns *x)
{
    const int64_t n = task->job->n, nr = task->gemm->nr, rest = x->cols % nr, j = x->cols - rest;
    const struct gm_gemm_source source = gm_barlow_source(&x->side->view, false);
    for (int64_t i = 0; i < task->sizes.depth_blocks && rest; i++) {
        const int64_t row = gm_gemm_share(n, task->sizes.depth_blocks, i);
        task->gemm->pack_b(&source, x->first + j, rest, row, gm_gemm_share(n, task->sizes.depth_blocks, i + 1) - row,
                           x->packed + j * n + row * nr);
    }
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

/* Step `step` of product = factor K x: two tiles of one panel and one block of k. */
static void multiply_step(const struct task *task, const float *k, const struct columns *x, int64_t step,
                          float *product)
{
    const int64_t n = task->job->n, nr = task->gemm->nr, blocks = task->sizes.depth_blocks;
    const int64_t tiles = gm_gemm_row_tiles(n, task->gemm->mr), pairs = gm_ceil_div(tiles, 2);
    const int64_t panels = gm_ceil_div(x->cols, nr), j = step % panels * nr, tile = step / panels % pairs * 2;
    const int64_t row = gm_gemm_share(n, tiles, tile), end = gm_gemm_share(n, tiles, gm_min_i64(tile + 2, tiles));
    const int64_t i = step / panels / pairs, first = gm_gemm_share(n, blocks, i);
    const struct gm_gemm_block block = {.rows = end - row,
                                        .cols = gm_min_i64(nr, x->cols - j),
                                        .depth = gm_gemm_share(n, blocks, i + 1) - first,
                                        .a = k + row * task->ldk + first,
                                        .lda = task->ldk,
                                        .b = x->packed + j * n + first * nr,
                                        .c = product + row * task->sizes.cols + j,
                                        .ldc = task->sizes.cols,
                                        .alpha = task->factor,
                                        .beta = i == 0 ? 0.0f : 1.0f,
                                        .skip_from = INT64_MAX / 2};
    task->gemm->multiply(&block);
}

/* product = factor K x. After each step some rows of the columns that come next are packed, which have been asked for
 * before it: the products hide the way from memory. */
static void multiply(const struct task *task, const float *k, const struct columns *x, const struct columns *next,
                     float *product)
{
    const int64_t n = task->job->n, pairs = gm_ceil_div(gm_gemm_row_tiles(n, task->gemm->mr), 2);
    const int64_t steps = task->sizes.depth_blocks * pairs * gm_ceil_div(x->cols, task->gemm->nr);
    for (int64_t step = 0; step < steps; step++) {
        const int64_t row = gm_gemm_share(n, steps, step), end = gm_gemm_share(n, steps, step + 1);
        if (next->cols)
            ask(next, row, end);
        multiply_step(task, k, x, step, product);
        pack_rows(task, next, row, end);
    }
    pack_rest(task, next);
}

static struct gm_barlow_block_side block_side(const struct task *task, const struct columns *x, const float *product)
{
    const struct gm_barlow_side *side = x->side;
    /* A panel that is not full lies in as many pieces as there are blocks. */
    const bool in_pieces = x->cols % task->gemm->nr && task->sizes.depth_blocks > 1;
    const struct gm_barlow_block_side result = {.packed = in_pieces ? NULL : x->packed,
                                                .view = gm_barlow_view_from(&side->view, x->first),
                                                .g = product,
                                                .ldg = task->sizes.cols,
                                                .dz = side->dz + x->first,
                                                .lddz = side->lddz};
    return result;
}

/* dL/dz of columns whose packed values and products with the other side's K are there. */
static void finish(const struct task *task, const struct columns *a, const struct columns *b, const float *product_a,
                   const float *product_b)
{
    const struct gm_barlow_job *job = task->job;
    const struct gm_barlow_block block = {
        .rows = job->n,
        .cols = a->cols,
        .panel = task->gemm->nr,
        .weight = job->weight + a->first,
        .a = block_side(task, a, product_a),
        .b = block_side(task, b, product_b),
        .stream = gm_barlow_streams(job),
    };
    gm_barlow_chain_block(job, &block);
}

static void product_group(void *arg, int64_t group, int worker)
{
    const struct task *task = arg;
    const struct gm_barlow_job *job = task->job;
    const struct sizes *sizes = &task->sizes;
    float *packed = task->worker + worker * sizes->worker;
    float *product_a = packed + 4 * sizes->packed, *product_b = product_a + sizes->product;
    const int64_t begin = gm_gemm_share(sizes->chunks, sizes->groups, group);
    const int64_t end = gm_gemm_share(sizes->chunks, sizes->groups, group + 1);
    struct columns a = chunk_columns(task, &job->a, begin, end, packed),
                   b = chunk_columns(task, &job->b, begin, end, packed + sizes->packed);
    pack(task, &a);
    pack(task, &b);
    for (int64_t chunk = begin; chunk < end; chunk++) {
        float *other = packed + ((chunk - begin) % 2 ? 0 : 2 * sizes->packed);
        const struct columns next_a = chunk_columns(task, &job->a, chunk + 1, end, other),
                             next_b = chunk_columns(task, &job->b, chunk + 1, end, other + sizes->packed);
        multiply(task, task->k_b, &a, &next_a, product_a);
        multiply(task, task->k_a, &b, &next_b, product_b);
        finish(task, &a, &b, product_a, product_b);
        a = next_a;
        b = next_b;
    }
}

void gm_barlow_products(struct gm_barlow_job *job, const float *k_a, const float *k_b, int64_t ldk)
{
    gm_context *context = job->context;
    struct task task = {.job = job,
                        .gemm = context->kernels.gemm,
                        .sizes = make_sizes(context, job->n, job->d),
                        .k_a = k_a,
                        .k_b = k_b,
                        .ldk = ldk,
                        .factor = gm_barlow_dual_factor(job)};
    const size_t mark = gm_workspace_mark(context);
    task.worker = gm_workspace_take(context, gm_barlow_products_workspace(context, job->n, job->d));
    gm_parallel(context, task.sizes.groups, product_group, &task);
    gm_workspace_release(context, mark);
}

size_t gm_barlow_products_workspace(const gm_context *context, int64_t n, int64_t d)
{
    const struct sizes sizes = make_sizes(context, n, d);
    return gm_workspace_bytes((size_t)(sizes.worker * context->threads) * sizeof(float));
}
