/* General matrix product. */
#ifndef GEMEL_GEMM_H
#define GEMEL_GEMM_H

#include <gemel/api.h>
#include <gemel/context.h>
#include <gemel/status.h>

GM_BEGIN_DECLS

typedef enum gm_transpose { GM_NO_TRANSPOSE = 0, GM_TRANSPOSE = 1 } gm_transpose;

/* C = alpha op(A) op(B) + beta C, row-major; op(A) is [m, k], op(B) is [k, n], C is [m, n].
 * a: [m, k] with lda >= k, or [k, m] with lda >= m when ta is GM_TRANSPOSE; b likewise; ldc >= n; strides in elements.
 * beta = 0 overwrites C without reading it. NaN and infinity propagate; k = 0 or alpha = 0 scales C by beta.
 * A and B may overlap each other; C may overlap neither. No element outside the matrices is read or written.
 * Accuracy: |error| <= (k + 2) u (|alpha| |A| |B| + |beta C|) per element, u = 2^-24; the bits depend on the shape and
 * the instruction set alone. Errors: GM_INVALID_ARGUMENT, GM_SIZE_OVERFLOW, GM_WORKSPACE_TOO_SMALL. */
GM_API gm_status gm_gemm_f32(gm_context *context, gm_transpose ta, gm_transpose tb, int64_t m, int64_t n, int64_t k,
                             float alpha, const float *a, int64_t lda, const float *b, int64_t ldb, float beta,
                             float *c, int64_t ldc);

/* Bytes of workspace that the call above needs: at most 2 MiB a thread. */
GM_API size_t gm_gemm_f32_workspace(const gm_context *context, gm_transpose ta, gm_transpose tb, int64_t m, int64_t n,
                                    int64_t k);

/* What becomes of X = alpha op(A) op(B) + beta C, column by column, before it leaves the caches: C_ij = f(scale_j X_ij
 * + bias_j), f being max(0, .) with relu. */
typedef struct gm_gemm_options {
    size_t size;        /* sizeof(gm_gemm_options) */
    const float *scale; /* [n], or NULL for 1 */
    const float *bias;  /* [n], or NULL for 0 */
    bool relu;          /* keeps NaN */
    float *column_sums; /* [n], or NULL: becomes sum_i C_ij, with an error below 64 u sum_i |C_ij| */
} gm_gemm_options;

static inline gm_gemm_options gm_gemm_default_options(void)
{
    gm_gemm_options options = {sizeof(gm_gemm_options), NULL, NULL, false, NULL};
    return options;
}

/* gm_gemm_f32() and what the options say, with the bits of gm_gemm_f32() followed by gm_bias_relu_forward_f32() where
 * there is no scale. options: NULL for gm_gemm_f32(). The options' arrays overlap neither C nor each other. */
GM_API gm_status gm_gemm_fused_f32(gm_context *context, gm_transpose ta, gm_transpose tb, int64_t m, int64_t n,
                                   int64_t k, float alpha, const float *a, int64_t lda, const float *b, int64_t ldb,
                                   float beta, float *c, int64_t ldc, const gm_gemm_options *options);

/* Bytes of workspace that the call above needs: m n / 16 more than gm_gemm_f32() where columns are summed. */
GM_API size_t gm_gemm_fused_f32_workspace(const gm_context *context, gm_transpose ta, gm_transpose tb, int64_t m,
                                          int64_t n, int64_t k, const gm_gemm_options *options);

/* op(B) in the order in which products read it, for weights that many products share. It lies in the caller's memory,
 * is only read by products, in any number of threads and contexts at once, and fits contexts of the same instruction
 * set in the same process: it is neither to be moved nor stored in files. */
typedef struct gm_gemm_packed gm_gemm_packed;

/* Bytes of it for op(B) [k, n]; 0 if there cannot be so many. */
GM_API size_t gm_gemm_packed_f32_size(const gm_context *context, int64_t n, int64_t k);

/* Packs op(B) [k, n] into memory of that size, aligned as malloc() does; again whenever B has changed. b: [k, n] with
 * ldb >= n, or [n, k] with ldb >= k when tb is GM_TRANSPOSE. Errors: GM_INVALID_ARGUMENT, GM_SIZE_OVERFLOW. */
GM_API gm_status gm_gemm_pack_f32(gm_context *context, gm_transpose tb, int64_t n, int64_t k, const float *b,
                                  int64_t ldb, gm_gemm_packed *packed);

/* gm_gemm_fused_f32() with a packed B, the same bits. Errors: also GM_INVALID_ARGUMENT if it was packed for another n,
 * k or instruction set. */
GM_API gm_status gm_gemm_packed_f32(gm_context *context, gm_transpose ta, int64_t m, int64_t n, int64_t k, float alpha,
                                    const float *a, int64_t lda, const gm_gemm_packed *b, float beta, float *c,
                                    int64_t ldc, const gm_gemm_options *options);

/* Bytes of workspace that the call above needs. */
GM_API size_t gm_gemm_packed_f32_workspace(const gm_context *context, gm_transpose ta, int64_t m, int64_t n, int64_t k,
                                           const gm_gemm_options *options);

/* gm_gemm_f32() for i from 0 to count - 1, operands at a + i stride_a, b + i stride_b and results at c + i stride_c,
 * with the same bits; small products are shared out whole in one parallel region. A stride of 0 takes the same A or B
 * for all; results overlap neither operands nor each other. Errors: also GM_INVALID_ARGUMENT for a negative count or
 * stride, and for a stride_c by which results neither follow each other nor lie side by side. */
GM_API gm_status gm_gemm_batch_f32(gm_context *context, gm_transpose ta, gm_transpose tb, int64_t count, int64_t m,
                                   int64_t n, int64_t k, float alpha, const float *a, int64_t lda, int64_t stride_a,
                                   const float *b, int64_t ldb, int64_t stride_b, float beta, float *c, int64_t ldc,
                                   int64_t stride_c);

/* Bytes of workspace that the call above needs: at most 2 MiB a thread. */
GM_API size_t gm_gemm_batch_f32_workspace(const gm_context *context, gm_transpose ta, gm_transpose tb, int64_t count,
                                          int64_t m, int64_t n, int64_t k);

/* C = alpha A A^T + beta C, or alpha A^T A + beta C with GM_TRANSPOSE; A is stored as [m, k], or as [k, m], C is [m,
 * m]. Half the arithmetic of gm_gemm_f32() with the same bits. C is read on and below the diagonal, and written
 * everywhere: the result is symmetric bit for bit. Otherwise as gm_gemm_f32(). */
GM_API gm_status gm_syrk_f32(gm_context *context, gm_transpose ta, int64_t m, int64_t k, float alpha, const float *a,
                             int64_t lda, float beta, float *c, int64_t ldc);

/* Bytes of workspace that the call above needs. */
GM_API size_t gm_syrk_f32_workspace(const gm_context *context, gm_transpose ta, int64_t m, int64_t k);

GM_END_DECLS

#endif
