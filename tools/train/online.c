#include "train/online.h"

#include <stdlib.h>

gm_status gm_online_check(const gm_dataset *dataset, gm_error *error)
{
    if (dataset->classes > 0 && dataset->train.labels && dataset->test.labels && dataset->test.rows > 0)
        return GM_OK;
    return gm_error_set(error, GM_BAD_USAGE, "--eval-every: %s has no %s", dataset->name,
                        dataset->train.labels ? "test samples; hold some back with --val-split 0.1"
                                              : "labels; give them with --labels FILE");
}

/* Features and labels of samples at equal distances; free with gm_samples_free(). */
static gm_status take_features(gm_context *context, const gm_dataset *dataset, const gm_split *split, int64_t most,
                               gm_model *model, gm_samples *samples, gm_error *error)
{
    const int64_t count = split->rows < most ? split->rows : most, dim = gm_model_feature_size(model);
    int64_t *rows = malloc(sizeof *rows * (size_t)count);
    int32_t *labels = malloc(sizeof *labels * (size_t)count);
    float *x = malloc(sizeof *x * (size_t)(count * dim));
    gm_status status = GM_OUT_OF_MEMORY;
    *samples = (gm_samples){count, dim, x, labels};
    if (!rows || !labels || !x) {
        gm_error_set(error, status, "no memory for the features of %lld samples", (long long)count);
        goto fail;
    }
    for (int64_t i = 0; i < count; i++) {
        rows[i] = i * split->rows / count;
        labels[i] = split->labels[rows[i]];
    }
    status = gm_row_features(context, dataset, split, rows, count, model, x, error);
fail:
    free(rows);
    if (status != GM_OK)
        gm_samples_free(samples);
    return status;
}

static gm_status measure(gm_context *context, const gm_samples *train, const gm_samples *test, int32_t classes,
                         uint64_t seed, double *knn, double *linear, gm_error *error)
{
    gm_probe_options options = gm_probe_default_options();
    gm_standardization standardization;
    gm_probe_result result;
    options.seed = seed;
    gm_status status = gm_standardization_create(context, train, &standardization, error);
    if (status != GM_OK)
        return status;
    status = gm_knn_accuracy(context, train, test, classes, NULL, knn, error);
    if (status == GM_OK)
        status = gm_linear_probe(context, train, test, classes, &standardization, &options, &result, NULL, error);
    *linear = status == GM_OK ? result.top1 : 0.0;
    gm_standardization_free(&standardization);
    return status;
}

gm_status gm_online_evaluate(gm_context *context, const gm_dataset *dataset, gm_model *model, uint64_t seed,
                             double *knn, double *linear, gm_error *error)
{
    gm_samples train = {0}, test = {0};
    gm_status status = gm_online_check(dataset, error);
    if (status == GM_OK)
        status = take_features(context, dataset, &dataset->train, GM_ONLINE_TRAIN, model, &train, error);
    if (status == GM_OK)
        status = take_features(context, dataset, &dataset->test, GM_ONLINE_TEST, model, &test, error);
    if (status == GM_OK)
        status = measure(context, &train, &test, dataset->classes, seed, knn, linear, error);
    gm_samples_free(&train);
    gm_samples_free(&test);
    return status;
}
