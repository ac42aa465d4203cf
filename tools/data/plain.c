#include "data/plain.h"

#include <stdlib.h>

#include "data/image.h"

/* Images of one chunk: they share a buffer. */
enum { CHUNK = 8, CHANNELS = 3 };

struct plain_job {
    const gm_dataset *dataset;
    const gm_split *split;
    const int64_t *rows;
    int64_t count;
    float *y;
    int64_t ldy;
    gm_error *errors; /* [chunks]: the first of each, code GM_OK for none */
};

/* y = (x / 255 - mean) / std for each channel. */
static void normalize(const gm_dataset *dataset, const uint8_t *x, int64_t pixels, float *y)
{
    for (int64_t i = 0; i < pixels; i++)
        for (int64_t c = 0; c < CHANNELS; c++)
            y[CHANNELS * i + c] =
                ((float)x[CHANNELS * i + c] / 255.0f - dataset->channel_mean[c]) / dataset->channel_std[c];
}

static gm_status make_one(const struct plain_job *job, int64_t i, gm_image *image, gm_error *error)
{
    const gm_dataset *dataset = job->dataset;
    const int64_t row = job->rows ? job->rows[i] : i;
    const gm_status status = gm_dataset_read_image(dataset, job->split, row, image, error);
    if (status == GM_OK && (image->height != dataset->height || image->width != dataset->width))
        return gm_error_set(error, GM_BAD_DATA, "%s: image %lld is %lld x %lld pixels, not %lld x %lld", dataset->name,
                            (long long)row, (long long)image->width, (long long)image->height,
                            (long long)dataset->width, (long long)dataset->height);
    if (status == GM_OK)
        normalize(dataset, image->pixels, dataset->height * dataset->width, job->y + i * job->ldy);
    return status;
}

static void make_chunk(void *arg, int64_t chunk, int worker)
{
    (void)worker;
    struct plain_job *job = arg;
    const int64_t begin = chunk * CHUNK, end = begin + CHUNK < job->count ? begin + CHUNK : job->count;
    gm_image image = {0};
    gm_error *error = &job->errors[chunk];
    error->code = GM_OK;
    for (int64_t i = begin; i < end && error->code == GM_OK; i++)
        error->code = make_one(job, i, &image, error);
    gm_image_free(&image);
}

gm_status gm_color_plain_f32(const gm_dataset *dataset, const gm_split *split, gm_context *context, const int64_t *rows,
                             int64_t count, float *y, int64_t ldy, gm_error *error)
{
    const int64_t chunks = (count + CHUNK - 1) / CHUNK;
    gm_error *errors = malloc((size_t)chunks * sizeof *errors + 1);
    if (!errors)
        return gm_error_set(error, GM_OUT_OF_MEMORY, "%s: no memory for %lld samples", dataset->name, (long long)count);
    struct plain_job job = {dataset, split, rows, count, y, ldy, errors};
    gm_context_parallel_for(context, chunks, make_chunk, &job);
    gm_status status = GM_OK;
    for (int64_t c = 0; c < chunks && status == GM_OK; c++) /* the first one, whoever met it */
        if (errors[c].code != GM_OK)
            status = gm_error_set(error, errors[c].code, "%s", errors[c].message);
    free(errors);
    return status;
}
