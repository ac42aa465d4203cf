/* The column kernels of the loss. Compiled once per instruction set. */
#include "barlow/barlow.h"
#include "simd/walk.h"

/* Terms summed in float before a sum goes to double: their rounding stays near sqrt(32)/2 units. */
enum { STRIP = 32 };

/* Independent sums of the dot product, enough to hide the latency of an addition. */
enum { DOT_SUMS = 4 };

/* The constants of one vector of columns. */
struct normalization {
    vec mean_high, mean_low, scale;
};

WALK_INLINE struct normalization load_normalization(const struct gm_barlow_view *view, int64_t col, int64_t lanes)
{
    const struct normalization norm = {walk_load(view->mean_high + col, lanes), walk_load(view->mean_low + col, lanes),
                                       walk_load(view->scale + col, lanes)};
    return norm;
}

WALK_INLINE vec normalized(const struct gm_barlow_view *view, int64_t row, int64_t col, int64_t lanes,
                           const struct normalization *norm)
{
    const vec z = walk_load(view->z + row * view->ldz + col, lanes);
    return vec_mul(vec_sub(vec_sub(z, norm->mean_high), norm->mean_low), norm->scale);
}

static void add_to_double(double *sum, vec v, int64_t lanes)
{
    float terms[VEC_LANES];
    vec_store(terms, v);
    for (int64_t lane = 0; lane < lanes; lane++)
        sum[lane] += terms[lane];
}

WALK_INLINE void diagonal_strip(int64_t first, int64_t last, int64_t col, int64_t lanes, const struct gm_barlow_view *a,
                                const struct gm_barlow_view *b, double *diagonal)
{
    const struct normalization norm_a = load_normalization(a, col, lanes), norm_b = load_normalization(b, col, lanes);
    vec sum = vec_zero();
    for (int64_t i = first; i < last; i++)
        sum = vec_fma(normalized(a, i, col, lanes, &norm_a), normalized(b, i, col, lanes, &norm_b), sum);
    add_to_double(diagonal + col, sum, lanes);
}

static void diagonal(int64_t rows, int64_t cols, const struct gm_barlow_view *a, const struct gm_barlow_view *b,
                     double *out)
{
    for (int64_t j = 0; j < cols; j++)
        out[j] = 0;
    for (int64_t i = 0; i < rows; i += STRIP) {
        const int64_t last = gm_min_i64(i + STRIP, rows);
        int64_t j = 0;
        for (; j + VEC_LANES <= cols; j += VEC_LANES)
            diagonal_strip(i, last, j, VEC_LANES, a, b, out);
        if (j < cols)
            diagonal_strip(i, last, j, cols - j, a, b, out);
    }
}

static double dot(int64_t count, const float *x, const float *y)
{
    double total = 0;
    int64_t i = 0;
    while (i + DOT_SUMS * VEC_LANES <= count) {
        vec sum[DOT_SUMS];
        for (int v = 0; v < DOT_SUMS; v++)
            sum[v] = vec_zero();
        for (int term = 0; term < STRIP && i + DOT_SUMS * VEC_LANES <= count; term++, i += DOT_SUMS * VEC_LANES)
            for (int v = 0; v < DOT_SUMS; v++)
                sum[v] = vec_fma(vec_load(x + i + v * VEC_LANES), vec_load(y + i + v * VEC_LANES), sum[v]);
        for (int v = 0; v < DOT_SUMS; v++)
            total += vec_sum_double(sum[v]);
    }
    for (; i < count; i += VEC_LANES) {
        const int64_t lanes = vec_lanes_left(i, count);
        total += vec_sum_double(vec_mul(vec_load_n(x + i, lanes), vec_load_n(y + i, lanes)));
    }
    return total;
}

/* One vector of a row of both sides: a, b, and their whole gradients. */
struct pair {
    vec a, b, ga, gb;
};

WALK_INLINE struct pair load_pair(int64_t row, int64_t col, int64_t lanes, vec weight, const struct gm_barlow_side *a,
                                  const struct gm_barlow_side *b, const struct normalization *norm_a,
                                  const struct normalization *norm_b)
{
    struct pair pair;
    pair.a = normalized(&a->view, row, col, lanes, norm_a);
    pair.b = normalized(&b->view, row, col, lanes, norm_b);
    pair.ga = vec_fma(weight, pair.b, walk_load(a->g + row * a->ldg + col, lanes));
    pair.gb = vec_fma(weight, pair.a, walk_load(b->g + row * b->ldg + col, lanes));
    return pair;
}

