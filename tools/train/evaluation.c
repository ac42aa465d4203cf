#include "train/evaluation.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "support/file.h"
#include "train/softmax.h"

static double monotonic_seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

gm_status gm_row_features(gm_context *context, const gm_dataset *dataset, const gm_split *split, const int64_t *rows,
                          int64_t count, gm_model *model, float *features, gm_error *error)
{
    enum { MOST_ROWS = 4096, MOST_NUMBERS = 1 << 24 }; /* of a piece: 64 MB where a sample is not larger */
    const int64_t dim = gm_model_feature_size(model), fitting = MOST_NUMBERS / dataset->dim;
    const int64_t piece = fitting < 1 ? 1 : fitting < MOST_ROWS ? fitting : MOST_ROWS;
    float *plain = malloc(sizeof(float) * (size_t)piece * (size_t)dataset->dim);
    if (!plain)
        return gm_error_set(error, GM_OUT_OF_MEMORY, "no memory for %lld samples of %s", (long long)piece,
                            dataset->name);
    gm_status status = GM_OK;
    for (int64_t first = 0; first < count && status == GM_OK; first += piece) {
        const int64_t these = count - first < piece ? count - first : piece;
        status = gm_dataset_plain_f32(dataset, split, context, rows + first, these, plain, dataset->dim, error);
        if (status != GM_OK)
            break;
        status = gm_model_features_f32(model, these, plain, dataset->dim, features + first * dim, dim);
        if (status != GM_OK)
            gm_error_set(error, status, "features of %lld samples of %s: %s", (long long)count, dataset->name,
                         gm_status_string(status));
    }
    free(plain);
    return status;
}

gm_status gm_split_features(gm_context *context, const gm_dataset *dataset, const gm_split *split, gm_model *model,
                            float *features, gm_error *error)
{
    int64_t *rows = malloc(sizeof *rows * (size_t)split->rows);
    if (!rows)
        return gm_error_set(error, GM_OUT_OF_MEMORY, "no memory for the numbers of %lld samples",
                            (long long)split->rows);
    for (int64_t i = 0; i < split->rows; i++)
        rows[i] = i;
    const gm_status status = gm_row_features(context, dataset, split, rows, split->rows, model, features, error);
    free(rows);
    return status;
}

static gm_status model_features(gm_context *context, const gm_dataset *dataset, const gm_split *split, gm_model *model,
                                gm_samples *samples, gm_error *error)
{
    const int64_t dim = gm_model_feature_size(model);
    float *features = malloc(sizeof(float) * (size_t)split->rows * (size_t)dim);
    if (!features)
        return gm_error_set(error, GM_OUT_OF_MEMORY, "no memory for the features of %lld samples of %s",
                            (long long)split->rows, dataset->name);
    const gm_status status = gm_split_features(context, dataset, split, model, features, error);
    if (status == GM_OK)
        *samples = (gm_samples){split->rows, dim, features, split->labels};
    else
        free(features);
    return status;
}

/* The samples as they are; *owned is what to free, NULL where the data set's own memory serves. */
static gm_status raw_features(const gm_dataset *dataset, const gm_split *split, gm_samples *samples, float **owned,
                              gm_error *error)
{
    *owned = NULL;
    *samples = (gm_samples){split->rows, dataset->dim, split->features, split->labels};
    if (dataset->kind == GM_DATA_VECTORS)
        return GM_OK;
    const int64_t count = split->rows * dataset->dim;
    float *x = malloc(sizeof(float) * (size_t)count);
    if (!x)
        return gm_error_set(error, GM_OUT_OF_MEMORY, "no memory for the pixels of %lld images", (long long)split->rows);
    for (int64_t i = 0; i < count; i++)
        x[i] = split->pixels[i] / 255.0f;
    samples->x = *owned = x;
    return GM_OK;
}

