/* One step of training: the network micro-batch by micro-batch, the Barlow Twins loss over the whole batch, the
 * optimiser. */
#ifndef GEMEL_STEP_H
#define GEMEL_STEP_H

#include "data/loader.h"
#include "train/config.h"

typedef struct gm_step {
    gm_context *context;
    const gm_train_config *config;
    gm_model *model;
    gm_optimizer *optimizer;
    gm_barlow_options loss;
    int64_t dim, width;   /* columns of a sample and of an embedding */
    gm_loader_chunk data; /* the present micro-batch */
    int64_t rows;         /* samples of the latest batch */
    float *z, *dz;        /* [2 rows, width] their embeddings and gradients, the second views below the first */
    float *part;          /* [2 micro-batch, width] those of one micro-batch; NULL where it is the whole batch */
} gm_step;

typedef struct gm_step_result {
    double loss, invariance, redundancy;
    int64_t constant_columns;
    double data_wait; /* seconds */
} gm_step_result;

/* The batches of all epochs as a step takes them; first, last and workers are left to the caller. */
gm_loader_options gm_step_data(const gm_train_config *config, const gm_dataset *dataset, gm_context *context);

/* Provides the buffers and reserves workspace; all that it is given outlives the step. The model was created for the
 * micro-batch, with accumulation if that is not the whole batch. Errors: GM_OUT_OF_MEMORY; nothing to free then. */
gm_status gm_step_create(gm_step *step, gm_context *context, const gm_dataset *dataset, const gm_train_config *config,
                         gm_model *model, gm_optimizer *optimizer, gm_error *error);
void gm_step_destroy(gm_step *step);
size_t gm_step_bytes(const gm_step *step); /* of the buffers */

/* A step with the loader's next batch. Errors: those of gm_loader_next(); GM_DIVERGED with what holds NaN or infinity
 * and what helps. */
gm_status gm_step_run(gm_step *step, gm_loader *loader, double rate_weights, double rate_biases, gm_step_result *result,
                      gm_error *error);

/* Reports GM_DIVERGED: `what` ("the loss is") NaN or infinity, and the remedy. */
gm_status gm_step_diverged(const char *what, gm_error *error);

bool gm_step_all_finite(const float *values, int64_t count);

/* [rows, width] of the latest batch; view: 0 or 1. */
static inline const float *gm_step_embedding(const gm_step *step, int32_t view)
{
    return step->z + view * step->rows * step->width;
}

#endif
