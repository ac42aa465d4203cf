/* Learning rates step by step: linear warm-up, then a cosine down to a thousandth, as in Facebook's main.py. */
#ifndef GEMEL_SCHEDULE_H
#define GEMEL_SCHEDULE_H

#include "train/config.h"

/* The share of the base rate at `step`, counted from 0: step / warmup_steps before warmup_steps, then
 * q + 0.001 (1 - q) with q = (1 + cos(pi s / S)) / 2, s and S being step and total_steps counted from the end of the
 * warm-up. 0 <= step < total_steps, 0 <= warmup_steps <= total_steps. */
double gm_schedule(int64_t step, int64_t warmup_steps, int64_t total_steps);

typedef struct gm_rates {
    double weights, biases;
} gm_rates;

/* The rates of `step` in a run of config->epochs epochs of so many steps. */
gm_rates gm_rates_at(const gm_train_config *config, int64_t steps_per_epoch, int64_t step);

#endif
