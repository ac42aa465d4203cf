/* The column kernels of the loss. Compiled once per instruction set. */
#include "barlow/barlow.h"
#include "simd/walk.h"

/* Terms summed in float before a sum goes to double: their rounding stays near sqrt(32)/2 units. */
enum { STRIP = 32 };

/* Independent sums of the dot product, enough to hide the latency of an addition. */
enum { DOT_SUMS = 4 };

/* The constants of one vector of columns. */
struct normalization {
    vec mean_high, mean_low, scale;
};

WALK_INLINE struct normalization load_normalization(const struct gm_barlow_view *view, int64_t col, int64_t lanes)
{
    const struct normalization norm = {walk_load(view->mean_high + col, lanes), walk_load(view->mean_low + col, lanes),
                                       walk_load(view->scale + col, lanes)};
    return norm;
}

WALK_INLINE vec normalized(const struct gm_barlow_view *view, int64_t row, int64_t col, int64_t lanes,
                           const struct normalization *norm)
{
    const vec z = walk_load(view->z + row * view->ldz + col, lanes);
    return vec_mul(vec_sub(vec_sub(z, norm->mean_high), norm->mean_low), norm->scale);
}

/* Sums over a strip of rows, in float, before they go to double. */
struct strip_sums {
    float column[GM_BARLOW_COLS];
};

static void clear(struct strip_sums *sums, int64_t cols)
{
    for (int64_t j = 0; j < cols; j++)
        sums->column[j] = 0.0f;
}

static void flush(const struct strip_sums *sums, int64_t cols, double *total)
{
    for (int64_t j = 0; j < cols; j++)
        total[j] += (double)sums->column[j];
}

struct distance_walk {
    const struct gm_barlow_view *a, *b;
    struct strip_sums *sums;
    const struct gm_barlow_copies *copies;
};

WALK_INLINE void distance_vector(const void *arg, int64_t row, int64_t col, int64_t lanes, int store)
{
    const struct distance_walk *w = arg;
    const struct normalization norm_a = load_normalization(w->a, col, lanes),
                               norm_b = load_normalization(w->b, col, lanes);
    const vec a = normalized(w->a, row, col, lanes, &norm_a), b = normalized(w->b, row, col, lanes, &norm_b);
    const vec difference = vec_sub(a, b);
    float *sum = w->sums->column + col;
    walk_store(sum, vec_fma(difference, difference, walk_load(sum, lanes)), lanes);
    if (store) {
        walk_store(w->copies->a + row * w->copies->ld + col, a, lanes);
        walk_store(w->copies->b + row * w->copies->ld + col, b, lanes);
    }
}

WALK_REST void distance_rest(const void *arg, int64_t row, int64_t col, int64_t lanes, int store)
{
    distance_vector(arg, row, col, lanes, store);
}

WALK_INLINE void distance_ahead(const void *arg, int64_t row, int64_t col, int store)
{
    const struct distance_walk *w = arg;
    (void)store;
    vec_prefetch(w->a->z + row * w->a->ldz + col);
    vec_prefetch(w->b->z + row * w->b->ldz + col);
}

static void distances(int64_t rows, int64_t cols, const struct gm_barlow_view *a, const struct gm_barlow_view *b,
                      double *out, const struct gm_barlow_copies *copies)
{
    struct strip_sums sums;
    const struct distance_walk arg = {a, b, &sums, copies};
    for (int64_t j = 0; j < cols; j++)
        out[j] = 0;
    for (int64_t i = 0; i < rows; i += STRIP) {
        const struct walk_part part = {rows, cols, i, gm_min_i64(i + STRIP, rows), false};
        clear(&sums, cols);
        walk_memory(distance_vector, NULL, 0, distance_rest, distance_ahead, &arg, &part, 2, copies != NULL);
        flush(&sums, cols, out);
    }
}

struct normalize_walk {
    struct gm_barlow_view view;
    float *out;
    int64_t ldo;
};

WALK_INLINE void normalize_vector(const void *arg, int64_t row, int64_t col, int64_t lanes, int unused)
{
    (void)unused;
    const struct normalize_walk *w = arg;
    const struct normalization norm = load_normalization(&w->view, col, lanes);
    walk_store(w->out + row * w->ldo + col, normalized(&w->view, row, col, lanes, &norm), lanes);
}

WALK_REST void normalize_rest(const void *arg, int64_t row, int64_t col, int64_t lanes, int unused)
{
    normalize_vector(arg, row, col, lanes, unused);
}

