/* Bias and ReLU on a block of rows: the kernel contract. */
#ifndef GEMEL_BIAS_RELU_KERNEL_H
#define GEMEL_BIAS_RELU_KERNEL_H

#include "core/grid.h"

/* Of both: 1 <= cols <= GM_GRID_COLS, single-threaded, nothing beyond the matrices is touched. */
struct gm_bias_relu_kernels {
    const char *name;

    /* y = x + bias, or max(0, x + bias) with relu, which keeps NaN; bias may be NULL, y may be x. */
    void (*forward)(int64_t rows, int64_t cols, const float *x, int64_t ldx, const float *bias, bool relu, float *y,
                    int64_t ldy);

    /* g = dy, or with relu 0 where not y > 0; dx = g unless dx is NULL; sum[j] = sum_i g with an error below
     * 8 u sum_i |g|. dx may be dy. */
    void (*backward)(int64_t rows, int64_t cols, const float *dy, int64_t lddy, const float *y, int64_t ldy, bool relu,
                     float *dx, int64_t lddx, double *sum);
};

#endif
