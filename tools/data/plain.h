/* Inside tools/data: colour images without augmentation. */
#ifndef GEMEL_PLAIN_H
#define GEMEL_PLAIN_H

#include <gemel/data.h>

/* gm_dataset_plain_f32() of GM_DATA_COLOR_IMAGES, with checked arguments. */
gm_status gm_color_plain_f32(const gm_dataset *dataset, const gm_split *split, gm_context *context, const int64_t *rows,
                             int64_t count, float *y, int64_t ldy, gm_error *error);

#endif