WALK_INLINE void normalize_ahead(const void *arg, int64_t row, int64_t col, int unused)
{
    (void)unused;
    const struct normalize_walk *w = arg;
    vec_prefetch(w->view.z + row * w->view.ldz + col);
}

static void normalize(int64_t rows, int64_t cols, const struct gm_barlow_view *view, float *out, int64_t ldo)
{
    const struct normalize_walk arg = {*view, out, ldo};
    const struct walk_part part = {rows, cols, 0, rows, false};
    walk_memory(normalize_vector, NULL, 0, normalize_rest, normalize_ahead, &arg, &part, 1, 0);
}

static void add(int64_t count, const float *x, float *y)
{
    for (int64_t i = 0; i < count; i += VEC_LANES) {
        const int64_t lanes = vec_lanes_left(i, count);
        vec_store_n(y + i, vec_add(vec_load_n(x + i, lanes), vec_load_n(y + i, lanes)), lanes);
    }
}

static double dot(int64_t count, const float *x, const float *y)
{
    double total = 0;
    int64_t i = 0;
    while (i + DOT_SUMS * VEC_LANES <= count) {
        vec sum[DOT_SUMS];
        for (int v = 0; v < DOT_SUMS; v++)
            sum[v] = vec_zero();
        for (int term = 0; term < STRIP && i + DOT_SUMS * VEC_LANES <= count; term++, i += DOT_SUMS * VEC_LANES)
            for (int v = 0; v < DOT_SUMS; v++)
                sum[v] = vec_fma(vec_load(x + i + v * VEC_LANES), vec_load(y + i + v * VEC_LANES), sum[v]);
        for (int v = 0; v < DOT_SUMS; v++)
            total += vec_sum_double(sum[v]);
    }
    for (; i < count; i += VEC_LANES) {
        const int64_t lanes = vec_lanes_left(i, count);
        total += vec_sum_double(vec_mul(vec_load_n(x + i, lanes), vec_load_n(y + i, lanes)));
    }
    return total;
}

/* One panel of up to block->panel columns of a packed operand: rows follow each other in whole vectors. */
struct panel {
    int64_t col, cols, stride;
    const float *a, *b;
};

WALK_INLINE struct panel panel_at(const struct gm_barlow_block *block, int64_t col)
{
    const int64_t cols = gm_min_i64(block->panel, block->cols - col);
    const struct panel panel = {.col = col,
                                .cols = cols,
                                .stride = gm_round_up(cols, VEC_LANES),
                                .a = block->a.packed + col * block->rows,
                                .b = block->b.packed + col * block->rows};
    return panel;
}

WALK_INLINE void add_to_double(double *sum, vec v, int64_t lanes)
{
    float terms[VEC_LANES];
    vec_store(terms, v);
    for (int64_t lane = 0; lane < lanes; lane++)
        sum[lane] += (double)terms[lane];
}

WALK_INLINE void project_vector(const struct gm_barlow_block *block, const struct panel *panel, int64_t j,
                                int64_t lanes, double *a_sum, double *b_sum)
{
    const int64_t col = panel->col + j;
    const vec weight = walk_load(block->weight + col, lanes);
    const float *a = panel->a + j, *b = panel->b + j, *ga = block->a.g + col, *gb = block->b.g + col;
    for (int64_t first = 0; first < block->rows; first += STRIP) {
        vec sum_a = vec_zero(), sum_b = vec_zero();
        for (int64_t i = first; i < gm_min_i64(first + STRIP, block->rows); i++) {
            const vec x = vec_load(a + i * panel->stride), y = vec_load(b + i * panel->stride);
            sum_a = vec_fma(vec_fma(weight, y, walk_load(ga + i * block->a.ldg, lanes)), x, sum_a);
            sum_b = vec_fma(vec_fma(weight, x, walk_load(gb + i * block->b.ldg, lanes)), y, sum_b);
        }
        add_to_double(a_sum + col, sum_a, lanes);
        add_to_double(b_sum + col, sum_b, lanes);
    }
}

struct project_walk {
    const struct gm_barlow_block *block;
    struct strip_sums *a, *b;
};

