#include "train/effective_rank.h"

#include <gemel/gemm.h>
#include <math.h>

/* The inner products of rows, or those of columns where these are fewer. */
struct product {
    gm_transpose transpose;
    int64_t size, depth;
};

static struct product product_of(int64_t n, int64_t d)
{
    const struct product rows = {GM_NO_TRANSPOSE, n, d}, columns = {GM_TRANSPOSE, d, n};
    return n <= d ? rows : columns;
}

/* Centred, and divided by the largest magnitude, for products of small or large values might leave float's range. */
static void standardize(int64_t n, int64_t d, const float *z, const float *mean, float *x)
{
    float largest = 0.0f;
    for (int64_t i = 0; i < n * d; i++) {
        x[i] = z[i] - mean[i % d];
        largest = fmaxf(largest, fabsf(x[i]));
    }
    for (int64_t i = 0; i < n * d && largest > 0.0f; i++)
        x[i] /= largest;
}

gm_status gm_effective_rank(gm_context *context, int64_t n, int64_t d, const float *z, const float *mean,
                            float *scratch, double *rank)
{
    const struct product p = product_of(n, d);
    float *x = scratch, *products = scratch + n * d;
    standardize(n, d, z, mean, x);
    const gm_status status = gm_syrk_f32(context, p.transpose, p.size, p.depth, 1.0f, x, d, 0.0f, products, p.size);
    if (status != GM_OK)
        return status;
    double trace = 0, squares = 0;
    for (int64_t i = 0; i < p.size; i++)
        trace += (double)products[i * p.size + i];
    for (int64_t i = 0; i < p.size * p.size; i++)
        squares += (double)products[i] * (double)products[i];
    *rank = squares == 0 ? 0 : trace * trace / squares;
    return isfinite(*rank) ? GM_OK : GM_NOT_FINITE;
}

size_t gm_effective_rank_workspace(const gm_context *context, int64_t n, int64_t d)
{
    const struct product p = product_of(n, d);
    return gm_syrk_f32_workspace(context, p.transpose, p.size, p.depth);
}
