/* One view of one image: four passes over planes that stay in the first-level cache. Compiled once per instruction
 * set. */
#include <math.h>
#include <string.h>

#include "gray_view/gray_view.h"
#include "simd/simd.h"

/* Where the outputs of one dimension come from: output i is between the pixels first and first + 1 of the source. */
struct taps {
    int32_t first[GM_GRAY_VIEW_SIDE];
    float weight[GM_GRAY_VIEW_SIDE]; /* of the pixel first + 1; that of first is 1 - weight */
};

/* Rows and columns of the source that a crop touches. */
struct span {
    int64_t first, last;
};

static inline struct span crop_span(float begin, float length, int64_t side)
{
    const int64_t first = (int64_t)begin < side ? (int64_t)begin : side - 1, end = (int64_t)ceilf(begin + length);
    struct span span = {first, end - 1 > first ? end - 1 : first};
    return span;
}

/* Position of output i in the source, cut to the crop. Pixel p covers [p, p + 1), so its centre is at p + 1/2. */
static inline float position(float begin, float scale, float i, struct span span)
{
    const float s = begin + (i + 0.5f) * scale - 0.5f;
    const float low = (float)span.first, high = (float)span.last;
    return s < low ? low : (s > high ? high : s);
}

static inline struct taps make_taps(int64_t outputs, float begin, float length, bool flip, struct span span)
{
    struct taps taps;
    const float scale = length / (float)outputs;
    for (int64_t i = 0; i < outputs; i++) {
        const float s = position(begin, scale, (float)(flip ? outputs - 1 - i : i), span);
        taps.first[i] = (int32_t)s;
        taps.weight[i] = s - (float)taps.first[i];
    }
    return taps;
}

/* A vector of outputs reads from the VEC_LANES pixels at base and the same number one further: neighbouring outputs are
 * at most one pixel apart, because a crop is never larger than the image. Rounding may put the last one at distance
 * VEC_LANES; it is then written as the pixel before with a weight of (nearly) 1. */
struct group {
    int64_t base;
    vec_order order;
    vec weight;
};

static inline struct group make_group(const struct taps *taps, int64_t begin, int64_t outputs)
{
    int32_t order[VEC_LANES], base = taps->first[begin];
    float weight[VEC_LANES];
    const int64_t lanes = vec_lanes_left(begin, outputs);
    for (int64_t i = 1; i < lanes; i++)
        base = taps->first[begin + i] < base ? taps->first[begin + i] : base;
    for (int64_t i = 0; i < VEC_LANES; i++) {
        const int64_t from = begin + (i < lanes ? i : lanes - 1);
        const int32_t distance = taps->first[from] - base;
        order[i] = distance < VEC_LANES ? distance : VEC_LANES - 1;
        weight[i] = taps->weight[from] + (float)(distance - order[i]);
    }
    const struct group group = {base, vec_order_load(order), vec_load(weight)};
    return group;
}

/* plane[r, x] = grey level of the source's row r, for the rows of the span, packed. */
static inline void convert(int64_t width, const uint8_t *image, struct span rows, float *plane)
{
    const int64_t count = (rows.last - rows.first + 1) * width;
    const uint8_t *pixels = image + rows.first * width;
    for (int64_t i = 0; i < count; i++)
        plane[i] = (float)pixels[i] / 255.0f;
    memset(plane + count, 0, GM_GRAY_VIEW_PAD * sizeof *plane); /* weight 0 does not silence what is not a number */
}

static inline vec blend(vec a, vec b, vec weight)
{
    return vec_fma(weight, vec_sub(b, a), a);
}

static inline vec clamp(vec v)
{
    return vec_min(vec_max(v, vec_zero()), vec_set(1.0f));
}

static inline void resample_columns(int64_t rows, int64_t width, const struct taps *taps, const float *source,
                                    float *plane, int64_t stride)
{
    for (int64_t j = 0; j < width; j += VEC_LANES) {
        const struct group group = make_group(taps, j, width);
        for (int64_t i = 0; i < rows; i++) {
            const float *from = source + i * width + group.base;
            const vec a = vec_permute(vec_load(from), group.order);
            const vec b = vec_permute(vec_load(from + 1), group.order);
            vec_store(plane + i * stride + j, blend(a, b, group.weight));
        }
    }
}

/* Also multiplies by the brightness and clamps. Returns the mean of the result. */
static inline float resample_rows(int64_t height, int64_t width, const struct taps *taps, int64_t first_row,
                                  float brightness, const float *source, float *plane, int64_t stride)
{
    const vec factor = vec_set(brightness);
    double sum = 0.0;
    for (int64_t i = 0; i < height; i++) {
        const float *a = source + (taps->first[i] - first_row) * stride;
        const float *b = taps->weight[i] > 0.0f ? a + stride : a;
        const vec weight = vec_set(taps->weight[i]);
        vec row_sum = vec_zero();
        int64_t j = 0;
        for (; j + VEC_LANES <= width; j += VEC_LANES) {
            const vec v = clamp(vec_mul(factor, blend(vec_load(a + j), vec_load(b + j), weight)));
            vec_store(plane + i * stride + j, v);
            row_sum = vec_add(row_sum, v);
        }
        if (j < width) {
            const int64_t lanes = width - j;
            const vec v = clamp(vec_mul(factor, blend(vec_load_n(a + j, lanes), vec_load_n(b + j, lanes), weight)));
            vec_store(plane + i * stride + j, v);
            row_sum = vec_add(row_sum, v);
        }
        sum += vec_sum_double(row_sum);
    }
    return (float)(sum / (double)(height * width));
}

