/* Inside tools/data: views of colour images. */
#ifndef GEMEL_COLOR_VIEW_H
#define GEMEL_COLOR_VIEW_H

#include "data/augmentation.h"
#include "data/view.h"
#include "formats/image.h"

/* y = the view of an image, [height, width, 3] bytes; every step rounds to bytes, as Pillow does. `framed`: without a
 * crop the image is resized and its middle cut out, else it has the size of y already. Reserves workspace.
 * buffer: at first all zero, then reused. Errors: GM_OUT_OF_MEMORY. */
gm_status gm_color_view_apply(const gm_color_view *view, gm_context *context, const gm_image *image, bool framed,
                              int64_t height, int64_t width, gm_image *buffer, uint8_t *y, gm_error *error);

/* gm_views_make() of GM_DATA_COLOR_IMAGES, with checked arguments. Each image is read once for all of its views. */
gm_status gm_color_views_make(const struct gm_view_request *request, gm_context *context, gm_error *error);

#endif
