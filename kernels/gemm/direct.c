/* The way of small and narrow products: independent chunks of C. Whoever computes one packs B by the panel, into a
 * buffer that stays in the first-level cache, if possible while its first tile computes; A is read where it is stored.
 */
#include "gemm/driver.h"

/* Chunks for each thread, so that a thread that starts late or is interrupted delays the others little: a few, since
 * each packs its part of B anew, more if many tiles share that, and none of fewer multiply-adds than these. */
enum { FEW_CHUNKS = 2, MORE_CHUNKS = 4, MANY_TILES = 16 };
static const double least_chunk_work = 1 << 21;

/* Floats of A for one chunk and block of k: they stay in the second-level cache while the panels of B pass. */
enum { CHUNK_A_FLOATS = 64 << 10 };

struct direct {
    const struct gm_gemm_kernels *kernels;
    const struct gm_gemm_product *product;
    bool pack_a;
    int64_t parts, depth_blocks;    /* of k, of a part */
    int64_t row_grain;              /* rows are cut at multiples of it; at borders of tiles if it is 1 */
    int64_t row_pieces, row_chunks; /* tiles, which are equally high but for one row, or grains */
    int64_t panels, col_chunks;
    int64_t packed_a, panel; /* floats of each worker */
    float *partial;          /* [parts, m, n] if there are several parts */
    float *workspace;
};

/* A transposed A is read a line for each k. That is too much if all lines fall into one set of the first-level cache,
 * or if many panels of B read them and a tile takes less than half a line. So is A that runs along k if many panels
 * read it again, which a B packed beforehand may have. */
static bool must_pack(const struct gm_gemm_kernels *kernels, const struct gm_gemm_product *p)
{
    enum { HALF_LINE = 8, PANELS = 4, PACKED_PANELS = 16, PACKED_ROWS = 28 };
    if (p->a->kind != GM_GEMM_PLAIN)
        return true;
    if (p->a->transposed)
        return kernels->whole_rows || p->a->ld % 1024 == 0 || (kernels->mr < HALF_LINE && p->n > PANELS * kernels->nr);
    return p->b->kind == GM_GEMM_PACKED && p->n > PACKED_PANELS * kernels->nr && p->m > PACKED_ROWS;
}

/* Elements of C up to which k is cut, and of one whose sides are at most SPLIT_SIDE; least k of a part, most parts, and
 * floats of the partial sums: 1 MiB. */
enum { SPLIT_ELEMENTS = 1 << 14, SPLIT_SQUARE = 1 << 16, SPLIT_SIDE = 512 };
enum { PART_DEPTH = 2048, MOST_PARTS = 16, PARTIAL_FLOATS = 1 << 18 };

int64_t gm_gemm_parts(const struct gm_gemm_product *p)
{
    const int64_t most = gm_max_i64(p->m, p->n) <= SPLIT_SIDE ? SPLIT_SQUARE : SPLIT_ELEMENTS;
    if (p->k < 2 * PART_DEPTH || p->m > most || p->m * p->n > most)
        return 1;
    return gm_min_i64(p->k / PART_DEPTH, gm_min_i64(MOST_PARTS, PARTIAL_FLOATS / gm_max_i64(1, p->m * p->n)));
}

static int64_t panel_floats(const struct gm_gemm_kernels *kernels, int64_t depth)
{
    return gm_round_up(gm_max_i64(kernels->nr * depth, kernels->least_panel) + kernels->slack, GM_CACHE_LINE);
}

static int64_t count_chunks(const struct gm_gemm_product *p, int64_t row_pieces, int64_t threads)
{
    const int64_t worth = (int64_t)((double)p->m * (double)p->n * (double)p->k / least_chunk_work);
    const int64_t more = threads * MORE_CHUNKS, most = row_pieces >= more * MANY_TILES ? more : threads * FEW_CHUNKS;
    return gm_min_i64(gm_round_up(gm_max_i64(worth, 1), threads), most);
}

