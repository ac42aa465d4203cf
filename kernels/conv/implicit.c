/* Forward and data gradient: rows of pixels, where they lie or copied with what the input asks for, times panels of
 * weights. A kernel row of a pixel's patch is contiguous, and the next pixel's begins a stride further, so the products
 * read patches as rows of a matrix that nobody writes. */
#include "conv/implicit.h"

#include <string.h>

#include "column_stats/column_stats.h"

/* Floats of a copied band, half of a second-level cache, and chunks to share among threads. */
enum { BAND_FLOATS = 1 << 17, LEAST_CHUNKS = 16 };

/* In maps no wider than this a product's rows may be the same pixel of at least so many images: where padding is worth
 * skipping, and where k is more than one block and tiles of neighbours would have fewer rows than these, too few sums
 * for the latency of multiply-adds. */
enum { NARROW = 8, NARROW_IMAGES = 7, LEAST_TILE_ROWS = 5 };

/* Where threads write next to each other they would take the line from each other's caches. */
enum { HELD_APART = GM_CACHE_LINE / sizeof(int64_t) };

/* A vector: apart by this much more, rows a multiple of 4 KiB apart do not share a set of the first-level cache. */
enum { CLASH = 1024, APART = 16 };

struct job {
    const struct gm_conv_kernels *copy;
    const struct gm_gemm_kernels *gemm;
    const struct gm_column_stats_kernels *stats;
    const struct gm_conv_call *call;
    struct gm_conv_window w, from; /* what is multiplied, and what the source is: not the same with patches */
    bool patches;
    int64_t groups;
    struct gm_conv_cut cut;
    bool in_place; /* the products read the source itself */
    bool narrow;

    int64_t images, rows, cols; /* of a chunk, at most */
    int64_t panel_chunks;       /* chunks share the columns of the result, too */

    /* The band of a chunk: from one output to the next, and all of it. */
    int64_t row_step, col_step, pixel, span, band_rows, image, band_floats;
    int64_t lines, ldlines; /* of rows to make patches of: where they begin in it, and how far they are apart */

    float *bands;           /* [threads, band_floats] */
    int64_t *held;          /* for each thread, HELD_APART apart: the slot whose band it holds, or -1 */
    double *mean, *squares; /* [chunks of pixels, cols] */
    bool not_finite;
};

struct chunk {
    struct gm_conv_piece piece;
    int64_t slot, first_col, last_col;
};

static int64_t pixel_chunks(const struct job *job)
{
    return job->groups * job->cut.image_parts * job->cut.row_parts * job->cut.col_parts;
}

static struct chunk chunk_at(const struct job *job, int64_t index)
{
    struct chunk c = {.slot = index / job->panel_chunks};
    const int64_t nr = job->gemm->nr, panels = gm_ceil_div(job->w.cols, nr), panel_chunk = index % job->panel_chunks;
    c.first_col = gm_gemm_share(panels, job->panel_chunks, panel_chunk) * nr;
    c.last_col = gm_min_i64(gm_gemm_share(panels, job->panel_chunks, panel_chunk + 1) * nr, job->w.cols);
    c.piece = gm_conv_piece_at(&job->w, &job->cut, c.slot);
    return c;
}

static bool has_one_tap(const struct gm_conv_window *w)
{
    return w->kernel_height == 1 && w->kernel_width == 1;
}

/* No row, column, or line is made up. Pixels that a stride leaves out are not skipped in place: copied, those that are
 * met become one row (join_rows()). */
static bool may_stay_in_place(const struct gm_conv_call *call, const struct gm_conv_window *w)
{
    const struct gm_conv_source *s = &call->source;
    const bool inside = w->top <= 0 && w->left <= 0 &&
                        (w->out_height - 1) * w->stride - w->top + w->kernel_height <= w->height &&
                        (w->out_width - 1) * w->stride - w->left + w->kernel_width <= w->width;
    const bool skips = w->stride > 1 && has_one_tap(w);
    return inside && !skips && !s->input.scale && !s->input.relu && (w->kernel_width == 1 || s->ldx == w->channels);
}

/* Where pixels follow each other in the band. A single tap needs only the pixels that it meets. */
static void lay_out_band(struct job *job)
{
    const struct gm_conv_window *w = &job->w;
    job->col_step = w->kernel_width == 1 ? 1 : w->stride;
    job->row_step = w->kernel_height == 1 ? 1 : w->stride;
    job->pixel = w->channels + (job->col_step * w->channels % CLASH == 0 && w->kernel_width == 1 ? APART : 0);
}

