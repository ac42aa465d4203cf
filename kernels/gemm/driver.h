/* The ways in which gemm.c has products computed that are not near (near.h): all ways give the same bits, since each
 * sums over k in the same blocks.
 */
#ifndef GEMEL_KERNELS_GEMM_DRIVER_H
#define GEMEL_KERNELS_GEMM_DRIVER_H

#include <gemel/gemm.h>

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
    const double least_parallel_work = 1 << 17;
    const bool serial = context->in_parallel || (double)m * (double)n * (double)k < least_parallel_work;
    return serial ? 1 : context->threads;
}

/* Most k in one block. Deeper blocks update C less often; but the shared way packs 2 MiB of A and B at a time, so there
 * are numbers of columns that fit in it at a lesser depth alone, and A is packed once. This decides bits. */
static inline int64_t gm_gemm_depth(const struct gm_gemm_kernels *kernels, int64_t n)
{
    const int64_t most_floats = 416 << 10;
    return n * kernels->depth > most_floats && n * kernels->depth_wide <= most_floats ? kernels->depth_wide
                                                                                      : kernels->depth;
}

/* Everything in the nearest caches, and so small that whatever is done beside the tiles would show: for
 * multiply_near(). */
static inline bool gm_gemm_is_near(bool ta, bool tb, int64_t m, int64_t n, int64_t k)
{
    return !ta && !tb && m <= GM_GEMM_NEAR_MOST && n <= GM_GEMM_NEAR_MOST && k <= GM_GEMM_NEAR_MOST && m * n > 0;
}

/* A near product, on the caller's thread. */
static inline void gm_gemm_near_run(const gm_context *context, const struct gm_gemm_product *p)
{
    const struct gm_gemm_source *a = p->a, *b = p->b;
    const struct gm_gemm_epilogue *e = p->epilogue;
    context->kernels.gemm->multiply_near(p->m, p->n, p->k, e->alpha, a->data, a->ld, b->data, b->ld, e->beta, e->c,
                                         e->ldc, e->finish);
}

/* What follows a product runs on the threads that it was worth. */
static inline void gm_gemm_share_out(gm_context *context, const struct gm_gemm_product *p, int64_t chunks,
                                     gm_chunk_body body, void *arg)
{
    if (gm_gemm_threads(context, p->m, p->n, p->k) == 1)
        gm_run_serially(chunks, body, arg);
    else
        gm_parallel(context, chunks, body, arg);
}

/* Whether C goes past the caches: new, written once and larger than a last-level cache, where reading its lines before
 * they are overwritten costs as much as writing them. */
static inline bool gm_gemm_streams(const struct gm_gemm_product *p, int64_t depth_blocks)
{
    const double least_floats = 8 << 20;
    const struct gm_gemm_epilogue *e = p->epilogue;
    return e->kind == GM_GEMM_STORE && e->beta == 0.0f && !e->symmetric && depth_blocks == 1 &&
           !(e->finish && e->finish->sums) && (double)p->m * (double)p->n >= least_floats;
}

/* Parts into which k is cut where C is small and k long, so that threads have something to share: their sums are added
 * in order. This decides bits, so it is a function of the shape alone; several parts are the direct way's alone. */
int64_t gm_gemm_parts(const struct gm_gemm_product *product);

/* Rows of C are cut at multiples of this. */
static inline int64_t gm_gemm_row_grain(const struct gm_gemm_epilogue *epilogue)
{
    return epilogue->finish && epilogue->finish->sums ? GM_GEMM_SUM_ROWS : 1;
}

/* Either way, for a product that gemm.c has checked: GM_OK, or GM_WORKSPACE_TOO_SMALL and C untouched. */
gm_status gm_gemm_run_product(gm_context *context, const struct gm_gemm_product *product);

/* The same with what the options ask for; they are valid or NULL, and the epilogue has no finish. */
gm_status gm_gemm_run_fused(gm_context *context, const struct gm_gemm_product *product, const gm_gemm_options *options);

/* GM_OK if op(data) is a [rows, cols] matrix. */
gm_status gm_gemm_check_operand(gm_transpose transpose, int64_t rows, int64_t cols, const float *data, int64_t ld);

/* The same of both operands and of C. */
gm_status gm_gemm_check_product(gm_transpose ta, gm_transpose tb, int64_t m, int64_t n, int64_t k, const float *a,
                                int64_t lda, const float *b, int64_t ldb, const float *c, int64_t ldc);

/* Whether the direct way is the better one. */
bool gm_gemm_direct_pays(const gm_context *context, const struct gm_gemm_product *product);

/* Workspace does not depend on strides, though the choice of a way may. */
size_t gm_gemm_workspace(const gm_context *context, int64_t m, int64_t n, int64_t k, enum gm_gemm_epilogue_kind kind,
                         int64_t row_grain);
size_t gm_gemm_direct_workspace(const gm_context *context, int64_t m, int64_t n, int64_t k, int64_t row_grain);
size_t gm_gemm_shared_workspace(const gm_context *context, int64_t m, int64_t n, int64_t k,
                                enum gm_gemm_epilogue_kind kind, int64_t row_grain);

/* Both: GM_OK, or GM_WORKSPACE_TOO_SMALL and C untouched. Of a symmetric C what lies below and near the diagonal is
 * written. GM_GEMM_STORE alone: */
gm_status gm_gemm_direct_run(gm_context *context, const struct gm_gemm_product *product);

/* The same by the calling thread alone, which brings the workspace; k in one part. */
void gm_gemm_direct_run_serially(const gm_context *context, const struct gm_gemm_product *product, float *workspace);

/* Bytes for that, a multiple of GM_CACHE_LINE. */
size_t gm_gemm_direct_serial_workspace(const gm_context *context, int64_t m, int64_t n, int64_t k);

gm_status gm_gemm_shared_run(gm_context *context, const struct gm_gemm_product *product);

#endif
