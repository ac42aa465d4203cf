#include <gemel/color.h>

#include <math.h>
#include <string.h>

#include "color/color.h"

static gm_status check_image(gm_context *context, int64_t channels, int64_t height, int64_t width, const uint8_t *x,
                             int64_t ldx)
{
    int64_t row;
    if (!context || (channels != 1 && channels != 3))
        return GM_INVALID_ARGUMENT;
    if (__builtin_mul_overflow(width, channels, &row))
        return GM_SIZE_OVERFLOW;
    return gm_check_matrix(height, row, x, ldx);
}

/* Checks the arguments and fills the image. *empty: there is nothing to do. */
static gm_status prepare(gm_context *context, int64_t channels, int64_t height, int64_t width, const uint8_t *x,
                         int64_t ldx, uint8_t *y, int64_t ldy, struct gm_color_image *image)
{
    gm_status status = check_image(context, channels, height, width, x, ldx);
    if (status == GM_OK)
        status = gm_check_matrix(height, width * channels, y, ldy);
    *image = (struct gm_color_image){channels, height, width, x, ldx, y, ldy};
    if (width == 0)
        image->height = 0;
    return status;
}

static bool factor_valid(float factor)
{
    return factor >= 0.0f && isfinite(factor);
}

static void copy(const struct gm_color_image *image)
{
    if (image->x == image->y && image->ldx == image->ldy)
        return;
    for (int64_t i = 0; i < image->height; i++)
        memmove(image->y + i * image->ldy, image->x + i * image->ldx, (size_t)(image->width * image->channels));
}

gm_status gm_adjust_brightness_u8(gm_context *context, int64_t channels, int64_t height, int64_t width,
                                  const uint8_t *x, int64_t ldx, float factor, uint8_t *y, int64_t ldy)
{
    struct gm_color_image image;
    const gm_status status = prepare(context, channels, height, width, x, ldx, y, ldy, &image);
    if (status != GM_OK || !factor_valid(factor))
        return status != GM_OK ? status : GM_INVALID_ARGUMENT;
    context->kernels.color->blend(&image, 0.0f, factor);
    return GM_OK;
}

gm_status gm_adjust_contrast_u8(gm_context *context, int64_t channels, int64_t height, int64_t width, const uint8_t *x,
                                int64_t ldx, float factor, uint8_t *y, int64_t ldy)
{
    struct gm_color_image image;
    const gm_status status = prepare(context, channels, height, width, x, ldx, y, ldy, &image);
    if (status != GM_OK || !factor_valid(factor))
        return status != GM_OK ? status : GM_INVALID_ARGUMENT;
    if (image.height == 0)
        return GM_OK;
    const double pixels = (double)height * (double)width;
    const double mean = floor((double)context->kernels.color->grey_sum(&image) / pixels + 0.5);
    context->kernels.color->blend(&image, (float)mean, factor);
    return GM_OK;
}

gm_status gm_adjust_saturation_u8(gm_context *context, int64_t channels, int64_t height, int64_t width,
                                  const uint8_t *x, int64_t ldx, float factor, uint8_t *y, int64_t ldy)
{
    struct gm_color_image image;
    const gm_status status = prepare(context, channels, height, width, x, ldx, y, ldy, &image);
    if (status != GM_OK || !factor_valid(factor))
        return status != GM_OK ? status : GM_INVALID_ARGUMENT;
    if (channels == 1)
        copy(&image);
    else
        context->kernels.color->saturation(&image, factor);
    return GM_OK;
}

gm_status gm_adjust_hue_u8(gm_context *context, int64_t channels, int64_t height, int64_t width, const uint8_t *x,
                           int64_t ldx, float shift, uint8_t *y, int64_t ldy)
{
    struct gm_color_image image;
    const gm_status status = prepare(context, channels, height, width, x, ldx, y, ldy, &image);
    if (status != GM_OK || !(shift >= -0.5f && shift <= 0.5f))
        return status != GM_OK ? status : GM_INVALID_ARGUMENT;
    if (channels == 1)
        copy(&image);
    else
        context->kernels.color->hue(&image, (int32_t)((double)shift * 255.0) & 255);
    return GM_OK;
}

gm_status gm_grayscale_u8(gm_context *context, int64_t channels, int64_t height, int64_t width, const uint8_t *x,
                          int64_t ldx, uint8_t *y, int64_t ldy)
{
    struct gm_color_image image;
    const gm_status status = prepare(context, channels, height, width, x, ldx, y, ldy, &image);
    if (status != GM_OK)
        return status;
    if (channels == 1)
        copy(&image);
    else
        context->kernels.color->grayscale(&image);
    return GM_OK;
}

gm_status gm_solarize_u8(gm_context *context, int64_t channels, int64_t height, int64_t width, const uint8_t *x,
                         int64_t ldx, int32_t threshold, uint8_t *y, int64_t ldy)
{
    struct gm_color_image image;
    const gm_status status = prepare(context, channels, height, width, x, ldx, y, ldy, &image);
    if (status != GM_OK || threshold < 0 || threshold > 256)
        return status != GM_OK ? status : GM_INVALID_ARGUMENT;
    context->kernels.color->solarize(&image, threshold);
    return GM_OK;
}

gm_status gm_flip_u8(gm_context *context, int64_t channels, int64_t height, int64_t width, const uint8_t *x,
                     int64_t ldx, uint8_t *y, int64_t ldy)
{
    struct gm_color_image image;
    const gm_status status = prepare(context, channels, height, width, x, ldx, y, ldy, &image);
    if (status == GM_OK)
        context->kernels.color->flip(&image);
    return status;
}

gm_status gm_normalize_u8_f32(gm_context *context, int64_t channels, int64_t height, int64_t width, const uint8_t *x,
                              int64_t ldx, const float *mean, const float *std, float *y, int64_t ldy)
{
    gm_status status = check_image(context, channels, height, width, x, ldx);
    if (status == GM_OK)
        status = gm_check_matrix(height, width * channels, y, ldy);
    if (status != GM_OK || !mean || !std)
        return status != GM_OK ? status : GM_INVALID_ARGUMENT;
    for (int64_t c = 0; c < channels; c++)
        if (!isfinite(mean[c]) || !isfinite(std[c]) || !(std[c] > 0.0f))
            return GM_INVALID_ARGUMENT;
    const struct gm_color_image image = {.channels = channels, .height = height, .width = width, .x = x, .ldx = ldx};
    context->kernels.color->normalize(&image, mean, std, y, ldy);
    return GM_OK;
}