static void measure_band(struct job *job)
{
    job->span = (job->cols - 1) * job->col_step + job->w.kernel_width;
    job->band_rows = (job->rows - 1) * job->row_step + job->w.kernel_height;
    job->image = job->span * job->band_rows * job->pixel;
    job->image += job->narrow && job->image % CLASH == 0 ? APART : 0;
    const int64_t slack = job->patches ? job->gemm->slack : 0;
    job->ldlines = job->patches ? gm_conv_line_floats(&job->from, job->gemm, job->cols) : 0;
    job->band_floats = gm_round_up(job->image * job->images + slack, GM_CACHE_LINE / (int64_t)sizeof(float));
    job->lines = job->band_floats;
    job->band_floats += job->from.kernel_height * job->ldlines;
}

/* The most outputs of one direction whose inputs fit in `units`. */
static int64_t fit(int64_t units, int64_t kernel, int64_t step, int64_t most)
{
    return gm_max_i64(1, gm_min_i64(most, (units - kernel) / step + 1));
}

/* The taps [first, last) of an output at `place` that meet the image. */
struct taps {
    int64_t first, last;
};

static struct taps taps_inside(int64_t place, int64_t stride, int64_t before, int64_t kernel, int64_t size)
{
    const int64_t start = place * stride - before;
    const struct taps taps = {gm_max_i64(0, -start), gm_min_i64(kernel, size - start)};
    return taps;
}

/* Whether at least a twentieth of the taps meets padding on the left and on the right. */
static bool padding_is_worth_skipping(const struct gm_conv_window *w)
{
    int64_t skipped = 0;
    for (int64_t q = 0; q < w->out_width; q++) {
        const struct taps taps = taps_inside(q, w->stride, w->left, w->kernel_width, w->width);
        skipped += w->kernel_width - gm_max_i64(0, taps.last - taps.first);
    }
    return 20 * skipped >= w->out_width * w->kernel_width;
}

/* Rows of a single tap may be joined (join_rows()), which fills tiles, too. */
static bool is_narrow(const struct job *job)
{
    const struct gm_conv_window *w = &job->w;
    const bool joined = has_one_tap(w) && w->out_row == w->out_width * w->out_pixel;
    const bool few_rows = w->out_width < LEAST_TILE_ROWS * gm_gemm_row_tiles(w->out_width, job->gemm->mr);
    const bool short_tiles = !joined && few_rows && gm_conv_window_depth(w) > job->gemm->depth;
    return w->out_width <= NARROW && job->cut.images_a_group >= NARROW_IMAGES &&
           (short_tiles || padding_is_worth_skipping(w));
}

/* Of the shape alone: statistics are taken chunk by chunk. */
static void cut(struct job *job)
{
    const struct gm_conv_window *w = &job->w;
    const int64_t per_image = gm_max_i64(1, LEAST_CHUNKS / w->batch);
    job->images = 1;
    job->rows = w->out_height;
    job->cols = w->out_width;
    const int64_t span = (job->cols - 1) * job->col_step + w->kernel_width;
    const int64_t rows = BAND_FLOATS / (span * job->pixel);
    const int64_t whole = (job->rows - 1) * job->row_step + w->kernel_height;
    if (rows < w->kernel_height || w->out_height == 1) {
        const int64_t cols = BAND_FLOATS / (w->kernel_height * job->pixel);
        job->rows = 1;
        job->cols = fit(cols, w->kernel_width, job->col_step, job->cols);
        job->cols = gm_max_i64(job->cols, gm_min_i64(job->gemm->mr, w->out_width));
        job->cols = gm_min_i64(job->cols, gm_max_i64(4 * job->gemm->mr, gm_ceil_div(w->out_width, per_image)));
    } else if (rows < 2 * whole || per_image > 1) {
        job->rows = fit(rows, w->kernel_height, job->row_step, job->rows);
        job->rows = gm_min_i64(job->rows, gm_max_i64(4, gm_ceil_div(w->out_height, per_image)));
    } else {
        job->images =
            gm_min_i64(gm_min_i64(rows / whole, job->cut.images_a_group), gm_ceil_div(w->batch, LEAST_CHUNKS));
    }
    job->narrow = is_narrow(job);
    if (job->narrow) {
        job->rows = w->out_height;
        job->images = gm_min_i64(job->cut.images_a_group, job->gemm->mr);
    }
    job->cut.image_parts = gm_ceil_div(job->cut.images_a_group, job->images);
    job->cut.row_parts = gm_ceil_div(w->out_height, job->rows);
    job->cut.col_parts = gm_ceil_div(w->out_width, job->cols);
    const int64_t wanted = gm_ceil_div(LEAST_CHUNKS, pixel_chunks(job));
    job->panel_chunks = gm_min_i64(wanted, gm_ceil_div(w->cols, job->gemm->nr));
}

