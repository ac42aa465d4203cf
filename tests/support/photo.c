#include "support/photo.h"

#include <check.h>
#include <stdlib.h>

#include "formats/png.h"
#include "support/files.h"
#include "support/support.h"

void test_write_photo(const char *path, int32_t height, int32_t width, uint64_t seed, int bright_channel, int brighter)
{
    enum { CHANNELS = 3 };
    test_random random = test_random_create(seed);
    gm_picture picture;
    gm_error error;
    uint8_t *bytes;
    size_t size;
    ck_assert_int_eq(gm_picture_create(width, height, CHANNELS, &picture, &error), GM_OK);
    for (int32_t i = 0; i < CHANNELS * picture.width * picture.height; i++)
        picture.pixels[i] =
            (uint8_t)((i % CHANNELS == bright_channel ? brighter : 0) + 150 * test_random_uniform(&random));
    ck_assert_int_eq(gm_png_encode(&picture, &bytes, &size, &error), GM_OK);
    test_write(path, bytes, size);
    free(bytes);
    gm_picture_free(&picture);
}
