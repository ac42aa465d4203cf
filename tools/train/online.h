/* How good the features are while a run goes on: nearest neighbours and the linear probe on a part of the data that is
 * always the same, so that a run can be followed and nothing of it changes. */
#ifndef GEMEL_ONLINE_H
#define GEMEL_ONLINE_H

#include "train/evaluation.h"

/* Most samples of each split: at equal distances in it. */
enum { GM_ONLINE_TRAIN = 10000, GM_ONLINE_TEST = 2000 };

/* Shares of these test samples by gm_evaluation_default_options(); seed: of the probe. Errors: GM_BAD_USAGE (no labels
 * or no test samples), else those of gm_evaluate(). */
gm_status gm_online_evaluate(gm_context *context, const gm_dataset *dataset, gm_model *model, uint64_t seed,
                             double *knn, double *linear, gm_error *error);

/* Whether the data set has what that needs. Errors: GM_BAD_USAGE. */
gm_status gm_online_check(const gm_dataset *dataset, gm_error *error);

#endif
