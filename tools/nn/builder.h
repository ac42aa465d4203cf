/* A network being written down, layer after layer. */
#ifndef GEMEL_BUILDER_H
#define GEMEL_BUILDER_H

#include "nn/network.h"

enum { GM_NAME_SIZE = 64 };

/* A part of the network: what is added reads the layer that was added last, unless `last` is set to another one. */
typedef struct gm_builder {
    gm_network *network;
    int32_t last; /* or GM_NETWORK_INPUT */
} gm_builder;

/* What `last` makes of an image. */
gm_map gm_build_shape(const gm_builder *builder);

/* Parameters of a batch norm whose layer may be added later: torchvision's order is not that of execution. */
typedef struct gm_norm {
    gm_parameter *weight, *bias, *running_mean, *running_variance;
} gm_norm;

gm_norm gm_build_norm(const gm_builder *builder, const char *module, int64_t channels);

/* A parameter is named `module`.weight or the like. */
void gm_build_dense(gm_builder *builder, const char *module, int64_t out);
void gm_build_bias(gm_builder *builder, const char *module, bool relu);
void gm_build_layernorm(gm_builder *builder, const char *module);
void gm_build_conv(gm_builder *builder, const char *module, int64_t out, int64_t kernel, int64_t stride,
                   int64_t padding);
/* kind: GM_LAYER_BATCHNORM or GM_LAYER_BATCHNORM_LINE */
void gm_build_batchnorm(gm_builder *builder, gm_layer_kind kind, const char *module, bool relu);
/* Normalises the output of `last`, adds that of layer `residual`, and applies ReLU. */
void gm_build_batchnorm_add(gm_builder *builder, const gm_norm *norm, int32_t residual);
void gm_build_max_pool(gm_builder *builder, int64_t kernel, int64_t stride, int64_t padding);
void gm_build_average_pool(gm_builder *builder, int64_t grid);

/* The encoders of images, in map_encoders.c: what they add from the network's input to the features. */
void gm_build_conv_encoder(gm_builder *builder, int64_t width);
void gm_build_resnet(gm_builder *builder, gm_arch arch, bool small_stem);

#endif
