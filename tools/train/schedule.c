#include "train/schedule.h"

#include <math.h>

double gm_schedule(int64_t step, int64_t warmup_steps, int64_t total_steps)
{
    if (step < warmup_steps)
        return (double)step / (double)warmup_steps;
    const double q = 0.5 * (1 + cos(M_PI * (double)(step - warmup_steps) / (double)(total_steps - warmup_steps)));
    return q + 0.001 * (1 - q);
}

gm_rates gm_rates_at(const gm_train_config *config, int64_t steps_per_epoch, int64_t step)
{
    const int64_t warmup = llround(config->warmup_epochs * (double)steps_per_epoch);
    const double rate = gm_config_rate_scale(config) * gm_schedule(step, warmup, config->epochs * steps_per_epoch);
    return (gm_rates){rate * config->learning_rate_weights, rate * config->learning_rate_biases};
}
