/* Four lanes: AArch64 Advanced SIMD. */
#ifndef GEMEL_BYTES_NEON_H
#define GEMEL_BYTES_NEON_H

#include <arm_neon.h>
#include <stdint.h>
#include <string.h>

typedef int32x4_t ints;
enum { BYTES_STRIP = 16 };

static inline ints ints_set(int32_t n)
{
    return vdupq_n_s32(n);
}

static inline ints ints_add(ints a, ints b)
{
    return vaddq_s32(a, b);
}

static inline ints ints_sub(ints a, ints b)
{
    return vsubq_s32(a, b);
}

static inline ints ints_mul(ints a, ints b)
{
    return vmulq_s32(a, b);
}

static inline ints ints_left(ints v, int n)
{
    return vshlq_s32(v, vdupq_n_s32(n));
}

static inline ints ints_right(ints v, int n)
{
    return vshlq_s32(v, vdupq_n_s32(-n));
}

static inline ints ints_right_unsigned(ints v, int n)
{
    return vreinterpretq_s32_u32(vshlq_u32(vreinterpretq_u32_s32(v), vdupq_n_s32(-n)));
}

static inline uint16x4_t ints_load_words(const uint8_t *p)
{
    uint32_t four;
    memcpy(&four, p, sizeof four);
    return vget_low_u16(vmovl_u8(vreinterpret_u8_u32(vdup_n_u32(four))));
}

static inline ints ints_load(const uint8_t *p)
{
    return vreinterpretq_s32_u32(vmovl_u16(ints_load_words(p)));
}

static inline ints ints_load_pairs(const uint8_t *p, const uint8_t *q)
{
    return vreinterpretq_s32_u32(vorrq_u32(vmovl_u16(ints_load_words(p)), vshll_n_u16(ints_load_words(q), 16)));
}

static inline ints ints_add_pairs(ints sum, ints pairs, ints weights)
{
    const int16x8_t a = vreinterpretq_s16_s32(pairs), b = vreinterpretq_s16_s32(weights);
    return vaddq_s32(sum, vpaddq_s32(vmull_s16(vget_low_s16(a), vget_low_s16(b)), vmull_high_s16(a, b)));
}

static inline void ints_store(uint8_t *p, ints v)
{
    const int16x4_t words = vqmovn_s32(v);
    const uint32_t four = vget_lane_u32(vreinterpret_u32_u8(vqmovun_s16(vcombine_s16(words, words))), 0);
    memcpy(p, &four, sizeof four);
}

static inline vec vec_floor(vec v)
{
    return vrndmq_f32(v);
}

/* Bytes of four pixels to words of one channel: numbers beyond the table give 0. */
static inline vec vec_channel(uint8x16_t pixels, uint32_t channel)
{
    const uint32x4_t first = {0xffffff00, 0xffffff03, 0xffffff06, 0xffffff09};
    const uint8x16_t order = vreinterpretq_u8_u32(vaddq_u32(first, vdupq_n_u32(channel)));
    return vcvtq_f32_u32(vreinterpretq_u32_u8(vqtbl1q_u8(pixels, order)));
}

static inline void vec_load_rgb(const uint8_t *p, vec *r, vec *g, vec *b)
{
    uint32_t words[4] = {0};
    memcpy(words, p, 12);
    const uint8x16_t pixels = vreinterpretq_u8_u32(vld1q_u32(words));
    *r = vec_channel(pixels, 0);
    *g = vec_channel(pixels, 1);
    *b = vec_channel(pixels, 2);
}

static inline void vec_store_rgb(uint8_t *p, vec r, vec g, vec b)
{
    static const uint8_t order[16] = {0, 1, 2, 4, 5, 6, 8, 9, 10, 12, 13, 14, 255, 255, 255, 255};
    const uint32x4_t low = vorrq_u32(vcvtq_u32_f32(r), vshlq_n_u32(vcvtq_u32_f32(g), 8));
    const uint32x4_t pixels = vorrq_u32(low, vshlq_n_u32(vcvtq_u32_f32(b), 16));
    uint8_t bytes[16];
    vst1q_u8(bytes, vqtbl1q_u8(vreinterpretq_u8_u32(pixels), vld1q_u8(order)));
    memcpy(p, bytes, 12);
}

#endif
