#include "data/view.h"

#include <string.h>

#include "data/augmentation.h"
#include "data/color_view.h"
#include "data/dataset.h"

/* Samples of one call of the image kernel: their drawn views take 20 KB of stack. Rows of one chunk of vectors, and
 * views that are drawn in one chunk. None of these changes a number. */
enum { PIECE = 512, CHUNK = 32 };

/* What a chunk of the loops below needs. */
struct view_job {
    const struct gm_view_request *request;
    int32_t view;         /* the one that is being made … */
    int64_t first, count; /* … of this piece of the samples */
    gm_gray_view *drawn;
};

static int64_t row_of(const struct gm_view_request *request, int64_t i)
{
    return request->rows ? request->rows[i] : i;
}

static float *place(const struct view_job *job, int64_t i)
{
    const struct gm_view_request *request = job->request;
    return request->y + (job->view - request->first_view) * request->view_stride + i * request->ldy;
}

static struct gm_view_key key_of(const struct view_job *job, int64_t i)
{
    const struct gm_view_request *request = job->request;
    const struct gm_view_key key = {request->seed, request->epoch, row_of(request, i), job->view};
    return key;
}

static void draw_chunk(void *arg, int64_t chunk, int worker)
{
    (void)worker;
    const struct view_job *job = arg;
    const struct gm_view_request *request = job->request;
    const int64_t begin = chunk * CHUNK, end = begin + CHUNK < job->count ? begin + CHUNK : job->count;
    for (int64_t i = begin; i < end; i++)
        job->drawn[i] = gm_augmentation_draw(request->augmentation, key_of(job, job->first + i),
                                             request->dataset->height, request->dataset->width);
}

static gm_status make_gray_views(gm_context *context, struct view_job *job)
{
    const struct gm_view_request *request = job->request;
    const gm_dataset *dataset = request->dataset;
    gm_gray_view views[PIECE];
    gm_status status =
        gm_context_reserve(context, gm_gray_views_u8_f32_workspace(context, dataset->height, dataset->width));
    job->drawn = views;
    if (!request->augmentation)
        for (int64_t i = 0; i < PIECE; i++)
            views[i] = gm_plain_view(dataset->height, dataset->width);
    for (job->first = 0; job->first < request->count && status == GM_OK; job->first += PIECE) {
        job->count = request->count - job->first < PIECE ? request->count - job->first : PIECE;
        if (request->augmentation)
            gm_context_parallel_for(context, (job->count + CHUNK - 1) / CHUNK, draw_chunk, job);
        const uint8_t *images = request->split->pixels + (request->rows ? 0 : job->first * dataset->dim);
        status = gm_gray_views_u8_f32(context, job->count, dataset->height, dataset->width, images,
                                      request->rows ? request->rows + job->first : NULL, views, dataset->mean,
                                      dataset->std, place(job, job->first), request->ldy);
    }
    return status;
}

static void vector_chunk(void *arg, int64_t chunk, int worker)
{
    (void)worker;
    const struct view_job *job = arg;
    const struct gm_view_request *request = job->request;
    const int64_t dim = request->dataset->dim;
    const int64_t begin = chunk * CHUNK, end = begin + CHUNK < request->count ? begin + CHUNK : request->count;
    for (int64_t i = begin; i < end; i++) {
        const float *x = request->split->features + row_of(request, i) * dim;
        float *y = place(job, i);
        if (request->augmentation)
            gm_augmentation_apply_f32(request->augmentation, key_of(job, i), dim, x, y);
        else
            memcpy(y, x, (size_t)dim * sizeof *y);
    }
}

static gm_status check_request(const struct gm_view_request *r, const gm_context *context)
{
    if (!r->dataset || !r->split || !context || r->count < 0 || r->views < 0 || r->ldy < r->dataset->dim ||
        (r->count > 0 && !r->y))
        return GM_INVALID_ARGUMENT;
    if (r->augmentation && r->augmentation->size < sizeof *r->augmentation)
        return GM_INVALID_ARGUMENT;
    if (r->count > INT64_MAX / (int64_t)sizeof(double) / r->ldy / (r->views > 0 ? r->views : 1))
        return GM_SIZE_OVERFLOW;
    if (!r->rows && r->count > r->split->rows)
        return GM_INVALID_ARGUMENT;
    for (int64_t i = 0; r->rows && i < r->count; i++)
        if (r->rows[i] < 0 || r->rows[i] >= r->split->rows)
            return GM_INVALID_ARGUMENT;
    return GM_OK;
}

gm_status gm_views_make(const struct gm_view_request *request, gm_context *context, gm_error *error)
{
    struct view_job job = {.request = request};
    gm_status status = check_request(request, context);
    if (status == GM_OK && request->dataset->kind == GM_DATA_COLOR_IMAGES)
        return gm_color_views_make(request, context, error);
    for (int32_t v = 0; v < request->views && status == GM_OK; v++) {
        job.view = request->first_view + v;
        if (request->dataset->kind == GM_DATA_GRAY_IMAGES)
            status = make_gray_views(context, &job);
        else
            gm_context_parallel_for(context, (request->count + CHUNK - 1) / CHUNK, vector_chunk, &job);
    }
    return status == GM_OK ? GM_OK : gm_error_set(error, status, "samples: %s", gm_status_string(status));
}

gm_status gm_dataset_views_f32(const gm_dataset *dataset, const gm_split *split, gm_context *context,
                               const gm_augmentation *augmentation, uint64_t seed, int64_t epoch, int32_t views,
                               const int64_t *rows, int64_t count, float *y, int64_t ldy, gm_error *error)
{
    if (!augmentation)
        return gm_error_set(error, GM_INVALID_ARGUMENT, "samples: no augmentation");
    const struct gm_view_request request = {dataset, split, augmentation, seed, epoch, 0,
                                            views,   rows,  count,        y,    ldy,   count * ldy};
    return gm_views_make(&request, context, error);
}

gm_status gm_dataset_view_f32(const gm_dataset *dataset, const gm_split *split, gm_context *context,
                              const gm_augmentation *augmentation, uint64_t seed, int64_t epoch, int32_t view,
                              const int64_t *rows, int64_t count, float *y, int64_t ldy, gm_error *error)
{
    if (!augmentation)
        return gm_error_set(error, GM_INVALID_ARGUMENT, "samples: no augmentation");
    const struct gm_view_request request = {dataset, split, augmentation, seed, epoch, view, 1, rows, count, y, ldy, 0};
    return gm_views_make(&request, context, error);
}

gm_status gm_dataset_plain_f32(const gm_dataset *dataset, const gm_split *split, gm_context *context,
                               const int64_t *rows, int64_t count, float *y, int64_t ldy, gm_error *error)
{
    const struct gm_view_request request = {dataset, split, NULL, 0, 0, 0, 1, rows, count, y, ldy, 0};
    return gm_views_make(&request, context, error);
}
