/* Convolution and pooling, for layers.c: as the functions of layers.h. */
#ifndef GEMEL_MAP_LAYERS_H
#define GEMEL_MAP_LAYERS_H

#include "nn/layers.h"

gm_conv_shape gm_layer_conv_shape(const gm_layer *layer, int64_t images);

gm_status gm_conv_layer_forward(gm_context *context, const gm_layer *layer, const gm_pass *pass);
gm_status gm_conv_layer_backward(gm_context *context, const gm_layer *layer, const gm_pass *pass,
                                 const gm_gradients *gradients);
gm_status gm_pool_layer_forward(gm_context *context, const gm_layer *layer, const gm_pass *pass);
gm_status gm_pool_layer_backward(gm_context *context, const gm_layer *layer, const gm_pass *pass,
                                 const gm_gradients *gradients);

#endif
