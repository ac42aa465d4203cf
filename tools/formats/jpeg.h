/* JPEG files: grey, RGB, YCbCr, CMYK and YCCK, of 8 bits, baseline or progressive. */
#ifndef GEMEL_JPEG_H
#define GEMEL_JPEG_H

#include "formats/image.h"

/* Whether these are the first bytes of a JPEG file. */
bool gm_jpeg_begins(const uint8_t *bytes, size_t size);

/* Decodes a whole file; `what` names it in errors. What libjpeg would warn of is an error here. Errors: GM_BAD_DATA,
 * GM_OUT_OF_MEMORY. */
gm_status gm_jpeg_decode(const uint8_t *bytes, size_t size, const char *what, gm_image *image, gm_error *error);

#endif
