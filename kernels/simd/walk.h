/* The walk of elementwise and column kernels over a matrix: along the rows, which is the order of memory, WALK_ROWS of
 * them together, so that what is loaded of a column serves WALK_ROWS values. */
#ifndef GEMEL_WALK_H
#define GEMEL_WALK_H

#include <stdbool.h>

#include "simd/simd.h"

enum { WALK_ROWS = 4 };

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

/* Handles `lanes` columns from j of `rows` rows from i; of the arguments only rows, lanes (where whole) and relu are
 * constants. Operands are read through arg, a structure of the kernel's own. */
typedef void (*walk_vector)(const void *arg, int64_t i, int rows, int64_t j, int64_t lanes, bool relu);

WALK_INLINE void walk_rows(walk_vector vector, const void *arg, int64_t i, int rows, int64_t cols, bool relu)
{
    int64_t j = 0;
    for (; j + VEC_LANES <= cols; j += VEC_LANES)
        vector(arg, i, rows, j, VEC_LANES, relu);
    if (j < cols)
        vector(arg, i, rows, j, cols - j, relu);
}

WALK_INLINE void walk_range(walk_vector vector, const void *arg, int64_t first, int64_t last, int64_t cols, bool relu)
{
    int64_t i = first;
    for (; i + WALK_ROWS <= last; i += WALK_ROWS)
        walk_rows(vector, arg, i, WALK_ROWS, cols, relu);
    for (; i < last; i++)
        walk_rows(vector, arg, i, 1, cols, relu);
}

/* Calls vector for rows [first, last) of all columns: each column's values in the order of their rows. */
WALK_INLINE void walk(walk_vector vector, const void *arg, int64_t first, int64_t last, int64_t cols, bool relu)
{
    if (relu)
        walk_range(vector, arg, first, last, cols, true);
    else
        walk_range(vector, arg, first, last, cols, false);
}

#endif
