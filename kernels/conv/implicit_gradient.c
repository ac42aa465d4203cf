/* The weight gradient: for each tap dy^T (out_channels x pixels) times the pixels of x that the tap meets. dy lies in
 * panels of a tile's rows, x in panels of channels. In both, the images of a unit are interleaved, so that the pixels
 * of one row of outputs, without those whose tap meets padding, follow each other in all of them: one product is a row
 * of all images. */
#include <string.h>

#include "conv/implicit.h"

/* Floats of copied x and of copied dy, together most of a second-level cache; pixels that are worth an update of the
 * sums; chunks to share among threads; output and input channels of a chunk. */
enum { COPY_FLOATS = 3 << 15, RUN = 128, PART_PIXELS = 512, LEAST_CHUNKS = 16, BLOCK = 128, BLOCK_1X1 = 512 };

struct job {
    const struct gm_conv_kernels *copy;
    const struct gm_gemm_kernels *gemm;
    const struct gm_conv_call *call;
    struct gm_conv_window w;
    int64_t groups;
    struct gm_conv_cut cut; /* into units, */

    int64_t images, rows, cols; /* of at most so many images, rows and columns of outputs */
    int64_t units, parts;       /* sums over units that are added in order */
    int64_t out_block, in_block, out_blocks, in_blocks;

    int64_t row_step, phases, phase_cols; /* of copied x: [panel][row][phase][col][image][channel] */
    int64_t x_panel, x_floats;
    int64_t dy_panel, dy_floats; /* of copied dy: [tile][row][col][image][channel] */

    float *copies; /* for each thread x_floats and dy_floats */
    int64_t slots;
    float *sums; /* [slots, taps, panels of in_block, out_block, nr] */
};

struct chunk {
    int64_t part, first_out, outs, first_in, ins;
};

static struct chunk chunk_at(const struct job *job, int64_t i)
{
    struct chunk c = {0};
    c.first_in = i % job->in_blocks * job->in_block;
    c.ins = gm_min_i64(job->in_block, job->w.channels - c.first_in);
    i /= job->in_blocks;
    c.first_out = i % job->out_blocks * job->out_block;
    c.outs = gm_min_i64(job->out_block, job->w.cols - c.first_out);
    c.part = i / job->out_blocks;
    return c;
}

static int64_t chunks_of(const struct job *job)
{
    return job->parts * job->out_blocks * job->in_blocks;
}

static int64_t taps_of(const struct gm_conv_window *w)
{
    return w->kernel_height * w->kernel_width;
}

/* Floats of the sums of one tap and one panel of channels, whose rows follow each other to lie in all sets of the
 * caches; of one chunk. */
static int64_t panel_floats(const struct job *job)
{
    return job->out_block * job->gemm->nr;
}

static int64_t chunk_floats(const struct job *job)
{
    const int64_t panels = gm_ceil_div(job->in_block, job->gemm->nr);
    return gm_round_up(taps_of(&job->w) * panels * panel_floats(job), GM_CACHE_LINE / (int64_t)sizeof(float));
}

/* Sums of a chunk that are one of several parts stay until all are there; those of a whole are the weights, and
 * make room for the next chunk's. */
static int64_t slots_of(const struct job *job, int64_t threads)
{
    return job->parts > 1 ? chunks_of(job) : gm_min_i64(threads, chunks_of(job));
}

/* Pixels that the columns of a row reach beyond the last one's first. */
static int64_t reach_of(const struct gm_conv_window *w)
{
    return (w->kernel_width - 1) / w->stride;
}

/* Channels of a chunk: as many as pay for their copying, unless chunks were too few with the parts that the pixels
 * allow. */
static void cut_channels(struct job *job)
{
    const struct gm_conv_window *w = &job->w;
    const int64_t pixels = w->batch * w->out_height * w->out_width, least = 128, nr = job->gemm->nr;
    const int64_t most = taps_of(w) == 1 ? BLOCK_1X1 : BLOCK;
    const int64_t parts = gm_max_i64(1, gm_min_i64(pixels / PART_PIXELS, LEAST_CHUNKS));
    job->out_block = gm_min_i64(most, w->cols);
    job->in_block = gm_min_i64(gm_round_up(most, nr), w->channels);
    for (;;) {
        job->out_blocks = gm_ceil_div(w->cols, job->out_block);
        job->in_blocks = gm_ceil_div(w->channels, job->in_block);
        const int64_t blocks = job->out_blocks * job->in_blocks;
        job->parts = gm_min_i64(parts, gm_ceil_div(LEAST_CHUNKS, blocks));
        if (2 * job->parts * blocks >= LEAST_CHUNKS || gm_max_i64(job->out_block, job->in_block) < 2 * least)
            return;
        if (job->out_block >= job->in_block)
            job->out_block /= 2;
        else
            job->in_block = gm_round_up(job->in_block / 2, nr);
    }
}

