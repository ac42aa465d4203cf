#include "nn/network.h"

#include <stdio.h>
#include <stdlib.h>

#include "nn/builder.h"

enum { DENSE_ENCODER_LAYERS = 2, AXON_PROJECTOR_LAYERS = 3 };

/* A Sequential: the position of its next module becomes part of the parameters' names. */
struct sequence {
    gm_builder *builder;
    const char *part;
    int position;
};

struct module {
    char name[GM_NAME_SIZE];
};

static struct module module_at(const struct sequence *s, int position)
{
    struct module module;
    snprintf(module.name, sizeof module.name, "%s.%d", s->part, position);
    return module;
}

static void dense(struct sequence *s, int64_t out)
{
    gm_build_dense(s->builder, module_at(s, s->position++).name, out);
}

/* The bias belongs to the dense module before; a ReLU is a module of its own. */
static void bias(struct sequence *s, bool relu)
{
    gm_build_bias(s->builder, module_at(s, s->position - 1).name, relu);
    s->position += relu;
}

static void batchnorm_relu(struct sequence *s)
{
    gm_build_batchnorm(s->builder, GM_LAYER_BATCHNORM, module_at(s, s->position).name, true);
    s->position += 2;
}

static void layernorm(struct sequence *s)
{
    gm_build_layernorm(s->builder, module_at(s, s->position++).name);
}

static void dense_relu_layernorm(struct sequence *s, int64_t out)
{
    dense(s, out);
    bias(s, true);
    layernorm(s);
}

static void build_projector(struct sequence *s, const gm_model_options *options)
{
    for (int i = 0; i < options->projector_layers; i++) {
        if (i > 0)
            batchnorm_relu(s);
        dense(s, options->projector[i]);
        if (options->projector_bias)
            bias(s, false);
    }
}

static void build_axon_projector(struct sequence *s, const gm_model_options *options)
{
    dense_relu_layernorm(s, options->hidden_size);
    dense(s, options->hidden_size);
    bias(s, true);
    dense(s, options->projection_dim);
    bias(s, false);
}

static void build_encoder(gm_builder *builder, const gm_model_options *options)
{
    struct sequence s = {builder, "encoder", 0};
    switch (options->arch) {
    case GM_ARCH_CONV:
        gm_build_conv_encoder(builder, options->conv_width);
        break;
    case GM_ARCH_RESNET18:
    case GM_ARCH_RESNET34:
    case GM_ARCH_RESNET50:
        gm_build_resnet(builder, options->arch, options->stem == GM_STEM_SMALL);
        break;
    default:
        for (int i = 0; i < DENSE_ENCODER_LAYERS; i++)
            if (options->arch == GM_ARCH_AXON) {
                dense_relu_layernorm(&s, options->hidden_size);
            } else {
                dense(&s, options->hidden_size);
                batchnorm_relu(&s);
            }
    }
}

static gm_status allocate(gm_network *network, int32_t projector_layers)
{
    /* ResNet-50 has 53 convolutions with 53 normalisations and two pools; a dense layer comes with at most two others.
     */
    enum { MOST_ENCODER_LAYERS = 108, MOST_LAYERS_A_DENSE = 3, MOST_PARAMETERS_A_LAYER = 4 };
    const int32_t dense_layers = projector_layers > AXON_PROJECTOR_LAYERS ? projector_layers : AXON_PROJECTOR_LAYERS;
    const size_t layers = (size_t)(MOST_ENCODER_LAYERS + MOST_LAYERS_A_DENSE * dense_layers);
    const size_t parameters = layers * MOST_PARAMETERS_A_LAYER;
    network->layers = calloc(layers, sizeof *network->layers);
    network->parameters = calloc(parameters, sizeof *network->parameters);
    network->names = calloc(parameters, GM_NAME_SIZE);
    if (!network->layers || !network->parameters || !network->names)
        return GM_OUT_OF_MEMORY;
    for (size_t i = 0; i < parameters; i++)
        network->parameters[i].name = network->names + i * GM_NAME_SIZE;
    return GM_OK;
}

/* Whether every map has a pixel. */
static bool fits(const gm_network *network)
{
    for (int32_t i = 0; i < network->layer_count; i++)
        if (network->layers[i].out.height < 1 || network->layers[i].out.width < 1)
            return false;
    return true;
}

gm_status gm_network_create(const gm_model_options *options, gm_network *network)
{
    *network = (gm_network){.input = {options->height, options->width, options->channels}};
    gm_status status = allocate(network, options->projector_layers);
    if (status != GM_OK)
        goto fail;
    gm_builder builder = {network, GM_NETWORK_INPUT};
    build_encoder(&builder, options);
    network->encoder_layers = network->layer_count;
    struct sequence projector = {&builder, "projector", 0};
    if (options->arch == GM_ARCH_AXON && options->projector_layers > 1)
        build_axon_projector(&projector, options);
    else
        build_projector(&projector, options);
    status = fits(network) ? GM_OK : GM_INVALID_ARGUMENT;
    if (status != GM_OK)
        goto fail;
    return GM_OK;
fail:
    gm_network_destroy(network);
    return status;
}

void gm_network_destroy(gm_network *network)
{
    free(network->names);
    free(network->parameters);
    free(network->layers);
    *network = (gm_network){0};
}

int32_t gm_network_value_owner(const gm_network *network, int32_t i, bool training)
{
    while (i >= 0 && gm_layer_in_place(&network->layers[i], training))
        i = network->layers[i].x;
    return i;
}

int32_t gm_network_gradient_owner(const gm_network *network, int32_t i)
{
    while (i >= 0 && gm_layer_gradient_in_place(&network->layers[i]))
        i = network->layers[i].x;
    return i;
}

static int64_t output_size(const gm_layer *layer)
{
    return gm_map_pixels(&layer->out) * layer->out.channels;
}

/* A normalised map that is written, perhaps with a residual added. */
static bool is_sum(const gm_network *network, const gm_layer *layer)
{
    return (layer->kind == GM_LAYER_BATCHNORM || layer->kind == GM_LAYER_BATCHNORM_ADD) && layer->x >= 0 &&
           network->layers[layer->x].kind == GM_LAYER_CONV;
}

/* Of the encoder's outputs, or of these sums alone. */
static int64_t largest_output(const gm_network *network, bool sums)
{
    int64_t largest = 0;
    for (int32_t i = 0; i < network->encoder_layers; i++) {
        const gm_layer *layer = &network->layers[i];
        if (output_size(layer) > largest && (!sums || is_sum(network, layer)))
            largest = output_size(layer);
    }
    return largest;
}

bool gm_network_forgets(const gm_network *network, int32_t i, bool recomputation)
{
    if (i < 0 || i >= network->encoder_layers)
        return false;
    const gm_layer *layer = &network->layers[i];
    const int64_t largest_sum = largest_output(network, true);
    if (is_sum(network, layer))
        return 2 * output_size(layer) >= largest_sum;
    if (layer->kind != GM_LAYER_CONV || output_size(layer) != largest_output(network, false))
        return false;
    const bool first = layer->x == GM_NETWORK_INPUT;
    /* Networks with sums are deep: beside all their layers the first one's arithmetic is little. */
    return recomputation ? first || layer->kernel == 1 : first && largest_sum > 0;
}
