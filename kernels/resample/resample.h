/* One image of another size: the kernel contract. */
#ifndef GEMEL_RESAMPLE_KERNEL_H
#define GEMEL_RESAMPLE_KERNEL_H

#include <gemel/resample.h>

#include "core/core.h"

enum {
    GM_RESAMPLE_SIDE = 65535,   /* longest side */
    GM_RESAMPLE_STRIP = 32,     /* most rows that a kernel resamples along the columns at a time */
    GM_RESAMPLE_PRECISION = 22, /* fractional bits of a weight */
    GM_RESAMPLE_LOW = 12,       /* of these, bits of its low part */
};

/* One direction: output i is sum_t weight[i, t] x[first[i] + t] / 2^22 for t < taps[i], rounded and clipped to a byte.
 * Weights come in pairs of taps: pair p of output i at i * most_pairs + p, weight = high 2^12 + low with
 * 0 <= low < 2^12, each a pair of 16-bit numbers; the last one is 0 where the number of taps is odd. */
struct gm_resample_axis {
    int64_t side, outputs, most_pairs;
    int32_t *first, *taps;
    int32_t *high, *low;
};

/* Of bytes, rows ldx and ldy apart; y does not overlap x. */
struct gm_resample_pass {
    struct gm_resample_axis axis;
    const uint8_t *x;
    int64_t ldx;
    uint8_t *y;
    int64_t ldy;
};

/* They read and write nothing beyond x and y. Sums are taken modulo 2^32, so that all instruction sets give the same
 * bytes. scratch: gm_resample_scratch() bytes, whatever they hold. */
struct gm_resample_kernels {
    const char *name;

    /* Each row of `side` pixels becomes one of `outputs` pixels. */
    void (*along_rows)(const struct gm_resample_pass *pass, int64_t rows, int64_t channels, uint8_t *scratch);
    /* Each column of `side` bytes becomes one of `outputs` bytes. */
    void (*along_columns)(const struct gm_resample_pass *pass, int64_t columns, uint8_t *scratch);
};

/* Two strips, or a few columns: less than a vector of each row, and one more. */
static inline int64_t gm_resample_scratch(int64_t side, int64_t outputs, int64_t channels)
{
    return (side + outputs + 1) * channels * GM_RESAMPLE_STRIP;
}

#endif