static struct job make_job(const struct gm_conv_plan *plan, const struct gm_conv_call *call,
                           const struct gm_conv_window *w)
{
    struct job job = {.gemm = plan->gemm, .call = call, .w = *w, .from = *w, .groups = plan->options.groups};
    job.patches = gm_conv_copies_patches(w, plan->gemm);
    if (job.patches)
        job.w = gm_conv_patch_window(w);
    job.cut.images_a_group = w->batch / job.groups;
    lay_out_band(&job);
    cut(&job);
    measure_band(&job);
    job.in_place = !job.narrow && !job.patches && may_stay_in_place(call, w);
    return job;
}

/* Fills the band of a piece: rows of the image, or patches. */
static void copy_band(const struct job *job, const struct gm_conv_piece *c, float *band)
{
    const struct gm_conv_window *from = &job->from, *w = &job->w;
    const struct gm_conv_reader reader = {job->copy, from, &job->call->source, c->group};
    if (job->patches) {
        for (int64_t i = 0; i < c->images; i++)
            for (int64_t r = 0; r < c->rows; r++)
                gm_conv_copy_patches(&reader, c->image + i, c->row + r, c->col, c->cols, band + job->lines,
                                     job->ldlines, band + i * job->image + r * job->span * job->pixel);
        return;
    }
    const int64_t skip = w->stride / job->row_step, rows = (c->rows - 1) * job->row_step + w->kernel_height;
    const struct gm_conv_span span = {c->col * w->stride - w->left, (c->cols - 1) * job->col_step + w->kernel_width,
                                      w->stride / job->col_step};
    for (int64_t i = 0; i < c->images; i++) {
        for (int64_t r = 0; r < rows; r++) {
            const int64_t h = c->row * w->stride - w->top + r * skip;
            if (0 <= h && h < w->height)
                gm_conv_copy_row(&reader, c->image + i, h, &span, band + i * job->image + r * job->span * job->pixel,
                                 job->pixel);
        }
    }
}

/* Where the products find kernel row i of output (n, r, c) of a chunk: origin + n image + r row + i tap_row + c col. */
struct view {
    const float *origin;
    int64_t image, row, tap_row, col;
};

static struct view view_of(const struct job *job, const struct gm_conv_piece *c, const float *band)
{
    const struct gm_conv_window *w = &job->w;
    const struct gm_conv_source *s = &job->call->source;
    if (job->in_place) {
        const int64_t row = w->width * s->ldx, h = c->row * w->stride - w->top, left = c->col * w->stride - w->left;
        return (struct view){s->x + ((c->image * w->height + h) * w->width + left) * s->ldx, w->height * row,
                             w->stride * row, row, w->stride * s->ldx};
    }
    const int64_t row = job->span * job->pixel;
    return (struct view){band, job->image, job->row_step * row, row, job->col_step * job->pixel};
}

/* Rows of a single tap that follow each other in A and in C are one row, so that tiles go on from one to the next. */
static void join_rows(const struct gm_conv_window *w, const struct view *v, struct gm_conv_piece *c)
{
    const bool inside = w->top <= 0 && (w->out_height - 1) * w->stride - w->top < w->height;
    if (!has_one_tap(w) || !inside)
        return;
    if (v->row != c->cols * v->col || w->out_row != c->cols * w->out_pixel)
        return;
    c->cols *= c->rows;
    c->rows = 1;
    if (v->image != c->cols * v->col || w->out_image != c->cols * w->out_pixel)
        return;
    c->cols *= c->images;
    c->images = 1;
}

/* One panel of the result of a chunk. */
struct panel {
    const struct job *job;
    const struct chunk *chunk;
    struct view view;
    int64_t col, cols, depth;
    const float *b;
    const float *bias;     /* of its columns */
    const float *residual; /* like out, or NULL */
    float *out;            /* of the chunk's first pixel and the panel's first column */
};

static int64_t out_row(const struct gm_conv_window *w, int64_t image, int64_t row, int64_t col)
{
    return image * w->out_image + row * w->out_row + col * w->out_pixel;
}

