#include <stdlib.h>
#include <string.h>

#include "nn/model_internal.h"
#include "nn/plan.h"

static const char *const arch_names[GM_ARCH_COUNT] = {"mlp", "axon"};

const char *gm_arch_name(gm_arch arch)
{
    return (unsigned)arch < GM_ARCH_COUNT ? arch_names[arch] : NULL;
}

gm_status gm_arch_from_name(const char *name, gm_arch *arch)
{
    if (!name || !arch)
        return GM_INVALID_ARGUMENT;
    for (int i = 0; i < GM_ARCH_COUNT; i++)
        if (strcmp(name, arch_names[i]) == 0) {
            *arch = (gm_arch)i;
            return GM_OK;
        }
    return GM_INVALID_ARGUMENT;
}

int64_t gm_default_hidden_size(void)
{
    return 512;
}

int64_t gm_default_projection_dim(void)
{
    return 256;
}

float gm_default_lambda(void)
{
    return 0.005f;
}

enum { DEFAULT_PROJECTOR_LAYERS = 3, DEFAULT_VIEWS = 2 };

/* With these limits no product of two sizes overflows; the sizes of whole matrices are checked where memory is laid
 * out. */
enum { MOST_PROJECTOR_LAYERS = 64, MOST_VIEWS = 1 << 16, MOST_WIDTH = INT32_MAX };

/* The caller's options with every default filled in; projector points to `widths` where the caller left it open. */
static gm_status resolve(const gm_model_options *options, gm_model_options *resolved,
                         int64_t widths[DEFAULT_PROJECTOR_LAYERS])
{
    *resolved = *options;
    resolved->hidden_size = options->hidden_size ? options->hidden_size : gm_default_hidden_size();
    resolved->projection_dim = options->projection_dim ? options->projection_dim : gm_default_projection_dim();
    resolved->views = options->views ? options->views : DEFAULT_VIEWS;
    if (!options->projector) {
        for (int i = 0; i < DEFAULT_PROJECTOR_LAYERS; i++)
            widths[i] = resolved->projection_dim;
        resolved->projector = widths;
        resolved->projector_layers = DEFAULT_PROJECTOR_LAYERS;
    } else if (options->arch != GM_ARCH_MLP) {
        return GM_INVALID_ARGUMENT;
    }
    if (!options->training)
        resolved->batch = resolved->views = 1;
    return GM_OK;
}

static gm_status check(const gm_model_options *resolved)
{
    if (!gm_arch_name(resolved->arch) || resolved->projector_layers < 1 ||
        resolved->projector_layers > MOST_PROJECTOR_LAYERS || resolved->views < 1 || resolved->views > MOST_VIEWS)
        return GM_INVALID_ARGUMENT;
    const int64_t sizes[] = {resolved->encoder_dim, resolved->hidden_size, resolved->projection_dim, resolved->batch};
    bool overflow = false;
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        if (sizes[i] < 1)
            return GM_INVALID_ARGUMENT;
        overflow |= sizes[i] > MOST_WIDTH;
    }
    for (int32_t i = 0; i < resolved->projector_layers; i++) {
        if (resolved->projector[i] < 1)
            return GM_INVALID_ARGUMENT;
        overflow |= resolved->projector[i] > MOST_WIDTH;
    }
    return overflow ? GM_SIZE_OVERFLOW : GM_OK;
}

static gm_status reserve_workspace(const gm_model *model)
{
    const int64_t training_rows = model->batch * model->views;
    size_t bytes = 0;
    for (int32_t i = 0; i < model->network.layer_count; i++) {
        const gm_layer *layer = &model->network.layers[i];
        const size_t training = gm_layer_workspace(model->context, layer, training_rows, model->views);
        const size_t inference = gm_layer_workspace(model->context, layer, GM_INFERENCE_ROWS, 1);
        bytes = training > bytes ? training : bytes;
        bytes = inference > bytes ? inference : bytes;
    }
    return gm_context_reserve(model->context, bytes);
}

