/* Colours of images. An image is `height` rows of `width` pixels of `channels` bytes, 1 (grey) or 3 (red, green, blue),
 * rows ld >= width channels bytes apart. In the functions from images to images, y has the size of x and may be x; each
 * makes byte for byte what Pillow and torchvision's functions for its images make. One thread, no workspace.
 * Errors of all: GM_INVALID_ARGUMENT (also for factors that are negative or not finite), GM_SIZE_OVERFLOW. */
#ifndef GEMEL_COLOR_H
#define GEMEL_COLOR_H

#include <gemel/api.h>
#include <gemel/context.h>
#include <gemel/status.h>

GM_BEGIN_DECLS

/* y = factor x, truncated, at most 255. */
GM_API gm_status gm_adjust_brightness_u8(gm_context *context, int64_t channels, int64_t height, int64_t width,
                                         const uint8_t *x, int64_t ldx, float factor, uint8_t *y, int64_t ldy);

/* y = mean + factor (x - mean), truncated to 0 … 255, with the rounded mean of the image's grey levels. */
GM_API gm_status gm_adjust_contrast_u8(gm_context *context, int64_t channels, int64_t height, int64_t width,
                                       const uint8_t *x, int64_t ldx, float factor, uint8_t *y, int64_t ldy);

/* y = grey + factor (x - grey), truncated to 0 … 255, with the pixel's own grey level. Grey images are copied. */
GM_API gm_status gm_adjust_saturation_u8(gm_context *context, int64_t channels, int64_t height, int64_t width,
                                         const uint8_t *x, int64_t ldx, float factor, uint8_t *y, int64_t ldy);

/* Turns the hue by `shift` circles (-1/2 … 1/2), in steps of 1/256: hue, saturation and value are rounded to bytes, 255
 * shift is truncated and added modulo 256. Grey images are copied. */
GM_API gm_status gm_adjust_hue_u8(gm_context *context, int64_t channels, int64_t height, int64_t width,
                                  const uint8_t *x, int64_t ldx, float shift, uint8_t *y, int64_t ldy);

/* All channels of y = the pixel's grey level, (19595 red + 38470 green + 7471 blue) / 65536, rounded. */
GM_API gm_status gm_grayscale_u8(gm_context *context, int64_t channels, int64_t height, int64_t width, const uint8_t *x,
                                 int64_t ldx, uint8_t *y, int64_t ldy);

/* y = x < threshold ? x : 255 - x; threshold: 0 … 256. */
GM_API gm_status gm_solarize_u8(gm_context *context, int64_t channels, int64_t height, int64_t width, const uint8_t *x,
                                int64_t ldx, int32_t threshold, uint8_t *y, int64_t ldy);

/* y = x mirrored left to right. */
GM_API gm_status gm_flip_u8(gm_context *context, int64_t channels, int64_t height, int64_t width, const uint8_t *x,
                            int64_t ldx, uint8_t *y, int64_t ldy);

/* y = (x / 255 - mean[c]) / std[c] for channel c, each step rounded to float, as ToTensor and Normalize do. mean and
 * std: `channels` finite numbers, std > 0. y: as many floats in the order of x, rows ldy >= width channels apart. */
GM_API gm_status gm_normalize_u8_f32(gm_context *context, int64_t channels, int64_t height, int64_t width,
                                     const uint8_t *x, int64_t ldx, const float *mean, const float *std, float *y,
                                     int64_t ldy);

GM_END_DECLS

#endif
