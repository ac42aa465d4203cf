/* Convolution of images whose channels are neighbours (NHWC), and its gradients. */
#ifndef GEMEL_CONV_H
#define GEMEL_CONV_H

#include <gemel/api.h>
#include <gemel/context.h>
#include <gemel/status.h>

GM_BEGIN_DECLS

/* An image is a matrix [height width, channels], a batch of them a matrix [batch height width, channels] whose leading
 * dimension is free. Padding is with zeros, the same on all four sides; one stride for both directions. Grouped,
 * depthwise and dilated convolutions are out of scope. */
typedef struct gm_conv_shape {
    size_t size; /* sizeof(gm_conv_shape) */
    int64_t batch, height, width, in_channels, out_channels;
    int64_t kernel_height, kernel_width, stride, padding;
} gm_conv_shape;

/* floor((height + 2 padding - kernel_height) / stride) + 1, for a shape whose kernel is no larger than its padded
 * image. */
static inline int64_t gm_conv_out_height(const gm_conv_shape *shape)
{
    return (shape->height + 2 * shape->padding - shape->kernel_height) / shape->stride + 1;
}

static inline int64_t gm_conv_out_width(const gm_conv_shape *shape)
{
    return (shape->width + 2 * shape->padding - shape->kernel_width) / shape->stride + 1;
}

/* Rows of x and of y as matrices. */
static inline int64_t gm_conv_in_rows(const gm_conv_shape *shape)
{
    return shape->batch * shape->height * shape->width;
}

static inline int64_t gm_conv_out_rows(const gm_conv_shape *shape)
{
    return shape->batch * gm_conv_out_height(shape) * gm_conv_out_width(shape);
}

typedef enum gm_conv_pass {
    GM_CONV_FORWARD,
    GM_CONV_DATA_GRADIENT,
    GM_CONV_WEIGHT_GRADIENT,
    GM_CONV_PASSES,
} gm_conv_pass;

typedef struct gm_conv_options {
    size_t size; /* sizeof(gm_conv_options) */
    int64_t
        groups; /* contiguous, equal ranges of images with a line and statistics of their own: the views of a batch */
    bool exact; /* only algorithms whose sums are those of the definition, with the bounds below */
    bool packed_once; /* weights are packed once for many calls: larger ones are chosen where they are faster to read */
} gm_conv_options;

static inline gm_conv_options gm_conv_default_options(void)
{
    gm_conv_options options = {sizeof(gm_conv_options), 1, false, false};
    return options;
}

/* What is decided once for a shape: the algorithm of each pass, a function of shape, options and instruction set. It is
 * only read, and serves every context of the instruction set that it was made for, several at once. */
typedef struct gm_conv_plan gm_conv_plan;

/* options: NULL for the defaults. Errors: GM_INVALID_ARGUMENT (also a size below 1, a negative padding, a kernel larger
 * than the padded image, and groups that do not divide the batch), GM_SIZE_OVERFLOW, GM_OUT_OF_MEMORY. *plan is NULL
 * after an error. */
GM_API gm_status gm_conv_plan_create(const gm_context *context, const gm_conv_shape *shape,
                                     const gm_conv_options *options, gm_conv_plan **plan);

/* NULL is allowed. */
GM_API void gm_conv_plan_destroy(gm_conv_plan *plan);

/* The algorithm's name, for example "implicit gemm"; NULL for a pass that there is not. */
GM_API const char *gm_conv_algorithm(const gm_conv_plan *plan, gm_conv_pass pass);

/* Bytes of workspace that a call of the pass needs, whatever its options. */
GM_API size_t gm_conv_f32_workspace(const gm_context *context, const gm_conv_plan *plan, gm_conv_pass pass);

/* Weights in the order in which a pass reads them: one for the forward pass and one for the data gradient, which serve
 * all plans that differ in the batch, the groups and the size of the images alone, if these choose the same algorithm.
 * It lies in the caller's memory, is only read by the passes, fits contexts of the same instruction set in the same
 * process, and is neither to be moved nor stored in files. */
typedef struct gm_conv_packed gm_conv_packed;

/* Bytes of it, which do not shrink as the batch grows; 0 for the weight gradient. */
GM_API size_t gm_conv_packed_f32_size(const gm_conv_plan *plan, gm_conv_pass pass);

