/* Arrays of bytes in the idx format of the MNIST files, plain or gzip-compressed: the bytes 0, 0, 8 (unsigned bytes),
 * rank; `rank` sizes of 32 bits, big endian; the data. http://yann.lecun.com/exdb/mnist/ */
#ifndef GEMEL_IDX_H
#define GEMEL_IDX_H

#include <gemel/error.h>

enum { GM_IDX_MOST_RANK = 3 };

typedef struct gm_idx {
    int64_t shape[GM_IDX_MOST_RANK]; /* 1 beyond the rank */
    uint8_t *bytes;                  /* freed by the caller */
} gm_idx;

/* Reads an array of this rank (1: labels, 3: images). Errors: GM_IO_ERROR, GM_BAD_DATA (another format, type or rank;
 * cut short; longer than it says; a compressed file that is damaged), GM_OUT_OF_MEMORY; idx->bytes is NULL then. A
 * compressed file may unpack to twice its size and 64 MB, so that a damaged one cannot ask for all memory. */
gm_status gm_idx_read(const char *path, int32_t rank, gm_idx *idx, gm_error *error);

#endif
