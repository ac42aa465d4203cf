/* Mean and sum of squared deviations of each column: the kernel contract, and the call for operations inside. */
#ifndef GEMEL_COLUMN_STATS_KERNEL_H
#define GEMEL_COLUMN_STATS_KERNEL_H

#include <stdint.h>

#include "core/grid.h"

struct gm_column_stats_kernels {
    const char *name;

    /* mean[j] = sum_i x[i, j] / rows, squares[j] = sum_i (x[i, j] - mean[j])^2, for rows >= 1 and
     * 1 <= cols <= GM_GRID_COLS. large: x is part of a matrix that comes from memory (the results do not depend on it).
     * Single-threaded, reads x once, touches nothing beyond the matrix. |error| of squares is below 1e-6 relative (4e-6
     * where the first rows are nothing like the later ones), that of mean below 1e-6 of the column's root mean square.
     */
    void (*block)(int64_t rows, int64_t cols, const float *x, int64_t ldx, bool large, double *mean, double *squares);
};

/* As gm_column_stats_f32() after its checks, with the mean in two parts: mean + mean_low is exact to 2^-48 of the mean,
 * which keeps x - mean accurate where the mean is far larger than the deviation. divisor_offset: 0 biased, 1 unbiased.
 * mean_low and variance may be NULL. Returns GM_OK or GM_NOT_FINITE. */
gm_status gm_column_stats_run(gm_context *context, int64_t rows, int64_t cols, const float *x, int64_t ldx,
                              int64_t groups, int64_t divisor_offset, float *mean, float *mean_low, float *variance);

/* The pieces of that for whoever runs the kernel on blocks of his own, in the order of their rows: the statistics of
 * `done` rows become those of `rows` more; with done = 0 mean and squares are not read. */
void gm_column_stats_merge(int64_t done, int64_t rows, int64_t cols, const double *part_mean,
                           const double *part_squares, double *mean, double *squares);

/* Mean in two parts and variance of all rows; low and variance may be NULL. Returns whether they are finite. */
bool gm_column_stats_finish(int64_t rows, int64_t divisor_offset, int64_t cols, const double *mean,
                            const double *squares, float *high, float *low, float *variance);

/* Bytes of workspace that gm_column_stats_run() needs: 16 for each column of each rectangle of the grid. */
size_t gm_column_stats_run_workspace(int64_t rows, int64_t cols, int64_t groups);

#endif
