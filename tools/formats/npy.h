/* Matrices in NumPy's .npy format, versions 1 to 3, little endian, C order.
 * https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html */
#ifndef GEMEL_NPY_H
#define GEMEL_NPY_H

#include <gemel/error.h>

/* Reads a matrix of float32, float16 or uint8 as float32. *values: [*rows, *cols], freed by the caller. The result is
 * allocated only when the file is as long as its header says. Errors: GM_IO_ERROR, GM_BAD_DATA, GM_OUT_OF_MEMORY;
 * *values is NULL then. */
gm_status gm_npy_read_f32(const char *path, int64_t *rows, int64_t *cols, float **values, gm_error *error);

/* Reads a vector [rows], or a matrix [rows, 1], of integers: int8, uint8, int16, int32 or int64. */
gm_status gm_npy_read_i64(const char *path, int64_t *rows, int64_t **values, gm_error *error);

/* Writes a matrix [rows, cols], ld >= cols, as float32, replacing the file atomically. Errors: GM_IO_ERROR,
 * GM_OUT_OF_MEMORY. */
gm_status gm_npy_write_f32(const char *path, int64_t rows, int64_t cols, const float *values, int64_t ld,
                           gm_error *error);

#endif
