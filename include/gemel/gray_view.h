/* Random views of small grey images: the arithmetic, with every choice made by the caller. */
#ifndef GEMEL_GRAY_VIEW_H
#define GEMEL_GRAY_VIEW_H

#include <gemel/api.h>
#include <gemel/context.h>
#include <gemel/status.h>

GM_BEGIN_DECLS

/* One view of one image. Grey levels are in [0, 1]. */
typedef struct gm_gray_view {
    float left, top, width, height; /* crop box in pixels, inside the image; all of it: 0, 0, width, height */
    bool flip;                      /* mirror left to right after the crop */
    float brightness;               /* >= 0: multiply, clamp to [0, 1]; 1: unchanged */
    float contrast;                 /* >= 0: mean + contrast (v - mean) with the view's mean, clamp; 1: unchanged */
    float blur_sigma;               /* in [0, 8]: Gaussian blur in pixels of the view, edges replicated; 0: none */
    float solarize_threshold;       /* v >= threshold becomes 1 - v; above 1: none */
} gm_gray_view;

/* For each i in [0, count): crops images + (image_rows ? image_rows[i] : i) height width, resamples it bilinearly to
 * height x width (never smaller than the crop, so this is what filters with antialiasing do, too; pixels outside the
 * crop count for nothing), flips, brightness, contrast, blur, solarize, in this order, then stores
 * (v - mean) / std as row i of y. images: [*, height, width], one byte a pixel, 255 = 1; views: [count];
 * y: [count, height width], ldy >= height width. height, width <= 64. Errors: GM_INVALID_ARGUMENT, GM_SIZE_OVERFLOW,
 * GM_WORKSPACE_TOO_SMALL. */
GM_API gm_status gm_gray_views_u8_f32(gm_context *context, int64_t count, int64_t height, int64_t width,
                                      const uint8_t *images, const int64_t *image_rows, const gm_gray_view *views,
                                      float mean, float std, float *y, int64_t ldy);

GM_API size_t gm_gray_views_u8_f32_workspace(const gm_context *context, int64_t height, int64_t width);

GM_END_DECLS

#endif
