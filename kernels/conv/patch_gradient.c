/* The weight gradient of few input channels: patches are written out, so many pixels at a time, and their transpose
 * times dy is one product, which reads both by columns and rows as they lie. */
#include "conv/implicit.h"

/* Sums over units that are added in order, at most. */
enum { PARTS = 16 };

struct job {
    const struct gm_conv_kernels *copy;
    const struct gm_gemm_kernels *gemm;
    const struct gm_conv_call *call;
    struct gm_conv_window w;
    int64_t patch;

    int64_t rows, cols;     /* of a unit, at most: outputs of one image */
    struct gm_conv_cut cut; /* into units */
    int64_t units, parts;
    int64_t patch_floats, ldlines, panel_floats;
    float *scratch; /* for each thread these floats */
    float *sums;    /* [parts, patch, w.cols] */
};

bool gm_conv_patches_pay(const gm_conv_plan *plan)
{
    const struct gm_conv_window w = gm_conv_window_make(plan, GM_CONV_FORWARD, 0);
    return gm_conv_copies_patches(&w, plan->gemm);
}

static struct job make_job(const gm_conv_plan *plan, const struct gm_conv_call *call)
{
    struct job job = {.gemm = plan->gemm, .call = call, .w = gm_conv_window_make(plan, GM_CONV_FORWARD, 0)};
    const struct gm_conv_window *w = &job.w;
    const int64_t line = GM_CACHE_LINE / (int64_t)sizeof(float), depth = plan->gemm->depth;
    job.patch = gm_conv_window_depth(w);
    job.cols = gm_min_i64(w->out_width, depth);
    job.rows = gm_min_i64(w->out_height, depth / job.cols);
    const int64_t images_a_group = w->batch / plan->options.groups;
    job.cut = (struct gm_conv_cut){
        .images_a_group = images_a_group,
        .image_parts = images_a_group,
        .row_parts = gm_ceil_div(w->out_height, job.rows),
        .col_parts = job.rows > 1 ? 1 : gm_ceil_div(w->out_width, job.cols),
    };
    job.units = w->batch * job.cut.row_parts * job.cut.col_parts;
    job.parts = gm_min_i64(PARTS, job.units);
    /* A tile reads whole rows of A; copying writes whole vectors. */
    const int64_t beyond = gm_max_i64(plan->gemm->mr, plan->gemm->slack);
    job.patch_floats = gm_round_up(job.rows * job.cols * job.patch + beyond, line);
    job.ldlines = gm_conv_line_floats(w, plan->gemm, job.cols);
    job.panel_floats =
        gm_max_i64(plan->gemm->nr * depth + plan->gemm->slack, gm_round_up(plan->gemm->least_panel, line));
    return job;
}

static int64_t scratch_floats(const struct job *job)
{
    return gm_round_up(job->patch_floats + job->w.kernel_height * job->ldlines + job->panel_floats,
                       GM_CACHE_LINE / (int64_t)sizeof(float));
}

static void add_unit(const struct job *job, int64_t unit, float *scratch, bool first, float *sums)
{
    const struct gm_conv_window *w = &job->w;
    const struct gm_conv_piece u = gm_conv_piece_at(w, &job->cut, unit);
    const struct gm_conv_reader reader = {job->copy, w, &job->call->source, u.group};
    float *const lines = scratch + job->patch_floats, *const panel = lines + w->kernel_height * job->ldlines;
    for (int64_t r = 0; r < u.rows; r++)
        gm_conv_copy_patches(&reader, u.image, u.row + r, u.col, u.cols, lines, job->ldlines,
                             scratch + r * u.cols * job->patch);
    const struct gm_gemm_source dy = {
        .data = job->call->dy + ((u.image * w->out_height + u.row) * w->out_width + u.col) * job->call->lddy,
        .ld = job->call->lddy,
    };
    const struct gm_gemm_block block = {
        .rows = job->patch,
        .cols = w->cols,
        .depth = u.rows * u.cols,
        .a = scratch,
        .lda = job->patch,
        .a_transposed = true,
        .source = &dy,
        .panel = panel,
        .c = sums,
        .ldc = w->cols,
        .alpha = 1.0f,
        .beta = first ? 0.0f : 1.0f,
        .skip_from = INT64_MAX / 2,
    };
    job->gemm->multiply(&block);
}

static void run_part(void *arg, int64_t part, int worker)
{
    const struct job *job = arg;
    const int64_t begin = gm_gemm_share(job->units, job->parts, part);
    for (int64_t i = begin; i < gm_gemm_share(job->units, job->parts, part + 1); i++)
        add_unit(job, i, job->scratch + worker * scratch_floats(job), i == begin,
                 job->sums + part * job->patch * job->w.cols);
}

/* The parts in their order; tap and channel change places. */
static void merge(const struct job *job)
{
    const int64_t ins = job->w.channels, taps = job->w.kernel_height * job->w.kernel_width, outs = job->w.cols;
    for (int64_t part = 1; part < job->parts; part++)
        for (int64_t i = 0; i < job->patch * outs; i++)
            job->sums[i] += job->sums[part * job->patch * outs + i];
    for (int64_t o = 0; o < outs; o++)
        for (int64_t k = 0; k < ins; k++)
            for (int64_t t = 0; t < taps; t++)
                job->call->dweight[(o * ins + k) * taps + t] = job->sums[(t * ins + k) * outs + o];
}

static size_t scratch_bytes(const gm_context *context, const struct job *job)
{
    return gm_workspace_bytes((size_t)(context->threads * scratch_floats(job)) * sizeof(float));
}

static size_t sums_bytes(const struct job *job)
{
    return gm_workspace_bytes((size_t)(job->parts * job->patch * job->w.cols) * sizeof(float));
}

static size_t workspace(const gm_context *context, const gm_conv_plan *plan, gm_conv_pass pass)
{
    (void)pass;
    const struct job job = make_job(plan, NULL);
    return scratch_bytes(context, &job) + sums_bytes(&job);
}

static gm_status run(gm_context *context, const struct gm_conv_call *call)
{
    struct job job = make_job(call->plan, call);
    const size_t mark = gm_workspace_mark(context);
    job.copy = context->kernels.conv;
    job.scratch = gm_workspace_take(context, scratch_bytes(context, &job));
    job.sums = gm_workspace_take(context, sums_bytes(&job));
    gm_parallel(context, job.parts, run_part, &job);
    merge(&job);
    gm_workspace_release(context, mark);
    return GM_OK;
}

const struct gm_conv_algorithm gm_conv_patch_gradient = {"patches", workspace, NULL, NULL, run};
