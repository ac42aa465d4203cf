/* The kernels of one block of rows. Compiled once per instruction set. */
#include <math.h>
#include <string.h>

#include "layernorm/layernorm.h"
#include "simd/walk.h"

/* Rows summed in float before the sums go to double. */
enum { STRIP = 32 };

/* One row at work: its pointers, and its statistics in all lanes. */
struct row {
    const float *x, *dy, *weight, *bias;
    vec mean, mean_low, inverse_std;
    bool relu;
    float shift[VEC_LANES];
};

WALK_INLINE vec rectified(const float *x, int64_t lanes, bool relu)
{
    const vec v = walk_load(x, lanes);
    return relu ? vec_max(vec_zero(), v) : v;
}

WALK_INLINE vec normalised(const struct row *row, int64_t j, int64_t lanes)
{
    const vec z = rectified(row->x + j, lanes, row->relu);
    return vec_mul(vec_sub(vec_sub(z, row->mean), row->mean_low), row->inverse_std);
}

WALK_INLINE void value_terms(const void *arg, int64_t j, int64_t lanes, vec *sum, vec *unused)
{
    const struct row *row = arg;
    (void)unused;
    *sum = vec_add(*sum, rectified(row->x + j, lanes, row->relu));
}

/* The shift is read like the values, so that it is 0 in the lanes beyond. */
WALK_INLINE void deviation_terms(const void *arg, int64_t j, int64_t lanes, vec *sum, vec *squares)
{
    const struct row *row = arg;
    const vec d = vec_sub(rectified(row->x + j, lanes, row->relu), walk_load(row->shift, lanes));
    *sum = vec_add(*sum, d);
    *squares = vec_fma(d, d, *squares);
}

/* Around the mean as a float sum gives it, deviations are small enough for both moments to be exact to a few units. */
static bool find_statistics(struct row *row, int64_t cols, float eps, float statistics[GM_LAYERNORM_SAVED])
{
    double sums[2];
    walk_sums(value_terms, row, cols, sums);
    const float shift = (float)(sums[0] / (double)cols);
    for (int lane = 0; lane < VEC_LANES; lane++)
        row->shift[lane] = shift;
    walk_sums(deviation_terms, row, cols, sums);
    const double offset = sums[0] / (double)cols, mean = (double)shift + offset;
    const double variance = sums[1] / (double)cols - offset * offset;
    statistics[0] = (float)mean;
    statistics[1] = (float)(mean - (double)statistics[0]);
    statistics[2] = (float)(1 / sqrt((variance < 0 ? 0 : variance) + (double)eps));
    return isfinite(statistics[0]) && isfinite(statistics[2]);
}

static void use_statistics(struct row *row, const float statistics[GM_LAYERNORM_SAVED])
{
    row->mean = vec_set(statistics[0]);
    row->mean_low = vec_set(statistics[1]);
    row->inverse_std = vec_set(statistics[2]);
}

WALK_INLINE void write_vector(const struct row *row, int64_t j, int64_t lanes, float *y)
{
    vec v = normalised(row, j, lanes);
    if (row->weight)
        v = vec_fma(v, walk_load(row->weight + j, lanes), walk_load(row->bias + j, lanes));
    walk_store(y + j, v, lanes);
}

static bool forward(int64_t rows, int64_t cols, const float *x, int64_t ldx, const float *weight, const float *bias,
                    float eps, bool relu, float *saved, float *y, int64_t ldy)
{
    bool finite = true;
    for (int64_t i = 0; i < rows; i++) {
        struct row row = {.x = x + i * ldx, .weight = weight, .bias = bias, .relu = relu};
        float unsaved[GM_LAYERNORM_SAVED], *statistics = saved ? saved + i * GM_LAYERNORM_SAVED : unsaved;
        finite &= find_statistics(&row, cols, eps, statistics);
        use_statistics(&row, statistics);
        int64_t j = 0;
        for (; j + VEC_LANES <= cols; j += VEC_LANES)
            write_vector(&row, j, VEC_LANES, y + i * ldy);
        if (j < cols)
            write_vector(&row, j, cols - j, y + i * ldy);
    }
    return finite;
}

struct sums_operands {
    const float *x, *dy;
    int64_t ldx, lddy;
    const float *saved;
    float *weight_sum, *bias_sum;
};

