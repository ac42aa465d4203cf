/* The windows of a pass, pieces of their outputs, and their weights in panels. */
#include "conv/implicit.h"

static struct gm_conv_window forward_window(const gm_conv_plan *plan)
{
    const gm_conv_shape *s = &plan->shape;
    return (struct gm_conv_window){
        .batch = s->batch,
        .height = s->height,
        .width = s->width,
        .channels = s->in_channels,
        .out_height = plan->out_height,
        .out_width = plan->out_width,
        .cols = s->out_channels,
        .kernel_height = s->kernel_height,
        .kernel_width = s->kernel_width,
        .stride = s->stride,
        .top = s->padding,
        .left = s->padding,
        .out_image = plan->out_height * plan->out_width,
        .out_row = plan->out_width,
        .out_pixel = 1,
        .tap_step = 1,
    };
}

/* One direction of a phase: outputs first, first + stride, … of `size`, which taps phase, phase + stride, … reach. */
struct phase {
    int64_t first, outputs, taps, before;
};

static struct phase make_phase(int64_t phase, int64_t size, int64_t kernel, int64_t stride, int64_t padding)
{
    struct phase p = {.first = ((phase - padding) % stride + stride) % stride};
    p.outputs = p.first < size ? (size - p.first - 1) / stride + 1 : 0;
    p.taps = phase < kernel ? (kernel - phase - 1) / stride + 1 : 0;
    /* Output t comes from dy at t + (first + padding - phase) / stride - tap, taps counted within the phase. */
    p.before = p.taps - 1 - (p.first + padding - phase) / stride;
    return p;
}

/* Pixels of dx whose distance to those of dy is the same modulo the stride see the same taps, last ones first. */
static struct gm_conv_window gradient_window(const gm_conv_plan *plan, int64_t index)
{
    const gm_conv_shape *s = &plan->shape;
    const struct phase rows = make_phase(index / s->stride, s->height, s->kernel_height, s->stride, s->padding);
    const struct phase cols = make_phase(index % s->stride, s->width, s->kernel_width, s->stride, s->padding);
    return (struct gm_conv_window){
        .batch = s->batch,
        .height = plan->out_height,
        .width = plan->out_width,
        .channels = s->out_channels,
        .out_height = rows.outputs,
        .out_width = cols.outputs,
        .cols = s->in_channels,
        .kernel_height = rows.taps,
        .kernel_width = cols.taps,
        .stride = 1,
        .top = rows.before,
        .left = cols.before,
        .out_first = rows.first * s->width + cols.first,
        .out_image = s->height * s->width,
        .out_row = s->stride * s->width,
        .out_pixel = s->stride,
        .tap_row = index / s->stride + (rows.taps - 1) * s->stride,
        .tap_col = index % s->stride + (cols.taps - 1) * s->stride,
        .tap_step = -s->stride,
    };
}

int64_t gm_conv_windows(const gm_conv_plan *plan, gm_conv_pass pass)
{
    return pass == GM_CONV_FORWARD ? 1 : plan->shape.stride * plan->shape.stride;
}

static int64_t window_floats(const gm_conv_plan *plan, const struct gm_conv_window *w)
{
    return gm_round_up(w->cols, plan->gemm->slack) * gm_conv_window_depth(w);
}

/* Without padding and stride a 1x1 window does not know rows: an image is as long as a group. */
static struct gm_conv_window flatten(const struct gm_conv_window *w, int64_t groups)
{
    struct gm_conv_window flat = *w;
    flat.batch = groups;
    flat.height = flat.out_height = 1;
    flat.width = flat.out_width = flat.out_image = flat.out_row = w->batch / groups * w->height * w->width;
    return flat;
}

static struct gm_conv_window window_as_it_is(const gm_conv_plan *plan, gm_conv_pass pass, int64_t index)
{
    return pass == GM_CONV_FORWARD ? forward_window(plan) : gradient_window(plan, index);
}

struct gm_conv_window gm_conv_window_make(const gm_conv_plan *plan, gm_conv_pass pass, int64_t index)
{
    struct gm_conv_window w = window_as_it_is(plan, pass, index);
    const gm_conv_shape *s = &plan->shape;
    if (s->kernel_height == 1 && s->kernel_width == 1 && s->stride == 1 && s->padding == 0)
        w = flatten(&w, plan->options.groups);
    for (int64_t i = 0; i < index; i++) {
        const struct gm_conv_window before = window_as_it_is(plan, pass, i);
        w.panels += window_floats(plan, &before);
    }
    return w;
}

/* Part i of `total`; *size is how much it has. */
static int64_t share(int64_t total, int64_t parts, int64_t i, int64_t *size)
{
    const int64_t first = gm_gemm_share(total, parts, i);
    *size = gm_gemm_share(total, parts, i + 1) - first;
    return first;
}

