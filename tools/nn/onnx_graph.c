/* Every layer becomes one to three operators. Batch norms stay operators of their own, so that the weights in the file
 * are the model's, by name and bit; runtimes fold them into convolutions when they load it. */
#include "nn/onnx_graph.h"

#include <gemel/batchnorm.h>
#include <gemel/layernorm.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "formats/onnx.h"
#include "nn/model_internal.h"
#include "support/file.h"

enum { MOST_NODES_A_LAYER = 3, MOST_TENSORS_A_LAYER = 4, INPUT_NODES = 2 };

static const char encoder_prefix[] = "encoder.";

/* The graph so far. */
struct graph {
    const gm_network *network;
    const char *input;   /* what the first layer reads */
    const char **values; /* names of the layers' outputs */
    gm_onnx_node *nodes;
    gm_tensor *tensors;
    int64_t node_count, tensor_count;
};

static const char *bare_name(const gm_parameter *parameter)
{
    return parameter->name + strlen(encoder_prefix);
}

static const char *value_of(const struct graph *g, int32_t layer)
{
    return layer == GM_NETWORK_INPUT ? g->input : g->values[layer];
}

/* The module that the layer belongs to, "layer1.0.bn1"; of a pool, the one before. */
static int module_length(const struct graph *g, int32_t layer, const char **module)
{
    const gm_layer *layers = g->network->layers;
    while (!layers[layer].weight && !layers[layer].bias)
        layer = layers[layer].x;
    *module = bare_name(layers[layer].weight ? layers[layer].weight : layers[layer].bias);
    return (int)(strrchr(*module, '.') - *module);
}

/* A node of this layer, named by its module and `suffix`; its output is the layer's until another one follows. */
static gm_onnx_node *add_node(struct graph *g, int32_t layer, const char *op, const char *suffix, const char *x)
{
    const char *module;
    const int length = module_length(g, layer, &module);
    gm_onnx_node *node = &g->nodes[g->node_count++];
    snprintf(node->name, sizeof node->name, "%.*s%s", length, module, suffix);
    node->op = op;
    node->inputs[0] = x;
    g->values[layer] = node->name;
    return node;
}

static const char *add_tensor(struct graph *g, const gm_parameter *parameter)
{
    gm_tensor *tensor = &g->tensors[g->tensor_count++];
    *tensor = (gm_tensor){.name = bare_name(parameter),
                          .type = GM_TENSOR_F32,
                          .dimensions = parameter->dimensions,
                          .data = parameter->value};
    memcpy(tensor->shape, parameter->shape, sizeof parameter->shape);
    return tensor->name;
}

static void add_relu(struct graph *g, int32_t i)
{
    if (g->network->layers[i].relu)
        add_node(g, i, "Relu", ".relu", g->values[i]);
}

static gm_onnx_attribute real(const char *name, float value)
{
    return (gm_onnx_attribute){.name = name, .is_real = true, .real = value};
}

static gm_onnx_attribute integer(const char *name, int64_t value)
{
    return (gm_onnx_attribute){.name = name, .integers = {value}};
}

static void set_window(gm_onnx_node *node, const int64_t kernel[2], const int64_t stride[2], int64_t padding)
{
    node->attributes[0] = (gm_onnx_attribute){.name = "kernel_shape", .count = 2, .integers = {kernel[0], kernel[1]}};
    node->attributes[1] = (gm_onnx_attribute){.name = "strides", .count = 2, .integers = {stride[0], stride[1]}};
    node->attributes[2] =
        (gm_onnx_attribute){.name = "pads", .count = 4, .integers = {padding, padding, padding, padding}};
}

static void set_square_window(gm_onnx_node *node, const gm_layer *layer)
{
    set_window(node, (const int64_t[2]){layer->kernel, layer->kernel}, (const int64_t[2]){layer->stride, layer->stride},
               layer->padding);
}

/* With the bias of the layer behind it, if there is one. */
static void add_dense(struct graph *g, int32_t i, const char *x)
{
    const gm_layer *layers = g->network->layers;
    gm_onnx_node *node = add_node(g, i, "Gemm", "", x);
    node->inputs[1] = add_tensor(g, layers[i].weight);
    if (i + 1 < g->network->encoder_layers && layers[i + 1].kind == GM_LAYER_BIAS)
        node->inputs[2] = add_tensor(g, layers[i + 1].bias);
    node->attributes[0] = integer("transB", 1);
}