static gm_status measure_few(gm_context *context, const gm_samples *train, const gm_samples *test, int32_t classes,
                             const gm_standardization *standardization, const gm_evaluation_options *options,
                             gm_accuracies *accuracies, gm_error *error)
{
    for (int32_t draw = 0; draw < options->draws; draw++) {
        gm_samples few;
        gm_probe_options probe = options->probe;
        probe.seed += (uint64_t)draw;
        gm_status status = gm_samples_few(train, classes, options->labels_per_class, probe.seed, &few, error);
        if (status != GM_OK)
            return status;
        double knn = 0.0;
        gm_probe_result linear = {0};
        status = gm_knn_accuracy(context, &few, test, classes, &options->knn, &knn, error);
        if (status == GM_OK && options->linear)
            status = gm_linear_probe(context, &few, test, classes, standardization, &probe, &linear, NULL, error);
        gm_samples_free(&few);
        if (status != GM_OK)
            return status;
        accuracies->few_knn += knn / options->draws;
        accuracies->few_linear += linear.top1 / options->draws;
    }
    return GM_OK;
}

/* What has labels is standardised by all training samples: these need no labels for that. */
static gm_status measure(gm_context *context, const gm_samples *train, const gm_samples *test, int32_t classes,
                         const gm_evaluation_options *options, gm_accuracies *accuracies, int64_t *labelled,
                         gm_error *error)
{
    const gm_probe_classifier *classifier = options->classifier.weight ? &options->classifier : NULL;
    gm_standardization standardization;
    gm_probe_result linear = {0};
    gm_samples known = *train, share = {0};
    *accuracies = (gm_accuracies){0};
    gm_status status = gm_standardization_create(context, train, &standardization, error);
    if (status == GM_OK && options->train_percent < 100.0) {
        status = gm_samples_share(train, classes, options->train_percent, options->probe.seed, &share, error);
        known = share;
    }
    if (status == GM_OK)
        status = gm_knn_accuracy(context, &known, test, classes, &options->knn, &accuracies->knn, error);
    if (status == GM_OK && options->linear)
        status = gm_linear_probe(context, &known, test, classes, &standardization, &options->probe, &linear, classifier,
                                 error);
    if (status == GM_OK && options->labels_per_class > 0)
        status = measure_few(context, &known, test, classes, &standardization, options, accuracies, error);
    accuracies->linear = linear.top1;
    accuracies->linear_top5 = linear.top5;
    *labelled = known.rows;
    gm_samples_free(&share);
    gm_standardization_free(&standardization);
    return status;
}

/* One sample of every class where there are as many classes as fit on the sheet, else samples at equal distances. */
static void choose_queries(const gm_dataset *dataset, const gm_split *split, gm_neighbours *n)
{
    n->queries = 0;
    if (split->labels && dataset->classes <= GM_SHEET_QUERIES)
        for (int32_t c = 0; c < dataset->classes; c++)
            for (int64_t i = 0; i < split->rows; i++)
                if (split->labels[i] == c) {
                    n->query[n->queries++] = i;
                    break;
                }
    if (n->queries)
        return;
    n->queries = (int32_t)(split->rows < GM_SHEET_QUERIES ? split->rows : GM_SHEET_QUERIES);
    for (int32_t q = 0; q < n->queries; q++)
        n->query[q] = split->rows / n->queries * q;
}

static gm_status find_neighbours(gm_context *context, const gm_dataset *dataset, const gm_samples *train,
                                 const gm_samples *test, gm_neighbours *n, gm_error *error)
{
    n->of_training = !test;
    choose_queries(dataset, test ? &dataset->test : &dataset->train, n);
    const gm_samples *from = test ? test : train;
    const int32_t self = n->of_training, most = GM_SHEET_NEIGHBOURS;
    n->k = (int32_t)(train->rows - self < most ? train->rows - self : most);
    const int32_t k = n->k + self;
    float *x = malloc(sizeof(float) * GM_SHEET_QUERIES * (size_t)train->dim);
    if (!x)
        return gm_error_set(error, GM_OUT_OF_MEMORY, "no memory for %d samples", GM_SHEET_QUERIES);
    for (int32_t q = 0; q < n->queries; q++)
        memcpy(x + q * train->dim, from->x + n->query[q] * train->dim, sizeof(float) * (size_t)train->dim);
    const gm_samples queries = {n->queries, train->dim, x, NULL};
    float similarity[GM_SHEET_QUERIES * (GM_SHEET_NEIGHBOURS + 1)];
    int32_t index[GM_SHEET_QUERIES * (GM_SHEET_NEIGHBOURS + 1)];
    const gm_status status = gm_nearest(context, train, &queries, k, similarity, index, error);
    free(x);
    if (status != GM_OK)
        return status;
    for (int32_t q = 0; q < n->queries; q++)
        for (int32_t i = 0, at = 0; i < k && at < n->k; i++) {
            if (self && index[q * k + i] == n->query[q])
                continue;
            n->index[q][at] = index[q * k + i];
            n->similarity[q][at++] = similarity[q * k + i];
        }
    return GM_OK;
}

