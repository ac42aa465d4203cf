/* MNIST's arrays, plain and compressed. */
#include "formats/idx.h"

#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    gm_error error;
    gm_idx idx;
    const fuzz_file file = fuzz_file_create(bytes, size);
    for (int32_t rank = 1; rank <= GM_IDX_MOST_RANK; rank += 2) {
        gm_idx_read(file.path, rank, &idx, &error);
        free(idx.bytes);
    }
    fuzz_file_remove(&file);
    return 0;
}