WALK_INLINE void sum_vector(const void *arg, int64_t i, int64_t j, int64_t lanes, int relu)
{
    const struct sums_operands *o = arg;
    vec weight_sum = walk_load(o->weight_sum + j, lanes), bias_sum = walk_load(o->bias_sum + j, lanes);
    const float *statistics = o->saved + i * GM_LAYERNORM_SAVED;
    const vec z = rectified(o->x + i * o->ldx + j, lanes, relu), dy = walk_load(o->dy + i * o->lddy + j, lanes);
    const vec d = vec_sub(vec_sub(z, vec_set(statistics[0])), vec_set(statistics[1]));
    weight_sum = vec_fma(dy, vec_mul(d, vec_set(statistics[2])), weight_sum);
    bias_sum = vec_add(bias_sum, dy);
    walk_store(o->weight_sum + j, weight_sum, lanes);
    walk_store(o->bias_sum + j, bias_sum, lanes);
}

static void sums(int64_t rows, int64_t cols, const float *dy, int64_t lddy, const float *x, int64_t ldx, bool relu,
                 const float *saved, double *weight_sum, double *bias_sum)
{
    float strip_weight[GM_GRID_COLS], strip_bias[GM_GRID_COLS];
    const struct sums_operands o = {x, dy, ldx, lddy, saved, strip_weight, strip_bias};
    memset(weight_sum, 0, (size_t)cols * sizeof *weight_sum);
    memset(bias_sum, 0, (size_t)cols * sizeof *bias_sum);
    for (int64_t i = 0; i < rows; i += STRIP) {
        memset(strip_weight, 0, (size_t)cols * sizeof *strip_weight);
        memset(strip_bias, 0, (size_t)cols * sizeof *strip_bias);
        walk(sum_vector, &o, i, rows - i < STRIP ? rows : i + STRIP, cols, relu);
        for (int64_t j = 0; j < cols; j++) {
            weight_sum[j] += (double)strip_weight[j];
            bias_sum[j] += (double)strip_bias[j];
        }
    }
}

WALK_INLINE vec weighted(const struct row *row, int64_t j, int64_t lanes)
{
    const vec dy = walk_load(row->dy + j, lanes);
    return row->weight ? vec_mul(dy, walk_load(row->weight + j, lanes)) : dy;
}

/* Lanes beyond add 0, for dy is 0 there. */
WALK_INLINE void gradient_terms(const void *arg, int64_t j, int64_t lanes, vec *sum, vec *dot)
{
    const struct row *row = arg;
    const vec h = weighted(row, j, lanes);
    *sum = vec_add(*sum, h);
    *dot = vec_fma(h, normalised(row, j, lanes), *dot);
}

WALK_INLINE void gradient_vector(const struct row *row, int64_t j, int64_t lanes, vec mean_h, vec mean_ha, float *dx)
{
    const vec around = vec_sub(weighted(row, j, lanes), mean_h);
    vec v = vec_mul(row->inverse_std, vec_fnma(normalised(row, j, lanes), mean_ha, around));
    if (row->relu)
        v = vec_select_gt(walk_load(row->x + j, lanes), vec_zero(), v, vec_zero());
    walk_store(dx + j, v, lanes);
}

static bool gradient(int64_t rows, int64_t cols, const float *dy, int64_t lddy, const float *x, int64_t ldx,
                     const float *weight, bool relu, const float *saved, float *dx, int64_t lddx)
{
    bool finite = true;
    for (int64_t i = 0; i < rows; i++) {
        struct row row = {.x = x + i * ldx, .dy = dy + i * lddy, .weight = weight, .relu = relu};
        double h[2];
        use_statistics(&row, saved + i * GM_LAYERNORM_SAVED);
        walk_sums(gradient_terms, &row, cols, h);
        const float mean_h = (float)(h[0] / (double)cols), mean_ha = (float)(h[1] / (double)cols);
        finite &= isfinite(mean_h) && isfinite(mean_ha);
        int64_t j = 0;
        for (; j + VEC_LANES <= cols; j += VEC_LANES)
            gradient_vector(&row, j, VEC_LANES, vec_set(mean_h), vec_set(mean_ha), dx + i * lddx);
        if (j < cols)
            gradient_vector(&row, j, cols - j, vec_set(mean_h), vec_set(mean_ha), dx + i * lddx);
    }
    return finite;
}

const struct gm_layernorm_kernels GM_ENTRY(gm_layernorm_f32) = {GM_ISA_TEXT " row by row", forward, sums, gradient};
