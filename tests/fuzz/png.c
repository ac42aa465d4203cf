/* PNG files: what is checked before the library decodes them. */
#include "formats/png.h"

#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    gm_error error;
    gm_image image = {0};
    gm_png_decode(bytes, size, "fuzz", &image, &error);
    gm_image_free(&image);
    return 0;
}
