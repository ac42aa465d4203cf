/* The weight gradient: for each tap dy^T (out_channels x pixels) times the pixels of x that the tap meets. dy is read
 * by columns, x lies in panels of channels. In both, the images of a unit are interleaved, so that the pixels of one
 * row of outputs, without those whose tap meets padding, follow each other in all of them: one product is a row of all
 * images. */
#include <string.h>

#include "conv/conv.h"
#include "gemm/kernel.h"

/* Floats of copied x and of copied dy, together most of a second-level cache; pixels that are worth an update of the
 * sums; chunks to share among threads; output and input channels of a chunk. */
enum { COPY_FLOATS = 3 << 15, RUN = 128, LEAST_CHUNKS = 16, BLOCK = 128, BLOCK_1X1 = 256 };

/* Keeps pixels of dy from lying in few sets of the first-level cache. */
enum { APART = 16 };

struct job {
    const struct gm_conv_kernels *copy;
    const struct gm_gemm_kernels *gemm;
    const struct gm_conv_call *call;

    /* The shape; a 1x1 kernel without padding and stride does not know rows: an image is as long as a group. */
    int64_t groups, images_a_group, height, width, in_channels, out_height, out_width, out_channels;
    int64_t kernel_height, kernel_width, stride, padding;

    /* A unit: so many images, rows and columns of outputs at most, and how many of each there are. */
    int64_t images, rows, cols, image_units, row_units, col_units;
    int64_t units, parts; /* sums over units that are added in order */
    int64_t out_block, in_block, out_blocks, in_blocks;

    int64_t row_step, phases, phase_cols; /* of copied x: [panel][row][phase][col][image][channel] */
    int64_t x_panel, x_floats;
    int64_t dy_pixel, dy_floats; /* of copied dy: [row][col][image][channel] */

    float *copies; /* [threads, x_floats + dy_floats] */
    float *sums;   /* [parts, taps, out_channels, in_channels] */
};

struct unit {
    int64_t group, image, images, row, rows, col, cols;
};

struct chunk {
    int64_t part, first_out, outs, first_in, ins;
};

static int64_t share(int64_t total, int64_t parts, int64_t i)
{
    return gm_gemm_share(total, parts, i);
}

static struct unit unit_at(const struct job *job, int64_t i)
{
    struct unit u = {0};
    u.col = share(job->out_width, job->col_units, i % job->col_units);
    u.cols = share(job->out_width, job->col_units, i % job->col_units + 1) - u.col;
    i /= job->col_units;
    u.row = share(job->out_height, job->row_units, i % job->row_units);
    u.rows = share(job->out_height, job->row_units, i % job->row_units + 1) - u.row;
    i /= job->row_units;
    u.image = share(job->images_a_group, job->image_units, i % job->image_units);
    u.images = share(job->images_a_group, job->image_units, i % job->image_units + 1) - u.image;
    u.group = i / job->image_units;
    u.image += u.group * job->images_a_group;
    return u;
}

static struct chunk chunk_at(const struct job *job, int64_t i)
{
    struct chunk c = {0};
    c.first_in = i % job->in_blocks * job->in_block;
    c.ins = gm_min_i64(job->in_block, job->in_channels - c.first_in);
    i /= job->in_blocks;
    c.first_out = i % job->out_blocks * job->out_block;
    c.outs = gm_min_i64(job->out_block, job->out_channels - c.first_out);
    c.part = i / job->out_blocks;
    return c;
}

static int64_t taps_of(const struct job *job)
{
    return job->kernel_height * job->kernel_width;
}

