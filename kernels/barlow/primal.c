/* The primal form: C = A^T B / s row panel by row panel. Each panel is turned into G = dL/dC while it is computed, and
 * multiplied into both gradients before the next one takes its place. */
#include "barlow/barlow.h"

/* Most rows of C in a panel: the depth of the product B += A G, which it keeps as efficient as any. */
enum { PANEL_ROWS = 256 };

/* Rows of every panel but the last, which is at most that high: panels of nearly equal height. */
static int64_t panel_rows(int64_t d)
{
    return gm_ceil_div(d, gm_ceil_div(d, PANEL_ROWS));
}

/* panel = dL/dC of the rows [first, first + rows) of C without the diagonal, which the weights stand for, and without
 * the factor of scale; adds their redundancy. */
static void differentiate(struct gm_barlow_job *job, int64_t first, int64_t rows, float *panel)
{
    const struct gm_barlow_view a = gm_barlow_view_from(&job->a.view, first);
    const struct gm_gemm_source left = gm_barlow_source(&a, true), right = gm_barlow_source(&job->b.view, false);
    double squares;
    const struct gm_gemm_epilogue loss = {.kind = GM_GEMM_LOSS,
                                          .c = panel,
                                          .ldc = job->d,
                                          .alpha = (float)(1 / job->divisor),
                                          .row0 = first,
                                          .lambda = job->options.lambda,
                                          .squares = &squares};
    gm_gemm_run(job->context, rows, job->d, job->n, &left, &right, &loss);
    job->redundancy += squares;
}

/* g of A's columns of the panel is B G^T / s; that of B collects A G / s of one panel after the other. */
static void multiply(const struct gm_barlow_job *job, int64_t first, int64_t rows, const float *panel)
{
    const struct gm_barlow_view a = gm_barlow_view_from(&job->a.view, first);
    const struct gm_gemm_source left_b = gm_barlow_source(&job->b.view, false), left_a = gm_barlow_source(&a, false);
    struct gm_gemm_source g = {.kind = GM_GEMM_PLAIN, .transposed = true, .data = panel, .ld = job->d};
    struct gm_gemm_epilogue store = {.kind = GM_GEMM_STORE,
                                     .c = job->a.dz + first,
                                     .ldc = job->a.lddz,
                                     .alpha = (float)((double)job->options.scale / job->divisor)};
    gm_gemm_run(job->context, job->n, rows, job->d, &left_b, &g, &store);

    g.transposed = false;
    store.c = job->b.dz;
    store.ldc = job->b.lddz;
    store.beta = first == 0 ? 0.0f : 1.0f;
    gm_gemm_run(job->context, job->n, job->d, rows, &left_a, &g, &store);
}

void gm_barlow_primal(struct gm_barlow_job *job)
{
    const int64_t most_rows = panel_rows(job->d);
    const size_t mark = gm_workspace_mark(job->context);
    double *gap = gm_workspace_take(job->context, (size_t)job->d * sizeof *gap);
    float *panel = gm_workspace_take(job->context, (size_t)(most_rows * job->d) * sizeof *panel);

    gm_barlow_normalize(job, gap);
    struct gm_barlow_diagonal_sums sums = {0, 0};
    gm_barlow_add_diagonal(job, 0, job->d, gap, &sums);
    job->invariance = sums.invariance;
    for (int64_t first = 0; first < job->d; first += most_rows) {
        const int64_t rows = gm_min_i64(most_rows, job->d - first);
        differentiate(job, first, rows, panel);
        if (job->gradients)
            multiply(job, first, rows, panel);
    }
    if (job->gradients)
        gm_barlow_chain(job);
    gm_workspace_release(job->context, mark);
}

static size_t panel_workspace(const gm_context *context, int64_t n, int64_t d, int64_t rows, bool gradients)
{
    size_t most = gm_gemm_run_workspace(context, rows, d, n, GM_GEMM_LOSS);
    if (gradients) {
        most = gm_barlow_larger(most, gm_gemm_run_workspace(context, n, rows, d, GM_GEMM_STORE));
        most = gm_barlow_larger(most, gm_gemm_run_workspace(context, n, d, rows, GM_GEMM_STORE));
    }
    return most;
}

size_t gm_barlow_primal_workspace(const gm_context *context, int64_t n, int64_t d, bool gradients)
{
    const int64_t rows = panel_rows(d), last_rows = d - (gm_ceil_div(d, rows) - 1) * rows;
    size_t most = gm_barlow_larger(panel_workspace(context, n, d, rows, gradients),
                                   panel_workspace(context, n, d, last_rows, gradients));
    return gm_workspace_bytes((size_t)d * sizeof(double)) + gm_workspace_bytes((size_t)(rows * d) * sizeof(float)) +
           most;
}
