/* Sixteen lanes: AVX-512 F and BW. */
#ifndef GEMEL_BYTES_AVX512_H
#define GEMEL_BYTES_AVX512_H

#include <immintrin.h>
#include <stdint.h>

typedef __m512i ints;
enum { BYTES_STRIP = 32 };

static inline ints ints_set(int32_t n)
{
    return _mm512_set1_epi32(n);
}

static inline ints ints_add(ints a, ints b)
{
    return _mm512_add_epi32(a, b);
}

static inline ints ints_sub(ints a, ints b)
{
    return _mm512_sub_epi32(a, b);
}

static inline ints ints_mul(ints a, ints b)
{
    return _mm512_mullo_epi32(a, b);
}

static inline ints ints_left(ints v, int n)
{
    return _mm512_slli_epi32(v, (unsigned)n);
}

static inline ints ints_right(ints v, int n)
{
    return _mm512_srai_epi32(v, (unsigned)n);
}

static inline ints ints_right_unsigned(ints v, int n)
{
    return _mm512_srli_epi32(v, (unsigned)n);
}

static inline ints ints_load(const uint8_t *p)
{
    return _mm512_cvtepu8_epi32(_mm_loadu_si128((const void *)p));
}

static inline ints ints_load_pairs(const uint8_t *p, const uint8_t *q)
{
    return _mm512_or_si512(ints_load(p), _mm512_slli_epi32(ints_load(q), 16));
}

static inline ints ints_add_pairs(ints sum, ints pairs, ints weights)
{
    return _mm512_add_epi32(sum, _mm512_madd_epi16(pairs, weights));
}

static inline void ints_store(uint8_t *p, ints v)
{
    _mm_storeu_si128((void *)p, _mm512_cvtusepi32_epi8(_mm512_max_epi32(v, _mm512_setzero_si512())));
}

static inline vec vec_floor(vec v)
{
    return _mm512_roundscale_ps(v, _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC);
}

/* Four pixels a quarter: bytes 0 … 11 of 16, but of the last quarter bytes 4 … 15, so that 48 bytes are read. */
static inline void vec_load_rgb(const uint8_t *p, vec *r, vec *g, vec *b)
{
    __m512i all = _mm512_castsi128_si512(_mm_loadu_si128((const void *)p));
    all = _mm512_inserti32x4(all, _mm_loadu_si128((const void *)(p + 12)), 1);
    all = _mm512_inserti32x4(all, _mm_loadu_si128((const void *)(p + 24)), 2);
    all = _mm512_inserti32x4(all, _mm_loadu_si128((const void *)(p + 32)), 3);
    const __m512i one = _mm512_set1_epi32(1), start = _mm512_setr_epi32(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 4, 4, 4);
    const __m128i every_third = _mm_setr_epi8(0, -1, -1, -1, 3, -1, -1, -1, 6, -1, -1, -1, 9, -1, -1, -1);
    const __m512i red = _mm512_add_epi8(_mm512_broadcast_i32x4(every_third), start);
    const __m512i green = _mm512_add_epi8(red, one), blue = _mm512_add_epi8(green, one);
    *r = _mm512_cvtepi32_ps(_mm512_shuffle_epi8(all, red));
    *g = _mm512_cvtepi32_ps(_mm512_shuffle_epi8(all, green));
    *b = _mm512_cvtepi32_ps(_mm512_shuffle_epi8(all, blue));
}

static inline void vec_store_rgb(uint8_t *p, vec r, vec g, vec b)
{
    const __m512i red = _mm512_cvtps_epi32(r), green = _mm512_slli_epi32(_mm512_cvtps_epi32(g), 8);
    const __m512i pixels = _mm512_or_si512(_mm512_or_si512(red, green), _mm512_slli_epi32(_mm512_cvtps_epi32(b), 16));
    const __m512i order = _mm512_broadcast_i32x4(_mm_setr_epi8(0, 1, 2, 4, 5, 6, 8, 9, 10, 12, 13, 14, -1, -1, -1, -1));
    const __m512i lanes = _mm512_setr_epi32(0, 1, 2, 4, 5, 6, 8, 9, 10, 12, 13, 14, 3, 7, 11, 15);
    const __m512i packed = _mm512_permutexvar_epi32(lanes, _mm512_shuffle_epi8(pixels, order));
    _mm256_storeu_si256((void *)p, _mm512_castsi512_si256(packed));
    _mm_storeu_si128((void *)(p + 32), _mm512_extracti32x4_epi32(packed, 2));
}

#endif
