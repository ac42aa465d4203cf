/* What kernels of images need beside simd.h: bytes as integers or as colours.
 *
 * The vocabulary, the same for every instruction set (ints holds VEC_LANES integers of 32 bits, which wrap):
 *   ints_set(n) ints_add ints_sub ints_mul
 *   ints_left(v, n) ints_right(v, n) ints_right_unsigned(v, n)   shifts by n bits
 *   ints_load(p)                           VEC_LANES bytes
 *   ints_load_pairs(p, q)                  lane i is the pair of 16-bit numbers p[i], q[i]
 *   ints_add_pairs(sum, pairs, weights)    sum + first first + second second in each lane
 *   ints_store(p, v)                       VEC_LANES bytes, clipped to 0 … 255
 *   vec_floor(v)
 *   vec_load_rgb(p, &r, &g, &b) vec_store_rgb(p, r, g, b)   VEC_LANES pixels of three bytes; whole numbers of 0 … 255
 *   BYTES_STRIP                            rows of a strip (strip.h), a multiple of VEC_LANES */
#ifndef GEMEL_BYTES_H
#define GEMEL_BYTES_H

#include <string.h>

#include "simd/walk.h"

#include GM_BYTES_HEADER

/* Two numbers of 16 bits as a lane of ints. */
static inline ints ints_set_pair(int32_t first, int32_t second)
{
    return ints_set((int32_t)(((uint32_t)second << 16) | ((uint32_t)first & 0xffff)));
}

#endif