/* All of this decides bits, and is a function of the shape and the instruction set. */
static void cut(struct job *job)
{
    const struct gm_conv_window *w = &job->w;
    const int64_t nr = job->gemm->nr, reach = reach_of(w);
    cut_channels(job);
    job->row_step = w->kernel_height == 1 ? 1 : w->stride;
    job->phases = gm_min_i64(w->stride, w->kernel_width);

    const int64_t pixels = COPY_FLOATS / gm_max_i64(gm_round_up(job->in_block, nr) * job->phases, job->out_block);
    const int64_t most = gm_max_i64(1, pixels / w->kernel_height - reach);
    job->cols = gm_min_i64(w->out_width, gm_min_i64(most, job->gemm->depth));
    job->images = gm_min_i64(gm_ceil_div(RUN, job->cols), job->cut.images_a_group);
    job->images = gm_max_i64(1, gm_min_i64(job->images, most / job->cols));
    const int64_t rows = pixels / ((job->cols + reach) * job->images);
    job->rows = gm_max_i64(1, gm_min_i64((rows - w->kernel_height) / job->row_step + 1, w->out_height));
    job->cut.image_parts = gm_ceil_div(job->cut.images_a_group, job->images);
    job->cut.row_parts = gm_ceil_div(w->out_height, job->rows);
    job->cut.col_parts = gm_ceil_div(w->out_width, job->cols);
    job->units = job->groups * job->cut.image_parts * job->cut.row_parts * job->cut.col_parts;
    job->parts = gm_min_i64(job->parts, job->units);
}

static void lay_out(struct job *job)
{
    const struct gm_conv_window *w = &job->w;
    const int64_t mr = job->gemm->mr, nr = job->gemm->nr, line = GM_CACHE_LINE / (int64_t)sizeof(float);
    const int64_t rows_in = (job->rows - 1) * job->row_step + w->kernel_height;
    job->phase_cols = job->cols + reach_of(w);
    job->x_panel = rows_in * job->phases * job->phase_cols * job->images * nr;
    job->x_floats = gm_round_up(job->x_panel * gm_ceil_div(job->in_block, nr), line);
    job->dy_panel = job->rows * job->cols * job->images * mr;
    job->dy_floats = gm_round_up(job->dy_panel * gm_gemm_row_tiles(job->out_block, mr) + mr, line);
}

static struct job make_job(const gm_conv_plan *plan, const struct gm_conv_call *call)
{
    struct job job = {.gemm = plan->gemm, .call = call, .groups = plan->options.groups};
    job.w = gm_conv_window_make(plan, GM_CONV_FORWARD, 0);
    job.cut.images_a_group = job.w.batch / job.groups;
    cut(&job);
    lay_out(&job);
    return job;
}

/* Floats of one pixel of the panel that begins with channel `in` of a chunk. */
static int64_t panel_cols(const struct job *job, const struct chunk *c, int64_t in)
{
    return gm_min_i64(job->gemm->nr, c->ins - in);
}

static int64_t panel_pixel(const struct job *job, const struct chunk *c, int64_t in)
{
    return gm_round_up(panel_cols(job, c, in), job->gemm->slack);
}

/* The places [first, last) among `count` that come from inside: start + place * step in [0, size). */
struct range {
    int64_t first, last;
};

static struct range inside(int64_t start, int64_t step, int64_t count, int64_t size)
{
    struct range r = {start < 0 ? gm_ceil_div(-start, step) : 0, start < size ? gm_ceil_div(size - start, step) : 0};
    r.first = gm_min_i64(r.first, count);
    r.last = gm_max_i64(r.first, gm_min_i64(r.last, count));
    return r;
}

/* Pixels into the panels of a chunk, `images` apart: full panels, then the last one, whose pixels are shorter. place:
 * of the first pixel. */
