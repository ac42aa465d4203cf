/* Layer normalisation: each row of a matrix by itself, with an optional ReLU before it. */
#ifndef GEMEL_LAYERNORM_H
#define GEMEL_LAYERNORM_H

#include <gemel/api.h>
#include <gemel/context.h>
#include <gemel/status.h>

GM_BEGIN_DECLS

typedef struct gm_layernorm_options {
    size_t size; /* sizeof(gm_layernorm_options) */
    float eps;   /* added to the biased variance under the root */
    bool relu;   /* normalise max(0, x) instead of x */
} gm_layernorm_options;

static inline gm_layernorm_options gm_layernorm_default_options(void)
{
    gm_layernorm_options options = {sizeof(gm_layernorm_options), 1e-5f, false};
    return options;
}

/* Floats that the forward call leaves for the backward call: mean (high and low part) and 1/sqrt(variance + eps). */
GM_API int64_t gm_layernorm_saved_size(int64_t rows);

/* y = (x - mean of the row) / sqrt(variance of the row + eps) * weight + bias, x replaced by max(0, x) if asked.
 * x, y: [rows, cols], y may be x (with ldy = ldx) if no backward call follows; weight, bias: [cols] or both NULL for
 * 1 and 0; saved: gm_layernorm_saved_size() floats or NULL; options: NULL for the defaults, here and below.
 * Errors: GM_INVALID_ARGUMENT, GM_SIZE_OVERFLOW; GM_NOT_FINITE if the statistics of a row are not finite. */
GM_API gm_status gm_layernorm_forward_f32(gm_context *context, int64_t rows, int64_t cols, const float *x, int64_t ldx,
                                          const float *weight, const float *bias, const gm_layernorm_options *options,
                                          float *saved, float *y, int64_t ldy);

/* Gradients. dy: [rows, cols]; x, weight, saved, options as in the forward call. dx: [rows, cols], may be dy (with
 * lddx = lddy), not x; dweight, dbias: [cols] or both NULL. Errors: as the forward call and GM_WORKSPACE_TOO_SMALL. */
GM_API gm_status gm_layernorm_backward_f32(gm_context *context, int64_t rows, int64_t cols, const float *dy,
                                           int64_t lddy, const float *x, int64_t ldx, const float *weight,
                                           const float *saved, const gm_layernorm_options *options, float *dx,
                                           int64_t lddx, float *dweight, float *dbias);

/* Bytes of workspace that the backward call needs; the forward call needs none. */
GM_API size_t gm_layernorm_f32_workspace(const gm_context *context, int64_t rows, int64_t cols);

GM_END_DECLS

#endif
