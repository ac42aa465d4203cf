#include <gemel/gray_view.h>

#include <math.h>

#include "gray_view/gray_view.h"

/* Views of one chunk: some 20 microseconds, enough to hide its start. */
enum { CHUNK_VIEWS = 16 };

struct job {
    const struct gm_gray_view_kernels *kernels;
    int64_t count, height, width;
    const uint8_t *images;
    const int64_t *image_rows;
    const gm_gray_view *views;
    float mean, std;
    float *scratch; /* one part a worker */
    int64_t scratch_size;
    float *y;
    int64_t ldy;
};

static void run_chunk(void *arg, int64_t chunk, int worker)
{
    const struct job *job = arg;
    const int64_t end = gm_min_i64((chunk + 1) * CHUNK_VIEWS, job->count), pixels = job->height * job->width;
    for (int64_t i = chunk * CHUNK_VIEWS; i < end; i++) {
        const int64_t row = job->image_rows ? job->image_rows[i] : i;
        job->kernels->view(job->height, job->width, job->images + row * pixels, &job->views[i], job->mean, job->std,
                           job->scratch + worker * job->scratch_size, job->y + i * job->ldy);
    }
}

/* False also for NaN. */
static bool in_range(float x, float low, float high)
{
    return x >= low && x <= high;
}

static bool view_valid(const gm_gray_view *view, float height, float width)
{
    return in_range(view->left, 0.0f, width) && in_range(view->top, 0.0f, height) && view->width > 0.0f &&
           view->height > 0.0f && in_range(view->left + view->width, 0.0f, width) &&
           in_range(view->top + view->height, 0.0f, height) && in_range(view->brightness, 0.0f, 1e6f) &&
           in_range(view->contrast, 0.0f, 1e6f) && in_range(view->blur_sigma, 0.0f, GM_GRAY_VIEW_SIGMA) &&
           in_range(view->solarize_threshold, 0.0f, INFINITY);
}

gm_status gm_gray_views_u8_f32(gm_context *context, int64_t count, int64_t height, int64_t width, const uint8_t *images,
                               const int64_t *image_rows, const gm_gray_view *views, float mean, float std, float *y,
                               int64_t ldy)
{
    if (!context || height < 1 || height > GM_GRAY_VIEW_SIDE || width < 1 || width > GM_GRAY_VIEW_SIDE ||
        !isfinite(mean) || !isfinite(std) || !(std > 0.0f))
        return GM_INVALID_ARGUMENT;
    const gm_status status = gm_check_matrix(count, height * width, y, ldy);
    if (status != GM_OK || count == 0)
        return status;
    if (!images || !views)
        return GM_INVALID_ARGUMENT;
    for (int64_t i = 0; i < count; i++)
        if ((image_rows && image_rows[i] < 0) || !view_valid(&views[i], (float)height, (float)width))
            return GM_INVALID_ARGUMENT;
    if (!gm_workspace_fits(context, gm_gray_views_u8_f32_workspace(context, height, width)))
        return GM_WORKSPACE_TOO_SMALL;
    const size_t mark = gm_workspace_mark(context);
    struct job job = {.kernels = context->kernels.gray_view,
                      .count = count,
                      .height = height,
                      .width = width,
                      .images = images,
                      .image_rows = image_rows,
                      .views = views,
                      .mean = mean,
                      .std = std,
                      .scratch_size = gm_gray_view_scratch(height, width),
                      .y = y,
                      .ldy = ldy};
    job.scratch = gm_workspace_take(context, (size_t)(context->threads * job.scratch_size) * sizeof(float));
    gm_parallel(context, gm_ceil_div(count, CHUNK_VIEWS), run_chunk, &job);
    gm_workspace_release(context, mark);
    return GM_OK;
}

size_t gm_gray_views_u8_f32_workspace(const gm_context *context, int64_t height, int64_t width)
{
    if (!context || height < 1 || height > GM_GRAY_VIEW_SIDE || width < 1 || width > GM_GRAY_VIEW_SIDE)
        return 0;
    return gm_workspace_bytes((size_t)(context->threads * gm_gray_view_scratch(height, width)) * sizeof(float));
}