/* `rows` rows of A, and those of the next product, or NULL. All k of a panel are read in blocks, one behind the other
 * in memory, and each by `turns` products: this is number `turn`, and asks for its share of what the next block reads.
 */
struct pixels {
    int64_t rows;
    const float *a, *next_a;
    int64_t lda;
    int64_t turn, turns;
};

/* As many rows of C, `step` apart, the first of them row `at` behind the panel's: adds k [before, before + depth) of
 * the panel. first, last: of these rows' sums; the first is added to the residual. */
static void multiply(const struct panel *p, struct pixels pixels, int64_t before, int64_t depth, bool first, bool last,
                     int64_t at, int64_t step)
{
    const struct gm_conv_call *call = p->job->call;
    const struct gm_gemm_finish finish = {.bias = p->bias, .relu = call->relu};
    const int64_t width = gm_round_up(p->cols, p->job->gemm->slack);
    const int64_t ahead = pixels.turns ? gm_ceil_div(depth * width, pixels.turns) : 0;
    const struct gm_gemm_block block = {
        .rows = pixels.rows,
        .cols = p->cols,
        .depth = depth,
        .a = pixels.a,
        .lda = pixels.lda,
        .next_a = pixels.next_a,
        .b = p->b,
        .b_others = p->depth - depth,
        .b_before = before,
        .next_b = pixels.turns ? p->b + (before + depth) * width + ahead * pixels.turn : NULL,
        .next_floats = ahead,
        .c = p->out + at * call->ldout,
        .ldc = step * call->ldout,
        .old = first && p->residual ? p->residual + at * call->ldresidual : NULL,
        .ldold = step * call->ldresidual,
        .alpha = 1.0f,
        .beta = first && !call->residual ? call->beta : 1.0f,
        .skip_from = INT64_MAX / 2,
        .finish = last && (p->bias || call->relu) ? &finish : NULL,
    };
    p->job->gemm->multiply(&block);
}

/* The result of pixels that no tap meets. */
static void multiply_nothing(const struct panel *p, int64_t rows, int64_t at, int64_t step)
{
    const struct pixels none = {rows, p->view.origin, NULL, 1, 0, 0};
    multiply(p, none, 0, 0, true, true, at, step);
}

/* A product's rows are the pixels of one row of an image, and its k [begin, end) of kernel row i. */
static void multiply_rows(const struct panel *p, int64_t i, int64_t begin, int64_t end)
{
    const struct job *job = p->job;
    const struct gm_conv_window *w = &job->w;
    const int64_t row_depth = w->kernel_width * w->channels;
    const struct view *v = &p->view;
    const struct gm_conv_piece *c = &p->chunk->piece;
    for (int64_t n = 0; n < c->images; n++) {
        for (int64_t r = 0; r < c->rows; r++) {
            const struct taps taps = taps_inside(c->row + r, w->stride, w->top, w->kernel_height, w->height);
            const float *a = v->origin + n * v->image + r * v->row + i * v->tap_row + begin;
            const struct pixels pixels = {
                c->cols, a, r + 1 < c->rows ? a + v->row : NULL, v->col, n * c->rows + r, c->images * c->rows};
            const int64_t at = out_row(w, n, r, 0);
            if (taps.first <= i && i < taps.last)
                multiply(p, pixels, i * row_depth + begin, end - begin, i == taps.first && begin == 0,
                         i == taps.last - 1 && end == row_depth, at, w->out_pixel);
            else if (taps.first >= taps.last && i == 0 && begin == 0)
                multiply_nothing(p, c->cols, at, w->out_pixel);
        }
    }
}

/* A product's rows are one pixel of all images of the chunk, and its k what meets the image of k [begin, end) of kernel
 * row i. */
