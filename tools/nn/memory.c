/* A model's memory: one block, in which the activations share what they do not need at the same time. */
#include <stdlib.h>
#include <string.h>

#include "nn/map_layers.h"
#include "nn/model_internal.h"
#include "nn/plan.h"

/* The buffers of layer i are BUFFERS_A_LAYER i + …; those that a layer does without have no bytes. */
enum { VALUE, AGAIN, SAVED, GRADIENT, TERMS, PARAMETERS, PACKED, PACKED_BACK, BUFFERS_A_LAYER };

/* The schedule: layer i runs forward at step i; backward, from the last layer to the first, it has two steps: a layer
 * that reads first does so at the first one, and everything else happens at the second. */
static int32_t backward_step(const gm_network *network, int32_t i)
{
    return network->layer_count + 2 * (network->layer_count - 1 - i);
}

static int32_t last_step_with_input(const gm_network *network, int32_t i, bool training)
{
    const gm_layer *layer = &network->layers[i];
    if (!training || !gm_layer_keeps_input(layer))
        return i;
    return backward_step(network, i) + !gm_layer_reads_first(layer);
}

/* `owner`'s memory, if it is a layer's, is in use until `step`. */
static void extend(gm_buffer *buffers, int32_t owner, int32_t kind, int32_t step)
{
    if (owner < 0)
        return;
    gm_buffer *buffer = &buffers[BUFFERS_A_LAYER * owner + kind];
    buffer->last = buffer->last < step ? step : buffer->last;
}

static bool forgets(const gm_network *network, const gm_arena *arena, int32_t owner)
{
    return arena->training && gm_network_forgets(network, owner, arena->recomputation);
}

static int64_t matrix_bytes(int64_t rows, int64_t cols)
{
    return gm_size_mul(gm_size_mul(rows, cols), sizeof(float));
}

