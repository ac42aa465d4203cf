/* What the tests of image operations share: images by formula in guarded memory, and Pillow's results. */
#ifndef GEMEL_TEST_IMAGE_H
#define GEMEL_TEST_IMAGE_H

#include "support/support.h"

typedef enum test_image_kind {
    TEST_IMAGE_NOISE,
    TEST_IMAGE_SLOPE,
    TEST_IMAGE_EDGES,
    TEST_IMAGE_COLORS
} test_image_kind;

/* Rows of width channels bytes, ld apart; unreadable pages lie behind the last byte and less than a page before the
 * first, or the other way round. Rows and what is between them begin as a pattern. */
typedef struct test_image {
    int64_t channels, height, width, ld;
    uint8_t *pixels;
    test_guard guard;
} test_image;

test_image test_image_create(int64_t channels, int64_t height, int64_t width, int64_t pad, bool at_start);
void test_image_fill(test_image *image, test_image_kind kind);
void test_image_free(test_image *image);

/* Bytes between the rows that are no longer as they were. */
int64_t test_image_spilled(const test_image *image);

/* Bytes of the pixels that differ. */
int64_t test_image_differences(const test_image *a, const test_image *b);

/* Fails unless the pixels are those of a case of data/pillow.h: its bytes of data/pillow.u8 where there are any, and
 * its hash. The case is described in printf's manner. */
__attribute__((format(printf, 4, 5))) void test_image_expect(const test_image *image, int64_t offset, uint64_t hash,
                                                             const char *format, ...);

#endif
