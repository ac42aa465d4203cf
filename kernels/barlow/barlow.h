/* The Barlow Twins loss: the kernel contract, and what its files share. The derivations are in README.md. */
#ifndef GEMEL_BARLOW_KERNEL_H
#define GEMEL_BARLOW_KERNEL_H

#include <gemel/barlow.h>

#include "core/core.h"
#include "gemm/gemm.h"

/* Most columns that one kernel gets. */
enum { GM_BARLOW_COLS = 128 };

/* Columns of an embedding that are normalised whenever they are read, and never stored normalised:
 * a_ij = ((z_ij - mean_high_j) - mean_low_j) scale_j. */
struct gm_barlow_view {
    const float *z;
    int64_t ldz;
    float *mean_high, *mean_low, *scale;
};

/* Where the normalised columns of both sides go; each may be its view's z. */
struct gm_barlow_copies {
    float *a, *b;
    int64_t ld;
};

/* A view and its gradient dL/dz, which is also where the products may leave g. */
struct gm_barlow_side {
    struct gm_barlow_view view;
    float *dz;
    int64_t lddz;
};

/* A block of rows and columns of both sides on its way through the chain rule. All pointers begin at its first element;
 * dz may be g. */
struct gm_barlow_block_side {
    const float *packed;        /* a, in panels of columns as gm_gemm_kernels.pack_b() writes them; or NULL, then */
    struct gm_barlow_view view; /* it is normalised once more */
    const float *g;             /* dL/da without the diagonal's share */
    int64_t ldg;
    float *dz;
    int64_t lddz;
};

struct gm_barlow_block {
    int64_t rows, cols, panel; /* panel: columns of one, gm_gemm_kernels.nr, where both sides are packed */
    const float *weight; /* the diagonal's share of dL/da_ij is weight_j b_ij, and that of dL/db_ij weight_j a_ij */
    struct gm_barlow_block_side a, b;
    bool stream; /* dz, which is not g then, is large and not in the caches */
};

/* Columns of one side whose gradient is to be written, rows and columns from the first element on. */
struct gm_barlow_gradient {
    const float *own, *other; /* of dL/da: a and b */
    int64_t ld;
    const float *g; /* dL/da without the diagonal's share */
    int64_t ldg;
    const float *weight, *projection, *scale;
    float *dz;
    int64_t lddz;
    bool stream; /* as above */
};

/* Single-threaded; rows >= 1, 1 <= cols <= GM_BARLOW_COLS. Sums run in float over 32 rows, then in double. */
struct gm_barlow_kernels {
    const char *name;

    /* distance[j] = sum_i (a_ij - b_ij)^2, and the normalised columns unless copies is NULL. */
    void (*distances)(int64_t rows, int64_t cols, const struct gm_barlow_view *a, const struct gm_barlow_view *b,
                      double *distance, const struct gm_barlow_copies *copies);

    /* out[i ldo + j] = a_ij, for any number of columns. */
    void (*normalize)(int64_t rows, int64_t cols, const struct gm_barlow_view *a, float *out, int64_t ldo);

    /* y[i] += x[i] */
    void (*add)(int64_t count, const float *x, float *y);

    /* sum_i x[i] y[i] */
    double (*dot)(int64_t count, const float *x, const float *y);

    /* sum[j] += sum_i g_ij a_ij for both sides, with the whole g. */
    void (*project)(const struct gm_barlow_block *block, double *a_sum, double *b_sum);

    /* dz_ij = scale_j (g_ij - a_ij projection_j) for both sides, with the whole g. */
    void (*chain)(const struct gm_barlow_block *block, const float *a_projection, const float *b_projection);

    /* dz_ij = scale_j (g_ij + weight_j b_ij - a_ij projection_j) */
    void (*finish)(int64_t rows, int64_t cols, const struct gm_barlow_gradient *gradient);

    /* sum[j] = sum_i x_ij^2 */
    void (*squares)(int64_t rows, int64_t cols, const float *x, int64_t ldx, double *sum);

    /* mean[i ldm] = sum_j a_ij / cols, for any number of columns. */
    void (*row_means)(int64_t rows, int64_t cols, const struct gm_barlow_view *a, float *mean, int64_t ldm);
};

