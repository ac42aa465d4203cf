/* JPEG files: the project's walk over their markers, and what it hands to the library. */
#include "formats/jpeg.h"

#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    gm_error error;
    gm_image image = {0};
    gm_jpeg_decode(bytes, size, "fuzz", &image, &error);
    gm_image_free(&image);
    return 0;
}
