/* The transforms of Winograd's convolutions. All five are f (x) f for a linear map f of one dimension, applied to the
 * columns of a patch and then to its rows, a vector of channels at a time. */
#ifndef GEMEL_CONV_WINOGRAD_TMPL_H
#define GEMEL_CONV_WINOGRAD_TMPL_H

#include <math.h>

#include "conv/winograd.h"
#include "simd/walk.h"

/* F(4, 3): points 0, 1, -1, 2, -1/2 and infinity. */
WALK_INLINE void input_4(const vec *d, vec *v)
{
    const vec a = vec_sub(d[3], d[1]), b = vec_sub(d[4], d[2]);
    const vec even = vec_fnma(vec_set(1.5f), d[2], a), odd = vec_fnma(vec_set(1.5f), d[3], b);
    v[0] = vec_fnma(vec_set(1.5f), a, vec_add(vec_sub(d[0], d[2]), b));
    v[1] = vec_add(odd, even);
    v[2] = vec_sub(odd, even);
    v[3] = vec_fma(vec_set(0.5f), a, b);
    v[4] = vec_fnma(vec_set(2.0f), a, b);
    v[5] = vec_fnma(vec_set(1.5f), b, vec_sub(vec_sub(d[5], d[3]), a));
}

WALK_INLINE void output_4(const vec *s, vec *y)
{
    const vec sum = vec_add(s[1], s[2]), difference = vec_sub(s[1], s[2]);
    y[0] = vec_add(vec_add(s[0], sum), vec_add(s[3], s[4]));
    y[1] = vec_fnma(vec_set(0.5f), s[4], vec_fma(vec_set(2.0f), s[3], difference));
    y[2] = vec_fma(vec_set(0.25f), s[4], vec_fma(vec_set(4.0f), s[3], sum));
    y[3] = vec_fnma(vec_set(0.125f), s[4], vec_fma(vec_set(8.0f), s[3], vec_add(difference, s[5])));
}

/* The adjoint of output_4(): a polynomial at the points. */
WALK_INLINE void spread_4(const vec *y, vec *v)
{
    const vec even = vec_add(y[0], y[2]), odd = vec_add(y[1], y[3]);
    v[0] = y[0];
    v[1] = vec_add(even, odd);
    v[2] = vec_sub(even, odd);
    v[3] = vec_fma(vec_set(8.0f), y[3], vec_fma(vec_set(4.0f), y[2], vec_fma(vec_set(2.0f), y[1], y[0])));
    v[4] = vec_fnma(vec_set(0.125f), y[3], vec_fma(vec_set(0.25f), y[2], vec_fnma(vec_set(0.5f), y[1], y[0])));
    v[5] = y[3];
}

WALK_INLINE void weights_4(const vec *g, vec *u)
{
    const vec even = vec_add(g[0], g[2]);
    u[0] = g[0];
    u[1] = vec_mul(vec_set(-1.0f / 3), vec_add(even, g[1]));
    u[2] = vec_mul(vec_set(1.0f / 3), vec_sub(even, g[1]));
    u[3] = vec_mul(vec_set(1.0f / 15), vec_fma(vec_set(4.0f), g[2], vec_fma(vec_set(2.0f), g[1], g[0])));
    u[4] = vec_mul(vec_set(-16.0f / 15), vec_fma(vec_set(0.25f), g[2], vec_fnma(vec_set(0.5f), g[1], g[0])));
    u[5] = g[2];
}

/* The adjoint of weights_4(). */
WALK_INLINE void gradient_4(const vec *s, vec *g)
{
    const vec one = vec_mul(vec_set(1.0f / 3), vec_sub(s[2], s[1]));
    const vec two = vec_mul(vec_set(1.0f / 15), s[3]), half = vec_mul(vec_set(-16.0f / 15), s[4]);
    g[0] = vec_add(vec_add(s[0], one), vec_add(two, half));
    g[1] = vec_fma(vec_set(-1.0f / 3), vec_add(s[1], s[2]), vec_fnma(vec_set(0.5f), half, vec_add(two, two)));
    g[2] = vec_add(vec_fma(vec_set(4.0f), two, one), vec_fma(vec_set(0.25f), half, s[5]));
}