static void add_conv(struct graph *g, int32_t i, const char *x)
{
    const gm_layer *layer = &g->network->layers[i];
    gm_onnx_node *node = add_node(g, i, "Conv", "", x);
    node->inputs[1] = add_tensor(g, layer->weight);
    set_square_window(node, layer);
}

static void add_batchnorm(struct graph *g, int32_t i, const char *x)
{
    const gm_layer *layer = &g->network->layers[i];
    gm_onnx_node *node = add_node(g, i, "BatchNormalization", "", x);
    node->inputs[1] = add_tensor(g, layer->weight);
    node->inputs[2] = add_tensor(g, layer->bias);
    node->inputs[3] = add_tensor(g, layer->running_mean);
    node->inputs[4] = add_tensor(g, layer->running_variance);
    node->attributes[0] = real("epsilon", gm_batchnorm_default_options().eps);
    if (layer->kind == GM_LAYER_BATCHNORM_ADD)
        add_node(g, i, "Add", ".add", g->values[i])->inputs[1] = value_of(g, layer->residual);
    add_relu(g, i);
}

static void add_layernorm(struct graph *g, int32_t i, const char *x)
{
    const gm_layer *layer = &g->network->layers[i];
    gm_onnx_node *node = add_node(g, i, "LayerNormalization", "", x);
    node->inputs[1] = add_tensor(g, layer->weight);
    node->inputs[2] = add_tensor(g, layer->bias);
    node->attributes[0] = integer("axis", -1);
    node->attributes[1] = real("epsilon", gm_layernorm_default_options().eps);
}

/* A cell of PyTorch's adaptive pooling begins at floor(i size / grid) and ends at ceil((i + 1) size / grid). For a grid
 * of 2, that of the encoders here, these are windows of one size at one distance. */
static void add_average_pool(struct graph *g, int32_t i, const char *x)
{
    const gm_layer *layer = &g->network->layers[i];
    if (layer->grid == 1) {
        add_node(g, i, "GlobalAveragePool", ".avgpool", x);
    } else {
        const int64_t stride[2] = {layer->in.height / layer->grid, layer->in.width / layer->grid};
        const int64_t kernel[2] = {layer->in.height - (layer->grid - 1) * stride[0],
                                   layer->in.width - (layer->grid - 1) * stride[1]};
        set_window(add_node(g, i, "AveragePool", ".avgpool", x), kernel, stride, 0);
    }
    add_node(g, i, "Flatten", ".flatten", g->values[i]);
}

static void add_layer(struct graph *g, int32_t i)
{
    const gm_layer *layer = &g->network->layers[i];
    const char *x = value_of(g, layer->x);
    switch (layer->kind) {
    case GM_LAYER_DENSE:
        add_dense(g, i, x);
        break;
    case GM_LAYER_BIAS: /* is in the dense layer's operator */
        g->values[i] = x;
        add_relu(g, i);
        break;
    case GM_LAYER_BATCHNORM:
    case GM_LAYER_BATCHNORM_LINE:
    case GM_LAYER_BATCHNORM_ADD:
        add_batchnorm(g, i, x);
        break;
    case GM_LAYER_LAYERNORM:
        add_layernorm(g, i, x);
        break;
    case GM_LAYER_CONV:
        add_conv(g, i, x);
        break;
    case GM_LAYER_MAX_POOL:
        set_square_window(add_node(g, i, "MaxPool", ".maxpool", x), layer);
        break;
    case GM_LAYER_AVERAGE_POOL:
        add_average_pool(g, i, x);
        break;
    }
}

/* g->input = op(g->input, numbers); numbers32: memory for them. */
static void add_input_step(struct graph *g, const char *op, const char *name, const char *tensor_name,
                           const double *numbers, float *numbers32)
{
    const int64_t size = g->network->input.channels;
    gm_onnx_node *node = &g->nodes[g->node_count++];
    for (int64_t i = 0; i < size; i++)
        numbers32[i] = (float)numbers[i];
    g->tensors[g->tensor_count++] =
        (gm_tensor){.name = tensor_name, .type = GM_TENSOR_F32, .dimensions = 1, .shape = {size}, .data = numbers32};
    snprintf(node->name, sizeof node->name, "%s", name);
    node->op = op;
    node->inputs[0] = g->input;
    node->inputs[1] = tensor_name;
    g->input = node->name;
}

