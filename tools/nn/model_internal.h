/* What the parts of gm_model and gm_optimizer share. */
#ifndef GEMEL_MODEL_INTERNAL_H
#define GEMEL_MODEL_INTERNAL_H

#include "nn/network.h"

enum { GM_INFERENCE_ROWS = 512 };

struct gm_model {
    gm_context *context;
    gm_network network;
    bool training;
    int64_t batch; /* most rows of one view */
    int32_t views;

    char *memory; /* parameters, gradients, scratch, activations, in this order */
    int64_t memory_size;
    float *scratch[2]; /* [GM_INFERENCE_ROWS, widest layer] */

    /* One a layer. */
    gm_pass *passes;   /* the matrices of the latest forward call */
    float **outputs;   /* NULL where the output lies in another layer's, or is the caller's */
    float **gradients; /* dL/dx of the dense layers but the first, else NULL */
    bool pending;      /* a forward call waits for its backward call */
};

/* Provides the memory and points network.parameters, scratch, outputs, gradients and passes[].saved into it;
 * parameters and gradients are zero. Errors: GM_SIZE_OVERFLOW, GM_OUT_OF_MEMORY. */
gm_status gm_model_allocate(gm_model *model);

#endif
