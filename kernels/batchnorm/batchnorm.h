/* Batch normalisation of a block of rows: the kernel contract. */
#ifndef GEMEL_BATCHNORM_KERNEL_H
#define GEMEL_BATCHNORM_KERNEL_H

#include "core/grid.h"

/* What the kernels need of GM_BATCHNORM_LINE columns, a line of each, side by side: as arrays of their own, with rows
 * pages apart beside them, they would take more streams than the hardware follows, all at the same places of their
 * pages. slope and offset serve the gradient only. */
enum { GM_BATCHNORM_LINE = 16 };

struct gm_batchnorm_line {
    float mean[GM_BATCHNORM_LINE]; /* high part; the low part has gone into shift and offset */
    float scale[GM_BATCHNORM_LINE], shift[GM_BATCHNORM_LINE];
    float slope[GM_BATCHNORM_LINE], offset[GM_BATCHNORM_LINE];
};

/* The operands of a call, or of one rectangle; pointers begin at its first element and are NULL where there is none. */
struct gm_batchnorm_block {
    int64_t rows, cols;
    const struct gm_batchnorm_line *columns; /* [ceil(cols / GM_BATCHNORM_LINE)] */
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

/* Most columns of a rectangle of the backward call: it reads bands of rows, each a stream of its own, which gain from
 * longer rows what columns outside the first-level cache cost. */
enum { GM_BATCHNORM_COLS = 2 * GM_GRID_COLS };

/* Of all three: 1 <= cols <= GM_BATCHNORM_COLS, single-threaded, nothing beyond the matrices is touched.
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
