/* Nearest neighbours by cosine similarity, and the weighted vote that judges features by them. */
#ifndef GEMEL_KNN_H
#define GEMEL_KNN_H

#include "train/samples.h"

typedef struct gm_knn_options {
    int32_t k;         /* neighbours that vote; all of a bank that has fewer */
    float temperature; /* > 0; a neighbour's vote weighs exp(similarity / temperature) */
} gm_knn_options;

static inline gm_knn_options gm_knn_default_options(void)
{
    gm_knn_options options = {20, 0.1f};
    return options;
}

/* The k rows of `bank` with the greatest cosine <q, b> / (|q| |b|) to each query, nearest first; of equal ones the
 * smaller index comes first. Norms count as at least 1e-12, so a row of zeros has similarity 0 to everything.
 * 1 <= k <= bank->rows; similarity, index: [queries->rows, k]. Labels are not used. Beside the arguments it holds 8
 * MiB. Errors: GM_INVALID_ARGUMENT, GM_OUT_OF_MEMORY, GM_NOT_FINITE. */
gm_status gm_nearest(gm_context *context, const gm_samples *bank, const gm_samples *queries, int32_t k,
                     float *similarity, int32_t *index, gm_error *error);

/* The class with the greatest sum of votes, the smaller one of equals. similarity, index: the k neighbours of one query
 * as gm_nearest() gives them; labels: of the bank; votes: scratch, [classes]. */
int32_t gm_knn_vote(int32_t k, const float *similarity, const int32_t *index, const int32_t *labels, int32_t classes,
                    float temperature, double *votes);

/* Share of the queries whose vote is their label. options: NULL for the defaults. Errors: as gm_nearest(). */
gm_status gm_knn_accuracy(gm_context *context, const gm_samples *bank, const gm_samples *queries, int32_t classes,
                          const gm_knn_options *options, double *accuracy, gm_error *error);

#endif
