#include "nn/map_layers.h"

#include <gemel/pool.h>

gm_conv_shape gm_layer_conv_shape(const gm_layer *layer, int64_t images)
{
    return (gm_conv_shape){.size = sizeof(gm_conv_shape),
                           .batch = images,
                           .height = layer->in.height,
                           .width = layer->in.width,
                           .in_channels = layer->in.channels,
                           .out_channels = layer->out.channels,
                           .kernel_height = layer->kernel,
                           .kernel_width = layer->kernel,
                           .stride = layer->stride,
                           .padding = layer->padding};
}

/* Weights are packed anew for each pass: in training they have changed. */
gm_status gm_conv_layer_forward(gm_context *context, const gm_layer *layer, const gm_pass *pass)
{
    gm_conv_forward_options options = gm_conv_default_forward_options();
    options.input = pass->line;
    const gm_status status = gm_conv_pack_f32(context, pass->plan, GM_CONV_FORWARD, layer->weight->value, pass->packed);
    if (status != GM_OK)
        return status;
    return gm_conv_forward_f32(context, pass->plan, pass->x, pass->ldx, pass->packed, &options, pass->y, pass->ldy);
}

/* The gradient of the weights first: the last reader of x, whose place dx may take. */
gm_status gm_conv_layer_backward(gm_context *context, const gm_layer *layer, const gm_pass *pass, const gm_gradients *g)
{
    gm_status status = gm_conv_weight_gradient_f32(context, pass->plan, g->dy, g->lddy, pass->x, pass->ldx, &pass->line,
                                                   g->dweight, NULL);
    if (status != GM_OK || !g->dx)
        return status;
    status = gm_conv_pack_f32(context, pass->plan, GM_CONV_DATA_GRADIENT, layer->weight->value, pass->packed);
    if (status != GM_OK)
        return status;
    return gm_conv_data_gradient_f32(context, pass->plan, g->dy, g->lddy, pass->packed, g->add ? 1.0f : 0.0f, g->dx,
                                     g->lddx);
}

static gm_pool_line pool_line(const gm_pass *pass)
{
    return (gm_pool_line){pass->groups, pass->line.scale, pass->line.shift, pass->line.relu};
}

static gm_max_pool_options max_pool_options(const gm_layer *layer, const gm_pool_line *line)
{
    gm_max_pool_options options = gm_max_pool_default_options();
    options.kernel = layer->kernel;
    options.stride = layer->stride;
    options.padding = layer->padding;
    options.line = line && line->scale ? line : NULL;
    return options;
}

static gm_average_pool_options average_pool_options(const gm_layer *layer, const gm_pool_line *line)
{
    gm_average_pool_options options = gm_average_pool_default_options();
    options.grid = layer->grid;
    options.planar = true;
    options.line = line && line->scale ? line : NULL;
    return options;
}

gm_status gm_pool_layer_forward(gm_context *context, const gm_layer *layer, const gm_pass *pass)
{
    const gm_map *in = &layer->in;
    const gm_pool_line line = pool_line(pass);
    if (layer->kind == GM_LAYER_MAX_POOL) {
        const gm_max_pool_options options = max_pool_options(layer, &line);
        return gm_max_pool_forward_f32(context, pass->images, in->height, in->width, in->channels, pass->x, pass->ldx,
                                       &options, pass->y, pass->ldy, pass->saved);
    }
    const gm_average_pool_options options = average_pool_options(layer, &line);
    return gm_average_pool_forward_f32(context, pass->images, in->height, in->width, in->channels, pass->x, pass->ldx,
                                       &options, pass->y, pass->ldy);
}

gm_status gm_pool_layer_backward(gm_context *context, const gm_layer *layer, const gm_pass *pass, const gm_gradients *g)
{
    const gm_map *in = &layer->in;
    if (!g->dx)
        return GM_OK;
    if (layer->kind == GM_LAYER_MAX_POOL) {
        const gm_max_pool_options options = max_pool_options(layer, NULL);
        return gm_max_pool_backward_f32(context, pass->images, in->height, in->width, in->channels, g->dy, g->lddy,
                                        pass->saved, &options, g->dx, g->lddx);
    }
    const gm_average_pool_options options = average_pool_options(layer, NULL);
    return gm_average_pool_backward_f32(context, pass->images, in->height, in->width, in->channels, g->dy, g->lddy,
                                        &options, g->dx, g->lddx);
}
