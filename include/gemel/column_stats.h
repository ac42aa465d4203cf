/* Mean and variance of each column. */
#ifndef GEMEL_COLUMN_STATS_H
#define GEMEL_COLUMN_STATS_H

#include <gemel/api.h>
#include <gemel/context.h>
#include <gemel/status.h>

GM_BEGIN_DECLS

typedef struct gm_column_stats_options {
    size_t size;    /* sizeof(gm_column_stats_options) */
    int64_t groups; /* contiguous, equal ranges of rows with statistics of their own; divides rows */
    bool unbiased;  /* divide by (rows in the group) - 1 instead of the rows in the group */
} gm_column_stats_options;

static inline gm_column_stats_options gm_column_stats_default_options(void)
{
    gm_column_stats_options options = {sizeof(gm_column_stats_options), 1, false};
    return options;
}

/* mean[g, j] = sum_i x[i, j] / n, variance[g, j] = sum_i (x[i, j] - mean[g, j])^2 / (n or n - 1) over the n rows i of
 * group g. x: [rows, cols], ldx >= cols; mean, variance: [groups, cols], contiguous; variance may be NULL.
 * One pass over memory, stable at any offset: the relative error of the variance is below 1e-6, or below 4e-6 where the
 * first rows are nothing like the later ones, and the error of the mean below 1e-6 of the column's root mean square.
 * One row in an unbiased group gives NaN, as 0/0 does. options: NULL for one biased group. Errors: GM_INVALID_ARGUMENT
 * (also rows < groups), GM_SIZE_OVERFLOW, GM_WORKSPACE_TOO_SMALL; GM_NOT_FINITE if a mean or, with more than one row, a
 * variance is not finite. */
GM_API gm_status gm_column_stats_f32(gm_context *context, int64_t rows, int64_t cols, const float *x, int64_t ldx,
                                     const gm_column_stats_options *options, float *mean, float *variance);

/* Bytes of workspace that the call above needs. */
GM_API size_t gm_column_stats_f32_workspace(const gm_context *context, int64_t rows, int64_t cols,
                                            const gm_column_stats_options *options);

GM_END_DECLS

#endif
