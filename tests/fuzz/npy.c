/* NumPy's matrices and vectors of integers. */
#include "formats/npy.h"

#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    gm_error error;
    int64_t rows, cols, *integers;
    float *values;
    const fuzz_file file = fuzz_file_create(bytes, size);
    gm_npy_read_f32(file.path, &rows, &cols, &values, &error);
    gm_npy_read_i64(file.path, &rows, &integers, &error);
    free(values);
    free(integers);
    fuzz_file_remove(&file);
    return 0;
}
