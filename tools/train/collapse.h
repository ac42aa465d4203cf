/* Signs of collapse: features that die, that copy each other, or an embedding that fills few dimensions. */
#ifndef GEMEL_COLLAPSE_H
#define GEMEL_COLLAPSE_H

#include <stdbool.h>
#include <stddef.h>

#include <gemel/context.h>

#include "train/run_history.h"

/* Puts the smallest deviation and the effective rank of an embedding into *epoch. z: [2 n, d], one view below the
 * other; statistics: [4 d] and scratch: [2 n d] are overwritten. Errors: GM_WORKSPACE_TOO_SMALL, GM_NOT_FINITE. */
gm_status gm_collapse_measure(gm_context *context, int64_t n, int64_t d, const float *z, float *statistics,
                              float *scratch, gm_history_epoch *epoch, gm_error *error);

/* Bytes of workspace that it needs. */
size_t gm_collapse_workspace(const gm_context *context, int64_t n, int64_t d);

/* Whether *epoch has such a sign; text says which, and what helps. eps: of the loss, which sees no deviation far below
 * its square root; 0 where there is none. */
bool gm_collapse_sign(const gm_history_epoch *epoch, int64_t n, int64_t d, double eps, char *text, size_t size);

#endif
