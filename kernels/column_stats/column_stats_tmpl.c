/* The kernel of one block of rows. Compiled once per instruction set. */
#include <string.h>

#include "column_stats/column_stats.h"
#include "simd/simd.h"

/* Vectors of columns handled together. Each has two sums, a shift and a loaded value: 4 x 4 registers, all that AVX2
 * and half of what AVX-512 and NEON have. */
enum { GROUP = 4, GROUP_COLS = GROUP * VEC_LANES };

/* Rows summed in float before the sums go to double: the rounding of 32 terms stays near sqrt(32)/2 units. */
enum { STRIP = 32 };

/* Rows of the very first strip, whose shift must be found by reading it twice. */
enum { FIRST_STRIP = 8 };

/* sum[j] = sum_i d, squares[j] = sum_i d^2 with d = x[i, j] - shift[j], for one group of columns. */
static inline void sum_full(int64_t rows, const float *x, int64_t ldx, const float *shift, float *sum, float *squares)
{
    vec s[GROUP], q[GROUP], k[GROUP];
    for (int v = 0; v < GROUP; v++) {
        s[v] = q[v] = vec_zero();
        k[v] = vec_load(shift + v * VEC_LANES);
    }
    for (int64_t i = 0; i < rows; i++) {
        vec_prefetch(x + GROUP_COLS);
        for (int v = 0; v < GROUP; v++) {
            const vec d = vec_sub(vec_load(x + v * VEC_LANES), k[v]);
            s[v] = vec_add(s[v], d);
            q[v] = vec_fma(d, d, q[v]);
        }
        x += ldx;
    }
    for (int v = 0; v < GROUP; v++) {
        vec_store(sum + v * VEC_LANES, s[v]);
        vec_store(squares + v * VEC_LANES, q[v]);
    }
}

/* The same for up to VEC_LANES columns. */
static inline void sum_tail(int64_t rows, int64_t cols, const float *x, int64_t ldx, const float *shift, float *sum,
                            float *squares)
{
    const vec k = vec_load_n(shift, cols);
    vec s = vec_zero(), q = vec_zero();
    for (int64_t i = 0; i < rows; i++) {
        const vec d = vec_sub(vec_load_n(x + i * ldx, cols), k);
        s = vec_add(s, d);
        q = vec_fma(d, d, q);
    }
    vec_store_n(sum, s, cols);
    vec_store_n(squares, q, cols);
}

static inline void sum_strip(int64_t rows, int64_t cols, const float *x, int64_t ldx, const float *shift, float *sum,
                             float *squares)
{
    int64_t j = 0;
    for (; j + GROUP_COLS <= cols; j += GROUP_COLS)
        sum_full(rows, x + j, ldx, shift + j, sum + j, squares + j);
    for (; j < cols; j += VEC_LANES)
        sum_tail(rows, vec_lanes_left(j, cols), x + j, ldx, shift + j, sum + j, squares + j);
}

/* Chan, Golub and LeVeque's merge of the rows before, whose sum is total, with n rows whose mean is shift + sum/n and
 * whose squares around it are strip_squares - sum^2/n. The subtraction loses little: the shift is the mean of the rows
 * before, so what it loses, n (mean - shift)^2 u, is small against the term that the distance of the two means adds. */
static inline void merge_strip(double before, double n, int64_t cols, const float *shift, const float *sum,
                               const float *strip_squares, double *total, double *squares)
{
    const double inverse = 1.0 / n, inverse_before = before > 0 ? 1.0 / before : 0, weight = before * n / (before + n);
    for (int64_t j = 0; j < cols; j++) {
        const double offset = sum[j] * inverse;
        const double around = strip_squares[j] - sum[j] * offset;
        const double delta = ((double)shift[j] - total[j] * inverse_before) + offset;
        squares[j] += (around < 0 ? 0 : around) + delta * delta * weight;
        total[j] += n * (double)shift[j] + sum[j];
    }
}

static void block(int64_t rows, int64_t cols, const float *x, int64_t ldx, double *mean, double *squares)
{
    float shift[GM_GRID_COLS], sum[GM_GRID_COLS], strip_squares[GM_GRID_COLS];
    double *total = mean; /* until the end */
    int64_t done = 0, n = rows < FIRST_STRIP ? rows : FIRST_STRIP;

    /* The first row as a shift makes the sum exact enough for a mean, which then is the shift for the squares. */
    memcpy(shift, x, (size_t)cols * sizeof *shift);
    sum_strip(n, cols, x, ldx, shift, sum, strip_squares);
    for (int64_t j = 0; j < cols; j++) {
        shift[j] += sum[j] / (float)n;
        total[j] = squares[j] = 0;
    }
    while (done < rows) {
        sum_strip(n, cols, x + done * ldx, ldx, shift, sum, strip_squares);
        merge_strip((double)done, (double)n, cols, shift, sum, strip_squares, total, squares);
        done += n;
        const double inverse = 1.0 / (double)done;
        for (int64_t j = 0; j < cols; j++)
            shift[j] = (float)(total[j] * inverse);
        n = rows - done < STRIP ? rows - done : STRIP;
    }
    for (int64_t j = 0; j < cols; j++)
        mean[j] = total[j] / (double)rows;
}

const struct gm_column_stats_kernels GM_ENTRY(gm_column_stats_f32) = {GM_ISA_TEXT " one pass", block};
