/* Pooling of one image's map: the kernel contract. */
#ifndef GEMEL_POOL_KERNEL_H
#define GEMEL_POOL_KERNEL_H

#include "core/core.h"

/* Places in a window fit a byte. */
enum { GM_POOL_MOST_KERNEL = 16 };

/* Most cells of a grid in each direction, and numbers of all cells of a block of channels, which kernels keep on the
 * stack: a block has at most GM_POOL_BLOCK / grid^2 channels. */
enum { GM_POOL_MOST_GRID = 16, GM_POOL_BLOCK = 4096 };

/* v = max(floor, scale x + shift), or x where scale is NULL; floor is 0 or -infinity. */
struct gm_pool_values {
    const float *x;
    int64_t ldx;
    const float *scale, *shift; /* [channels] */
    float floor;
};

/* Pointers begin at the image's first pixel. */
struct gm_max_pool {
    int64_t height, width, channels, out_height, out_width, kernel, stride, padding;
    int64_t first, last; /* the rows to write: of y, or of dv */
    struct gm_pool_values in;
    float *y, *dv;
    const float *dy;
    int64_t ldy, lddv, lddy;
    uint8_t *new_winners; /* [out_height * out_width, channels] or NULL */
    const uint8_t *winners;
};

/* A block of channels, at whose first one pointers begin. Channel c of cell i, row by row, lies at i cell_stride + c
 * channel_stride of y and dy. */
struct gm_average_pool {
    int64_t height, width, channels, grid;
    int64_t cell_stride, channel_stride;
    struct gm_pool_values in;
    float *y, *dv;
    const float *dy;
    int64_t lddv;
};

/* Of all: sizes from 1 on, single-threaded, nothing beyond the matrices is touched. Formulas: <gemel/pool.h>. */
struct gm_pool_kernels {
    const char *name;
    void (*max_forward)(const struct gm_max_pool *pool);
    void (*max_backward)(const struct gm_max_pool *pool);
    void (*average_forward)(const struct gm_average_pool *pool);
    void (*average_backward)(const struct gm_average_pool *pool);
};

/* Pixels [first, last) of a direction of `size` that cell i of `grid` covers. */
static inline int64_t gm_pool_cell_first(int64_t i, int64_t size, int64_t grid)
{
    return i * size / grid;
}

static inline int64_t gm_pool_cell_last(int64_t i, int64_t size, int64_t grid)
{
    return gm_ceil_div((i + 1) * size, grid);
}

#endif
