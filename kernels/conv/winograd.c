/* Winograd's convolutions, forward and data gradient: transformed patches times transformed weights. Each chunk of the
 * parallel loop is a few strips of tiles times a part of the filters, from the patches to the finished outputs, and
 * waits for nobody; what it transforms stays in the caches of its core. */
#include "conv/winograd.h"

#include <assert.h>
#include <math.h>

#include "column_stats/column_stats.h"
#include "gemm/kernel.h"

struct gm_winograd gm_winograd_make(const gm_conv_plan *plan, gm_conv_pass pass, int64_t outputs)
{
    const gm_conv_shape *s = &plan->shape;
    const bool back = pass == GM_CONV_DATA_GRADIENT;
    struct gm_winograd w = {
        .outputs = outputs,
        .positions = (outputs + 2) * (outputs + 2),
        .images = s->batch,
        .height = back ? plan->out_height : s->height,
        .width = back ? plan->out_width : s->width,
        .channels = back ? s->out_channels : s->in_channels,
        .padding = back ? 2 - s->padding : s->padding,
        .out_height = back ? s->height : plan->out_height,
        .out_width = back ? s->width : plan->out_width,
        .filters = back ? s->in_channels : s->out_channels,
        .groups = plan->options.groups,
    };
    w.across = gm_ceil_div(w.out_width, outputs);
    w.image_strips = gm_ceil_div(w.out_height, outputs);
    w.strips = w.images * w.image_strips;
    return w;
}

struct gm_winograd_source gm_winograd_source(const struct gm_winograd *w, const struct gm_conv_source *x, int64_t image)
{
    const int64_t line = image / (w->images / w->groups) * w->channels;
    return (struct gm_winograd_source){
        .data = x->x + image * w->height * w->width * x->ldx,
        .height = w->height,
        .width = w->width,
        .ld = x->ldx,
        .scale = x->input.scale ? x->input.scale + line : NULL,
        .shift = x->input.shift ? x->input.shift + line : NULL,
        .relu = x->input.relu,
    };
}

/* The first row that no strip before it reads, with two below the tiles. */
static int64_t first_pixel(const struct gm_winograd *w, const struct gm_winograd_pixels *p, int64_t strip)
{
    const int64_t in_image = strip % w->image_strips, row = in_image ? in_image * w->outputs + 1 : 0;
    return (strip / w->image_strips * p->height + gm_min_i64(row, p->height)) * p->width;
}

void gm_winograd_ask(const struct gm_winograd *w, const struct gm_winograd_pixels *p, int64_t first, int64_t last)
{
    const int64_t line = GM_CACHE_LINE / (int64_t)sizeof(float), end = first_pixel(w, p, last);
    for (int64_t i = first_pixel(w, p, first); i < end; i++)
        for (int64_t j = 0; j < p->channels; j += line)
            __builtin_prefetch(p->data + i * p->ld + j, 0, 3);
}

/* Packed weights: for each panel of filters, for each block of k, for each position, a panel as pack_b() leaves it. */
static int64_t panel_width(const struct gm_gemm_kernels *gemm, int64_t filters, int64_t filter)
{
    return gm_round_up(gm_min_i64(gemm->nr, filters - filter), gemm->slack);
}

static int64_t depth_blocks(const struct gm_gemm_kernels *gemm, int64_t channels)
{
    return gm_ceil_div(channels, gemm->depth);
}

/* Tiles of a block, about: few enough for their transforms to stay in a second-level cache, but more where channels and
 * weights are many, since each block reads all weights. */
static int64_t block_tiles(const struct gm_winograd *w)
{
    enum { LEAST = 28, MOST = 64, CHANNELS_A_TILE = 8 };
    return gm_min_i64(gm_max_i64(LEAST, w->channels / CHANNELS_A_TILE), MOST);
}

/* Panels of a chunk at least, so that transforming the patches for each again costs little, and chunks a thread. */
enum { PART_PANELS = 4, CHUNKS_A_THREAD = 4 };

/* Blocks are runs of strips of one group, of the shape alone: statistics are taken block by block. */
struct cut {
    int64_t group_blocks, blocks, block_tiles;
    int64_t parts; /* of the filters: chunks of a block */
    int64_t ldv, v_stride, sum_stride, v_floats, worker_floats;
};