WALK_INLINE void project_row(const void *arg, int64_t row, int64_t j, int64_t lanes, int unused)
{
    (void)unused;
    const struct project_walk *w = arg;
    const struct gm_barlow_block_side *side_a = &w->block->a, *side_b = &w->block->b;
    const struct normalization norm_a = load_normalization(&side_a->view, j, lanes),
                               norm_b = load_normalization(&side_b->view, j, lanes);
    const vec a = normalized(&side_a->view, row, j, lanes, &norm_a),
              b = normalized(&side_b->view, row, j, lanes, &norm_b);
    const vec weight = walk_load(w->block->weight + j, lanes);
    const vec ga = vec_fma(weight, b, walk_load(side_a->g + row * side_a->ldg + j, lanes));
    const vec gb = vec_fma(weight, a, walk_load(side_b->g + row * side_b->ldg + j, lanes));
    float *sum_a = w->a->column + j, *sum_b = w->b->column + j;
    walk_store(sum_a, vec_fma(ga, a, walk_load(sum_a, lanes)), lanes);
    walk_store(sum_b, vec_fma(gb, b, walk_load(sum_b, lanes)), lanes);
}

WALK_REST void project_rest(const void *arg, int64_t row, int64_t j, int64_t lanes, int unused)
{
    project_row(arg, row, j, lanes, unused);
}

/* Asks for what the walks of a block that is not packed read. */
WALK_INLINE void block_ahead(const struct gm_barlow_block *block, int64_t row, int64_t j)
{
    vec_prefetch(block->a.view.z + row * block->a.view.ldz + j);
    vec_prefetch(block->b.view.z + row * block->b.view.ldz + j);
    vec_prefetch(block->a.g + row * block->a.ldg + j);
    vec_prefetch(block->b.g + row * block->b.ldg + j);
}

WALK_INLINE void project_ahead(const void *arg, int64_t row, int64_t j, int unused)
{
    (void)unused;
    block_ahead(((const struct project_walk *)arg)->block, row, j);
}

/* From memory: in its order, with the sums in the first-level cache. */
static void project_rows(const struct gm_barlow_block *block, double *a_sum, double *b_sum)
{
    struct strip_sums a, b;
    const struct project_walk arg = {block, &a, &b};
    for (int64_t i = 0; i < block->rows; i += STRIP) {
        const struct walk_part part = {block->rows, block->cols, i, gm_min_i64(i + STRIP, block->rows), false};
        clear(&a, block->cols);
        clear(&b, block->cols);
        walk_memory(project_row, NULL, 0, project_rest, project_ahead, &arg, &part, 1, 0);
        flush(&a, block->cols, a_sum);
        flush(&b, block->cols, b_sum);
    }
}

static void project(const struct gm_barlow_block *block, double *a_sum, double *b_sum)
{
    if (!block->a.packed) {
        project_rows(block, a_sum, b_sum);
        return;
    }
    for (int64_t col = 0; col < block->cols; col += block->panel) {
        const struct panel panel = panel_at(block, col);
        int64_t j = 0;
        for (; j + VEC_LANES <= panel.cols; j += VEC_LANES)
            project_vector(block, &panel, j, VEC_LANES, a_sum, b_sum);
        if (j < panel.cols)
            project_vector(block, &panel, j, panel.cols - j, a_sum, b_sum);
    }
}

struct chain_walk {
    const struct gm_barlow_block *block;
    struct panel panel;
    const float *a_projection, *b_projection;
};

/* Variants of the chain rule. */
enum { CHAIN_STREAM = 1, CHAIN_NORMALISE = 2, CHAIN_FORMS = 4 };

WALK_INLINE void chain_vector(const void *arg, int64_t row, int64_t j, int64_t lanes, int form)
{
    const struct chain_walk *w = arg;
    const struct gm_barlow_block_side *side_a = &w->block->a, *side_b = &w->block->b;
    const int64_t col = w->panel.col + j;
    const vec weight = walk_load(w->block->weight + col, lanes);
    const vec along_a = walk_load(w->a_projection + col, lanes), along_b = walk_load(w->b_projection + col, lanes);
    vec a, b;
    if (form & CHAIN_NORMALISE) {
        const struct normalization norm_a = load_normalization(&side_a->view, col, lanes),
                                   norm_b = load_normalization(&side_b->view, col, lanes);
        a = normalized(&side_a->view, row, col, lanes, &norm_a);
        b = normalized(&side_b->view, row, col, lanes, &norm_b);
    } else {
        a = vec_load(w->panel.a + row * w->panel.stride + j);
        b = vec_load(w->panel.b + row * w->panel.stride + j);
    }
    const vec scale_a = walk_load(side_a->view.scale + col, lanes),
              scale_b = walk_load(side_b->view.scale + col, lanes);
    const vec ga = vec_fma(weight, b, walk_load(side_a->g + row * side_a->ldg + col, lanes));
    const vec gb = vec_fma(weight, a, walk_load(side_b->g + row * side_b->ldg + col, lanes));
    const bool stream = form & CHAIN_STREAM;
    walk_put(side_a->dz + row * side_a->lddz + col, vec_mul(scale_a, vec_fnma(a, along_a, ga)), lanes, stream);
    walk_put(side_b->dz + row * side_b->lddz + col, vec_mul(scale_b, vec_fnma(b, along_b, gb)), lanes, stream);
}

