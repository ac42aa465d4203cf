#include "nn/builder.h"

#include <stdio.h>

#include <gemel/pool.h>

#include "nn/plan.h"

gm_map gm_build_shape(const gm_builder *builder)
{
    return builder->last < 0 ? builder->network->input : builder->network->layers[builder->last].out;
}

static gm_parameter *add_parameter(const gm_builder *builder, const char *module, const char *what,
                                   const int64_t shape[4])
{
    gm_network *network = builder->network;
    gm_parameter *p = &network->parameters[network->parameter_count++];
    snprintf((char *)p->name, GM_NAME_SIZE, "%s.%s", module, what);
    p->count = 1;
    for (; p->dimensions < 4 && shape[p->dimensions]; p->dimensions++) {
        p->shape[p->dimensions] = shape[p->dimensions];
        p->count = gm_size_mul(p->count, shape[p->dimensions]);
    }
    return p;
}

static gm_parameter *add_vector(const gm_builder *builder, const char *module, const char *what, int64_t size)
{
    return add_parameter(builder, module, what, (const int64_t[4]){size});
}

static gm_layer *add_layer(gm_builder *builder, gm_layer_kind kind, gm_map out)
{
    gm_network *network = builder->network;
    gm_layer *layer = &network->layers[network->layer_count];
    *layer = (gm_layer){
        .kind = kind, .x = builder->last, .residual = GM_NO_LAYER, .in = gm_build_shape(builder), .out = out};
    builder->last = network->layer_count++;
    return layer;
}

void gm_build_dense(gm_builder *builder, const char *module, int64_t out)
{
    gm_layer *layer = add_layer(builder, GM_LAYER_DENSE, (gm_map){1, 1, out});
    layer->in = (gm_map){1, 1, gm_map_pixels(&layer->in) * layer->in.channels};
    layer->weight = add_parameter(builder, module, "weight", (const int64_t[4]){out, layer->in.channels});
}

void gm_build_bias(gm_builder *builder, const char *module, bool relu)
{
    gm_layer *layer = add_layer(builder, GM_LAYER_BIAS, gm_build_shape(builder));
    layer->relu = relu;
    layer->bias = add_vector(builder, module, "bias", layer->out.channels);
}

void gm_build_layernorm(gm_builder *builder, const char *module)
{
    gm_layer *layer = add_layer(builder, GM_LAYER_LAYERNORM, gm_build_shape(builder));
    layer->weight = add_vector(builder, module, "weight", layer->out.channels);
    layer->bias = add_vector(builder, module, "bias", layer->out.channels);
}

gm_norm gm_build_norm(const gm_builder *builder, const char *module, int64_t channels)
{
    gm_norm norm; /* in this order */
    norm.weight = add_vector(builder, module, "weight", channels);
    norm.bias = add_vector(builder, module, "bias", channels);
    norm.running_mean = add_vector(builder, module, "running_mean", channels);
    norm.running_variance = add_vector(builder, module, "running_var", channels);
    return norm;
}

static void set_norm(gm_layer *layer, const gm_norm *norm, bool relu)
{
    layer->relu = relu;
    layer->weight = norm->weight;
    layer->bias = norm->bias;
    layer->running_mean = norm->running_mean;
    layer->running_variance = norm->running_variance;
}

void gm_build_batchnorm(gm_builder *builder, gm_layer_kind kind, const char *module, bool relu)
{
    const gm_norm norm = gm_build_norm(builder, module, gm_build_shape(builder).channels);
    set_norm(add_layer(builder, kind, gm_build_shape(builder)), &norm, relu);
}

void gm_build_batchnorm_add(gm_builder *builder, const gm_norm *norm, int32_t residual)
{
    gm_layer *layer = add_layer(builder, GM_LAYER_BATCHNORM_ADD, gm_build_shape(builder));
    set_norm(layer, norm, true);
    layer->residual = residual;
}

void gm_build_conv(gm_builder *builder, const char *module, int64_t out, int64_t kernel, int64_t stride,
                   int64_t padding)
{
    const gm_map in = gm_build_shape(builder);
    const gm_map map = {(in.height + 2 * padding - kernel) / stride + 1, (in.width + 2 * padding - kernel) / stride + 1,
                        out};
    gm_layer *layer = add_layer(builder, GM_LAYER_CONV, map);
    layer->kernel = kernel;
    layer->stride = stride;
    layer->padding = padding;
    layer->weight = add_parameter(builder, module, "weight", (const int64_t[4]){out, in.channels, kernel, kernel});
}

void gm_build_max_pool(gm_builder *builder, int64_t kernel, int64_t stride, int64_t padding)
{
    const gm_map in = gm_build_shape(builder);
    const gm_max_pool_options options = {sizeof options, kernel, stride, padding, NULL};
    const gm_map map = {gm_max_pool_extent(in.height, &options), gm_max_pool_extent(in.width, &options), in.channels};
    gm_layer *layer = add_layer(builder, GM_LAYER_MAX_POOL, map);
    layer->kernel = kernel;
    layer->stride = stride;
    layer->padding = padding;
}

void gm_build_average_pool(gm_builder *builder, int64_t grid)
{
    gm_layer *layer =
        add_layer(builder, GM_LAYER_AVERAGE_POOL, (gm_map){1, 1, grid * grid * gm_build_shape(builder).channels});
    layer->grid = grid;
}