static void take_shape(struct job *job, const gm_conv_plan *plan)
{
    const gm_conv_shape *s = &plan->shape;
    job->groups = plan->options.groups;
    job->images_a_group = s->batch / job->groups;
    job->height = s->height;
    job->width = s->width;
    job->in_channels = s->in_channels;
    job->out_height = plan->out_height;
    job->out_width = plan->out_width;
    job->out_channels = s->out_channels;
    job->kernel_height = s->kernel_height;
    job->kernel_width = s->kernel_width;
    job->stride = s->stride;
    job->padding = s->padding;
    if (taps_of(job) == 1 && s->stride == 1 && s->padding == 0) {
        job->width = job->out_width = job->images_a_group * s->height * s->width;
        job->images_a_group = job->height = job->out_height = 1;
    }
}

/* All of this decides bits, and is a function of the shape and the instruction set. */
static void cut(struct job *job)
{
    const int64_t block = taps_of(job) == 1 ? BLOCK_1X1 : BLOCK;
    job->out_block = gm_min_i64(block, job->out_channels);
    job->in_block = gm_min_i64(block, gm_round_up(job->in_channels, job->gemm->slack));
    job->out_blocks = gm_ceil_div(job->out_channels, job->out_block);
    job->in_blocks = gm_ceil_div(job->in_channels, job->in_block);
    job->row_step = job->kernel_height == 1 ? 1 : job->stride;
    job->phases = gm_min_i64(job->stride, job->kernel_width);

    const int64_t reach = (job->kernel_width - 1) / job->stride; /* of a row's outputs beyond the last column */
    const int64_t pixels = COPY_FLOATS / gm_max_i64(job->in_block * job->phases, job->out_block);
    const int64_t most = gm_max_i64(1, pixels / job->kernel_height - reach);
    job->cols = gm_min_i64(job->out_width, gm_min_i64(most, 4 * job->gemm->depth));
    job->images = gm_min_i64(gm_ceil_div(RUN, job->cols), job->images_a_group);
    job->images = gm_max_i64(1, gm_min_i64(job->images, most / job->cols));
    const int64_t rows = pixels / ((job->cols + reach) * job->images);
    job->rows = gm_max_i64(1, gm_min_i64((rows - job->kernel_height) / job->row_step + 1, job->out_height));
    job->image_units = gm_ceil_div(job->images_a_group, job->images);
    job->row_units = gm_ceil_div(job->out_height, job->rows);
    job->col_units = gm_ceil_div(job->out_width, job->cols);
    job->units = job->groups * job->image_units * job->row_units * job->col_units;
    job->parts = gm_min_i64(gm_ceil_div(LEAST_CHUNKS, job->out_blocks * job->in_blocks), job->units);

    job->phase_cols = job->cols + reach;
    const int64_t rows_in = (job->rows - 1) * job->row_step + job->kernel_height;
    job->x_panel = rows_in * job->phases * job->phase_cols * job->images * job->gemm->nr;
    job->x_floats = job->x_panel * gm_ceil_div(job->in_block, job->gemm->nr);
    job->dy_pixel = job->out_block + APART;
    job->dy_floats = gm_round_up(job->rows * job->cols * job->images * job->dy_pixel + job->gemm->mr, APART);
}

static struct job make_job(const gm_conv_plan *plan, const struct gm_conv_call *call)
{
    struct job job = {.gemm = plan->gemm, .call = call};
    take_shape(&job, plan);
    cut(&job);
    return job;
}

/* Floats of one pixel of a panel that begins with channel `in` of a block. */
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

/* One row of one image of one panel. */
static void copy_x_row(const struct job *job, const struct chunk *c, const struct unit *u, int64_t image, int64_t h,
                       int64_t in, float *out)
{
    const struct gm_conv_source *s = &job->call->source;
    const int64_t pixel = panel_pixel(job, c, in), first_channel = c->first_in + in;
    const int64_t line = u->group * job->in_channels + first_channel;
    for (int64_t phase = 0; phase < job->phases; phase++) {
        const int64_t start = u->col * job->stride - job->padding + phase;
        const struct range r = inside(start, job->stride, u->cols + (job->kernel_width - 1) / job->stride, job->width);
        if (r.first == r.last)
            continue;
        const int64_t w = start + r.first * job->stride;
        const struct gm_conv_copy copy = {
            .pixels = r.last - r.first,
            .cols = panel_cols(job, c, in),
            .x = s->x + (((u->image + image) * job->height + h) * job->width + w) * s->ldx + first_channel,
            .ldx = job->stride * s->ldx,
            .scale = s->input.scale ? s->input.scale + line : NULL,
            .shift = s->input.scale ? s->input.shift + line : NULL,
            .relu = s->input.relu,
            .out = out + ((phase * job->phase_cols + r.first) * u->images + image) * pixel,
            .ldout = u->images * pixel,
            .width = pixel,
        };
        job->copy->copy(&copy);
    }
}

