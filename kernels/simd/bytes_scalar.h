/* One lane in plain C. */
#ifndef GEMEL_BYTES_SCALAR_H
#define GEMEL_BYTES_SCALAR_H

#include <math.h>
#include <stdint.h>

typedef int32_t ints;
enum { BYTES_STRIP = 1 };

static inline ints ints_set(int32_t n)
{
    return n;
}

static inline ints ints_add(ints a, ints b)
{
    return (ints)((uint32_t)a + (uint32_t)b);
}

static inline ints ints_sub(ints a, ints b)
{
    return (ints)((uint32_t)a - (uint32_t)b);
}

static inline ints ints_mul(ints a, ints b)
{
    return (ints)((uint32_t)a * (uint32_t)b);
}

static inline ints ints_left(ints v, int n)
{
    return (ints)((uint32_t)v << n);
}

static inline ints ints_right(ints v, int n)
{
    return v >> n;
}

static inline ints ints_right_unsigned(ints v, int n)
{
    return (ints)((uint32_t)v >> n);
}

static inline ints ints_load(const uint8_t *p)
{
    return *p;
}

static inline ints ints_load_pairs(const uint8_t *p, const uint8_t *q)
{
    return *p | *q << 16;
}

static inline ints ints_add_pairs(ints sum, ints pairs, ints weights)
{
    return ints_add(sum, ints_add((pairs & 0xffff) * (int16_t)weights, (pairs >> 16) * (weights >> 16)));
}

static inline void ints_store(uint8_t *p, ints v)
{
    *p = (uint8_t)(v < 0 ? 0 : v > 255 ? 255 : v);
}

static inline vec vec_floor(vec v)
{
    return floorf(v);
}

static inline void vec_load_rgb(const uint8_t *p, vec *r, vec *g, vec *b)
{
    *r = p[0];
    *g = p[1];
    *b = p[2];
}

static inline void vec_store_rgb(uint8_t *p, vec r, vec g, vec b)
{
    p[0] = (uint8_t)r;
    p[1] = (uint8_t)g;
    p[2] = (uint8_t)b;
}

#endif
