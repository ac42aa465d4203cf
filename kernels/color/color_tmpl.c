/* Colour steps of an image of bytes, in float, which holds all of their integers. Compiled once per instruction set. */
#include "color/color.h"
#include "simd/bytes.h"

/* --- all bytes alike -------------------------------------------------------------------------------------------- */

typedef vec (*byte_step)(const void *arg, vec v);

WALK_INLINE void each_byte(const struct gm_color_image *o, byte_step step, const void *arg)
{
    const int64_t bytes = o->width * o->channels;
    for (int64_t i = 0; i < o->height; i++) {
        const uint8_t *x = o->x + i * o->ldx;
        uint8_t *y = o->y + i * o->ldy;
        int64_t j = 0;
        for (; j + VEC_LANES <= bytes; j += VEC_LANES)
            vec_store_bytes(y + j, step(arg, vec_load_bytes(x + j)));
        if (j < bytes)
            walk_store_bytes(y + j, step(arg, walk_load_bytes(x + j, bytes - j)), bytes - j);
    }
}

static inline vec truncated(vec v)
{
    return vec_floor(vec_min(vec_max(v, vec_zero()), vec_set(255.0f)));
}

/* One product, one sum: not an FMA, for Pillow's bits. */
static inline vec blended(vec level, vec factor, vec v)
{
    return truncated(vec_add(level, vec_mul(factor, vec_sub(v, level))));
}

struct blend {
    vec level, factor;
};

WALK_INLINE vec blend_step(const void *arg, vec v)
{
    const struct blend *blend = arg;
    return blended(blend->level, blend->factor, v);
}

static void blend(const struct gm_color_image *o, float level, float factor)
{
    const struct blend arg = {vec_set(level), vec_set(factor)};
    each_byte(o, blend_step, &arg);
}

WALK_INLINE vec solarize_step(const void *arg, vec v)
{
    const vec *threshold = arg;
    return vec_select_gt(*threshold, v, v, vec_sub(vec_set(255.0f), v));
}

static void solarize(const struct gm_color_image *o, int32_t threshold)
{
    const vec arg = vec_set((float)threshold);
    each_byte(o, solarize_step, &arg);
}

/* --- pixels of three channels ----------------------------------------------------------------------------------- */

struct rgb {
    vec r, g, b;
};

WALK_INLINE struct rgb load_rgb(const uint8_t *p, int64_t pixels)
{
    uint8_t rest[3 * VEC_LANES] = {0};
    struct rgb c;
    if (pixels < VEC_LANES) {
        memcpy(rest, p, (size_t)(3 * pixels));
        p = rest;
    }
    vec_load_rgb(p, &c.r, &c.g, &c.b);
    return c;
}

WALK_INLINE void store_rgb(uint8_t *p, struct rgb c, int64_t pixels)
{
    uint8_t rest[3 * VEC_LANES];
    vec_store_rgb(pixels < VEC_LANES ? rest : p, c.r, c.g, c.b);
    if (pixels < VEC_LANES)
        memcpy(p, rest, (size_t)(3 * pixels));
}

typedef struct rgb (*pixel_step)(const void *arg, struct rgb c);

WALK_INLINE void each_pixel(const struct gm_color_image *o, pixel_step step, const void *arg)
{
    for (int64_t i = 0; i < o->height; i++)
        for (int64_t j = 0; j < o->width; j += VEC_LANES) {
            const int64_t pixels = vec_lanes_left(j, o->width);
            store_rgb(o->y + i * o->ldy + 3 * j, step(arg, load_rgb(o->x + i * o->ldx + 3 * j, pixels)), pixels);
        }
}

/* Exact up to the floor: all numbers are integers below 2^24. */
static inline vec grey_of(struct rgb c)
{
    vec sum = vec_fma(c.b, vec_set(7471.0f), vec_set(32768.0f));
    sum = vec_fma(c.g, vec_set(38470.0f), sum);
    return vec_floor(vec_mul(vec_fma(c.r, vec_set(19595.0f), sum), vec_set(0x1p-16f)));
}

WALK_INLINE struct rgb grayscale_step(const void *arg, struct rgb c)
{
    (void)arg;
    const vec grey = grey_of(c);
    return (struct rgb){grey, grey, grey};
}

