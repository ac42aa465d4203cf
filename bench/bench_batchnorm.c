/* Batch normalisation with ReLU, training forward and backward, of tall, square and wide matrices. */
#include <gemel/gemel.h>
#include <stdlib.h>

#include "shim/bench.h"
#include "support/operands.h"

typedef struct layer {
    int64_t rows, cols, groups;
    int32_t threads;
} layer;

typedef struct operands {
    gm_context *context;
    gm_batchnorm_options options;
    float *x, *y, *dy, *weight, *bias, *saved, *dweight, *dbias;
} operands;

static operands create(const layer *l)
{
    operands o = {.options = gm_batchnorm_default_options()};
    o.options.groups = l->groups;
    o.options.relu = true;
    o.context = bench_context(l->threads, gm_batchnorm_f32_workspace(NULL, l->rows, l->cols, &o.options));
    o.x = bench_floats(l->rows * l->cols, 1);
    o.y = bench_floats(l->rows * l->cols, 2);
    o.dy = bench_floats(l->rows * l->cols, 3);
    o.weight = bench_floats(l->cols, 4);
    o.bias = bench_floats(l->cols, 5);
    o.dweight = bench_floats(l->cols, 6);
    o.dbias = bench_floats(l->cols, 7);
    o.saved = bench_floats(gm_batchnorm_saved_size(l->cols, l->groups), 8);
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
    return gm_batchnorm_forward_f32(o->context, l->rows, l->cols, o->x, l->cols, o->weight, o->bias, &o->options, NULL,
                                    NULL, o->saved, o->y, l->cols);
}

/* Two reads and a write. */
static void run_forward(bench_run *run, const void *arg)
{
    const layer *l = arg;
    operands o = create(l);
    while (bench_next(run))
        forward(l, &o);
    bench_bytes(run, 3.0 * (double)l->rows * (double)l->cols * sizeof(float));
    destroy(&o);
}

/* Four reads and a write. */
static void run_backward(bench_run *run, const void *arg)
{
    const layer *l = arg;
    operands o = create(l);
    forward(l, &o);
    while (bench_next(run))
        gm_batchnorm_backward_f32(o.context, l->rows, l->cols, o.dy, l->cols, o.x, l->cols, o.weight, o.bias, o.saved,
                                  &o.options, o.y, l->cols, o.dweight, o.dbias);
    bench_bytes(run, 5.0 * (double)l->rows * (double)l->cols * sizeof(float));
    destroy(&o);
}

void bench_setup(void)
{
    static const layer cases[] = {
        {1024, 512, 2, 1}, {1024, 512, 2, 2}, {1024, 256, 2, 2},  {65536, 64, 1, 1},   {65536, 64, 1, 2},
        {256, 8192, 1, 1}, {256, 8192, 1, 2}, {50176, 256, 1, 2}, {1048576, 64, 1, 2}, {4096, 8192, 1, 2},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const layer *l = &cases[i];
        bench_register(run_forward, l, "batchnorm forward %ldx%ld groups %ld threads %d", (long)l->rows, (long)l->cols,
                       (long)l->groups, l->threads);
        bench_register(run_backward, l, "batchnorm backward %ldx%ld groups %ld threads %d", (long)l->rows,
                       (long)l->cols, (long)l->groups, l->threads);
    }
}