static void copy_to_panels(const struct job *job, const struct chunk *c, struct gm_conv_copy copy, int64_t images,
                           int64_t place, float *panels)
{
    const int64_t nr = job->gemm->nr, full = c->ins / nr * nr;
    if (full > 0) {
        struct gm_conv_copy whole = copy;
        whole.cols = full;
        whole.out = panels + place * nr;
        whole.ldout = images * nr;
        whole.panel_cols = nr;
        whole.panel = job->x_panel;
        job->copy->copy(&whole);
    }
    if (full < c->ins) {
        const int64_t pixel = panel_pixel(job, c, full);
        copy.cols = c->ins - full;
        copy.x += full;
        copy.scale = copy.scale ? copy.scale + full : NULL;
        copy.shift = copy.shift ? copy.shift + full : NULL;
        copy.out = panels + full / nr * job->x_panel + place * pixel;
        copy.ldout = images * pixel;
        copy.padded = true;
        job->copy->copy(&copy);
    }
}

/* Row h of one image, which is row r of the copy. */
static void copy_x_row(const struct job *job, const struct chunk *c, const struct gm_conv_piece *u, int64_t image,
                       int64_t h, int64_t r, float *x)
{
    const struct gm_conv_window *w = &job->w;
    const struct gm_conv_source *s = &job->call->source;
    const int64_t line = u->group * w->channels + c->first_in;
    for (int64_t phase = 0; phase < job->phases; phase++) {
        const int64_t start = u->col * w->stride - w->left + phase;
        const struct range cols = inside(start, w->stride, u->cols + reach_of(w), w->width);
        const int64_t pixel = ((u->image + image) * w->height + h) * w->width + start + cols.first * w->stride;
        const struct gm_conv_copy copy = {
            .pixels = cols.last - cols.first,
            .x = s->x + pixel * s->ldx + c->first_in,
            .ldx = w->stride * s->ldx,
            .scale = s->input.scale ? s->input.scale + line : NULL,
            .shift = s->input.scale ? s->input.shift + line : NULL,
            .relu = s->input.relu,
        };
        const int64_t place = ((r * job->phases + phase) * job->phase_cols + cols.first) * u->images + image;
        if (cols.first < cols.last)
            copy_to_panels(job, c, copy, u->images, place, x);
    }
}

static void copy_x(const struct job *job, const struct chunk *c, const struct gm_conv_piece *u, float *x)
{
    const struct gm_conv_window *w = &job->w;
    const int64_t rows = (u->rows - 1) * job->row_step + w->kernel_height, skip = w->stride / job->row_step;
    for (int64_t image = 0; image < u->images; image++) {
        for (int64_t r = 0; r < rows; r++) {
            const int64_t h = u->row * w->stride - w->top + r * skip;
            if (0 <= h && h < w->height)
                copy_x_row(job, c, u, image, h, r, x);
        }
    }
}

/* A row of outputs of one image. Tiles share the channels evenly: the first ones have one more. */
static void copy_dy_row(const struct job *job, const struct chunk *c, const float *dy, int64_t pixels, int64_t images,
                        float *panels)
{
    const int64_t tiles = gm_gemm_row_tiles(c->outs, job->gemm->mr), rows = c->outs / tiles, longer = c->outs % tiles;
    struct gm_conv_copy copy = {
        .pixels = pixels,
        .cols = longer * (rows + 1),
        .x = dy + c->first_out,
        .ldx = job->call->lddy,
        .out = panels,
        .ldout = images * job->gemm->mr,
        .panel_cols = rows + 1,
        .panel = job->dy_panel,
    };
    if (longer > 0)
        job->copy->copy(&copy);
    copy.x += copy.cols;
    copy.out += longer * job->dy_panel;
    copy.cols = (tiles - longer) * rows;
    copy.panel_cols = rows;
    job->copy->copy(&copy);
}

static void copy_dy(const struct job *job, const struct chunk *c, const struct gm_conv_piece *u, float *dy)
{
    const struct gm_conv_window *w = &job->w;
    for (int64_t image = 0; image < u->images; image++) {
        for (int64_t r = 0; r < u->rows; r++) {
            const int64_t row = ((u->image + image) * w->out_height + u->row + r) * w->out_width + u->col;
            copy_dy_row(job, c, job->call->dy + row * job->call->lddy, u->cols, u->images,
                        dy + (r * u->cols * u->images + image) * job->gemm->mr);
        }
    }
}