static void grayscale(const struct gm_color_image *o)
{
    each_pixel(o, grayscale_step, NULL);
}

WALK_INLINE struct rgb saturation_step(const void *arg, struct rgb c)
{
    const vec factor = *(const vec *)arg, grey = grey_of(c);
    return (struct rgb){blended(grey, factor, c.r), blended(grey, factor, c.g), blended(grey, factor, c.b)};
}

static void saturation(const struct gm_color_image *o, float factor)
{
    const vec arg = vec_set(factor);
    each_pixel(o, saturation_step, &arg);
}

/* Sums of up to 2^16 grey levels are exact in a lane. */
static int64_t grey_sum(const struct gm_color_image *o)
{
    int64_t sum = 0;
    for (int64_t i = 0; i < o->height; i++) {
        const uint8_t *x = o->x + i * o->ldx;
        for (int64_t j = 0; j < o->width;) {
            vec lanes = vec_zero();
            for (int64_t n = 0; n < 1 << 16 && j < o->width; n++, j += VEC_LANES) {
                const int64_t pixels = vec_lanes_left(j, o->width);
                lanes = vec_add(lanes, o->channels == 3 ? grey_of(load_rgb(x + 3 * j, pixels))
                                                        : walk_load_bytes(x + j, pixels));
            }
            sum += (int64_t)vec_sum_double(lanes);
        }
    }
    return sum;
}

/* Hue on a circle of 6 where the largest channel's own is `origin`: up to 1 below it if the channel `before` it on the
 * circle is larger than the one after it, else above. One sum is rounded, as in Pillow. */
WALK_INLINE vec hue_near(vec before, vec after, vec origin, vec distance)
{
    const vec one = vec_set(1.0f), below = vec_add(vec_sub(origin, one), distance);
    return vec_select_gt(before, after, below, vec_sub(vec_add(origin, one), distance));
}

/* One channel of value (1 - saturation distance), where `distance` is how far, from 0 to 85, the hue is from the 170
 * steps of 1/510 circle in which the channel is the value. Pillow's rounded numbers are never halves. */
WALK_INLINE vec channel_of(vec hue, float origin, vec value, vec chroma)
{
    const vec place = vec_add(hue, vec_set(origin)), circle = vec_set(510.0f);
    const vec k = vec_select_gt(circle, place, place, vec_sub(place, circle));
    const vec slope = vec_min(vec_min(k, vec_sub(vec_set(340.0f), k)), vec_set(85.0f));
    const vec less = vec_mul(vec_mul(chroma, vec_max(slope, vec_zero())), vec_set(1.0f / 21675.0f));
    return vec_sub(value, vec_floor(vec_add(less, vec_set(0.5f))));
}

WALK_INLINE struct rgb hue_step(const void *arg, struct rgb c)
{
    const vec shift = *(const vec *)arg, one = vec_set(1.0f), bytes = vec_set(255.0f);
    const vec most = vec_max(c.r, vec_max(c.g, c.b)), least = vec_min(c.r, vec_min(c.g, c.b));
    const vec middle = vec_sub(vec_sub(vec_add(vec_add(c.r, c.g), c.b), most), least);
    const vec range = vec_sub(most, least);
    const vec distance = vec_div(vec_sub(most, middle), vec_max(range, one));
    const vec of_blue = hue_near(c.g, c.r, vec_set(4.0f), distance);
    const vec of_green = vec_select_eq(c.g, most, hue_near(c.r, c.b, vec_set(2.0f), distance), of_blue);
    const vec place = vec_select_eq(c.r, most, hue_near(c.b, c.g, vec_zero(), distance), of_green);
    const vec sixth = vec_div(place, vec_set(6.0f));
    const vec turn = vec_select_gt(vec_zero(), sixth, vec_add(sixth, one), sixth);
    const vec hue = vec_add(vec_floor(vec_mul(turn, bytes)), shift);
    const vec twice = vec_select_gt(hue, bytes, vec_sub(hue, vec_set(256.0f)), hue);
    const vec saturation_byte = vec_floor(vec_mul(vec_div(range, vec_max(most, one)), bytes));
    const vec chroma = vec_mul(most, saturation_byte), h = vec_add(twice, twice);
    return (struct rgb){channel_of(h, 425.0f, most, chroma), channel_of(h, 255.0f, most, chroma),
                        channel_of(h, 85.0f, most, chroma)};
}

