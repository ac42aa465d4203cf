/* GEMM's inside, for operations that need more than gm_gemm_f32(): where operands come from and what becomes of C.
 *
 *   S = op(A) op(B), S: [m, n], sums over k in ascending order within blocks whose borders depend on k and the ISA
 * alone.
 *
 * The epilogue turns S into the caller's result. All bits depend on shape, options and ISA, never on threads. */
#ifndef GEMEL_KERNELS_GEMM_GEMM_H
#define GEMEL_KERNELS_GEMM_GEMM_H

#include "core/core.h"

enum gm_gemm_source_kind {
    GM_GEMM_PLAIN = 0,
    GM_GEMM_PACKED,     /* B alone: all k of it in panels as the kernels' pack_b() leaves them, ld of them */
    GM_GEMM_NORMALISED, /* x of stored column j stands for (x - mean_high[j] - mean_low[j]) scale[j] */
};

/* An operand as it is stored, row-major: A is [m, k], B is [k, n]; transposed swaps each. ld >= stored columns. */
struct gm_gemm_source {
    enum gm_gemm_source_kind kind;
    bool transposed;
    const float *data;
    int64_t ld;
    const float *mean_high, *mean_low, *scale; /* [stored columns] of GM_GEMM_NORMALISED */
};

enum gm_gemm_epilogue_kind {
    GM_GEMM_STORE = 0, /* C = alpha S + beta C; beta = 0 never reads C, beta = 1 adds */
    GM_GEMM_LOSS,      /* the Barlow Twins loss off the diagonal, of rows [row0, row0 + m) of C = alpha S */
};

/* Rows whose sums are taken as one: they belong to one thread, whatever the cut. */
enum { GM_GEMM_SUM_ROWS = 64 };

/* What becomes of X = alpha S + beta C in each column; pointers may be NULL. */
struct gm_gemm_finish {
    const float *scale, *bias; /* C_ij = scale_j X_ij + bias_j, */
    bool relu;                 /* or max(0, that), which keeps NaN */
    float *sums;               /* [ceil(m / GM_GEMM_SUM_ROWS), ldsums]: of C over so many rows, added in their order */
    int64_t ldsums;
};

struct gm_gemm_epilogue {
    enum gm_gemm_epilogue_kind kind;
    float *c; /* [m, n], ldc >= n, overlaps neither operand */
    int64_t ldc;
    float alpha, beta;                   /* GM_GEMM_LOSS takes beta as 0 */
    const struct gm_gemm_finish *finish; /* of GM_GEMM_STORE; NULL: C = X */
    bool symmetric; /* m = n and S is symmetric (B is A transposed) and so is C: half the work, the same bits */

    /* GM_GEMM_LOSS: with X = alpha S, C_ij becomes 2 lambda X_ij, and 0 on the diagonal row0 + i = j; *squares becomes
     * the sum of X_ij^2 off it, in double and in fixed order. */
    int64_t row0;
    float lambda;
    double *squares;
};

/* The caller has checked the arguments and that gm_gemm_run_workspace() bytes fit. Uses the context's threads,
 * so it is not for the inside of a parallel loop. */
void gm_gemm_run(gm_context *context, int64_t m, int64_t n, int64_t k, const struct gm_gemm_source *a,
                 const struct gm_gemm_source *b, const struct gm_gemm_epilogue *epilogue);

/* Bytes, a multiple of GM_CACHE_LINE, that gm_gemm_run() takes and releases; at most 2 MiB a thread for GM_GEMM_STORE,
 * and about m n / 8 more for GM_GEMM_LOSS. */
size_t gm_gemm_run_workspace(const gm_context *context, int64_t m, int64_t n, int64_t k,
                             enum gm_gemm_epilogue_kind kind);

#endif
