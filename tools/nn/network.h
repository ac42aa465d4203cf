/* The architectures: which layers in which order, and their parameters' names, shapes and initial values. */
#ifndef GEMEL_NETWORK_H
#define GEMEL_NETWORK_H

#include <gemel/model.h>

#include "nn/layers.h"

/* A chain of layers: the output of one is the input of the next. The first `encoder_layers` are the encoder. */
typedef struct gm_network {
    gm_layer *layers;
    int32_t layer_count, encoder_layers;
    gm_parameter *parameters; /* without memory for their values and gradients yet */
    int32_t parameter_count;
} gm_network;

/* Options as gm_model_create() takes them, checked and with the defaults filled in.
 * Errors: GM_OUT_OF_MEMORY; nothing to free then. */
gm_status gm_network_create(const gm_model_options *options, gm_network *network);
void gm_network_destroy(gm_network *network);

/* Fills the parameters, which must be zero: dense weights by seed, the same numbers on any number of threads. */
void gm_network_initialize(const gm_network *network, gm_context *context, gm_arch arch, uint64_t seed);

#endif