/* F(2, 3): points 0, 1, -1 and infinity. */
WALK_INLINE void input_2(const vec *d, vec *v)
{
    v[0] = vec_sub(d[0], d[2]);
    v[1] = vec_add(d[2], d[1]);
    v[2] = vec_sub(d[2], d[1]);
    v[3] = vec_sub(d[3], d[1]);
}

WALK_INLINE void output_2(const vec *s, vec *y)
{
    y[0] = vec_add(s[0], vec_add(s[1], s[2]));
    y[1] = vec_add(vec_sub(s[1], s[2]), s[3]);
}

WALK_INLINE void spread_2(const vec *y, vec *v)
{
    v[0] = y[0];
    v[1] = vec_add(y[0], y[1]);
    v[2] = vec_sub(y[0], y[1]);
    v[3] = y[1];
}

WALK_INLINE void weights_2(const vec *g, vec *u)
{
    const vec even = vec_add(g[0], g[2]);
    u[0] = g[0];
    u[1] = vec_mul(vec_set(0.5f), vec_add(even, g[1]));
    u[2] = vec_mul(vec_set(0.5f), vec_sub(even, g[1]));
    u[3] = g[2];
}

WALK_INLINE void gradient_2(const vec *s, vec *g)
{
    const vec sum = vec_mul(vec_set(0.5f), vec_add(s[1], s[2]));
    g[0] = vec_add(s[0], sum);
    g[1] = vec_mul(vec_set(0.5f), vec_sub(s[1], s[2]));
    g[2] = vec_add(sum, s[3]);
}

typedef void (*winograd_map)(const vec *in, vec *out);

/* Floats from one vector of x and y to the next below and beside it; ahead: to what is written after y. */
struct winograd_strides {
    int64_t x_row, x_col, y_row, y_col, ahead;
};

/* The loops over columns and rows stay loops: unrolled, their addresses alone would not fit into the registers. */
#ifdef __clang__
#define ROLLED _Pragma("clang loop unroll(disable)")
#else
#define ROLLED _Pragma("GCC unroll 1")
#endif

/* How y is written: as it is, past the caches, or asking for what is written next, since stores wait for their lines
 * one after the other. */
enum winograd_store { PLAIN, STREAM, ASK_AHEAD };

WALK_INLINE void transform_patch(winograd_map map, int in, int out, enum winograd_store store, const float *x, float *y,
                                 const struct winograd_strides *s)
{
    vec half[GM_WINOGRAD_PATCH * GM_WINOGRAD_PATCH], from[GM_WINOGRAD_PATCH], to[GM_WINOGRAD_PATCH];
    ROLLED
    for (int c = 0; c < in; c++, x += s->x_col) {
        for (int r = 0; r < in; r++)
            from[r] = vec_load(x + r * s->x_row);
        map(from, to);
        for (int r = 0; r < out; r++)
            half[r * GM_WINOGRAD_PATCH + c] = to[r];
    }
    ROLLED
    for (int r = 0; r < out; r++, y += s->y_row) {
        for (int c = 0; c < in; c++)
            from[c] = half[r * GM_WINOGRAD_PATCH + c];
        map(from, to);
        for (int c = 0; c < out; c++)
            walk_put(y + c * s->y_col, to[c], VEC_LANES, store == STREAM);
        for (int c = 0; c < out && store == ASK_AHEAD; c++)
            __builtin_prefetch(y + c * s->y_col + s->ahead, 1, 3);
    }
}

/* A function for each, so that what is around them exists once. */
struct winograd_transform {
    int in, out; /* rows of a patch */
    void (*patch)(const float *x, float *y, const struct winograd_strides *s);
};

/* Weights are read much later; but a line that is written in parts is no stream. */
static const enum winograd_store weights_store = sizeof(vec) == 64 ? STREAM : PLAIN;

#define TRANSFORM(name, in, out, store)                                                                                \
    static __attribute__((noinline)) void name##_patch(const float *x, float *y, const struct winograd_strides *s)     \
    {                                                                                                                  \
        transform_patch(name, in, out, store, x, y, s);                                                                \
    }                                                                                                                  \
    static const struct winograd_transform name##_transform = {in, out, name##_patch};
