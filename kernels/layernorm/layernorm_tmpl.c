/* The kernels of one block of rows. Compiled once per instruction set. */
#include <float.h>
#include <math.h>
#include <string.h>

#include "layernorm/layernorm.h"
#include "simd/walk.h"

/* Rows summed in float before the sums go to double. */
enum { STRIP = 32 };

/* Rows that go through each step together, so that none waits for another's reductions: no more than 4 KiB of their
 * operands, for reading and writing to alternate often. */
enum { BATCH = 16, BATCH_FLOATS = 1024 };

/* Columns after which the forward call turns from writing a row to reading the next. */
enum { PIECE = 1024 };

/* Whether the backward call asks for a line again while it writes, and the most columns with which it asks at all.
 * Vectors of less than a line have no time for that, and the hardware's prefetchers follow long rows. */
enum { ASKS_AGAIN = (int)VEC_LANES >= (int)WALK_LINE, ASKED_COLS = ASKS_AGAIN ? INT32_MAX : 4096 };

struct batch {
    int64_t first, rows;
};

static struct batch batch_from(int64_t first, const struct gm_layernorm_block *b, int64_t operands)
{
    const int64_t most = BATCH_FLOATS / (operands * b->cols), rows = most < 1 ? 1 : most > BATCH ? BATCH : most;
    return (struct batch){first, rows < b->rows - first ? rows : b->rows - first};
}

/* The row to ask for while row i is at work: so far ahead as a walk asks, and beyond the batch. */
WALK_INLINE int64_t later_row(const struct gm_layernorm_block *b, int64_t i, const struct batch *batch)
{
    const int64_t later = i + batch->rows + 1 + (WALK_AHEAD_FLOATS - 1) / b->cols;
    return later < b->rows ? later : b->rows - 1;
}

WALK_INLINE void ask(const float *later, int64_t j)
{
    if ((int)VEC_LANES >= (int)WALK_LINE || j % WALK_LINE == 0)
        vec_prefetch(later + j);
}

WALK_INLINE vec rectified(const float *x, int64_t lanes, bool relu)
{
    const vec v = walk_load(x, lanes);
    return relu ? vec_max(vec_zero(), v) : v;
}

/* The statistics of a row in all lanes: a = (z - mean) inverse_std + low. */
struct statistics {
    vec mean, inverse_std, low;
};

WALK_INLINE struct statistics statistics_at(const float *saved)
{
    return (struct statistics){vec_set(saved[0]), vec_set(saved[2]), vec_set(-saved[1] * saved[2])};
}

WALK_INLINE vec normalised(const struct statistics *s, vec z)
{
    return vec_fma(vec_sub(z, s->mean), s->inverse_std, s->low);
}

struct moments {
    const float *x, *later;
    vec shift;
};

WALK_INLINE struct moments moments_at(const struct gm_layernorm_block *b, const struct batch *batch, int64_t r)
{
    const int64_t i = batch->first + r;
    return (struct moments){b->x + i * b->ldx, b->x + later_row(b, i, batch) * b->ldx, vec_zero()};
}

WALK_INLINE void value_terms(const void *arg, int64_t j, int64_t lanes, int relu, vec *sum, vec *unused)
{
    const struct moments *m = arg;
    (void)unused;
    *sum = vec_add(*sum, rectified(m->x + j, lanes, relu));
}

WALK_INLINE void deviation_terms(const void *arg, int64_t j, int64_t lanes, int relu, vec *sum, vec *squares)
{
    const struct moments *m = arg;
    vec d = vec_sub(rectified(m->x + j, lanes, relu), m->shift);
    if (lanes != VEC_LANES)
        d = vec_keep((1u << lanes) - 1, d);
    ask(m->later, j);
    *sum = vec_add(*sum, d);
    *squares = vec_fma(d, d, *squares);
}

/* Mean and sum of squared deviations of the pieces so far, of each row of a batch. */
struct sums {
    double mean[BATCH], squares[BATCH];
};

/* Adds columns [first, last) by Chan, Golub and LeVeque's merge. Around the mean of the piece as a float sum gives it,
 * deviations are small enough for both moments to be exact to a few units; the second reading is of the first-level
 * cache. */
WALK_INLINE void add_piece(const struct gm_layernorm_block *b, const struct batch *batch, int64_t first, int64_t last,
                           bool relu, struct sums *sums)
{
    const double share = 1 / (double)(last - first), weight = (double)(last - first) / (double)last;
    double sum[BATCH], squares[BATCH];
    float shift[BATCH];
    for (int64_t r = 0; r < batch->rows; r++) {
        const struct moments m = moments_at(b, batch, r);
        sum[r] = 0;
        walk_sums(value_terms, &m, first, last, relu, 1, &sum[r]);
        shift[r] = (float)(sum[r] * share);
    }
    for (int64_t r = 0; r < batch->rows; r++) {
        struct moments m = moments_at(b, batch, r);
        double both[2] = {0, 0};
        m.shift = vec_set(shift[r]);
        walk_sums(deviation_terms, &m, first, last, relu, 2, both);
        sum[r] = both[0];
        squares[r] = both[1];
    }
    for (int64_t r = 0; r < batch->rows; r++) {
        const double offset = sum[r] * share, around = squares[r] - sum[r] * offset;
        const double before = first == 0 ? 0 : sums->mean[r], delta = (double)shift[r] + offset - before;
        sums->squares[r] =
            (first == 0 ? 0 : sums->squares[r] + delta * delta * (double)first * weight) + (around < 0 ? 0 : around);
        sums->mean[r] = before + delta * weight;
    }
}

