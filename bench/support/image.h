/* Images for benchmarks. */
#ifndef GEMEL_BENCH_IMAGE_H
#define GEMEL_BENCH_IMAGE_H

#include "support/operands.h"

/* height rows of width pixels of `channels` bytes: slopes and noise, the same every time. Free it with free(). */
uint8_t *bench_image(int64_t height, int64_t width, int64_t channels);

#endif
