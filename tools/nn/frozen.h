/* Inference with parameters that no longer change: batch norms folded into the convolutions before them, residual sums
 * and ReLU taken from the convolution's sums while they are in registers, weights packed once. */
#ifndef GEMEL_FROZEN_H
#define GEMEL_FROZEN_H

#include "nn/network.h"

/* What inference makes of a layer. */
typedef struct gm_frozen_layer {
    bool left_out; /* a batch norm that is folded into a convolution */

    /* Of a convolution that a batch norm follows: y = conv(x) with weights of its own + bias + residual, then ReLU. */
    int32_t norm;     /* the batch norm; GM_NO_LAYER: none, the layer stays as it is */
    int32_t residual; /* the layer whose output is added, or GM_NO_LAYER */
    int32_t output;   /* the layer whose output is written */
    bool relu;
    float *bias; /* [out channels] */
    gm_conv_packed *packed;
    size_t packed_size;
    const char *algorithm; /* that the weights are packed for */
} gm_frozen_layer;

/* The layers of a network, without packed weights yet. Errors: GM_OUT_OF_MEMORY. */
gm_status gm_frozen_create(const gm_network *network, gm_frozen_layer **layers);
void gm_frozen_destroy(const gm_network *network, gm_frozen_layer *layers);

/* Packs the weights of convolution i for this plan unless they are. Errors: GM_OUT_OF_MEMORY. */
gm_status gm_frozen_pack(gm_context *context, const gm_network *network, int32_t i, const gm_conv_plan *plan,
                         gm_frozen_layer *layers);

/* The forward call of a convolution with a batch norm; pass->residual has leading dimension ldresidual. */
gm_status gm_frozen_forward(gm_context *context, const gm_frozen_layer *layer, const gm_pass *pass, int64_t ldresidual);

#endif
