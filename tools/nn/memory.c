/* A model's memory: one block, in which the activations share what they do not need at the same time. */
#include <stdlib.h>
#include <string.h>

#include "nn/model_internal.h"
#include "nn/plan.h"

/* The buffers of layer i are 3 i + …; those that a layer does without have no bytes. */
enum { OUTPUT, SAVED, GRADIENT, BUFFERS_A_LAYER };

/* The schedule: layer i runs forward at step i; backward, from the last layer to the first, it has two steps: it reads
 * its matrices at the first one, and a dense layer writes dx at the second. */
static int32_t backward_step(const gm_network *network, int32_t i)
{
    return network->layer_count + 2 * (network->layer_count - 1 - i);
}

/* The last layer whose output lies where layer i's does. */
static int32_t last_in_place(const gm_network *network, int32_t i)
{
    while (i + 1 < network->layer_count && gm_layer_in_place(&network->layers[i + 1]))
        i++;
    return i;
}

static int32_t last_use_of_output(const gm_network *network, int32_t i)
{
    const int32_t last = last_in_place(network, i), reader = last + 1;
    int32_t step = gm_layer_keeps_input(&network->layers[reader]) ? backward_step(network, reader) : reader;
    for (int32_t j = i; j <= last; j++)
        if (gm_layer_keeps_output(&network->layers[j]) && backward_step(network, j) > step)
            step = backward_step(network, j);
    return step;
}

static int32_t dense_before(const gm_network *network, int32_t i)
{
    do
        i--;
    while (network->layers[i].kind != GM_LAYER_DENSE);
    return i;
}

static int64_t matrix_bytes(int64_t rows, int64_t cols)
{
    return gm_size_mul(gm_size_mul(rows, cols), sizeof(float));
}

/* The output of the last layer and its gradient are the caller's. The gradient of a dense layer's output passes through
 * the layers before it in place, until the dense layer before has used it up. */
static void describe_buffers(const gm_network *network, int64_t rows, int32_t views, gm_buffer *buffers)
{
    for (int32_t i = 0; i < network->layer_count; i++) {
        const gm_layer *layer = &network->layers[i];
        gm_buffer *own = buffers + BUFFERS_A_LAYER * i;
        if (!gm_layer_in_place(layer) && last_in_place(network, i) < network->layer_count - 1)
            own[OUTPUT] = (gm_buffer){
                .bytes = matrix_bytes(rows, layer->out), .first = i, .last = last_use_of_output(network, i)};
        own[SAVED] = (gm_buffer){.bytes = matrix_bytes(gm_layer_saved_size(layer, rows, views), 1),
                                 .first = i,
                                 .last = backward_step(network, i)};
        if (layer->kind == GM_LAYER_DENSE && i > 0)
            own[GRADIENT] = (gm_buffer){.bytes = matrix_bytes(rows, layer->in),
                                        .first = backward_step(network, i) + 1,
                                        .last = backward_step(network, dense_before(network, i)) + 1};
    }
}

/* Memory handed out piece by piece; without memory it only counts. */
struct cursor {
    char *memory;
    int64_t used;
};

static void *take(struct cursor *cursor, int64_t bytes)
{
    void *piece = cursor->memory ? cursor->memory + cursor->used : NULL;
    cursor->used = gm_size_add(cursor->used, gm_size_align(bytes));
    return piece;
}

static int64_t widest_layer(const gm_network *network)
{
    int64_t widest = 0;
    for (int32_t i = 0; i < network->layer_count; i++)
        widest = network->layers[i].out > widest ? network->layers[i].out : widest;
    return widest;
}

static void take_gradient(struct cursor *cursor, gm_parameter *parameter)
{
    if (parameter)
        parameter->gradient = take(cursor, matrix_bytes(parameter->count, 1));
}

/* Parameters, then gradients, which are of the same order: the part that starts at zero. */
static void lay_out_parameters(const gm_network *network, bool training, struct cursor *cursor)
{
    for (int32_t i = 0; i < network->parameter_count; i++)
        network->parameters[i].value = take(cursor, matrix_bytes(network->parameters[i].count, 1));
    for (int32_t i = 0; training && i < network->layer_count; i++) {
        take_gradient(cursor, network->layers[i].weight);
        take_gradient(cursor, network->layers[i].bias);
    }
}

static float *at(char *block, const gm_buffer *buffer)
{
    return block && buffer->bytes ? (float *)(block + buffer->offset) : NULL;
}

static void lay_out_activations(gm_model *model, gm_buffer *buffers, struct cursor *cursor)
{
    const int32_t layers = model->network.layer_count;
    char *block = take(cursor, gm_plan(buffers, BUFFERS_A_LAYER * layers));
    for (int32_t i = 0; i < layers; i++) {
        const gm_buffer *own = buffers + BUFFERS_A_LAYER * i;
        model->outputs[i] = at(block, &own[OUTPUT]);
        model->gradients[i] = at(block, &own[GRADIENT]);
        model->passes[i].saved = at(block, &own[SAVED]);
    }
}

/* Points everything into memory, or with NULL only counts, and returns the bytes it takes. */
static int64_t lay_out(gm_model *model, gm_buffer *buffers, char *memory, int64_t *zero_bytes)
{
    struct cursor cursor = {memory, 0};
    lay_out_parameters(&model->network, model->training, &cursor);
    *zero_bytes = cursor.used;
    for (int i = 0; i < 2; i++)
        model->scratch[i] = take(&cursor, matrix_bytes(GM_INFERENCE_ROWS, widest_layer(&model->network)));
    if (model->training)
        lay_out_activations(model, buffers, &cursor);
    return cursor.used;
}

gm_status gm_model_allocate(gm_model *model)
{
    gm_buffer *buffers = calloc((size_t)(BUFFERS_A_LAYER * model->network.layer_count), sizeof *buffers);
    if (!buffers)
        return GM_OUT_OF_MEMORY;
    describe_buffers(&model->network, model->batch * model->views, model->views, buffers);
    gm_status status = GM_OK;
    int64_t zero_bytes;
    model->memory_size = lay_out(model, buffers, NULL, &zero_bytes);
    if (model->memory_size == INT64_MAX) {
        status = GM_SIZE_OVERFLOW;
    } else if (!(model->memory = gm_block_allocate(model->memory_size))) {
        status = GM_OUT_OF_MEMORY;
    } else {
        lay_out(model, buffers, model->memory, &zero_bytes);
        memset(model->memory, 0, (size_t)zero_bytes);
    }
    free(buffers);
    return status;
}