static void copy_x(const struct job *job, const struct chunk *c, const struct unit *u, float *x)
{
    const int64_t rows = (u->rows - 1) * job->row_step + job->kernel_height, skip = job->stride / job->row_step;
    for (int64_t in = 0; in < c->ins; in += job->gemm->nr) {
        float *panel = x + in / job->gemm->nr * job->x_panel;
        const int64_t row = job->phases * job->phase_cols * u->images * panel_pixel(job, c, in);
        for (int64_t r = 0; r < rows; r++) {
            const int64_t h = u->row * job->stride - job->padding + r * skip;
            for (int64_t image = 0; image < u->images && 0 <= h && h < job->height; image++)
                copy_x_row(job, c, u, image, h, in, panel + r * row);
        }
    }
}

static void copy_dy(const struct job *job, const struct chunk *c, const struct unit *u, float *dy)
{
    const struct gm_conv_call *call = job->call;
    for (int64_t image = 0; image < u->images; image++) {
        for (int64_t r = 0; r < u->rows; r++) {
            const int64_t row = ((u->image + image) * job->out_height + u->row + r) * job->out_width + u->col;
            const struct gm_conv_copy copy = {
                .pixels = u->cols,
                .cols = c->outs,
                .x = call->dy + row * call->lddy + c->first_out,
                .ldx = call->lddy,
                .out = dy + (r * u->cols * u->images + image) * job->dy_pixel,
                .ldout = u->images * job->dy_pixel,
            };
            job->copy->copy(&copy);
        }
    }
}

/* Adds `run` pixels of one tap to its sums, deepest blocks first. */
static void add_run(const struct job *job, const struct chunk *c, int64_t run, const float *dy, const float *x,
                    int64_t cols, float *sums)
{
    const int64_t parts = gm_ceil_div(run, job->gemm->depth), pixel = gm_round_up(cols, job->gemm->slack);
    for (int64_t part = 0; part < parts; part++) {
        const int64_t begin = share(run, parts, part), end = share(run, parts, part + 1);
        const struct gm_gemm_block block = {
            .rows = c->outs,
            .cols = cols,
            .depth = end - begin,
            .a = dy + begin * job->dy_pixel,
            .lda = job->dy_pixel,
            .a_transposed = true,
            .b = x + begin * pixel,
            .c = sums,
            .ldc = job->in_channels,
            .alpha = 1.0f,
            .beta = 1.0f,
            .skip_from = INT64_MAX / 2,
        };
        job->gemm->multiply(&block);
    }
}

/* Adds tap (i, j) of all rows of a unit to the sums of one panel of channels. */
static void add_tap(const struct job *job, const struct chunk *c, const struct unit *u, int64_t i, int64_t j,
                    int64_t in, const float *dy, const float *panel, float *sums)
{
    const struct range cols = inside(u->col * job->stride - job->padding + j, job->stride, u->cols, job->width);
    const int64_t pixel = panel_pixel(job, c, in), row = job->phases * job->phase_cols * u->images * pixel;
    const int64_t place = j % job->stride * job->phase_cols + j / job->stride + cols.first;
    for (int64_t r = 0; r < u->rows && cols.first < cols.last; r++) {
        const int64_t h = (u->row + r) * job->stride - job->padding + i;
        if (0 <= h && h < job->height)
            add_run(job, c, (cols.last - cols.first) * u->images,
                    dy + (r * u->cols + cols.first) * u->images * job->dy_pixel,
                    panel + (r * job->row_step + i) * row + place * u->images * pixel, panel_cols(job, c, in), sums);
    }
}

