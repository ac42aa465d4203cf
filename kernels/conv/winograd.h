/* Winograd's convolutions: 3x3, stride 1. What an instruction set has to bring, and the calls for conv.c.
 *
 * A tile of m x m outputs needs an (m + 2) x (m + 2) patch d of the input, m being 2 or 4:
 *
 *   y = A^T [(G g G^T) . (B^T d B)] A
 *
 * with . element by element, summed over the channels: one matrix product for each of the (m + 2)^2 positions. */
#ifndef GEMEL_KERNELS_CONV_WINOGRAD_H
#define GEMEL_KERNELS_CONV_WINOGRAD_H

#include "conv/conv.h"

/* Most rows of a patch, and positions. */
enum { GM_WINOGRAD_PATCH = 6, GM_WINOGRAD_POSITIONS = GM_WINOGRAD_PATCH * GM_WINOGRAD_PATCH };

/* One image [height, width, channels], ld floats from a pixel to the next, read as f(scale x + shift) with f(x) =
 * max(0, x) if relu; scale and shift: [channels], or both NULL. */
struct gm_winograd_source {
    const float *data;
    int64_t height, width, ld;
    const float *scale, *shift;
    bool relu;
};

/* An image that becomes f(x + bias + beta y + residual), f as before; beta = 0 does not read y. */
struct gm_winograd_target {
    float *data;
    int64_t height, width, ld;
    float beta;
    const float *bias;     /* [channels], or NULL */
    const float *residual; /* like data, or NULL */
    int64_t ld_residual;
    bool relu;
};

/* Whole vectors are written to what is transformed; position p lies p strides after position 0. */
struct gm_winograd_kernels {
    /* B^T d B of the patch at (row, col), for `count` channels from `channel` on. Pixels outside the image are 0. */
    void (*input)(int64_t outputs, const struct gm_winograd_source *x, int64_t row, int64_t col, int64_t channel,
                  int64_t count, float *v, int64_t stride);

    /* A d A^T of the m x m patch: the adjoint of what output() does. */
    void (*spread)(int64_t outputs, const struct gm_winograd_source *dy, int64_t row, int64_t col, int64_t channel,
                   int64_t count, float *v, int64_t stride);

    /* A^T s A of `count` sums s, to the channels from `channel` on of the tile at (row, col). */
    void (*output)(int64_t outputs, const float *s, int64_t stride, int64_t count, const struct gm_winograd_target *y,
                   int64_t row, int64_t col, int64_t channel);

    /* G g G^T of `channels` times `width` weights, a multiple of the vector: channel c begins 9 |tap| c floats after g,
     * its taps lie `tap` floats apart, and it goes to u + c width. u is aligned to 64 bytes and goes past the caches
     * where a vector is a line. */
    void (*weights)(int64_t outputs, const float *g, int64_t tap, int64_t channels, int64_t width, float *u,
                    int64_t stride);

    /* G^T s G of `count` sums s; dw[9 i + t] is tap t of sum i. */
    void (*gradient)(int64_t outputs, const float *s, int64_t stride, int64_t count, float *dw);
};

/* A convolution in tiles: of [images, height, width, channels] to [images, out_height, out_width, filters]. Nothing is
 * cut finer than a strip: all tiles of a row of an image, `across` of them. */
struct gm_winograd {
    int64_t outputs, positions;
    int64_t images, height, width, channels, padding;
    int64_t out_height, out_width, filters;
    int64_t groups;
    int64_t across, image_strips, strips;
};

struct gm_winograd gm_winograd_make(const gm_conv_plan *plan, gm_conv_pass pass, int64_t outputs);

/* Images as they lie in memory, and how many channels of them are read. */
struct gm_winograd_pixels {
    const float *data;
    int64_t height, width, ld, channels;
};

/* An image as it is read. */
struct gm_winograd_source gm_winograd_source(const struct gm_winograd *w, const struct gm_conv_source *x,
                                             int64_t image);

/* Asks for the pixels of strips [first, last) in the order of memory: the rows of a patch are too short for the
 * hardware to foresee, and waiting for their lines takes several times as long as the transforms. */
void gm_winograd_ask(const struct gm_winograd *w, const struct gm_winograd_pixels *pixels, int64_t first, int64_t last);

/* The weight gradient, with the workspace that it takes. */
gm_status gm_winograd_gradient_run(gm_context *context, const struct gm_conv_call *call, int64_t outputs);
size_t gm_winograd_gradient_workspace(const gm_context *context, const gm_conv_plan *plan, int64_t outputs);

/* Floats from a position to the next where each has so many: a whole and odd number of lines, so that the positions
 * of a tile lie in different sets of the caches. */
static inline int64_t gm_winograd_stride(int64_t floats)
{
    const int64_t line = GM_CACHE_LINE / (int64_t)sizeof(float);
    return (gm_ceil_div(floats, line) | 1) * line;
}

#endif
