/* The data gradient of few input channels, which would leave most lanes of a product's columns empty: weight^T dy^T is
 * [patch, pixels of dy], the transposed patches that each pixel of dy adds to dx. A row of it belongs to one tap and
 * channel, and so to one row of dx after the other: planes of single channels and phases of the stride gather them, and
 * become pixels in the end. */
#include <string.h>

#include "conv/implicit.h"

/* Floats of a chunk's planes, half of a second-level cache; pixels of dy for one product; chunks to share. */
enum { PLANES_FLOATS = 1 << 16, BLOCK_PIXELS = 256, LEAST_CHUNKS = 16 };

/* Fewer sums cost less than adding the patches up; longer patches of a block leave the second-level cache. */
enum { LEAST_CHANNELS = 8, MOST_PATCH = 512 };

struct job {
    const struct gm_gemm_kernels *gemm;
    const struct gm_conv_call *call;
    gm_conv_shape shape;
    int64_t out_height, out_width, patch;
    int64_t bands, band_rows;    /* of dx in an image; rows at most */
    int64_t phases, phase_width; /* of columns of dx, and such columns in a plane */
    int64_t rows, cols;          /* of dy in a product, at most */
    int64_t planes_floats, patches_floats, panel_floats;
    float *scratch; /* for each thread these floats */
};

/* A product's columns: pixels of dy that follow each other. */
struct block {
    int64_t row, rows, col, cols;
};

bool gm_conv_transposed_patches_pay(const gm_conv_plan *plan)
{
    const gm_conv_shape *s = &plan->shape;
    const int64_t patch = s->kernel_height * s->kernel_width * s->in_channels;
    return 2 * s->in_channels <= plan->gemm->slack && patch >= plan->gemm->mr && patch <= MOST_PATCH &&
           s->out_channels >= LEAST_CHANNELS;
}

static struct job make_job(const gm_conv_plan *plan, const struct gm_conv_call *call)
{
    const gm_conv_shape *s = &plan->shape;
    struct job job = {
        .gemm = plan->gemm,
        .call = call,
        .shape = *s,
        .out_height = plan->out_height,
        .out_width = plan->out_width,
        .patch = s->kernel_height * s->kernel_width * s->in_channels,
        .phases = gm_min_i64(s->stride, s->width),
        .phase_width = gm_ceil_div(s->width, s->stride),
    };
    const int64_t line = GM_CACHE_LINE / (int64_t)sizeof(float);
    const int64_t row_floats = s->in_channels * job.phases * job.phase_width;
    const int64_t fitting = gm_max_i64(1, PLANES_FLOATS / row_floats);
    job.bands = gm_max_i64(gm_ceil_div(s->height, fitting), gm_ceil_div(LEAST_CHUNKS, s->batch));
    job.bands = gm_min_i64(job.bands, s->height);
    job.band_rows = gm_ceil_div(s->height, job.bands);
    job.cols = gm_min_i64(job.out_width, BLOCK_PIXELS);
    job.rows = gm_min_i64(job.out_height, BLOCK_PIXELS / job.cols);
    job.planes_floats = gm_round_up(job.band_rows * row_floats, line);
    job.patches_floats = gm_round_up(job.patch * job.rows * job.cols, line);
    const int64_t panel = plan->gemm->nr * plan->gemm->depth + plan->gemm->slack;
    job.panel_floats = gm_round_up(gm_max_i64(panel, plan->gemm->least_panel), line);
    return job;
}

static int64_t scratch_floats(const struct job *job)
{
    return job->planes_floats + job->patches_floats + job->panel_floats;
}

/* patches [patch, pixels of the block] */
static void multiply(const struct job *job, int64_t image, const struct block *b, float *patches, float *panel)
{
    const struct gm_conv_source *s = &job->call->source;
    const int64_t outs = job->shape.out_channels, parts = gm_ceil_div(outs, job->gemm->depth);
    const struct gm_gemm_source dy = {
        .transposed = true,
        .data = s->x + ((image * job->out_height + b->row) * job->out_width + b->col) * s->ldx,
        .ld = s->ldx,
    };
    for (int64_t part = 0; part < parts; part++) {
        const int64_t first = gm_gemm_share(outs, parts, part);
        const struct gm_gemm_block block = {
            .rows = job->patch,
            .cols = b->rows * b->cols,
            .depth = gm_gemm_share(outs, parts, part + 1) - first,
            .a = job->call->packed + first,
            .lda = outs,
            .source = &dy,
            .source_k = first,
            .panel = panel,
            .c = patches,
            .ldc = b->rows * b->cols,
            .alpha = 1.0f,
            .beta = part == 0 ? 0.0f : 1.0f,
            .skip_from = INT64_MAX / 2,
        };
        job->gemm->multiply(&block);
    }
}

static inline void add_row(int64_t cols, const float *restrict row, float *restrict plane)
{
    for (int64_t i = 0; i < cols; i++)
        plane[i] += row[i];
}

