/* Correlation of images with windows of taps: what a forward pass is, and each phase of a data gradient. */
#ifndef GEMEL_CONV_IMPLICIT_H
#define GEMEL_CONV_IMPLICIT_H

#include "conv/conv.h"
#include "gemm/kernel.h"

/* out(n, r, c) = sum over i, j of in(n, stride r - top + i, stride c - left + j) B(i, j), in being 0 outside the image
 * and B(i, j) a [channels, cols] matrix. top and left may be negative. */
struct gm_conv_window {
    int64_t batch, height, width, channels;
    int64_t out_height, out_width, cols;
    int64_t kernel_height, kernel_width, stride, top, left;

    /* out(n, r, c) is row out_first + n out_image + r out_row + c out_pixel of a matrix. */
    int64_t out_first, out_image, out_row, out_pixel;

    /* Tap (i, j) is tap (tap_row + i tap_step, tap_col + j tap_step) of the weights. */
    int64_t tap_row, tap_col, tap_step;
    int64_t panels; /* floats of packed weights before this window's */
};

static inline int64_t gm_conv_window_depth(const struct gm_conv_window *w)
{
    return w->kernel_height * w->kernel_width * w->channels;
}

/* The windows of a pass: one, or stride^2 for the data gradient. */
int64_t gm_conv_windows(const gm_conv_plan *plan, gm_conv_pass pass);
struct gm_conv_window gm_conv_window_make(const gm_conv_plan *plan, gm_conv_pass pass, int64_t index);

/* Panels of B of all windows, k in the order of i, j and channel. */
int64_t gm_conv_implicit_floats(const gm_conv_plan *plan, gm_conv_pass pass);
void gm_conv_implicit_pack(gm_context *context, const gm_conv_plan *plan, gm_conv_pass pass, const float *weight,
                           float *packed);

#endif
