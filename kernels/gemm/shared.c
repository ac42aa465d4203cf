/* The way of large products: all threads pack B together and read it together, each packs its own rows of A. */
#include <sched.h>
#include <stdatomic.h>

#include "gemm/driver.h"

/* What one thread may take of the workspace, without the slots of the loss: the bound that <gemel/gemm.h> promises. */
static const int64_t floats_a_thread = (2 << 20) / (int64_t)sizeof(float);

/* Columns of one slot of the loss: so many panels of nr, and enough for the slots to be few where nr is small. */
enum { SLOT_PANELS = 8, SLOT_COLS = 128 };

/* Compute chunks for each thread, so that a thread that starts late or is interrupted delays the others little. */
enum { CHUNKS_A_THREAD = 4 };

/* Columns that one chunk packs: rows long enough for the prefetcher, few enough panels to write at once. */
enum { PACK_COLS = 256 };

/* Floats of a thread's packed block of A, about a quarter of the second-level cache; never changes a bit of C. */
static int64_t packed_a_floats(gm_core_type type)
{
    static const int64_t floats[] = {
        [GM_CORE_GENERIC] = 32 << 10,      [GM_CORE_ZEN4] = 64 << 10,     [GM_CORE_ZEN5] = 64 << 10,
        [GM_CORE_INTEL_SERVER] = 64 << 10, [GM_CORE_NEOVERSE] = 64 << 10,
    };
    return floats[type];
}

/* Whether a large C goes past the caches if it may (gm_gemm_streams()). Its lines leave a tile one from each row, down
 * the whole chunk: where many rows are many pages of memory, that takes Zen 3, which has no name here, up to twice the
 * time of stores by way of the caches, and Zen 4 half. */
static bool streams(gm_core_type type, int64_t m)
{
    enum { FEW_ROWS = 512 };
    return type != GM_CORE_GENERIC || m <= FEW_ROWS;
}

/* How one product is cut. Borders in k depend on k and the kernel alone, all others on caches and threads too. */
struct plan {
    int64_t threads;
    int64_t depth_blocks, depth;              /* blocks of k, the longest of them */
    int64_t grain;                            /* columns are cut at multiples of it */
    int64_t slots;                            /* of the loss in one row */
    int64_t row_grain, row_grains;            /* rows are cut at multiples of it */
    int64_t row_chunks, packed_a;             /* of C; floats for one chunk's rows of A */
    int64_t col_blocks, col_grains, packed_b; /* of C; grains of the widest; floats for it */
    int64_t col_chunks, pack_chunks;          /* of one block of columns: to compute, to pack */
};

/* Counters of chunks that must follow each other; chunks share one without harm, since they are numbered in it. */
enum { TURNS = 64 };

/* A block of columns and a block of k after the other, there are col_blocks depth_blocks steps. Each has chunks that
 * pack B and chunks that compute, numbered through and claimed in this order by every thread: one parallel region
 * serves the whole product, and whoever is done with one step packs for the next instead of waiting. A chunk waits for
 * what it needs of chunks with lower numbers, which other threads have claimed before and are running; so there is no
 * deadlock, however few threads there really are. */
struct job {
    const struct gm_gemm_kernels *kernels;
    struct plan plan;
    int64_t m, n, k;
    const struct gm_gemm_source *a, *b;
    const struct gm_gemm_epilogue *epilogue;
    bool stream;
    float *packed_a;    /* of every worker */
    float *packed_b[2]; /* of even and odd steps */
    double *squares;    /* [m, slots] */

    _Atomic int64_t next;                   /* chunk to claim */
    _Atomic int64_t packed[2], computed[2]; /* chunks done in even and odd steps */
    _Atomic int64_t turn[TURNS];            /* compute chunks done */
};

/* One step's part of the operands. */
struct step {
    int64_t number;
    bool first, last; /* of its columns */
    int64_t first_k, depth;
    int64_t first_col, cols;
    float *packed_b;
};

