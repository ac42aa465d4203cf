/* Products whose B is packed once for many of them. */
#include <stddef.h>

#include "gemm/driver.h"

/* In the caller's memory, followed by the panels. The kernels stand for instruction set, tile and library alike. */
struct gm_gemm_packed {
    const struct gm_gemm_kernels *kernels;
    int64_t n, k;
};

/* Columns that one chunk packs, and floats that are worth more than one thread. */
enum { PACK_COLS = 256, PARALLEL_FLOATS = 1 << 16 };

static float *panels_of(const gm_gemm_packed *packed)
{
    const uintptr_t end = (uintptr_t)(packed + 1);
    return (float *)((end + GM_CACHE_LINE - 1) / GM_CACHE_LINE * GM_CACHE_LINE);
}

size_t gm_gemm_packed_f32_size(const gm_context *context, int64_t n, int64_t k)
{
    if (!context || n < 0 || k < 0 || n > INT64_MAX / 2)
        return 0;
    int64_t bytes;
    const int64_t row = gm_round_up(n, context->kernels.gemm->slack), most = INT64_MAX / 2;
    if (__builtin_mul_overflow(row, k, &bytes) || bytes > most / (int64_t)sizeof(float))
        return 0;
    return sizeof(struct gm_gemm_packed) + GM_CACHE_LINE + (size_t)bytes * sizeof(float);
}

struct packing {
    const struct gm_gemm_kernels *kernels;
    const struct gm_gemm_source *b;
    int64_t n, k, chunk_cols;
    float *panels;
};

static void pack_chunk(void *arg, int64_t chunk, int worker)
{
    (void)worker;
    const struct packing *p = arg;
    const int64_t first = chunk * p->chunk_cols, cols = gm_min_i64(p->chunk_cols, p->n - first);
    p->kernels->pack_b(p->b, first, cols, 0, p->k, p->panels + first * p->k);
}

gm_status gm_gemm_pack_f32(gm_context *context, gm_transpose tb, int64_t n, int64_t k, const float *b, int64_t ldb,
                           gm_gemm_packed *packed)
{
    if (!context || !packed || (uintptr_t)packed % _Alignof(max_align_t) != 0)
        return GM_INVALID_ARGUMENT;
    const gm_status status = gm_gemm_check_operand(tb, k, n, b, ldb);
    if (status != GM_OK)
        return status;
    if (gm_gemm_packed_f32_size(context, n, k) == 0)
        return GM_SIZE_OVERFLOW;
    const struct gm_gemm_kernels *kernels = context->kernels.gemm;
    *packed = (struct gm_gemm_packed){kernels, n, k};
    if (n == 0 || k == 0)
        return GM_OK;
    const struct gm_gemm_source source = {.transposed = tb == GM_TRANSPOSE, .data = b, .ld = ldb};
    const int64_t chunk_cols = PACK_COLS / kernels->nr * kernels->nr;
    struct packing packing = {kernels, &source, n, k, chunk_cols, panels_of(packed)};
    if (n * k < PARALLEL_FLOATS)
        gm_run_serially(gm_ceil_div(n, chunk_cols), pack_chunk, &packing);
    else
        gm_parallel(context, gm_ceil_div(n, chunk_cols), pack_chunk, &packing);
    return GM_OK;
}

static bool is_packed_for(const gm_gemm_packed *packed, const gm_context *context, int64_t n, int64_t k)
{
    return packed && (uintptr_t)packed % _Alignof(max_align_t) == 0 && packed->kernels == context->kernels.gemm &&
           packed->n == n && packed->k == k;
}

gm_status gm_gemm_packed_f32(gm_context *context, gm_transpose ta, int64_t m, int64_t n, int64_t k, float alpha,
                             const float *a, int64_t lda, const gm_gemm_packed *b, float beta, float *c, int64_t ldc,
                             const gm_gemm_options *options)
{
    if (!context || !is_packed_for(b, context, n, k) || (options && !gm_options_valid(options->size, sizeof *options)))
        return GM_INVALID_ARGUMENT;
    gm_status status = gm_gemm_check_operand(ta, m, k, a, lda);
    if (status == GM_OK)
        status = gm_check_matrix(m, n, c, ldc);
    if (status != GM_OK)
        return status;
    const struct gm_gemm_source left = {.transposed = ta == GM_TRANSPOSE, .data = a, .ld = lda};
    const struct gm_gemm_source right = {.kind = GM_GEMM_PACKED, .data = panels_of(b), .ld = k};
    const struct gm_gemm_epilogue store = {.c = c, .ldc = ldc, .alpha = alpha, .beta = beta};
    const struct gm_gemm_product product = {m, n, alpha == 0.0f ? 0 : k, &left, &right, &store};
    return gm_gemm_run_fused(context, &product, options);
}

size_t gm_gemm_packed_f32_workspace(const gm_context *context, gm_transpose ta, int64_t m, int64_t n, int64_t k,
                                    const gm_gemm_options *options)
{
    return gm_gemm_fused_f32_workspace(context, ta, GM_NO_TRANSPOSE, m, n, k, options);
}
