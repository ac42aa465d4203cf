#include "formats/png.h"

#include <spng.h>
#include <stdlib.h>

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
