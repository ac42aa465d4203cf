/* Pictures become PNG files that libspng reads back. */
#include <spng.h>
#include <stdlib.h>
#include <string.h>

#include "formats/png.h"
#include "support/support.h"

static void decode(const uint8_t *bytes, size_t size, struct spng_ihdr *header, uint8_t **pixels, size_t *length)
{
    spng_ctx *decoder = spng_ctx_new(0);
    ck_assert_int_eq(spng_set_png_buffer(decoder, bytes, size), 0);
    ck_assert_int_eq(spng_get_ihdr(decoder, header), 0);
    ck_assert_int_eq(spng_decoded_image_size(decoder, SPNG_FMT_PNG, length), 0);
    *pixels = malloc(*length);
    ck_assert_int_eq(spng_decode_image(decoder, *pixels, *length, SPNG_FMT_PNG, 0), 0);
    spng_ctx_free(decoder);
}

START_TEST(pixels_come_back)
{
    static const uint8_t types[] = {SPNG_COLOR_TYPE_GRAYSCALE, SPNG_COLOR_TYPE_GRAYSCALE_ALPHA,
                                    SPNG_COLOR_TYPE_TRUECOLOR, SPNG_COLOR_TYPE_TRUECOLOR_ALPHA};
    static const int32_t sizes[][2] = {{1, 1}, {7, 3}, {64, 129}};
    test_random random = test_random_create(1);
    for (int32_t channels = 1; channels <= 4; channels++)
        for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
            gm_picture picture;
            gm_error error;
            ck_assert_int_eq(gm_picture_create(sizes[s][0], sizes[s][1], channels, &picture, &error), GM_OK);
            const size_t count = (size_t)sizes[s][0] * (size_t)sizes[s][1] * (size_t)channels;
            for (size_t i = 0; i < count; i++)
                picture.pixels[i] = (uint8_t)test_random_bits(&random);
            uint8_t *bytes, *pixels;
            size_t size, length;
            ck_assert_int_eq(gm_png_encode(&picture, &bytes, &size, &error), GM_OK);
            struct spng_ihdr header;
            decode(bytes, size, &header, &pixels, &length);
            ck_assert_uint_eq(header.width, (uint32_t)sizes[s][0]);
            ck_assert_uint_eq(header.height, (uint32_t)sizes[s][1]);
            ck_assert_uint_eq(header.color_type, types[channels - 1]);
            ck_assert_uint_eq(header.bit_depth, 8);
            ck_assert_uint_eq(length, count);
            ck_assert_mem_eq(pixels, picture.pixels, count);
            free(pixels);
            free(bytes);
            gm_picture_free(&picture);
        }
}
END_TEST

START_TEST(impossible_pictures_are_refused)
{
    static const int32_t cases[][3] = {{0, 1, 1}, {1, 0, 1}, {-1, 1, 1}, {1, 1, 0}, {1, 1, 5}};
    gm_picture picture;
    gm_error error;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        ck_assert_int_eq(gm_picture_create(cases[i][0], cases[i][1], cases[i][2], &picture, &error),
                         GM_INVALID_ARGUMENT);
        ck_assert_ptr_null(picture.pixels);
        gm_picture_free(&picture);
    }
    uint8_t *bytes = (uint8_t *)&picture;
    size_t size;
    ck_assert_int_eq(gm_png_encode(&picture, &bytes, &size, &error), GM_INVALID_ARGUMENT);
    ck_assert_ptr_null(bytes);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("png");
    TCase *tests = tcase_create("png");
    tcase_add_test(tests, pixels_come_back);
    tcase_add_test(tests, impossible_pictures_are_refused);
    suite_add_tcase(suite, tests);
    return test_run(suite);
}