TRANSFORM(input_4, 6, 6, PLAIN)
TRANSFORM(input_2, 4, 4, PLAIN)
TRANSFORM(spread_4, 4, 6, PLAIN)
TRANSFORM(spread_2, 2, 4, PLAIN)
TRANSFORM(output_4, 6, 4, ASK_AHEAD)
TRANSFORM(output_2, 4, 2, ASK_AHEAD)
TRANSFORM(weights_4, 3, 6, weights_store)
TRANSFORM(weights_2, 3, 4, weights_store)
TRANSFORM(gradient_4, 6, 3, PLAIN)
TRANSFORM(gradient_2, 4, 3, PLAIN)

enum { PATCH_FLOATS = GM_WINOGRAD_POSITIONS * VEC_LANES };

/* Whether a patch of `size` rows needs no care: all of it inside, and stored as it is used. */
static inline bool is_inside(int64_t height, int64_t width, int64_t size, int64_t row, int64_t col)
{
    return row >= 0 && col >= 0 && row + size <= height && col + size <= width;
}

/* `pixels` of a row, finished as they are read. */
WALK_INLINE float *gather_pixels(const float *x, int64_t ld, int64_t pixels, int64_t lanes, vec scale, vec shift,
                                 vec least, float *patch)
{
    for (; pixels > 0; pixels--, x += ld, patch += VEC_LANES)
        vec_store(patch, vec_max(least, vec_fma(scale, walk_load(x, lanes), shift)));
    return patch;
}

WALK_INLINE float *gather_nothing(int64_t pixels, float *patch)
{
    for (; pixels > 0; pixels--, patch += VEC_LANES)
        vec_store(patch, vec_zero());
    return patch;
}

/* A patch with what lies outside the image, beyond the channels or before normalisation. */
static __attribute__((noinline)) void gather(const struct gm_winograd_source *x, int64_t size, int64_t row, int64_t col,
                                             int64_t channel, int64_t lanes, float *patch)
{
    const vec scale = x->scale ? vec_load_n(x->scale + channel, lanes) : vec_set(1.0f);
    const vec shift = x->scale ? vec_load_n(x->shift + channel, lanes) : vec_zero();
    const vec least = x->relu ? vec_zero() : vec_set(-INFINITY);
    const int64_t ld = x->ld, first = col < 0 ? -col : 0, inside = x->width - col < size ? x->width - col : size;
    for (int64_t r = row; r < row + size; r++) {
        if (r < 0 || r >= x->height) {
            patch = gather_nothing(size, patch);
            continue;
        }
        const float *line = x->data + (r * x->width + col + first) * ld + channel;
        patch = gather_nothing(first, patch);
        patch = lanes == VEC_LANES ? gather_pixels(line, ld, inside - first, VEC_LANES, scale, shift, least, patch)
                                   : gather_pixels(line, ld, inside - first, lanes, scale, shift, least, patch);
        patch = gather_nothing(size - inside, patch);
    }
}

static __attribute__((noinline)) void transform_image(const struct winograd_transform *f,
                                                      const struct gm_winograd_source *x, int64_t row, int64_t col,
                                                      int64_t channel, int64_t count, float *v, int64_t stride)
{
    const bool inside = is_inside(x->height, x->width, f->in, row, col) && !x->scale && !x->relu;
    const struct winograd_strides in_place = {x->width * x->ld, x->ld, f->out * stride, stride, 0};
    const struct winograd_strides gathered = {f->in * VEC_LANES, VEC_LANES, f->out * stride, stride, 0};
    for (int64_t i = 0; i < count; i += VEC_LANES) {
        if (inside && i + VEC_LANES <= count) {
            f->patch(x->data + (row * x->width + col) * x->ld + channel + i, v + i, &in_place);
        } else {
            float patch[PATCH_FLOATS];
            gather(x, f->in, row, col, channel + i, vec_lanes_left(i, count), patch);
            f->patch(patch, v + i, &gathered);
        }
    }
}

static void winograd_input(int64_t outputs, const struct gm_winograd_source *x, int64_t row, int64_t col,
                           int64_t channel, int64_t count, float *v, int64_t stride)
{
    transform_image(outputs == 4 ? &input_4_transform : &input_2_transform, x, row, col, channel, count, v, stride);
}