static gm_status set_up(gm_model *model, const gm_model_options *options)
{
    gm_status status = gm_network_create(options, &model->network);
    if (status != GM_OK)
        return status;
    const size_t layers = (size_t)model->network.layer_count;
    model->passes = calloc(layers, sizeof *model->passes);
    model->outputs = calloc(layers, sizeof *model->outputs);
    model->gradients = calloc(layers, sizeof *model->gradients);
    if (!model->passes || !model->outputs || !model->gradients)
        return GM_OUT_OF_MEMORY;
    status = gm_model_allocate(model);
    if (status != GM_OK)
        return status;
    status = reserve_workspace(model);
    if (status == GM_OK)
        gm_network_initialize(&model->network, model->context, options->arch, options->seed);
    return status;
}

gm_status gm_model_create(gm_context *context, const gm_model_options *options, gm_model **model)
{
    if (!model)
        return GM_INVALID_ARGUMENT;
    *model = NULL;
    if (!context || !options || options->size < sizeof *options)
        return GM_INVALID_ARGUMENT;
    gm_model_options resolved;
    int64_t widths[DEFAULT_PROJECTOR_LAYERS];
    gm_status status = resolve(options, &resolved, widths);
    if (status == GM_OK)
        status = check(&resolved);
    if (status != GM_OK)
        return status;
    gm_model *created = calloc(1, sizeof *created);
    if (!created)
        return GM_OUT_OF_MEMORY;
    created->context = context;
    created->training = resolved.training;
    created->batch = resolved.batch;
    created->views = resolved.views;
    status = set_up(created, &resolved);
    if (status != GM_OK) {
        gm_model_destroy(created);
        return status;
    }
    *model = created;
    return GM_OK;
}

void gm_model_destroy(gm_model *model)
{
    if (!model)
        return;
    gm_network_destroy(&model->network);
    free(model->passes);
    free(model->outputs);
    free(model->gradients);
    free(model->memory);
    free(model);
}

int64_t gm_model_input_size(const gm_model *model)
{
    return model->network.layers[0].in;
}

int64_t gm_model_feature_size(const gm_model *model)
{
    return model->network.layers[model->network.encoder_layers - 1].out;
}

int64_t gm_model_output_size(const gm_model *model)
{
    return model->network.layers[model->network.layer_count - 1].out;
}

size_t gm_model_memory(const gm_model *model)
{
    return (size_t)model->memory_size;
}

int64_t gm_model_flops(const gm_model *model, int64_t rows)
{
    const gm_network *network = &model->network;
    int64_t flops = 0;
    for (int32_t i = 0; i < network->layer_count; i++) {
        const int passes = i == 0 ? 2 : 3; /* the first layer needs no gradient of its input */
        flops = gm_size_add(flops, gm_size_mul(passes, gm_layer_flops(&network->layers[i], rows)));
    }
    return flops;
}

int32_t gm_model_parameter_count(const gm_model *model)
{
    return model->network.parameter_count;
}

gm_parameter gm_model_parameter(const gm_model *model, int32_t index)
{
    return model->network.parameters[index];
}

/* Goes on after GM_NOT_FINITE, so that every output is written, and remembers it. */
static bool failed(gm_status status, gm_status *result)
{
    if (status != GM_OK)
        *result = status;
    return status != GM_OK && status != GM_NOT_FINITE;
}