/* What tap (i, j) makes of one row of a block, which is row h of the planes. */
static void add_tap(const struct job *job, const struct block *b, int64_t i, int64_t j, int64_t h, const float *patches,
                    float *planes)
{
    const gm_conv_shape *s = &job->shape;
    const int64_t phase = ((j - s->padding) % s->stride + s->stride) % s->stride;
    const int64_t left = b->col + (j - s->padding - phase) / s->stride; /* where the first pixel falls in its plane */
    const int64_t inside = phase < job->phases ? (s->width - phase - 1) / s->stride + 1 : 0;
    const int64_t first = gm_max_i64(0, -left), end = gm_min_i64(b->cols, inside - left);
    for (int64_t c = 0; c < s->in_channels && first < end; c++) {
        const float *row = patches + ((i * s->kernel_width + j) * s->in_channels + c) * b->rows * b->cols;
        float *plane = planes + ((h * s->in_channels + c) * job->phases + phase) * job->phase_width;
        add_row(end - first, row + first, plane + left + first);
    }
}

static void add_block(const struct job *job, const struct block *b, const struct gm_conv_piece *band,
                      const float *patches, float *planes)
{
    const gm_conv_shape *s = &job->shape;
    for (int64_t r = 0; r < b->rows; r++)
        for (int64_t i = 0; i < s->kernel_height; i++) {
            const int64_t h = (b->row + r) * s->stride - s->padding + i - band->row;
            for (int64_t j = 0; j < s->kernel_width && 0 <= h && h < band->rows; j++)
                add_tap(job, b, i, j, h, patches + r * b->cols, planes);
        }
}

static void write_band(const struct job *job, const struct gm_conv_piece *band, const float *planes)
{
    const gm_conv_shape *s = &job->shape;
    const struct gm_conv_call *call = job->call;
    for (int64_t h = 0; h < band->rows; h++) {
        float *const row = call->out + ((band->image * s->height + band->row + h) * s->width) * call->ldout;
        for (int64_t c = 0; c < s->in_channels; c++)
            for (int64_t phase = 0; phase < job->phases; phase++) {
                const float *plane = planes + ((h * s->in_channels + c) * job->phases + phase) * job->phase_width;
                for (int64_t w = phase; w < s->width; w += s->stride, plane++) {
                    float *const x = row + w * call->ldout + c;
                    *x = call->beta == 0.0f ? *plane : *x + *plane;
                }
            }
    }
}

static void run_band(void *arg, int64_t index, int worker)
{
    const struct job *job = arg;
    const gm_conv_shape *s = &job->shape;
    float *const planes = job->scratch + worker * scratch_floats(job);
    float *const patches = planes + job->planes_floats, *const panel = patches + job->patches_floats;
    const int64_t part = index % job->bands, first = gm_gemm_share(s->height, job->bands, part);
    const struct gm_conv_piece band = {
        .image = index / job->bands,
        .row = first,
        .rows = gm_gemm_share(s->height, job->bands, part + 1) - first,
    };
    memset(planes, 0, (size_t)job->planes_floats * sizeof *planes);
    /* The rows of dy that meet the band. */
    const int64_t above = first + s->padding - s->kernel_height + 1;
    const int64_t last = gm_min_i64(job->out_height, (first + band.rows - 1 + s->padding) / s->stride + 1);
    struct block b;
    for (b.row = above > 0 ? gm_ceil_div(above, s->stride) : 0; b.row < last; b.row += b.rows) {
        b.rows = gm_min_i64(job->rows, last - b.row);
        for (b.col = 0; b.col < job->out_width; b.col += b.cols) {
            b.cols = gm_min_i64(job->cols, job->out_width - b.col);
            multiply(job, band.image, &b, patches, panel);
            add_block(job, &b, &band, patches, planes);
        }
    }
    write_band(job, &band, planes);
}

static int64_t packed_floats(const gm_conv_plan *plan, gm_conv_pass pass)
{
    (void)pass;
    return make_job(plan, NULL).patch * plan->shape.out_channels;
}

/* [patch, out_channels] */
static void pack(gm_context *context, const gm_conv_plan *plan, gm_conv_pass pass, const float *weight, float *packed)
{
    (void)context;
    (void)pass;
    const gm_conv_shape *s = &plan->shape;
    const int64_t ins = s->in_channels, outs = s->out_channels, taps = s->kernel_height * s->kernel_width;
    for (int64_t o = 0; o < outs; o++)
        for (int64_t k = 0; k < ins; k++)
            for (int64_t t = 0; t < taps; t++)
                packed[(t * ins + k) * outs + o] = weight[(o * ins + k) * taps + t];
}

static size_t scratch_bytes(const gm_context *context, const struct job *job)
{
    return gm_workspace_bytes((size_t)(context->threads * scratch_floats(job)) * sizeof(float));
}

static size_t workspace(const gm_context *context, const gm_conv_plan *plan, gm_conv_pass pass)
{
    (void)pass;
    const struct job job = make_job(plan, NULL);
    return scratch_bytes(context, &job);
}

static gm_status run(gm_context *context, const struct gm_conv_call *call)
{
    struct job job = make_job(call->plan, call);
    const size_t mark = gm_workspace_mark(context);
    job.scratch = gm_workspace_take(context, scratch_bytes(context, &job));
    gm_parallel(context, job.shape.batch * job.bands, run_band, &job);
    gm_workspace_release(context, mark);
    return GM_OK;
}

const struct gm_conv_algorithm gm_conv_patch_data_gradient = {"patches", workspace, packed_floats, pack, run};