static int64_t larger(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

static int64_t output_bytes(const gm_layer *layer, int64_t images)
{
    return matrix_bytes(gm_size_mul(images, gm_map_pixels(&layer->out)), layer->out.channels);
}

/* Outputs, from the forward call to the last reader, and what the backward call is left. The last output is the
 * caller's. */
static void describe_values(const gm_network *network, const gm_arena *arena, gm_buffer *buffers)
{
    const int32_t count = network->layer_count, last = gm_network_value_owner(network, count - 1, arena->training);
    for (int32_t i = 0; i < count; i++) {
        const gm_layer *layer = &network->layers[i];
        gm_buffer *own = buffers + BUFFERS_A_LAYER * i;
        const int32_t x = gm_network_value_owner(network, layer->x, arena->training);
        const int32_t y = gm_network_value_owner(network, i, arena->training);
        const int32_t end = arena->training ? backward_step(network, i) + 1 : count;
        own[VALUE].first = own[SAVED].first = i;
        own[VALUE].bytes = y == i && i != last ? output_bytes(layer, arena->images) : 0;
        own[SAVED].bytes = gm_layer_saved_bytes(layer, arena->images, arena->groups, arena->training);
        own[SAVED].last = end;
        extend(buffers, x, VALUE, last_step_with_input(network, i, arena->training && !forgets(network, arena, x)));
        extend(buffers, y, VALUE, arena->training && gm_layer_keeps_output(layer) ? end : i);
        if (layer->residual != GM_NO_LAYER)
            extend(buffers, gm_network_value_owner(network, layer->residual, arena->training), VALUE, i);
    }
}

/* `reader` writes a gradient of the output of layer i, unless it lies where the gradient of its own output does. The
 * last reader is the first to do so. */
static void describe_reader(const gm_network *network, int32_t reader, int32_t i, int64_t images, gm_buffer *buffers)
{
    const int32_t owner = gm_network_gradient_owner(network, i);
    if (owner < 0 || owner == gm_network_gradient_owner(network, reader))
        return;
    gm_buffer *buffer = &buffers[BUFFERS_A_LAYER * owner + GRADIENT];
    buffer->bytes = output_bytes(&network->layers[owner], images);
    buffer->first = backward_step(network, reader) + 1;
    buffer->last = backward_step(network, owner) + 1;
}

/* The output that `owner` made is read backward from step `first` to step `last`. */
static void need(const gm_network *network, const gm_arena *arena, int32_t owner, int32_t first, int32_t last,
                 gm_buffer *buffers)
{
    if (owner < 0 || !forgets(network, arena, owner)) {
        extend(buffers, owner, VALUE, last);
        return;
    }
    gm_buffer *again = &buffers[BUFFERS_A_LAYER * owner + AGAIN];
    again->first = again->bytes && again->first < first ? again->first : first;
    again->bytes = output_bytes(&network->layers[owner], arena->images);
    extend(buffers, owner, AGAIN, last);
}

/* Outputs that are made a second time, from the first backward call that reads them, or that makes again what is made
 * of them, to the last. From the last layer to the first: so all of these are known. */
static void describe_again(const gm_network *network, const gm_arena *arena, gm_buffer *buffers)
{
    for (int32_t i = network->layer_count - 1; arena->training && i >= 0; i--) {
        const gm_layer *layer = &network->layers[i];
        const int32_t x = gm_network_value_owner(network, layer->x, true);
        const gm_buffer *again = &buffers[BUFFERS_A_LAYER * i + AGAIN];
        if (gm_layer_keeps_input(layer))
            need(network, arena, x, backward_step(network, i), last_step_with_input(network, i, true), buffers);
        if (!again->bytes)
            continue;
        need(network, arena, x, again->first, again->first, buffers);
        if (layer->residual != GM_NO_LAYER)
            need(network, arena, gm_network_value_owner(network, layer->residual, true), again->first, again->first,
                 buffers);
    }
}

static void describe_gradients(const gm_network *network, const gm_arena *arena, gm_buffer *buffers)
{
    for (int32_t i = 0; arena->training && i < network->layer_count; i++) {
        describe_reader(network, i, network->layers[i].x, arena->images, buffers);
        describe_reader(network, i, network->layers[i].residual, arena->images, buffers);
    }
}

/* What a layer's parameters get in one backward call, until it is added to their gradients. */
static void describe_terms(const gm_network *network, const gm_arena *arena, gm_buffer *buffers)
{
    for (int32_t i = 0; arena->accumulation && i < network->layer_count; i++) {
        const gm_layer *layer = &network->layers[i];
        gm_buffer *terms = &buffers[BUFFERS_A_LAYER * i + TERMS];
        if (gm_layer_accumulates(layer))
            continue;
        terms->bytes = gm_size_add(layer->weight ? matrix_bytes(layer->weight->count, 1) : 0,
                                   layer->bias ? matrix_bytes(layer->bias->count, 1) : 0);
        terms->first = backward_step(network, i);
        terms->last = backward_step(network, i) + 1;
    }
}

/* Gradients of the parameters, from the backward call that writes them: where activations were that are used up by
 * then. Those that are added up over several backward calls are not among them. */
static void describe_parameters(const gm_network *network, const gm_arena *arena, gm_buffer *buffers)
{
    for (int32_t i = 0; arena->training && !arena->accumulation && i < network->layer_count; i++) {
        const gm_layer *layer = &network->layers[i];
        gm_buffer *gradients = &buffers[BUFFERS_A_LAYER * i + PARAMETERS];
        gradients->bytes = gm_size_add(layer->weight ? gm_size_align(matrix_bytes(layer->weight->count, 1)) : 0,
                                       layer->bias ? gm_size_align(matrix_bytes(layer->bias->count, 1)) : 0);
        gradients->first = backward_step(network, i);
        gradients->last = backward_step(network, 0) + 1;
    }
}

/* Packed weights of convolutions, in each call that multiplies by them: on the way back the second step, and before it
 * the call that makes a forgotten output again. Calls of fewer images need no more. */
static void describe_packed(const gm_network *network, const gm_arena *arena, gm_buffer *buffers)
{
    for (int32_t i = 0; i < network->layer_count; i++) {
        const gm_conv_plan *plan = arena->passes[i].plan;
        gm_buffer *own = buffers + BUFFERS_A_LAYER * i, *forward = &own[PACKED], *back = &own[PACKED_BACK];
        if (!plan)
            continue;
        forward->bytes = (int64_t)gm_conv_packed_f32_size(plan, GM_CONV_FORWARD);
        forward->first = forward->last = i;
        if (!arena->training)
            continue;
        back->bytes = larger((int64_t)gm_conv_packed_f32_size(plan, GM_CONV_DATA_GRADIENT),
                             own[AGAIN].bytes ? forward->bytes : 0);
        back->first = own[AGAIN].bytes ? own[AGAIN].first : backward_step(network, i) + 1;
        back->last = backward_step(network, i) + 1;
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

static void take_gradient(struct cursor *cursor, gm_parameter *parameter)
{
    if (parameter)
        parameter->gradient = take(cursor, matrix_bytes(parameter->count, 1));
}

static void lay_out_gradients(const gm_layer *layer, struct cursor *cursor)
{
    take_gradient(cursor, layer->weight);
    take_gradient(cursor, layer->bias);
}

/* Parameters, then gradients that outlast the next forward call. */
static void lay_out_parameters(const gm_network *network, bool gradients, struct cursor *cursor)
{
    for (int32_t i = 0; i < network->parameter_count; i++)
        network->parameters[i].value = take(cursor, matrix_bytes(network->parameters[i].count, 1));
    for (int32_t i = 0; gradients && i < network->layer_count; i++)
        lay_out_gradients(&network->layers[i], cursor);
}

static void *at(char *block, const gm_buffer *buffer)
{
    return block && buffer->bytes ? block + buffer->offset : NULL;
}

static void lay_out_arena(const gm_network *network, gm_arena *arena, gm_buffer *buffers, struct cursor *cursor)
{
    memset(buffers, 0, (size_t)(BUFFERS_A_LAYER * network->layer_count) * sizeof *buffers);
    describe_values(network, arena, buffers);
    describe_again(network, arena, buffers);
    describe_gradients(network, arena, buffers);
    describe_terms(network, arena, buffers);
    describe_parameters(network, arena, buffers);
    describe_packed(network, arena, buffers);
    char *block = take(cursor, gm_plan(buffers, BUFFERS_A_LAYER * network->layer_count));
    for (int32_t i = 0; i < network->layer_count; i++) {
        const gm_buffer *own = buffers + BUFFERS_A_LAYER * i;
        arena->values[i] = at(block, &own[VALUE]);
        arena->again[i] = at(block, &own[AGAIN]);
        arena->gradients[i] = at(block, &own[GRADIENT]);
        arena->terms[i] = at(block, &own[TERMS]);
        arena->passes[i].saved = at(block, &own[SAVED]);
        arena->packed[i] = at(block, &own[PACKED]);
        arena->packed_back[i] = at(block, &own[PACKED_BACK]);
        struct cursor gradients = {at(block, &own[PARAMETERS]), 0};
        if (gradients.memory)
            lay_out_gradients(&network->layers[i], &gradients);
    }
}

/* Points everything into memory, or with NULL only counts, and returns the bytes it takes. */
static int64_t lay_out(gm_model *model, gm_buffer *buffers, char *memory, int64_t *zero_bytes)
{
    struct cursor cursor = {memory, 0};
    lay_out_parameters(&model->network, model->training && model->trained.accumulation, &cursor);
    *zero_bytes = cursor.used;
    if (model->training) /* beside the parameters: inference may never touch its part */
        lay_out_arena(&model->network, &model->trained, buffers, &cursor);
    lay_out_arena(&model->network, &model->inference, buffers, &cursor);
    return cursor.used;
}

static bool allocate_arena(gm_arena *arena, size_t layers)
{
    arena->values = calloc(layers, sizeof *arena->values);
    arena->gradients = calloc(layers, sizeof *arena->gradients);
    arena->again = calloc(layers, sizeof *arena->again);
    arena->made = calloc(layers, sizeof *arena->made);
    arena->terms = calloc(layers, sizeof *arena->terms);
    arena->packed = calloc(layers, sizeof *arena->packed);
    arena->packed_back = calloc(layers, sizeof *arena->packed_back);
    arena->passes = calloc(layers, sizeof *arena->passes);
    return arena->values && arena->again && arena->made && arena->gradients && arena->terms && arena->packed &&
           arena->packed_back && arena->passes;
}

static void destroy_plans(gm_arena *arena, int32_t layers)
{
    for (int32_t i = 0; arena->passes && i < layers; i++) {
        gm_conv_plan_destroy(arena->passes[i].plan);
        arena->passes[i].plan = NULL;
    }
    arena->planned_images = 0;
}

static gm_status plan_conv(const gm_model *model, int32_t i, int64_t images, int32_t groups, gm_conv_plan **plan)
{
    const gm_conv_shape shape = gm_layer_conv_shape(&model->network.layers[i], images);
    gm_conv_options options = gm_conv_default_options();
    options.groups = groups;
    options.exact = model->exact;
    options.packed_once = model->frozen && model->frozen[i].norm != GM_NO_LAYER;
    return gm_conv_plan_create(model->context, &shape, &options, plan);
}

static gm_status make_plans(const gm_model *model, gm_arena *arena, int64_t images, int32_t groups)
{
    const gm_network *network = &model->network;
    destroy_plans(arena, network->layer_count);
    for (int32_t i = 0; i < network->layer_count; i++) {
        if (network->layers[i].kind != GM_LAYER_CONV)
            continue;
        const gm_status status = plan_conv(model, i, images, groups, &arena->passes[i].plan);
        if (status != GM_OK)
            return status;
    }
    return GM_OK;
}

gm_status gm_model_allocate(gm_model *model)
{
    const size_t layers = (size_t)model->network.layer_count;
    gm_buffer *buffers = calloc(BUFFERS_A_LAYER * layers, sizeof *buffers);
    gm_status status = GM_OUT_OF_MEMORY;
    int64_t zero_bytes;
    if (!allocate_arena(&model->inference, layers) || !allocate_arena(&model->trained, layers) || !buffers)
        goto end;
    status = make_plans(model, &model->inference, model->inference.images, model->inference.groups);
    if (status == GM_OK && model->training)
        status = make_plans(model, &model->trained, model->trained.images, model->trained.groups);
    if (status != GM_OK)
        goto end;
    model->memory_size = lay_out(model, buffers, NULL, &zero_bytes);
    if (model->memory_size == INT64_MAX) {
        status = GM_SIZE_OVERFLOW;
    } else if (!(model->memory = gm_block_allocate(model->memory_size))) {
        status = GM_OUT_OF_MEMORY;
    } else {
        lay_out(model, buffers, model->memory, &zero_bytes);
        memset(model->memory, 0, (size_t)zero_bytes);
    }
end:
    free(buffers);
    return status;
}

void gm_arena_destroy(gm_arena *arena, int32_t layers)
{
    destroy_plans(arena, layers);
    free(arena->values);
    free(arena->gradients);
    free(arena->again);
    free(arena->made);
    free(arena->terms);
    free(arena->packed);
    free(arena->packed_back);
    free(arena->passes);
}

static gm_status reserve(const gm_model *model, const gm_arena *arena, int64_t images, int32_t groups)
{
    int64_t most = 0;
    for (int32_t i = 0; i < model->network.layer_count; i++)
        most = larger(most, (int64_t)gm_layer_workspace(model->context, &model->network.layers[i], images, groups,
                                                        arena->passes[i].plan, arena->training));
    return gm_context_reserve(model->context, (size_t)most);
}

gm_status gm_model_prepare(gm_model *model, gm_arena *arena, int64_t images, int32_t groups)
{
    if (arena->planned_images == images && arena->planned_groups == groups)
        return GM_OK;
    gm_status status = make_plans(model, arena, images, groups);
    for (int32_t i = 0; status == GM_OK && model->frozen && i < model->network.layer_count; i++)
        if (arena->passes[i].plan)
            status = gm_frozen_pack(model->context, &model->network, i, arena->passes[i].plan, model->frozen);
    if (status == GM_OK)
        status = reserve(model, arena, images, groups);
    if (status == GM_OK) {
        arena->planned_images = images;
        arena->planned_groups = groups;
    }
    return status;
}