static gm_status evaluate_model(gm_context *context, const gm_dataset *dataset, gm_model *model,
                                gm_evaluation *evaluation, gm_error *error)
{
    gm_samples train = {0}, test = {0};
    const bool with_test = dataset->test.rows > 0;
    gm_status status = model_features(context, dataset, &dataset->train, model, &train, error);
    if (status == GM_OK && with_test)
        status = model_features(context, dataset, &dataset->test, model, &test, error);
    if (status == GM_OK)
        status = find_neighbours(context, dataset, &train, with_test ? &test : NULL, &evaluation->neighbours, error);
    if (status == GM_OK)
        status = gm_project(context, with_test ? &test : &train, &evaluation->projection, error);
    evaluation->projection.of_training = !with_test;
    if (status == GM_OK && evaluation->measured)
        status = measure(context, &train, &test, dataset->classes, &evaluation->options, &evaluation->model,
                         &evaluation->labelled, error);
    free((void *)train.x);
    free((void *)test.x);
    return status;
}

struct raw {
    gm_samples train, test;
    float *train_owned, *test_owned;
};

static void raw_free(struct raw *raw)
{
    free(raw->train_owned);
    free(raw->test_owned);
}

static gm_status raw_create(const gm_dataset *dataset, struct raw *raw, gm_error *error)
{
    *raw = (struct raw){.train_owned = NULL};
    gm_status status = raw_features(dataset, &dataset->train, &raw->train, &raw->train_owned, error);
    if (status == GM_OK)
        status = raw_features(dataset, &dataset->test, &raw->test, &raw->test_owned, error);
    return status;
}

static gm_status evaluate_raw(gm_context *context, const gm_dataset *dataset, gm_evaluation *evaluation,
                              gm_error *error)
{
    struct raw raw;
    gm_evaluation_options options = evaluation->options;
    options.classifier = (gm_probe_classifier){NULL, NULL};
    gm_status status = raw_create(dataset, &raw, error);
    if (status == GM_OK)
        status = measure(context, &raw.train, &raw.test, dataset->classes, &options, &evaluation->raw,
                         &evaluation->labelled, error);
    raw_free(&raw);
    return status;
}

gm_status gm_evaluate_raw_linear(gm_context *context, const gm_dataset *dataset, const int64_t *rows, int64_t count,
                                 const gm_probe_options *options, gm_probe_result *result, gm_error *error)
{
    struct raw raw;
    gm_samples known = {0};
    gm_standardization standardization = {0};
    gm_status status = raw_create(dataset, &raw, error);
    if (status == GM_OK)
        status = gm_standardization_create(context, &raw.train, &standardization, error);
    if (status == GM_OK)
        status = gm_samples_take(&raw.train, rows, count, &known, error);
    if (status == GM_OK)
        status = gm_linear_probe(context, &known, &raw.test, dataset->classes, &standardization, options, result, NULL,
                                 error);
    gm_samples_free(&known);
    gm_standardization_free(&standardization);
    raw_free(&raw);
    return status;
}

gm_status gm_evaluate(gm_context *context, const gm_dataset *dataset, gm_model *model,
                      const gm_evaluation_options *options, gm_evaluation *evaluation, gm_error *error)
{
    const double start = monotonic_seconds();
    memset(evaluation, 0, sizeof *evaluation);
    evaluation->options = options ? *options : gm_evaluation_default_options();
    evaluation->measured =
        dataset->classes > 0 && dataset->train.labels && dataset->test.labels && dataset->test.rows > 0;
    evaluation->feature_size = gm_model_feature_size(model);
    gm_status status = evaluate_model(context, dataset, model, evaluation, error);
    if (status == GM_OK && evaluation->measured && gm_evaluation_baseline_name(dataset))
        status = evaluate_raw(context, dataset, evaluation, error);
    evaluation->seconds = monotonic_seconds() - start;
    return status;
}

