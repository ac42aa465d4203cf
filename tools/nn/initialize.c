/* Initial weights. PyTorch's Linear and Conv2d draw uniformly from +-1/sqrt(fan in), Axon's dense from Glorot's
 * +-sqrt(6/(in + out)), torchvision's ResNets draw convolutions from a normal distribution of variance 2/(fan out);
 * normalisations start as the identity, or at 0 at the end of a residual block if asked, and biases at 0. (Axon 0.8
 * draws the weights of layer norm from Glorot's interval too, so that half of the columns start with their sign turned;
 * here they start at 1.) */
#include <math.h>

#include "nn/network.h"
#include "support/random.h"

struct draw {
    float *weights; /* [*, in] */
    int64_t in;
    bool normal;
    float size; /* limit of the uniform distribution, deviation of the normal one */
    uint64_t seed;
    int32_t stream;
};

static void draw_row(void *arg, int64_t row, int worker)
{
    (void)worker;
    const struct draw *draw = arg;
    gm_random random = gm_random_stream(draw->seed, 0, row, draw->stream, GM_RANDOM_WEIGHTS);
    float *w = draw->weights + row * draw->in;
    for (int64_t j = 0; j < draw->in; j++)
        w[j] =
            draw->normal ? draw->size * gm_random_normal(&random) : gm_random_between(&random, -draw->size, draw->size);
}

static void fill(gm_parameter *p, float value)
{
    for (int64_t i = 0; i < p->count; i++)
        p->value[i] = value;
}

static bool is_resnet(gm_arch arch)
{
    return arch == GM_ARCH_RESNET18 || arch == GM_ARCH_RESNET34 || arch == GM_ARCH_RESNET50;
}

static void draw_weights(const gm_layer *layer, gm_context *context, const gm_model_options *options, int32_t stream)
{
    gm_parameter *weight = layer->weight;
    const int64_t out = weight->shape[0], fan_in = weight->count / out;
    const double in = (double)fan_in, fan_out = (double)(weight->count / weight->shape[1]);
    struct draw draw = {.weights = weight->value, .in = fan_in, .seed = options->seed, .stream = stream};
    draw.normal = layer->kind == GM_LAYER_CONV && is_resnet(options->arch);
    draw.size = (float)(draw.normal                     ? sqrt(2.0 / fan_out)
                        : options->arch == GM_ARCH_AXON ? sqrt(6.0 / (in + fan_out))
                                                        : 1.0 / sqrt(in));
    gm_context_parallel_for(context, out, draw_row, &draw);
}

void gm_network_initialize(const gm_network *network, gm_context *context, const gm_model_options *options)
{
    for (int32_t i = 0; i < network->layer_count; i++) {
        const gm_layer *layer = &network->layers[i];
        if (layer->kind == GM_LAYER_DENSE || layer->kind == GM_LAYER_CONV)
            draw_weights(layer, context, options, i);
        else if (layer->weight && !(layer->kind == GM_LAYER_BATCHNORM_ADD && options->zero_init_residual))
            fill(layer->weight, 1.0f);
        if (layer->running_variance)
            fill(layer->running_variance, 1.0f);
    }
}
