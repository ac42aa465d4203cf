/* Where the time of a model's calls goes. */
#ifndef GEMEL_TIMING_H
#define GEMEL_TIMING_H

#include "nn/network.h"

typedef struct gm_layer_seconds {
    double forward, backward;
} gm_layer_seconds;

/* From now on each call adds the time that its layers take to seconds[layer], inference to `forward`; NULL ends it. */
void gm_model_time_layers(gm_model *model, gm_layer_seconds *seconds);

const gm_network *gm_model_network(const gm_model *model);

/* "convolution", "batch norm" … for tables. */
const char *gm_layer_kind_name(gm_layer_kind kind);

/* Seconds of a clock that only goes forward. */
double gm_seconds_now(void);

#endif
