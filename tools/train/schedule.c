#include "train/schedule.h"

#include <math.h>

double gm_schedule(int64_t step, int64_t warmup_steps, int64_t total_steps)
{
    if (step < warmup_steps)
        return (double)step / (double)warmup_steps;
    const double q = 0.5 * (1 + cos(M_PI * (double)(step - warmup_steps) / (double)(total_steps - warmup_steps)));
    return q + 0.001 * (1 - q);
}
