/* JPEG and PNG files become the RGB bytes that Pillow makes of them, or errors. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "formats/image.h"
#include "formats/jpeg.h"
#include "formats/png.h"
#include "support/files.h"
#include "support/support.h"

enum { HEIGHT = 13, WIDTH = 19, BYTES = 3 * HEIGHT * WIDTH, MOST = 4096 };

static size_t get(const char *name, uint8_t *bytes)
{
    char path[512];
    snprintf(path, sizeof path, "%s/images/%s", TEST_DATA, name);
    FILE *file = fopen(path, "rb");
    ck_assert_msg(file != NULL, "%s", path);
    const size_t size = fread(bytes, 1, MOST, file);
    fclose(file);
    return size;
}

START_TEST(every_kind_of_file_is_as_pillow_reads_it)
{
    static const char *const names[] = {
        "grey1.png",      "grey2.png",        "grey4.png",    "grey8.png",       "grey16.png",        "grey_alpha8.png",
        "rgb8.png",       "grey_alpha16.png", "rgb16.png",    "rgb_key.png",     "rgba8.png",         "rgba16.png",
        "interlaced.png", "gamma.png",        "palette4.png", "palette8.png",    "palette_alpha.png", "grey.jpg",
        "ycc444.jpg",     "ycc422.jpg",       "ycc420.jpg",   "progressive.jpg", "restarts.jpg",      "rgb.jpg",
        "cmyk.jpg",       "turned.jpg",
    };
    gm_image image = {0};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char path[512], expected_name[64];
        uint8_t expected[MOST];
        gm_error error;
        snprintf(path, sizeof path, "%s/images/%s", TEST_DATA, names[i]);
        snprintf(expected_name, sizeof expected_name, "%.*s.rgb", (int)(strlen(names[i]) - 4), names[i]);
        ck_assert_uint_eq(get(expected_name, expected), BYTES);
        test_expect(gm_image_read(path, &image, &error), &error, GM_OK, "");
        ck_assert_int_eq(image.height, HEIGHT);
        ck_assert_int_eq(image.width, WIDTH);
        int largest = 0;
        for (int p = 0; p < BYTES; p++)
            largest = abs(image.pixels[p] - expected[p]) > largest ? abs(image.pixels[p] - expected[p]) : largest;
        ck_assert_msg(largest == 0, "%s: off by %d", names[i], largest);
    }
    gm_image_free(&image);
}
END_TEST

/* The name says nothing, and the buffer serves images of any size. */
START_TEST(the_first_bytes_tell_the_format)
{
    const test_folder folder = test_folder_create();
    uint8_t bytes[MOST];
    gm_error error;
    gm_image image = {0};
    test_write(test_path(&folder, "a.jpg"), bytes, get("rgb8.png", bytes));
    test_write(test_path(&folder, "b.png"), bytes, get("grey.jpg", bytes));
    test_expect(gm_image_resize(&image, 1, 1, "image", &error), &error, GM_OK, "");
    test_expect(gm_image_read(test_path(&folder, "a.jpg"), &image, &error), &error, GM_OK, "");
    const uint8_t *memory = image.pixels;
    test_expect(gm_image_read(test_path(&folder, "b.png"), &image, &error), &error, GM_OK, "");
    ck_assert_ptr_eq(memory, image.pixels);
    gm_image_free(&image);
    test_folder_remove(&folder);
}
END_TEST

START_TEST(names_of_images)
{
    ck_assert(gm_image_is_decoded("a.jpg") && gm_image_is_decoded("b/c.JPEG") && gm_image_is_decoded(".x.Png"));
    ck_assert(!gm_image_is_decoded("a.bmp") && !gm_image_is_decoded("jpg") && !gm_image_is_decoded("a.jpg.txt"));
    ck_assert(gm_image_is_named("a.jpg") && gm_image_is_named("a.TIFF") && gm_image_is_named("a.webp"));
    ck_assert(!gm_image_is_named("a.gif") && !gm_image_is_named("a.npy") && !gm_image_is_named(""));
}
END_TEST

