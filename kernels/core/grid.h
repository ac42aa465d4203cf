/* The cut of a matrix into rectangles, each one chunk of a parallel loop: a function of the shape alone, so that sums
 * over rectangles, merged in their order, do not depend on the threads. */
#ifndef GEMEL_GRID_H
#define GEMEL_GRID_H

#include "core/core.h"

/* Most columns of a rectangle: bounds what kernels keep of each column on the stack and in the first-level cache. Rows
 * of 4 KiB are long enough for the memory, shorter pieces of longer rows are not. */
enum { GM_GRID_COLS = 1024 };

/* About so many rectangles to share among threads, none so small that its start shows, nor so large that one more would
 * not hide the merging of what it leaves. */
enum { GM_GRID_RECTS = 64, GM_GRID_ELEMENTS_LEAST = 1 << 17, GM_GRID_ELEMENTS_MOST = 1 << 19 };

/* Elements of a result that is written past the caches: 32 MiB, which few third-level caches could hold for whoever
 * reads it next. */
enum { GM_STREAMED_ELEMENTS = 1 << 23 };

struct gm_grid {
    int64_t cols, groups;
    int64_t group_rows;           /* rows of one group: no rectangle reaches over two groups */
    int64_t rect_rows, rect_cols; /* of one rectangle, except the last ones */
    int64_t row_rects, col_rects; /* rectangles above each other in one group, and beside each other */
};

struct gm_rect {
    int64_t group, slot; /* slot = group row_rects + its place in the group: the row of its partial sums */
    int64_t row, col, rows, cols;
};

/* For rows >= groups >= 1, rows a multiple of groups, cols >= 1. most_cols: of a rectangle. */
static inline struct gm_grid gm_grid_of(int64_t rows, int64_t cols, int64_t groups, int64_t most_cols)
{
    struct gm_grid grid = {.cols = cols, .groups = groups, .group_rows = rows / groups};
    grid.rect_cols = gm_min_i64(cols, most_cols);
    const int64_t share = gm_min_i64(rows * cols / GM_GRID_RECTS, GM_GRID_ELEMENTS_MOST);
    const int64_t elements = gm_max_i64(share, GM_GRID_ELEMENTS_LEAST);
    grid.rect_rows = gm_min_i64(elements / grid.rect_cols, grid.group_rows);
    grid.row_rects = gm_ceil_div(grid.group_rows, grid.rect_rows);
    grid.col_rects = gm_ceil_div(cols, grid.rect_cols);
    return grid;
}

static inline struct gm_grid gm_grid_make(int64_t rows, int64_t cols, int64_t groups)
{
    return gm_grid_of(rows, cols, groups, GM_GRID_COLS);
}

static inline int64_t gm_grid_slots(const struct gm_grid *grid)
{
    return grid->groups * grid->row_rects;
}

static inline int64_t gm_grid_chunks(const struct gm_grid *grid)
{
    return gm_grid_slots(grid) * grid->col_rects;
}

static inline struct gm_rect gm_grid_rect(const struct gm_grid *grid, int64_t chunk)
{
    struct gm_rect rect = {.slot = chunk / grid->col_rects, .col = chunk % grid->col_rects * grid->rect_cols};
    rect.group = rect.slot / grid->row_rects;
    const int64_t row = rect.slot % grid->row_rects * grid->rect_rows;
    rect.row = rect.group * grid->group_rows + row;
    rect.rows = gm_min_i64(grid->rect_rows, grid->group_rows - row);
    rect.cols = gm_min_i64(grid->rect_cols, grid->cols - rect.col);
    return rect;
}

#endif
