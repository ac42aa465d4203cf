/* What a model's features are worth: accuracies by nearest neighbours and by a linear classifier, with all labels and
 * with few, beside the same protocols on the samples as they are. */
#ifndef GEMEL_EVALUATION_H
#define GEMEL_EVALUATION_H

#include <stdio.h>

#include <gemel/data.h>
#include <gemel/model.h>

#include "train/knn.h"
#include "train/linear_probe.h"
#include "train/projection.h"

typedef struct gm_evaluation_options {
    gm_knn_options knn;
    gm_probe_options probe;
    bool linear;              /* run the linear probes, too */
    int32_t labels_per_class; /* of the few-label lines; 0: none */
    int32_t draws;        /* of the few labels, by seeds from probe.seed on; their accuracies are means over these */
    double train_percent; /* of each class's training samples have labels for kNN and probe, drawn by probe.seed */
    gm_probe_classifier classifier; /* where the probe on the model's features goes; NULLs: nowhere */
} gm_evaluation_options;

static inline gm_evaluation_options gm_evaluation_default_options(void)
{
    gm_evaluation_options options = {
        gm_knn_default_options(), gm_probe_default_options(), true, 10, 5, 100.0, {NULL, NULL}};
    return options;
}

/* Shares of the test samples; 0 where not asked for. */
typedef struct gm_accuracies {
    double knn, linear, linear_top5, few_knn, few_linear;
} gm_accuracies;

enum { GM_SHEET_QUERIES = 10, GM_SHEET_NEIGHBOURS = 8 };

/* Some samples with the training samples nearest to them in the model's features. */
typedef struct gm_neighbours {
    int32_t queries, k; /* at most GM_SHEET_QUERIES and GM_SHEET_NEIGHBOURS; 0 without a model */
    bool of_training;   /* the queries are training samples, and not their own neighbours */
    int64_t query[GM_SHEET_QUERIES];
    int32_t index[GM_SHEET_QUERIES][GM_SHEET_NEIGHBOURS];
    float similarity[GM_SHEET_QUERIES][GM_SHEET_NEIGHBOURS];
} gm_neighbours;

typedef struct gm_evaluation {
    gm_evaluation_options options;
    bool measured; /* false without labels or without a test split: then only neighbours and projection are known */
    gm_accuracies model, raw;
    int64_t feature_size;
    int64_t labelled; /* training samples whose labels kNN and probe got */
    gm_neighbours neighbours;
    gm_projection projection; /* of the model's features of the test samples, or of the training samples without them */
    double seconds;
} gm_evaluation;

/* Features of both splits by gm_model_features_f32(), against the pixels / 255 or the vectors as they are (of images in
 * files, against nothing). Holds the
 * features of all samples in memory, the model's and the raw ones one after the other. options: NULL for the defaults.
 * Errors: GM_OUT_OF_MEMORY, GM_NOT_FINITE (weights or data with NaN or infinity), GM_INVALID_ARGUMENT. */
gm_status gm_evaluate(gm_context *context, const gm_dataset *dataset, gm_model *model,
                      const gm_evaluation_options *options, gm_evaluation *evaluation, gm_error *error);

/* The linear probe on the samples as they are, with the labels of the training samples rows[0 … count); only where
 * gm_evaluation_baseline_name() names them. Errors: as above. */
gm_status gm_evaluate_raw_linear(gm_context *context, const gm_dataset *dataset, const int64_t *rows, int64_t count,
                                 const gm_probe_options *options, gm_probe_result *result, gm_error *error);

/* features = the model's features of a split's samples as they are, [split->rows, gm_model_feature_size(model)].
 * Errors: GM_OUT_OF_MEMORY, GM_NOT_FINITE. */
gm_status gm_split_features(gm_context *context, const gm_dataset *dataset, const gm_split *split, gm_model *model,
                            float *features, gm_error *error);

/* The same of the samples rows[0 … count) of a split. */
gm_status gm_row_features(gm_context *context, const gm_dataset *dataset, const gm_split *split, const int64_t *rows,
                          int64_t count, gm_model *model, float *features, gm_error *error);

/* The bytes of these features, which nearly all of its memory is. */
size_t gm_evaluation_memory(const gm_dataset *dataset, int64_t feature_size);

/* A table of the accuracies with their protocols; or, without accuracies, why and what to do. */
void gm_evaluation_print_table(const gm_evaluation *evaluation, const gm_dataset *dataset, FILE *out);

/* "knn 0.8512 (raw pixels 0.8447)" and, if it was asked for, the same of the linear probe; nothing if not measured. */
void gm_evaluation_print_results(const gm_evaluation *evaluation, const gm_dataset *dataset, FILE *out);

/* The same lines into a file, which is empty if nothing was measured. Errors: GM_IO_ERROR, GM_OUT_OF_MEMORY. */
gm_status gm_evaluation_write_results(const gm_evaluation *evaluation, const gm_dataset *dataset, const char *path,
                                      gm_error *error);

/* "raw pixels" or "raw features"; NULL for images in files, which have no baseline: as floats they would fill the
 * memory, and a smaller picture of them says little. */
const char *gm_evaluation_baseline_name(const gm_dataset *dataset);

#endif
