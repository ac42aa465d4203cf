/* Gaussian blur of one image by three box filters in each direction: the kernel contract. */
#ifndef GEMEL_BLUR_KERNEL_H
#define GEMEL_BLUR_KERNEL_H

#include <gemel/blur.h>

#include "core/core.h"

enum {
    GM_BLUR_SIDE = 65535, /* longest side */
    GM_BLUR_STRIP = 32,   /* most rows that a kernel blurs along the columns at a time */
    GM_BLUR_BAND = 64,    /* bytes of a row that it blurs along the rows at a time */
};

/* y[i] = (inner sum_{|d| <= radius} x[i + d] + outer (x[i - radius - 1] + x[i + radius + 1]) + 2^23) / 2^24, truncated,
 * where places outside the image are its nearest pixel; (2 radius + 1) inner + 2 outer <= 2^24. */
struct gm_blur_box {
    int64_t radius;
    uint32_t inner, outer;
};

struct gm_blur {
    struct gm_blur_box box;
    int64_t channels, height, width;
    const uint8_t *x;
    int64_t ldx;
    uint8_t *a, *b;    /* max(width channels GM_BLUR_STRIP, height GM_BLUR_BAND) bytes each */
    uint8_t *middle;   /* [height, ld_middle]: the image blurred along its rows only */
    int64_t ld_middle; /* width channels and up to a band beyond */
    uint8_t *y;        /* may be x */
    int64_t ldy;
};

struct gm_blur_kernels {
    const char *name;

    /* y = the box applied three times along the rows of x, then three times along the columns, rounded each time, in
     * integers modulo 2^32. Reads and writes nothing beyond x and y. */
    void (*image)(const struct gm_blur *image);
};

#endif