WALK_INLINE void sums_strip(int64_t first, int64_t last, int64_t col, int64_t lanes, const float *weight,
                            const struct gm_barlow_side *a, const struct gm_barlow_side *b,
                            struct gm_barlow_sums *a_sums, struct gm_barlow_sums *b_sums)
{
    const struct normalization norm_a = load_normalization(&a->view, col, lanes),
                               norm_b = load_normalization(&b->view, col, lanes);
    const vec w = walk_load(weight + col, lanes);
    vec ga = vec_zero(), gaa = vec_zero(), gb = vec_zero(), gbb = vec_zero();
    for (int64_t i = first; i < last; i++) {
        const struct pair pair = load_pair(i, col, lanes, w, a, b, &norm_a, &norm_b);
        ga = vec_add(ga, pair.ga);
        gb = vec_add(gb, pair.gb);
        gaa = vec_fma(pair.ga, pair.a, gaa);
        gbb = vec_fma(pair.gb, pair.b, gbb);
    }
    add_to_double(a_sums->g + col, ga, lanes);
    add_to_double(a_sums->ga + col, gaa, lanes);
    add_to_double(b_sums->g + col, gb, lanes);
    add_to_double(b_sums->ga + col, gbb, lanes);
}

static void chain_sums(int64_t rows, int64_t cols, const float *weight, const struct gm_barlow_side *a,
                       const struct gm_barlow_side *b, struct gm_barlow_sums *a_sums, struct gm_barlow_sums *b_sums)
{
    for (int64_t j = 0; j < cols; j++)
        a_sums->g[j] = a_sums->ga[j] = b_sums->g[j] = b_sums->ga[j] = 0;
    for (int64_t i = 0; i < rows; i += STRIP) {
        const int64_t last = gm_min_i64(i + STRIP, rows);
        int64_t j = 0;
        for (; j + VEC_LANES <= cols; j += VEC_LANES)
            sums_strip(i, last, j, VEC_LANES, weight, a, b, a_sums, b_sums);
        if (j < cols)
            sums_strip(i, last, j, cols - j, weight, a, b, a_sums, b_sums);
    }
}

WALK_INLINE void apply_strip(int64_t first, int64_t last, int64_t col, int64_t lanes, const float *weight,
                             const struct gm_barlow_side *a, const struct gm_barlow_side *b,
                             const struct gm_barlow_chain *a_chain, const struct gm_barlow_chain *b_chain)
{
    const struct normalization norm_a = load_normalization(&a->view, col, lanes),
                               norm_b = load_normalization(&b->view, col, lanes);
    const vec w = walk_load(weight + col, lanes);
    const vec a_mean = walk_load(a_chain->mean + col, lanes),
              a_projection = walk_load(a_chain->projection + col, lanes);
    const vec b_mean = walk_load(b_chain->mean + col, lanes),
              b_projection = walk_load(b_chain->projection + col, lanes);
    for (int64_t i = first; i < last; i++) {
        const struct pair pair = load_pair(i, col, lanes, w, a, b, &norm_a, &norm_b);
        const vec da = vec_fnma(pair.a, a_projection, vec_sub(pair.ga, a_mean));
        const vec db = vec_fnma(pair.b, b_projection, vec_sub(pair.gb, b_mean));
        walk_store(a->g + i * a->ldg + col, vec_mul(norm_a.scale, da), lanes);
        walk_store(b->g + i * b->ldg + col, vec_mul(norm_b.scale, db), lanes);
    }
}

static void chain_apply(int64_t rows, int64_t cols, const float *weight, const struct gm_barlow_side *a,
                        const struct gm_barlow_side *b, const struct gm_barlow_chain *a_chain,
                        const struct gm_barlow_chain *b_chain)
{
    for (int64_t i = 0; i < rows; i += STRIP) {
        const int64_t last = gm_min_i64(i + STRIP, rows);
        int64_t j = 0;
        for (; j + VEC_LANES <= cols; j += VEC_LANES)
            apply_strip(i, last, j, VEC_LANES, weight, a, b, a_chain, b_chain);
        if (j < cols)
            apply_strip(i, last, j, cols - j, weight, a, b, a_chain, b_chain);
    }
}

static void row_means(int64_t rows, int64_t cols, const struct gm_barlow_view *a, float *mean, int64_t ldm)
{
    for (int64_t i = 0; i < rows; i++) {
        double sum = 0;
        int64_t j = 0;
        while (j < cols) {
            vec terms = vec_zero();
            for (int term = 0; term < STRIP && j < cols; term++, j += VEC_LANES) {
                const int64_t lanes = vec_lanes_left(j, cols);
                const struct normalization norm = load_normalization(a, j, lanes);
                terms = vec_add(terms, normalized(a, i, j, lanes, &norm));
            }
            sum += vec_sum_double(terms);
        }
        mean[i * ldm] = (float)(sum / (double)cols);
    }
}

const struct gm_barlow_kernels GM_ENTRY(gm_barlow_f32) = {
    GM_ISA_TEXT " columns", diagonal, dot, chain_sums, chain_apply, row_means,
};