static void multiply_images(const struct panel *p, int64_t i, int64_t begin, int64_t end)
{
    const struct job *job = p->job;
    const struct gm_conv_window *w = &job->w;
    const struct view *v = &p->view;
    const struct gm_conv_piece *c = &p->chunk->piece;
    for (int64_t r = 0; r < c->rows; r++) {
        const struct taps rows = taps_inside(c->row + r, w->stride, w->top, w->kernel_height, w->height);
        for (int64_t q = 0; q < c->cols; q++) {
            const struct taps cols = taps_inside(c->col + q, w->stride, w->left, w->kernel_width, w->width);
            const bool meets = rows.first < rows.last && cols.first < cols.last;
            const int64_t from = gm_max_i64(begin, cols.first * w->channels),
                          to = gm_min_i64(end, cols.last * w->channels), at = out_row(w, 0, r, q);
            const float *a = v->origin + r * v->row + i * v->tap_row + q * v->col + from;
            const float *next_row = r + 1 < c->rows ? a - q * v->col + v->row : NULL;
            const struct pixels pixels = {
                c->images, a, q + 1 < c->cols ? a + v->col : next_row, v->image, r * c->cols + q, c->rows * c->cols};
            if (meets && rows.first <= i && i < rows.last && from < to)
                multiply(p, pixels, i * w->kernel_width * w->channels + from, to - from,
                         i == rows.first && from == cols.first * w->channels,
                         i == rows.last - 1 && to == cols.last * w->channels, at, w->out_image);
            else if (!meets && i == 0 && begin == 0)
                multiply_nothing(p, c->images, at, w->out_image);
        }
    }
}

static void multiply_panel(const struct panel *p)
{
    const struct job *job = p->job;
    const struct gm_conv_window *w = &job->w;
    const int64_t row_depth = w->kernel_width * w->channels;
    for (int64_t i = 0; i < w->kernel_height; i++) {
        const int64_t parts = gm_ceil_div(row_depth, job->gemm->depth);
        for (int64_t part = 0; part < parts; part++) {
            const int64_t begin = gm_gemm_share(row_depth, parts, part),
                          end = gm_gemm_share(row_depth, parts, part + 1);
            if (job->narrow)
                multiply_images(p, i, begin, end);
            else
                multiply_rows(p, i, begin, end);
        }
    }
}

/* The chunk's rows of y follow each other, and are still in a cache. */
static void take_statistics(const struct panel *p)
{
    const struct job *job = p->job;
    const struct chunk *c = p->chunk;
    const int64_t at = c->slot * job->w.cols + p->col;
    job->stats->block(c->piece.images * c->piece.rows * c->piece.cols, p->cols, p->out, job->call->ldout, false,
                      job->mean + at, job->squares + at);
}

static void run_chunk(void *arg, int64_t index, int worker)
{
    const struct job *job = arg;
    const struct gm_conv_call *call = job->call;
    const struct gm_conv_window *w = &job->w;
    struct chunk c = chunk_at(job, index);
    float *band = job->bands + worker * job->band_floats;
    int64_t *const held = job->held + worker * HELD_APART;
    if (!job->in_place && *held != c.slot)
        copy_band(job, &c.piece, band);
    *held = c.slot;
    struct panel p = {.job = job, .chunk = &c, .view = view_of(job, &c.piece, band), .depth = gm_conv_window_depth(w)};
    const int64_t first = w->out_first + out_row(w, c.piece.image, c.piece.row, c.piece.col);
    join_rows(w, &p.view, &c.piece);
    for (p.col = c.first_col; p.col < c.last_col; p.col += job->gemm->nr) {
        p.cols = gm_min_i64(job->gemm->nr, c.last_col - p.col);
        p.b = call->packed + w->panels + p.col * p.depth;
        p.bias = call->bias ? call->bias + p.col : NULL;
        p.out = call->out + first * call->ldout + p.col;
        p.residual = call->residual ? call->residual + first * call->ldresidual + p.col : NULL;
        multiply_panel(&p);
        if (job->mean)
            take_statistics(&p);
    }
}

/* Columns that one chunk merges. */
enum { MERGE_COLS = 256 };

static void merge_chunk(void *arg, int64_t index, int worker)
{
    (void)worker;
    struct job *job = arg;
    const struct gm_conv_call *call = job->call;
    const int64_t all = job->w.cols, first = index * MERGE_COLS, cols = gm_min_i64(MERGE_COLS, all - first);
    const int64_t slots = pixel_chunks(job) / job->groups;
    bool finite = true;
    for (int64_t group = 0; group < job->groups; group++) {
        double mean[MERGE_COLS], squares[MERGE_COLS];
        int64_t done = 0;
        for (int64_t slot = group * slots; slot < (group + 1) * slots; slot++) {
            const struct chunk c = chunk_at(job, slot * job->panel_chunks);
            const int64_t rows = c.piece.images * c.piece.rows * c.piece.cols;
            gm_column_stats_merge(done, rows, cols, job->mean + slot * all + first, job->squares + slot * all + first,
                                  mean, squares);
            done += rows;
        }
        const int64_t at = group * all + first;
        finite &= gm_column_stats_finish(done, 0, cols, mean, squares, call->mean + at, call->mean_low + at,
                                         call->variance + at);
    }
    if (!finite)
        __atomic_store_n(&job->not_finite, true, __ATOMIC_RELAXED);
}

