/* The walk of elementwise and column kernels over a matrix: row after row, which is the order of memory, asking ahead
 * for what comes next. Several rows together would load the operands of a column once for all of them, but the
 * hardware's prefetchers lose track of the interleaved rows: out of cache that took 2.7 times as long. */
#ifndef GEMEL_WALK_H
#define GEMEL_WALK_H

#include <stdbool.h>
#include <stddef.h>

#include "simd/simd.h"

/* Functions whose numbers and flags are constants at every call, and vanish. */
#define WALK_INLINE static inline __attribute__((always_inline))

/* vec_load_n() and vec_store_n(), free of charge where n is the constant VEC_LANES. */
WALK_INLINE vec walk_load(const float *p, int64_t n)
{
    return n == VEC_LANES ? vec_load(p) : vec_load_n(p, n);
}

WALK_INLINE void walk_store(float *p, vec v, int64_t n)
{
    if (n == VEC_LANES)
        vec_store(p, v);
    else
        vec_store_n(p, v, n);
}

/* Handles `lanes` columns from j of row i; of the arguments only lanes (where whole) and relu are constants. Operands
 * are read through arg, a structure of the kernel's own. */
typedef void (*walk_vector)(const void *arg, int64_t i, int64_t j, int64_t lanes, bool relu);

/* Asks by vec_prefetch() for column j of row i of each matrix that the walk reads. */
typedef void (*walk_ahead)(const void *arg, int64_t i, int64_t j);

/* Rows [first, last) of a matrix of which the caller walks `rows` rows, one part after the other. */
struct walk_part {
    int64_t rows, cols, first, last;
};

/* How far ahead the walk asks, and how often: each line once. The hardware's prefetchers alone lose track of a matrix
 * whose rows lie pages apart, and of one whose reading alternates with that of a column's operands. */
enum { WALK_AHEAD_FLOATS = 16384 / sizeof(float), WALK_LINE = 64 / sizeof(float) };

WALK_INLINE void walk_range(walk_vector vector, walk_ahead ahead, const void *arg, const struct walk_part *part,
                            bool relu)
{
    const int64_t cols = part->cols, rows_ahead = 1 + (WALK_AHEAD_FLOATS - 1) / cols;
    for (int64_t i = part->first; i < part->last; i++) {
        const int64_t later = i + rows_ahead < part->rows ? i + rows_ahead : part->rows - 1;
        int64_t j = 0;
        for (; j + WALK_LINE <= cols; j += WALK_LINE) {
            if (ahead)
                ahead(arg, later, j);
            for (int64_t lane = 0; lane < WALK_LINE; lane += VEC_LANES)
                vector(arg, i, j + lane, VEC_LANES, relu);
        }
        for (; j + VEC_LANES <= cols; j += VEC_LANES)
            vector(arg, i, j, VEC_LANES, relu);
        if (j < cols)
            vector(arg, i, j, cols - j, relu);
    }
}

/* Calls vector for all columns of the part's rows, in the order of memory, and ahead for what comes later. */
WALK_INLINE void walk_memory(walk_vector vector, walk_ahead ahead, const void *arg, const struct walk_part *part,
                             bool relu)
{
    if (relu)
        walk_range(vector, ahead, arg, part, true);
    else
        walk_range(vector, ahead, arg, part, false);
}

/* The same for rows [first, last) of a matrix that is in the cache. */
WALK_INLINE void walk(walk_vector vector, const void *arg, int64_t first, int64_t last, int64_t cols, bool relu)
{
    const struct walk_part part = {last, cols, first, last};
    walk_memory(vector, NULL, arg, &part, relu);
}

/* Adds the terms of `lanes` elements from j, of which only lanes (where whole) is a constant, to two sums. Lanes beyond
 * must add 0. */
typedef void (*walk_terms)(const void *arg, int64_t j, int64_t lanes, vec *first, vec *second);

/* Vectors with sums of their own, to hide the latency of an addition, and how often each adds in float before its sum
 * goes to double: the rounding of 32 terms stays near sqrt(32)/2 units. */
enum { WALK_SUMS = 4, WALK_STRIP = 32 };

/* Two sums over a row of `cols` elements, the same for the same cols and instruction set. */
WALK_INLINE void walk_sums(walk_terms terms, const void *arg, int64_t cols, double sums[2])
{
    sums[0] = sums[1] = 0;
    int64_t j = 0;
    while (j < cols) {
        vec first[WALK_SUMS], second[WALK_SUMS];
        for (int s = 0; s < WALK_SUMS; s++)
            first[s] = second[s] = vec_zero();
        int step = 0;
        for (; step < WALK_STRIP && j + WALK_SUMS * VEC_LANES <= cols; step++, j += WALK_SUMS * VEC_LANES)
            for (int s = 0; s < WALK_SUMS; s++)
                terms(arg, j + s * VEC_LANES, VEC_LANES, &first[s], &second[s]);
        for (; step < WALK_STRIP && j < cols; step++, j += VEC_LANES)
            terms(arg, j, vec_lanes_left(j, cols), &first[0], &second[0]);
        sums[0] += vec_sum_double(vec_add(vec_add(first[0], first[1]), vec_add(first[2], first[3])));
        sums[1] += vec_sum_double(vec_add(vec_add(second[0], second[1]), vec_add(second[2], second[3])));
    }
}

#endif
