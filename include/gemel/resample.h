/* Images of another size. */
#ifndef GEMEL_RESAMPLE_H
#define GEMEL_RESAMPLE_H

#include <gemel/api.h>
#include <gemel/context.h>
#include <gemel/status.h>

GM_BEGIN_DECLS

typedef enum gm_resample_filter {
    GM_RESAMPLE_BILINEAR = 0, /* triangle */
    GM_RESAMPLE_BICUBIC,      /* Keys's cubic with a = -1/2 */
    GM_RESAMPLE_FILTER_COUNT,
} gm_resample_filter;

/* y = the image x with out_height x out_width pixels, byte for byte what Pillow's (13) Image.resize() makes of it: the
 * filter is widened where the image shrinks (antialiasing), cut and normalised at the edges; one direction after the
 * other, each rounded to bytes: the columns first if height - out_height is positive and more than twice
 * width - out_width. A crop is a pointer into an image. x: height rows of width pixels of `channels` (1 or 3) bytes,
 * ldx >= width channels bytes apart; y likewise, not overlapping x. Sides: 1 … 65535. One thread.
 * Errors: GM_INVALID_ARGUMENT, GM_SIZE_OVERFLOW, GM_WORKSPACE_TOO_SMALL. */
GM_API gm_status gm_resample_u8(gm_context *context, gm_resample_filter filter, int64_t channels, int64_t height,
                                int64_t width, const uint8_t *x, int64_t ldx, int64_t out_height, int64_t out_width,
                                uint8_t *y, int64_t ldy);

/* Bytes of workspace that the call above needs, 0 for invalid arguments. It grows with each of the sides, so that what
 * an image needs serves its crops. */
GM_API size_t gm_resample_u8_workspace(const gm_context *context, gm_resample_filter filter, int64_t channels,
                                       int64_t height, int64_t width, int64_t out_height, int64_t out_width);

GM_END_DECLS

#endif
