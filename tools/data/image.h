/* Inside tools/data: images of a data set one by one, as they are. */
#ifndef GEMEL_DATA_IMAGE_H
#define GEMEL_DATA_IMAGE_H

#include <gemel/data.h>

#include "formats/image.h"

/* image = the image `row` of a split of GM_DATA_COLOR_IMAGES: a copy of what is in memory, or a file decoded. Any
 * number of threads may call at the same time, with images of their own. Errors: GM_BAD_DATA for a file that is no
 * image or gone, with its name and what to do; GM_OUT_OF_MEMORY. */
gm_status gm_dataset_read_image(const gm_dataset *dataset, const gm_split *split, int64_t row, gm_image *image,
                                gm_error *error);

#endif
