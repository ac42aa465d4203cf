/* Colours of one image: the kernel contract. */
#ifndef GEMEL_COLOR_KERNEL_H
#define GEMEL_COLOR_KERNEL_H

#include <gemel/color.h>

#include "core/core.h"

struct gm_color_image {
    int64_t channels, height, width; /* none is 0 */
    const uint8_t *x;
    int64_t ldx;
    uint8_t *y; /* may be x */
    int64_t ldy;
};

/* Single-threaded; they read and write nothing beyond the images. Integers and single operations of float, so that all
 * instruction sets give the same bytes. "Truncated" includes clipping to 0 … 255. */
struct gm_color_kernels {
    const char *name;

    /* y = level + factor (x - level), truncated, for all bytes. */
    void (*blend)(const struct gm_color_image *image, float level, float factor);
    /* Sum of the grey levels of all pixels of x. */
    int64_t (*grey_sum)(const struct gm_color_image *image);
    /* y = x < threshold ? x : 255 - x. */
    void (*solarize)(const struct gm_color_image *image, int32_t threshold);
    /* y = x mirrored left to right. */
    void (*flip)(const struct gm_color_image *image);
    /* y = (x / 255 - mean) / std of the channel; the image's y is not used. */
    void (*normalize)(const struct gm_color_image *image, const float *mean, const float *std, float *y, int64_t ldy);

    /* Of three channels. y = grey + factor (x - grey), truncated. */
    void (*saturation)(const struct gm_color_image *image, float factor);
    /* y = x with `shift` of 0 … 255 added to the hue, which counts from 0 to 255 and wraps at 256. */
    void (*hue)(const struct gm_color_image *image, int32_t shift);
    void (*grayscale)(const struct gm_color_image *image);
};

#endif