/* Sets the size that a file claims. */
static void claim_png(uint8_t *bytes, uint32_t width, uint32_t height)
{
    for (int i = 0; i < 4; i++) {
        bytes[16 + i] = (uint8_t)(width >> (24 - 8 * i));
        bytes[20 + i] = (uint8_t)(height >> (24 - 8 * i));
    }
    uint32_t crc = ~0u;
    for (int i = 12; i < 29; i++) {
        crc ^= bytes[i];
        for (int bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (crc & 1 ? 0xedb88320u : 0);
    }
    for (int i = 0; i < 4; i++)
        bytes[29 + i] = (uint8_t)(~crc >> (24 - 8 * i));
}

static void claim_jpeg(uint8_t *bytes, size_t size, int width, int height)
{
    for (size_t i = 2; i + 9 < size; i++)
        if (bytes[i] == 0xff && (bytes[i + 1] == 0xc0 || bytes[i + 1] == 0xc2)) {
            const uint8_t sides[] = {(uint8_t)(height >> 8), (uint8_t)height, (uint8_t)(width >> 8), (uint8_t)width};
            memcpy(bytes + i + 5, sides, sizeof sides);
            return;
        }
    ck_abort_msg("no frame");
}

/* What a case does to a good file. */
enum damage { AS_IS, CUT, FLIP_BIT, CLAIM, REPEAT_SCANS, REPLACE };

static size_t damage(enum damage how, uint8_t *bytes, size_t size, int64_t a, int64_t b)
{
    switch (how) {
    case CUT:
        return (size_t)a;
    case FLIP_BIT:
        bytes[a < 0 ? (int64_t)size + a : a] ^= (uint8_t)b;
        return size;
    case CLAIM:
        if (bytes[0] == 0xff)
            claim_jpeg(bytes, size, (int)a, (int)b);
        else
            claim_png(bytes, (uint32_t)a, (uint32_t)b);
        return size;
    case REPEAT_SCANS:
        for (int64_t i = 0; i < a; i++)
            memcpy(bytes + size - 2 + 10 * i, "\xff\xda\x00\x08\x01\x01\x00\x00\x3f\x00\xff\xd9", 12);
        return size + 10 * (size_t)a;
    case REPLACE:
        memset(bytes, (int)b, (size_t)a);
        return (size_t)a;
    default:
        return size;
    }
}

START_TEST(bad_files_are_errors)
{
    static const struct {
        const char *name;
        enum damage how;
        int64_t a, b;
        gm_status status;
        const char *pattern;
    } cases[] = {
        {"rgb8.png", AS_IS, 0, 0, GM_OK, ""},
        {"rgb8.png", REPLACE, 0, 0, GM_BAD_DATA, "x: an empty file"},
        {"rgb8.png", REPLACE, 100, 0, GM_BAD_DATA,
         "neither a JPEG nor a PNG file (first bytes 00 00 00 00 00 00 00 00)"},
        {"rgb8.png", REPLACE, 2, 'B', GM_BAD_DATA, "neither a JPEG nor a PNG file (first bytes 42 42)"},
        {"rgb8.png", CUT, 20, 0, GM_BAD_DATA, "a damaged PNG file (end of stream)"},
        {"rgb8.png", CUT, 200, 0, GM_BAD_DATA, "a damaged PNG file ("},
        {"rgb8.png", FLIP_BIT, 300, 1, GM_BAD_DATA, "a damaged PNG file (IDAT stream error)"},
        {"rgb8.png", FLIP_BIT, 19, 1, GM_BAD_DATA, "a damaged PNG file ("},
        {"rgb8.png", CLAIM, 0, 13, GM_BAD_DATA, "a damaged PNG file (invalid image width)"},
        {"rgb8.png", CLAIM, 100000, 100000, GM_BAD_DATA, "is 100000 x 100000 pixels; from 1 to 178956970"},
        {"rgb8.png", CLAIM, 0x7fffffff, 0x7fffffff, GM_BAD_DATA, "a damaged PNG file ("},
        {"rgb8.png", CLAIM, 13000, 13000, GM_BAD_DATA, "a PNG file of 13000 x 13000 pixels cannot have only"},
        {"grey1.png", CLAIM, 13000, 13000, GM_BAD_DATA, "a PNG file of 13000 x 13000 pixels cannot have only"},
        {"rgb8.png", CLAIM, 19, 14, GM_BAD_DATA, "a damaged PNG file ("},
        {"grey.jpg", AS_IS, 0, 0, GM_OK, ""},
        {"grey.jpg", CUT, 3, 0, GM_BAD_DATA, "a JPEG file that is cut short after 3 bytes"},
        {"grey.jpg", CUT, 100, 0, GM_BAD_DATA, "a JPEG file that is cut short after 100 bytes"},
        {"grey.jpg", CUT, 400, 0, GM_BAD_DATA, "a JPEG file that is cut short after 400 bytes"},
        {"grey.jpg", FLIP_BIT, -1, 1, GM_BAD_DATA, "a JPEG file that is cut short"},
        {"grey.jpg", CLAIM, 0, 13, GM_BAD_DATA, "a JPEG file without an image"},
        {"grey.jpg", CLAIM, 19, 0, GM_BAD_DATA, "is 19 x 0 pixels; from 1 to"},
        {"grey.jpg", CLAIM, 65500, 65500, GM_BAD_DATA, "is 65500 x 65500 pixels; from 1 to 178956970"},
        {"grey.jpg", CLAIM, 13000, 13000, GM_BAD_DATA, "a JPEG file of 13000 x 13000 pixels cannot have only"},
        {"grey.jpg", CLAIM, 300, 300, GM_BAD_DATA, "a damaged JPEG file ("},
        {"progressive.jpg", REPEAT_SCANS, 100, 0, GM_BAD_DATA, "has more than 100 scans"},
        {"ycc420.jpg", FLIP_BIT, 170, 255, GM_BAD_DATA, "a damaged JPEG file ("},
    };
    const test_folder folder = test_folder_create();
    gm_image image = {0};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        uint8_t bytes[2 * MOST];
        gm_error error;
        const size_t size = damage(cases[i].how, bytes, get(cases[i].name, bytes), cases[i].a, cases[i].b);
        test_write(test_path(&folder, "x"), bytes, size);
        test_expect(gm_image_read(test_path(&folder, "x"), &image, &error), &error, cases[i].status, cases[i].pattern);
        ck_assert_uint_le(image.capacity, 1 << 20); /* nothing was allocated for what a header claims */
    }
    gm_error error;
    test_expect(gm_image_read(test_path(&folder, "none"), &image, &error), &error, GM_IO_ERROR, "cannot open");
    test_expect(gm_image_read(folder.path, &image, &error), &error, GM_IO_ERROR, "Is a directory");
    gm_image_free(&image);
    test_folder_remove(&folder);
}
END_TEST