static struct cut make_cut(const gm_context *context, const struct gm_winograd *w)
{
    const struct gm_gemm_kernels *gemm = context->kernels.gemm;
    const int64_t group_strips = w->strips / w->groups, panels = gm_ceil_div(w->filters, gemm->nr);
    struct cut cut = {.group_blocks = gm_ceil_div(group_strips, gm_max_i64(1, block_tiles(w) / w->across))};
    cut.blocks = w->groups * cut.group_blocks;
    cut.block_tiles = gm_ceil_div(group_strips, cut.group_blocks) * w->across;
    const int64_t wanted = gm_ceil_div(context->threads * CHUNKS_A_THREAD, cut.blocks);
    cut.parts = gm_min_i64(wanted, gm_ceil_div(panels, PART_PANELS));
    cut.ldv = gm_winograd_stride(w->channels);
    cut.v_stride = gm_winograd_stride(cut.block_tiles * cut.ldv);
    cut.sum_stride = gm_winograd_stride(cut.block_tiles * gemm->nr);
    cut.v_floats = w->positions * cut.v_stride;
    cut.worker_floats = cut.v_floats + w->positions * cut.sum_stride;
    return cut;
}

struct job {
    const struct gm_conv_call *call;
    const struct gm_winograd *w;
    const struct cut *cut;
    const struct gm_gemm_kernels *gemm;
    const struct gm_winograd_kernels *kernels;
    const struct gm_column_stats_kernels *stats;
    float *workspace;
    double *mean, *squares; /* [blocks, filters], or NULL */
    bool not_finite;
};

/* Strips [first, last). */
struct block {
    int64_t index, first, last, tiles;
};

static struct block block_at(const struct gm_winograd *w, const struct cut *cut, int64_t index)
{
    const int64_t group_strips = w->strips / w->groups, before = index / cut->group_blocks * group_strips;
    const int64_t place = index % cut->group_blocks;
    struct block block = {.index = index};
    block.first = before + gm_gemm_share(group_strips, cut->group_blocks, place);
    block.last = before + gm_gemm_share(group_strips, cut->group_blocks, place + 1);
    block.tiles = (block.last - block.first) * w->across;
    return block;
}

static void transform_block(const struct job *job, const struct block *block, float *v)
{
    const struct gm_winograd *w = job->w;
    const struct gm_conv_source *source = &job->call->source;
    const struct gm_winograd_pixels pixels = {source->x, w->height, w->width, source->ldx, w->channels};
    const int64_t m = w->outputs;
    gm_winograd_ask(w, &pixels, block->first, block->last);
    for (int64_t s = block->first; s < block->last; s++) {
        const struct gm_winograd_source x = gm_winograd_source(w, source, s / w->image_strips);
        const int64_t row = s % w->image_strips * m - w->padding;
        for (int64_t t = 0; t < w->across; t++, v += job->cut->ldv)
            job->kernels->input(m, &x, row, t * m - w->padding, 0, w->channels, v, job->cut->v_stride);
    }
}

static void multiply_block(const struct job *job, int64_t tiles, int64_t filter, const float *v, float *sums)
{
    const struct gm_winograd *w = job->w;
    const int64_t blocks = depth_blocks(job->gemm, w->channels);
    const int64_t width = panel_width(job->gemm, w->filters, filter);
    const float *panel = job->call->packed + filter * w->positions * w->channels;
    for (int64_t i = 0; i < blocks; i++) {
        const int64_t k = gm_gemm_share(w->channels, blocks, i);
        struct gm_gemm_block block = {
            .rows = tiles,
            .cols = width,
            .depth = gm_gemm_share(w->channels, blocks, i + 1) - k,
            .lda = job->cut->ldv,
            .ldc = width,
            .alpha = 1.0f,
            .beta = i > 0 ? 1.0f : 0.0f,
            .skip_from = INT64_MAX / 2,
        };
        block.next_floats = block.depth * width;
        for (int64_t p = 0; p < w->positions; p++) {
            block.a = v + p * job->cut->v_stride + k;
            block.b = panel;
            block.next_b = panel += block.next_floats;
            block.c = sums + p * job->cut->sum_stride;
            job->gemm->multiply(&block);
        }
    }
}