gm_status gm_model_forward_f32(gm_model *model, int32_t views, int64_t rows, const float *x, int64_t ldx, float *z,
                               int64_t ldz)
{
    if (!model || !model->training || views < 1 || views > model->views || rows < 1 || rows > model->batch || !x ||
        ldx < gm_model_input_size(model) || !z || ldz < gm_model_output_size(model))
        return GM_INVALID_ARGUMENT;
    const gm_network *network = &model->network;
    gm_status result = GM_OK;
    model->pending = false;
    for (int32_t i = 0; i < network->layer_count; i++) {
        const gm_layer *layer = &network->layers[i];
        gm_pass *pass = &model->passes[i];
        pass->rows = views * rows;
        pass->groups = views;
        pass->x = i == 0 ? x : pass[-1].y;
        pass->ldx = i == 0 ? ldx : pass[-1].ldy;
        if (gm_layer_in_place(layer)) {
            pass->y = pass[-1].y;
            pass->ldy = pass[-1].ldy;
        } else {
            pass->y = model->outputs[i] ? model->outputs[i] : z;
            pass->ldy = model->outputs[i] ? layer->out : ldz;
        }
        if (failed(gm_layer_forward(model->context, layer, pass), &result))
            return result;
    }
    model->pending = true;
    return result;
}

gm_status gm_model_backward_f32(gm_model *model, float *dz, int64_t lddz)
{
    if (!model || !model->pending || !dz || lddz < gm_model_output_size(model))
        return GM_INVALID_ARGUMENT;
    model->pending = false;
    gm_status result = GM_OK;
    float *dy = dz;
    int64_t lddy = lddz;
    for (int32_t i = model->network.layer_count - 1; i >= 0; i--) {
        const gm_layer *layer = &model->network.layers[i];
        const bool dense = layer->kind == GM_LAYER_DENSE;
        float *dx = dense ? model->gradients[i] : dy;
        const int64_t lddx = dense ? layer->in : lddy;
        if (failed(gm_layer_backward(model->context, layer, &model->passes[i], dy, lddy, dx, lddx), &result))
            return result;
        dy = dx;
        lddy = lddx;
    }
    return result;
}

/* One block of rows through the first `layers` layers. Dense layers alternate between the two scratch matrices and the
 * others work in place, except that the last one writes to y. */
static gm_status infer_block(const gm_model *model, int32_t layers, gm_pass pass, float *y, int64_t ldy)
{
    gm_status result = GM_OK;
    int next = 0;
    for (int32_t i = 0; i < layers; i++) {
        const gm_layer *layer = &model->network.layers[i];
        if (i == layers - 1) {
            pass.y = y;
            pass.ldy = ldy;
        } else if (layer->kind == GM_LAYER_DENSE) {
            pass.y = model->scratch[next];
            pass.ldy = layer->out;
            next = 1 - next;
        }
        if (failed(gm_layer_infer(model->context, layer, &pass), &result))
            return result;
        pass.x = pass.y;
        pass.ldx = pass.ldy;
    }
    return result;
}

static gm_status infer(gm_model *model, int32_t layers, int64_t rows, const float *x, int64_t ldx, float *y,
                       int64_t ldy)
{
    if (rows < 0 || ldx < gm_model_input_size(model) || ldy < model->network.layers[layers - 1].out ||
        (rows && (!x || !y)))
        return GM_INVALID_ARGUMENT;
    gm_status result = GM_OK;
    for (int64_t row = 0; row < rows; row += GM_INFERENCE_ROWS) {
        const int64_t block = rows - row < GM_INFERENCE_ROWS ? rows - row : GM_INFERENCE_ROWS;
        const gm_pass pass = {.rows = block, .groups = 1, .x = x + row * ldx, .ldx = ldx};
        if (failed(infer_block(model, layers, pass, y + row * ldy, ldy), &result))
            return result;
    }
    return result;
}

gm_status gm_model_features_f32(gm_model *model, int64_t rows, const float *x, int64_t ldx, float *y, int64_t ldy)
{
    return model ? infer(model, model->network.encoder_layers, rows, x, ldx, y, ldy) : GM_INVALID_ARGUMENT;
}

gm_status gm_model_infer_f32(gm_model *model, int64_t rows, const float *x, int64_t ldx, float *z, int64_t ldz)
{
    return model ? infer(model, model->network.layer_count, rows, x, ldx, z, ldz) : GM_INVALID_ARGUMENT;
}
