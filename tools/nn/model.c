#include <stdlib.h>
#include <string.h>

#include "nn/model_internal.h"
#include "nn/plan.h"

static const char *const arch_names[GM_ARCH_COUNT] = {"mlp", "axon", "conv", "resnet18", "resnet34", "resnet50"};

static const char *const stem_names[GM_STEM_COUNT] = {"auto", "imagenet", "small"};

/* The place of a name among `count`; -1 if it is none of them. */
static int find_name(const char *const *names, int count, const char *name)
{
    for (int i = 0; name && i < count; i++)
        if (strcmp(name, names[i]) == 0)
            return i;
    return -1;
}

const char *gm_arch_name(gm_arch arch)
{
    return (unsigned)arch < GM_ARCH_COUNT ? arch_names[arch] : NULL;
}

gm_status gm_arch_from_name(const char *name, gm_arch *arch)
{
    const int found = find_name(arch_names, GM_ARCH_COUNT, name);
    if (found < 0 || !arch)
        return GM_INVALID_ARGUMENT;
    *arch = (gm_arch)found;
    return GM_OK;
}

const char *gm_stem_name(gm_stem stem)
{
    return (unsigned)stem < GM_STEM_COUNT ? stem_names[stem] : NULL;
}

gm_status gm_stem_from_name(const char *name, gm_stem *stem)
{
    const int found = find_name(stem_names, GM_STEM_COUNT, name);
    if (found < 0 || !stem)
        return GM_INVALID_ARGUMENT;
    *stem = (gm_stem)found;
    return GM_OK;
}

int64_t gm_default_hidden_size(void)
{
    return 512;
}

int64_t gm_default_projection_dim(void)
{
    return 256;
}

int64_t gm_default_conv_width(void)
{
    return 32;
}

float gm_default_lambda(void)
{
    return 0.005f;
}

bool gm_arch_takes_images(gm_arch arch)
{
    return arch >= GM_ARCH_CONV && arch < GM_ARCH_COUNT;
}

enum { DEFAULT_PROJECTOR_LAYERS = 3, DEFAULT_VIEWS = 2 };

/* With these limits no product of two sizes overflows, nor one of an image's three; the sizes of whole matrices are
 * checked where memory is laid out. */
enum { MOST_PROJECTOR_LAYERS = 64, MOST_VIEWS = 1 << 16, MOST_WIDTH = INT32_MAX, MOST_PIXELS = 1 << 16 };

/* Features of GM_ARCH_CONV for each channel of its first layer. */
enum { CONV_FEATURES = 16 };

/* Images up to this height and width get the small stem unless the caller chooses. */
enum { MOST_SMALL_IMAGE = 64 };

/* Inference goes through the network in blocks of at most so many images, and floats of its largest map. */
enum { INFERENCE_IMAGES = 512, INFERENCE_FLOATS = 1 << 23 };

static void resolve_input(gm_model_options *options)
{
    if (!gm_arch_takes_images(options->arch)) {
        options->height = options->width = 1;
        options->channels = options->encoder_dim;
    } else if (options->stem == GM_STEM_AUTO) {
        const bool small = options->height <= MOST_SMALL_IMAGE && options->width <= MOST_SMALL_IMAGE;
        options->stem = small ? GM_STEM_SMALL : GM_STEM_IMAGENET;
    }
}

/* The caller's options with every default filled in; projector points to `widths` where the caller left it open. */
static gm_status resolve(const gm_model_options *options, gm_model_options *resolved,
                         int64_t widths[DEFAULT_PROJECTOR_LAYERS])
{
    *resolved = *options;
    resolved->hidden_size = options->hidden_size ? options->hidden_size : gm_default_hidden_size();
    resolved->projection_dim = options->projection_dim ? options->projection_dim : gm_default_projection_dim();
    resolved->conv_width = options->conv_width ? options->conv_width : gm_default_conv_width();
    resolved->views = options->views ? options->views : DEFAULT_VIEWS;
    resolve_input(resolved);
    if (!options->projector) {
        for (int i = 0; i < DEFAULT_PROJECTOR_LAYERS; i++)
            widths[i] = resolved->projection_dim;
        resolved->projector = widths;
        resolved->projector_layers = DEFAULT_PROJECTOR_LAYERS;
    } else if (options->arch == GM_ARCH_AXON && options->projector_layers != 1) {
        return GM_INVALID_ARGUMENT;
    }
    if (!options->training)
        resolved->batch = resolved->views = 1;
    return GM_OK;
}

