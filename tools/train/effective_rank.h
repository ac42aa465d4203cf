/* How many dimensions an embedding fills. */
#ifndef GEMEL_EFFECTIVE_RANK_H
#define GEMEL_EFFECTIVE_RANK_H

#include <gemel/context.h>

/* The participation ratio (sum l_i)^2 / sum l_i^2 of the eigenvalues l_i of the covariance of z's columns: 1 where all
 * rows lie on a line, k where they fill k dimensions alike; 0 where they are equal. It needs no eigenvalues, being
 * trace^2 / |.|_F^2 of the covariance, and of the matrix of the rows' inner products. At most min(n - 1, d), and of n
 * rows of d independent columns about n d / (n + d).
 *
 * z: [n, d], contiguous, n >= 1; mean: [d], of its columns; scratch: [2 n d]. Errors: GM_WORKSPACE_TOO_SMALL;
 * GM_NOT_FINITE with *rank NaN. */
gm_status gm_effective_rank(gm_context *context, int64_t n, int64_t d, const float *z, const float *mean,
                            float *scratch, double *rank);

/* Bytes of workspace that it needs. */
size_t gm_effective_rank_workspace(const gm_context *context, int64_t n, int64_t d);

#endif