/* One tap of a unit and one panel of channels: where its pixels lie. */
struct tap {
    int64_t row;               /* of the window */
    struct range cols;         /* of outputs that it meets the image for */
    int64_t x_row, pixel, ins; /* floats of a row and of a pixel of the panel; its columns */
    const float *x;            /* row 0 of the copy, the first of these pixels */
    float *sums;               /* [outs, nr] */
};

/* Adds a row of pixels that a tap meets to its sums. */
static void add_row(const struct job *job, int64_t outs, const struct tap *tap, int64_t run, const float *dy,
                    const float *x)
{
    const int64_t blocks = gm_ceil_div(run, job->gemm->depth);
    for (int64_t i = 0; i < blocks; i++) {
        const int64_t begin = gm_gemm_share(run, blocks, i);
        const struct gm_gemm_block block = {
            .rows = outs,
            .cols = tap->ins,
            .depth = gm_gemm_share(run, blocks, i + 1) - begin,
            .a = dy + begin * job->gemm->mr,
            .a_panel = job->dy_panel,
            .b = x + begin * tap->pixel,
            .c = tap->sums,
            .ldc = job->gemm->nr,
            .alpha = 1.0f,
            .beta = 1.0f,
            .skip_from = INT64_MAX / 2,
        };
        job->gemm->multiply(&block);
    }
}

static void add_tap(const struct job *job, const struct chunk *c, const struct gm_conv_piece *u, const struct tap *tap,
                    const float *dy)
{
    const struct gm_conv_window *w = &job->w;
    const int64_t run = (tap->cols.last - tap->cols.first) * u->images;
    for (int64_t r = 0; r < u->rows && run > 0; r++) {
        const int64_t h = (u->row + r) * w->stride - w->top + tap->row;
        if (0 <= h && h < w->height)
            add_row(job, c->outs, tap, run, dy + (r * u->cols + tap->cols.first) * u->images * job->gemm->mr,
                    tap->x + (r * job->row_step + tap->row) * tap->x_row);
    }
}

static void add_unit(const struct job *job, const struct chunk *c, const struct gm_conv_piece *u, float *copies,
                     float *sums)
{
    const struct gm_conv_window *w = &job->w;
    const int64_t panels = gm_ceil_div(job->in_block, job->gemm->nr);
    float *const x = copies, *const dy = copies + job->x_floats;
    copy_x(job, c, u, x);
    copy_dy(job, c, u, dy);
    for (int64_t in = 0; in < c->ins; in += job->gemm->nr) {
        const int64_t pixel = panel_pixel(job, c, in);
        for (int64_t t = 0; t < taps_of(w); t++) {
            const int64_t j = t % w->kernel_width;
            const struct range cols = inside(u->col * w->stride - w->left + j, w->stride, u->cols, w->width);
            const int64_t place = j % w->stride * job->phase_cols + j / w->stride + cols.first;
            const struct tap tap = {
                .row = t / w->kernel_width,
                .cols = cols,
                .x_row = job->phases * job->phase_cols * u->images * pixel,
                .pixel = pixel,
                .ins = panel_cols(job, c, in),
                .x = x + in / job->gemm->nr * job->x_panel + place * u->images * pixel,
                .sums = sums + (t * panels + in / job->gemm->nr) * panel_floats(job),
            };
            add_tap(job, c, u, &tap, dy);
        }
    }
}

static int64_t copies_floats(const struct job *job)
{
    return job->x_floats + job->dy_floats;
}

/* Output channel o of a chunk: its parts, in their order, are added to the first, whose taps become neighbours. */
static void merge(const struct job *job, const struct chunk *c, int64_t o, float *first)
{
    const int64_t taps = taps_of(&job->w), nr = job->gemm->nr, panels = gm_ceil_div(job->in_block, nr);
    const int64_t part = job->out_blocks * job->in_blocks * chunk_floats(job), tap = panels * panel_floats(job);
    float *out = job->call->dweight + ((c->first_out + o) * job->w.channels + c->first_in) * taps;
    for (int64_t in = 0; in < c->ins; in += nr) {
        float *const sums = first + in / nr * panel_floats(job) + o * nr;
        for (int64_t i = 1; i < job->parts; i++)
            for (int64_t t = 0; t < taps; t++)
                for (int64_t k = 0; k < nr; k++)
                    sums[t * tap + k] += sums[i * part + t * tap + k];
        for (int64_t k = 0; k < gm_min_i64(nr, c->ins - in); k++)
            for (int64_t t = 0; t < taps; t++)
                *out++ = sums[t * tap + k];
    }
}

