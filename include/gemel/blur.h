/* Gaussian blur of images. */
#ifndef GEMEL_BLUR_H
#define GEMEL_BLUR_H

#include <gemel/api.h>
#include <gemel/context.h>
#include <gemel/status.h>

GM_BEGIN_DECLS

/* y = x blurred by a Gaussian with a standard deviation of sigma pixels (0 … 1000; 0 copies), byte for byte what
 * Pillow's ImageFilter.GaussianBlur(sigma) makes of it: along the rows, then along the columns, three box filters with
 * fractional ends, each rounded to bytes; edges are replicated. x: height rows of width pixels of `channels` (1 or 3)
 * bytes, ldx >= width channels bytes apart; y likewise; y may be x. Sides: 0 … 65535. One thread.
 * Errors: GM_INVALID_ARGUMENT, GM_SIZE_OVERFLOW, GM_WORKSPACE_TOO_SMALL. */
GM_API gm_status gm_gaussian_blur_u8(gm_context *context, int64_t channels, int64_t height, int64_t width,
                                     const uint8_t *x, int64_t ldx, float sigma, uint8_t *y, int64_t ldy);

/* Bytes of workspace that the call above needs, 0 for invalid arguments; never less for a larger image. */
GM_API size_t gm_gaussian_blur_u8_workspace(const gm_context *context, int64_t channels, int64_t height, int64_t width);

GM_END_DECLS

#endif
