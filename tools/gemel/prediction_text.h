/* Predictions as text: CSV with a line of column names, or a JSON array with an object a line. */
#ifndef GEMEL_PREDICTION_TEXT_H
#define GEMEL_PREDICTION_TEXT_H

#include <stdio.h>

#include "train/head.h"

typedef enum gm_prediction_format { GM_PREDICTION_CSV = 0, GM_PREDICTION_JSON } gm_prediction_format;

/* Whose prediction it is. */
typedef struct gm_predicted_sample {
    const char *path; /* NULL: by its row */
    int64_t row;
} gm_predicted_sample;

typedef struct gm_prediction_text {
    gm_prediction_format format;
    const gm_head *head;
    int64_t top; /* classes a sample, the most probable first */
    bool paths;  /* samples have paths */
    bool begun;  /* a sample is there: JSON needs a comma */
} gm_prediction_text;

void gm_prediction_begin(gm_prediction_text *text, FILE *out);
/* classes: [top]; probabilities: of all classes. */
void gm_prediction_add(gm_prediction_text *text, const gm_predicted_sample *sample, const int64_t *classes,
                       const float *probabilities, FILE *out);
void gm_prediction_end(const gm_prediction_text *text, FILE *out);

#endif
