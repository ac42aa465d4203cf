/* Forward, backward and inference calls of a model. */
#include <string.h>

#include "nn/model_internal.h"

/* Goes on after GM_NOT_FINITE, so that every output is written, and remembers it. */
static bool failed(gm_status status, gm_status *result)
{
    if (status != GM_OK)
        *result = status;
    return status != GM_OK && status != GM_NOT_FINITE;
}

static double start_of(const gm_model *model)
{
    return model->seconds ? gm_seconds_now() : 0;
}

/* The caller's side of a forward call through the first `layers` layers. */
struct call {
    int32_t layers;
    int64_t images;
    int32_t groups;
    bool update; /* running statistics */
    const float *x;
    int64_t ldx;
    float *y;
    int64_t ldy;
};

struct matrix {
    float *data;
    int64_t ld;
};

/* Where the output of layer i lies. */
static struct matrix value_of(const gm_network *network, const gm_arena *arena, const struct call *call, int32_t i)
{
    const int32_t owner = gm_network_value_owner(network, i, arena->training);
    if (owner == gm_network_value_owner(network, call->layers - 1, arena->training))
        return (struct matrix){call->y, call->ldy};
    return (struct matrix){arena->values[owner], network->layers[owner].out.channels};
}

static gm_pass *set_pass(const gm_model *model, gm_arena *arena, const struct call *call, int32_t i)
{
    const gm_network *network = &model->network;
    const gm_layer *layer = &network->layers[i];
    gm_pass *pass = &arena->passes[i];
    const struct matrix y = value_of(network, arena, call, i);
    pass->images = call->images;
    pass->groups = call->groups;
    pass->update = call->update;
    pass->again = false;
    pass->line = (gm_conv_input){NULL, NULL, false};
    if (layer->x == GM_NETWORK_INPUT) {
        pass->x = call->x;
        pass->ldx = layer->kind == GM_LAYER_CONV ? layer->in.channels : call->ldx;
    } else {
        const struct matrix x = value_of(network, arena, call, layer->x);
        pass->x = x.data;
        pass->ldx = x.ld;
        if (!model->frozen) /* frozen lines are in the weights of whoever wrote x */
            pass->line = gm_layer_line(&network->layers[layer->x], &arena->passes[layer->x]);
    }
    pass->residual = layer->residual == GM_NO_LAYER ? NULL : value_of(network, arena, call, layer->residual).data;
    pass->y = y.data;
    pass->ldy = y.ld;
    pass->packed = arena->packed[i];
    return pass;
}

/* The forward call of layer i in inference with frozen parameters. */
static gm_status run_frozen(gm_model *model, gm_arena *arena, const struct call *call, int32_t i)
{
    const gm_network *network = &model->network;
    const gm_frozen_layer *frozen = &model->frozen[i];
    if (frozen->left_out)
        return GM_OK;
    gm_pass *pass = set_pass(model, arena, call, i);
    if (network->layers[i].kind != GM_LAYER_CONV || frozen->norm == GM_NO_LAYER)
        return gm_layer_infer(model->context, &network->layers[i], pass);
    const struct matrix y = value_of(network, arena, call, frozen->output);
    struct matrix residual = {NULL, 0};
    if (frozen->residual != GM_NO_LAYER)
        residual = value_of(network, arena, call, frozen->residual);
    pass->y = y.data;
    pass->ldy = y.ld;
    pass->residual = residual.data;
    return gm_frozen_forward(model->context, frozen, pass, residual.ld);
}

static gm_status run_layer(gm_model *model, gm_arena *arena, const struct call *call, int32_t i)
{
    const gm_layer *layer = &model->network.layers[i];
    if (arena->training)
        return gm_layer_forward(model->context, layer, set_pass(model, arena, call, i));
    if (model->frozen)
        return run_frozen(model, arena, call, i);
    return gm_layer_infer(model->context, layer, set_pass(model, arena, call, i));
}

static gm_status run_forward(gm_model *model, gm_arena *arena, const struct call *call)
{
    gm_status result = GM_OK;
    if (failed(gm_model_prepare(model, arena, call->images, call->groups), &result))
        return result;
    for (int32_t i = 0; i < call->layers; i++) {
        const double start = start_of(model);
        const gm_status status = run_layer(model, arena, call, i);
        if (model->seconds)
            model->seconds[i].forward += gm_seconds_now() - start;
        if (failed(status, &result))
            return result;
    }
    return result;
}

/* Images are read as matrices of pixels, between which there is no room. */
static bool valid_input(const gm_network *network, int64_t ldx)
{
    const int64_t size = gm_network_input_size(network);
    return network->layers[0].kind == GM_LAYER_CONV ? ldx == size : ldx >= size;
}

