#include "nn/layers.h"

#include <gemel/batchnorm.h>
#include <gemel/bias_relu.h>
#include <gemel/gemm.h>
#include <gemel/layernorm.h>
#include <math.h>

#include "nn/map_layers.h"
#include "nn/plan.h"

static gm_batchnorm_options batchnorm_options(const gm_layer *layer, int32_t groups)
{
    gm_batchnorm_options options = gm_batchnorm_default_options();
    options.groups = groups;
    options.relu = layer->relu;
    return options;
}

/* Rows of its matrices; those of y, where a layer has fewer of them. */
static int64_t out_rows(const gm_layer *layer, int64_t images)
{
    return images * gm_map_pixels(&layer->out);
}

/* What is saved: the line of a GM_LAYER_BATCHNORM_LINE, then the statistics, then the mask of a
 * GM_LAYER_BATCHNORM_ADD; or the winners of a GM_LAYER_MAX_POOL. */
static int64_t line_bytes(const gm_layer *layer, int32_t groups)
{
    const int64_t floats = layer->kind == GM_LAYER_BATCHNORM_LINE ? gm_size_mul(2 * groups, layer->out.channels) : 0;
    return gm_size_align(gm_size_mul(floats, sizeof(float)));
}

static int64_t statistics_bytes(const gm_layer *layer, int32_t groups)
{
    return gm_size_align(gm_size_mul(gm_batchnorm_saved_size(layer->out.channels, groups), sizeof(float)));
}

int64_t gm_layer_saved_bytes(const gm_layer *layer, int64_t images, int32_t groups, bool training)
{
    const int64_t rows = out_rows(layer, images), cols = layer->out.channels;
    if (!training)
        return line_bytes(layer, groups);
    switch (layer->kind) {
    case GM_LAYER_BATCHNORM:
    case GM_LAYER_BATCHNORM_LINE:
        return gm_size_add(line_bytes(layer, groups), statistics_bytes(layer, groups));
    case GM_LAYER_BATCHNORM_ADD:
        return gm_size_add(statistics_bytes(layer, groups), gm_batchnorm_mask_size(rows, cols));
    case GM_LAYER_LAYERNORM:
        return gm_size_mul(gm_layernorm_saved_size(rows), sizeof(float));
    case GM_LAYER_MAX_POOL:
        return gm_size_mul(rows, cols);
    default:
        return 0;
    }
}

static float *statistics(const gm_layer *layer, const gm_pass *pass)
{
    return (float *)(void *)((char *)pass->saved + line_bytes(layer, pass->groups));
}

static uint8_t *mask(const gm_layer *layer, const gm_pass *pass)
{
    return (uint8_t *)pass->saved + statistics_bytes(layer, pass->groups);
}

gm_conv_input gm_layer_line(const gm_layer *layer, const gm_pass *pass)
{
    if (layer->kind != GM_LAYER_BATCHNORM_LINE)
        return (gm_conv_input){NULL, NULL, false};
    const float *scale = pass->saved;
    return (gm_conv_input){scale, scale + pass->groups * layer->out.channels, layer->relu};
}

static size_t larger(size_t a, size_t b)
{
    return a > b ? a : b;
}

static size_t dense_workspace(const gm_context *context, const gm_layer *layer, int64_t rows, bool training)
{
    const int64_t in = layer->in.channels, out = layer->out.channels;
    const size_t forward = gm_gemm_f32_workspace(context, GM_NO_TRANSPOSE, GM_TRANSPOSE, rows, out, in);
    if (!training)
        return forward;
    const size_t weights = gm_gemm_f32_workspace(context, GM_TRANSPOSE, GM_NO_TRANSPOSE, out, in, rows);
    const size_t data = gm_gemm_f32_workspace(context, GM_NO_TRANSPOSE, GM_NO_TRANSPOSE, rows, in, out);
    return larger(forward, larger(weights, data));
}

static size_t conv_workspace(const gm_context *context, const gm_conv_plan *plan, bool training)
{
    size_t most = gm_conv_f32_workspace(context, plan, GM_CONV_FORWARD);
    for (int pass = GM_CONV_FORWARD + 1; training && pass < GM_CONV_PASSES; pass++)
        most = larger(most, gm_conv_f32_workspace(context, plan, (gm_conv_pass)pass));
    return most;
}

