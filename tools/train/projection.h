/* Samples in the plane: their first two principal components. */
#ifndef GEMEL_PROJECTION_H
#define GEMEL_PROJECTION_H

#include "train/samples.h"

enum { GM_PROJECTION_POINTS = 2000 };

typedef struct gm_projection {
    int32_t points;   /* at most GM_PROJECTION_POINTS; 0: there is none */
    bool of_training; /* the rows are those of the training samples */
    int64_t row[GM_PROJECTION_POINTS];
    float at[GM_PROJECTION_POINTS][2];
    double shares[2]; /* of the variance that each of the two directions has */
} gm_projection;

/* Projects at most GM_PROJECTION_POINTS of the samples, at equal distances, on the two directions of greatest variance
 * among them, each turned so that the point that lies farthest out has a positive coordinate. Fewer than three samples
 * give no points. Reserves workspace in the context. Errors: GM_OUT_OF_MEMORY, GM_NOT_FINITE. */
gm_status gm_project(gm_context *context, const gm_samples *samples, gm_projection *projection, gm_error *error);

#endif
