/* Pooling of maps. A map is a matrix of images * height * width rows, the pixels, and `channels` columns (NHWC). */
#ifndef GEMEL_POOL_H
#define GEMEL_POOL_H

#include <gemel/api.h>
#include <gemel/context.h>
#include <gemel/status.h>

GM_BEGIN_DECLS

/* What pooling reads in the place of x: v = scale x + shift, then max(0, v) if asked. So the batch normalisation of
 * the layer before need not be written: gm_batchnorm_line_f32() makes scale and shift. */
typedef struct gm_pool_line {
    int64_t groups;             /* contiguous, equal ranges of images with a line each */
    const float *scale, *shift; /* [groups, channels] */
    bool relu;                  /* keeps NaN */
} gm_pool_line;

typedef struct gm_max_pool_options {
    size_t size;                     /* sizeof(gm_max_pool_options) */
    int64_t kernel, stride, padding; /* of square windows; kernel <= 16, padding <= kernel / 2 */
    const gm_pool_line *line;        /* or NULL: x as it is */
} gm_max_pool_options;

static inline gm_max_pool_options gm_max_pool_default_options(void)
{
    gm_max_pool_options options = {sizeof(gm_max_pool_options), 3, 2, 1, NULL};
    return options;
}

/* Height or width of y: (size + 2 padding - kernel) / stride + 1, or 0 where no window fits. options: NULL for the
 * defaults, here and below. */
GM_API int64_t gm_max_pool_extent(int64_t size, const gm_max_pool_options *options);

/* y[n, i, j, c] = the largest v[n, h, w, c] with i stride - padding <= h < i stride - padding + kernel, w likewise, in
 * the map; NaN is larger than all numbers, as in PyTorch. x: [images * height * width, channels]; y: [images * extent
 * * extent, channels]. winners: as many bytes as y has elements, contiguous, for the backward call, or NULL: the place
 * of the largest in its window, row by row; of equals the first, of NaNs the last.
 * Errors: GM_INVALID_ARGUMENT, GM_SIZE_OVERFLOW. */
GM_API gm_status gm_max_pool_forward_f32(gm_context *context, int64_t images, int64_t height, int64_t width,
                                         int64_t channels, const float *x, int64_t ldx,
                                         const gm_max_pool_options *options, float *y, int64_t ldy, uint8_t *winners);

/* dv[n, h, w, c] = the sum of dy over the windows that [h, w] won, in the order of the windows. images … channels and
 * options as in the forward call; the gradient is that of v, before line and ReLU are differentiated. */
GM_API gm_status gm_max_pool_backward_f32(gm_context *context, int64_t images, int64_t height, int64_t width,
                                          int64_t channels, const float *dy, int64_t lddy, const uint8_t *winners,
                                          const gm_max_pool_options *options, float *dv, int64_t lddv);

typedef struct gm_average_pool_options {
    size_t size;              /* sizeof(gm_average_pool_options) */
    int64_t grid;             /* cells in each direction, 1 … 16; 1: global average pooling */
    bool planar;              /* a row of y lies as [channels, grid, grid] instead of [grid, grid, channels] */
    const gm_pool_line *line; /* or NULL: x as it is */
} gm_average_pool_options;

static inline gm_average_pool_options gm_average_pool_default_options(void)
{
    gm_average_pool_options options = {sizeof(gm_average_pool_options), 1, false, NULL};
    return options;
}

/* y[n, i, j, c] = mean of v[n, h, w, c] over floor(i height / grid) <= h < ceil((i + 1) height / grid), w likewise, as
 * PyTorch's AdaptiveAvgPool2d. x: [images * height * width, channels]; y: [images, grid * grid * channels], one row an
 * image. |error| <= (height + width + 1) u mean |v| per element. Errors: GM_INVALID_ARGUMENT, GM_SIZE_OVERFLOW. */
GM_API gm_status gm_average_pool_forward_f32(gm_context *context, int64_t images, int64_t height, int64_t width,
                                             int64_t channels, const float *x, int64_t ldx,
                                             const gm_average_pool_options *options, float *y, int64_t ldy);

/* dv[n, h, w, c] = sum of dy / (pixels of the cell) over the cells that [h, w] lies in; of v as in the backward call
 * of max pooling. */
GM_API gm_status gm_average_pool_backward_f32(gm_context *context, int64_t images, int64_t height, int64_t width,
                                              int64_t channels, const float *dy, int64_t lddy,
                                              const gm_average_pool_options *options, float *dv, int64_t lddv);

GM_END_DECLS

#endif