static void finish_block(const struct job *job, const struct block *block, int64_t filter, const float *sums)
{
    const struct gm_conv_call *call = job->call;
    const struct gm_winograd *w = job->w;
    const int64_t m = w->outputs, pixels = w->out_height * w->out_width;
    const int64_t count = gm_min_i64(job->gemm->nr, w->filters - filter);
    const int64_t width = panel_width(job->gemm, w->filters, filter);
    for (int64_t s = block->first; s < block->last; s++) {
        const int64_t pixel = s / w->image_strips * pixels;
        const struct gm_winograd_target y = {
            .data = call->out + pixel * call->ldout,
            .height = w->out_height,
            .width = w->out_width,
            .ld = call->ldout,
            .beta = call->beta,
            .bias = call->bias,
            .residual = call->residual ? call->residual + pixel * call->ldresidual : NULL,
            .ld_residual = call->ldresidual,
            .relu = call->relu,
        };
        for (int64_t t = 0; t < w->across; t++, sums += width)
            job->kernels->output(m, sums, job->cut->sum_stride, count, &y, s % w->image_strips * m, t * m, filter);
    }
}

/* The first pixel of a strip. */
static int64_t strip_pixel(const struct gm_winograd *w, int64_t strip)
{
    const int64_t row = gm_min_i64(strip % w->image_strips * w->outputs, w->out_height);
    return (strip / w->image_strips * w->out_height + row) * w->out_width;
}

/* A block's pixels follow each other, and are still in a cache. */
static void take_statistics(const struct job *job, const struct block *block, int64_t filter)
{
    const struct gm_conv_call *call = job->call;
    const struct gm_winograd *w = job->w;
    const int64_t first = strip_pixel(w, block->first), at = block->index * w->filters + filter;
    job->stats->block(strip_pixel(w, block->last) - first, gm_min_i64(job->gemm->nr, w->filters - filter),
                      call->out + first * call->ldout + filter, call->ldout, false, job->mean + at, job->squares + at);
}

static void run_chunk(void *arg, int64_t chunk, int worker)
{
    const struct job *job = arg;
    const struct gm_winograd *w = job->w;
    const struct cut *cut = job->cut;
    const struct block block = block_at(w, cut, chunk / cut->parts);
    const int64_t part = chunk % cut->parts, nr = job->gemm->nr, panels = gm_ceil_div(w->filters, nr);
    float *v = job->workspace + worker * cut->worker_floats, *sums = v + cut->v_floats;
    transform_block(job, &block, v);
    for (int64_t i = gm_gemm_share(panels, cut->parts, part); i < gm_gemm_share(panels, cut->parts, part + 1); i++) {
        multiply_block(job, block.tiles, i * nr, v, sums);
        finish_block(job, &block, i * nr, sums);
        if (job->mean)
            take_statistics(job, &block, i * nr);
    }
}

/* Filters whose statistics one chunk merges. */
enum { MERGE_COLS = 256 };

static void merge_chunk(void *arg, int64_t index, int worker)
{
    (void)worker;
    struct job *job = arg;
    const struct gm_conv_call *call = job->call;
    const struct gm_winograd *w = job->w;
    const int64_t first = index * MERGE_COLS, cols = gm_min_i64(MERGE_COLS, w->filters - first);
    bool finite = true;
    for (int64_t group = 0; group < w->groups; group++) {
        double mean[MERGE_COLS], squares[MERGE_COLS];
        int64_t done = 0;
        for (int64_t i = group * job->cut->group_blocks; i < (group + 1) * job->cut->group_blocks; i++) {
            const struct block block = block_at(w, job->cut, i);
            const int64_t rows = strip_pixel(w, block.last) - strip_pixel(w, block.first), at = i * w->filters + first;
            gm_column_stats_merge(done, rows, cols, job->mean + at, job->squares + at, mean, squares);
            done += rows;
        }
        const int64_t at = group * w->filters + first;
        finite &= gm_column_stats_finish(done, 0, cols, mean, squares, call->mean + at, call->mean_low + at,
                                         call->variance + at);
    }
    if (!finite)
        __atomic_store_n(&job->not_finite, true, __ATOMIC_RELAXED);
}

static size_t statistics_bytes(const struct gm_winograd *w, const struct cut *cut)
{
    return gm_workspace_bytes((size_t)(cut->blocks * w->filters) * sizeof(double));
}

static size_t workers_bytes(const gm_context *context, const struct cut *cut)
{
    return gm_workspace_bytes((size_t)(context->threads * cut->worker_floats) * sizeof(float));
}