static size_t statistics_bytes(const struct job *job)
{
    return gm_workspace_bytes((size_t)(pixel_chunks(job) * job->w.cols) * sizeof(double));
}

static size_t bands_bytes(const gm_context *context, const struct job *job)
{
    return gm_workspace_bytes((size_t)(context->threads * job->band_floats) * sizeof(float));
}

static size_t held_bytes(const gm_context *context)
{
    return gm_workspace_bytes((size_t)context->threads * HELD_APART * sizeof(int64_t));
}

/* A phase of a stride may have no outputs, or no taps that meet them. */
static bool has_outputs(const struct gm_conv_window *w)
{
    return w->out_height > 0 && w->out_width > 0;
}

static size_t workspace(const gm_context *context, const gm_conv_plan *plan, gm_conv_pass pass)
{
    size_t most = 0;
    for (int64_t i = 0; i < gm_conv_windows(plan, pass); i++) {
        const struct gm_conv_call call = {.plan = plan};
        const struct gm_conv_window w = gm_conv_window_make(plan, pass, i);
        if (!has_outputs(&w) || gm_conv_window_depth(&w) == 0)
            continue;
        const struct job job = make_job(plan, &call, &w);
        const size_t statistics = pass == GM_CONV_FORWARD ? 2 * statistics_bytes(&job) : 0;
        const size_t bytes = bands_bytes(context, &job) + held_bytes(context) + statistics;
        most = bytes > most ? bytes : most;
    }
    return most;
}

static gm_status run_window(gm_context *context, const struct gm_conv_call *call, const struct gm_conv_window *w)
{
    struct job job = make_job(call->plan, call, w);
    const size_t mark = gm_workspace_mark(context);
    job.copy = context->kernels.conv;
    job.stats = context->kernels.column_stats;
    job.bands = gm_workspace_take(context, bands_bytes(context, &job));
    job.held = gm_workspace_take(context, held_bytes(context));
    for (int32_t i = 0; i < context->threads; i++)
        job.held[i * HELD_APART] = -1;
    if (call->mean) {
        job.mean = gm_workspace_take(context, statistics_bytes(&job));
        job.squares = gm_workspace_take(context, statistics_bytes(&job));
    }
    gm_parallel(context, pixel_chunks(&job) * job.panel_chunks, run_chunk, &job);
    if (call->mean)
        gm_parallel(context, gm_ceil_div(w->cols, MERGE_COLS), merge_chunk, &job);
    gm_workspace_release(context, mark);
    return job.not_finite ? GM_NOT_FINITE : GM_OK;
}

/* Outputs that no tap meets. */
struct cleared {
    const struct gm_conv_call *call;
    const struct gm_conv_window *w;
    int64_t chunks; /* of rows of outputs that follow each other */
};

static void clear_rows(void *arg, int64_t index, int worker)
{
    (void)worker;
    const struct cleared *job = arg;
    const struct gm_conv_window *w = job->w;
    const int64_t rows = w->batch * w->out_height, ldout = job->call->ldout;
    for (int64_t r = gm_gemm_share(rows, job->chunks, index); r < gm_gemm_share(rows, job->chunks, index + 1); r++)
        for (int64_t col = 0; col < w->out_width; col++) {
            const int64_t at = w->out_first + out_row(w, r / w->out_height, r % w->out_height, col);
            memset(job->call->out + at * ldout, 0, (size_t)w->cols * sizeof(float));
        }
}

static gm_status run(gm_context *context, const struct gm_conv_call *call)
{
    gm_status status = GM_OK;
    for (int64_t i = 0; i < gm_conv_windows(call->plan, call->pass); i++) {
        const struct gm_conv_window w = gm_conv_window_make(call->plan, call->pass, i);
        struct cleared cleared = {call, &w, gm_min_i64(LEAST_CHUNKS, w.batch * w.out_height)};
        if (!has_outputs(&w))
            continue;
        if (gm_conv_window_depth(&w) > 0)
            status = run_window(context, call, &w);
        else if (call->beta == 0.0f)
            gm_parallel(context, cleared.chunks, clear_rows, &cleared);
    }
    return status;
}

const struct gm_conv_algorithm gm_conv_implicit = {
    "implicit gemm", workspace, gm_conv_implicit_floats, gm_conv_implicit_pack, run,
};