/* Every beginning of a file, and every file with one byte changed, gives an image or an error, and nothing worse. */
START_TEST(cut_and_changed_files_end_in_a_status)
{
    static const char *const names[] = {"rgb8.png", "palette_alpha.png", "interlaced.png", "progressive.jpg",
                                        "cmyk.jpg"};
    gm_image image = {0};
    int images = 0, errors = 0;
    for (size_t n = 0; n < sizeof names / sizeof *names; n++) {
        uint8_t bytes[MOST], copy[MOST];
        const size_t size = get(names[n], bytes);
        for (size_t at = 0; at < size; at++) {
            gm_error error;
            uint8_t *cut = malloc(at + 1); /* so that a sanitizer sees the end */
            memcpy(cut, bytes, at);
            memcpy(copy, bytes, size);
            copy[at] ^= 0x5a;
            const bool jpeg = bytes[0] == 0xff;
            const gm_status first =
                jpeg ? gm_jpeg_decode(cut, at, "cut", &image, &error) : gm_png_decode(cut, at, "cut", &image, &error);
            const gm_status second = jpeg ? gm_jpeg_decode(copy, size, "changed", &image, &error)
                                          : gm_png_decode(copy, size, "changed", &image, &error);
            ck_assert(first == GM_BAD_DATA || first == GM_OK);
            ck_assert(second == GM_BAD_DATA || second == GM_OK);
            images += (first == GM_OK) + (second == GM_OK);
            errors += (first == GM_BAD_DATA) + (second == GM_BAD_DATA);
            free(cut);
        }
    }
    ck_assert_int_gt(errors, images);
    gm_image_free(&image);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("images");
    TCase *cases = tcase_create("images");
    tcase_add_test(cases, every_kind_of_file_is_as_pillow_reads_it);
    tcase_add_test(cases, the_first_bytes_tell_the_format);
    tcase_add_test(cases, names_of_images);
    tcase_add_test(cases, bad_files_are_errors);
    tcase_add_test(cases, cut_and_changed_files_end_in_a_status);
    suite_add_tcase(suite, cases);
    return test_run(suite);
}
