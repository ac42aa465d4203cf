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

/* Of all three: 1 <= cols <= GM_GRID_COLS, single-threaded, nothing beyond the matrices is touched.
 * With v = (x - mean) scale + shift and g = dy, or 0 where relu and not v > 0: */
struct gm_batchnorm_kernels {
    const char *name;

    /* y = v, or max(0, v) with relu, which keeps NaN. y may be x. */
    void (*apply)(int64_t rows, int64_t cols, const float *x, int64_t ldx, const struct gm_batchnorm_columns *columns,
                  bool relu, float *y, int64_t ldy);

    /* sum[j] = sum_i g, dot[j] = sum_i g (x - mean), with an error below 8 u sum_i |terms|. */
    void (*sums)(int64_t rows, int64_t cols, const float *dy, int64_t lddy, const float *x, int64_t ldx,
                 const struct gm_batchnorm_columns *columns, bool relu, double *sum, double *dot);

    /* dx = scale g + slope (x - mean) + offset. dx may be dy. */
    void (*gradient)(int64_t rows, int64_t cols, const float *dy, int64_t lddy, const float *x, int64_t ldx,
                     const struct gm_batchnorm_columns *columns, bool relu, float *dx, int64_t lddx);
};

#endif
