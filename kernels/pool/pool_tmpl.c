/* The kernels of one image. Compiled once per instruction set. */
#include <string.h>

#include "pool/pool.h"
#include "simd/walk.h"

/* Vectors at a time: those of a row, then what is left of it. */
typedef void (*vector)(const void *arg, int64_t j, int64_t lanes);

WALK_INLINE void along(vector body, const void *arg, int64_t count)
{
    int64_t j = 0;
    for (; j + VEC_LANES <= count; j += VEC_LANES)
        body(arg, j, VEC_LANES);
    if (j < count)
        body(arg, j, count - j);
}

WALK_INLINE vec value(const struct gm_pool_values *in, int64_t pixel, int64_t j, int64_t lanes)
{
    const vec x = walk_load(in->x + pixel * in->ldx + j, lanes);
    if (!in->scale)
        return x;
    const vec v = vec_fma(walk_load(in->scale + j, lanes), x, walk_load(in->shift + j, lanes));
    return vec_max(vec_set(in->floor), v);
}

/* Windows, of one direction: [first, last) clipped to the map, `start` before clipping. */
struct window {
    int64_t start, first, last;
};

static inline struct window window_of(const struct gm_max_pool *pool, int64_t i, int64_t size)
{
    const int64_t start = i * pool->stride - pool->padding;
    return (struct window){start, gm_max_i64(start, 0), gm_min_i64(start + pool->kernel, size)};
}

struct max_pixel {
    const struct gm_max_pool *pool;
    struct window rows, cols;
    int64_t out; /* pixel of y */
};

/* A number is taken if it is larger than the best so far, which no number is than NaN; NaN always. */
WALK_INLINE void max_vector(const void *arg, int64_t j, int64_t lanes)
{
    const struct max_pixel *o = arg;
    const struct gm_max_pool *pool = o->pool;
    const int64_t first_place = (o->rows.first - o->rows.start) * pool->kernel + (o->cols.first - o->cols.start);
    vec best = value(&pool->in, o->rows.first * pool->width + o->cols.first, j, lanes);
    vec winner = vec_set((float)first_place);
    for (int64_t h = o->rows.first; h < o->rows.last; h++)
        for (int64_t w = o->cols.first; w < o->cols.last; w++) {
            const vec v = value(&pool->in, h * pool->width + w, j, lanes);
            const vec place = vec_set((float)((h - o->rows.start) * pool->kernel + (w - o->cols.start)));
            winner = vec_select_gt(v, best, place, vec_select_eq(v, v, winner, place));
            best = vec_select_gt(v, best, v, vec_select_eq(v, v, best, v));
        }
    walk_store(pool->y + o->out * pool->ldy + j, best, lanes);
    if (pool->new_winners)
        walk_store_bytes(pool->new_winners + o->out * pool->channels + j, winner, lanes);
}

static void max_forward(const struct gm_max_pool *pool)
{
    for (int64_t i = pool->first; i < pool->last; i++)
        for (int64_t j = 0; j < pool->out_width; j++) {
            const struct max_pixel o = {pool, window_of(pool, i, pool->height), window_of(pool, j, pool->width),
                                        i * pool->out_width + j};
            along(max_vector, &o, pool->channels);
        }
}

/* Windows of one direction that pixel h lies in: from the first with i stride - padding + kernel > h to the last with
 * i stride - padding <= h. */
static inline struct window windows_with(const struct gm_max_pool *pool, int64_t h, int64_t windows)
{
    const int64_t before = h + pool->padding - pool->kernel;
    return (struct window){h + pool->padding, before < 0 ? 0 : before / pool->stride + 1,
                           gm_min_i64((h + pool->padding) / pool->stride + 1, windows)};
}

WALK_INLINE void scatter_vector(const void *arg, int64_t j, int64_t lanes)
{
    const struct max_pixel *o = arg;
    const struct gm_max_pool *pool = o->pool;
    vec sum = vec_zero();
    for (int64_t i = o->rows.first; i < o->rows.last; i++)
        for (int64_t k = o->cols.first; k < o->cols.last; k++) {
            const int64_t window = i * pool->out_width + k;
            const int64_t place =
                (o->rows.start - i * pool->stride) * pool->kernel + (o->cols.start - k * pool->stride);
            const vec winner = walk_load_bytes(pool->winners + window * pool->channels + j, lanes);
            const vec dy = walk_load(pool->dy + window * pool->lddy + j, lanes);
            sum = vec_add(sum, vec_select_eq(winner, vec_set((float)place), dy, vec_zero()));
        }
    walk_store(pool->dv + o->out * pool->lddv + j, sum, lanes);
}

static void max_backward(const struct gm_max_pool *pool)
{
    for (int64_t h = pool->first; h < pool->last; h++)
        for (int64_t w = 0; w < pool->width; w++) {
            const struct max_pixel o = {pool, windows_with(pool, h, pool->out_height),
                                        windows_with(pool, w, pool->out_width), h * pool->width + w};
            along(scatter_vector, &o, pool->channels);
        }
}

