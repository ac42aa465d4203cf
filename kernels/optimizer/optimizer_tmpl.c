/* The kernels of one range. Compiled once per instruction set. */
#include "optimizer/optimizer.h"
#include "simd/walk.h"

WALK_INLINE void momentum_vector(int64_t lanes, float *p, const float *gradient, float *velocity, vec rate,
                                 vec momentum, vec weight_decay, vec scale)
{
    const vec old = walk_load(p, lanes);
    const vec g = vec_mul(scale, vec_fma(weight_decay, old, walk_load(gradient, lanes)));
    const vec v = vec_fma(momentum, walk_load(velocity, lanes), g);
    walk_store(velocity, v, lanes);
    walk_store(p, vec_fnma(rate, v, old), lanes);
}

static void momentum_range(int64_t count, float *p, const float *gradient, float *velocity, float rate, float momentum,
                           float weight_decay, float scale)
{
    const vec r = vec_set(rate), m = vec_set(momentum), w = vec_set(weight_decay), s = vec_set(scale);
    int64_t i = 0;
    for (; i + VEC_LANES <= count; i += VEC_LANES)
        momentum_vector(VEC_LANES, p + i, gradient + i, velocity + i, r, m, w, s);
    if (i < count)
        momentum_vector(count - i, p + i, gradient + i, velocity + i, r, m, w, s);
}

struct adam_vectors {
    vec beta1, beta2, new1, new2, rate, second_deviation, eps, weight_decay;
};

WALK_INLINE void adam_vector(int64_t lanes, float *p, const float *gradient, float *first, float *second,
                             const struct adam_vectors *f)
{
    const vec old = walk_load(p, lanes);
    const vec g = vec_fma(f->weight_decay, old, walk_load(gradient, lanes));
    const vec m = vec_fma(f->beta1, walk_load(first, lanes), vec_mul(f->new1, g));
    const vec v = vec_fma(f->beta2, walk_load(second, lanes), vec_mul(vec_mul(f->new2, g), g));
    walk_store(first, m, lanes);
    walk_store(second, v, lanes);
    const vec deviation = vec_fma(vec_sqrt(v), f->second_deviation, f->eps);
    walk_store(p, vec_fnma(f->rate, vec_div(m, deviation), old), lanes);
}

static void adam_range(int64_t count, float *p, const float *gradient, float *first, float *second,
                       const struct gm_adam_factors *factors)
{
    const struct adam_vectors f = {
        vec_set(factors->beta1), vec_set(factors->beta2),        vec_set(factors->new1),
        vec_set(factors->new2),  vec_set(factors->rate),         vec_set(factors->second_deviation),
        vec_set(factors->eps),   vec_set(factors->weight_decay),
    };
    int64_t i = 0;
    for (; i + VEC_LANES <= count; i += VEC_LANES)
        adam_vector(VEC_LANES, p + i, gradient + i, first + i, second + i, &f);
    if (i < count)
        adam_vector(count - i, p + i, gradient + i, first + i, second + i, &f);
}

struct square_operands {
    const float *p, *gradient;
    vec weight_decay;
};

WALK_INLINE void square_terms(const void *arg, int64_t i, int64_t lanes, int unused, vec *pp, vec *gg)
{
    const struct square_operands *o = arg;
    (void)unused;
    const vec x = walk_load(o->p + i, lanes), g = vec_fma(o->weight_decay, x, walk_load(o->gradient + i, lanes));
    *pp = vec_fma(x, x, *pp);
    *gg = vec_fma(g, g, *gg);
}

static void squares_range(int64_t count, const float *p, const float *gradient, float weight_decay, double sums[2])
{
    const struct square_operands o = {p, gradient, vec_set(weight_decay)};
    sums[0] = sums[1] = 0;
    walk_sums(square_terms, &o, 0, count, 0, 2, sums);
}

const struct gm_optimizer_kernels GM_ENTRY(gm_optimizer_f32) = {GM_ISA_TEXT " one pass", momentum_range, adam_range,
                                                                squares_range};