struct gm_conv_piece gm_conv_piece_at(const struct gm_conv_window *w, const struct gm_conv_cut *cut, int64_t i)
{
    struct gm_conv_piece piece;
    piece.col = share(w->out_width, cut->col_parts, i % cut->col_parts, &piece.cols);
    i /= cut->col_parts;
    piece.row = share(w->out_height, cut->row_parts, i % cut->row_parts, &piece.rows);
    i /= cut->row_parts;
    piece.image = share(cut->images_a_group, cut->image_parts, i % cut->image_parts, &piece.images);
    piece.group = i / cut->image_parts;
    piece.image += piece.group * cut->images_a_group;
    return piece;
}

int64_t gm_conv_implicit_floats(const gm_conv_plan *plan, gm_conv_pass pass)
{
    const struct gm_conv_window last = gm_conv_window_make(plan, pass, gm_conv_windows(plan, pass) - 1);
    return last.panels + window_floats(plan, &last);
}

/* A piece of weights on its way into panels: so many channels and taps of one panel at most. */
enum { PIECE_DEPTH = 16, PIECE_COLS = 32, PIECE_TAPS = 9 };

struct packing {
    const gm_conv_plan *plan;
    struct gm_conv_window window;
    bool forward;
    const float *weight;
    float *panels;
};

static int64_t tap_of(const struct packing *p, int64_t tap)
{
    const struct gm_conv_window *w = &p->window;
    const int64_t row = w->tap_row + tap / w->kernel_width * w->tap_step;
    const int64_t col = w->tap_col + tap % w->kernel_width * w->tap_step;
    return row * p->plan->shape.kernel_width + col;
}

/* Channels [first, first + depth) of taps [tap, tap + taps), which the weights have innermost: by way of a copy that
 * has them outermost, which the kernels' packing can read. */
static void pack_piece(const struct packing *p, int64_t col, int64_t cols, int64_t first, int64_t depth, int64_t tap,
                       int64_t taps, float *panel)
{
    const gm_conv_shape *s = &p->plan->shape;
    const int64_t all_taps = s->kernel_height * s->kernel_width, stride = gm_round_up(cols, p->plan->gemm->slack);
    const int64_t outs = p->forward ? cols : depth, ins = p->forward ? depth : cols,
                  ld = p->forward ? PIECE_DEPTH : PIECE_COLS;
    const int64_t next = PIECE_DEPTH * (p->forward ? 1 : s->in_channels) * all_taps;
    float piece[PIECE_TAPS][PIECE_DEPTH * PIECE_COLS];
    int64_t places[PIECE_TAPS];
    for (int64_t t = 0; t < taps; t++)
        places[t] = tap_of(p, tap + t);
    for (int64_t o = 0; o < outs; o++) {
        const int64_t row = ((p->forward ? col : first) + o) * s->in_channels + (p->forward ? first : col);
        for (int64_t k = 0; k < ins; k++) {
            const float *from = p->weight + (row + k) * all_taps;
            __builtin_prefetch(from + next, 0, 2); /* of the next piece: the hardware does not foresee it */
            for (int64_t t = 0; t < taps; t++)
                piece[t][o * ld + k] = from[places[t]];
        }
    }
    for (int64_t t = 0; t < taps; t++) {
        const struct gm_gemm_source source = {.transposed = p->forward, .data = piece[t], .ld = ld};
        p->plan->gemm->pack_b(&source, 0, cols, 0, depth, panel + ((tap + t) * p->window.channels + first) * stride);
    }
}

static void pack_panel(void *arg, int64_t chunk, int worker)
{
    (void)worker;
    const struct packing *p = arg;
    const struct gm_conv_window *w = &p->window;
    const gm_conv_shape *s = &p->plan->shape;
    const int64_t nr = p->plan->gemm->nr, col = chunk * nr, cols = gm_min_i64(nr, w->cols - col);
    const int64_t taps = w->kernel_height * w->kernel_width;
    float *panel = p->panels + col * gm_conv_window_depth(w);
    if (s->kernel_height * s->kernel_width == 1 && taps == 1) {
        const struct gm_gemm_source source = {.transposed = p->forward, .data = p->weight, .ld = s->in_channels};
        p->plan->gemm->pack_b(&source, col, cols, 0, w->channels, panel);
        return;
    }
    for (int64_t first = 0; first < w->channels; first += PIECE_DEPTH)
        for (int64_t tap = 0; tap < taps; tap += PIECE_TAPS)
            pack_piece(p, col, cols, first, gm_min_i64(PIECE_DEPTH, w->channels - first), tap,
                       gm_min_i64(PIECE_TAPS, taps - tap), panel);
}

void gm_conv_implicit_pack(gm_context *context, const gm_conv_plan *plan, gm_conv_pass pass, const float *weight,
                           float *packed)
{
    for (int64_t i = 0; i < gm_conv_windows(plan, pass); i++) {
        struct packing packing = {plan, gm_conv_window_make(plan, pass, i), pass == GM_CONV_FORWARD, weight, packed};
        packing.panels += packing.window.panels;
        gm_parallel(context, gm_ceil_div(packing.window.cols, plan->gemm->nr), pack_panel, &packing);
    }
}