static gm_status train_forward(gm_model *model, int32_t views, int64_t rows, bool update, const float *x, int64_t ldx,
                               float *z, int64_t ldz)
{
    if (!model || !model->training || views < 1 || views > model->trained.groups || rows < 1 ||
        rows > model->trained.images / model->trained.groups || !x || !valid_input(&model->network, ldx) || !z ||
        ldz < gm_model_output_size(model))
        return GM_INVALID_ARGUMENT;
    const struct call call = {model->network.layer_count, views * rows, views, update, x, ldx, z, ldz};
    model->pending = false;
    gm_status result = GM_OK;
    if (failed(run_forward(model, &model->trained, &call), &result))
        return result;
    model->pending = true;
    return result;
}

gm_status gm_model_forward_f32(gm_model *model, int32_t views, int64_t rows, const float *x, int64_t ldx, float *z,
                               int64_t ldz)
{
    return train_forward(model, views, rows, true, x, ldx, z, ldz);
}

gm_status gm_model_recompute_f32(gm_model *model, int32_t views, int64_t rows, const float *x, int64_t ldx, float *z,
                                 int64_t ldz)
{
    return train_forward(model, views, rows, false, x, ldx, z, ldz);
}

/* Where the gradient of a layer's output lies; the last layer's is the caller's, the input's is not wanted. */
static struct matrix gradient_of(const gm_network *network, const gm_arena *arena, const struct matrix *dz, int32_t i)
{
    if (i < 0)
        return (struct matrix){NULL, 0};
    const int32_t owner = gm_network_gradient_owner(network, i);
    if (owner == gm_network_gradient_owner(network, network->layer_count - 1))
        return *dz;
    return (struct matrix){arena->gradients[owner], network->layers[owner].out.channels};
}

/* Whether a later layer has written the gradient of the output of layer i, so that another reader of it adds its own:
 * residual blocks have one such reader, a convolution. */
static bool written_before(const gm_network *network, int32_t i, int32_t reader)
{
    for (int32_t later = reader + 1; i >= 0 && later < network->layer_count; later++)
        if (network->layers[later].x == i || network->layers[later].residual == i)
            return true;
    return false;
}

/* Where the gradients of a layer's parameters go: to the parameters, unless they are to be added there and the layer
 * cannot do so. */
static void set_destination(const gm_layer *layer, float *terms, bool accumulate, gm_gradients *gradients)
{
    gradients->accumulate = accumulate && gm_layer_accumulates(layer);
    if (accumulate && !gradients->accumulate) {
        gradients->dweight = terms;
        gradients->dbias = terms + (layer->weight ? layer->weight->count : 0);
        return;
    }
    gradients->dweight = layer->weight ? layer->weight->gradient : NULL;
    gradients->dbias = layer->bias ? layer->bias->gradient : NULL;
}

static void add_terms(const gm_parameter *parameter, const float *terms)
{
    if (!parameter || parameter->gradient == terms)
        return;
    for (int64_t i = 0; i < parameter->count; i++)
        parameter->gradient[i] += terms[i];
}

static gm_status make_again(gm_model *model, int32_t i);

/* Where the output that `owner` made lies on the way back, NULL if it was never forgotten; it is made if it is not
 * there yet. */
static gm_status recall(gm_model *model, int32_t owner, const float **value)
{
    gm_arena *arena = &model->trained;
    *value = owner < 0 ? NULL : arena->again[owner];
    if (!*value || arena->made[owner])
        return GM_OK;
    arena->made[owner] = true;
    return make_again(model, owner);
}

/* Makes the output of layer i, which was forgotten, a second time: the same bits from the same calls. What it reads may
 * have been forgotten, too. */
static gm_status make_again(gm_model *model, int32_t i)
{
    const gm_network *network = &model->network;
    const gm_layer *layer = &network->layers[i];
    gm_pass *pass = &model->trained.passes[i];
    const float *x, *residual = NULL;
    gm_status result = GM_OK;
    if (failed(recall(model, gm_network_value_owner(network, layer->x, true), &x), &result))
        return result;
    if (layer->residual != GM_NO_LAYER &&
        failed(recall(model, gm_network_value_owner(network, layer->residual, true), &residual), &result))
        return result;
    pass->x = x ? x : pass->x;
    pass->residual = residual ? residual : pass->residual;
    pass->y = model->trained.again[i];
    pass->ldy = layer->out.channels;
    pass->packed = model->trained.packed_back[i];
    pass->update = false;
    pass->again = true;
    failed(gm_layer_forward(model->context, layer, pass), &result);
    return result;
}

