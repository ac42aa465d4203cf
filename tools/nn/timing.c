#include "nn/timing.h"

#include <time.h>

#include "nn/model_internal.h"

void gm_model_time_layers(gm_model *model, gm_layer_seconds *seconds)
{
    model->seconds = seconds;
}

const gm_network *gm_model_network(const gm_model *model)
{
    return &model->network;
}

const char *gm_layer_kind_name(gm_layer_kind kind)
{
    switch (kind) {
    case GM_LAYER_DENSE:
        return "dense";
    case GM_LAYER_BIAS:
        return "bias";
    case GM_LAYER_BATCHNORM:
        return "batch norm";
    case GM_LAYER_BATCHNORM_LINE:
        return "batch norm, line";
    case GM_LAYER_BATCHNORM_ADD:
        return "batch norm, add";
    case GM_LAYER_LAYERNORM:
        return "layer norm";
    case GM_LAYER_CONV:
        return "convolution";
    case GM_LAYER_MAX_POOL:
        return "max pool";
    case GM_LAYER_AVERAGE_POOL:
        return "average pool";
    }
    return NULL;
}

double gm_seconds_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}
