/* Pictures for tests. */
#ifndef GEMEL_TEST_PHOTO_H
#define GEMEL_TEST_PHOTO_H

#include <stdint.h>

/* Writes a PNG of noise of so many rows and columns, one of whose three channels is brighter by so much. */
void test_write_photo(const char *path, int32_t height, int32_t width, uint64_t seed, int bright_channel, int brighter);

#endif
