/* The register tile for every number of rows and vectors: C = alpha A B + beta C with A packed and B packed or as it is
 * stored. */
#ifndef GEMEL_GEMM_TILE_H
#define GEMEL_GEMM_TILE_H

#include <math.h>
#include <stdbool.h>
#include <stdint.h>

#include "gemm/gemm.h"

/* Sums live in registers only where every loop over them is unrolled; the compilers have no common word for "fully". */
#ifdef __clang__
#define GM_UNROLL _Pragma("clang loop unroll(full)")
#else
#define GM_UNROLL _Pragma("GCC unroll 16")
#endif

/* A tile is a function for each number of rows and vectors; but for AddressSanitizer, which takes minutes to compile so
 * many checks, they share one with loops. */
#ifdef __SANITIZE_ADDRESS__
#undef GM_UNROLL
#define GM_UNROLL
#define GM_TILE static __attribute__((noipa))
#else
#define GM_TILE static inline __attribute__((always_inline))
#endif

/* Defines TILE_ROWS, TILE_VECS, WHOLE_ROWS (kernel.h), STEPS, DEPTH_MOST, DEPTH_WIDE, MICRO_NAME, MICRO_ROWS,
 * MICRO_VECS, transpose() and step(). */
#include GM_MICRO_HEADER

enum { TILE_COLS = TILE_VECS * VEC_LANES };

struct tile {
    int64_t depth;
    const float *a, *b;
    const float *next_a; /* of the tile after this one */
    int64_t lda;         /* by rows: from one row to the next; else from one k to the next, rows being neighbours */
    int64_t ldb;         /* from one k to the next */
    const float *next_b; /* packed: this tile's share of the panel after this one; in place: that panel */
    int64_t next_step;   /* in it from one k to the next */
    float *kept;         /* of B in place: where its vectors go, so that the next tiles find them packed */
    int64_t ldkept;      /* from one k to the next; 0 if nobody wants them */
    float *c;
    int64_t ldc;
    const float *old; /* what beta multiplies: C, or what takes its place */
    int64_t ldold;
    int64_t cols; /* more than vecs - 1 vectors of them */
    float alpha, beta;
    bool stream;                         /* whole vectors of C go past the caches, beta being 0 */
    const struct gm_gemm_finish *finish; /* NULL: C = X; its scale and bias begin with this tile's columns */
};

/* The sums become what C is to hold; C is read unless beta is 0. One function for all tiles: its loops cost little, and
 * one for each size would make a tenth of the library. */
static __attribute__((noinline)) void finish_sums(int rows, int vecs, const struct tile *t,
                                                  vec sum[TILE_ROWS][TILE_VECS])
{
    const struct gm_gemm_finish *f = t->finish;
    const vec alpha = vec_set(t->alpha), beta = vec_set(t->beta), least = f->relu ? vec_zero() : vec_set(-INFINITY);
    const bool overwrite = t->beta == 0.0f;
    for (int v = 0; v < vecs; v++) {
        const int64_t lanes = v < vecs - 1 ? VEC_LANES : t->cols - v * VEC_LANES;
        const vec scale = f->scale ? vec_load_n(f->scale + v * VEC_LANES, lanes) : vec_set(1.0f);
        const vec bias = f->bias ? vec_load_n(f->bias + v * VEC_LANES, lanes) : vec_zero();
        const float *old = t->old + v * VEC_LANES;
        for (int i = 0; i < rows; i++) {
            vec x = vec_mul(alpha, sum[i][v]);
            if (!overwrite)
                x = vec_fma(beta, vec_load_n(old + i * t->ldold, lanes), x);
            sum[i][v] = vec_max(least, vec_fma(scale, x, bias));
        }
    }
}

/* Left out where alpha is 1. */
static inline __attribute__((always_inline)) void scale_sums(int rows, int vecs, float alpha,
                                                             vec sum[TILE_ROWS][TILE_VECS])
{
    const vec factor = vec_set(alpha);
    GM_UNROLL
    for (int i = 0; i < rows; i++) {
        GM_UNROLL
        for (int v = 0; v < vecs; v++)
            sum[i][v] = vec_mul(factor, sum[i][v]);
    }
}

