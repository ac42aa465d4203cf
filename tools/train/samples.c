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

gm_status gm_samples_few(const gm_samples *samples, int32_t classes, int32_t per_class, uint64_t seed, gm_samples *few,
                         gm_error *error)
{
    *few = (gm_samples){0};
    const int64_t most = (int64_t)classes * per_class < samples->rows ? (int64_t)classes * per_class : samples->rows;
    const size_t row_bytes = (size_t)samples->dim * sizeof(float);
    int64_t *order = malloc((size_t)samples->rows * sizeof *order);
    int32_t *taken = calloc((size_t)classes, sizeof *taken);
    float *x = malloc((size_t)most * row_bytes);
    int32_t *labels = malloc((size_t)most * sizeof *labels);
    if (!order || !taken || !x || !labels)
        goto fail;

    gm_shuffle(seed, 0, order, samples->rows);
    int64_t rows = 0;
    for (int64_t i = 0; i < samples->rows && rows < most; i++) {
        const int32_t label = samples->labels[order[i]];
        if (taken[label] == per_class)
            continue;
        taken[label]++;
        memcpy(x + rows * samples->dim, samples->x + order[i] * samples->dim, row_bytes);
        labels[rows++] = label;
    }
    free(order);
    free(taken);
    *few = (gm_samples){rows, samples->dim, x, labels};
    return GM_OK;

fail:
    free(order);
    free(taken);
    free(x);
    free(labels);
    return gm_error_set(error, GM_OUT_OF_MEMORY, "no memory for %lld labelled samples", (long long)most);
}

void gm_samples_free(gm_samples *samples)
{
    free((void *)samples->x);
    free((void *)samples->labels);
    *samples = (gm_samples){0};
}