static gm_status run(gm_context *context, const struct gm_conv_call *call, int64_t outputs)
{
    if (call->pass == GM_CONV_WEIGHT_GRADIENT)
        return gm_winograd_gradient_run(context, call, outputs);
    const struct gm_winograd w = gm_winograd_make(call->plan, call->pass, outputs);
    const struct cut cut = make_cut(context, &w);
    const size_t mark = gm_workspace_mark(context);
    struct job job = {
        .call = call,
        .w = &w,
        .cut = &cut,
        .gemm = context->kernels.gemm,
        .kernels = context->kernels.conv->winograd,
        .stats = context->kernels.column_stats,
        .workspace = gm_workspace_take(context, workers_bytes(context, &cut)),
    };
    if (call->mean) {
        job.mean = gm_workspace_take(context, statistics_bytes(&w, &cut));
        job.squares = gm_workspace_take(context, statistics_bytes(&w, &cut));
    }
    gm_parallel(context, cut.blocks * cut.parts, run_chunk, &job);
    if (call->mean)
        gm_parallel(context, gm_ceil_div(w.filters, MERGE_COLS), merge_chunk, &job);
    gm_workspace_release(context, mark);
    return job.not_finite ? GM_NOT_FINITE : GM_OK;
}

static size_t workspace(const gm_context *context, const gm_conv_plan *plan, gm_conv_pass pass, int64_t outputs)
{
    if (pass == GM_CONV_WEIGHT_GRADIENT)
        return gm_winograd_gradient_workspace(context, plan, outputs);
    const struct gm_winograd w = gm_winograd_make(plan, pass, outputs);
    const struct cut cut = make_cut(context, &w);
    return workers_bytes(context, &cut) + (pass == GM_CONV_FORWARD ? 2 * statistics_bytes(&w, &cut) : 0);
}

/* Weights are [out, in, 3, 3]. */
enum { TAPS = 9 };

/* Channels whose taps are brought into panels at once. */
enum { PACK_CHANNELS = 16 };

struct packing {
    const struct gm_gemm_kernels *gemm;
    const struct gm_winograd_kernels *kernels;
    const struct gm_winograd *w;
    bool back;
    const float *weight;
    float *packed;
};

/* Taps of channels [channel, channel + count) and of a panel of filters, a vector of filters for each channel and tap.
 */
static void bring_taps(const struct packing *p, int64_t filter, int64_t channel, int64_t count, float *taps)
{
    const struct gm_winograd *w = p->w;
    const int64_t width = panel_width(p->gemm, w->filters, filter), cols = gm_min_i64(p->gemm->nr, w->filters - filter);
    if (!p->back) {
        const struct gm_gemm_source source = {.transposed = true, .data = p->weight, .ld = w->channels * TAPS};
        p->gemm->pack_b(&source, filter, cols, channel * TAPS, count * TAPS, taps);
        return;
    }
    for (int64_t i = 0; i < count; i++) {
        const float *data = p->weight + (channel + i) * w->filters * TAPS;
        const struct gm_gemm_source source = {.transposed = true, .data = data, .ld = TAPS};
        p->gemm->pack_b(&source, filter, cols, 0, TAPS, taps + i * TAPS * width);
    }
}

static void pack_panel(void *arg, int64_t panel, int worker)
{
    (void)worker;
    enum { MOST_WIDTH = 32, SLACK = 16 };
    const struct packing *p = arg;
    const struct gm_winograd *w = p->w;
    const int64_t filter = panel * p->gemm->nr, width = panel_width(p->gemm, w->filters, filter);
    const int64_t blocks = depth_blocks(p->gemm, w->channels);
    const int64_t tap = p->back ? -width : width, first_tap = p->back ? (TAPS - 1) * width : 0;
    float taps[PACK_CHANNELS * TAPS * MOST_WIDTH + SLACK];
    float *block = p->packed + filter * w->positions * w->channels;
    assert(width <= MOST_WIDTH && p->gemm->slack <= SLACK);
    for (int64_t i = 0; i < blocks; i++) {
        const int64_t first = gm_gemm_share(w->channels, blocks, i);
        const int64_t depth = gm_gemm_share(w->channels, blocks, i + 1) - first;
        for (int64_t k = 0; k < depth; k += PACK_CHANNELS) {
            const int64_t count = gm_min_i64(PACK_CHANNELS, depth - k);
            bring_taps(p, filter, first + k, count, taps);
            p->kernels->weights(w->outputs, taps + first_tap, tap, count, width, block + k * width, depth * width);
        }
        block += w->positions * depth * width;
    }
}