/* A size that must be at least 1; *overflow is set if it is larger than most. */
static bool positive(int64_t size, int64_t most, bool *overflow)
{
    *overflow |= size > most;
    return size >= 1;
}

static gm_status check(const gm_model_options *resolved)
{
    if (!gm_arch_name(resolved->arch) || resolved->projector_layers < 1 ||
        resolved->projector_layers > MOST_PROJECTOR_LAYERS || resolved->views < 1 || resolved->views > MOST_VIEWS ||
        (unsigned)resolved->stem >= GM_STEM_COUNT)
        return GM_INVALID_ARGUMENT;
    bool overflow = false;
    if (!positive(resolved->height, MOST_PIXELS, &overflow) || !positive(resolved->width, MOST_PIXELS, &overflow) ||
        !positive(resolved->channels, MOST_WIDTH, &overflow) ||
        !positive(resolved->hidden_size, MOST_WIDTH, &overflow) ||
        !positive(resolved->conv_width, MOST_WIDTH / CONV_FEATURES, &overflow) ||
        !positive(resolved->projection_dim, MOST_WIDTH, &overflow) || !positive(resolved->batch, MOST_WIDTH, &overflow))
        return GM_INVALID_ARGUMENT;
    for (int32_t i = 0; i < resolved->projector_layers; i++)
        if (!positive(resolved->projector[i], MOST_WIDTH, &overflow))
            return GM_INVALID_ARGUMENT;
    if (overflow || resolved->height * resolved->width > MOST_WIDTH / resolved->channels)
        return GM_SIZE_OVERFLOW;
    const int64_t size = resolved->height * resolved->width * resolved->channels;
    return resolved->encoder_dim && resolved->encoder_dim != size ? GM_INVALID_ARGUMENT : GM_OK;
}

static int64_t inference_images(const gm_network *network)
{
    int64_t largest = 1;
    bool maps = false;
    for (int32_t i = 0; i < network->layer_count; i++) {
        const int64_t floats = gm_size_mul(gm_map_pixels(&network->layers[i].out), network->layers[i].out.channels);
        maps |= network->layers[i].kind == GM_LAYER_CONV;
        largest = floats > largest ? floats : largest;
    }
    const int64_t images = maps ? INFERENCE_FLOATS / largest : INFERENCE_IMAGES;
    return images < 1 ? 1 : images > INFERENCE_IMAGES ? INFERENCE_IMAGES : images;
}

static gm_status set_up(gm_model *model, const gm_model_options *options)
{
    gm_status status = gm_network_create(options, &model->network);
    if (status != GM_OK)
        return status;
    model->trained = (gm_arena){.training = true,
                                .accumulation = options->accumulation,
                                .recomputation = options->recomputation,
                                .images = options->batch * options->views,
                                .groups = options->views};
    model->inference = (gm_arena){.images = inference_images(&model->network), .groups = 1};
    status = gm_model_allocate(model);
    if (status == GM_OK)
        status = gm_model_prepare(model, &model->inference, model->inference.images, 1);
    if (status == GM_OK && model->training)
        status = gm_model_prepare(model, &model->trained, model->trained.images, model->trained.groups);
    if (status == GM_OK)
        gm_network_initialize(&model->network, model->context, options);
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
    created->exact = resolved.exact;
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
    gm_arena_destroy(&model->trained, model->network.layer_count);
    gm_arena_destroy(&model->inference, model->network.layer_count);
    gm_frozen_destroy(&model->network, model->frozen);
    gm_network_destroy(&model->network);
    free(model->memory);
    free(model);
}

int64_t gm_model_input_size(const gm_model *model)
{
    return gm_network_input_size(&model->network);
}

int64_t gm_model_feature_size(const gm_model *model)
{
    return model->network.layers[model->network.encoder_layers - 1].out.channels;
}

int64_t gm_model_output_size(const gm_model *model)
{
    return model->network.layers[model->network.layer_count - 1].out.channels;
}

size_t gm_model_memory(const gm_model *model)
{
    size_t frozen = 0;
    for (int32_t i = 0; model->frozen && i < model->network.layer_count; i++)
        frozen += model->frozen[i].packed_size;
    return (size_t)model->memory_size + frozen;
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