static void add_unit(const struct job *job, const struct chunk *c, const struct unit *u, float *copies, float *sums)
{
    float *const dy = copies + job->x_floats;
    copy_x(job, c, u, copies);
    copy_dy(job, c, u, dy);
    for (int64_t in = 0; in < c->ins; in += job->gemm->nr)
        for (int64_t i = 0; i < job->kernel_height; i++)
            for (int64_t j = 0; j < job->kernel_width; j++)
                add_tap(job, c, u, i, j, in, dy, copies + in / job->gemm->nr * job->x_panel,
                        sums + (i * job->kernel_width + j) * job->out_channels * job->in_channels + in);
}

static void run_chunk(void *arg, int64_t index, int worker)
{
    const struct job *job = arg;
    const struct chunk c = chunk_at(job, index);
    const int64_t taps = taps_of(job);
    float *const sums = job->sums + (c.part * taps * job->out_channels + c.first_out) * job->in_channels + c.first_in;
    for (int64_t t = 0; t < taps; t++)
        for (int64_t o = 0; o < c.outs; o++)
            memset(sums + (t * job->out_channels + o) * job->in_channels, 0, (size_t)c.ins * sizeof(float));
    for (int64_t i = share(job->units, job->parts, c.part); i < share(job->units, job->parts, c.part + 1); i++) {
        const struct unit u = unit_at(job, i);
        add_unit(job, &c, &u, job->copies + worker * (job->x_floats + job->dy_floats), sums);
    }
}

/* One output channel: the parts in their order, taps innermost. */
static void merge_chunk(void *arg, int64_t o, int worker)
{
    (void)worker;
    const struct job *job = arg;
    const int64_t taps = taps_of(job), ins = job->in_channels, all = taps * job->out_channels * ins;
    float *out = job->call->dweight + o * ins * taps;
    for (int64_t t = 0; t < taps; t++) {
        const float *sums = job->sums + (t * job->out_channels + o) * ins;
        for (int64_t k = 0; k < ins; k++) {
            float sum = sums[k];
            for (int64_t part = 1; part < job->parts; part++)
                sum += sums[part * all + k];
            out[k * taps + t] = sum;
        }
    }
}

static size_t copies_bytes(const gm_context *context, const struct job *job)
{
    return gm_workspace_bytes((size_t)(context->threads * (job->x_floats + job->dy_floats)) * sizeof(float));
}

static size_t sums_bytes(const struct job *job)
{
    return gm_workspace_bytes((size_t)(job->parts * taps_of(job) * job->out_channels * job->in_channels) *
                              sizeof(float));
}

static size_t workspace(const gm_context *context, const gm_conv_plan *plan, gm_conv_pass pass)
{
    (void)pass;
    const struct job job = make_job(plan, NULL);
    return copies_bytes(context, &job) + sums_bytes(&job);
}

static gm_status run(gm_context *context, const struct gm_conv_call *call)
{
    struct job job = make_job(call->plan, call);
    const size_t mark = gm_workspace_mark(context);
    job.copy = context->kernels.conv;
    job.copies = gm_workspace_take(context, copies_bytes(context, &job));
    job.sums = gm_workspace_take(context, sums_bytes(&job));
    gm_parallel(context, job.parts * job.out_blocks * job.in_blocks, run_chunk, &job);
    gm_parallel(context, job.out_channels, merge_chunk, &job);
    gm_workspace_release(context, mark);
    return GM_OK;
}

const struct gm_conv_algorithm gm_conv_implicit_gradient = {
    "implicit gemm", workspace, NULL, NULL, run,
};