WALK_INLINE bool find_statistics(const struct gm_layernorm_block *b, const struct batch *batch, const struct sums *sums,
                                 float *statistics)
{
    const double share = 1 / (double)b->cols;
    bool finite = true;
    for (int64_t r = 0; r < batch->rows; r++) {
        float *s = statistics + r * GM_LAYERNORM_SAVED;
        s[0] = (float)sums->mean[r];
        s[1] = (float)(sums->mean[r] - (double)s[0]);
        s[2] = (float)(1 / sqrt(sums->squares[r] * share + (double)b->eps));
        finite &= fabsf(s[0]) <= FLT_MAX && fabsf(s[2]) <= FLT_MAX;
    }
    return finite;
}

struct result {
    const float *x, *weight, *bias;
    float *y;
    struct statistics statistics;
};

WALK_INLINE void write_vector(const struct result *w, int64_t j, int64_t lanes, bool relu, bool stream)
{
    vec v = normalised(&w->statistics, rectified(w->x + j, lanes, relu));
    if (w->weight)
        v = vec_fma(v, walk_load(w->weight + j, lanes), walk_load(w->bias + j, lanes));
    walk_put(w->y + j, v, lanes, stream);
}

WALK_INLINE void write_piece(const struct gm_layernorm_block *b, const struct batch *batch, const float *statistics,
                             int64_t first, int64_t last, bool relu, bool stream)
{
    for (int64_t r = 0; r < batch->rows; r++) {
        const int64_t i = batch->first + r;
        const struct result w = {b->x + i * b->ldx, b->weight, b->bias, b->out + i * b->ldout,
                                 statistics_at(statistics + r * GM_LAYERNORM_SAVED)};
        int64_t j = first;
        for (; j + VEC_LANES <= last; j += VEC_LANES)
            write_vector(&w, j, VEC_LANES, relu, stream);
        if (j < last)
            write_vector(&w, j, last - j, relu, stream);
    }
}

static int64_t piece_end(int64_t first, int64_t cols)
{
    return first + PIECE < cols ? first + PIECE : cols;
}

/* A batch is written while the next one is read for its sums; the first turn only reads. One place each for reading and
 * writing keeps the code small. */
WALK_INLINE bool forward_as(const struct gm_layernorm_block *b, bool relu, bool stream)
{
    struct sums sums;
    bool finite = true;
    for (struct batch batch = {0, 0}, next = batch_from(0, b, 1); batch.rows + next.rows > 0; batch = next) {
        float unsaved[BATCH * GM_LAYERNORM_SAVED];
        float *statistics = b->new_saved ? b->new_saved + batch.first * GM_LAYERNORM_SAVED : unsaved;
        finite &= find_statistics(b, &batch, &sums, statistics);
        next = batch_from(batch.first + batch.rows, b, 1);
        for (int64_t first = 0; first < b->cols; first += PIECE) {
            const int64_t last = piece_end(first, b->cols);
            write_piece(b, &batch, statistics, first, last, relu, stream);
            add_piece(b, &next, first, last, relu, &sums);
        }
    }
    return finite;
}

/* A loop with ReLU and one without; streaming is a branch that is always foreseen. */
static bool forward(const struct gm_layernorm_block *block)
{
    const struct gm_layernorm_block b = *block; /* known to nobody else, so that it stays in registers */
    const bool stream = b.stream && walk_may_stream(b.out, b.ldout);
    const bool finite = b.relu ? forward_as(&b, true, stream) : forward_as(&b, false, stream);
    vec_stream_end();
    return finite;
}

struct gradient {
    const float *x, *dy, *later_x, *later_dy, *weight;
    struct statistics statistics;
    float *strip_weight, *strip_bias; /* or NULL */
    float *dx;
    bool asks;
    vec mean_h, mean_ha;
};

WALK_INLINE struct gradient gradient_at(const struct gm_layernorm_block *b, const struct batch *batch, int64_t r)
{
    const int64_t i = batch->first + r, later = later_row(b, i, batch);
    return (struct gradient){.x = b->x + i * b->ldx,
                             .dy = b->dy + i * b->lddy,
                             .later_x = b->x + later * b->ldx,
                             .later_dy = b->dy + later * b->lddy,
                             .weight = b->weight,
                             .statistics = statistics_at(b->saved + i * GM_LAYERNORM_SAVED),
                             .strip_weight = b->strip,
                             .strip_bias = b->strip ? b->strip + b->cols : NULL,
                             .dx = b->out + i * b->ldout,
                             .asks = b->cols <= ASKED_COLS};
}

