/* Pictures that a run draws: its cross-correlation matrix, and images with their nearest neighbours. Both have a
 * transparent ground, so that they fit light and dark pages. */
#ifndef GEMEL_REPORT_PICTURE_H
#define GEMEL_REPORT_PICTURE_H

#include <gemel/data.h>

#include "formats/png.h"
#include "train/evaluation.h"

/* Colours of a value v in [-1, 1]: the sign chooses one of two, and |v| is how opaque it is. */
enum { GM_COLOUR_POSITIVE = 0xD9622B, GM_COLOUR_NEGATIVE = 0x2A6FDB };

/* One pixel a tile. values: [tiles, tiles]; unit: the value that is shown opaque. */
gm_status gm_picture_of_matrix(const float *values, int64_t tiles, float unit, gm_picture *picture, gm_error *error);

/* Where an image of the sheet lies: row q, column 0 for the query and 1 … k for its neighbours; in pixels. */
typedef struct gm_sheet_layout {
    int32_t width, height; /* of the sheet */
    int32_t cell_width, cell_height;
    int32_t image_width, image_height; /* of one image, which files are made smaller for */
} gm_sheet_layout;

gm_sheet_layout gm_sheet_layout_of(const gm_dataset *dataset, const gm_neighbours *neighbours);
int32_t gm_sheet_x(const gm_sheet_layout *layout, int32_t column);
int32_t gm_sheet_y(const gm_sheet_layout *layout, int32_t row);

/* The sheet of a data set of images; neighbours of another class than the query's are framed. */
gm_status gm_picture_of_neighbours(const gm_dataset *dataset, const gm_neighbours *neighbours, gm_picture *picture,
                                   gm_error *error);

#endif