static int64_t clamp(int64_t x, int64_t least, int64_t most)
{
    return gm_max_i64(least, gm_min_i64(x, most));
}

/* A single thread packs nothing ahead. */
static int64_t buffers(const struct plan *plan)
{
    return plan->threads == 1 ? 1 : 2;
}

static struct plan make_plan(const gm_context *context, int64_t m, int64_t n, int64_t k,
                             enum gm_gemm_epilogue_kind kind, int64_t row_grain)
{
    const struct gm_gemm_kernels *kernels = context->kernels.gemm;
    struct plan plan;
    plan.threads = gm_gemm_threads(context, m, n, k);
    plan.depth_blocks = gm_max_i64(1, gm_ceil_div(k, gm_gemm_depth(kernels, n)));
    plan.depth = gm_max_i64(1, gm_ceil_div(k, plan.depth_blocks));
    const int64_t slot_panels = gm_max_i64(SLOT_PANELS, gm_ceil_div(SLOT_COLS, kernels->nr));
    plan.grain = kind == GM_GEMM_LOSS ? slot_panels * kernels->nr : kernels->nr;
    plan.slots = kind == GM_GEMM_LOSS ? gm_ceil_div(n, plan.grain) : 0;

    const int64_t chunks = plan.threads == 1 ? 1 : plan.threads * CHUNKS_A_THREAD;
    const int64_t tiles = gm_ceil_div(m, kernels->mr);
    const int64_t most_tiles = gm_max_i64(1, packed_a_floats(context->core_type) / (plan.depth * kernels->mr));
    plan.row_grain = row_grain;
    plan.row_grains = gm_ceil_div(m, row_grain);
    const int64_t most_grains = gm_max_i64(1, most_tiles * kernels->mr / row_grain);
    plan.row_chunks =
        clamp(chunks, gm_ceil_div(plan.row_grains, most_grains), gm_max_i64(1, gm_min_i64(tiles / 4, plan.row_grains)));
    const int64_t chunk_rows = gm_min_i64(gm_ceil_div(plan.row_grains, plan.row_chunks) * row_grain, m);
    const int64_t chunk_tiles = gm_ceil_div(chunk_rows, kernels->mr);
    plan.packed_a = gm_round_up(chunk_tiles * kernels->mr * plan.depth + kernels->slack, GM_CACHE_LINE);

    const int64_t grains = gm_ceil_div(n, plan.grain);
    const int64_t left =
        (floats_a_thread - plan.packed_a) * plan.threads / buffers(&plan) - GM_CACHE_LINE - kernels->slack;
    plan.col_blocks = gm_ceil_div(grains, gm_max_i64(1, left / (plan.depth * plan.grain)));
    plan.col_grains = gm_ceil_div(grains, plan.col_blocks);
    plan.packed_b = gm_round_up(plan.col_grains * plan.grain * plan.depth + kernels->slack, GM_CACHE_LINE);
    plan.col_chunks = clamp(gm_ceil_div(chunks, plan.row_chunks), 1, gm_max_i64(1, plan.col_grains / 2));
    plan.pack_chunks = clamp(gm_ceil_div(plan.col_grains * plan.grain, PACK_COLS),
                             gm_min_i64(plan.threads, plan.col_grains), plan.col_grains);
    return plan;
}

static struct step make_step(const struct job *job, int64_t number)
{
    const struct plan *plan = &job->plan;
    const int64_t block = number % plan->depth_blocks,
                  first_col = number / plan->depth_blocks * plan->col_grains * plan->grain;
    const int64_t first_k = gm_gemm_share(job->k, plan->depth_blocks, block);
    const struct step step = {
        .number = number,
        .first = block == 0,
        .last = block == plan->depth_blocks - 1,
        .first_k = first_k,
        .depth = gm_gemm_share(job->k, plan->depth_blocks, block + 1) - first_k,
        .first_col = first_col,
        .cols = gm_min_i64(plan->col_grains * plan->grain, job->n - first_col),
        .packed_b = job->packed_b[number % 2],
    };
    return step;
}

