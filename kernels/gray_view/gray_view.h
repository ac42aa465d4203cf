/* One random view of one small grey image: the kernel contract. */
#ifndef GEMEL_GRAY_VIEW_KERNEL_H
#define GEMEL_GRAY_VIEW_KERNEL_H

#include <gemel/gray_view.h>

#include "core/core.h"

enum {
    GM_GRAY_VIEW_SIDE = 64,   /* largest height and width */
    GM_GRAY_VIEW_SIGMA = 8,   /* largest blur */
    GM_GRAY_VIEW_RADIUS = 24, /* of its filter: three deviations */
    GM_GRAY_VIEW_PAD = 32,    /* floats that vector loads may read behind a plane: more than any VEC_LANES */
};

struct gm_gray_view_kernels {
    const char *name;

    /* y = the view of image [height, width], as gm_gray_views_u8_f32() describes it. Single-threaded; reads and writes
     * nothing beyond image and y. scratch: gm_gray_view_scratch() floats, whatever they hold. Each step is one or two
     * roundings off the formula, so |error| <= 1e-5 (1 + contrast) / std for brightness <= 10; a view that crops,
     * flips and changes nothing is the float (v / 255 - mean) / std exactly. */
    void (*view)(int64_t height, int64_t width, const uint8_t *image, const gm_gray_view *view, float mean, float std,
                 float *scratch, float *y);
};

/* Width of a row in the kernel's planes: whole vectors. */
static inline int64_t gm_gray_view_stride(int64_t width)
{
    return gm_round_up(width, 16);
}

/* Three planes with their padding. */
static inline int64_t gm_gray_view_scratch(int64_t height, int64_t width)
{
    return 3 * (height * gm_gray_view_stride(width) + GM_GRAY_VIEW_PAD);
}

#endif