/* The backward call of one layer, after whatever it reads again has been made. */
static gm_status backward_layer(gm_model *model, int32_t i, const gm_gradients *gradients)
{
    const gm_layer *layer = &model->network.layers[i];
    gm_pass *pass = &model->trained.passes[i];
    gm_status result = GM_OK;
    if (gm_layer_keeps_input(layer)) {
        const float *x;
        if (failed(recall(model, gm_network_value_owner(&model->network, layer->x, true), &x), &result))
            return result;
        pass->x = x ? x : pass->x;
    }
    pass->packed = model->trained.packed_back[i];
    failed(gm_layer_backward(model->context, layer, pass, gradients), &result);
    return result;
}

static gm_status run_backward(gm_model *model, bool accumulate, float *dz, int64_t lddz)
{
    if (!model || !model->pending || !dz || lddz < gm_model_output_size(model) ||
        (accumulate && !model->trained.accumulation))
        return GM_INVALID_ARGUMENT;
    model->pending = false;
    const gm_network *network = &model->network;
    const struct matrix last = {dz, lddz};
    gm_status result = GM_OK;
    memset(model->trained.made, 0, (size_t)network->layer_count * sizeof *model->trained.made);
    for (int32_t i = network->layer_count - 1; i >= 0; i--) {
        const gm_layer *layer = &network->layers[i];
        const struct matrix dy = gradient_of(network, &model->trained, &last, i);
        const struct matrix dx = gradient_of(network, &model->trained, &last, layer->x);
        gm_gradients gradients = {
            .dy = dy.data,
            .lddy = dy.ld,
            .dx = dx.data,
            .lddx = dx.ld,
            .add = written_before(network, layer->x, i),
            .dresidual = gradient_of(network, &model->trained, &last, layer->residual).data,
        };
        set_destination(layer, model->trained.terms[i], accumulate, &gradients);
        const double start = start_of(model);
        const gm_status status = backward_layer(model, i, &gradients);
        add_terms(layer->weight, gradients.dweight);
        add_terms(layer->bias, gradients.dbias);
        if (model->seconds)
            model->seconds[i].backward += gm_seconds_now() - start;
        if (failed(status, &result))
            return result;
    }
    return result;
}

gm_status gm_model_backward_f32(gm_model *model, float *dz, int64_t lddz)
{
    return run_backward(model, false, dz, lddz);
}

gm_status gm_model_accumulate_f32(gm_model *model, float *dz, int64_t lddz)
{
    return run_backward(model, true, dz, lddz);
}

static gm_status infer(gm_model *model, int32_t layers, int64_t rows, const float *x, int64_t ldx, float *y,
                       int64_t ldy)
{
    const int64_t most = model->inference.images;
    if (rows < 0 || !valid_input(&model->network, ldx) || ldy < model->network.layers[layers - 1].out.channels ||
        (rows && (!x || !y)))
        return GM_INVALID_ARGUMENT;
    gm_status result = GM_OK;
    for (int64_t row = 0; row < rows; row += most) {
        const int64_t block = rows - row < most ? rows - row : most;
        const struct call call = {layers, block, 1, false, x + row * ldx, ldx, y + row * ldy, ldy};
        if (failed(run_forward(model, &model->inference, &call), &result))
            return result;
    }
    return result;
}

gm_status gm_model_freeze(gm_model *model)
{
    if (!model || model->training)
        return GM_INVALID_ARGUMENT;
    gm_frozen_destroy(&model->network, model->frozen);
    gm_status status = gm_frozen_create(&model->network, &model->frozen);
    model->inference.planned_images = 0; /* plans for weights that are packed in each call */
    if (status == GM_OK)
        status = gm_model_prepare(model, &model->inference, model->inference.images, model->inference.groups);
    if (status != GM_OK) {
        gm_frozen_destroy(&model->network, model->frozen);
        model->frozen = NULL;
    }
    return status;
}

gm_status gm_model_features_f32(gm_model *model, int64_t rows, const float *x, int64_t ldx, float *y, int64_t ldy)
{
    return model ? infer(model, model->network.encoder_layers, rows, x, ldx, y, ldy) : GM_INVALID_ARGUMENT;
}

gm_status gm_model_infer_f32(gm_model *model, int64_t rows, const float *x, int64_t ldx, float *z, int64_t ldz)
{
    return model ? infer(model, model->network.layer_count, rows, x, ldx, z, ldz) : GM_INVALID_ARGUMENT;
}