/* Columns of part i, from the step's first one, when they are shared out among `parts`. */
static void share_columns(const struct job *job, const struct step *step, int64_t parts, int64_t i, int64_t *first,
                          int64_t *end)
{
    const int64_t grain = job->plan.grain, grains = gm_ceil_div(step->cols, grain);
    *first = gm_gemm_share(grains, parts, i) * grain;
    *end = gm_min_i64(gm_gemm_share(grains, parts, i + 1) * grain, step->cols);
}

static void pack_chunk(const struct job *job, const struct step *step, int64_t chunk)
{
    int64_t first, end;
    share_columns(job, step, job->plan.pack_chunks, chunk, &first, &end);
    if (first < end)
        job->kernels->pack_b(job->b, step->first_col + first, end - first, step->first_k, step->depth,
                             step->packed_b + first * step->depth);
}

static int64_t first_row(const struct job *job, int64_t row_chunk)
{
    const struct plan *plan = &job->plan;
    return gm_min_i64(gm_gemm_share(plan->row_grains, plan->row_chunks, row_chunk) * plan->row_grain, job->m);
}

static void compute_chunk(const struct job *job, const struct step *step, int64_t chunk, int worker)
{
    const struct plan *plan = &job->plan;
    const struct gm_gemm_epilogue *epilogue = job->epilogue;
    /* Of a symmetric C the longest rows first, so that the threads end together. */
    const int64_t rank = chunk / plan->col_chunks, row_chunk = epilogue->symmetric ? plan->row_chunks - 1 - rank : rank;
    const int64_t row = first_row(job, row_chunk), rows = first_row(job, row_chunk + 1) - row;
    int64_t first, end;
    share_columns(job, step, plan->col_chunks, chunk % plan->col_chunks, &first, &end);
    const int64_t col = step->first_col + first;
    if (first >= end || (epilogue->symmetric && col >= row + rows))
        return;
    float *packed_a = job->packed_a + worker * plan->packed_a;
    job->kernels->pack_a(job->a, row, rows, step->first_k, step->depth, packed_a);
    struct gm_gemm_block block = {
        .rows = rows,
        .cols = end - first,
        .depth = step->depth,
        .a = packed_a,
        .b = step->packed_b + first * step->depth,
        .c = epilogue->c + row * epilogue->ldc + col,
        .ldc = epilogue->ldc,
        .alpha = epilogue->alpha,
        .beta = !step->first                     ? 1.0f
                : epilogue->kind == GM_GEMM_LOSS ? 0.0f
                                                 : epilogue->beta,
        .stream = job->stream,
        .skip_from = epilogue->symmetric ? row - col + 1 : INT64_MAX / 2,
    };
    struct gm_gemm_loss_slots slots;
    if (epilogue->kind == GM_GEMM_LOSS && step->last) {
        slots = (struct gm_gemm_loss_slots){
            .cols = plan->grain,
            .diagonal = epilogue->row0 + row - col,
            .squares = job->squares + row * plan->slots + col / plan->grain,
            .lds = plan->slots,
            .lambda = epilogue->lambda,
        };
        block.loss = &slots;
    }
    struct gm_gemm_finish finish;
    if (epilogue->finish && step->last) {
        finish = gm_gemm_finish_from(epilogue->finish, row, col);
        block.finish = &finish;
    }
    job->kernels->multiply(&block);
}

/* The thread that is waited for may need this one's processor. */
static void wait_for(const _Atomic int64_t *counter, int64_t value)
{
    enum { SPINS = 2000 };
    for (int spins = 0; atomic_load_explicit(counter, memory_order_acquire) < value; spins++)
        if (spins >= SPINS)
            sched_yield();
}

static void count(_Atomic int64_t *counter)
{
    atomic_fetch_add_explicit(counter, 1, memory_order_release);
}