static void add_standardization(struct graph *g, const gm_onnx_standardization *s, float *memory)
{
    add_input_step(g, "Sub", "input.centred", "input.mean", s->mean, memory);
    add_input_step(g, "Mul", "input.scaled", "input.scale", s->scale, memory + g->network->input.channels);
}

static gm_onnx_value input_of(const gm_network *network, bool standardizes)
{
    const gm_map *map = &network->input;
    const gm_layer *last = &network->layers[network->encoder_layers - 1];
    const char *vectors = standardizes ? "Vectors as they are" : "Vectors, standardised column by column";
    gm_onnx_value input = {"input", vectors, 2, {0, map->channels}, {"batch"}};
    if (last->kind != GM_LAYER_AVERAGE_POOL)
        return input;
    input = (gm_onnx_value){"input",
                            "Normalised pixels: (byte / 255 - mean) / std of each channel",
                            4,
                            {0, map->channels, map->height, map->width},
                            {"batch"}};
    if (last->grid == 1) {
        input.dimension_name[2] = "height";
        input.dimension_name[3] = "width";
    }
    return input;
}

static gm_status check_cells(const gm_network *network, const char *path, gm_error *error)
{
    const gm_layer *last = &network->layers[network->encoder_layers - 1];
    if (last->kind == GM_LAYER_AVERAGE_POOL && (last->in.height < last->grid || last->in.width < last->grid))
        return gm_error_set(error, GM_INVALID_ARGUMENT,
                            "%s: images of %lld x %lld pixels end as a map of %lld x %lld, too few for its averages",
                            path, (long long)network->input.height, (long long)network->input.width,
                            (long long)last->in.height, (long long)last->in.width);
    return GM_OK;
}

static gm_status write_graph(struct graph *g, const char *path, int64_t entry_count, const gm_metadata *metadata,
                             gm_error *error)
{
    const gm_network *network = g->network;
    const int32_t count = network->encoder_layers;
    const bool standardizes = g->node_count > 0;
    for (int32_t i = 0; i < count; i++)
        add_layer(g, i);
    snprintf(g->nodes[g->node_count - 1].name, GM_ONNX_NAME, "features");
    const gm_onnx_graph graph = {
        .name = "encoder",
        .input = input_of(network, standardizes),
        .output = {"features", "The encoder's output", 2, {0, network->layers[count - 1].out.channels}, {"batch"}},
        .node_count = g->node_count,
        .tensor_count = g->tensor_count,
        .nodes = g->nodes,
        .tensors = g->tensors};
    return gm_onnx_write(path, &graph, entry_count, metadata, error);
}

gm_status gm_model_write_onnx(const gm_model *model, const gm_onnx_standardization *standardization, const char *path,
                              int64_t entry_count, const gm_metadata *metadata, int64_t *tensor_count, gm_error *error)
{
    const size_t layers = (size_t)model->network.encoder_layers;
    const size_t columns = standardization ? (size_t)gm_model_input_size(model) : 0;
    const size_t most_nodes = layers * MOST_NODES_A_LAYER + INPUT_NODES;
    struct graph g = {.network = &model->network, .input = "input"};
    gm_status status = check_cells(g.network, path, error);
    if (status != GM_OK)
        return status;
    g.values = calloc(layers, sizeof *g.values);
    g.nodes = calloc(most_nodes, sizeof *g.nodes);
    g.tensors = calloc(layers * MOST_TENSORS_A_LAYER + INPUT_NODES, sizeof *g.tensors);
    float *numbers = malloc(INPUT_NODES * columns * sizeof *numbers + 1);
    if (!g.values || !g.nodes || !g.tensors || !numbers) {
        status = gm_file_no_memory(error, path, most_nodes * sizeof *g.nodes);
        goto fail;
    }
    if (standardization)
        add_standardization(&g, standardization, numbers);
    status = write_graph(&g, path, entry_count, metadata, error);
    *tensor_count = g.tensor_count;
fail:
    free(numbers);
    free(g.values);
    free(g.nodes);
    free(g.tensors);
    return status;
}
