/* Updates of a contiguous range of a parameter array: the kernel contract. */
#ifndef GEMEL_OPTIMIZER_KERNEL_H
#define GEMEL_OPTIMIZER_KERNEL_H

#include "core/core.h"

struct gm_adam_factors {
    float beta1, beta2;
    float new1, new2;       /* 1 - beta */
    float rate;             /* rate / (1 - beta1^step) */
    float second_deviation; /* 1 / sqrt(1 - beta2^step) */
    float eps, weight_decay;
};

/* Single-threaded; count >= 1; nothing beyond the arrays is touched. */
struct gm_optimizer_kernels {
    const char *name;

    /* g = scale (gradient + weight_decay p), velocity = momentum velocity + g, p -= rate velocity. */
    void (*momentum)(int64_t count, float *p, const float *gradient, float *velocity, float rate, float momentum,
                     float weight_decay, float scale);

    /* g = gradient + weight_decay p, first = beta1 first + new1 g, second = beta2 second + new2 g^2,
     * p -= rate first / (sqrt(second) second_deviation + eps). */
    void (*adam)(int64_t count, float *p, const float *gradient, float *first, float *second,
                 const struct gm_adam_factors *factors);

    /* sums[0] = sum p^2, sums[1] = sum (gradient + weight_decay p)^2, each within 16 u. */
    void (*squares)(int64_t count, const float *p, const float *gradient, float weight_decay, double sums[2]);
};

#endif