/* The same chunk of C belongs to one thread at a time, step after step. */
static void compute_in_turn(struct job *job, const struct step *step, int64_t chunk, int worker)
{
    const int64_t chunks = job->plan.row_chunks * job->plan.col_chunks;
    const int64_t sharing = gm_ceil_div(chunks - chunk % TURNS, TURNS); /* chunks of a step with this counter */
    wait_for(&job->turn[chunk % TURNS], step->number * sharing + chunk / TURNS);
    compute_chunk(job, step, chunk, worker);
    count(&job->turn[chunk % TURNS]);
}

static void run_chunks(void *arg, int64_t runner, int worker)
{
    (void)runner;
    struct job *job = arg;
    const struct plan *plan = &job->plan;
    const int64_t pack_chunks = plan->pack_chunks, compute_chunks = plan->row_chunks * plan->col_chunks;
    const int64_t chunks = pack_chunks + compute_chunks, end = plan->col_blocks * plan->depth_blocks * chunks;
    int64_t claimed;
    while ((claimed = atomic_fetch_add_explicit(&job->next, 1, memory_order_relaxed)) < end) {
        const struct step step = make_step(job, claimed / chunks);
        const int64_t chunk = claimed % chunks, buffer = step.number % 2, uses = step.number / 2;
        if (chunk < pack_chunks) {
            wait_for(&job->computed[buffer], uses * compute_chunks);
            pack_chunk(job, &step, chunk);
            count(&job->packed[buffer]);
        } else {
            wait_for(&job->packed[buffer], (uses + 1) * pack_chunks);
            compute_in_turn(job, &step, chunk - pack_chunks, worker);
            count(&job->computed[buffer]);
        }
    }
}

static double sum_squares(const struct job *job)
{
    double sum = 0;
    for (int64_t i = 0; i < job->m * job->plan.slots; i++)
        sum += job->squares[i];
    return sum;
}

static size_t plan_bytes(const struct plan *plan, int64_t m)
{
    return gm_workspace_bytes((size_t)(plan->packed_a * plan->threads) * sizeof(float)) +
           (size_t)buffers(plan) * gm_workspace_bytes((size_t)plan->packed_b * sizeof(float)) +
           gm_workspace_bytes((size_t)(m * plan->slots) * sizeof(double));
}

gm_status gm_gemm_shared_run(gm_context *context, const struct gm_gemm_product *p)
{
    const bool loss = p->epilogue->kind == GM_GEMM_LOSS;
    struct job job = {
        .kernels = context->kernels.gemm,
        .plan = make_plan(context, p->m, p->n, p->k, p->epilogue->kind, gm_gemm_row_grain(p->epilogue)),
        .m = p->m,
        .n = p->n,
        .k = p->k,
        .a = p->a,
        .b = p->b,
        .epilogue = p->epilogue,
    };
    job.stream = streams(context->core_type, p->m) && gm_gemm_streams(p, job.plan.depth_blocks);
    if (!gm_workspace_fits(context, plan_bytes(&job.plan, p->m)))
        return GM_WORKSPACE_TOO_SMALL;
    const size_t mark = gm_workspace_mark(context);
    job.packed_a = gm_workspace_take(context, (size_t)(job.plan.packed_a * job.plan.threads) * sizeof(float));
    for (int64_t i = 0; i < buffers(&job.plan); i++)
        job.packed_b[i] = gm_workspace_take(context, (size_t)job.plan.packed_b * sizeof(float));
    if (buffers(&job.plan) == 1)
        job.packed_b[1] = job.packed_b[0];
    if (loss)
        job.squares = gm_workspace_take(context, (size_t)(p->m * job.plan.slots) * sizeof(double));
    gm_parallel(context, job.plan.threads, run_chunks, &job);
    if (loss)
        *p->epilogue->squares = sum_squares(&job);
    gm_workspace_release(context, mark);
    return GM_OK;
}

size_t gm_gemm_shared_workspace(const gm_context *context, int64_t m, int64_t n, int64_t k,
                                enum gm_gemm_epilogue_kind kind, int64_t row_grain)
{
    const struct plan plan = make_plan(context, m, n, k, kind, row_grain);
    return plan_bytes(&plan, m);
}