struct row {
    const struct gm_pool_values *in;
    int64_t pixel;
    float *to;
    const float *from;
    vec count;
};

WALK_INLINE void add_value(const void *arg, int64_t j, int64_t lanes)
{
    const struct row *o = arg;
    walk_store(o->to + j, vec_add(walk_load(o->to + j, lanes), value(o->in, o->pixel, j, lanes)), lanes);
}

WALK_INLINE void divide_vector(const void *arg, int64_t j, int64_t lanes)
{
    const struct row *o = arg;
    walk_store(o->to + j, vec_div(walk_load(o->from + j, lanes), o->count), lanes);
}

/* Not inline, here and below: shared, which saves a kilobyte. */
static __attribute__((noinline)) void add_pixel(const struct gm_pool_values *in, int64_t pixel, int64_t channels,
                                                float *to)
{
    const struct row o = {.in = in, .pixel = pixel, .to = to};
    along(add_value, &o, channels);
}

static __attribute__((noinline)) void divide(const float *from, int64_t count, int64_t channels, float *to)
{
    const struct row o = {.from = from, .to = to, .count = vec_set((float)count)};
    along(divide_vector, &o, channels);
}

static void add(const float *from, int64_t channels, float *to)
{
    const struct gm_pool_values plain = {.x = from};
    add_pixel(&plain, 0, channels, to);
}

/* Pixels [h, last_h) x [w, last_w) of the map. */
struct cell {
    int64_t h, last_h, w, last_w;
};

static struct cell cell_of(const struct gm_average_pool *pool, int64_t number)
{
    const int64_t grid = pool->grid, i = number / grid, j = number % grid;
    return (struct cell){gm_pool_cell_first(i, pool->height, grid), gm_pool_cell_last(i, pool->height, grid),
                         gm_pool_cell_first(j, pool->width, grid), gm_pool_cell_last(j, pool->width, grid)};
}

static int64_t pixels_of(const struct cell *cell)
{
    return (cell->last_h - cell->h) * (cell->last_w - cell->w);
}

/* Of each row first, so that no sum has many terms. */
static void sum_cell(const struct gm_average_pool *pool, const struct cell *cell, float *sum)
{
    float row[GM_POOL_BLOCK];
    const size_t bytes = (size_t)pool->channels * sizeof *row;
    memset(sum, 0, bytes);
    for (int64_t h = cell->h; h < cell->last_h; h++) {
        memset(row, 0, bytes);
        for (int64_t w = cell->w; w < cell->last_w; w++)
            add_pixel(&pool->in, h * pool->width + w, pool->channels, row);
        add(row, pool->channels, sum);
    }
}

static void average_forward(const struct gm_average_pool *pool)
{
    float sum[GM_POOL_BLOCK];
    const int64_t stride = pool->channel_stride;
    for (int64_t i = 0; i < pool->grid * pool->grid; i++) {
        const struct cell cell = cell_of(pool, i);
        float *y = pool->y + i * pool->cell_stride;
        sum_cell(pool, &cell, sum);
        divide(sum, pixels_of(&cell), pool->channels, stride == 1 ? y : sum);
        for (int64_t c = 0; stride != 1 && c < pool->channels; c++)
            y[c * stride] = sum[c];
    }
}

/* share[cell, c] = dy / (pixels of the cell) */
static void share_out(const struct gm_average_pool *pool, float *share)
{
    const int64_t stride = pool->channel_stride;
    for (int64_t i = 0; i < pool->grid * pool->grid; i++, share += pool->channels) {
        const struct cell cell = cell_of(pool, i);
        const float *dy = pool->dy + i * pool->cell_stride;
        for (int64_t c = 0; stride != 1 && c < pool->channels; c++)
            share[c] = dy[c * stride];
        divide(stride == 1 ? dy : share, pixels_of(&cell), pool->channels, share);
    }
}

static void average_backward(const struct gm_average_pool *pool)
{
    float share[GM_POOL_BLOCK];
    const int64_t grid = pool->grid, height = pool->height, width = pool->width;
    share_out(pool, share);
    for (int64_t h = 0; h < height; h++)
        for (int64_t w = 0; w < width; w++) {
            /* The cells with i size < (h + 1) grid and (i + 1) size > h grid. */
            const int64_t first_i = h * grid / height, last_i = gm_ceil_div((h + 1) * grid, height);
            const int64_t first_j = w * grid / width, last_j = gm_ceil_div((w + 1) * grid, width);
            float *dv = pool->dv + (h * width + w) * pool->lddv;
            memcpy(dv, share + (first_i * grid + first_j) * pool->channels, (size_t)pool->channels * sizeof *dv);
            for (int64_t cell = first_i * grid + first_j + 1; cell < last_i * grid; cell++)
                if (cell % grid >= first_j && cell % grid < last_j)
                    add(share + cell * pool->channels, pool->channels, dv);
        }
}

const struct gm_pool_kernels GM_ENTRY(gm_pool_f32) = {GM_ISA_TEXT " by pixels", max_forward, max_backward,
                                                      average_forward, average_backward};
