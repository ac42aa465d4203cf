/* Layer normalisation with ReLU before it, forward and backward. */
#include <gemel/gemel.h>
#include <stdlib.h>

#include "shim/bench.h"
#include "support/operands.h"

typedef struct layer {
    int64_t rows, cols;
    int32_t threads;
} layer;

typedef struct operands {
    gm_context *context;
    gm_layernorm_options options;
    float *x, *y, *dy, *weight, *bias, *saved, *dweight, *dbias;
} operands;

static operands create(const layer *l)
{
    operands o = {.context = bench_context(l->threads, gm_layernorm_f32_workspace(NULL, l->rows, l->cols)),
                  .options = gm_layernorm_default_options(),
                  .x = bench_floats(l->rows * l->cols, 1),
                  .y = bench_floats(l->rows * l->cols, 2),
                  .dy = bench_floats(l->rows * l->cols, 3),
                  .weight = bench_floats(l->cols, 4),
                  .bias = bench_floats(l->cols, 5),
                  .saved = bench_floats(gm_layernorm_saved_size(l->rows), 6),
                  .dweight = bench_floats(l->cols, 7),
                  .dbias = bench_floats(l->cols, 8)};
    o.options.relu = true;
    return o;
}

static void destroy(operands *o)
{
    float *const all[] = {o->x, o->y, o->dy, o->weight, o->bias, o->saved, o->dweight, o->dbias};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        free(all[i]);
    gm_context_destroy(o->context);
}

static gm_status forward(const layer *l, operands *o)
{
    return gm_layernorm_forward_f32(o->context, l->rows, l->cols, o->x, l->cols, o->weight, o->bias, &o->options,
                                    o->saved, o->y, l->cols);
}

/* A read and a write. */
static void run_forward(bench_run *run, const void *arg)
{
    const layer *l = arg;
    operands o = create(l);
    while (bench_next(run))
        forward(l, &o);
    bench_bytes(run, 2.0 * (double)l->rows * (double)l->cols * sizeof(float));
    destroy(&o);
}

/* Two reads and a write. */
static void run_backward(bench_run *run, const void *arg)
{
    const layer *l = arg;
    operands o = create(l);
    forward(l, &o);
    while (bench_next(run))
        gm_layernorm_backward_f32(o.context, l->rows, l->cols, o.dy, l->cols, o.x, l->cols, o.weight, o.saved,
                                  &o.options, o.y, l->cols, o.dweight, o.dbias);
    bench_bytes(run, 3.0 * (double)l->rows * (double)l->cols * sizeof(float));
    destroy(&o);
}

void bench_setup(void)
{
    static const layer cases[] = {{1024, 512, 1}, {1024, 512, 2}, {65536, 64, 2}, {256, 8192, 2}, {65536, 1024, 2}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const layer *l = &cases[i];
        bench_register(run_forward, l, "layernorm forward %ldx%ld threads %d", (long)l->rows, (long)l->cols,
                       l->threads);
        bench_register(run_backward, l, "layernorm backward %ldx%ld threads %d", (long)l->rows, (long)l->cols,
                       l->threads);
    }
}
