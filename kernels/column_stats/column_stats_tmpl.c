/* The kernel of one block of rows. Compiled once per instruction set. */
#include <string.h>

#include "column_stats/column_stats.h"
#include "simd/walk.h"

/* Rows summed in float before the sums go to double: the rounding of 32 terms stays near sqrt(32)/2 units. */
enum { STRIP = 32 };

/* Rows of the very first block, whose shift must be found by reading it twice. */
enum { FIRST_BLOCK = 8 };

/* A block has at most so many times the rows before it. */
enum { GROWTH = 3 };

/* Vectors of columns that a strip in the cache is handled by. Each has two sums, a shift and a loaded value: 4 x 4
 * registers, all that AVX2 has and half of what AVX-512 and NEON have. */
enum { GROUP = 4, GROUP_COLS = GROUP * VEC_LANES };

/* Elements of a block that does not come from a cache. */
enum { LARGE_BLOCK = 1 << 17 };

/* Sums over the rows of a strip, in float, and of a block, in double. */
struct sums {
    _Alignas(WALK_ALIGNMENT) float strip_sum[GM_GRID_COLS];
    float strip_squares[GM_GRID_COLS];
    double sum[GM_GRID_COLS], squares[GM_GRID_COLS];
};

struct operands {
    const float *x;
    int64_t ldx;
    const float *shift;
    float *sum, *squares;
};

/* Of a strip: sum[j] = sum_i d, squares[j] = sum_i d^2 with d = x[i, j] - shift[j]. From a cache, a few columns at a
 * time with their sums in registers, which is the order of memory only where there are no more columns. */
WALK_INLINE void sum_group(const struct operands *o, const struct walk_part *part, int64_t j, int vectors,
                           int64_t lanes)
{
    vec s[GROUP], q[GROUP], k[GROUP];
    for (int v = 0; v < vectors; v++) {
        s[v] = q[v] = vec_zero();
        k[v] = walk_load(o->shift + j + v * VEC_LANES, lanes);
    }
    for (int64_t i = part->first; i < part->last; i++) {
        for (int v = 0; v < vectors; v++) {
            const vec d = vec_sub(walk_load(o->x + i * o->ldx + j + v * VEC_LANES, lanes), k[v]);
            s[v] = vec_add(s[v], d);
            q[v] = vec_fma(d, d, q[v]);
        }
    }
    for (int v = 0; v < vectors; v++) {
        walk_store(o->sum + j + v * VEC_LANES, s[v], lanes);
        walk_store(o->squares + j + v * VEC_LANES, q[v], lanes);
    }
}

static void sum_cached(const struct operands *o, const struct walk_part *part)
{
    int64_t j = 0;
    for (; j + GROUP_COLS <= part->cols; j += GROUP_COLS)
        sum_group(o, part, j, GROUP, VEC_LANES);
    for (; j < part->cols; j += VEC_LANES)
        sum_group(o, part, j, 1, vec_lanes_left(j, part->cols));
}

/* The same from memory: in its order, with the sums in the first-level cache. */
WALK_INLINE void sum_vector(const void *arg, int64_t i, int64_t j, int64_t lanes, int unused)
{
    const struct operands *o = arg;
    (void)unused;
    const vec d = vec_sub(walk_load(o->x + i * o->ldx + j, lanes), walk_load(o->shift + j, lanes));
    walk_store(o->sum + j, vec_add(walk_load(o->sum + j, lanes), d), lanes);
    walk_store(o->squares + j, vec_fma(d, d, walk_load(o->squares + j, lanes)), lanes);
}

WALK_REST void sum_rest(const void *arg, int64_t i, int64_t j, int64_t lanes, int unused)
{
    sum_vector(arg, i, j, lanes, unused);
}

WALK_INLINE void sum_ahead(const void *arg, int64_t i, int64_t j, int unused)
{
    const struct operands *o = arg;
    (void)unused;
    vec_prefetch(o->x + i * o->ldx + j);
}

static void sum_large(const struct operands *operands, const struct walk_part *part)
{
    const struct operands o = *operands; /* known to nobody else, so that it stays in registers */
    memset(o.sum, 0, (size_t)part->cols * sizeof *o.sum);
    memset(o.squares, 0, (size_t)part->cols * sizeof *o.squares);
    walk_memory(sum_vector, NULL, 0, sum_rest, sum_ahead, &o, part, 1, 0);
}

/* Sums of d and d^2 over rows [first, last). */
static void sum_block(const float *x, int64_t ldx, int64_t rows, int64_t cols, bool large, int64_t first, int64_t last,
                      const float *shift, struct sums *s)
{
    const struct operands o = {x, ldx, shift, s->strip_sum, s->strip_squares};
    for (int64_t i = first; i < last; i += STRIP) {
        const struct walk_part part = {rows, cols, i, last - i < STRIP ? last : i + STRIP, large};
        if (rows * cols < LARGE_BLOCK || cols <= GROUP_COLS)
            sum_cached(&o, &part);
        else
            sum_large(&o, &part);
        for (int64_t j = 0; j < cols; j++) {
            s->sum[j] = (i == first ? 0 : s->sum[j]) + (double)s->strip_sum[j];
            s->squares[j] = (i == first ? 0 : s->squares[j]) + (double)s->strip_squares[j];
        }
    }
}

/* Chan, Golub and LeVeque's merge of the rows before with n rows whose mean is shift + sum/n and whose squares around
 * it are squares - sum^2/n; shift becomes the mean of all. The subtraction loses little: the shift is the mean of the
 * rows before, so what it loses, n (mean - shift)^2 u, is small against the term that the two means' distance adds. */
static void merge_block(double before, double n, int64_t cols, const struct sums *s, float *shift, double *mean,
                        double *squares)
{
    const double inverse = 1.0 / n, share = n / (before + n), weight = before * share;
    for (int64_t j = 0; j < cols; j++) {
        const double offset = s->sum[j] * inverse, around = s->squares[j] - s->sum[j] * offset;
        const double delta = ((double)shift[j] - mean[j]) + offset;
        squares[j] += (around < 0 ? 0 : around) + delta * delta * weight;
        mean[j] += delta * share;
        shift[j] = (float)mean[j];
    }
}

static void block(int64_t rows, int64_t cols, const float *x, int64_t ldx, bool large, double *mean, double *squares)
{
    _Alignas(WALK_ALIGNMENT) float shift[GM_GRID_COLS];
    struct sums s;
    int64_t done = 0, n = rows < FIRST_BLOCK ? rows : FIRST_BLOCK;

    /* The first row as a shift makes the sum exact enough for a mean, which then is the shift for the squares. */
    memcpy(shift, x, (size_t)cols * sizeof *shift);
    sum_block(x, ldx, rows, cols, large, 0, n, shift, &s);
    for (int64_t j = 0; j < cols; j++) {
        shift[j] += (float)(s.sum[j] / (double)n);
        mean[j] = (double)shift[j];
        squares[j] = 0;
    }
    while (done < rows) {
        sum_block(x, ldx, rows, cols, large, done, done + n, shift, &s);
        merge_block((double)done, (double)n, cols, &s, shift, mean, squares);
        done += n;
        n = rows - done < GROWTH * done ? rows - done : GROWTH * done;
    }
}

const struct gm_column_stats_kernels GM_ENTRY(gm_column_stats_f32) = {GM_ISA_TEXT " one pass", block};
