/* Correlation of images with windows of taps: what a forward pass is, and each phase of a data gradient. */
#ifndef GEMEL_CONV_IMPLICIT_H
#define GEMEL_CONV_IMPLICIT_H

#include "conv/conv.h"
#include "gemm/kernel.h"

/* out(n, r, c) = sum over i, j of in(n, stride r - top + i, stride c - left + j) B(i, j), in being 0 outside the image
 * and B(i, j) a [channels, cols] matrix. top and left may be negative. */
struct gm_conv_window {
    int64_t batch, height, width, channels;
    int64_t out_height, out_width, cols;
    int64_t kernel_height, kernel_width, stride, top, left;

    /* out(n, r, c) is row out_first + n out_image + r out_row + c out_pixel of a matrix. */
    int64_t out_first, out_image, out_row, out_pixel;

    /* Tap (i, j) is tap (tap_row + i tap_step, tap_col + j tap_step) of the weights. */
    int64_t tap_row, tap_col, tap_step;
    int64_t panels; /* floats of packed weights before this window's */
};

static inline int64_t gm_conv_window_depth(const struct gm_conv_window *w)
{
    return w->kernel_height * w->kernel_width * w->channels;
}

/* Windows of few channels whose patches are written out, because a kernel row of them is too short a sum. */
static inline bool gm_conv_copies_patches(const struct gm_conv_window *w, const struct gm_gemm_kernels *gemm)
{
    const int64_t short_row = 64, row = w->kernel_width * w->channels;
    return w->kernel_width > 1 && row <= short_row && gm_conv_window_depth(w) <= gemm->depth;
}

/* What stands for it then: a 1x1 window on patches. */
static inline struct gm_conv_window gm_conv_patch_window(const struct gm_conv_window *w)
{
    struct gm_conv_window patches = *w;
    patches.height = w->out_height;
    patches.width = w->out_width;
    patches.channels = gm_conv_window_depth(w);
    patches.kernel_height = patches.kernel_width = patches.stride = 1;
    patches.top = patches.left = 0;
    return patches;
}

/* How the outputs of a window are cut: so many parts of a group's images, of the rows, of the columns. */
struct gm_conv_cut {
    int64_t images_a_group, image_parts, row_parts, col_parts;
};

/* Outputs of some images, which belong to one group. */
struct gm_conv_piece {
    int64_t group, image, images, row, rows, col, cols;
};

/* Piece i, columns first, then rows, images and groups. */
struct gm_conv_piece gm_conv_piece_at(const struct gm_conv_window *w, const struct gm_conv_cut *cut, int64_t i);

/* A window's input, on its way to the products. */
struct gm_conv_reader {
    const struct gm_conv_kernels *kernels;
    const struct gm_conv_window *window;
    const struct gm_conv_source *source;
    int64_t group;
};

/* Pixels left, left + step, … of a row; there may be such to the left and to the right of the image. */
struct gm_conv_span {
    int64_t left, pixels, step;
};

/* One row inside the image, zeros outside; `pixel` floats from one to the next. */
void gm_conv_copy_row(const struct gm_conv_reader *reader, int64_t image, int64_t h, const struct gm_conv_span *span,
                      float *out, int64_t pixel);

/* The patches of outputs (row, col) to (row, col + cols - 1), one after the other, taps in the order of i, j and
 * channel; less than the products' slack is written behind them. lines: kernel_height of them, ldlines apart, which is
 * gm_conv_line_floats() of at least so many outputs. */
void gm_conv_copy_patches(const struct gm_conv_reader *reader, int64_t image, int64_t row, int64_t col, int64_t cols,
                          float *lines, int64_t ldlines, float *out);
int64_t gm_conv_line_floats(const struct gm_conv_window *w, const struct gm_gemm_kernels *gemm, int64_t cols);

/* The windows of a pass: one, or stride^2 for the data gradient. */
int64_t gm_conv_windows(const gm_conv_plan *plan, gm_conv_pass pass);
struct gm_conv_window gm_conv_window_make(const gm_conv_plan *plan, gm_conv_pass pass, int64_t index);

/* Panels of B of all windows, k in the order of i, j and channel. */
int64_t gm_conv_implicit_floats(const gm_conv_plan *plan, gm_conv_pass pass);
void gm_conv_implicit_pack(gm_context *context, const gm_conv_plan *plan, gm_conv_pass pass, const float *weight,
                           float *packed);

#endif
