#include "train/samples.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <gemel/column_stats.h>
#include <gemel/data.h>

gm_status gm_standardization_create(gm_context *context, const gm_samples *samples, gm_standardization *standardization,
                                    gm_error *error)
{
    *standardization = (gm_standardization){0};
    if (samples->rows < 2)
        return gm_error_set(error, GM_INVALID_ARGUMENT, "a standard deviation needs two samples, not %lld",
                            (long long)samples->rows);
    const int64_t dim = samples->dim;
    gm_standardization result = {dim, malloc((size_t)dim * sizeof(float)), malloc((size_t)dim * sizeof(float))};
    gm_status status = GM_OUT_OF_MEMORY;
    if (!result.mean || !result.scale)
        goto fail;
    gm_column_stats_options options = gm_column_stats_default_options();
    options.unbiased = true;
    status = gm_context_reserve(context, gm_column_stats_f32_workspace(context, samples->rows, dim, &options));
    if (status != GM_OK)
        goto fail;
    status = gm_column_stats_f32(context, samples->rows, dim, samples->x, dim, &options, result.mean, result.scale);
    if (status != GM_OK)
        goto fail;
    for (int64_t j = 0; j < dim; j++)
        result.scale[j] = result.scale[j] > 0.0f ? 1.0f / (sqrtf(result.scale[j]) + 1e-6f) : 0.0f;
    *standardization = result;
    return GM_OK;

fail:
    gm_standardization_free(&result);
    return gm_error_set(error, status, "standardising %lld samples of %lld features: %s", (long long)samples->rows,
                        (long long)dim, gm_status_string(status));
}

void gm_standardization_free(gm_standardization *standardization)
{
    free(standardization->mean);
    free(standardization->scale);
    *standardization = (gm_standardization){0};
}

gm_status gm_draw_rows(int64_t rows, const int32_t *labels, int32_t classes, int32_t per_class, double percent,
                       uint64_t seed, int64_t *drawn, int64_t *count, gm_error *error)
{
    int64_t *wanted = calloc((size_t)classes, sizeof *wanted);
    if (!wanted)
        return gm_error_set(error, GM_OUT_OF_MEMORY, "no memory to count the samples of %d classes", classes);
    for (int64_t i = 0; i < rows; i++)
        wanted[labels[i]]++;
    for (int32_t c = 0; c < classes; c++) {
        const int64_t share = (int64_t)(percent / 100.0 * (double)wanted[c] + 0.5);
        wanted[c] = per_class > 0 ? per_class : share > 1 ? share : 1;
    }
    gm_shuffle(seed, 0, drawn, rows);
    *count = 0;
    for (int64_t i = 0; i < rows; i++)
        if (wanted[labels[drawn[i]]]-- > 0)
            drawn[(*count)++] = drawn[i];
    free(wanted);
    return GM_OK;
}

gm_status gm_samples_take(const gm_samples *samples, const int64_t *from, int64_t rows, gm_samples *taken,
                          gm_error *error)
{
    *taken = (gm_samples){0};
    const size_t row_bytes = (size_t)samples->dim * sizeof(float);
    float *x = malloc((size_t)rows * row_bytes);
    int32_t *labels = malloc((size_t)rows * sizeof *labels);
    if (!x || !labels) {
        free(x);
        free(labels);
        return gm_error_set(error, GM_OUT_OF_MEMORY, "no memory for %lld labelled samples", (long long)rows);
    }
    for (int64_t i = 0; i < rows; i++) {
        memcpy(x + i * samples->dim, samples->x + from[i] * samples->dim, row_bytes);
        labels[i] = samples->labels[from[i]];
    }
    *taken = (gm_samples){rows, samples->dim, x, labels};
    return GM_OK;
}

static gm_status draw(const gm_samples *samples, int32_t classes, int32_t per_class, double percent, uint64_t seed,
                      gm_samples *drawn, gm_error *error)
{
    *drawn = (gm_samples){0};
    int64_t *order = malloc((size_t)samples->rows * sizeof *order), count = 0;
    if (!order)
        return gm_error_set(error, GM_OUT_OF_MEMORY, "no memory to draw from %lld samples", (long long)samples->rows);
    gm_status status =
        gm_draw_rows(samples->rows, samples->labels, classes, per_class, percent, seed, order, &count, error);
    if (status == GM_OK)
        status = gm_samples_take(samples, order, count, drawn, error);
    free(order);
    return status;
}

gm_status gm_samples_few(const gm_samples *samples, int32_t classes, int32_t per_class, uint64_t seed, gm_samples *few,
                         gm_error *error)
{
    return draw(samples, classes, per_class, 0.0, seed, few, error);
}

gm_status gm_samples_share(const gm_samples *samples, int32_t classes, double percent, uint64_t seed, gm_samples *share,
                           gm_error *error)
{
    return draw(samples, classes, 0, percent, seed, share, error);
}

void gm_samples_free(gm_samples *samples)
{
    free((void *)samples->x);
    free((void *)samples->labels);
    *samples = (gm_samples){0};
}