WALK_INLINE vec weighted(const struct gradient *g, int64_t j, vec dy, int64_t lanes)
{
    return g->weight ? vec_mul(dy, walk_load(g->weight + j, lanes)) : dy;
}

/* Lanes beyond add 0, for dy is 0 there. */
WALK_INLINE void gradient_terms(const void *arg, int64_t j, int64_t lanes, int relu, vec *sum, vec *dot)
{
    const struct gradient *g = arg;
    if (g->asks) {
        ask(g->later_x, j);
        ask(g->later_dy, j);
    }
    const vec a = normalised(&g->statistics, rectified(g->x + j, lanes, relu));
    const vec dy = walk_load(g->dy + j, lanes), h = weighted(g, j, dy, lanes);
    *sum = vec_add(*sum, h);
    *dot = vec_fma(h, a, *dot);
    if (g->strip_weight) {
        walk_store(g->strip_weight + j, vec_fma(dy, a, walk_load(g->strip_weight + j, lanes)), lanes);
        walk_store(g->strip_bias + j, vec_add(dy, walk_load(g->strip_bias + j, lanes)), lanes);
    }
}

WALK_INLINE void gradient_vector(const struct gradient *g, int64_t j, int64_t lanes, bool relu, bool stream)
{
    if (ASKS_AGAIN) {
        ask(g->later_x, j);
        ask(g->later_dy, j);
    }
    const vec x = walk_load(g->x + j, lanes), z = relu ? vec_max(vec_zero(), x) : x;
    const vec around = vec_sub(weighted(g, j, walk_load(g->dy + j, lanes), lanes), g->mean_h);
    vec v = vec_mul(g->statistics.inverse_std, vec_fnma(normalised(&g->statistics, z), g->mean_ha, around));
    if (relu)
        v = vec_select_gt(x, vec_zero(), v, vec_zero());
    walk_put(g->dx + j, v, lanes, stream);
}

/* The gradient of a batch, and its share of the columns' sums in the strips. */
WALK_INLINE bool backward_batch(const struct gm_layernorm_block *b, const struct batch *batch, bool relu, bool stream)
{
    const double share = 1 / (double)b->cols;
    float mean_h[BATCH], mean_ha[BATCH];
    bool finite = true;
    for (int64_t r = 0; r < batch->rows; r++) {
        const struct gradient g = gradient_at(b, batch, r);
        double sums[2] = {0, 0};
        walk_sums(gradient_terms, &g, 0, b->cols, relu, 2, sums);
        mean_h[r] = (float)(sums[0] * share);
        mean_ha[r] = (float)(sums[1] * share);
        finite &= isfinite(mean_h[r]) && isfinite(mean_ha[r]);
    }
    for (int64_t r = 0; r < batch->rows; r++) {
        struct gradient g = gradient_at(b, batch, r);
        int64_t j = 0;
        g.mean_h = vec_set(mean_h[r]);
        g.mean_ha = vec_set(mean_ha[r]);
        for (; j + VEC_LANES <= b->cols; j += VEC_LANES)
            gradient_vector(&g, j, VEC_LANES, relu, stream);
        if (j < b->cols)
            gradient_vector(&g, j, b->cols - j, relu, stream);
    }
    return finite;
}

/* Moves the strips' sums to those in double. */
static void flush(const struct gm_layernorm_block *b)
{
    for (int64_t j = 0; j < b->cols; j++) {
        b->weight_sum[j] += (double)b->strip[j];
        b->bias_sum[j] += (double)b->strip[b->cols + j];
    }
    memset(b->strip, 0, 2 * (size_t)b->cols * sizeof *b->strip);
}

WALK_INLINE bool backward_as(const struct gm_layernorm_block *b, bool relu, bool stream)
{
    bool finite = true;
    int64_t unflushed = 0;
    for (struct batch batch = batch_from(0, b, 2); batch.rows > 0; batch = batch_from(batch.first + batch.rows, b, 2)) {
        if (b->strip && unflushed + batch.rows > STRIP) {
            flush(b);
            unflushed = 0;
        }
        finite &= backward_batch(b, &batch, relu, stream);
        unflushed += batch.rows;
    }
    if (b->strip)
        flush(b);
    return finite;
}

static bool backward(const struct gm_layernorm_block *block)
{
    const struct gm_layernorm_block b = *block;
    if (b.strip) {
        memset(b.weight_sum, 0, (size_t)b.cols * sizeof *b.weight_sum);
        memset(b.bias_sum, 0, (size_t)b.cols * sizeof *b.bias_sum);
        memset(b.strip, 0, 2 * (size_t)b.cols * sizeof *b.strip);
    }
    const bool stream = b.stream && walk_may_stream(b.out, b.ldout);
    const bool finite = b.relu ? backward_as(&b, true, stream) : backward_as(&b, false, stream);
    vec_stream_end();
    return finite;
}

const struct gm_layernorm_kernels GM_ENTRY(gm_layernorm_f32) = {GM_ISA_TEXT " row by row", forward, backward};
