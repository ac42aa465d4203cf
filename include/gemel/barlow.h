/* The Barlow Twins loss and its gradients, without ever forming the cross-correlation matrix.
 * J. Zbontar, L. Jing, I. Misra, Y. LeCun, S. Deny: Barlow Twins, ICML 2021, arXiv 2103.03230. */
#ifndef GEMEL_BARLOW_H
#define GEMEL_BARLOW_H

#include <gemel/api.h>
#include <gemel/context.h>
#include <gemel/status.h>

GM_BEGIN_DECLS

/* How the columns of the embeddings are normalised over the batch: A = (z - mean) r, C = A^T B / s. */
typedef enum gm_barlow_normalization {
    GM_BARLOW_BATCHNORM = 0, /* r = 1/sqrt(biased variance + eps), s = n: Facebook's code */
    GM_BARLOW_UNBIASED,      /* r = 1/sqrt(variance with n - 1), s = n: the paper's pseudo code */
    GM_BARLOW_COSINE,        /* r = 1/|z - mean|, s = 1: the paper's formula */
} gm_barlow_normalization;

/* Two orders of the same arithmetic: 6 n^2 d operations and 2 n^2 floats, or 6 n d^2 and one row panel of C. */
typedef enum gm_barlow_form {
    GM_BARLOW_AUTO = 0, /* the cheaper one for n and d */
    GM_BARLOW_DUAL,     /* through A A^T and B B^T */
    GM_BARLOW_PRIMAL,   /* row panel by row panel of C */
} gm_barlow_form;

typedef struct gm_barlow_options {
    size_t size; /* sizeof(gm_barlow_options) */
    gm_barlow_normalization normalization;
    gm_barlow_form form;
    float eps;      /* of GM_BARLOW_BATCHNORM; the other two take none */
    float lambda;   /* weight of the off-diagonal terms */
    float scale;    /* multiplies loss and gradients */
    double divisor; /* s; 0: that of the normalisation. Facebook's code divides the last, smaller batch of an epoch by
                     * the number of samples of the others. */
} gm_barlow_options;

static inline gm_barlow_options gm_barlow_default_options(void)
{
    gm_barlow_options options = {
        sizeof(gm_barlow_options), GM_BARLOW_BATCHNORM, GM_BARLOW_AUTO, 1e-5f, 0.0051f, 1.0f, 0.0};
    return options;
}

typedef struct gm_barlow_result {
    size_t size;              /* set to sizeof(gm_barlow_result) before the call */
    double loss;              /* invariance + redundancy */
    double invariance;        /* scale * sum_i (C_ii - 1)^2 */
    double redundancy;        /* scale * lambda * sum_{i != j} C_ij^2 */
    int64_t constant_columns; /* columns of za and zb without variation. Their normalised value is 0; with
                               * GM_BARLOW_UNBIASED and GM_BARLOW_COSINE so is their gradient. */
    gm_barlow_form form;      /* the one that was used */
} gm_barlow_result;

/* L = scale (sum_i (C_ii - 1)^2 + lambda sum_{i != j} C_ij^2) and, unless both are NULL, dza = dL/dza, dzb = dL/dzb.
 * za, zb, dza, dzb: [n, d] with leading dimensions >= d; the gradients overlap nothing. options: NULL for the defaults.
 * n >= 2, d >= 1. Errors: GM_INVALID_ARGUMENT, GM_SIZE_OVERFLOW, GM_WORKSPACE_TOO_SMALL; GM_NOT_FINITE with a NaN loss
 * and written gradients if an input is not finite. */
GM_API gm_status gm_barlow_loss_f32(gm_context *context, int64_t n, int64_t d, const float *za, int64_t ldza,
                                    const float *zb, int64_t ldzb, const gm_barlow_options *options,
                                    gm_barlow_result *result, float *dza, int64_t lddza, float *dzb, int64_t lddzb);

/* Bytes of workspace that the call above needs; gradients: whether dza and dzb are asked for. */
GM_API size_t gm_barlow_loss_f32_workspace(const gm_context *context, int64_t n, int64_t d,
                                           const gm_barlow_options *options, bool gradients);

/* A picture of C: c[I, J] = mean of C over the tile I x J, for tiles x tiles contiguous, nearly equal ranges of columns
 * (range I is [I d / tiles, (I + 1) d / tiles)), at the cost of averaging columns first. 1 <= tiles <= d;
 * c: [tiles, tiles], ldc >= tiles. */
GM_API gm_status gm_cross_correlation_tiles_f32(gm_context *context, int64_t n, int64_t d, const float *za,
                                                int64_t ldza, const float *zb, int64_t ldzb,
                                                const gm_barlow_options *options, int64_t tiles, float *c, int64_t ldc);

GM_API size_t gm_cross_correlation_tiles_f32_workspace(const gm_context *context, int64_t n, int64_t d, int64_t tiles);

GM_END_DECLS

#endif
