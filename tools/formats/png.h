/* Pictures of 8 bits a channel, and their PNG form. */
#ifndef GEMEL_PNG_H
#define GEMEL_PNG_H

#include <gemel/error.h>

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

#endif
