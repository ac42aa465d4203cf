/* Batch normalisation of a block of rows: the kernel contract. */
#ifndef GEMEL_BATCHNORM_KERNEL_H
#define GEMEL_BATCHNORM_KERNEL_H

#include "core/grid.h"

/* One float a column. slope and offset serve the gradient only. */
struct gm_batchnorm_columns {
    const float *mean; /* high part; the low part has gone into shift and offset */
    const float *scale, *shift;
    const float *slope, *offset;
};

/* The operands of a call, or of one rectangle; pointers begin at its first element and are NULL where there is none. */
struct gm_batchnorm_block {
    int64_t rows, cols;
    struct gm_batchnorm_columns columns;
    bool relu;
    bool large;                        /* the whole matrices: they come from memory */
    bool stream_out, stream_dresidual; /* large, and new: not in the caches */
    const float *x, *residual, *dy;
    float *out; /* y or dx */
    float *dresidual;
    uint8_t *new_mask; /* a bit an element, whole bytes a row; of apply */
    const uint8_t *mask;
    int64_t ldx, ldresidual, lddy, ldout, lddresidual, ldmask;
};

/* Of all three: 1 <= cols <= GM_GRID_COLS, single-threaded, nothing beyond the matrices is touched.
 * With v = (x - mean) scale + shift + residual and g = dy, or 0 where relu and not v > 0, as the mask has it if there
 * is one: */
struct gm_batchnorm_kernels {
    const char *name;

    /* y = v, or max(0, v) with relu, which keeps NaN; new_mask = v > 0. y may be x or residual. */
    void (*apply)(const struct gm_batchnorm_block *block);

    /* sum[j] = sum_i g, dot[j] = sum_i g (x - mean), with an error below 8 u sum_i |terms|. */
    void (*sums)(const struct gm_batchnorm_block *block, double *sum, double *dot);

    /* dx = scale g + slope (x - mean) + offset, dresidual = g. Either may be dy. */
    void (*gradient)(const struct gm_batchnorm_block *block);
};

#endif
