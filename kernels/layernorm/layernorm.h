/* Layer normalisation of a block of rows: the kernel contract. */
#ifndef GEMEL_LAYERNORM_KERNEL_H
#define GEMEL_LAYERNORM_KERNEL_H

#include "core/grid.h"

/* Floats that are saved of each row: mean, mean_low, inverse_std. */
enum { GM_LAYERNORM_SAVED = 3 };

/* The operands of a call, or of one chunk of its rows; pointers are NULL where there is nothing. */
struct gm_layernorm_block {
    int64_t rows, cols;
    float eps;
    bool relu;
    bool stream; /* out is large, and new: not in the caches */
    const float *x, *dy, *weight, *bias;
    float *out; /* y or dx */
    int64_t ldx, lddy, ldout;
    float *new_saved; /* of the forward call, or NULL */
    const float *saved;
    double *weight_sum, *bias_sum; /* [cols] of the backward call, or both NULL */
    float *strip;                  /* [2 cols] to work with, where there are sums */
};

/* Of both: single-threaded, nothing beyond the matrices is touched. With z = x or, with relu, max(0, x), which keeps
 * NaN, and a = (z - mean - mean_low) inverse_std: */
struct gm_layernorm_kernels {
    const char *name;

    /* The statistics of each row, then y = a weight + bias. weight and bias may both be NULL, y may be x. Returns
     * whether all statistics are finite. */
    bool (*forward)(const struct gm_layernorm_block *block);

    /* With h = dy weight: dx = inverse_std (h - mean of h - a mean of h a), with relu 0 where not x > 0. dx may be dy.
     * weight_sum[j] = sum_i dy a, bias_sum[j] = sum_i dy, with an error below 8 u sum_i |terms|.
     * Returns whether all means are finite. */
    bool (*backward)(const struct gm_layernorm_block *block);
};

#endif
