/* Batch normalisation over the rows of a matrix, with an optional residual connection and ReLU behind it. */
#ifndef GEMEL_BATCHNORM_H
#define GEMEL_BATCHNORM_H

#include <gemel/api.h>
#include <gemel/context.h>
#include <gemel/status.h>

GM_BEGIN_DECLS

typedef struct gm_batchnorm_options {
    size_t size;    /* sizeof(gm_batchnorm_options) */
    int64_t groups; /* contiguous, equal ranges of rows that are normalised each by itself: the views of a batch */
    float eps;      /* added to the biased variance under the root */
    float momentum; /* weight of the new statistics in the running ones */
    bool relu;      /* y = max(0, normalised) */
    bool again;     /* forward calls of training: `saved` is that of an earlier call with the same x and is read, not
                     * written; y (the same bits) and the mask are made once more, running statistics must be NULL */
} gm_batchnorm_options;

static inline gm_batchnorm_options gm_batchnorm_default_options(void)
{
    gm_batchnorm_options options = {sizeof(gm_batchnorm_options), 1, 1e-5f, 0.1f, false, false};
    return options;
}

/* Floats that the forward call leaves for the backward call: mean (high and low part) and 1/sqrt(variance + eps). */
GM_API int64_t gm_batchnorm_saved_size(int64_t cols, int64_t groups);

/* Training: y = (x - mean) / sqrt(variance + eps) * weight + bias, then ReLU if asked, with each group's statistics.
 * x, y: [rows, cols], y may be x (with ldy = ldx); weight, bias: [cols] or both NULL for 1 and 0; saved:
 * gm_batchnorm_saved_size() floats; options: NULL for the defaults, here and below;
 * running_mean, running_variance: [cols] or both NULL, updated group after group as
 * running = (1 - momentum) running + momentum statistic, the variance unbiased as PyTorch's.
 * x - mean keeps its accuracy where the mean is far larger than the deviation: the mean is carried in two parts.
 * Errors: GM_INVALID_ARGUMENT (also fewer than two rows in a group), GM_SIZE_OVERFLOW, GM_WORKSPACE_TOO_SMALL,
 * GM_NOT_FINITE if a statistic, or a factor of the columns, is not finite. */
GM_API gm_status gm_batchnorm_forward_f32(gm_context *context, int64_t rows, int64_t cols, const float *x, int64_t ldx,
                                          const float *weight, const float *bias, const gm_batchnorm_options *options,
                                          float *running_mean, float *running_variance, float *saved, float *y,
                                          int64_t ldy);

/* Inference: the same with the running statistics, for any number of rows; groups and momentum do not matter. NaN and
 * infinity propagate without an error. */
GM_API gm_status gm_batchnorm_infer_f32(gm_context *context, int64_t rows, int64_t cols, const float *x, int64_t ldx,
                                        const float *weight, const float *bias, const float *running_mean,
                                        const float *running_variance, const gm_batchnorm_options *options, float *y,
                                        int64_t ldy);

/* Gradients of the training form. dy: [rows, cols]; x, weight, bias, saved, options as in the forward call; ReLU's mask
 * is recomputed from x. dx: [rows, cols], may be dy (with lddx = lddy), not x; dweight, dbias: [cols] summed over
 * groups, or both NULL. Errors: as the forward call; GM_NOT_FINITE if a column's sum of gradients is not finite. */
GM_API gm_status gm_batchnorm_backward_f32(gm_context *context, int64_t rows, int64_t cols, const float *dy,
                                           int64_t lddy, const float *x, int64_t ldx, const float *weight,
                                           const float *bias, const float *saved, const gm_batchnorm_options *options,
                                           float *dx, int64_t lddx, float *dweight, float *dbias);

/* The end of a residual block: as gm_batchnorm_forward_f32(), with y = normalised x + residual, then ReLU if asked.
 * residual: [rows, cols]; y may be x or residual (with equal leading dimensions); mask: gm_batchnorm_mask_size() bytes
 * for the backward call, where y > 0; without ReLU it is not used and may be NULL. */
GM_API gm_status gm_batchnorm_add_forward_f32(gm_context *context, int64_t rows, int64_t cols, const float *x,
                                              int64_t ldx, const float *residual, int64_t ldresidual,
                                              const float *weight, const float *bias,
                                              const gm_batchnorm_options *options, float *running_mean,
                                              float *running_variance, float *saved, uint8_t *mask, float *y,
                                              int64_t ldy);

/* Its inference form, as gm_batchnorm_infer_f32(). */
GM_API gm_status gm_batchnorm_add_infer_f32(gm_context *context, int64_t rows, int64_t cols, const float *x,
                                            int64_t ldx, const float *residual, int64_t ldresidual, const float *weight,
                                            const float *bias, const float *running_mean, const float *running_variance,
                                            const gm_batchnorm_options *options, float *y, int64_t ldy);

/* Its gradients, as gm_batchnorm_backward_f32(). dresidual: [rows, cols], dy where y > 0, or everywhere without ReLU;
 * NULL if it is not wanted. One of dx and dresidual may be dy. */
GM_API gm_status gm_batchnorm_add_backward_f32(gm_context *context, int64_t rows, int64_t cols, const float *dy,
                                               int64_t lddy, const float *x, int64_t ldx, const uint8_t *mask,
                                               const float *weight, const float *saved,
                                               const gm_batchnorm_options *options, float *dx, int64_t lddx,
                                               float *dresidual, int64_t lddresidual, float *dweight, float *dbias);

/* Bytes of a mask: a bit an element, whole bytes a row. */
GM_API int64_t gm_batchnorm_mask_size(int64_t rows, int64_t cols);

/* gm_batchnorm_forward_f32() for a reader of x that normalises by itself: reads x once and writes scale and shift,
 * [groups, cols], of y = scale x + shift (before ReLU). The two terms cancel where the mean is far larger than the
 * deviation: the error of y is about 1e-7 |mean| / deviation. The backward call serves both forms. */
GM_API gm_status gm_batchnorm_line_f32(gm_context *context, int64_t rows, int64_t cols, const float *x, int64_t ldx,
                                       const float *weight, const float *bias, const gm_batchnorm_options *options,
                                       float *running_mean, float *running_variance, float *saved, float *scale,
                                       float *shift);

/* Bytes of workspace that suffice for each of these calls. */
GM_API size_t gm_batchnorm_f32_workspace(const gm_context *context, int64_t rows, int64_t cols,
                                         const gm_batchnorm_options *options);

GM_END_DECLS

#endif
