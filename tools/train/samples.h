/* Samples as rows of features, which evaluation works on: features of a model, pixels, or given vectors. */
#ifndef GEMEL_SAMPLES_H
#define GEMEL_SAMPLES_H

#include <gemel/context.h>
#include <gemel/error.h>
#include <gemel/status.h>

typedef struct gm_samples {
    int64_t rows, dim;
    const float *x;        /* [rows, dim], contiguous */
    const int32_t *labels; /* [rows], in [0, classes) */
} gm_samples;

/* What brings each column to mean 0 and deviation 1. */
typedef struct gm_standardization {
    int64_t dim;
    float *mean;  /* [dim] */
    float *scale; /* [dim] 1 / (deviation + 1e-6); 0 for a constant column, which says nothing about these samples */
} gm_standardization;

/* Means and unbiased deviations of the samples' columns. rows >= 2. Reserves workspace in the context. Frees nothing on
 * an error: *standardization is empty then. Errors: GM_INVALID_ARGUMENT, GM_OUT_OF_MEMORY, GM_NOT_FINITE. */
gm_status gm_standardization_create(gm_context *context, const gm_samples *samples, gm_standardization *standardization,
                                    gm_error *error);
void gm_standardization_free(gm_standardization *standardization);

/* The same number of samples of every class: `per_class` of each, or all of a class that has fewer, drawn by seed and
 * copied. Free the result's x and labels with gm_samples_free(). Errors: GM_OUT_OF_MEMORY. */
gm_status gm_samples_few(const gm_samples *samples, int32_t classes, int32_t per_class, uint64_t seed, gm_samples *few,
                         gm_error *error);

/* The same of `percent` of each class's samples, rounded, at least one. */
gm_status gm_samples_share(const gm_samples *samples, int32_t classes, double percent, uint64_t seed, gm_samples *share,
                           gm_error *error);

/* The samples rows[0 … count), copied. */
gm_status gm_samples_take(const gm_samples *samples, const int64_t *rows, int64_t count, gm_samples *taken,
                          gm_error *error);
void gm_samples_free(gm_samples *samples);

/* The rows that these two copy: `per_class` of each class, or `percent` if that is 0. drawn: [rows], of which the first
 * *count are filled. Errors: GM_OUT_OF_MEMORY. */
gm_status gm_draw_rows(int64_t rows, const int32_t *labels, int32_t classes, int32_t per_class, double percent,
                       uint64_t seed, int64_t *drawn, int64_t *count, gm_error *error);

#endif
