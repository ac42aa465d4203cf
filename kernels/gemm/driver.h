/* The ways in which gemm.c has products computed that are not near (near.h): all ways give the same bits, since each
 * sums over k in the same blocks.
 */
#ifndef GEMEL_KERNELS_GEMM_DRIVER_H
#define GEMEL_KERNELS_GEMM_DRIVER_H

#include "gemm/gemm.h"
#include "gemm/kernel.h"

/* gm_gemm_run()'s arguments, m and n positive. */
struct gm_gemm_product {
    int64_t m, n, k;
    const struct gm_gemm_source *a, *b;
    const struct gm_gemm_epilogue *epilogue;
};

/* Threads that a product is worth: below these multiply-adds a second one saves less than waking it costs. */
static inline int64_t gm_gemm_threads(const gm_context *context, int64_t m, int64_t n, int64_t k)
{
    const double least_parallel_work = 1 << 19;
    const bool serial = context->in_parallel || (double)m * (double)n * (double)k < least_parallel_work;
    return serial ? 1 : context->threads;
}

/* Parts into which k is cut where C is small and k long, so that threads have something to share: their sums are added
 * in order. This decides bits, so it is a function of the shape alone; several parts are the direct way's alone. */
int64_t gm_gemm_parts(const struct gm_gemm_product *product);

/* Workspace does not depend on strides, though the choice of a way may. */
size_t gm_gemm_direct_workspace(const gm_context *context, int64_t m, int64_t n, int64_t k);
size_t gm_gemm_shared_workspace(const gm_context *context, int64_t m, int64_t n, int64_t k,
                                enum gm_gemm_epilogue_kind kind);

/* Both: GM_OK, or GM_WORKSPACE_TOO_SMALL and C untouched. Of a symmetric C what lies below and near the diagonal is
 * written. GM_GEMM_STORE alone: */
gm_status gm_gemm_direct_run(gm_context *context, const struct gm_gemm_product *product);

gm_status gm_gemm_shared_run(gm_context *context, const struct gm_gemm_product *product);

#endif
