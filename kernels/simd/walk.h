/* The walk of elementwise and column kernels over a matrix: row after row, which is the order of memory, asking ahead
 * for what comes next; or by bands of long rows, which load the operands of a column once for all of them. */
#ifndef GEMEL_WALK_H
#define GEMEL_WALK_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include "simd/simd.h"

/* Functions whose numbers and flags are constants at every call, and vanish. */
#define WALK_INLINE static inline __attribute__((always_inline))

/* Of what a kernel keeps of each column: vectors that lie across two lines cost twice, those of a matrix only once. */
enum { WALK_ALIGNMENT = 64 };

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

/* walk_store(), past the caches if stream, which needs pointers as walk_may_stream() asks for. */
WALK_INLINE void walk_put(float *p, vec v, int64_t lanes, bool stream)
{
    if (stream && lanes == VEC_LANES)
        vec_stream(p, v);
    else
        walk_store(p, v, lanes);
}

/* Matrices that one walk may write past the caches. Where a line takes several stores, lines of two matrices under way
 * together leave the processor's buffers before they are whole. */
enum { WALK_STREAMS = VEC_LANES * sizeof(float) < 64 ? 1 : 2 };

/* Whether whole vectors of all rows are aligned. */
static inline bool walk_may_stream(const float *p, int64_t ld)
{
    return (uintptr_t)p % sizeof(vec) == 0 && ld % VEC_LANES == 0;
}

/* The first n of vec_load_bytes() and vec_store_bytes(), without touching more. */
WALK_INLINE vec walk_load_bytes(const uint8_t *p, int64_t n)
{
    uint8_t bytes[VEC_LANES] = {0};
    if (n == VEC_LANES)
        return vec_load_bytes(p);
    memcpy(bytes, p, (size_t)n);
    return vec_load_bytes(bytes);
}

WALK_INLINE void walk_store_bytes(uint8_t *p, vec v, int64_t n)
{
    uint8_t bytes[VEC_LANES];
    if (n == VEC_LANES) {
        vec_store_bytes(p, v);
    } else {
        vec_store_bytes(bytes, v);
        memcpy(p, bytes, (size_t)n);
    }
}

/* A row of bits, one an element, in the order of the columns from bit 0 of the first byte on, whatever the instruction
 * set is. j is a multiple of VEC_LANES; walk_put_bits() writes whole bytes, so that those of a row must be written in
 * the order of j. */
WALK_INLINE void walk_put_bits(uint8_t *row, int64_t j, int64_t lanes, unsigned bits)
{
    if (VEC_LANES < 8)
        row[j / 8] = (uint8_t)(j % 8 ? row[j / 8] | bits << j % 8 : bits);
    else
        for (int64_t byte = 0; 8 * byte < lanes; byte++)
            row[j / 8 + byte] = (uint8_t)(bits >> 8 * byte);
}

WALK_INLINE unsigned walk_bits(const uint8_t *row, int64_t j, int64_t lanes)
{
    if (VEC_LANES < 8)
        return (unsigned)row[j / 8] >> j % 8;
    unsigned bits = 0;
    for (int64_t byte = 0; 8 * byte < lanes; byte++)
        bits |= (unsigned)row[j / 8 + byte] << 8 * byte;
    return bits;
}

/* Handles `lanes` columns from j of row i; of the arguments only lanes (where whole) and form are constants: form
 * numbers the variants of a kernel, each with a loop of its own. Operands are read through arg, a structure of the
 * kernel's own, which no store can change and registers can hold if it is a local variable of the function that walks.
 */
typedef void (*walk_vector)(const void *arg, int64_t i, int64_t j, int64_t lanes, int form);

/* Asks by vec_prefetch() for column j of row i of each matrix that the walk reads. */
typedef void (*walk_ahead)(const void *arg, int64_t i, int64_t j, int form);

/* Rows [first, last) of a matrix of which the caller walks `rows` rows, one part after the other. */
struct walk_part {
    int64_t rows, cols, first, last;
    bool large; /* it comes from memory, not from a cache */
};

/* How far ahead the walk asks for each line, and how often: from memory again at half and at a quarter of the distance,
 * since a processor drops what it has no room for. The hardware's prefetchers alone lose track of a matrix whose rows
 * lie pages apart, and of one whose reading alternates with that of a column's operands. */
enum { WALK_AHEAD_FLOATS = 16384 / sizeof(float), WALK_LINE = 64 / sizeof(float), WALK_ASKS = 3 };

/* Handles the line of columns from j of the rows of a band, from i on: what belongs to a column is loaded once for all
 * of them. Where it writes a matrix it computes the whole line first: a load waits for a store at the same place of
 * another page, as all rows of a matrix may be. Of constant form. */
typedef void (*walk_band)(const void *arg, int64_t i, int64_t j, int form);

/* Least columns of bands: rows of a page or more. There the operands of columns cost more than the lines of a row under
 * way; shorter rows go faster one after the other. */
enum { WALK_BAND_COLS = 4096 / sizeof(float) };

/* For the columns behind the last whole line of a row: a function of its own for all forms of a kernel, of which each
 * would otherwise hold two more copies of its vector. */
#define WALK_REST static __attribute__((cold, noinline))

WALK_INLINE void walk_rest(walk_vector rest, const void *arg, int64_t i, int64_t j, int64_t cols, int form)
{
    for (; j < cols; j += VEC_LANES)
        rest(arg, i, j, vec_lanes_left(j, cols), form);
}