/* Packs weight [out_channels, in_channels, kernel_height, kernel_width] into memory of that size, aligned as malloc()
 * does; again whenever the weights have changed. Errors: GM_INVALID_ARGUMENT. */
GM_API gm_status gm_conv_pack_f32(gm_context *context, const gm_conv_plan *plan, gm_conv_pass pass, const float *weight,
                                  gm_conv_packed *packed);

/* How x is read, by the forward call and by the weight gradient: as f(scale x + shift) with the line of its column and
 * group, f being max(0, .) with relu, which keeps NaN. This is the batch normalisation of the layer before
 * (gm_batchnorm_line_f32()). Padding is 0 behind the line. */
typedef struct gm_conv_input {
    const float *scale, *shift; /* [groups, in_channels], or both NULL for 1 and 0 */
    bool relu;
} gm_conv_input;

typedef struct gm_conv_forward_options {
    size_t size; /* sizeof(gm_conv_forward_options) */
    gm_conv_input input;
    const float *bias;     /* [out_channels], or NULL */
    const float *residual; /* [out rows, out_channels], or NULL; may be y with ldresidual = ldy */
    int64_t ldresidual;
    bool relu; /* y = max(0, .) of the sum, keeps NaN */
    /* Statistics of y over the rows of each group, for the batch normalisation that follows: [groups, out_channels], or
     * all NULL. mean + mean_low is the mean, variance is biased. Accuracy as gm_column_stats_f32(). */
    float *mean, *mean_low, *variance;
} gm_conv_forward_options;

static inline gm_conv_forward_options gm_conv_default_forward_options(void)
{
    gm_conv_forward_options options = {
        sizeof(gm_conv_forward_options), {NULL, NULL, false}, NULL, NULL, 0, false, NULL, NULL, NULL};
    return options;
}

/* y[n, r, c, o] = f(sum over i, j, k of x[n, stride r - padding + i, stride c - padding + j, k] weight[o, k, i, j] +
 * bias[o] + residual[n, r, c, o]). x: [gm_conv_in_rows(), in_channels], ldx >= in_channels; y: [gm_conv_out_rows(),
 * out_channels], overlaps no operand but residual; weight: packed for the forward pass; options: NULL for none.
 * Accuracy of the exact algorithms: |error| <= (K + 3) u (sum |x w| + |bias| + |residual|) per element, K the number of
 * products, u = 2^-24; bits depend on the plan alone. NaN and infinity propagate.
 * Errors, here and below: GM_INVALID_ARGUMENT (also packed weights or a plan of another kind), GM_SIZE_OVERFLOW,
 * GM_WORKSPACE_TOO_SMALL; GM_NOT_FINITE if a statistic is not finite. */
GM_API gm_status gm_conv_forward_f32(gm_context *context, const gm_conv_plan *plan, const float *x, int64_t ldx,
                                     const gm_conv_packed *weight, const gm_conv_forward_options *options, float *y,
                                     int64_t ldy);

/* dx[n, h, w, k] = beta dx[n, h, w, k] + sum over i, j, o of dy[n, r, c, o] weight[o, k, i, j] where h = stride r -
 * padding
 * + i and w = stride c - padding + j. weight: packed for the data gradient; beta: 0, which does not read dx, or 1,
 * which adds the gradient to that of another branch. The gradient with respect to what the line and ReLU of the input
 * make of x, if there are such. */
GM_API gm_status gm_conv_data_gradient_f32(gm_context *context, const gm_conv_plan *plan, const float *dy, int64_t lddy,
                                           const gm_conv_packed *weight, float beta, float *dx, int64_t lddx);

/* dweight[o, k, i, j] = sum over n, r, c of dy[n, r, c, o] x[n, stride r - padding + i, stride c - padding + j, k], x
 * read as `input` says (NULL: as it is). dweight: [out_channels, in_channels, kernel_height, kernel_width]; dbias:
 * [out_channels], the sums of dy's columns, or NULL. */
GM_API gm_status gm_conv_weight_gradient_f32(gm_context *context, const gm_conv_plan *plan, const float *dy,
                                             int64_t lddy, const float *x, int64_t ldx, const gm_conv_input *input,
                                             float *dweight, float *dbias);

GM_END_DECLS

#endif