static void pack(gm_context *context, const gm_conv_plan *plan, gm_conv_pass pass, int64_t outputs, const float *weight,
                 float *packed)
{
    const struct gm_winograd w = gm_winograd_make(plan, pass, outputs);
    struct packing packing = {
        context->kernels.gemm, context->kernels.conv->winograd, &w, pass == GM_CONV_DATA_GRADIENT, weight, packed};
    gm_parallel(context, gm_ceil_div(w.filters, packing.gemm->nr), pack_panel, &packing);
}

static int64_t packed_floats(const gm_conv_plan *plan, gm_conv_pass pass, int64_t outputs)
{
    const struct gm_winograd w = gm_winograd_make(plan, pass, outputs);
    return gm_round_up(w.filters, plan->gemm->slack) * w.positions * w.channels;
}

/* The tables of both sizes of tiles. */
#define ALGORITHM(m)                                                                                                   \
    static size_t workspace_##m(const gm_context *context, const gm_conv_plan *plan, gm_conv_pass pass)                \
    {                                                                                                                  \
        return workspace(context, plan, pass, m);                                                                      \
    }                                                                                                                  \
    static int64_t packed_floats_##m(const gm_conv_plan *plan, gm_conv_pass pass)                                      \
    {                                                                                                                  \
        return packed_floats(plan, pass, m);                                                                           \
    }                                                                                                                  \
    static void pack_##m(gm_context *context, const gm_conv_plan *plan, gm_conv_pass pass, const float *weight,        \
                         float *packed)                                                                                \
    {                                                                                                                  \
        pack(context, plan, pass, m, weight, packed);                                                                  \
    }                                                                                                                  \
    static gm_status run_##m(gm_context *context, const struct gm_conv_call *call)                                     \
    {                                                                                                                  \
        return run(context, call, m);                                                                                  \
    }                                                                                                                  \
    const struct gm_conv_algorithm gm_conv_winograd_##m = {"winograd " #m "x" #m, workspace_##m, packed_floats_##m,    \
                                                           pack_##m, run_##m};
ALGORITHM(4)
ALGORITHM(2)

/* Outputs along one direction that tap i of three meets with an input. */
static int64_t met(int64_t outputs, int64_t inputs, int64_t padding)
{
    int64_t sum = 0;
    for (int64_t i = 0; i < 3; i++)
        sum += gm_max_i64(0, gm_min_i64(outputs, inputs + padding - i) - gm_max_i64(0, padding - i));
    return sum;
}

/* What a float of the weights costs beside the products, in multiply-adds: packed and read, or only read. */
static double weight_cost(const gm_conv_plan *plan)
{
    return plan->options.packed_once ? 10 : 24;
}

/* Multiply-adds for each pair of a channel and a filter, and what takes the time of as many. */
static double winograd_cost(const gm_conv_plan *plan, const struct gm_winograd *w)
{
    const double tiles = (double)(w->strips * w->across), positions = (double)w->positions;
    const double patch = 20 * positions / (double)w->filters, outputs = 14 * positions / (double)w->channels;
    return tiles * (positions + patch + outputs) + weight_cost(plan) * positions;
}

static double direct_cost(const gm_conv_plan *plan, const struct gm_winograd *w)
{
    const int64_t rows = met(w->out_height, w->height, w->padding), cols = met(w->out_width, w->width, w->padding);
    return (double)(w->images * rows * cols) + weight_cost(plan) * 9;
}

const struct gm_conv_algorithm *gm_conv_winograd(const gm_conv_plan *plan, gm_conv_pass pass)
{
    /* Strips of wider images would not stay in a cache. */
    enum { MOST_ACROSS = 128 };
    const gm_conv_shape *s = &plan->shape;
    if (s->kernel_height != 3 || s->kernel_width != 3 || s->stride != 1 || s->padding > 2)
        return NULL;
    const struct gm_winograd four = gm_winograd_make(plan, pass, 4), two = gm_winograd_make(plan, pass, 2);
    const double four_cost = winograd_cost(plan, &four), two_cost = winograd_cost(plan, &two);
    const struct gm_winograd *better = four_cost <= two_cost ? &four : &two;
    if (fmin(four_cost, two_cost) > direct_cost(plan, &four) || better->across > MOST_ACROSS)
        return NULL;
    return better == &four ? &gm_conv_winograd_4 : &gm_conv_winograd_2;
}