size_t gm_evaluation_memory(const gm_dataset *dataset, int64_t feature_size)
{
    const int64_t width =
        dataset->train.pixels && /* vectors serve as they are, files not at all */ dataset->dim > feature_size
            ? dataset->dim
            : feature_size;
    return sizeof(float) * (size_t)(dataset->train.rows + dataset->test.rows) * (size_t)width;
}

const char *gm_evaluation_baseline_name(const gm_dataset *dataset)
{
    return dataset->train.pixels ? "raw pixels" : dataset->kind == GM_DATA_VECTORS ? "raw features" : NULL;
}

/* raw: NULL without a baseline */
static void print_row(FILE *out, const char *what, double model, const double *raw)
{
    fprintf(out, "  %-38s %8.4f", what, model);
    if (raw)
        fprintf(out, " %14.4f", *raw);
    fputc('\n', out);
}

static void print_result(FILE *out, const char *what, double model, const char *baseline, double raw)
{
    fprintf(out, "%s %.4f", what, model);
    if (baseline)
        fprintf(out, " (%s %.4f)", baseline, raw);
    fputc('\n', out);
}

void gm_evaluation_print_table(const gm_evaluation *evaluation, const gm_dataset *dataset, FILE *out)
{
    if (!evaluation->measured) {
        fprintf(out, "No accuracies: %s has no %s.\n", dataset->name,
                dataset->train.labels ? "test split; hold one back with --val-split 0.1"
                                      : "labels; give them with --labels FILE");
        return;
    }
    const gm_evaluation_options *o = &evaluation->options;
    const gm_accuracies *model = &evaluation->model;
    const char *baseline = gm_evaluation_baseline_name(dataset);
    const gm_accuracies *raw = baseline ? &evaluation->raw : NULL;
    char what[64];
    fprintf(out, "Accuracies on %lld test samples of %s, features of %lld numbers from %lld training samples",
            (long long)dataset->test.rows, dataset->name, (long long)evaluation->feature_size,
            (long long)dataset->train.rows);
    if (evaluation->options.train_percent < 100.0)
        fprintf(out, ", %lld with labels", (long long)evaluation->labelled);
    fprintf(out, ":\n");
    fprintf(out, "  %-38s %8s", "", "model");
    if (baseline)
        fprintf(out, " %14s", baseline);
    fputc('\n', out);
    snprintf(what, sizeof what, "kNN (k %d, temperature %g, cosine)", o->knn.k, (double)o->knn.temperature);
    print_row(out, what, model->knn, raw ? &raw->knn : NULL);
    if (o->linear) {
        snprintf(what, sizeof what, "linear probe (%d epochs), top 1", o->probe.epochs);
        print_row(out, what, model->linear, raw ? &raw->linear : NULL);
        if (dataset->classes > GM_TOP)
            print_row(out, "linear probe, top 5", model->linear_top5, raw ? &raw->linear_top5 : NULL);
    }
    if (o->labels_per_class > 0) {
        snprintf(what, sizeof what, "kNN, %d labels a class (%d draws)", o->labels_per_class, o->draws);
        print_row(out, what, model->few_knn, raw ? &raw->few_knn : NULL);
    }
    if (o->labels_per_class > 0 && o->linear) {
        snprintf(what, sizeof what, "linear, %d labels a class (%d draws)", o->labels_per_class, o->draws);
        print_row(out, what, model->few_linear, raw ? &raw->few_linear : NULL);
    }
}

void gm_evaluation_print_results(const gm_evaluation *evaluation, const gm_dataset *dataset, FILE *out)
{
    if (!evaluation->measured)
        return;
    const char *baseline = gm_evaluation_baseline_name(dataset);
    print_result(out, "knn", evaluation->model.knn, baseline, evaluation->raw.knn);
    if (evaluation->options.linear)
        print_result(out, "linear", evaluation->model.linear, baseline, evaluation->raw.linear);
}

gm_status gm_evaluation_write_results(const gm_evaluation *evaluation, const gm_dataset *dataset, const char *path,
                                      gm_error *error)
{
    char text[256] = "";
    FILE *out = fmemopen(text, sizeof text, "w");
    if (!out)
        return gm_file_error(error, path, "write", errno);
    gm_evaluation_print_results(evaluation, dataset, out);
    fclose(out);
    return gm_file_write(path, text, strlen(text), error);
}
