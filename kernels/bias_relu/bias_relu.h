/* Bias and ReLU on a block of rows: the kernel contract. */
#ifndef GEMEL_BIAS_RELU_KERNEL_H
#define GEMEL_BIAS_RELU_KERNEL_H

#include "core/grid.h"

/* The operands of a call, or of one rectangle; pointers begin at its first element and are NULL where there is none. */
struct gm_bias_relu_block {
    int64_t rows, cols;
    bool relu;
    bool large;                 /* the whole matrices: they come from memory */
    bool stream;                /* large, and out is new: not in the caches */
    const float *in, *y, *bias; /* in: x or dy; y of the backward call with relu, bias of the forward call */
    float *out;                 /* y or dx */
    int64_t ldin, ldy, ldout;
};

/* Of both: 1 <= cols <= GM_GRID_COLS, single-threaded, nothing beyond the matrices is touched. */
struct gm_bias_relu_kernels {
    const char *name;

    /* y = x + bias, or max(0, x + bias) with relu, which keeps NaN; bias may be NULL, y may be x. */
    void (*forward)(const struct gm_bias_relu_block *block);

    /* g = dy, or with relu 0 where not y > 0; dx = g unless dx is NULL; sum[j] = sum_i g with an error below
     * 8 u sum_i |g|. dx may be dy. */
    void (*backward)(const struct gm_bias_relu_block *block, double *sum);
};

#endif