/* Column chunks among so many, about as wide as the others are high: then A and B are read least often in all. Where
 * every row chunk would pack B anew, columns alone are cut, unless few panels would share out badly. */
static int64_t count_col_chunks(const struct gm_gemm_kernels *kernels, const struct gm_gemm_product *p, int64_t chunks)
{
    const bool packs_b_alone = p->b->kind == GM_GEMM_PLAIN && p->b->transposed && !p->a->transposed;
    if (packs_b_alone && 2 * p->n >= 3 * chunks * kernels->nr)
        return chunks;
    int64_t cols = 1;
    for (int64_t i = 2; i <= chunks; i++)
        if (chunks % i == 0 && (double)i * (double)i * (double)p->m <= (double)chunks * (double)p->n)
            cols = i;
    return cols;
}

static struct direct share_out(const gm_context *context, const struct gm_gemm_product *p, int64_t row_grain,
                               int64_t threads)
{
    const struct gm_gemm_kernels *kernels = context->kernels.gemm;
    struct direct d = {.kernels = kernels, .product = p, .pack_a = must_pack(kernels, p), .row_grain = row_grain};
    d.parts = gm_gemm_parts(p);
    d.depth_blocks = gm_max_i64(1, gm_ceil_div(gm_ceil_div(p->k, d.parts), gm_gemm_depth(kernels, p->n)));
    const int64_t depth = gm_max_i64(1, gm_ceil_div(gm_ceil_div(p->k, d.parts), d.depth_blocks));
    const int64_t piece_rows = gm_max_i64(row_grain, kernels->mr);
    d.row_pieces = gm_ceil_div(p->m, piece_rows);
    d.panels = gm_ceil_div(p->n, kernels->nr);
    const int64_t chunks = threads == 1 || d.parts > 1 ? 1 : count_chunks(p, d.row_pieces, threads);
    const int64_t fit = gm_max_i64(1, CHUNK_A_FLOATS / (depth * piece_rows));
    const bool costly = threads > 1 || p->b->transposed; /* to cut once more, rather than to read A from further away */
    const int64_t least_rows = gm_max_i64(1, (d.row_pieces + (costly ? fit / 2 : fit - 1)) / fit);
    const int64_t rows = chunks / count_col_chunks(kernels, p, chunks);
    d.row_chunks =
        gm_min_i64(least_rows > rows && chunks > 1 ? gm_round_up(least_rows, threads) : gm_max_i64(least_rows, rows),
                   d.row_pieces);
    d.col_chunks = gm_min_i64(gm_ceil_div(chunks, d.row_chunks), d.panels);
    /* As much as any chunk of as many rows or fewer may take: the workspace for a product serves lower ones, too. */
    const int64_t most_rows = gm_round_up(gm_min_i64(d.row_pieces, gm_ceil_div(3 * fit, 2)) * piece_rows, kernels->mr);
    d.packed_a = d.pack_a ? gm_round_up(most_rows * depth + kernels->slack, GM_CACHE_LINE) : 0;
    d.panel = panel_floats(kernels, depth);
    return d;
}

