/* Decoded images: RGB, one byte a channel, whatever the file holds, as Pillow's convert("RGB") gives. */
#ifndef GEMEL_IMAGE_FORMAT_H
#define GEMEL_IMAGE_FORMAT_H

#include <gemel/error.h>

/* Begin with one that is all zero; each call that fills it reuses its memory, or replaces it by more. */
typedef struct gm_image {
    int64_t height, width;
    uint8_t *pixels; /* [height, width, 3], without room between rows */
    size_t capacity; /* bytes at pixels */
} gm_image;

/* Images of more pixels are refused: Pillow's own bound. */
enum { GM_IMAGE_MOST_PIXELS = 178956970 };

/* Makes room for height x width pixels; `what` names the image in errors. Errors: GM_BAD_DATA (a size below 1, or too
 * many pixels), GM_OUT_OF_MEMORY. The image is as it was then. */
gm_status gm_image_resize(gm_image *image, int64_t height, int64_t width, const char *what, gm_error *error);
void gm_image_free(gm_image *image);

/* Reads a JPEG or PNG file, which its first bytes tell apart, not its name. EXIF's orientation is not followed.
 * Errors: GM_IO_ERROR, GM_BAD_DATA, GM_OUT_OF_MEMORY. */
gm_status gm_image_read(const char *path, gm_image *image, gm_error *error);

/* Whether the end of a file's name is that of a JPEG or PNG file, or of another image that others read; of any case. */
bool gm_image_is_named(const char *name);
bool gm_image_is_decoded(const char *name);

#endif
