/* Layer normalisation of a block of rows: the kernel contract. */
#ifndef GEMEL_LAYERNORM_KERNEL_H
#define GEMEL_LAYERNORM_KERNEL_H

#include "core/grid.h"

/* Floats that are saved of each row: mean, mean_low, inverse_std. */
enum { GM_LAYERNORM_SAVED = 3 };

/* Of all three: single-threaded, nothing beyond the matrices is touched. With z = x or, with relu, max(0, x), which
 * keeps NaN, and a = (z - mean - mean_low) inverse_std: */
struct gm_layernorm_kernels {
    const char *name;

    /* The statistics of each row, into saved unless it is NULL, then y = a weight + bias. weight and bias may both be
     * NULL, y may be x. Returns whether all statistics are finite. */
    bool (*forward)(int64_t rows, int64_t cols, const float *x, int64_t ldx, const float *weight, const float *bias,
                    float eps, bool relu, float *saved, float *y, int64_t ldy);

    /* weight_sum[j] = sum_i dy a, bias_sum[j] = sum_i dy, with an error below 8 u sum_i |terms|; cols <= GM_GRID_COLS.
     */
    void (*sums)(int64_t rows, int64_t cols, const float *dy, int64_t lddy, const float *x, int64_t ldx, bool relu,
                 const float *saved, double *weight_sum, double *bias_sum);

    /* With h = dy weight: dx = inverse_std (h - mean of h - a mean of h a), with relu 0 where not x > 0. dx may be dy.
     * Returns whether all means are finite. */
    bool (*gradient)(int64_t rows, int64_t cols, const float *dy, int64_t lddy, const float *x, int64_t ldx,
                     const float *weight, bool relu, const float *saved, float *dx, int64_t lddx);
};

#endif