static void run_chunk(void *arg, int64_t index, int worker)
{
    const struct job *job = arg;
    const struct chunk c = chunk_at(job, index);
    float *const sums = job->sums + (job->slots < chunks_of(job) ? worker : index) * chunk_floats(job);
    memset(sums, 0, (size_t)chunk_floats(job) * sizeof(float));
    for (int64_t i = gm_gemm_share(job->units, job->parts, c.part);
         i < gm_gemm_share(job->units, job->parts, c.part + 1); i++) {
        const struct gm_conv_piece u = gm_conv_piece_at(&job->w, &job->cut, i);
        add_unit(job, &c, &u, job->copies + worker * copies_floats(job), sums);
    }
    for (int64_t o = 0; o < c.outs && job->parts == 1; o++)
        merge(job, &c, o, sums);
}

/* One output channel of several parts. */
static void merge_parts(void *arg, int64_t o, int worker)
{
    (void)worker;
    const struct job *job = arg;
    for (int64_t i = 0; i < job->in_blocks; i++) {
        const int64_t index = o / job->out_block * job->in_blocks + i;
        const struct chunk c = chunk_at(job, index);
        merge(job, &c, o - c.first_out, job->sums + index * chunk_floats(job));
    }
}

static size_t copies_bytes(const gm_context *context, const struct job *job)
{
    return gm_workspace_bytes((size_t)(context->threads * copies_floats(job)) * sizeof(float));
}

static size_t sums_bytes(const gm_context *context, const struct job *job)
{
    return gm_workspace_bytes((size_t)(slots_of(job, context->threads) * chunk_floats(job)) * sizeof(float));
}

/* Whether all pixels of dy and x, as they are stored, are the two operands of one product. */
static bool is_product(const gm_conv_plan *plan)
{
    const gm_conv_shape *s = &plan->shape;
    return s->kernel_height * s->kernel_width == 1 && s->stride == 1 && s->padding == 0;
}

static size_t workspace(const gm_context *context, const gm_conv_plan *plan, gm_conv_pass pass)
{
    (void)pass;
    const gm_conv_shape *s = &plan->shape;
    const struct job job = make_job(plan, NULL);
    const size_t bytes = copies_bytes(context, &job) + sums_bytes(context, &job);
    if (!is_product(plan))
        return bytes;
    const size_t product =
        gm_gemm_run_workspace(context, s->out_channels, s->in_channels, gm_conv_in_rows(s), GM_GEMM_STORE);
    return product > bytes ? product : bytes;
}

/* dy^T x, whose tiles read memory ahead while they compute; a copy would wait for it. */
static void run_product(gm_context *context, const struct gm_conv_call *call)
{
    const gm_conv_shape *s = &call->plan->shape;
    const struct gm_gemm_source dy = {.transposed = true, .data = call->dy, .ld = call->lddy};
    const struct gm_gemm_source x = {.data = call->source.x, .ld = call->source.ldx};
    const struct gm_gemm_epilogue store = {.c = call->dweight, .ldc = s->in_channels, .alpha = 1.0f};
    gm_gemm_run(context, s->out_channels, s->in_channels, gm_conv_in_rows(s), &dy, &x, &store);
}

static gm_status run(gm_context *context, const struct gm_conv_call *call)
{
    const gm_conv_input *input = &call->source.input;
    if (is_product(call->plan) && !input->scale && !input->relu) {
        run_product(context, call);
        return GM_OK;
    }
    struct job job = make_job(call->plan, call);
    const size_t mark = gm_workspace_mark(context);
    job.copy = context->kernels.conv;
    job.copies = gm_workspace_take(context, copies_bytes(context, &job));
    job.slots = slots_of(&job, context->threads);
    job.sums = gm_workspace_take(context, sums_bytes(context, &job));
    gm_parallel(context, chunks_of(&job), run_chunk, &job);
    if (job.parts > 1)
        gm_parallel(context, job.w.cols, merge_parts, &job);
    gm_workspace_release(context, mark);
    return GM_OK;
}

const struct gm_conv_algorithm gm_conv_implicit_gradient = {
    "implicit gemm", workspace, NULL, NULL, run,
};