size_t gm_layer_workspace(const gm_context *context, const gm_layer *layer, int64_t images, int32_t groups,
                          const gm_conv_plan *plan, bool training)
{
    const int64_t rows = out_rows(layer, images);
    const gm_batchnorm_options options = batchnorm_options(layer, groups);
    switch (layer->kind) {
    case GM_LAYER_DENSE:
        return dense_workspace(context, layer, rows, training);
    case GM_LAYER_BIAS:
        return gm_bias_relu_f32_workspace(context, rows, layer->out.channels);
    case GM_LAYER_BATCHNORM:
    case GM_LAYER_BATCHNORM_LINE:
    case GM_LAYER_BATCHNORM_ADD:
        return gm_batchnorm_f32_workspace(context, rows, layer->out.channels, &options);
    case GM_LAYER_LAYERNORM:
        return gm_layernorm_f32_workspace(context, rows, layer->out.channels);
    case GM_LAYER_CONV:
        return conv_workspace(context, plan, training);
    default:
        return 0;
    }
}

int64_t gm_layer_flops(const gm_layer *layer, int64_t images)
{
    if (layer->kind != GM_LAYER_DENSE && layer->kind != GM_LAYER_CONV)
        return 0;
    return gm_size_mul(2 * out_rows(layer, images), layer->weight->count);
}

static gm_status dense_forward(gm_context *context, const gm_layer *layer, const gm_pass *pass)
{
    const int64_t in = layer->in.channels, out = layer->out.channels;
    return gm_gemm_f32(context, GM_NO_TRANSPOSE, GM_TRANSPOSE, pass->images, out, in, 1.0f, pass->x, pass->ldx,
                       layer->weight->value, in, 0.0f, pass->y, pass->ldy);
}

static gm_status layernorm_forward(gm_context *context, const gm_layer *layer, const gm_pass *pass)
{
    const gm_layernorm_options options = gm_layernorm_default_options();
    return gm_layernorm_forward_f32(context, out_rows(layer, pass->images), layer->out.channels, pass->x, pass->ldx,
                                    layer->weight->value, layer->bias->value, &options, pass->saved, pass->y,
                                    pass->ldy);
}

static gm_status batchnorm_forward(gm_context *context, const gm_layer *layer, const gm_pass *pass)
{
    const int64_t rows = out_rows(layer, pass->images), cols = layer->out.channels;
    gm_batchnorm_options options = batchnorm_options(layer, pass->groups);
    options.again = pass->again;
    const float *weight = layer->weight->value, *bias = layer->bias->value;
    float *mean = pass->update ? layer->running_mean->value : NULL;
    float *variance = pass->update ? layer->running_variance->value : NULL;
    float *saved = statistics(layer, pass), *scale = pass->saved;
    if (layer->kind == GM_LAYER_BATCHNORM_LINE)
        return gm_batchnorm_line_f32(context, rows, cols, pass->x, pass->ldx, weight, bias, &options, mean, variance,
                                     saved, scale, scale + pass->groups * cols);
    if (layer->kind == GM_LAYER_BATCHNORM_ADD)
        return gm_batchnorm_add_forward_f32(context, rows, cols, pass->x, pass->ldx, pass->residual, cols, weight, bias,
                                            &options, mean, variance, saved, mask(layer, pass), pass->y, pass->ldy);
    return gm_batchnorm_forward_f32(context, rows, cols, pass->x, pass->ldx, weight, bias, &options, mean, variance,
                                    saved, pass->y, pass->ldy);
}

gm_status gm_layer_forward(gm_context *context, const gm_layer *layer, const gm_pass *pass)
{
    switch (layer->kind) {
    case GM_LAYER_DENSE:
        return dense_forward(context, layer, pass);
    case GM_LAYER_BIAS:
        return gm_bias_relu_forward_f32(context, out_rows(layer, pass->images), layer->out.channels, pass->x, pass->ldx,
                                        layer->bias->value, layer->relu, pass->y, pass->ldy);
    case GM_LAYER_BATCHNORM:
    case GM_LAYER_BATCHNORM_LINE:
    case GM_LAYER_BATCHNORM_ADD:
        return batchnorm_forward(context, layer, pass);
    case GM_LAYER_LAYERNORM:
        return layernorm_forward(context, layer, pass);
    case GM_LAYER_CONV:
        return gm_conv_layer_forward(context, layer, pass);
    case GM_LAYER_MAX_POOL:
    case GM_LAYER_AVERAGE_POOL:
        return gm_pool_layer_forward(context, layer, pass);
    }
    return GM_INVALID_ARGUMENT;
}

static void infer_line(const gm_layer *layer, float *scale, float *shift)
{
    const double eps = (double)gm_batchnorm_default_options().eps;
    for (int64_t j = 0; j < layer->out.channels; j++) {
        const double factor = (double)layer->weight->value[j] / sqrt((double)layer->running_variance->value[j] + eps);
        scale[j] = (float)factor;
        shift[j] = (float)((double)layer->bias->value[j] - (double)layer->running_mean->value[j] * factor);
    }
}

