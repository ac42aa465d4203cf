#include "formats/image.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "formats/jpeg.h"
#include "formats/png.h"
#include "support/file.h"

enum { MOST_FILE = 1 << 30, RGB = 3 };

gm_status gm_image_resize(gm_image *image, int64_t height, int64_t width, const char *what, gm_error *error)
{
    if (height < 1 || width < 1 || height > GM_IMAGE_MOST_PIXELS || width > GM_IMAGE_MOST_PIXELS / height)
        return gm_error_set(error, GM_BAD_DATA, "%s: is %lld x %lld pixels; from 1 to %d in all are supported", what,
                            (long long)width, (long long)height, GM_IMAGE_MOST_PIXELS);
    const size_t bytes = (size_t)height * (size_t)width * RGB;
    if (bytes > image->capacity) {
        uint8_t *pixels = malloc(bytes);
        if (!pixels)
            return gm_file_no_memory(error, what, bytes);
        free(image->pixels);
        image->pixels = pixels;
        image->capacity = bytes;
    }
    image->height = height;
    image->width = width;
    return GM_OK;
}

void gm_image_free(gm_image *image)
{
    free(image->pixels);
    *image = (gm_image){0};
}

static gm_status not_an_image(const char *path, const uint8_t *bytes, size_t size, gm_error *error)
{
    char start[3 * 8 + 1] = "";
    if (size == 0)
        return gm_error_set(error, GM_BAD_DATA, "%s: an empty file", path);
    for (size_t i = 0; i < size && i < 8; i++)
        snprintf(start + 3 * i, sizeof start - 3 * i, " %02x", bytes[i]);
    return gm_error_set(error, GM_BAD_DATA, "%s: neither a JPEG nor a PNG file (first bytes%s)", path, start);
}

gm_status gm_image_read(const char *path, gm_image *image, gm_error *error)
{
    char *text;
    size_t size;
    gm_status status = gm_file_read(path, MOST_FILE, &text, &size, error);
    if (status != GM_OK)
        return status;
    const uint8_t *bytes = (const uint8_t *)text;
    if (gm_jpeg_begins(bytes, size))
        status = gm_jpeg_decode(bytes, size, path, image, error);
    else if (gm_png_begins(bytes, size))
        status = gm_png_decode(bytes, size, path, image, error);
    else
        status = not_an_image(path, bytes, size, error);
    free(text);
    return status;
}

static bool ends_as(const char *name, const char *const *endings)
{
    const char *end = strrchr(name, '.');
    for (; end && *endings; endings++)
        if (strcasecmp(end, *endings) == 0)
            return true;
    return false;
}

bool gm_image_is_decoded(const char *name)
{
    static const char *const endings[] = {".jpg", ".jpeg", ".png", NULL};
    return ends_as(name, endings);
}

/* The files that torchvision's ImageFolder takes for images. */
bool gm_image_is_named(const char *name)
{
    static const char *const others[] = {".ppm", ".bmp", ".pgm", ".tif", ".tiff", ".webp", NULL};
    return gm_image_is_decoded(name) || ends_as(name, others);
}