static void hue(const struct gm_color_image *o, int32_t shift)
{
    const vec arg = vec_set((float)shift);
    each_pixel(o, hue_step, &arg);
}

/* --- others ----------------------------------------------------------------------------------------------------- */

static inline vec_order reversed(void)
{
    int32_t order[VEC_LANES];
    for (int32_t i = 0; i < VEC_LANES; i++)
        order[i] = VEC_LANES - 1 - i;
    return vec_order_load(order);
}

WALK_INLINE struct rgb mirrored(struct rgb c, vec_order order)
{
    return (struct rgb){vec_permute(c.r, order), vec_permute(c.g, order), vec_permute(c.b, order)};
}

/* From both ends, since y may be x. Returns the number of pixels that are done at each end. */
WALK_INLINE int64_t flip_vectors(int64_t width, int64_t channels, const uint8_t *x, uint8_t *y, vec_order order)
{
    int64_t left = 0;
    for (; width - 2 * left >= 2 * VEC_LANES; left += VEC_LANES) {
        const int64_t right = width - left - VEC_LANES;
        if (channels == 3) {
            const struct rgb a = mirrored(load_rgb(x + 3 * left, VEC_LANES), order);
            const struct rgb b = mirrored(load_rgb(x + 3 * right, VEC_LANES), order);
            store_rgb(y + 3 * left, b, VEC_LANES);
            store_rgb(y + 3 * right, a, VEC_LANES);
        } else {
            const vec a = vec_permute(vec_load_bytes(x + left), order);
            const vec b = vec_permute(vec_load_bytes(x + right), order);
            vec_store_bytes(y + left, b);
            vec_store_bytes(y + right, a);
        }
    }
    return left;
}

static void flip(const struct gm_color_image *o)
{
    const vec_order order = reversed();
    for (int64_t i = 0; i < o->height; i++) {
        const uint8_t *x = o->x + i * o->ldx;
        uint8_t *y = o->y + i * o->ldy;
        int64_t left = flip_vectors(o->width, o->channels, x, y, order);
        for (int64_t right = o->width - 1 - left; left <= right; left++, right--)
            for (int64_t c = 0; c < o->channels; c++) {
                const uint8_t a = x[left * o->channels + c], b = x[right * o->channels + c];
                y[left * o->channels + c] = b;
                y[right * o->channels + c] = a;
            }
    }
}

/* Means and deviations repeat after three vectors, for one channel and for three. */
struct line {
    float mean[3 * VEC_LANES], std[3 * VEC_LANES];
};

WALK_INLINE void normalize_vector(const struct line *line, int v, const uint8_t *x, float *y, int64_t lanes)
{
    const vec level = vec_div(walk_load_bytes(x, lanes), vec_set(255.0f));
    const vec mean = vec_load(line->mean + v * VEC_LANES), std = vec_load(line->std + v * VEC_LANES);
    walk_store(y, vec_div(vec_sub(level, mean), std), lanes);
}

static void normalize(const struct gm_color_image *o, const float *mean, const float *std, float *y, int64_t ldy)
{
    const int64_t bytes = o->width * o->channels;
    struct line line;
    for (int64_t j = 0; j < 3 * VEC_LANES; j++) {
        line.mean[j] = mean[j % o->channels];
        line.std[j] = std[j % o->channels];
    }
    for (int64_t i = 0; i < o->height; i++) {
        const uint8_t *from = o->x + i * o->ldx;
        float *to = y + i * ldy;
        int64_t j = 0;
        for (; j + 3 * VEC_LANES <= bytes; j += 3 * VEC_LANES)
            for (int v = 0; v < 3; v++)
                normalize_vector(&line, v, from + j + v * VEC_LANES, to + j + v * VEC_LANES, VEC_LANES);
        for (int v = 0; j < bytes; v++, j += VEC_LANES)
            normalize_vector(&line, v, from + j, to + j, vec_lanes_left(j, bytes));
    }
}

const struct gm_color_kernels GM_ENTRY(gm_color_f32) = {
    GM_ISA_TEXT " float", blend, grey_sum, solarize, flip, normalize, saturation, hue, grayscale};
