#include <string.h>

#include "data/augmentation.h"
#include "data/dataset.h"
#include "data/plain.h"

/* Samples of one call of the image kernel: their drawn views take 20 KB of stack. Rows of one chunk of vectors, and
 * views that are drawn in one chunk. None of these changes a number. */
enum { PIECE = 512, CHUNK = 32 };

/* What a chunk of the loops below needs. augmentation: NULL for the samples as they are. */
struct view_job {
    const gm_dataset *dataset;
    const gm_split *split;
    const gm_augmentation *augmentation;
    struct gm_view_key key; /* but for the sample */
    const int64_t *rows;
    int64_t first, count; /* the piece of the samples that is being made */
    gm_gray_view *views;
    float *y;
    int64_t ldy;
};

static int64_t row_of(const struct view_job *job, int64_t i)
{
    return job->rows ? job->rows[i] : i;
}

static void draw_chunk(void *arg, int64_t chunk, int worker)
{
    (void)worker;
    const struct view_job *job = arg;
    const int64_t begin = chunk * CHUNK, end = begin + CHUNK < job->count ? begin + CHUNK : job->count;
    for (int64_t i = begin; i < end; i++) {
        struct gm_view_key key = job->key;
        key.sample = row_of(job, job->first + i);
        job->views[i] = gm_augmentation_draw(job->augmentation, key, job->dataset->height, job->dataset->width);
    }
}

static gm_status make_gray_views(gm_context *context, struct view_job *job, int64_t total)
{
    const gm_dataset *dataset = job->dataset;
    gm_gray_view views[PIECE];
    gm_status status =
        gm_context_reserve(context, gm_gray_views_u8_f32_workspace(context, dataset->height, dataset->width));
    job->views = views;
    if (!job->augmentation)
        for (int64_t i = 0; i < PIECE; i++)
            views[i] = gm_plain_view(dataset->height, dataset->width);
    for (job->first = 0; job->first < total && status == GM_OK; job->first += PIECE) {
        job->count = total - job->first < PIECE ? total - job->first : PIECE;
        if (job->augmentation)
            gm_context_parallel_for(context, (job->count + CHUNK - 1) / CHUNK, draw_chunk, job);
        const uint8_t *images = job->split->pixels + (job->rows ? 0 : job->first * dataset->dim);
        status = gm_gray_views_u8_f32(context, job->count, dataset->height, dataset->width, images,
                                      job->rows ? job->rows + job->first : NULL, views, dataset->mean, dataset->std,
                                      job->y + job->first * job->ldy, job->ldy);
    }
    return status;
}

static void vector_chunk(void *arg, int64_t chunk, int worker)
{
    (void)worker;
    const struct view_job *job = arg;
    const int64_t dim = job->dataset->dim;
    const int64_t begin = chunk * CHUNK, end = begin + CHUNK < job->count ? begin + CHUNK : job->count;
    for (int64_t i = begin; i < end; i++) {
        struct gm_view_key key = job->key;
        key.sample = row_of(job, i);
        const float *x = job->split->features + key.sample * dim;
        float *y = job->y + i * job->ldy;
        if (job->augmentation)
            gm_augmentation_apply_f32(job->augmentation, key, dim, x, y);
        else
            memcpy(y, x, (size_t)dim * sizeof *y);
    }
}

static gm_status check_arguments(const gm_context *context, const struct view_job *job, int64_t count)
{
    const gm_dataset *dataset = job->dataset;
    const gm_split *split = job->split;
    if (!dataset || !split || !context || count < 0 || job->ldy < dataset->dim || (count > 0 && !job->y))
        return GM_INVALID_ARGUMENT;
    if (count > INT64_MAX / (int64_t)sizeof(double) / job->ldy)
        return GM_SIZE_OVERFLOW;
    if (!job->rows && count > split->rows)
        return GM_INVALID_ARGUMENT;
    for (int64_t i = 0; job->rows && i < count; i++)
        if (job->rows[i] < 0 || job->rows[i] >= split->rows)
            return GM_INVALID_ARGUMENT;
    return GM_OK;
}

static gm_status make_views(gm_context *context, struct view_job *job, int64_t count, gm_error *error)
{
    gm_status status = check_arguments(context, job, count);
    if (status == GM_OK && job->dataset->kind == GM_DATA_COLOR_IMAGES)
        return job->augmentation
                   ? gm_error_set(error, GM_BAD_USAGE, "%s: no views of colour images", job->dataset->name)
                   : gm_color_plain_f32(job->dataset, job->split, context, job->rows, count, job->y, job->ldy, error);
    if (status == GM_OK && job->dataset->kind == GM_DATA_GRAY_IMAGES) {
        status = make_gray_views(context, job, count);
    } else if (status == GM_OK) {
        job->count = count;
        gm_context_parallel_for(context, (count + CHUNK - 1) / CHUNK, vector_chunk, job);
    }
    return status == GM_OK ? GM_OK : gm_error_set(error, status, "samples: %s", gm_status_string(status));
}

gm_status gm_dataset_view_f32(const gm_dataset *dataset, const gm_split *split, gm_context *context,
                              const gm_augmentation *augmentation, uint64_t seed, int64_t epoch, int32_t view,
                              const int64_t *rows, int64_t count, float *y, int64_t ldy, gm_error *error)
{
    if (!augmentation || augmentation->size < sizeof *augmentation)
        return gm_error_set(error, GM_INVALID_ARGUMENT, "no augmentation, or one without a size");
    struct view_job job = {dataset, split, augmentation, {seed, epoch, 0, view}, rows, 0, 0, NULL, y, ldy};
    return make_views(context, &job, count, error);
}

gm_status gm_dataset_plain_f32(const gm_dataset *dataset, const gm_split *split, gm_context *context,
                               const int64_t *rows, int64_t count, float *y, int64_t ldy, gm_error *error)
{
    struct view_job job = {dataset, split, NULL, {0}, rows, 0, 0, NULL, y, ldy};
    return make_views(context, &job, count, error);
}