WALK_REST void chain_rest(const void *arg, int64_t row, int64_t j, int64_t lanes, int form)
{
    chain_vector(arg, row, j, lanes, form);
}

WALK_INLINE void chain_ahead(const void *arg, int64_t row, int64_t j, int form)
{
    if (form & CHAIN_NORMALISE)
        block_ahead(((const struct chain_walk *)arg)->block, row, j);
}

static void chain(const struct gm_barlow_block *block, const float *a_projection, const float *b_projection)
{
    const bool stream =
        block->stream && walk_may_stream(block->a.dz, block->a.lddz) && walk_may_stream(block->b.dz, block->b.lddz);
    const int form = stream * CHAIN_STREAM + !block->a.packed * CHAIN_NORMALISE;
    const int64_t width = block->a.packed ? block->panel : block->cols;
    for (int64_t col = 0; col < block->cols; col += width) {
        struct chain_walk arg = {block, {.cols = width}, a_projection, b_projection};
        if (block->a.packed)
            arg.panel = panel_at(block, col);
        const struct walk_part part = {block->rows, arg.panel.cols, 0, block->rows, false};
        walk_memory(chain_vector, NULL, 0, chain_rest, chain_ahead, &arg, &part, CHAIN_FORMS, form);
    }
    vec_stream_end();
}

WALK_INLINE void finish_vector(const void *arg, int64_t row, int64_t j, int64_t lanes, int stream)
{
    const struct gm_barlow_gradient *x = arg;
    const vec weight = walk_load(x->weight + j, lanes), projection = walk_load(x->projection + j, lanes);
    const vec own = walk_load(x->own + row * x->ld + j, lanes), other = walk_load(x->other + row * x->ld + j, lanes);
    const vec g = vec_fma(weight, other, walk_load(x->g + row * x->ldg + j, lanes));
    const vec dz = vec_mul(walk_load(x->scale + j, lanes), vec_fnma(own, projection, g));
    walk_put(x->dz + row * x->lddz + j, dz, lanes, stream);
}

WALK_REST void finish_rest(const void *arg, int64_t row, int64_t j, int64_t lanes, int stream)
{
    finish_vector(arg, row, j, lanes, stream);
}

static void finish(int64_t rows, int64_t cols, const struct gm_barlow_gradient *gradient)
{
    const struct gm_barlow_gradient x = *gradient; /* known to nobody else, so that it stays in registers */
    walk(finish_vector, finish_rest, &x, 0, rows, cols, x.stream && walk_may_stream(x.dz, x.lddz));
    vec_stream_end();
}

static void squares(int64_t rows, int64_t cols, const float *x, int64_t ldx, double *sum)
{
    for (int64_t j = 0; j < cols; j += VEC_LANES) {
        const int64_t lanes = vec_lanes_left(j, cols);
        for (int64_t lane = 0; lane < lanes; lane++)
            sum[j + lane] = 0;
        for (int64_t first = 0; first < rows; first += STRIP) {
            vec strip = vec_zero();
            for (int64_t i = first; i < gm_min_i64(first + STRIP, rows); i++) {
                const vec value = vec_load_n(x + i * ldx + j, lanes);
                strip = vec_fma(value, value, strip);
            }
            add_to_double(sum + j, strip, lanes);
        }
    }
}

static void row_means(int64_t rows, int64_t cols, const struct gm_barlow_view *a, float *mean, int64_t ldm)
{
    for (int64_t i = 0; i < rows; i++) {
        double sum = 0;
        int64_t j = 0;
        while (j < cols) {
            vec terms = vec_zero();
            for (int term = 0; term < STRIP && j < cols; term++, j += VEC_LANES) {
                const int64_t lanes = vec_lanes_left(j, cols);
                const struct normalization norm = load_normalization(a, j, lanes);
                terms = vec_add(terms, normalized(a, i, j, lanes, &norm));
            }
            sum += vec_sum_double(terms);
        }
        mean[i * ldm] = (float)(sum / (double)cols);
    }
}

const struct gm_barlow_kernels GM_ENTRY(gm_barlow_f32) = {
    GM_ISA_TEXT " columns", distances, normalize, add, dot, project, chain, finish, squares, row_means,
};