static void winograd_spread(int64_t outputs, const struct gm_winograd_source *dy, int64_t row, int64_t col,
                            int64_t channel, int64_t count, float *v, int64_t stride)
{
    transform_image(outputs == 4 ? &spread_4_transform : &spread_2_transform, dy, row, col, channel, count, v, stride);
}

/* What of a patch lies in the image, finished. */
static __attribute__((noinline)) void put(const float *patch, int64_t size, const struct gm_winograd_target *y,
                                          int64_t row, int64_t col, int64_t channel, int64_t lanes)
{
    const vec bias = y->bias ? vec_load_n(y->bias + channel, lanes) : vec_zero();
    const vec least = y->relu ? vec_zero() : vec_set(-INFINITY), beta = vec_set(y->beta);
    for (int64_t r = row; r < row + size && r < y->height; r++) {
        for (int64_t c = col; c < col + size && c < y->width; c++) {
            const int64_t pixel = r * y->width + c;
            float *to = y->data + pixel * y->ld + channel;
            vec x = vec_add(vec_load(patch + ((r - row) * size + c - col) * VEC_LANES), bias);
            if (y->beta != 0.0f)
                x = vec_fma(beta, vec_load_n(to, lanes), x);
            if (y->residual)
                x = vec_add(x, vec_load_n(y->residual + pixel * y->ld_residual + channel, lanes));
            vec_store_n(to, vec_max(least, x), lanes);
        }
    }
}

static void winograd_output(int64_t outputs, const float *s, int64_t stride, int64_t count,
                            const struct gm_winograd_target *y, int64_t row, int64_t col, int64_t channel)
{
    const struct winograd_transform *f = outputs == 4 ? &output_4_transform : &output_2_transform;
    const bool plain = !y->bias && !y->residual && !y->relu && y->beta == 0.0f;
    const bool inside = is_inside(y->height, y->width, outputs, row, col) && plain;
    const struct winograd_strides in_place = {f->in * stride, stride, y->width * y->ld, y->ld, f->out * y->ld};
    const struct winograd_strides apart = {f->in * stride, stride, outputs * VEC_LANES, VEC_LANES, 0};
    for (int64_t i = 0; i < count; i += VEC_LANES) {
        if (inside && i + VEC_LANES <= count) {
            f->patch(s + i, y->data + (row * y->width + col) * y->ld + channel + i, &in_place);
        } else {
            float patch[PATCH_FLOATS];
            f->patch(s + i, patch, &apart);
            put(patch, outputs, y, row, col, channel + i, vec_lanes_left(i, count));
        }
    }
}

static void winograd_weights(int64_t outputs, const float *g, int64_t tap, int64_t channels, int64_t width, float *u,
                             int64_t stride)
{
    const struct winograd_transform *f = outputs == 4 ? &weights_4_transform : &weights_2_transform;
    const struct winograd_strides strides = {3 * tap, tap, f->out * stride, stride, 0};
    for (int64_t c = 0; c < channels; c++, g += 9 * width, u += width)
        for (int64_t i = 0; i < width; i += VEC_LANES)
            f->patch(g + i, u + i, &strides);
    vec_stream_end();
}

static void winograd_gradient(int64_t outputs, const float *s, int64_t stride, int64_t count, float *dw)
{
    enum { TAPS = 9 };
    const struct winograd_transform *f = outputs == 4 ? &gradient_4_transform : &gradient_2_transform;
    const struct winograd_strides strides = {f->in * stride, stride, 3 * VEC_LANES, VEC_LANES, 0};
    for (int64_t i = 0; i < count; i += VEC_LANES) {
        float taps[TAPS * VEC_LANES];
        f->patch(s + i, taps, &strides);
        const int64_t lanes = vec_lanes_left(i, count);
        for (int64_t lane = 0; lane < lanes; lane++)
            for (int64_t t = 0; t < TAPS; t++)
                dw[(i + lane) * TAPS + t] = taps[t * VEC_LANES + lane];
    }
}

static const struct gm_winograd_kernels winograd_kernels = {
    .input = winograd_input,
    .spread = winograd_spread,
    .output = winograd_output,
    .weights = winograd_weights,
    .gradient = winograd_gradient,
};

#endif
