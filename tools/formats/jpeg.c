#include "formats/jpeg.h"

#include <stdlib.h>
#include <string.h>
#include <turbojpeg.h>

#include "support/file.h"

/* A file asks for time by its scans, each of which may go over all pixels: real ones have about ten. And for memory by
 * its size, which needs at least one bit for the mean of each block of 8 x 8. */
enum { MOST_SCANS = 100, MOST_PIXELS_A_BYTE = 8 * 64 };

enum { SOI = 0xd8, EOI = 0xd9, SOS = 0xda, TEM = 0x01, RST0 = 0xd0, RST7 = 0xd7, DHT = 0xc4, JPG = 0xc8, DAC = 0xcc };

struct jpeg_header {
    int32_t height, width, components, scans;
};

bool gm_jpeg_begins(const uint8_t *bytes, size_t size)
{
    return size >= 3 && bytes[0] == 0xff && bytes[1] == SOI && bytes[2] == 0xff;
}

static bool starts_a_frame(uint8_t marker)
{
    return marker >= 0xc0 && marker <= 0xcf && marker != DHT && marker != JPG && marker != DAC;
}

/* Markers without a length: they stand alone, also in the data of a scan. */
static bool stands_alone(uint8_t marker)
{
    return marker == SOI || marker == TEM || (marker >= RST0 && marker <= RST7);
}

/* Goes from marker to marker up to the end. What lies between them is left to the library to judge. */
static gm_status read_header(const uint8_t *bytes, size_t size, const char *what, struct jpeg_header *header,
                             gm_error *error)
{
    *header = (struct jpeg_header){0};
    size_t at = 2;
    while (at + 2 <= size && !(bytes[at] == 0xff && bytes[at + 1] == EOI)) {
        const uint8_t marker = bytes[at + 1];
        if (bytes[at] != 0xff || marker == 0x00 || marker == 0xff || stands_alone(marker)) {
            at += bytes[at] == 0xff && marker != 0xff ? 2 : 1;
            continue;
        }
        if (at + 4 > size)
            break;
        const size_t length = (size_t)bytes[at + 2] << 8 | bytes[at + 3];
        if (length > size - at - 2)
            break;
        const uint8_t *segment = bytes + at + 4;
        if (starts_a_frame(marker)) {
            if (length < 8 || header->width)
                return gm_error_set(error, GM_BAD_DATA, "%s: a damaged JPEG file (frame header)", what);
            header->height = segment[1] << 8 | segment[2];
            header->width = segment[3] << 8 | segment[4];
            header->components = segment[5];
        }
        if (marker == SOS && ++header->scans > MOST_SCANS)
            return gm_error_set(error, GM_BAD_DATA, "%s: has more than %d scans; save it again", what, MOST_SCANS);
        at += 2 + length;
    }
    if (at + 2 > size || bytes[at] != 0xff || bytes[at + 1] != EOI)
        return gm_error_set(error, GM_BAD_DATA, "%s: a JPEG file that is cut short after %zu bytes", what, size);
    if (header->scans == 0 || header->width == 0)
        return gm_error_set(error, GM_BAD_DATA, "%s: a JPEG file without an image", what);
    return GM_OK;
}

/* Pillow's rounding of a b / 255. */
static uint8_t times(uint32_t a, uint32_t b)
{
    const uint32_t product = a * b + 128;
    return (uint8_t)((product + (product >> 8)) >> 8);
}

/* Files store the inks inverted, 255 for none, as Photoshop began to; Pillow takes every file so. */
static void inks_to_rgb(const uint8_t *cmyk, size_t pixels, uint8_t *rgb)
{
    for (size_t i = 0; i < pixels; i++) {
        const uint8_t light = cmyk[4 * i + 3];
        for (size_t c = 0; c < 3; c++)
            rgb[3 * i + c] = light - times(255u - cmyk[4 * i + c], light);
    }
}

static gm_status decompress(const uint8_t *bytes, size_t size, const char *what, const struct jpeg_header *header,
                            int format, uint8_t *pixels, gm_error *error)
{
    tjhandle decoder = tjInitDecompress();
    if (!decoder)
        return gm_error_set(error, GM_OUT_OF_MEMORY, "%s: no memory for a JPEG decoder", what);
    gm_status status = GM_OK;
    if (tjDecompress2(decoder, bytes, size, pixels, header->width, 0, header->height, format,
                      TJFLAG_ACCURATEDCT | TJFLAG_STOPONWARNING | TJFLAG_LIMITSCANS) != 0)
        status = gm_error_set(error, GM_BAD_DATA, "%s: a damaged JPEG file (%s)", what, tjGetErrorStr2(decoder));
    tjDestroy(decoder);
    return status;
}

gm_status gm_jpeg_decode(const uint8_t *bytes, size_t size, const char *what, gm_image *image, gm_error *error)
{
    struct jpeg_header header;
    gm_status status = read_header(bytes, size, what, &header, error);
    if (status != GM_OK)
        return status;
    const size_t pixels = (size_t)header.height * (size_t)header.width;
    if (pixels <= GM_IMAGE_MOST_PIXELS && pixels / MOST_PIXELS_A_BYTE > size)
        return gm_error_set(error, GM_BAD_DATA, "%s: a JPEG file of %d x %d pixels cannot have only %zu bytes", what,
                            header.width, header.height, size);
    status = gm_image_resize(image, header.height, header.width, what, error);
    if (status != GM_OK)
        return status;
    if (header.components != 4)
        return decompress(bytes, size, what, &header, TJPF_RGB, image->pixels, error);
    uint8_t *inks = malloc(4 * pixels);
    if (!inks)
        return gm_file_no_memory(error, what, 4 * pixels);
    status = decompress(bytes, size, what, &header, TJPF_CMYK, inks, error);
    if (status == GM_OK)
        inks_to_rgb(inks, pixels, image->pixels);
    free(inks);
    return status;
}
