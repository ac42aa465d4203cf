#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "nn/network.h"
#include "nn/plan.h"

enum { MOST_PARAMETERS_A_LAYER = 4, NAME_SIZE = 48, ENCODER_LAYERS = 2, AXON_PROJECTOR_LAYERS = 3 };

/* A Sequential being written down, with the position of its next module. */
struct builder {
    gm_network *network;
    const char *part;
    int position;
    int64_t width; /* of the output so far */
};

static gm_parameter *add_parameter(const struct builder *b, int position, const char *what, int64_t rows, int64_t cols)
{
    gm_parameter *p = &b->network->parameters[b->network->parameter_count++];
    snprintf((char *)p->name, NAME_SIZE, "%s.%d.%s", b->part, position, what);
    p->dimensions = cols ? 2 : 1;
    p->shape[0] = rows;
    p->shape[1] = cols;
    p->count = cols ? gm_size_mul(rows, cols) : rows;
    return p;
}

static gm_layer *add_layer(struct builder *b, gm_layer_kind kind, int64_t out, bool relu)
{
    gm_layer *layer = &b->network->layers[b->network->layer_count++];
    *layer = (gm_layer){.kind = kind, .in = b->width, .out = out, .relu = relu};
    b->width = out;
    return layer;
}

static void dense(struct builder *b, int64_t out)
{
    gm_layer *layer = add_layer(b, GM_LAYER_DENSE, out, false);
    layer->weight = add_parameter(b, b->position++, "weight", layer->out, layer->in);
}

/* The bias belongs to the dense module before; a ReLU is a module of its own. */
static void bias(struct builder *b, bool relu)
{
    gm_layer *layer = add_layer(b, GM_LAYER_BIAS, b->width, relu);
    layer->bias = add_parameter(b, b->position - 1, "bias", layer->out, 0);
    b->position += relu;
}

static void batchnorm_relu(struct builder *b)
{
    gm_layer *layer = add_layer(b, GM_LAYER_BATCHNORM, b->width, true);
    layer->weight = add_parameter(b, b->position, "weight", layer->out, 0);
    layer->bias = add_parameter(b, b->position, "bias", layer->out, 0);
    layer->running_mean = add_parameter(b, b->position, "running_mean", layer->out, 0);
    layer->running_variance = add_parameter(b, b->position, "running_var", layer->out, 0);
    b->position += 2;
}

static void layernorm(struct builder *b)
{
    gm_layer *layer = add_layer(b, GM_LAYER_LAYERNORM, b->width, false);
    layer->weight = add_parameter(b, b->position, "weight", layer->out, 0);
    layer->bias = add_parameter(b, b->position, "bias", layer->out, 0);
    b->position++;
}

static struct builder begin(gm_network *network, const char *part, int64_t width)
{
    return (struct builder){.network = network, .part = part, .width = width};
}

static void build_mlp(gm_network *network, const gm_model_options *options)
{
    struct builder encoder = begin(network, "encoder", options->encoder_dim);
    for (int i = 0; i < ENCODER_LAYERS; i++) {
        dense(&encoder, options->hidden_size);
        batchnorm_relu(&encoder);
    }
    network->encoder_layers = network->layer_count;
    struct builder projector = begin(network, "projector", encoder.width);
    for (int i = 0; i < options->projector_layers; i++) {
        if (i > 0)
            batchnorm_relu(&projector);
        dense(&projector, options->projector[i]);
    }
}

static void build_axon(gm_network *network, const gm_model_options *options)
{
    struct builder encoder = begin(network, "encoder", options->encoder_dim);
    for (int i = 0; i < ENCODER_LAYERS; i++) {
        dense(&encoder, options->hidden_size);
        bias(&encoder, true);
        layernorm(&encoder);
    }
    network->encoder_layers = network->layer_count;
    struct builder projector = begin(network, "projector", encoder.width);
    dense(&projector, options->hidden_size);
    bias(&projector, true);
    layernorm(&projector);
    dense(&projector, options->hidden_size);
    bias(&projector, true);
    dense(&projector, options->projection_dim);
    bias(&projector, false);
}

static gm_status allocate(gm_network *network, int32_t most_layers)
{
    const size_t layers = (size_t)most_layers, parameters = layers * MOST_PARAMETERS_A_LAYER;
    *network = (gm_network){.layers = calloc(layers, sizeof *network->layers),
                            .parameters = calloc(parameters, sizeof *network->parameters)};
    char *names = calloc(parameters, NAME_SIZE);
    if (!network->layers || !network->parameters || !names) {
        free(names);
        gm_network_destroy(network);
        return GM_OUT_OF_MEMORY;
    }
    for (size_t i = 0; i < parameters; i++)
        network->parameters[i].name = names + i * NAME_SIZE;
    return GM_OK;
}

gm_status gm_network_create(const gm_model_options *options, gm_network *network)
{
    enum { MOST_MODULES_A_DENSE = 3 };
    const int32_t dense_layers =
        ENCODER_LAYERS +
        (options->projector_layers > AXON_PROJECTOR_LAYERS ? options->projector_layers : AXON_PROJECTOR_LAYERS);
    const gm_status status = allocate(network, MOST_MODULES_A_DENSE * dense_layers);
    if (status != GM_OK)
        return status;
    if (options->arch == GM_ARCH_MLP)
        build_mlp(network, options);
    else
        build_axon(network, options);
    return GM_OK;
}

void gm_network_destroy(gm_network *network)
{
    if (network->parameters)
        free((char *)network->parameters[0].name); /* one block holds all names */
    free(network->parameters);
    free(network->layers);
    *network = (gm_network){0};
}
