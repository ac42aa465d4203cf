/* The weight gradient of Winograd's convolutions. y = A^T [(G g G^T) . (B^T d B)] A is linear in g, so
 *
 *   dg = G^T [sum over tiles of (A dy A^T) . (B^T d B)] G,
 *
 * one product with the tiles as inner dimension for each position. A chunk of the parallel loop adds up a part of the
 * tiles for a block of filters times a block of channels, whose sums stay in the caches; what the parts leave is added
 * in order. */
#include "conv/winograd.h"

#include "gemm/kernel.h"

enum { TAPS = 9 };

/* Filters and channels of a block, and tiles that are transformed before they are multiplied. */
enum { BLOCK = 128, LEAST_BLOCK = 64, BATCH_TILES = 64 };

/* Chunks to be shared out, below which blocks are halved, and tiles of a part that are worth its transform of the sums.
 */
enum { CHUNKS = 16, LEAST_CHUNKS = 4, PART_TILES = 96 };

/* All of it decides bits or does not depend on the threads. */
struct cut {
    int64_t filter_block, channel_block, filter_blocks, channel_blocks, parts, batch_tiles;
    int64_t ldd, d_stride, v_stride, sum_stride; /* of dy, x and sums, transformed */
    int64_t d_floats, v_floats, worker_floats;
    int64_t weights;
};

static void cut_blocks(struct cut *cut, const struct gm_gemm_kernels *gemm, const struct gm_winograd *w)
{
    const int64_t most = BLOCK / gemm->nr * gemm->nr, least = LEAST_BLOCK / gemm->nr * gemm->nr;
    const int64_t worth = gm_max_i64(1, gm_min_i64(w->strips * w->across / PART_TILES, w->strips));
    cut->filter_block = gm_min_i64(most, gm_round_up(w->filters, gemm->nr));
    cut->channel_block = gm_min_i64(most, gm_round_up(w->channels, gemm->nr));
    for (;;) {
        cut->filter_blocks = gm_ceil_div(w->filters, cut->filter_block);
        cut->channel_blocks = gm_ceil_div(w->channels, cut->channel_block);
        cut->parts = gm_min_i64(gm_ceil_div(CHUNKS, cut->filter_blocks * cut->channel_blocks), worth);
        int64_t *larger = cut->filter_block >= cut->channel_block ? &cut->filter_block : &cut->channel_block;
        if (cut->filter_blocks * cut->channel_blocks * cut->parts >= LEAST_CHUNKS || *larger < 2 * least)
            return;
        *larger = gm_round_up(*larger / 2, gemm->nr);
    }
}

static struct cut make_cut(const struct gm_gemm_kernels *gemm, const struct gm_winograd *w)
{
    struct cut cut = {
        .batch_tiles = gm_max_i64(1, BATCH_TILES / w->across) * w->across,
        .weights = w->filters * w->channels * TAPS,
    };
    cut_blocks(&cut, gemm, w);
    cut.ldd = gm_round_up(gm_min_i64(w->filters, cut.filter_block), gemm->slack);
    const int64_t width = gm_round_up(gm_min_i64(w->channels, cut.channel_block), gemm->slack);
    cut.d_stride = gm_winograd_stride(cut.batch_tiles * cut.ldd);
    cut.v_stride = gm_winograd_stride(cut.batch_tiles * width);
    cut.sum_stride = gm_winograd_stride(gm_min_i64(w->filters, cut.filter_block) * width);
    cut.d_floats = w->positions * cut.d_stride + gm_round_up(gemm->mr, GM_CACHE_LINE);
    cut.v_floats = w->positions * cut.v_stride;
    cut.worker_floats = cut.d_floats + cut.v_floats + w->positions * cut.sum_stride;
    return cut;
}

struct job {
    const struct gm_conv_call *call;
    const struct gm_winograd *w;
    const struct cut *cut;
    const struct gm_gemm_kernels *gemm;
    const struct gm_winograd_kernels *kernels;
    float *partial, *workspace; /* of all parts but the first */
};

/* What a chunk adds up, and where. */
struct task {
    int64_t filter, filters, channel, channels;
    float *d, *v, *sums;
};

/* x goes into panels of B, dy stays as rows of A transposed. */
static void transform_strips(const struct job *job, const struct task *task, int64_t first, int64_t last)
{
    const struct gm_winograd *w = job->w;
    const struct cut *cut = job->cut;
    const struct gm_conv_call *call = job->call;
    const int64_t m = w->outputs, nr = job->gemm->nr, tiles = (last - first) * w->across;
    const struct gm_conv_source *source = &call->source;
    const struct gm_winograd_pixels x_pixels = {source->x + task->channel, w->height, w->width, source->ldx,
                                                task->channels};
    const struct gm_winograd_pixels dy_pixels = {call->dy + task->filter, w->out_height, w->out_width, call->lddy,
                                                 task->filters};
    gm_winograd_ask(w, &x_pixels, first, last);
    gm_winograd_ask(w, &dy_pixels, first, last);
    float *d = task->d;
    for (int64_t s = first, tile = 0; s < last; s++) {
        const int64_t image = s / w->image_strips, row = s % w->image_strips * m;
        const struct gm_winograd_source x = gm_winograd_source(w, source, image);
        const struct gm_winograd_source dy = {
            .data = call->dy + image * w->out_height * w->out_width * call->lddy,
            .height = w->out_height,
            .width = w->out_width,
            .ld = call->lddy,
        };
        for (int64_t col = 0; col < w->out_width; col += m, tile++, d += cut->ldd) {
            job->kernels->spread(m, &dy, row, col, task->filter, task->filters, d, cut->d_stride);
            for (int64_t j = 0; j < task->channels; j += nr) {
                const int64_t count = gm_min_i64(nr, task->channels - j);
                job->kernels->input(m, &x, row - w->padding, col - w->padding, task->channel + j, count,
                                    task->v + j * tiles + tile * gm_round_up(count, job->gemm->slack), cut->v_stride);
            }
        }
    }
}

