/* A picture of C: the mean over a tile I x J is the product of the mean columns of I and J, so only tiles^2 n
 * multiplications are left after one pass over the embeddings. */
#include <math.h>

#include "barlow/barlow.h"

enum { MEAN_ROWS = 16 }; /* of one chunk */

struct means_task {
    const struct gm_barlow_job *job;
    int64_t tiles;
    float *mean_a, *mean_b; /* [n, tiles] */
};

static int64_t tile_begin(int64_t tile, int64_t d, int64_t tiles)
{
    return d / tiles * tile + d % tiles * tile / tiles; /* tile d / tiles without overflow */
}

static void means_chunk(void *arg, int64_t chunk, int worker)
{
    (void)worker;
    const struct means_task *task = arg;
    const struct gm_barlow_job *job = task->job;
    const struct gm_barlow_view *views[2] = {&job->a.view, &job->b.view};
    float *means[2] = {task->mean_a, task->mean_b};
    const int64_t row = chunk * MEAN_ROWS, rows = gm_min_i64(MEAN_ROWS, job->n - row);
    for (int side = 0; side < 2; side++) {
        for (int64_t tile = 0; tile < task->tiles; tile++) {
            const int64_t begin = tile_begin(tile, job->d, task->tiles);
            const int64_t end = tile_begin(tile + 1, job->d, task->tiles);
            struct gm_barlow_view view = gm_barlow_view_from(views[side], begin);
            view.z += row * view.ldz;
            job->context->kernels.barlow->row_means(rows, end - begin, &view, means[side] + row * task->tiles + tile,
                                                    task->tiles);
        }
    }
}

static bool all_finite(int64_t tiles, const float *c, int64_t ldc)
{
    for (int64_t i = 0; i < tiles; i++)
        for (int64_t j = 0; j < tiles; j++)
            if (!isfinite(c[i * ldc + j]))
                return false;
    return true;
}

size_t gm_cross_correlation_tiles_f32_workspace(const gm_context *context, int64_t n, int64_t d, int64_t tiles)
{
    if (!context || n < 2 || d < 1 || tiles < 1 || tiles > d)
        return 0;
    return gm_barlow_views_workspace(d) + 2 * gm_workspace_bytes((size_t)(n * tiles) * sizeof(float)) +
           gm_gemm_run_workspace(context, tiles, tiles, n, GM_GEMM_STORE);
}

gm_status gm_cross_correlation_tiles_f32(gm_context *context, int64_t n, int64_t d, const float *za, int64_t ldza,
                                         const float *zb, int64_t ldzb, const gm_barlow_options *options, int64_t tiles,
                                         float *c, int64_t ldc)
{
    struct gm_barlow_job job = {.context = context, .n = n, .d = d};
    gm_status status = gm_barlow_check(context, n, d, za, ldza, zb, ldzb, options, &job.options);
    if (status == GM_OK && (tiles < 1 || tiles > d))
        status = GM_INVALID_ARGUMENT;
    if (status == GM_OK)
        status = gm_check_matrix(tiles, tiles, c, ldc);
    if (status != GM_OK)
        return status;
    if (!gm_workspace_fits(context, gm_cross_correlation_tiles_f32_workspace(context, n, d, tiles)))
        return GM_WORKSPACE_TOO_SMALL;

    const size_t mark = gm_workspace_mark(context);
    gm_barlow_take_views(&job, za, ldza, zb, ldzb);
    gm_barlow_set_divisor(&job);
    struct means_task task = {.job = &job, .tiles = tiles};
    task.mean_a = gm_workspace_take(context, (size_t)(n * tiles) * sizeof(float));
    task.mean_b = gm_workspace_take(context, (size_t)(n * tiles) * sizeof(float));
    gm_barlow_normalize(&job, NULL);
    gm_parallel(context, gm_ceil_div(n, MEAN_ROWS), means_chunk, &task);

    const struct gm_gemm_source left = {.kind = GM_GEMM_PLAIN, .transposed = true, .data = task.mean_a, .ld = tiles},
                                right = {.kind = GM_GEMM_PLAIN, .data = task.mean_b, .ld = tiles};
    const struct gm_gemm_epilogue store = {
        .kind = GM_GEMM_STORE, .c = c, .ldc = ldc, .alpha = (float)(1 / job.divisor)};
    gm_gemm_run(context, tiles, tiles, n, &left, &right, &store);
    gm_workspace_release(context, mark);
    return all_finite(tiles, c, ldc) ? GM_OK : GM_NOT_FINITE;
}
