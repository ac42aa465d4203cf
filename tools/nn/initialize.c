/* Initial weights. PyTorch's Linear draws uniformly from +-1/sqrt(in), Axon's dense from Glorot's +-sqrt(6/(in + out));
 * their normalisations start as the identity and their biases at 0. (Axon 0.8 draws the weights of layer norm from
 * Glorot's interval too, so that half of the columns start with their sign turned; here they start at 1.) */
#include <math.h>

#include "nn/network.h"
#include "support/random.h"

struct draw {
    float *weights; /* [*, in] */
    int64_t in;
    float limit;
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
        w[j] = gm_random_between(&random, -draw->limit, draw->limit);
}

static void fill(gm_parameter *p, float value)
{
    for (int64_t i = 0; i < p->count; i++)
        p->value[i] = value;
}

static float dense_limit(const gm_layer *layer, gm_arch arch)
{
    const double in = (double)layer->in, out = (double)layer->out;
    return (float)(arch == GM_ARCH_AXON ? sqrt(6.0 / (in + out)) : 1.0 / sqrt(in));
}

void gm_network_initialize(const gm_network *network, gm_context *context, gm_arch arch, uint64_t seed)
{
    for (int32_t i = 0; i < network->layer_count; i++) {
        const gm_layer *layer = &network->layers[i];
        if (layer->kind == GM_LAYER_DENSE) {
            struct draw draw = {layer->weight->value, layer->in, dense_limit(layer, arch), seed, i};
            gm_context_parallel_for(context, layer->out, draw_row, &draw);
        } else if (layer->weight) {
            fill(layer->weight, 1.0f);
        }
        if (layer->running_variance)
            fill(layer->running_variance, 1.0f);
    }
}