static inline void change_contrast(int64_t height, int64_t stride, float contrast, float mean, float *plane)
{
    const vec factor = vec_set(contrast), middle = vec_set(mean);
    for (int64_t i = 0; i < height * stride; i += VEC_LANES) {
        const vec v = vec_load(plane + i);
        vec_store(plane + i, clamp(vec_fma(factor, vec_sub(v, middle), middle)));
    }
}

/* weights[0 … 2 radius] of a Gaussian that is cut at three deviations. Returns the radius. */
static inline int64_t make_blur(float sigma, float *weights)
{
    const int64_t radius = (int64_t)ceilf(3.0f * sigma);
    float sum = 0.0f;
    for (int64_t k = -radius; k <= radius; k++) {
        const float x = (float)k / sigma;
        weights[k + radius] = expf(-0.5f * x * x);
        sum += weights[k + radius];
    }
    for (int64_t k = 0; k <= 2 * radius; k++)
        weights[k] /= sum;
    return radius;
}

static inline int64_t cut(int64_t i, int64_t side)
{
    return i < 0 ? 0 : (i >= side ? side - 1 : i);
}

static inline void blur_columns(int64_t height, int64_t width, int64_t radius, const float *weights, float *plane,
                                int64_t stride)
{
    float wide[GM_GRAY_VIEW_SIDE + 2 * GM_GRAY_VIEW_RADIUS + GM_GRAY_VIEW_PAD];
    for (int64_t i = 0; i < height; i++) {
        float *row = plane + i * stride;
        for (int64_t j = -radius; j < stride + radius; j++)
            wide[j + radius] = row[cut(j, width)];
        for (int64_t j = 0; j < stride; j += VEC_LANES) {
            vec sum = vec_zero();
            for (int64_t k = 0; k <= 2 * radius; k++)
                sum = vec_fma(vec_set(weights[k]), vec_load(wide + j + k), sum);
            vec_store(row + j, sum);
        }
    }
}

static inline void blur_rows(int64_t height, int64_t radius, const float *weights, const float *source, float *plane,
                             int64_t stride)
{
    for (int64_t i = 0; i < height; i++)
        for (int64_t j = 0; j < stride; j += VEC_LANES) {
            vec sum = vec_zero();
            for (int64_t k = 0; k <= 2 * radius; k++)
                sum = vec_fma(vec_set(weights[k]), vec_load(source + cut(i + k - radius, height) * stride + j), sum);
            vec_store(plane + i * stride + j, sum);
        }
}

static inline vec solarize_and_normalise(vec v, vec threshold, vec mean, vec std)
{
    const vec solarized = vec_select_gt(threshold, v, v, vec_sub(vec_set(1.0f), v));
    return vec_div(vec_sub(solarized, mean), std);
}

static inline void finish(int64_t height, int64_t width, const float *plane, int64_t stride, float solarize_threshold,
                          float mean, float std, float *y)
{
    const vec threshold = vec_set(solarize_threshold), m = vec_set(mean), s = vec_set(std);
    for (int64_t i = 0; i < height; i++) {
        const float *row = plane + i * stride;
        int64_t j = 0;
        for (; j + VEC_LANES <= width; j += VEC_LANES)
            vec_store(y + i * width + j, solarize_and_normalise(vec_load(row + j), threshold, m, s));
        if (j < width)
            vec_store_n(y + i * width + j, solarize_and_normalise(vec_load(row + j), threshold, m, s), width - j);
    }
}

static void make_view(int64_t height, int64_t width, const uint8_t *image, const gm_gray_view *view, float mean,
                      float std, float *scratch, float *y)
{
    const int64_t stride = gm_gray_view_stride(width), plane_size = height * stride + GM_GRAY_VIEW_PAD;
    float *a = scratch, *b = a + plane_size, *c = b + plane_size;
    const struct span rows = crop_span(view->top, view->height, height);
    const struct span cols = crop_span(view->left, view->width, width);
    const struct taps row_taps = make_taps(height, view->top, view->height, false, rows);
    const struct taps col_taps = make_taps(width, view->left, view->width, view->flip, cols);

    convert(width, image, rows, a);
    resample_columns(rows.last - rows.first + 1, width, &col_taps, a, b, stride);
    const float middle = resample_rows(height, width, &row_taps, rows.first, view->brightness, b, c, stride);
    if (view->contrast != 1.0f)
        change_contrast(height, stride, view->contrast, middle, c);
    const float *result = c;
    if (view->blur_sigma > 0.0f) {
        float weights[2 * GM_GRAY_VIEW_RADIUS + 1];
        const int64_t radius = make_blur(view->blur_sigma, weights);
        blur_columns(height, width, radius, weights, c, stride);
        blur_rows(height, radius, weights, c, b, stride);
        result = b;
    }
    finish(height, width, result, stride, view->solarize_threshold, mean, std, y);
}

const struct gm_gray_view_kernels GM_ENTRY(gm_gray_view_f32) = {GM_ISA_TEXT " planes", make_view};