/* C, or the partial sums of a part, in [row, row + rows) and [col, col + cols). */
static void multiply(const struct direct *d, int64_t part, int64_t row, int64_t rows, int64_t col, int64_t cols,
                     float *workspace)
{
    const struct gm_gemm_product *p = d->product;
    const struct gm_gemm_source *a = p->a;
    const struct gm_gemm_epilogue *epilogue = p->epilogue;
    const struct gm_gemm_finish *last_finish = NULL;
    struct gm_gemm_block block = {
        .rows = rows,
        .cols = cols,
        .a = workspace,
        .lda = d->pack_a ? 0 : a->ld,
        .a_transposed = a->transposed,
        .source = p->b,
        .source_col = col,
        .panel = workspace + d->packed_a,
        .c = epilogue->c + row * epilogue->ldc + col,
        .ldc = epilogue->ldc,
        .alpha = epilogue->alpha,
        .beta = epilogue->beta,
        .stream = gm_gemm_streams(p, d->depth_blocks),
        .skip_from = epilogue->symmetric ? row - col + 1 : INT64_MAX / 2,
    };
    if (p->b->kind == GM_GEMM_PACKED) {
        block.source = NULL;
        block.b = p->b->data + col * p->b->ld;
    }
    if (d->parts > 1) {
        block.c = d->partial + (part * p->m + row) * p->n + col;
        block.ldc = p->n;
        block.alpha = 1.0f;
        block.beta = 0.0f;
    }
    struct gm_gemm_finish finish;
    if (epilogue->finish && d->parts == 1) {
        finish = gm_gemm_finish_from(epilogue->finish, row, col);
        last_finish = &finish;
    }
    const int64_t first = d->parts == 1 ? 0 : gm_gemm_share(p->k, d->parts, part);
    const int64_t depth = d->parts == 1 ? p->k : gm_gemm_share(p->k, d->parts, part + 1) - first;
    for (int64_t i = 0; i < d->depth_blocks; i++) {
        const int64_t before = d->depth_blocks == 1 ? 0 : gm_gemm_share(depth, d->depth_blocks, i), k = first + before;
        block.source_k = k;
        block.depth = d->depth_blocks == 1 ? depth : gm_gemm_share(depth, d->depth_blocks, i + 1) - before;
        block.b_others = p->b->ld - block.depth;
        block.b_before = k;
        if (d->pack_a)
            d->kernels->pack_a(a, row, rows, k, block.depth, workspace);
        else
            block.a = a->data + (a->transposed ? k * a->ld + row : row * a->ld + k);
        if (i == d->depth_blocks - 1)
            block.finish = last_finish;
        d->kernels->multiply(&block);
        block.beta = 1.0f;
    }
}

static int64_t first_row(const struct direct *d, int64_t row_chunk)
{
    const int64_t piece = gm_gemm_share(d->row_pieces, d->row_chunks, row_chunk);
    return d->row_grain == 1 ? gm_gemm_share(d->product->m, d->row_pieces, piece)
                             : gm_min_i64(piece * d->row_grain, d->product->m);
}

static void multiply_chunk(void *arg, int64_t chunk, int worker)
{
    const struct direct *d = arg;
    const struct gm_gemm_product *p = d->product;
    const int64_t nr = d->kernels->nr, col_chunk = chunk % d->col_chunks;
    const int64_t row_chunk = chunk / d->col_chunks % d->row_chunks, part = chunk / d->col_chunks / d->row_chunks;
    const int64_t row = first_row(d, row_chunk), rows = first_row(d, row_chunk + 1) - row;
    const int64_t col = gm_gemm_share(d->panels, d->col_chunks, col_chunk) * nr;
    const int64_t end_col = gm_min_i64(gm_gemm_share(d->panels, d->col_chunks, col_chunk + 1) * nr, p->n);
    multiply(d, part, row, rows, col, end_col - col, d->workspace + worker * (d->packed_a + d->panel));
}

static struct direct single(const gm_context *context, const struct gm_gemm_product *p)
{
    const struct gm_gemm_kernels *kernels = context->kernels.gemm;
    const struct direct d = {.kernels = kernels,
                             .product = p,
                             .parts = 1,
                             .depth_blocks = 1,
                             .row_chunks = 1,
                             .col_chunks = 1,
                             .panel = panel_floats(kernels, p->k)};
    return d;
}

/* So small a product that working out how to share it would take as long. */
static bool is_one_chunk(const gm_context *context, const struct gm_gemm_product *p, int64_t threads)
{
    return threads == 1 && p->k <= gm_gemm_depth(context->kernels.gemm, p->n) && p->m <= CHUNK_A_FLOATS &&
           p->m * p->k <= CHUNK_A_FLOATS && !must_pack(context->kernels.gemm, p);
}

