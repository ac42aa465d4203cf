/* Eight lanes: AVX2. */
#ifndef GEMEL_BYTES_AVX2_H
#define GEMEL_BYTES_AVX2_H

#include <immintrin.h>
#include <stdint.h>

typedef __m256i ints;
enum { BYTES_STRIP = 16 };

static inline ints ints_set(int32_t n)
{
    return _mm256_set1_epi32(n);
}

static inline ints ints_add(ints a, ints b)
{
    return _mm256_add_epi32(a, b);
}

static inline ints ints_sub(ints a, ints b)
{
    return _mm256_sub_epi32(a, b);
}

static inline ints ints_mul(ints a, ints b)
{
    return _mm256_mullo_epi32(a, b);
}

static inline ints ints_left(ints v, int n)
{
    return _mm256_slli_epi32(v, n);
}

static inline ints ints_right(ints v, int n)
{
    return _mm256_srai_epi32(v, n);
}

static inline ints ints_right_unsigned(ints v, int n)
{
    return _mm256_srli_epi32(v, n);
}

static inline ints ints_load(const uint8_t *p)
{
    return _mm256_cvtepu8_epi32(_mm_loadl_epi64((const void *)p));
}

static inline ints ints_load_pairs(const uint8_t *p, const uint8_t *q)
{
    const __m128i a = _mm_loadl_epi64((const void *)p), b = _mm_loadl_epi64((const void *)q);
    return _mm256_cvtepu8_epi16(_mm_unpacklo_epi8(a, b));
}

static inline ints ints_add_pairs(ints sum, ints pairs, ints weights)
{
    return _mm256_add_epi32(sum, _mm256_madd_epi16(pairs, weights));
}

static inline void ints_store(uint8_t *p, ints v)
{
    const __m128i words = _mm_packus_epi32(_mm256_castsi256_si128(v), _mm256_extracti128_si256(v, 1));
    _mm_storel_epi64((void *)p, _mm_packus_epi16(words, words));
}

static inline vec vec_floor(vec v)
{
    return _mm256_floor_ps(v);
}

/* Four pixels a half: bytes 0 … 11 of the first 16, 4 … 15 of the last 16 of 24. */
static inline void vec_load_rgb(const uint8_t *p, vec *r, vec *g, vec *b)
{
    const __m256i both = _mm256_inserti128_si256(_mm256_castsi128_si256(_mm_loadu_si128((const void *)p)),
                                                 _mm_loadu_si128((const void *)(p + 8)), 1);
    const __m256i red = _mm256_setr_epi8(0, -1, -1, -1, 3, -1, -1, -1, 6, -1, -1, -1, 9, -1, -1, -1, 4, -1, -1, -1, 7,
                                         -1, -1, -1, 10, -1, -1, -1, 13, -1, -1, -1);
    const __m256i one = _mm256_set1_epi32(1), green = _mm256_add_epi8(red, one), blue = _mm256_add_epi8(green, one);
    *r = _mm256_cvtepi32_ps(_mm256_shuffle_epi8(both, red));
    *g = _mm256_cvtepi32_ps(_mm256_shuffle_epi8(both, green));
    *b = _mm256_cvtepi32_ps(_mm256_shuffle_epi8(both, blue));
}

static inline void vec_store_rgb(uint8_t *p, vec r, vec g, vec b)
{
    const __m256i red = _mm256_cvtps_epi32(r), green = _mm256_slli_epi32(_mm256_cvtps_epi32(g), 8);
    const __m256i pixels = _mm256_or_si256(_mm256_or_si256(red, green), _mm256_slli_epi32(_mm256_cvtps_epi32(b), 16));
    const __m256i order = _mm256_setr_epi8(0, 1, 2, 4, 5, 6, 8, 9, 10, 12, 13, 14, -1, -1, -1, -1, 0, 1, 2, 4, 5, 6, 8,
                                           9, 10, 12, 13, 14, -1, -1, -1, -1);
    const __m256i packed =
        _mm256_permutevar8x32_epi32(_mm256_shuffle_epi8(pixels, order), _mm256_setr_epi32(0, 1, 2, 4, 5, 6, 3, 7));
    _mm_storeu_si128((void *)p, _mm256_castsi256_si128(packed));
    _mm_storel_epi64((void *)(p + 16), _mm256_extracti128_si256(packed, 1));
}

#endif
