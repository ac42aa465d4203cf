#include <gemel/batchnorm.h>
#include <gemel/bias_relu.h>
#include <gemel/gemm.h>
#include <gemel/layernorm.h>

#include "nn/layers.h"
#include "nn/plan.h"

static gm_batchnorm_options batchnorm_options(const gm_layer *layer, int32_t groups)
{
    gm_batchnorm_options options = gm_batchnorm_default_options();
    options.groups = groups;
    options.relu = layer->relu;
    return options;
}

int64_t gm_layer_saved_size(const gm_layer *layer, int64_t rows, int32_t groups)
{
    switch (layer->kind) {
    case GM_LAYER_BATCHNORM:
        return gm_batchnorm_saved_size(layer->out, groups);
    case GM_LAYER_LAYERNORM:
        return gm_layernorm_saved_size(rows);
    default:
        return 0;
    }
}

static size_t larger(size_t a, size_t b)
{
    return a > b ? a : b;
}

static size_t dense_workspace(const gm_context *context, const gm_layer *layer, int64_t rows)
{
    const int64_t in = layer->in, out = layer->out;
    const size_t forward = gm_gemm_f32_workspace(context, GM_NO_TRANSPOSE, GM_TRANSPOSE, rows, out, in);
    const size_t weights = gm_gemm_f32_workspace(context, GM_TRANSPOSE, GM_NO_TRANSPOSE, out, in, rows);
    const size_t data = gm_gemm_f32_workspace(context, GM_NO_TRANSPOSE, GM_NO_TRANSPOSE, rows, in, out);
    return larger(forward, larger(weights, data));
}

size_t gm_layer_workspace(const gm_context *context, const gm_layer *layer, int64_t rows, int32_t groups)
{
    switch (layer->kind) {
    case GM_LAYER_DENSE:
        return dense_workspace(context, layer, rows);
    case GM_LAYER_BIAS:
        return gm_bias_relu_f32_workspace(context, rows, layer->out);
    case GM_LAYER_BATCHNORM: {
        const gm_batchnorm_options options = batchnorm_options(layer, groups);
        return gm_batchnorm_f32_workspace(context, rows, layer->out, &options);
    }
    case GM_LAYER_LAYERNORM:
        return gm_layernorm_f32_workspace(context, rows, layer->out);
    }
    return 0;
}

int64_t gm_layer_flops(const gm_layer *layer, int64_t rows)
{
    return layer->kind == GM_LAYER_DENSE ? gm_size_mul(2 * rows, gm_size_mul(layer->in, layer->out)) : 0;
}

static gm_status dense_forward(gm_context *context, const gm_layer *layer, const gm_pass *pass)
{
    return gm_gemm_f32(context, GM_NO_TRANSPOSE, GM_TRANSPOSE, pass->rows, layer->out, layer->in, 1.0f, pass->x,
                       pass->ldx, layer->weight->value, layer->in, 0.0f, pass->y, pass->ldy);
}

static gm_status bias_forward(gm_context *context, const gm_layer *layer, const gm_pass *pass)
{
    return gm_bias_relu_forward_f32(context, pass->rows, layer->out, pass->x, pass->ldx, layer->bias->value,
                                    layer->relu, pass->y, pass->ldy);
}

static gm_status layernorm_forward(gm_context *context, const gm_layer *layer, const gm_pass *pass)
{
    const gm_layernorm_options options = gm_layernorm_default_options();
    return gm_layernorm_forward_f32(context, pass->rows, layer->out, pass->x, pass->ldx, layer->weight->value,
                                    layer->bias->value, &options, pass->saved, pass->y, pass->ldy);
}

gm_status gm_layer_forward(gm_context *context, const gm_layer *layer, const gm_pass *pass)
{
    switch (layer->kind) {
    case GM_LAYER_DENSE:
        return dense_forward(context, layer, pass);
    case GM_LAYER_BIAS:
        return bias_forward(context, layer, pass);
    case GM_LAYER_LAYERNORM:
        return layernorm_forward(context, layer, pass);
    case GM_LAYER_BATCHNORM: {
        const gm_batchnorm_options options = batchnorm_options(layer, pass->groups);
        return gm_batchnorm_forward_f32(context, pass->rows, layer->out, pass->x, pass->ldx, layer->weight->value,
                                        layer->bias->value, &options, layer->running_mean->value,
                                        layer->running_variance->value, pass->saved, pass->y, pass->ldy);
    }
    }
    return GM_INVALID_ARGUMENT;
}

gm_status gm_layer_infer(gm_context *context, const gm_layer *layer, const gm_pass *pass)
{
    if (layer->kind != GM_LAYER_BATCHNORM)
        return gm_layer_forward(context, layer, pass);
    const gm_batchnorm_options options = batchnorm_options(layer, 1);
    return gm_batchnorm_infer_f32(context, pass->rows, layer->out, pass->x, pass->ldx, layer->weight->value,
                                  layer->bias->value, layer->running_mean->value, layer->running_variance->value,
                                  &options, pass->y, pass->ldy);
}

/* dW = dY^T X, then dX = dY W: in this order, so that dX may take the place of X. */
static gm_status dense_backward(gm_context *context, const gm_layer *layer, const gm_pass *pass, const float *dy,
                                int64_t lddy, float *dx, int64_t lddx)
{
    const int64_t rows = pass->rows, in = layer->in, out = layer->out;
    const gm_status status = gm_gemm_f32(context, GM_TRANSPOSE, GM_NO_TRANSPOSE, out, in, rows, 1.0f, dy, lddy, pass->x,
                                         pass->ldx, 0.0f, layer->weight->gradient, in);
    if (status != GM_OK || !dx)
        return status;
    return gm_gemm_f32(context, GM_NO_TRANSPOSE, GM_NO_TRANSPOSE, rows, in, out, 1.0f, dy, lddy, layer->weight->value,
                       in, 0.0f, dx, lddx);
}

gm_status gm_layer_backward(gm_context *context, const gm_layer *layer, const gm_pass *pass, const float *dy,
                            int64_t lddy, float *dx, int64_t lddx)
{
    switch (layer->kind) {
    case GM_LAYER_DENSE:
        return dense_backward(context, layer, pass, dy, lddy, dx, lddx);
    case GM_LAYER_BIAS:
        return gm_bias_relu_backward_f32(context, pass->rows, layer->out, dy, lddy, pass->y, pass->ldy, layer->relu, dx,
                                         lddx, layer->bias->gradient);
    case GM_LAYER_BATCHNORM: {
        const gm_batchnorm_options options = batchnorm_options(layer, pass->groups);
        return gm_batchnorm_backward_f32(context, pass->rows, layer->out, dy, lddy, pass->x, pass->ldx,
                                         layer->weight->value, layer->bias->value, pass->saved, &options, dx, lddx,
                                         layer->weight->gradient, layer->bias->gradient);
    }
    case GM_LAYER_LAYERNORM: {
        const gm_layernorm_options options = gm_layernorm_default_options();
        return gm_layernorm_backward_f32(context, pass->rows, layer->out, dy, lddy, pass->x, pass->ldx,
                                         layer->weight->value, pass->saved, &options, dx, lddx, layer->weight->gradient,
                                         layer->bias->gradient);
    }
    }
    return GM_INVALID_ARGUMENT;
}
