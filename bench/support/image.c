#include "image.h"

#include <stdio.h>
#include <stdlib.h>

uint8_t *bench_image(int64_t height, int64_t width, int64_t channels)
{
    uint8_t *image = malloc((size_t)(height * width * channels));
    if (!image) {
        fprintf(stderr, "bench: no memory for an image of %lld x %lld\n", (long long)height, (long long)width);
        exit(1);
    }
    uint32_t random = 1;
    for (int64_t i = 0; i < height * width; i++)
        for (int64_t c = 0; c < channels; c++) {
            random = random * 1664525u + 1013904223u;
            image[i * channels + c] = (uint8_t)((i / width + (c + 1) * (i % width)) / 4 + (random >> 27));
        }
    return image;
}