gm_status gm_layer_infer(gm_context *context, const gm_layer *layer, const gm_pass *pass)
{
    if (!gm_layer_normalizes_batch(layer))
        return gm_layer_forward(context, layer, pass);
    const int64_t rows = out_rows(layer, pass->images), cols = layer->out.channels;
    const gm_batchnorm_options options = batchnorm_options(layer, 1);
    const float *weight = layer->weight->value, *bias = layer->bias->value;
    const float *mean = layer->running_mean->value, *variance = layer->running_variance->value;
    if (layer->kind == GM_LAYER_BATCHNORM_LINE) {
        infer_line(layer, pass->saved, (float *)pass->saved + cols);
        return GM_OK;
    }
    if (layer->kind == GM_LAYER_BATCHNORM_ADD)
        return gm_batchnorm_add_infer_f32(context, rows, cols, pass->x, pass->ldx, pass->residual, cols, weight, bias,
                                          mean, variance, &options, pass->y, pass->ldy);
    return gm_batchnorm_infer_f32(context, rows, cols, pass->x, pass->ldx, weight, bias, mean, variance, &options,
                                  pass->y, pass->ldy);
}

/* dW = dY^T X, then dX = dY W: in this order, so that dX may take the place of X. */
static gm_status dense_backward(gm_context *context, const gm_layer *layer, const gm_pass *pass, const gm_gradients *g)
{
    const int64_t rows = pass->images, in = layer->in.channels, out = layer->out.channels;
    const gm_status status = gm_gemm_f32(context, GM_TRANSPOSE, GM_NO_TRANSPOSE, out, in, rows, 1.0f, g->dy, g->lddy,
                                         pass->x, pass->ldx, g->accumulate ? 1.0f : 0.0f, g->dweight, in);
    if (status != GM_OK || !g->dx)
        return status;
    return gm_gemm_f32(context, GM_NO_TRANSPOSE, GM_NO_TRANSPOSE, rows, in, out, 1.0f, g->dy, g->lddy,
                       layer->weight->value, in, g->add ? 1.0f : 0.0f, g->dx, g->lddx);
}

static gm_status batchnorm_backward(gm_context *context, const gm_layer *layer, const gm_pass *pass,
                                    const gm_gradients *g)
{
    const int64_t rows = out_rows(layer, pass->images), cols = layer->out.channels;
    const gm_batchnorm_options options = batchnorm_options(layer, pass->groups);
    const float *saved = statistics(layer, pass);
    if (layer->kind == GM_LAYER_BATCHNORM_ADD)
        return gm_batchnorm_add_backward_f32(context, rows, cols, g->dy, g->lddy, pass->x, pass->ldx, mask(layer, pass),
                                             layer->weight->value, saved, &options, g->dx, g->lddx, g->dresidual, cols,
                                             g->dweight, g->dbias);
    return gm_batchnorm_backward_f32(context, rows, cols, g->dy, g->lddy, pass->x, pass->ldx, layer->weight->value,
                                     layer->bias->value, saved, &options, g->dx, g->lddx, g->dweight, g->dbias);
}

gm_status gm_layer_backward(gm_context *context, const gm_layer *layer, const gm_pass *pass, const gm_gradients *g)
{
    const int64_t rows = out_rows(layer, pass->images), cols = layer->out.channels;
    const gm_layernorm_options layernorm = gm_layernorm_default_options();
    switch (layer->kind) {
    case GM_LAYER_DENSE:
        return dense_backward(context, layer, pass, g);
    case GM_LAYER_BIAS:
        return gm_bias_relu_backward_f32(context, rows, cols, g->dy, g->lddy, pass->y, pass->ldy, layer->relu, g->dx,
                                         g->lddx, g->dbias);
    case GM_LAYER_BATCHNORM:
    case GM_LAYER_BATCHNORM_LINE:
    case GM_LAYER_BATCHNORM_ADD:
        return batchnorm_backward(context, layer, pass, g);
    case GM_LAYER_LAYERNORM:
        return gm_layernorm_backward_f32(context, rows, cols, g->dy, g->lddy, pass->x, pass->ldx, layer->weight->value,
                                         pass->saved, &layernorm, g->dx, g->lddx, g->dweight, g->dbias);
    case GM_LAYER_CONV:
        return gm_conv_layer_backward(context, layer, pass, g);
    case GM_LAYER_MAX_POOL:
    case GM_LAYER_AVERAGE_POOL:
        return gm_pool_layer_backward(context, layer, pass, g);
    }
    return GM_INVALID_ARGUMENT;
}