/* One call of gm_barlow_loss_f32(). */
struct gm_barlow_job {
    gm_context *context;
    int64_t n, d;
    gm_barlow_options options;
    double divisor; /* s of C = A^T B / s */
    double share;   /* the normalisation's own s over this one */
    bool gradients;
    struct gm_barlow_side a, b;
    float *weight;                 /* [d] */
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

/* Gradients together larger than a level-2 cache are written past the caches: their lines, a row apart, would have to
 * be read first, and would be gone before anyone reads them. */
static inline bool gm_barlow_streams(const struct gm_barlow_job *job)
{
    const int64_t least_floats = 1 << 18;
    return 2 * job->n * job->d >= least_floats;
}

/* Steps that follow each other share the workspace. */
static inline size_t gm_barlow_larger(size_t a, size_t b)
{
    return a > b ? a : b;
}

/* normalize.c */

/* Fills the means and scales of two views of cols <= GM_BARLOW_COLS columns and counts the constant ones. gap: NULL, or
 * [cols] for 1 - C_jj; copies: NULL, or, with a gap, where the normalised columns go. */
void gm_barlow_normalize_columns(struct gm_barlow_job *job, int64_t cols, const struct gm_barlow_view *a,
                                 const struct gm_barlow_view *b, double *gap, const struct gm_barlow_copies *copies);

/* The same for all columns, in parallel; gap: NULL or [d]. */
void gm_barlow_normalize(struct gm_barlow_job *job, double *gap);

/* Sums over columns of (C_jj - 1)^2 and of C_jj^2. */
struct gm_barlow_diagonal_sums {
    double invariance, squares;
};

/* Adds columns [first, first + cols) with C_jj = 1 - gap[j - first], and sets their weights if gradients are wanted. */
void gm_barlow_add_diagonal(const struct gm_barlow_job *job, int64_t first, int64_t cols, const double *gap,
                            struct gm_barlow_diagonal_sums *sums);

/* chain.c */

/* projection = sum / m */
void gm_barlow_divide_projections(const struct gm_barlow_job *job, int64_t cols, const double *sum, float *projection);

/* Turns g of the block's columns into dL/dz. */
void gm_barlow_chain_block(const struct gm_barlow_job *job, const struct gm_barlow_block *block);

/* Turns g, which the products left in dz, into dL/dz, in parallel. */
void gm_barlow_chain(struct gm_barlow_job *job);

/* dual.c, narrow.c, primal.c and tall.c: the loss's terms and, if asked for, dL/dz of both sides. The workspace counts
 * what they take besides the job's own. */
void gm_barlow_dual(struct gm_barlow_job *job);
size_t gm_barlow_dual_workspace(const gm_context *context, int64_t n, int64_t d, bool gradients);
void gm_barlow_narrow(struct gm_barlow_job *job);
size_t gm_barlow_narrow_workspace(const gm_context *context, int64_t n, int64_t d, bool gradients);
void gm_barlow_primal(struct gm_barlow_job *job);
size_t gm_barlow_primal_workspace(const gm_context *context, int64_t n, int64_t d, bool gradients);

void gm_barlow_tall(struct gm_barlow_job *job);
size_t gm_barlow_tall_workspace(const gm_context *context, int64_t n, int64_t d, bool gradients);

/* Columns of the primal form of tall.c: C and its transpose take at most 2 MiB; of fewer columns not all threads would
 * have a share. */
enum { GM_BARLOW_TALL_COLS_LEAST = 96, GM_BARLOW_TALL_COLS = 512 };

/* Most rows of the dual form of narrow.c: with 256 rows K_A and K_B fill half of a level-2 cache of 1 MiB. */
enum { GM_BARLOW_NARROW_ROWS = 256 };

/* dual.c, for narrow.c too. */

/* Sets the loss's terms; inner = <K_A, K_B>. */
void gm_barlow_set_dual_loss(struct gm_barlow_job *job, const struct gm_barlow_diagonal_sums *sums, double inner);

/* products.c: dL/dz of both sides from K_A and K_B, [n, n] with leading dimension ldk. */
void gm_barlow_products(struct gm_barlow_job *job, const float *k_a, const float *k_b, int64_t ldk);
size_t gm_barlow_products_workspace(const gm_context *context, int64_t n, int64_t d);

/* What K_B A and K_A B are multiplied with: 2 lambda scale / s^2. */
float gm_barlow_dual_factor(const struct gm_barlow_job *job);

/* barlow.c */

/* Takes the statistics of both views from the workspace. */
void gm_barlow_take_views(struct gm_barlow_job *job, const float *za, int64_t ldza, const float *zb, int64_t ldzb);
size_t gm_barlow_views_workspace(int64_t d);

/* Sets divisor and share from the options. */
void gm_barlow_set_divisor(struct gm_barlow_job *job);

/* GM_OK if shapes, pointers and options are usable; fills *options from the caller's or the defaults. */
gm_status gm_barlow_check(const gm_context *context, int64_t n, int64_t d, const float *za, int64_t ldza,
                          const float *zb, int64_t ldzb, const gm_barlow_options *given, gm_barlow_options *options);

#endif
