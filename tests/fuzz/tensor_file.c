/* Safetensors files and PyTorch's checkpoints: open, and read some tensors. */
#include "formats/tensor_file.h"

#include "fuzz.h"

enum { MOST_TENSORS = 16, MOST_BYTES = 1 << 20 };

static void read_some(gm_tensor_file *file)
{
    gm_error error;
    for (int64_t i = 0; i < gm_tensor_file_count(file) && i < MOST_TENSORS; i++) {
        int64_t count, bytes;
        const gm_tensor tensor = gm_tensor_file_tensor(file, i);
        if (!tensor.name || !gm_tensor_size(&tensor, &count, &bytes))
            abort(); /* refused by gm_tensor_file_open() */
        if (bytes > MOST_BYTES)
            continue;
        void *data = malloc((size_t)bytes);
        gm_tensor_file_read(file, i, data, &error);
        free(data);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    gm_error error;
    gm_tensor_file *opened;
    const fuzz_file file = fuzz_file_create(bytes, size);
    if (gm_tensor_file_open(file.path, &opened, &error) == GM_OK)
        read_some(opened);
    gm_tensor_file_close(opened);
    fuzz_file_remove(&file);
    return 0;
}
