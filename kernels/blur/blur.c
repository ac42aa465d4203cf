#include <gemel/blur.h>

#include <math.h>

#include "blur/blur.h"

/* Three boxes of this radius have the Gaussian's variance; the fraction is the weight of the box's ends (Gwosdek,
 * Grewenig, Bruhn and Weickert 2011). In Pillow's order of float and double operations, for its bits. */
static float box_radius(float sigma)
{
    const float variance = sigma * sigma / 3.0f;
    const float length = (float)sqrt(12.0 * (double)variance + 1.0);
    const float whole = (float)floor(((double)length - 1.0) / 2.0);
    const float excess = (2.0f * whole + 1.0f) * (whole * (whole + 1.0f) - 3.0f * variance);
    return whole + excess / (6.0f * (variance - (whole + 1.0f) * (whole + 1.0f)));
}

static struct gm_blur_box box_of(float sigma)
{
    const float radius = box_radius(sigma);
    struct gm_blur_box box = {.radius = (int64_t)radius};
    box.inner = (uint32_t)((float)(1 << 24) / (radius * 2.0f + 1.0f));
    box.outer = ((1u << 24) - (uint32_t)(2 * box.radius + 1) * box.inner) / 2;
    return box;
}

static bool sizes_valid(int64_t channels, int64_t height, int64_t width)
{
    return (channels == 1 || channels == 3) && height >= 0 && height <= GM_BLUR_SIDE && width >= 0 &&
           width <= GM_BLUR_SIDE;
}

static int64_t middle_stride(int64_t channels, int64_t width)
{
    return gm_round_up(width * channels, GM_BLUR_BAND);
}

static size_t scratch_bytes(int64_t channels, int64_t height, int64_t width)
{
    return (size_t)gm_max_i64(width * channels * GM_BLUR_STRIP, height * GM_BLUR_BAND);
}

static size_t middle_bytes(int64_t channels, int64_t height, int64_t width)
{
    return (size_t)(height * middle_stride(channels, width));
}

gm_status gm_gaussian_blur_u8(gm_context *context, int64_t channels, int64_t height, int64_t width, const uint8_t *x,
                              int64_t ldx, float sigma, uint8_t *y, int64_t ldy)
{
    if (!context || !sizes_valid(channels, height, width) || !(sigma >= 0.0f && sigma <= 1000.0f))
        return GM_INVALID_ARGUMENT;
    gm_status status = gm_check_matrix(height, width * channels, x, ldx);
    if (status == GM_OK)
        status = gm_check_matrix(height, width * channels, y, ldy);
    if (status != GM_OK || height == 0 || width == 0)
        return status;
    if (!gm_workspace_fits(context, gm_gaussian_blur_u8_workspace(context, channels, height, width)))
        return GM_WORKSPACE_TOO_SMALL;
    const size_t mark = gm_workspace_mark(context), scratch = scratch_bytes(channels, height, width);
    const struct gm_blur image = {.box = box_of(sigma),
                                  .channels = channels,
                                  .height = height,
                                  .width = width,
                                  .x = x,
                                  .ldx = ldx,
                                  .a = gm_workspace_take(context, scratch),
                                  .b = gm_workspace_take(context, scratch),
                                  .middle = gm_workspace_take(context, middle_bytes(channels, height, width)),
                                  .ld_middle = middle_stride(channels, width),
                                  .y = y,
                                  .ldy = ldy};
    context->kernels.blur->image(&image);
    gm_workspace_release(context, mark);
    return GM_OK;
}

size_t gm_gaussian_blur_u8_workspace(const gm_context *context, int64_t channels, int64_t height, int64_t width)
{
    (void)context;
    if (!sizes_valid(channels, height, width))
        return 0;
    return 2 * gm_workspace_bytes(scratch_bytes(channels, height, width)) +
           gm_workspace_bytes(middle_bytes(channels, height, width));
}
