/* The Barlow Twins loss: the kernel contract, and what its files share. The derivations are in README.md. */
#ifndef GEMEL_BARLOW_KERNEL_H
#define GEMEL_BARLOW_KERNEL_H

#include <gemel/barlow.h>

#include "core/core.h"
#include "gemm/gemm.h"

/* Most columns that one column kernel gets, and the width of the chunks that run in parallel: 256 rows of the four
 * matrices of the chain rule fill half of a level-2 cache of 1 MiB, so the second reading of them comes from there. */
enum { GM_BARLOW_COLS = 128 };

/* Columns of an embedding that are normalised whenever they are read, and never stored normalised:
 * a_ij = ((z_ij - mean_high_j) - mean_low_j) scale_j. */
struct gm_barlow_view {
    const float *z;
    int64_t ldz;
    float *mean_high, *mean_low, *scale;
};

/* A view, and g = dL/da without the diagonal's share on entry of the chain rule, dL/dz on return. */
struct gm_barlow_side {
    struct gm_barlow_view view;
    float *g;
    int64_t ldg;
};

/* What the chain rule needs of each column: sum_i g_ij and sum_i g_ij a_ij. */
struct gm_barlow_sums {
    double g[GM_BARLOW_COLS], ga[GM_BARLOW_COLS];
};

/* The same, divided: dL/dz_ij = scale_j (g_ij - mean_j - a_ij projection_j). */
struct gm_barlow_chain {
    float mean[GM_BARLOW_COLS], projection[GM_BARLOW_COLS];
};

/* Single-threaded; rows >= 1, 1 <= cols <= GM_BARLOW_COLS. Sums run in float over 32 rows, then in double. */
struct gm_barlow_kernels {
    const char *name;

    /* diagonal[j] = sum_i a_ij b_ij */
    void (*diagonal)(int64_t rows, int64_t cols, const struct gm_barlow_view *a, const struct gm_barlow_view *b,
                     double *diagonal);

    /* sum_i x[i] y[i] */
    double (*dot)(int64_t count, const float *x, const float *y);

    /* The sums of g_a + weight_j b and of g_b + weight_j a, which nobody stores. */
    void (*chain_sums)(int64_t rows, int64_t cols, const float *weight, const struct gm_barlow_side *a,
                       const struct gm_barlow_side *b, struct gm_barlow_sums *a_sums, struct gm_barlow_sums *b_sums);

    /* Replaces g of both sides by dL/dz. */
    void (*chain_apply)(int64_t rows, int64_t cols, const float *weight, const struct gm_barlow_side *a,
                        const struct gm_barlow_side *b, const struct gm_barlow_chain *a_chain,
                        const struct gm_barlow_chain *b_chain);

    /* mean[i ldm] = sum_j a_ij / cols, for any number of columns. */
    void (*row_means)(int64_t rows, int64_t cols, const struct gm_barlow_view *a, float *mean, int64_t ldm);
};

/* One call of gm_barlow_loss_f32(). */
struct gm_barlow_job {
    gm_context *context;
    int64_t n, d;
    gm_barlow_options options;
    double divisor; /* s of C = A^T B / s */
    bool gradients;
    struct gm_barlow_side a, b;
    float *weight; /* [d]: the diagonal's share of dL/da is weight_j b_ij, and that of dL/db is weight_j a_ij */
    double invariance, redundancy; /* the result, without scale and lambda */
    int64_t constant_columns;
};

static inline struct gm_barlow_view gm_barlow_view_from(const struct gm_barlow_view *view, int64_t first_col)
{
    const struct gm_barlow_view from = {view->z + first_col, view->ldz, view->mean_high + first_col,
                                        view->mean_low + first_col, view->scale + first_col};
    return from;
}

static inline struct gm_gemm_source gm_barlow_source(const struct gm_barlow_view *view, bool transposed)
{
    const struct gm_gemm_source source = {GM_GEMM_NORMALISED, transposed,     view->z,    view->ldz,
                                          view->mean_high,    view->mean_low, view->scale};
    return source;
}

/* normalize.c */

/* Fills both views' means and scales and counts the constant columns. diagonal: NULL, or [d] for d_j = C_jj. */
void gm_barlow_normalize(struct gm_barlow_job *job, double *diagonal);

/* Turns g of both sides into dL/dz. */
void gm_barlow_chain(struct gm_barlow_job *job);

/* dual.c and primal.c: loss terms and, if asked for, g of both sides and the weights. The workspace counts what
 * they take besides the job's own. */
void gm_barlow_dual(struct gm_barlow_job *job);
size_t gm_barlow_dual_workspace(const gm_context *context, int64_t n, int64_t d, bool gradients);
void gm_barlow_primal(struct gm_barlow_job *job);
size_t gm_barlow_primal_workspace(const gm_context *context, int64_t n, int64_t d, bool gradients);

/* barlow.c */

/* Takes the statistics of both views from the workspace. */
void gm_barlow_take_views(struct gm_barlow_job *job, const float *za, int64_t ldza, const float *zb, int64_t ldzb);
size_t gm_barlow_views_workspace(int64_t d);

/* GM_OK if shapes, pointers and options are usable; fills *options from the caller's or the defaults. */
gm_status gm_barlow_check(const gm_context *context, int64_t n, int64_t d, const float *za, int64_t ldza,
                          const float *zb, int64_t ldzb, const gm_barlow_options *given, gm_barlow_options *options);

#endif