/* C = sum + beta C. A part of a vector costs AVX2 several stores: full tiles have none. */
static inline __attribute__((always_inline)) void store_tile(int rows, int vecs, bool full, bool overwrite, bool stream,
                                                             const struct tile *t, vec sum[TILE_ROWS][TILE_VECS])
{
    const vec beta = vec_set(t->beta);
    const int64_t last = t->cols - (vecs - 1) * VEC_LANES;
    float *c = t->c;
    const float *old = t->old;
    GM_UNROLL
    for (int i = 0; i < rows; i++) {
        GM_UNROLL
        for (int v = 0; v < vecs; v++) {
            const bool whole = full || v < vecs - 1;
            float *p = c + v * VEC_LANES;
            const float *q = old + v * VEC_LANES;
            vec x = sum[i][v];
            if (!overwrite)
                x = vec_fma(beta, whole ? vec_load(q) : vec_load_n(q, last), x);
            if (whole && stream)
                vec_stream(p, x);
            else if (whole)
                vec_store(p, x);
            else
                vec_store_n(p, x, last);
        }
        c += t->ldc;
        old += t->ldold;
    }
}

/* The sums are scaled by alpha, unless a finish does that. */
GM_TILE void end_tile(int rows, int vecs, const struct tile *t, vec sum[TILE_ROWS][TILE_VECS])
{
    const bool full = t->cols == vecs * VEC_LANES, overwrite = t->beta == 0.0f || t->finish;
    if (t->finish)
        finish_sums(rows, vecs, t, sum);
    if (full && t->stream)
        store_tile(rows, vecs, true, true, true, t, sum);
    else if (full && overwrite)
        store_tile(rows, vecs, true, true, false, t, sum);
    else if (full)
        store_tile(rows, vecs, true, false, false, t, sum);
    else if (overwrite)
        store_tile(rows, vecs, false, true, false, t, sum);
    else
        store_tile(rows, vecs, false, false, false, t, sum);
}

/* Rarer ends, each a function of its own for all tiles of its size: inline in every tile they make half of the library.
 */
#define END_OF(rows, vecs)                                                                                             \
    static __attribute__((noinline)) void end_##rows##x##vecs(const struct tile *t, vec sum[TILE_ROWS][TILE_VECS])     \
    {                                                                                                                  \
        end_tile(rows, vecs, t, sum);                                                                                  \
    }
#define ENDS(rows) MICRO_VECS(END_OF, rows)
MICRO_ROWS(ENDS)
#define END_ENTRY(rows, vecs) [rows][vecs] = end_##rows##x##vecs,
#define END_ENTRIES(rows) MICRO_VECS(END_ENTRY, rows)
static void (*const end_of[TILE_ROWS + 1][TILE_VECS + 1])(const struct tile *,
                                                          vec[TILE_ROWS][TILE_VECS]) = {MICRO_ROWS(END_ENTRIES)};

/* By way of a copy: sums whose address is taken would not stay in registers. */
static inline __attribute__((always_inline)) void end_elsewhere(int rows, int vecs, const struct tile *t,
                                                                vec sum[TILE_ROWS][TILE_VECS])
{
    vec copy[TILE_ROWS][TILE_VECS];
    GM_UNROLL
    for (int i = 0; i < rows; i++) {
        GM_UNROLL
        for (int v = 0; v < vecs; v++)
            copy[i][v] = sum[i][v];
    }
    end_of[rows][vecs](t, copy);
}

/* Strides are too long for the hardware to foresee: lines are asked for so many steps of k ahead, the time of an access
 * to memory, and into the second-level cache, since the first has too few places for lines under way; rows of A in
 * place a tile ahead, a line of each row at once; a packed B a panel ahead, a line or less with each step of k. */
enum { AHEAD = 32, LINE = 16 };

/* Rows of A that one pointer reaches: it, one and two leading dimensions further are addresses that x86 can form. */
enum { POINTER_ROWS = 3, ROW_POINTERS = (TILE_ROWS + POINTER_ROWS - 1) / POINTER_ROWS };

/* Where a tile finds B: packed; as it is stored, masked in its last vector, and then also kept; or so and not kept, all
 * operands being in the nearest cache. */
enum place_of_b { PACKED, IN_PLACE, NEAR, PLACES_OF_B };

/* Where a tile stands in its operands. */
struct cursor {
    const float *a, *b, *next; /* next: what is asked for of the next panel of B */
    const float *row[ROW_POINTERS];
    int64_t lda;
};

static inline __attribute__((always_inline)) struct cursor begin(int rows, const struct tile *t)
{
    struct cursor at = {.a = t->a, .b = t->b, .next = t->next_b, .lda = t->lda};
    GM_UNROLL
    for (int i = 0; i < rows; i += POINTER_ROWS)
        at.row[i / POINTER_ROWS] = t->a + i * t->lda;
    return at;
}

/* One of the steps from the cursor on, with A as it is stored, its rows running along k. Among many steps the addresses
 * of different pointers shall have nothing in common that a register would keep. */
