/* Inside tools/data: the samples that one call turns into views. */
#ifndef GEMEL_VIEW_H
#define GEMEL_VIEW_H

#include <gemel/data.h>

/* Views first_view … first_view + views - 1 of samples; view v of the i-th one goes to y + (v - first_view) view_stride
 * + i ldy. */
struct gm_view_request {
    const gm_dataset *dataset;
    const gm_split *split;
    const gm_augmentation *augmentation; /* NULL: the samples as they are */
    uint64_t seed;
    int64_t epoch;
    int32_t first_view, views;
    const int64_t *rows; /* [count], or NULL for 0, 1, 2 … */
    int64_t count;
    float *y;
    int64_t ldy, view_stride;
};

/* Errors: those of gm_dataset_views_f32(). */
gm_status gm_views_make(const struct gm_view_request *request, gm_context *context, gm_error *error);

#endif
