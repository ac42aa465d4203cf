/* Resampling of an image of bytes: weighted sums of vectors of bytes in both directions, for along its rows an image
 * lies on its side, a strip at a time. Compiled once per instruction set. */
#include "resample/resample.h"
#include "simd/strip.h"

/* Vectors whose sums are under way together, two registers each: as many as AVX2 has room for. */
enum { GROUP = 6 };

/* `vectors` (a constant) vectors of output i. Inputs follow each other `step` bytes apart, from the first tap on. */
WALK_INLINE void weigh_group(const struct gm_resample_axis *axis, int64_t i, const uint8_t *x, int64_t step,
                             int vectors, uint8_t *y)
{
    const int32_t *high_weights = axis->high + i * axis->most_pairs, *low_weights = axis->low + i * axis->most_pairs;
    const int32_t taps = axis->taps[i];
    ints high[GROUP], low[GROUP];
    for (int v = 0; v < vectors; v++) {
        high[v] = ints_set(0);
        low[v] = ints_set(1 << (GM_RESAMPLE_PRECISION - 1));
    }
    for (int32_t t = 0; t < taps; t += 2, x += 2 * step) {
        const ints h = ints_set(high_weights[t / 2]), l = ints_set(low_weights[t / 2]);
        const uint8_t *second = t + 1 < taps ? x + step : x;
        for (int v = 0; v < vectors; v++) {
            const ints pairs = ints_load_pairs(x + v * VEC_LANES, second + v * VEC_LANES);
            high[v] = ints_add_pairs(high[v], pairs, h);
            low[v] = ints_add_pairs(low[v], pairs, l);
        }
    }
    for (int v = 0; v < vectors; v++) {
        const ints sum = ints_add(ints_left(high[v], GM_RESAMPLE_LOW), low[v]);
        ints_store(y + v * VEC_LANES, ints_right(sum, GM_RESAMPLE_PRECISION));
    }
}

/* All `count` >= VEC_LANES bytes of output i; the last vector may lie partly on the one before. Not inline: called
 * for rows and for columns. */
static __attribute__((noinline)) void weigh(const struct gm_resample_axis *axis, int64_t i, const uint8_t *x,
                                            int64_t step, int64_t count, uint8_t *y)
{
    int64_t j = 0;
    x += axis->first[i] * step;
    for (; j + GROUP * VEC_LANES <= count; j += GROUP * VEC_LANES)
        weigh_group(axis, i, x + j, step, GROUP, y + j);
    for (; j < count; j += VEC_LANES) {
        const int64_t from = j + VEC_LANES <= count ? j : count - VEC_LANES;
        weigh_group(axis, i, x + from, step, 1, y + from);
    }
}

static void along_rows(const struct gm_resample_pass *o, int64_t rows, int64_t channels, uint8_t *scratch)
{
    const int64_t step = channels * BYTES_STRIP, together = strip_rows(rows);
    uint8_t *from = scratch, *to = scratch + o->axis.side * step;
    memset(from, 0, (size_t)(o->axis.side * step));
    for (int64_t strip = 0; strip < rows; strip += BYTES_STRIP) {
        const int64_t first = strip_first(strip, rows);
        strip_turn(together, o->axis.side * channels, o->x + first * o->ldx, o->ldx, from, BYTES_STRIP);
        for (int64_t i = 0; i < o->axis.outputs; i++)
            weigh(&o->axis, i, from, step, step, to + i * step);
        strip_turn(o->axis.outputs * channels, together, to, BYTES_STRIP, o->y + first * o->ldy, o->ldy);
    }
}

/* Of fewer bytes than a vector has: they are brought together, so that vectors of them lie in the scratch. */
static void along_few_columns(const struct gm_resample_pass *o, int64_t columns, uint8_t *scratch)
{
    for (int64_t i = 0; i < o->axis.side; i++)
        memcpy(scratch + i * columns, o->x + i * o->ldx, (size_t)columns);
    memset(scratch + o->axis.side * columns, 0, VEC_LANES);
    for (int64_t i = 0; i < o->axis.outputs; i++) {
        uint8_t y[VEC_LANES];
        weigh_group(&o->axis, i, scratch + o->axis.first[i] * columns, columns, 1, y);
        memcpy(o->y + i * o->ldy, y, (size_t)columns);
    }
}

static void along_columns(const struct gm_resample_pass *o, int64_t columns, uint8_t *scratch)
{
    if (columns < VEC_LANES)
        along_few_columns(o, columns, scratch);
    else
        for (int64_t i = 0; i < o->axis.outputs; i++)
            weigh(&o->axis, i, o->x, o->ldx, columns, o->y + i * o->ldy);
}

const struct gm_resample_kernels GM_ENTRY(gm_resample_f32) = {GM_ISA_TEXT " bytes", along_rows, along_columns};
