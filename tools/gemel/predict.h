/* The classes of a data set's samples, as text. */
#ifndef GEMEL_PREDICT_H
#define GEMEL_PREDICT_H

#include <stdio.h>

#include "evaluate.h"
#include "prediction_text.h"
#include "train/head.h"

typedef struct gm_predict_options {
    gm_prediction_format format;
    int64_t top;        /* classes a sample */
    int64_t batch;      /* samples at a time */
    bool progress;      /* a bar on a terminal */
    const char *output; /* what errors call the file */
} gm_predict_options;

/* Writes the predictions of all samples, the training samples first, and says the accuracy on standard error where the
 * data have labels. Classes are compared by their names where both sides have some, else by number; and in their order
 * where the names are others, but as many. Errors: GM_BAD_DATA (an image that cannot be decoded; NaN or infinity),
 * GM_IO_ERROR, GM_OUT_OF_MEMORY. */
gm_status gm_predict(const gm_evaluate_inputs *inputs, const gm_head *head, const gm_predict_options *options,
                     FILE *out, gm_error *error);

#endif
