/* Convolution's inside: the kernel contract, the plan, and what an algorithm offers. */
#ifndef GEMEL_CONV_KERNEL_H
#define GEMEL_CONV_KERNEL_H

#include <gemel/conv.h>

#include "core/core.h"

/* Pixels on their way into a band, or into panels of panel_cols columns each (0: into one) that begin `panel` floats
 * after each other. */
struct gm_conv_copy {
    int64_t pixels, cols;
    const float *x;
    int64_t ldx;
    const float *scale, *shift; /* [cols], or both NULL */
    bool relu;
    float *out; /* of the first panel; ldout from one pixel to the next in each */
    int64_t ldout, panel_cols, panel;
    bool padded; /* whole vectors are written, with 0 beyond the columns */
};

/* Patches, one after the other: `cols` floats of each of `rows` lines, from `step` floats further on in the next. Whole
 * vectors move: reading goes beyond a line, and writing beyond the last patch, by less than a vector. */
struct gm_conv_patches {
    int64_t patches, rows, cols;
    const float *lines;
    int64_t ldlines, step;
    float *out;
};

struct gm_conv_kernels {
    const char *name;

    /* out = f(scale x + shift) pixel by pixel, f being max(0, .) with relu. Single-threaded; touches nothing else. */
    void (*copy)(const struct gm_conv_copy *copy);

    void (*copy_patches)(const struct gm_conv_patches *patches);

    const struct gm_winograd_kernels *winograd; /* conv/winograd.h */
};

/* x as it is read: with the line of its group. */
struct gm_conv_source {
    const float *x;
    int64_t ldx;
    gm_conv_input input; /* scale, shift: [groups, channels] */
};

/* A call of one pass after its checks. Fields of other passes are not set. */
struct gm_conv_call {
    const gm_conv_plan *plan;
    gm_conv_pass pass;
    const float *packed;          /* forward, data gradient: what the algorithm's pack() wrote, aligned to 64 bytes */
    struct gm_conv_source source; /* x, or dy for the data gradient */

    float *out; /* y or dx */
    int64_t ldout;
    float beta; /* 0 or 1; 0 does not read out */
    const float *bias, *residual;
    int64_t ldresidual;
    bool relu;
    float *mean, *mean_low, *variance; /* or all NULL */

    const float *dy; /* of the weight gradient */
    int64_t lddy;
    float *dweight;
};

/* One way to compute one or more passes. */
struct gm_conv_algorithm {
    const char *name;
    size_t (*workspace)(const gm_context *context, const gm_conv_plan *plan, gm_conv_pass pass);

    /* Floats of packed weights, and how to fill them. */
    int64_t (*packed_floats)(const gm_conv_plan *plan, gm_conv_pass pass);
    void (*pack)(gm_context *context, const gm_conv_plan *plan, gm_conv_pass pass, const float *weight, float *packed);

    /* The workspace fits. GM_OK or GM_NOT_FINITE. */
    gm_status (*run)(gm_context *context, const struct gm_conv_call *call);
};

struct gm_conv_plan {
    const struct gm_gemm_kernels *gemm; /* stand for the instruction set */
    gm_conv_shape shape;
    gm_conv_options options;
    int64_t out_height, out_width;
    const struct gm_conv_algorithm *algorithm[GM_CONV_PASSES];
};

/* Forward and data gradient as products of rows of pixels with panels of weights; the weight gradient as products of
 * columns of pixels. Any shape, exact. */
extern const struct gm_conv_algorithm gm_conv_implicit, gm_conv_implicit_gradient;

/* The weight gradient of few input channels, from patches that are written out. */
extern const struct gm_conv_algorithm gm_conv_patch_gradient;
bool gm_conv_patches_pay(const gm_conv_plan *plan);

/* The data gradient of few input channels, as patches that are added up. Exact. */
extern const struct gm_conv_algorithm gm_conv_patch_data_gradient;
bool gm_conv_transposed_patches_pay(const gm_conv_plan *plan);

/* Winograd's, with tiles of 4x4 and 2x2 outputs: all passes of 3x3 convolutions of stride 1 whose padding is at most 2.
 * |error| <= 1e-5 in the norm. */
extern const struct gm_conv_algorithm gm_conv_winograd_4, gm_conv_winograd_2;

/* The faster of the two, or NULL where gm_conv_implicit is. */
const struct gm_conv_algorithm *gm_conv_winograd(const gm_conv_plan *plan, gm_conv_pass pass);

#endif
