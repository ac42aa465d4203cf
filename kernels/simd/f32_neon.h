/* Four lanes: AArch64 Advanced SIMD. */
#ifndef GEMEL_F32_NEON_H
#define GEMEL_F32_NEON_H

#include <arm_neon.h>
#include <stdint.h>
#include <string.h>

typedef float32x4_t vec;
enum { VEC_LANES = 4 };

static inline vec vec_zero(void)
{
    return vdupq_n_f32(0.0f);
}

static inline vec vec_set(float x)
{
    return vdupq_n_f32(x);
}

static inline vec vec_load(const float *p)
{
    return vld1q_f32(p);
}

static inline void vec_store(float *p, vec v)
{
    vst1q_f32(p, v);
}

static inline void vec_stream(float *p, vec v)
{
    vec_store(p, v);
}

static inline void vec_stream_end(void) {}

static inline void vec_hold(vec v)
{
    (void)v;
}

static inline vec vec_load_n(const float *p, int64_t n)
{
    vec v = vdupq_n_f32(0.0f);
    if (n >= 4)
        return vld1q_f32(p);
    if (n >= 1)
        v = vld1q_lane_f32(p, v, 0);
    if (n >= 2)
        v = vld1q_lane_f32(p + 1, v, 1);
    if (n >= 3)
        v = vld1q_lane_f32(p + 2, v, 2);
    return v;
}

static inline void vec_store_n(float *p, vec v, int64_t n)
{
    if (n >= 4) {
        vst1q_f32(p, v);
        return;
    }
    if (n >= 1)
        vst1q_lane_f32(p, v, 0);
    if (n >= 2)
        vst1q_lane_f32(p + 1, v, 1);
    if (n >= 3)
        vst1q_lane_f32(p + 2, v, 2);
}

static inline vec vec_add(vec a, vec b)
{
    return vaddq_f32(a, b);
}

static inline vec vec_sub(vec a, vec b)
{
    return vsubq_f32(a, b);
}

static inline vec vec_mul(vec a, vec b)
{
    return vmulq_f32(a, b);
}

static inline vec vec_div(vec a, vec b)
{
    return vdivq_f32(a, b);
}

static inline vec vec_sqrt(vec a)
{
    return vsqrtq_f32(a);
}

static inline vec vec_abs(vec a)
{
    return vabsq_f32(a);
}

static inline vec vec_fma(vec a, vec b, vec c)
{
    return vfmaq_f32(c, a, b);
}

static inline vec vec_fnma(vec a, vec b, vec c)
{
    return vfmsq_f32(c, a, b);
}

/* Not vminq and vmaxq, which return NaN for a NaN on either side and order the zeros. */
static inline vec vec_min(vec a, vec b)
{
    return vbslq_f32(vcltq_f32(a, b), a, b);
}

static inline vec vec_max(vec a, vec b)
{
    return vbslq_f32(vcgtq_f32(a, b), a, b);
}

static inline vec vec_select_gt(vec a, vec b, vec x, vec y)
{
    return vbslq_f32(vcgtq_f32(a, b), x, y);
}

static inline vec vec_select_eq(vec a, vec b, vec x, vec y)
{
    return vbslq_f32(vceqq_f32(a, b), x, y);
}

static const uint32_t vec_lane_bits[VEC_LANES] = {1, 2, 4, 8};

static inline unsigned vec_bits_gt(vec a, vec b)
{
    return vaddvq_u32(vandq_u32(vcgtq_f32(a, b), vld1q_u32(vec_lane_bits)));
}

static inline vec vec_keep(unsigned bits, vec v)
{
    const uint32x4_t kept = vtstq_u32(vdupq_n_u32(bits), vld1q_u32(vec_lane_bits));
    return vreinterpretq_f32_u32(vandq_u32(kept, vreinterpretq_u32_f32(v)));
}

static inline vec vec_load_bytes(const uint8_t *p)
{
    uint32_t four;
    memcpy(&four, p, sizeof four);
    const uint16x8_t words = vmovl_u8(vreinterpret_u8_u32(vdup_n_u32(four)));
    return vcvtq_f32_u32(vmovl_u16(vget_low_u16(words)));
}

static inline void vec_store_bytes(uint8_t *p, vec v)
{
    const uint16x4_t words = vmovn_u32(vcvtq_u32_f32(v));
    const uint32_t four = vget_lane_u32(vreinterpret_u32_u8(vmovn_u16(vcombine_u16(words, words))), 0);
    memcpy(p, &four, sizeof four);
}

/* Numbers of bytes, for the table lookup: lane n is the bytes 4n … 4n + 3. */
typedef uint8x16_t vec_order;

static inline vec_order vec_order_load(const int32_t *p)
{
    const uint32x4_t lanes = vreinterpretq_u32_s32(vld1q_s32(p));
    return vreinterpretq_u8_u32(vmlaq_n_u32(vdupq_n_u32(0x03020100), lanes, 0x04040404));
}

static inline vec vec_permute(vec v, vec_order order)
{
    return vreinterpretq_f32_u8(vqtbl1q_u8(vreinterpretq_u8_f32(v), order));
}

static inline float vec_sum(vec v)
{
    return vaddvq_f32(v);
}

static inline double vec_sum_double(vec v)
{
    return vaddvq_f64(vaddq_f64(vcvt_f64_f32(vget_low_f32(v)), vcvt_high_f64_f32(v)));
}

#endif