WALK_INLINE void walk_range(walk_vector vector, walk_vector rest, walk_ahead ahead, const void *arg,
                            const struct walk_part *part, int64_t first, int form)
{
    const int64_t cols = part->cols;
    const bool large = part->large;
    for (int64_t i = first; i < part->last; i++) {
        int64_t later[WALK_ASKS], j = 0;
        for (int ask = 0; ask < WALK_ASKS; ask++) {
            const int64_t row = i + 1 + ((WALK_AHEAD_FLOATS >> ask) - 1) / cols;
            later[ask] = row < part->rows ? row : part->rows - 1;
        }
        for (; j + WALK_LINE <= cols; j += WALK_LINE) {
            if (ahead)
                ahead(arg, later[0], j, form);
            for (int ask = 1; ahead && large && ask < WALK_ASKS; ask++)
                ahead(arg, later[ask], j, form);
            for (int64_t lane = 0; lane < WALK_LINE; lane += VEC_LANES)
                vector(arg, i, j + lane, VEC_LANES, form);
        }
        walk_rest(rest, arg, i, j, cols, form);
    }
}

/* As many rows as there are bands. Returns the row after them. */
WALK_INLINE int64_t walk_bands(walk_band band, int band_rows, walk_vector rest, walk_ahead ahead, const void *arg,
                               const struct walk_part *part, int form)
{
    const int64_t cols = part->cols, last_band = part->rows - band_rows;
    int64_t i = part->first;
    for (; i + band_rows <= part->last; i += band_rows) {
        const int64_t later = i + band_rows < last_band ? i + band_rows : last_band;
        int64_t j = 0;
        for (; j + WALK_LINE <= cols; j += WALK_LINE) {
            for (int r = 0; r < band_rows; r++)
                ahead(arg, later + r, j, form);
            band(arg, i, j, form);
        }
        for (int r = 0; r < band_rows; r++)
            walk_rest(rest, arg, i + r, j, cols, form);
    }
    return i;
}

WALK_INLINE void walk_as(walk_vector vector, walk_band band, int band_rows, walk_vector rest, walk_ahead ahead,
                         const void *arg, const struct walk_part *part, int form)
{
    int64_t first = part->first;
    if (band && part->cols >= WALK_BAND_COLS)
        first = walk_bands(band, band_rows, rest, ahead, arg, part, form);
    walk_range(vector, rest, ahead, arg, part, first, form);
}

/* Calls vector for all columns of the part's rows, in the order of memory, rest for those behind whole lines, band
 * instead (NULL: never) where rows are long, and ahead (NULL: never) for what comes later; form is one of `forms`, a
 * constant of at most 8. */
WALK_INLINE void walk_memory(walk_vector vector, walk_band band, int band_rows, walk_vector rest, walk_ahead ahead,
                             const void *arg, const struct walk_part *part, int forms, int form)
{
    if (forms > 0 && form == 0)
        walk_as(vector, band, band_rows, rest, ahead, arg, part, 0);
    if (forms > 1 && form == 1)
        walk_as(vector, band, band_rows, rest, ahead, arg, part, 1);
    if (forms > 2 && form == 2)
        walk_as(vector, band, band_rows, rest, ahead, arg, part, 2);
    if (forms > 3 && form == 3)
        walk_as(vector, band, band_rows, rest, ahead, arg, part, 3);
    if (forms > 4 && form == 4)
        walk_as(vector, band, band_rows, rest, ahead, arg, part, 4);
    if (forms > 5 && form == 5)
        walk_as(vector, band, band_rows, rest, ahead, arg, part, 5);
    if (forms > 6 && form == 6)
        walk_as(vector, band, band_rows, rest, ahead, arg, part, 6);
    if (forms > 7 && form == 7)
        walk_as(vector, band, band_rows, rest, ahead, arg, part, 7);
}

/* The same for rows [first, last) of a matrix that is in the cache, in two forms. */
WALK_INLINE void walk(walk_vector vector, walk_vector rest, const void *arg, int64_t first, int64_t last, int64_t cols,
                      bool form)
{
    const struct walk_part part = {last, cols, first, last, false};
    walk_memory(vector, NULL, 0, rest, NULL, arg, &part, 2, form);
}

/* Adds the terms of `lanes` elements from j, of which only lanes (where whole) and form are constants, to one or two
 * sums. Lanes beyond must add 0. */
typedef void (*walk_terms)(const void *arg, int64_t j, int64_t lanes, int form, vec *first, vec *second);

/* Vectors with sums of their own, to hide the latency of an addition, and how often each adds in float before its sum
 * goes to double: the rounding of 32 terms stays near sqrt(32)/2 units. */
enum { WALK_SUMS = 4, WALK_STRIP = 32 };

/* Adds elements [first, last) to one sum or two, a constant: in the same order for the same range and instruction set.
 */
WALK_INLINE void walk_sums(walk_terms terms, const void *arg, int64_t first, int64_t last, int form, int count,
                           double *sums)
{
    int64_t j = first;
    while (j < last) {
        vec sum[2][WALK_SUMS];
        for (int s = 0; s < WALK_SUMS; s++)
            sum[0][s] = sum[1][s] = vec_zero();
        int step = 0;
        for (; step < WALK_STRIP && j + WALK_SUMS * VEC_LANES <= last; step++, j += WALK_SUMS * VEC_LANES)
            for (int s = 0; s < WALK_SUMS; s++)
                terms(arg, j + s * VEC_LANES, VEC_LANES, form, &sum[0][s], &sum[1][s]);
        for (; step < WALK_STRIP && j < last; step++, j += VEC_LANES)
            terms(arg, j, vec_lanes_left(j, last), form, &sum[0][0], &sum[1][0]);
        for (int k = 0; k < count; k++)
            sums[k] += vec_sum_double(vec_add(vec_add(sum[k][0], sum[k][1]), vec_add(sum[k][2], sum[k][3])));
    }
}

#endif
