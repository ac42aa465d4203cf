#include "support/image.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PATTERN = 0xa5 };

test_image test_image_create(int64_t channels, int64_t height, int64_t width, int64_t pad, bool at_start)
{
    test_image image = {.channels = channels, .height = height, .width = width, .ld = width * channels + pad};
    const int64_t bytes = height > 0 ? (height - 1) * image.ld + width * channels : 0, words = (bytes + 3) / 4;
    image.guard = at_start ? test_guard_create_at_start(words) : test_guard_create(words);
    memset(image.guard.data, PATTERN, (size_t)words * 4);
    image.pixels = (uint8_t *)image.guard.data + (at_start ? 0 : words * 4 - bytes);
    return image;
}

/* pixels() in data/make_pillow.py. */
static uint32_t value_of(const test_image *image, test_image_kind kind, uint32_t i, uint32_t j, uint32_t c)
{
    const uint32_t pixel = i * (uint32_t)image->width + j;
    uint32_t n = (pixel * (uint32_t)image->channels + c + 1) * 2654435761u;
    switch (kind) {
    case TEST_IMAGE_NOISE:
        n = (n ^ n >> 15) * 2246822519u;
        return n >> 24;
    case TEST_IMAGE_SLOPE:
        return i * 3 + j * 2 * (c + 1) + c * 40;
    case TEST_IMAGE_EDGES:
        return 255 * ((i / 3 + j / 5 + c) % 2);
    case TEST_IMAGE_COLORS:
        break;
    }
    return 3 * (pixel / (c == 0 ? 1 : c == 1 ? 86 : 86 * 86) % 86);
}

void test_image_fill(test_image *image, test_image_kind kind)
{
    for (int64_t i = 0; i < image->height; i++)
        for (int64_t j = 0; j < image->width; j++)
            for (int64_t c = 0; c < image->channels; c++)
                image->pixels[i * image->ld + j * image->channels + c] =
                    (uint8_t)value_of(image, kind, (uint32_t)i, (uint32_t)j, (uint32_t)c);
}

void test_image_free(test_image *image)
{
    test_guard_free(&image->guard);
    image->pixels = NULL;
}

int64_t test_image_spilled(const test_image *image)
{
    int64_t spilled = 0;
    for (int64_t i = 0; i + 1 < image->height; i++)
        for (int64_t j = image->width * image->channels; j < image->ld; j++)
            spilled += image->pixels[i * image->ld + j] != PATTERN;
    return spilled;
}

static int64_t differences(const test_image *image, const uint8_t *other, int64_t ld, int *most)
{
    int64_t count = 0;
    for (int64_t i = 0; i < image->height; i++)
        for (int64_t j = 0; j < image->width * image->channels; j++) {
            const int distance = abs(image->pixels[i * image->ld + j] - other[i * ld + j]);
            count += distance > 0;
            *most = distance > *most ? distance : *most;
        }
    return count;
}

int64_t test_image_differences(const test_image *a, const test_image *b)
{
    int most = 0;
    return differences(a, b->pixels, b->ld, &most);
}

/* 64-bit FNV-1a of 32-bit words of the pixels, the last one filled up with zeros. */
static uint64_t hash_of(const test_image *image)
{
    const int64_t row = image->width * image->channels;
    uint64_t hash = 0xcbf29ce484222325u;
    uint32_t word = 0;
    int64_t n = 0;
    for (int64_t i = 0; i < image->height; i++)
        for (int64_t j = 0; j < row; j++) {
            word |= (uint32_t)image->pixels[i * image->ld + j] << 8 * (n++ % 4);
            if (n % 4 == 0 || n == image->height * row) {
                hash = (hash ^ word) * 0x100000001b3u;
                word = 0;
            }
        }
    return hash;
}

void test_image_expect(const test_image *image, int64_t offset, uint64_t hash, const char *format, ...)
{
    char what[200];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(what, sizeof what, format, arguments);
    va_end(arguments);
    if (offset >= 0) {
        const size_t bytes = (size_t)(image->height * image->width * image->channels);
        FILE *file = fopen(TEST_DATA "/pillow.u8", "rb");
        ck_assert_msg(file != NULL, "no " TEST_DATA "/pillow.u8");
        uint8_t *expected = malloc(bytes);
        ck_assert(fseek(file, (long)offset, SEEK_SET) == 0 && fread(expected, 1, bytes, file) == bytes);
        int most = 0;
        const int64_t wrong = differences(image, expected, image->width * image->channels, &most);
        free(expected);
        fclose(file);
        ck_assert_msg(wrong == 0, "%s: %ld bytes differ, by %d at most", what, (long)wrong, most);
    }
    ck_assert_msg(hash_of(image) == hash, "%s: another hash", what);
}
