/* The binary files of CIFAR-10 and CIFAR-100. */
#include "formats/cifar.h"

#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    gm_error error;
    const fuzz_file file = fuzz_file_create(bytes, size);
    for (int32_t classes = 10; classes <= 100; classes += 90) {
        gm_cifar images = {0};
        gm_cifar_append(file.path, classes, &images, &error);
        gm_cifar_append(file.path, classes, &images, &error);
        gm_cifar_free(&images);
    }
    fuzz_file_remove(&file);
    return 0;
}
