/* The architectures: which layers in which order, and their parameters' names, shapes and initial values. */
#ifndef GEMEL_NETWORK_H
#define GEMEL_NETWORK_H

#include <gemel/model.h>

#include "nn/layers.h"

/* Layers in the order of execution: each reads outputs of layers before it. The first `encoder_layers` are the encoder,
 * of which the projector reads the last output alone. */
typedef struct gm_network {
    gm_map input;
    gm_layer *layers;
    int32_t layer_count, encoder_layers;
    gm_parameter *parameters; /* without memory for their values and gradients yet; in the order of state_dict() */
    int32_t parameter_count;
    char *names;
} gm_network;

/* Options as gm_model_create() takes them, checked and with the defaults filled in.
 * Errors: GM_INVALID_ARGUMENT for images that are too small; GM_OUT_OF_MEMORY; nothing to free then. */
gm_status gm_network_create(const gm_model_options *options, gm_network *network);
void gm_network_destroy(gm_network *network);

static inline int64_t gm_network_input_size(const gm_network *network)
{
    return gm_map_pixels(&network->input) * network->input.channels;
}

/* The layer in whose memory the output of layer i lies: i, or one whose output it takes the place of. */
int32_t gm_network_value_owner(const gm_network *network, int32_t i, bool training);

/* The same of the gradient of its output. */
int32_t gm_network_gradient_owner(const gm_network *network, int32_t i);

/* Whether the output of layer i is forgotten after the forward pass and made a second time on the way back, once others
 * have gone: that of a batch norm, alone or at the end of a residual block, of at least half the largest such map,
 * which costs a few passes over it; and that of a ResNet's first convolution, if none is larger, which is about 2 % of
 * a step's arithmetic at most. recomputation: the largest outputs, too, of other convolutions of the network's input or
 * of single pixels, which cost a product. */
bool gm_network_forgets(const gm_network *network, int32_t i, bool recomputation);

/* Fills the parameters, which must be zero: weights by seed, the same numbers on any number of threads. */
void gm_network_initialize(const gm_network *network, gm_context *context, const gm_model_options *options);

#endif
