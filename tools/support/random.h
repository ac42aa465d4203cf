/* Counter-based random numbers: a draw is a function of its key and counter alone, so that nothing depends on threads
 * or on the order of calls. Philox4x32-10: J. Salmon, M. Moraes, R. Dror, D. Shaw: Parallel random numbers: as easy as
 * 1, 2, 3; SC 2011. */
#ifndef GEMEL_RANDOM_H
#define GEMEL_RANDOM_H

#include <math.h>
#include <stdint.h>

/* What a stream of numbers is for; each draws its own. */
typedef enum gm_random_operation {
    GM_RANDOM_SHUFFLE = 1,
    GM_RANDOM_SPLIT,
    GM_RANDOM_WEIGHTS,
    GM_RANDOM_CROP,
    GM_RANDOM_FLIP,
    GM_RANDOM_JITTER,
    GM_RANDOM_BLUR,
    GM_RANDOM_SOLARIZE,
    GM_RANDOM_NOISE,
    GM_RANDOM_DROPOUT,
    GM_RANDOM_SYNTHETIC,
    GM_RANDOM_PROBE,
    GM_RANDOM_GRAY,
    GM_RANDOM_PROJECTION,
} gm_random_operation;

/* A stream: key and counter (seed, epoch, sample, view, operation), and how much of it was drawn. */
typedef struct gm_random {
    uint32_t key[2];
    uint32_t counter[4]; /* [0] counts the blocks of four numbers */
    uint32_t block[4];
    uint32_t used; /* numbers of the block already handed out */
} gm_random;

static inline void gm_philox_4x32(const uint32_t key[2], const uint32_t counter[4], uint32_t out[4])
{
    uint32_t k0 = key[0], k1 = key[1], c0 = counter[0], c1 = counter[1], c2 = counter[2], c3 = counter[3];
    for (int round = 0; round < 10; round++) {
        const uint64_t p0 = (uint64_t)0xD2511F53u * c0, p1 = (uint64_t)0xCD9E8D57u * c2;
        c0 = (uint32_t)(p1 >> 32) ^ c1 ^ k0;
        c2 = (uint32_t)(p0 >> 32) ^ c3 ^ k1;
        c1 = (uint32_t)p1;
        c3 = (uint32_t)p0;
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
    out[0] = c0;
    out[1] = c1;
    out[2] = c2;
    out[3] = c3;
}

/* sample < 2^40, epoch < 2^24, view < 2^16. */
static inline gm_random gm_random_stream(uint64_t seed, int64_t epoch, int64_t sample, int32_t view,
                                         gm_random_operation operation)
{
    gm_random stream = {
        .key = {(uint32_t)seed, (uint32_t)(seed >> 32)},
        .counter = {0, (uint32_t)sample, (uint32_t)(sample >> 32) | (uint32_t)epoch << 8,
                    (uint32_t)view << 16 | (uint32_t)operation},
        .used = 4,
    };
    return stream;
}

static inline uint32_t gm_random_u32(gm_random *stream)
{
    if (stream->used == 4) {
        gm_philox_4x32(stream->key, stream->counter, stream->block);
        stream->counter[0]++;
        stream->used = 0;
    }
    return stream->block[stream->used++];
}

/* Uniform in [0, 1), a multiple of 2^-24. */
static inline float gm_random_uniform(gm_random *stream)
{
    return (float)(gm_random_u32(stream) >> 8) * 0x1p-24f;
}

static inline float gm_random_between(gm_random *stream, float low, float high)
{
    return low + (high - low) * gm_random_uniform(stream);
}

__extension__ typedef unsigned __int128 gm_u128;

/* Uniform in [0, n), 0 < n < 2^32; the bias is below n / 2^64. */
static inline uint32_t gm_random_below(gm_random *stream, uint32_t n)
{
    const uint64_t high = gm_random_u32(stream), low = gm_random_u32(stream);
    return (uint32_t)(((gm_u128)(high << 32 | low) * n) >> 64);
}

/* Standard normal, by Box and Muller's method from two draws. */
static inline float gm_random_normal(gm_random *stream)
{
    const float u = 1.0f - gm_random_uniform(stream), v = gm_random_uniform(stream);
    return sqrtf(-2.0f * logf(u)) * cosf(6.28318530718f * v);
}

#endif
