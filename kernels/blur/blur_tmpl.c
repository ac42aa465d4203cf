/* Blur of an image of bytes by boxes: running sums of vectors of bytes in both directions, for along its rows an image
 * lies on its side, a strip at a time. Compiled once per instruction set. */
#include "blur/blur.h"
#include "simd/strip.h"

static inline int64_t cut(int64_t i, int64_t count)
{
    return i < 0 ? 0 : i < count ? i : count - 1;
}

/* Vectors that share the bookkeeping of a walk. */
enum { GROUP = 2 };

/* Sum over [-1 - radius, -1 + radius], where the walk begins. */
static inline ints sum_before(const struct gm_blur_box *box, int64_t count, const uint8_t *x, int64_t step)
{
    ints sum = ints_mul(ints_set((int32_t)box->radius + 1), ints_load(x));
    for (int64_t i = 0; i < box->radius; i++)
        sum = ints_add(sum, ints_load(x + cut(i, count) * step));
    return sum;
}

/* The box along `count` places that are step bytes apart, for `vectors` (a constant) vectors of bytes. */
WALK_INLINE void box_group(const struct gm_blur_box *box, int64_t count, const uint8_t *x, int64_t step, int vectors,
                           uint8_t *y, int64_t y_step)
{
    const ints inner = ints_set((int32_t)box->inner), outer = ints_set((int32_t)box->outer);
    const ints half = ints_set(1 << 23);
    ints sum[GROUP], entering[GROUP];
    for (int v = 0; v < vectors; v++) {
        sum[v] = sum_before(box, count, x + v * VEC_LANES, step);
        entering[v] = ints_load(x + cut(box->radius, count) * step + v * VEC_LANES);
    }
    for (int64_t i = 0; i < count; i++) {
        const uint8_t *before = x + cut(i - box->radius - 1, count) * step;
        const uint8_t *after = x + cut(i + box->radius + 1, count) * step;
        for (int v = 0; v < vectors; v++) {
            const ints leaving = ints_load(before + v * VEC_LANES), next = ints_load(after + v * VEC_LANES);
            sum[v] = ints_add(sum[v], ints_sub(entering[v], leaving));
            const ints middle = ints_mul(inner, sum[v]), ends = ints_mul(outer, ints_add(leaving, next));
            ints_store(y + i * y_step + v * VEC_LANES, ints_right_unsigned(ints_add(ints_add(middle, ends), half), 24));
            entering[v] = next;
        }
    }
}

/* Not inline: called six times. */
static __attribute__((noinline)) void box(const struct gm_blur_box *box, int64_t count, int64_t bytes, const uint8_t *x,
                                          int64_t step, uint8_t *y, int64_t y_step)
{
    int64_t j = 0;
    for (; j + GROUP * VEC_LANES <= bytes; j += GROUP * VEC_LANES)
        box_group(box, count, x + j, step, GROUP, y + j, y_step);
    for (; j < bytes; j += VEC_LANES)
        box_group(box, count, x + j, step, 1, y + j, y_step);
}

static void image(const struct gm_blur *o)
{
    const int64_t bytes = o->width * o->channels, step = o->channels * BYTES_STRIP;
    const int64_t rows = strip_rows(o->height);
    memset(o->a, 0, (size_t)(o->width * step));
    for (int64_t strip = 0; strip < o->height; strip += BYTES_STRIP) {
        const int64_t first = strip_first(strip, o->height);
        strip_turn(rows, bytes, o->x + first * o->ldx, o->ldx, o->a, BYTES_STRIP);
        box(&o->box, o->width, step, o->a, step, o->b, step);
        box(&o->box, o->width, step, o->b, step, o->a, step);
        box(&o->box, o->width, step, o->a, step, o->b, step);
        strip_turn(bytes, rows, o->b, BYTES_STRIP, o->middle + first * o->ld_middle, o->ld_middle);
    }
    for (int64_t band = 0; band < bytes; band += GM_BLUR_BAND) {
        const size_t used = (size_t)gm_min_i64(GM_BLUR_BAND, bytes - band);
        box(&o->box, o->height, GM_BLUR_BAND, o->middle + band, o->ld_middle, o->a, GM_BLUR_BAND);
        box(&o->box, o->height, GM_BLUR_BAND, o->a, GM_BLUR_BAND, o->b, GM_BLUR_BAND);
        box(&o->box, o->height, GM_BLUR_BAND, o->b, GM_BLUR_BAND, o->a, GM_BLUR_BAND);
        for (int64_t i = 0; i < o->height; i++)
            memcpy(o->y + i * o->ldy + band, o->a + i * GM_BLUR_BAND, used);
    }
}

const struct gm_blur_kernels GM_ENTRY(gm_blur_f32) = {GM_ISA_TEXT " bytes", image};
