#include "nn/frozen.h"

#include <gemel/batchnorm.h>
#include <math.h>
#include <stdlib.h>

#include "nn/plan.h"

/* Folds batch norm b into the convolution that it follows. The sum at the end of a block is taken by whichever of its
 * two convolutions comes last: by the shortcut's, a batch norm without ReLU, if it has one. */
static void fold(const gm_network *network, int32_t b, gm_frozen_layer *layers)
{
    const gm_layer *norm = &network->layers[b];
    gm_frozen_layer *conv = &layers[norm->x];
    layers[b].left_out = true;
    conv->norm = conv->output = b;
    conv->relu = norm->relu;
    if (norm->kind != GM_LAYER_BATCHNORM_ADD)
        return;
    if (norm->residual < norm->x) {
        conv->residual = norm->residual;
        return;
    }
    gm_frozen_layer *shortcut = &layers[network->layers[norm->residual].x];
    conv->relu = false;
    shortcut->relu = norm->relu;
    shortcut->residual = shortcut->output = b;
}

static bool folds(const gm_network *network, const gm_layer *layer)
{
    return gm_layer_normalizes_batch(layer) && layer->x >= 0 && network->layers[layer->x].kind == GM_LAYER_CONV;
}

gm_status gm_frozen_create(const gm_network *network, gm_frozen_layer **layers)
{
    *layers = calloc((size_t)network->layer_count, sizeof **layers);
    if (!*layers)
        return GM_OUT_OF_MEMORY;
    for (int32_t i = 0; i < network->layer_count; i++)
        (*layers)[i].norm = (*layers)[i].residual = GM_NO_LAYER;
    for (int32_t i = 0; i < network->layer_count; i++)
        if (folds(network, &network->layers[i]))
            fold(network, i, *layers);
    return GM_OK;
}

void gm_frozen_destroy(const gm_network *network, gm_frozen_layer *layers)
{
    for (int32_t i = 0; layers && i < network->layer_count; i++) {
        free(layers[i].bias);
        free(layers[i].packed);
    }
    free(layers);
}

/* y = scale (conv(x) - mean) + bias: scaled weights, and the rest as a bias. */
static void fold_weights(const gm_layer *conv, const gm_layer *norm, float *weight, float *bias)
{
    const int64_t out = conv->out.channels, each = conv->weight->count / out;
    const double eps = (double)gm_batchnorm_default_options().eps;
    for (int64_t o = 0; o < out; o++) {
        const double scale = (double)norm->weight->value[o] / sqrt((double)norm->running_variance->value[o] + eps);
        bias[o] = (float)((double)norm->bias->value[o] - scale * (double)norm->running_mean->value[o]);
        for (int64_t i = 0; i < each; i++)
            weight[o * each + i] = (float)(scale * (double)conv->weight->value[o * each + i]);
    }
}

static gm_status reserve(gm_frozen_layer *layer, int64_t channels, size_t bytes)
{
    free(layer->packed);
    free(layer->bias);
    layer->algorithm = NULL;
    layer->bias = malloc((size_t)channels * sizeof *layer->bias);
    layer->packed = gm_block_allocate((int64_t)bytes);
    layer->packed_size = bytes;
    return layer->bias && layer->packed ? GM_OK : GM_OUT_OF_MEMORY;
}

gm_status gm_frozen_pack(gm_context *context, const gm_network *network, int32_t i, const gm_conv_plan *plan,
                         gm_frozen_layer *layers)
{
    gm_frozen_layer *layer = &layers[i];
    const gm_layer *conv = &network->layers[i];
    const size_t bytes = gm_conv_packed_f32_size(plan, GM_CONV_FORWARD);
    const char *algorithm = gm_conv_algorithm(plan, GM_CONV_FORWARD);
    if (layer->norm == GM_NO_LAYER || (layer->algorithm == algorithm && layer->packed_size == bytes))
        return GM_OK;
    float *weight = malloc((size_t)conv->weight->count * sizeof *weight);
    gm_status status = reserve(layer, conv->out.channels, bytes);
    if (status == GM_OK && !weight)
        status = GM_OUT_OF_MEMORY;
    if (status == GM_OK) {
        fold_weights(conv, &network->layers[layer->norm], weight, layer->bias);
        status = gm_conv_pack_f32(context, plan, GM_CONV_FORWARD, weight, layer->packed);
    }
    if (status == GM_OK)
        layer->algorithm = algorithm;
    free(weight);
    return status;
}

gm_status gm_frozen_forward(gm_context *context, const gm_frozen_layer *layer, const gm_pass *pass, int64_t ldresidual)
{
    gm_conv_forward_options options = gm_conv_default_forward_options();
    options.bias = layer->bias;
    options.residual = pass->residual;
    options.ldresidual = ldresidual;
    options.relu = layer->relu;
    return gm_conv_forward_f32(context, pass->plan, pass->x, pass->ldx, layer->packed, &options, pass->y, pass->ldy);
}
