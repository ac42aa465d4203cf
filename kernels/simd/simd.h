/* Opens every kernel template: the vector vocabulary of the instruction set that the unit is compiled for, and the name
 * of the one symbol that it exports. The build defines GM_ISA (avx2) and GM_SIMD_HEADER ("simd/f32_avx2.h").
 *
 * The vocabulary, the same in every header (vec holds VEC_LANES floats):
 *   vec_zero() vec_set(x) vec_load(p) vec_store(p, v)         any alignment
 *   vec_load_n(p, n) vec_store_n(p, v, n)                     the first n lanes, 0 <= n <= VEC_LANES; others read as 0;
 *                                                             no memory beyond them is touched
 *   vec_stream(p, v), then vec_stream_end()                   p aligned to the vector: a store past the caches where
 *                                                             there is one, ordered before what follows
 *                                                             vec_stream_end()
 *   vec_add vec_sub vec_mul vec_div vec_sqrt vec_abs
 *   vec_fma(a, b, c) = a b + c, vec_fnma(a, b, c) = c - a b   one rounding; scalar: multiply, then add
 *   vec_min(a, b) vec_max(a, b)                               b if either is NaN: vec_max(vec_zero(), x) keeps NaN
 *   vec_select_gt(a, b, x, y)                                 a > b ? x : y in each lane; NaN compares false
 *   vec_select_eq(a, b, x, y)                                 likewise a == b ? x : y
 *   vec_bits_gt(a, b)                                         bit i is whether a > b in lane i; NaN compares false
 *   vec_keep(bits, v)                                         lanes of v whose bit is set; others are 0
 *   vec_sum(v)                                                of all lanes, in a fixed order
 *   vec_sum_double(v)                                         likewise, in double
 *   vec_load_bytes(p) vec_store_bytes(p, v)                   VEC_LANES bytes as floats; stored values are whole
 *                                                             numbers of 0 … 255
 *   vec_order_load(p)                                         VEC_LANES numbers of lanes, of int32_t, as a vec_order
 *   vec_permute(v, order)                                     lane i is lane order[i] of v
 *   vec_hold(v)                                               v keeps its register until here
 *   vec_prefetch(p)                                           into the second-level cache, for reading */
#ifndef GEMEL_SIMD_H
#define GEMEL_SIMD_H

#include <stdint.h>

#include GM_SIMD_HEADER

#define GM_PASTE_(name, isa) name##_##isa
#define GM_PASTE(name, isa) GM_PASTE_(name, isa)
#define GM_QUOTE_(x) #x
#define GM_QUOTE(x) GM_QUOTE_(x)

/* GM_ENTRY(gm_column_stats_f32) is gm_column_stats_f32_avx2, GM_ISA_TEXT is "avx2". */
#define GM_ENTRY(name) GM_PASTE(name, GM_ISA)
#define GM_ISA_TEXT GM_QUOTE(GM_ISA)

static inline void vec_prefetch(const void *p)
{
    __builtin_prefetch(p, 0, 2);
}

/* Lanes of the vector that begins at element i of a row of n, at most VEC_LANES. */
static inline int64_t vec_lanes_left(int64_t i, int64_t n)
{
    return n - i < VEC_LANES ? n - i : VEC_LANES;
}

#endif