static inline __attribute__((always_inline)) void step_by_rows(int rows, int vecs, bool many, struct cursor *at,
                                                               int further, const vec *right,
                                                               vec sum[TILE_ROWS][TILE_VECS])
{
    GM_UNROLL
    for (int i = 0; i < rows; i++) {
        if (many && i % POINTER_ROWS == 0)
            __asm__ volatile("" : "+r"(at->lda));
        const vec left = vec_set(at->row[i / POINTER_ROWS][i % POINTER_ROWS * at->lda + further]);
        GM_UNROLL
        for (int v = 0; v < vecs; v++)
            sum[i][v] = vec_fma(left, right[v], sum[i][v]);
        if (many)
            vec_hold(left);
    }
}

/* The compiler would rather have a pointer a row, and no registers for them. */
static inline __attribute__((always_inline)) void advance_rows(int rows, struct cursor *at, int steps)
{
    GM_UNROLL
    for (int i = 0; i < rows; i += POINTER_ROWS) {
        at->row[i / POINTER_ROWS] += steps;
        __asm__("" : "+r"(at->row[i / POINTER_ROWS]));
    }
}

/* Lines of the next tile's rows; k: steps left, of which the caller takes so many next. */
static inline __attribute__((always_inline)) void ask_for_rows(int rows, const struct tile *t, const struct cursor *at,
                                                               int64_t k, int steps)
{
    if ((k & (LINE - 1)) >= steps)
        return;
    GM_UNROLL
    for (int i = 0; i < rows; i++)
        __builtin_prefetch(t->next_a + (t->depth - k) + i * at->lda, 0, 3);
}

/* With B packed and A, too, or by rows: several steps in one turn of the loop, so that they share what moves pointers
 * and asks for lines. Returns the steps left, fewer than STEPS. */
static inline __attribute__((always_inline)) int64_t multiply_packed(int rows, int vecs, bool by_rows,
                                                                     const struct tile *t, struct cursor *at,
                                                                     vec sum[TILE_ROWS][TILE_VECS])
{
    const int64_t ldb = vecs == TILE_VECS ? (int64_t)TILE_COLS : t->ldb;
    int64_t next_step = t->next_step, k = t->depth - STEPS;
    for (; k >= 0; k -= STEPS) {
        __asm__("" : "+r"(next_step)); /* one loop, whether lines are asked for or not */
        if (next_step != 0) {
            GM_UNROLL
            for (int j = 0; j < STEPS; j++, at->next += next_step)
                __builtin_prefetch(at->next, 0, 2);
        }
        if (by_rows)
            ask_for_rows(rows, t, at, k + STEPS, STEPS);
        GM_UNROLL
        for (int j = 0; j < STEPS; j++) {
            vec right[TILE_VECS];
            GM_UNROLL
            for (int v = 0; v < vecs; v++)
                right[v] = vec_load(at->b + v * VEC_LANES);
            if (by_rows)
                step_by_rows(rows, vecs, true, at, j, right, sum);
            else
                step(rows, vecs, true, at->a + j * TILE_ROWS, right, sum);
            GM_UNROLL
            for (int v = 0; v < vecs; v++)
                vec_hold(right[v]);
            at->b += ldb;
            __asm__ volatile("" ::: "memory"); /* there are registers for the operands of one step */
        }
        at->a += STEPS * TILE_ROWS;
        advance_rows(rows, at, STEPS);
    }
    return k + STEPS;
}