static void add_strips(const struct job *job, const struct task *task, int64_t first, int64_t last, bool begin)
{
    const struct cut *cut = job->cut;
    transform_strips(job, task, first, last);
    struct gm_gemm_block block = {
        .rows = task->filters,
        .cols = task->channels,
        .depth = (last - first) * job->w->across,
        .lda = cut->ldd,
        .a_transposed = true,
        .ldc = gm_round_up(task->channels, job->gemm->slack),
        .alpha = 1.0f,
        .beta = begin ? 0.0f : 1.0f,
        .skip_from = INT64_MAX / 2,
    };
    for (int64_t p = 0; p < job->w->positions; p++) {
        block.a = task->d + p * cut->d_stride;
        block.b = task->v + p * cut->v_stride;
        block.c = task->sums + p * cut->sum_stride;
        job->gemm->multiply(&block);
    }
}

static void add_part(void *arg, int64_t chunk, int worker)
{
    const struct job *job = arg;
    const struct gm_winograd *w = job->w;
    const struct cut *cut = job->cut;
    const int64_t blocks = cut->filter_blocks * cut->channel_blocks, part = chunk / blocks;
    const int64_t filter_block = chunk % blocks / cut->channel_blocks, channel_block = chunk % cut->channel_blocks;
    struct task task = {.filter = filter_block * cut->filter_block, .channel = channel_block * cut->channel_block};
    task.filters = gm_min_i64(cut->filter_block, w->filters - task.filter);
    task.channels = gm_min_i64(cut->channel_block, w->channels - task.channel);
    task.d = job->workspace + worker * cut->worker_floats;
    task.v = task.d + cut->d_floats;
    task.sums = task.v + cut->v_floats;

    const int64_t begin = gm_gemm_share(w->strips, cut->parts, part);
    const int64_t end = gm_gemm_share(w->strips, cut->parts, part + 1);
    const int64_t step = cut->batch_tiles / w->across;
    for (int64_t s = begin; s < end; s += step)
        add_strips(job, &task, s, gm_min_i64(s + step, end), s == begin);

    float *dweight = part == 0 ? job->call->dweight : job->partial + (part - 1) * cut->weights;
    const int64_t width = gm_round_up(task.channels, job->gemm->slack);
    for (int64_t i = 0; i < task.filters; i++)
        job->kernels->gradient(w->outputs, task.sums + i * width, cut->sum_stride, task.channels,
                               dweight + ((task.filter + i) * w->channels + task.channel) * TAPS);
}

/* Weights that one chunk adds up over the parts. */
enum { ADD_FLOATS = 1 << 14 };

static void add_partial(void *arg, int64_t chunk, int worker)
{
    (void)worker;
    const struct job *job = arg;
    const int64_t first = chunk * ADD_FLOATS, last = gm_min_i64(first + ADD_FLOATS, job->cut->weights);
    float *restrict dweight = job->call->dweight;
    for (int64_t part = 1; part < job->cut->parts; part++) {
        const float *restrict partial = job->partial + (part - 1) * job->cut->weights;
        for (int64_t i = first; i < last; i++)
            dweight[i] += partial[i];
    }
}

static size_t partial_bytes(const struct cut *cut)
{
    return (size_t)((cut->parts - 1) * cut->weights) * sizeof(float);
}

gm_status gm_winograd_gradient_run(gm_context *context, const struct gm_conv_call *call, int64_t outputs)
{
    const struct gm_winograd w = gm_winograd_make(call->plan, call->pass, outputs);
    const struct cut cut = make_cut(context->kernels.gemm, &w);
    const size_t mark = gm_workspace_mark(context);
    struct job job = {call, &w, &cut, context->kernels.gemm, context->kernels.conv->winograd, NULL, NULL};
    job.partial = gm_workspace_take(context, partial_bytes(&cut));
    job.workspace = gm_workspace_take(context, (size_t)(context->threads * cut.worker_floats) * sizeof(float));
    gm_parallel(context, cut.parts * cut.filter_blocks * cut.channel_blocks, add_part, &job);
    if (cut.parts > 1)
        gm_parallel(context, gm_ceil_div(cut.weights, ADD_FLOATS), add_partial, &job);
    gm_workspace_release(context, mark);
    return GM_OK;
}

size_t gm_winograd_gradient_workspace(const gm_context *context, const gm_conv_plan *plan, int64_t outputs)
{
    const struct gm_winograd w = gm_winograd_make(plan, GM_CONV_WEIGHT_GRADIENT, outputs);
    const struct cut cut = make_cut(context->kernels.gemm, &w);
    return gm_workspace_bytes(partial_bytes(&cut)) +
           gm_workspace_bytes((size_t)(context->threads * cut.worker_floats) * sizeof(float));
}
