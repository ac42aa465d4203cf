/* Pictures of 8 bits a channel and their PNG form; images from PNG files. */
#ifndef GEMEL_PNG_H
#define GEMEL_PNG_H

#include <gemel/error.h>

#include "formats/image.h"

typedef struct gm_picture {
    int32_t width, height;
    int32_t channels; /* 1 grey, 2 grey and alpha, 3 RGB, 4 RGBA */
    uint8_t *pixels;  /* [height, width, channels] */
} gm_picture;

/* All zero: black, or transparent. Errors: GM_INVALID_ARGUMENT (a size below 1), GM_OUT_OF_MEMORY; the picture is empty
 * then. */
gm_status gm_picture_create(int32_t width, int32_t height, int32_t channels, gm_picture *picture, gm_error *error);
void gm_picture_free(gm_picture *picture); /* an empty one is allowed */

/* *bytes: the file, freed by the caller. Errors: GM_INVALID_ARGUMENT, GM_OUT_OF_MEMORY; *bytes is NULL then. */
gm_status gm_png_encode(const gm_picture *picture, uint8_t **bytes, size_t *size, gm_error *error);

/* Whether these are the first bytes of a PNG file. */
bool gm_png_begins(const uint8_t *bytes, size_t size);

/* Decodes a whole file of any colour type and depth; `what` names it in errors. As by Pillow, transparency is left out,
 * colours of 16 bits keep their higher 8, and greys of 16 bits from 256 on become white. Errors: GM_BAD_DATA,
 * GM_OUT_OF_MEMORY. */
gm_status gm_png_decode(const uint8_t *bytes, size_t size, const char *what, gm_image *image, gm_error *error);

#endif
