/* Images of bytes lying on their side. A strip is BYTES_STRIP rows of an image: byte j of row i is
 * strip[j * BYTES_STRIP + i]. What is said along the rows of an image is then said of whole vectors. */
#ifndef GEMEL_STRIP_H
#define GEMEL_STRIP_H

#include <string.h>

#include "simd/bytes.h"

/* Tiles of so many rows and columns are turned in registers. */
enum { TILE = 16 };

typedef uint8_t tile_row __attribute__((vector_size(TILE)));

static inline tile_row strip_zip_low(tile_row a, tile_row b)
{
    return __builtin_shufflevector(a, b, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
}

static inline tile_row strip_zip_high(tile_row a, tile_row b)
{
    return __builtin_shufflevector(a, b, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
}

/* to[j, i] = from[i, j] for i, j < TILE. A round of zips moves the highest bit of a row's number to the lowest of
 * the columns', so that four rounds exchange the numbers. */
static inline void strip_turn_tile(const uint8_t *from, int64_t ldfrom, uint8_t *to, int64_t ldto)
{
    tile_row a[TILE], b[TILE];
    for (int i = 0; i < TILE; i++)
        memcpy(&a[i], from + i * ldfrom, sizeof *a);
    for (int round = 0; round < 4; round += 2) {
        for (int i = 0; i < TILE / 2; i++) {
            b[2 * i] = strip_zip_low(a[i], a[i + TILE / 2]);
            b[2 * i + 1] = strip_zip_high(a[i], a[i + TILE / 2]);
        }
        for (int i = 0; i < TILE / 2; i++) {
            a[2 * i] = strip_zip_low(b[i], b[i + TILE / 2]);
            a[2 * i + 1] = strip_zip_high(b[i], b[i + TILE / 2]);
        }
    }
    for (int i = 0; i < TILE; i++)
        memcpy(to + i * ldto, &a[i], sizeof *a);
}

/* Of images that are smaller than a tile, and of strips of one row: not unrolled. */
static __attribute__((cold, noinline)) void strip_turn_few(int64_t rows, int64_t cols, const uint8_t *from,
                                                           int64_t ldfrom, uint8_t *to, int64_t ldto)
{
    for (int64_t i = 0; i < rows; i++)
        for (int64_t j = 0; j < cols; j++)
            to[j * ldto + i] = from[i * ldfrom + j];
}

/* to[j, i] = from[i, j] for i < rows, j < cols. The last tile of a direction lies partly on the one before. Not inline:
 * called for both ways. */
static __attribute__((noinline)) void strip_turn(int64_t rows, int64_t cols, const uint8_t *from, int64_t ldfrom,
                                                 uint8_t *to, int64_t ldto)
{
    if (rows < TILE || cols < TILE) {
        strip_turn_few(rows, cols, from, ldfrom, to, ldto);
        return;
    }
    for (int64_t i = 0; i < rows; i += TILE) {
        const int64_t row = i + TILE <= rows ? i : rows - TILE;
        for (int64_t j = 0; j < cols; j += TILE) {
            const int64_t col = j + TILE <= cols ? j : cols - TILE;
            strip_turn_tile(from + row * ldfrom + col, ldfrom, to + col * ldto + row, ldto);
        }
    }
}

/* First row of the strip that should begin at row i: images of at least a strip have whole strips only, the last of
 * which lies partly on the one before. */
static inline int64_t strip_first(int64_t i, int64_t rows)
{
    return i + BYTES_STRIP <= rows || rows < BYTES_STRIP ? i : rows - BYTES_STRIP;
}

static inline int64_t strip_rows(int64_t rows)
{
    return rows < BYTES_STRIP ? rows : BYTES_STRIP;
}

#endif