/* The last k steps, one by one, wherever A and B are. */
static inline __attribute__((always_inline)) void multiply_rest(int rows, int vecs, bool by_rows, enum place_of_b place,
                                                                const struct tile *t, struct cursor *at, int64_t k,
                                                                vec sum[TILE_ROWS][TILE_VECS])
{
    const bool far = place != NEAR, in_place = place == IN_PLACE, masked = place != PACKED;
    const int64_t ldb = t->ldb, cols = t->cols, last = cols - (vecs - 1) * VEC_LANES;
    const float *ahead = t->depth > AHEAD ? at->b + AHEAD * ldb : at->next;
    float *kept = t->kept;
    int64_t ldkept = t->ldkept;
    vec right[TILE_VECS];
    for (; k > 0; k--) {
        if (place == PACKED) {
            __builtin_prefetch(at->next, 0, 2);
            at->next += t->next_step;
        }
        if (in_place) {
            /* What follows B may be on no page, and it takes long to see that. */
            if (k == AHEAD)
                ahead = at->next;
            GM_UNROLL
            for (int col = LINE; col < vecs * VEC_LANES; col += LINE)
                __builtin_prefetch(ahead + col - 1, 0, 2);
            __builtin_prefetch(ahead + cols - 1, 0, 2);
            ahead += ldb;
            /* One loop for both kinds of tiles, those whose B is kept and those whose is not. */
            __asm__("" : "+r"(ldkept));
        }
        if (far && by_rows)
            ask_for_rows(rows, t, at, k, 1);
        else if (far && at->lda != TILE_ROWS)
            __builtin_prefetch(at->a + AHEAD * at->lda + rows - 1, 0, 3);
        GM_UNROLL
        for (int v = 0; v < vecs; v++)
            right[v] =
                masked && v == vecs - 1 ? vec_load_n(at->b + v * VEC_LANES, last) : vec_load(at->b + v * VEC_LANES);
        if (in_place && __builtin_expect(ldkept != 0, 1)) {
            GM_UNROLL
            for (int v = 0; v < vecs; v++)
                vec_store(kept + v * VEC_LANES, right[v]);
            kept += ldkept;
        }
        if (by_rows)
            step_by_rows(rows, vecs, false, at, 0, right, sum);
        else
            step(rows, vecs, false, at->a, right, sum);
        advance_rows(rows, at, 1);
        at->a += at->lda;
        at->b += ldb;
    }
}

/* by_rows: A as it is stored with rows along k. */
GM_TILE void multiply_tile(int rows, int vecs, bool by_rows, enum place_of_b place, const struct tile *t)
{
    const bool far = place != NEAR;
    vec sum[TILE_ROWS][TILE_VECS];
    GM_UNROLL
    for (int i = 0; i < rows; i++) {
        GM_UNROLL
        for (int v = 0; v < vecs; v++)
            sum[i][v] = vec_zero();
    }

    struct cursor at = begin(rows, t);
    int64_t k = t->depth;
    if (STEPS > 1 && place == PACKED && (by_rows || at.lda == TILE_ROWS))
        k = multiply_packed(rows, vecs, by_rows, t, &at, sum);
    multiply_rest(rows, vecs, by_rows, place, t, &at, k, sum);

    const bool full = t->cols == vecs * VEC_LANES, overwrite = t->beta == 0.0f, plain = !t->finish && !t->stream;
    if (!t->finish && t->alpha != 1.0f)
        scale_sums(rows, vecs, t->alpha, sum);
    if (plain && full && overwrite)
        store_tile(rows, vecs, true, true, false, t, sum);
    else if (plain && full && far)
        store_tile(rows, vecs, true, false, false, t, sum);
    else if (plain && overwrite && !far)
        store_tile(rows, vecs, false, true, false, t, sum);
    else
        end_elsewhere(rows, vecs, t, sum);
}

#define TILE_OF(name, rows, vecs, by_rows, place)                                                                      \
    static void name##_##rows##x##vecs(const struct tile *t)                                                           \
    {                                                                                                                  \
        multiply_tile(rows, vecs, by_rows, place, t);                                                                  \
    }
#define TILES_OF(rows, vecs)                                                                                           \
    TILE_OF(tile, rows, vecs, false, PACKED)                                                                           \
    TILE_OF(tile_by_rows, rows, vecs, true, PACKED)                                                                    \
    TILE_OF(tile_in_place, rows, vecs, false, IN_PLACE)                                                                \
    TILE_OF(tile_by_rows_in_place, rows, vecs, true, IN_PLACE)                                                         \
    TILE_OF(tile_near, rows, vecs, true, NEAR)
#define TILES(rows) MICRO_VECS(TILES_OF, rows)
MICRO_ROWS(TILES)

/* [by_rows][place][rows][vecs]; near ones are by rows. */
/* clang-format off */
#define TILE_ENTRY(rows, vecs)                                                                                         \
    [0][PACKED][rows][vecs] = tile_##rows##x##vecs,                                                                    \
    [1][PACKED][rows][vecs] = tile_by_rows_##rows##x##vecs,                                                            \
    [0][IN_PLACE][rows][vecs] = tile_in_place_##rows##x##vecs,                                                         \
    [1][IN_PLACE][rows][vecs] = tile_by_rows_in_place_##rows##x##vecs,                                                 \
    [1][NEAR][rows][vecs] = tile_near_##rows##x##vecs,
/* clang-format on */
#define TILE_ENTRIES(rows) MICRO_VECS(TILE_ENTRY, rows)
static void (*const tile_of[2][PLACES_OF_B][TILE_ROWS + 1][TILE_VECS + 1])(const struct tile *) = {
    MICRO_ROWS(TILE_ENTRIES)};

#endif
