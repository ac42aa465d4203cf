#include "formats/png.h"

#include <spng.h>
#include <stdlib.h>
#include <string.h>

#include "support/file.h"

/* deflate's best: a file of so many bytes cannot hold more than this times as many. */
enum { MOST_BYTES_A_BYTE = 1032, MOST_CHUNK = 1 << 26, RGB = 3 };

gm_status gm_picture_create(int32_t width, int32_t height, int32_t channels, gm_picture *picture, gm_error *error)
{
    *picture = (gm_picture){0};
    if (width < 1 || height < 1 || channels < 1 || channels > 4)
        return gm_error_set(error, GM_INVALID_ARGUMENT, "no picture of %d x %d with %d channels", width, height,
                            channels);
    uint8_t *pixels = calloc((size_t)width * (size_t)height, (size_t)channels);
    if (!pixels)
        return gm_error_set(error, GM_OUT_OF_MEMORY, "no memory for a picture of %d x %d", width, height);
    *picture = (gm_picture){width, height, channels, pixels};
    return GM_OK;
}

void gm_picture_free(gm_picture *picture)
{
    free(picture->pixels);
    *picture = (gm_picture){0};
}

gm_status gm_png_encode(const gm_picture *picture, uint8_t **bytes, size_t *size, gm_error *error)
{
    static const uint8_t colour_types[] = {SPNG_COLOR_TYPE_GRAYSCALE, SPNG_COLOR_TYPE_GRAYSCALE_ALPHA,
                                           SPNG_COLOR_TYPE_TRUECOLOR, SPNG_COLOR_TYPE_TRUECOLOR_ALPHA};
    *bytes = NULL;
    *size = 0;
    if (!picture->pixels || picture->channels < 1 || picture->channels > 4)
        return gm_error_set(error, GM_INVALID_ARGUMENT, "an empty picture has no PNG form");
    spng_ctx *encoder = spng_ctx_new(SPNG_CTX_ENCODER);
    if (!encoder)
        return gm_error_set(error, GM_OUT_OF_MEMORY, "no memory for a PNG encoder");
    struct spng_ihdr header = {.width = (uint32_t)picture->width,
                               .height = (uint32_t)picture->height,
                               .bit_depth = 8,
                               .color_type = colour_types[picture->channels - 1]};
    const size_t length = (size_t)picture->width * (size_t)picture->height * (size_t)picture->channels;
    int code = spng_set_option(encoder, SPNG_ENCODE_TO_BUFFER, 1);
    if (!code)
        code = spng_set_ihdr(encoder, &header);
    if (!code)
        code = spng_encode_image(encoder, picture->pixels, length, SPNG_FMT_PNG, SPNG_ENCODE_FINALIZE);
    if (!code)
        *bytes = spng_get_png_buffer(encoder, size, &code);
    spng_ctx_free(encoder);
    if (code)
        return gm_error_set(error, code == SPNG_EMEM ? GM_OUT_OF_MEMORY : GM_INVALID_ARGUMENT,
                            "a picture of %d x %d cannot become a PNG file: %s", picture->width, picture->height,
                            spng_strerror(code));
    return GM_OK;
}

bool gm_png_begins(const uint8_t *bytes, size_t size)
{
    static const uint8_t signature[] = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n'};
    return size >= sizeof signature && memcmp(bytes, signature, sizeof signature) == 0;
}

static gm_status damaged(const char *what, int code, gm_error *error)
{
    if (code == SPNG_EMEM)
        return gm_error_set(error, GM_OUT_OF_MEMORY, "%s: no memory for a PNG decoder", what);
    return gm_error_set(error, GM_BAD_DATA, "%s: a damaged PNG file (%s)", what, spng_strerror(code));
}

/* The bytes that the file unpacks to. */
static uint64_t unpacked_bytes(const struct spng_ihdr *header)
{
    static const uint8_t channels[] = {[SPNG_COLOR_TYPE_GRAYSCALE] = 1,
                                       [SPNG_COLOR_TYPE_TRUECOLOR] = 3,
                                       [SPNG_COLOR_TYPE_INDEXED] = 1,
                                       [SPNG_COLOR_TYPE_GRAYSCALE_ALPHA] = 2,
                                       [SPNG_COLOR_TYPE_TRUECOLOR_ALPHA] = 4};
    return ((uint64_t)header->width * channels[header->color_type] * header->bit_depth + 7) / 8 * header->height;
}

/* Pillow's own way from 16 bits of grey to a byte. */
static gm_status decode_deep_grey(spng_ctx *decoder, const char *what, gm_image *image, gm_error *error)
{
    const size_t count = (size_t)image->height * (size_t)image->width;
    uint16_t *grey = malloc(count * sizeof *grey);
    if (!grey)
        return gm_file_no_memory(error, what, count * sizeof *grey);
    const int code = spng_decode_image(decoder, grey, count * sizeof *grey, SPNG_FMT_PNG, 0);
    for (size_t i = 0; i < count && !code; i++)
        memset(image->pixels + RGB * i, grey[i] < 255 ? grey[i] : 255, RGB);
    free(grey);
    return code ? damaged(what, code, error) : GM_OK;
}

static gm_status decode(spng_ctx *decoder, size_t size, const char *what, gm_image *image, gm_error *error)
{
    struct spng_ihdr header;
    int code = spng_get_ihdr(decoder, &header);
    if (code)
        return damaged(what, code, error);
    if ((uint64_t)header.width * header.height <= GM_IMAGE_MOST_PIXELS &&
        unpacked_bytes(&header) / MOST_BYTES_A_BYTE > size)
        return gm_error_set(error, GM_BAD_DATA, "%s: a PNG file of %u x %u pixels cannot have only %zu bytes", what,
                            header.width, header.height, size);
    const gm_status status = gm_image_resize(image, header.height, header.width, what, error);
    if (status != GM_OK)
        return status;
    if (header.color_type == SPNG_COLOR_TYPE_GRAYSCALE && header.bit_depth == 16)
        return decode_deep_grey(decoder, what, image, error);
    const size_t bytes = (size_t)image->height * (size_t)image->width * RGB;
    code = spng_decode_image(decoder, image->pixels, bytes, SPNG_FMT_RGB8, 0);
    return code ? damaged(what, code, error) : GM_OK;
}

gm_status gm_png_decode(const uint8_t *bytes, size_t size, const char *what, gm_image *image, gm_error *error)
{
    spng_ctx *decoder = spng_ctx_new(0);
    if (!decoder)
        return damaged(what, SPNG_EMEM, error);
    int code = spng_set_png_buffer(decoder, bytes, size);
    if (!code) /* what texts and profiles may unpack to: they are read though nobody asks */
        code = spng_set_chunk_limits(decoder, MOST_CHUNK, MOST_CHUNK);
    const gm_status status = code ? damaged(what, code, error) : decode(decoder, size, what, image, error);
    spng_ctx_free(decoder);
    return status;
}