/* C = alpha (sum of the parts, in order) + beta C, finished. */
static void add_parts(const struct direct *d)
{
    const struct gm_gemm_product *p = d->product;
    const float alpha = p->epilogue->alpha, beta = p->epilogue->beta;
    for (int64_t i = 0; i < p->m; i++) {
        const int64_t cols = p->epilogue->symmetric ? i + 1 : p->n;
        float *c = p->epilogue->c + i * p->epilogue->ldc, *sum = d->partial + i * p->n;
        for (int64_t part = 1; part < d->parts; part++)
            for (int64_t j = 0; j < cols; j++)
                sum[j] += sum[part * p->m * p->n + j];
        for (int64_t j = 0; j < cols; j++)
            c[j] = beta == 0.0f ? alpha * sum[j] : alpha * sum[j] + beta * c[j];
    }
    if (p->epilogue->finish)
        d->kernels->finish(p->epilogue->finish, p->m, p->n, p->epilogue->c, p->epilogue->ldc);
}

static size_t partial_bytes(const struct direct *d, int64_t m, int64_t n)
{
    return d->parts == 1 ? 0 : gm_workspace_bytes((size_t)(d->parts * m * n) * sizeof(float));
}

gm_status gm_gemm_direct_run(gm_context *context, const struct gm_gemm_product *p)
{
    const int64_t threads = gm_gemm_threads(context, p->m, p->n, p->k);
    const bool one_chunk = is_one_chunk(context, p, threads);
    struct direct d = one_chunk ? single(context, p) : share_out(context, p, gm_gemm_row_grain(p->epilogue), threads);
    const int64_t chunks = d.parts * d.row_chunks * d.col_chunks, workers = chunks == 1 ? 1 : context->threads;
    const size_t bytes = gm_workspace_bytes((size_t)(workers * (d.packed_a + d.panel)) * sizeof(float));
    if (!gm_workspace_fits(context, bytes + partial_bytes(&d, p->m, p->n)))
        return GM_WORKSPACE_TOO_SMALL;
    const size_t mark = gm_workspace_mark(context);
    d.workspace = gm_workspace_take(context, bytes);
    if (d.parts > 1)
        d.partial = gm_workspace_take(context, partial_bytes(&d, p->m, p->n));
    if (one_chunk)
        multiply(&d, 0, 0, p->m, 0, p->n, d.workspace);
    else
        gm_parallel(context, chunks, multiply_chunk, &d);
    if (d.parts > 1)
        add_parts(&d);
    gm_workspace_release(context, mark);
    return GM_OK;
}

size_t gm_gemm_direct_workspace(const gm_context *context, int64_t m, int64_t n, int64_t k, int64_t row_grain)
{
    const struct gm_gemm_source packed = {.kind = GM_GEMM_NORMALISED, .transposed = true}; /* takes most */
    const struct gm_gemm_product p = {m, n, k, &packed, &packed, NULL};
    const struct direct d = share_out(context, &p, row_grain, gm_gemm_threads(context, m, n, k));
    return gm_workspace_bytes((size_t)(context->threads * (d.packed_a + d.panel)) * sizeof(float)) +
           partial_bytes(&d, m, n);
}

void gm_gemm_direct_run_serially(const gm_context *context, const struct gm_gemm_product *p, float *workspace)
{
    const bool one_chunk = is_one_chunk(context, p, 1);
    struct direct d = one_chunk ? single(context, p) : share_out(context, p, 1, 1);
    d.workspace = workspace;
    if (one_chunk)
        multiply(&d, 0, 0, p->m, 0, p->n, workspace);
    else
        gm_run_serially(d.row_chunks * d.col_chunks, multiply_chunk, &d);
}

size_t gm_gemm_direct_serial_workspace(const gm_context *context, int64_t m, int64_t n, int64_t k)
{
    const struct gm_gemm_source packed = {.kind = GM_GEMM_NORMALISED, .transposed = true}; /* takes most */
    const struct gm_gemm_product p = {m, n, k, &packed, &packed, NULL};
    const struct direct d = share_out(context, &p, 1, 1);
    return gm_workspace_bytes((size_t)(d.packed_a + d.panel) * sizeof(float));
}
