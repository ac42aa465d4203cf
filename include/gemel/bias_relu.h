/* Bias and ReLU of a layer without normalisation. */
#ifndef GEMEL_BIAS_RELU_H
#define GEMEL_BIAS_RELU_H

#include <gemel/api.h>
#include <gemel/context.h>
#include <gemel/status.h>

GM_BEGIN_DECLS

/* y = x + bias, or max(0, x + bias). x, y: [rows, cols], y may be x; bias: [cols] or NULL for 0.
 * Errors: GM_INVALID_ARGUMENT, GM_SIZE_OVERFLOW. */
GM_API gm_status gm_bias_relu_forward_f32(gm_context *context, int64_t rows, int64_t cols, const float *x, int64_t ldx,
                                          const float *bias, bool relu, float *y, int64_t ldy);

/* dx = dy where y > 0 (everywhere without ReLU, where y may be NULL), else 0; dbias[j] = sum_i dx[i, j], or NULL.
 * dx: [rows, cols], may be dy. Errors: also GM_WORKSPACE_TOO_SMALL. */
GM_API gm_status gm_bias_relu_backward_f32(gm_context *context, int64_t rows, int64_t cols, const float *dy,
                                           int64_t lddy, const float *y, int64_t ldy, bool relu, float *dx,
                                           int64_t lddx, float *dbias);

/* Bytes of workspace that the backward call needs. */
GM_API size_t gm_bias_relu_f32_workspace(const gm_context *context, int64_t rows, int64_t cols);

GM_END_DECLS

#endif
