/* Bias and ReLU, forward and backward. */
#include <gemel/gemel.h>
#include <stdlib.h>

#include "shim/bench.h"
#include "support/operands.h"

typedef struct layer {
    int64_t rows, cols;
    int32_t threads;
} layer;

static void run_forward(bench_run *run, const void *arg)
{
    const layer *l = arg;
    gm_context *context = bench_context(l->threads, 0);
    float *x = bench_floats(l->rows * l->cols, 1), *bias = bench_floats(l->cols, 2);
    while (bench_next(run))
        gm_bias_relu_forward_f32(context, l->rows, l->cols, x, l->cols, bias, true, x, l->cols);
    bench_bytes(run, 2.0 * (double)l->rows * (double)l->cols * sizeof(float));
    free(x);
    free(bias);
    gm_context_destroy(context);
}

static void run_backward(bench_run *run, const void *arg)
{
    const layer *l = arg;
    gm_context *context = bench_context(l->threads, gm_bias_relu_f32_workspace(NULL, l->rows, l->cols));
    float *dy = bench_floats(l->rows * l->cols, 1), *y = bench_floats(l->rows * l->cols, 2),
          *dbias = bench_floats(l->cols, 3);
    while (bench_next(run))
        gm_bias_relu_backward_f32(context, l->rows, l->cols, dy, l->cols, y, l->cols, true, dy, l->cols, dbias);
    bench_bytes(run, 3.0 * (double)l->rows * (double)l->cols * sizeof(float));
    free(dy);
    free(y);
    free(dbias);
    gm_context_destroy(context);
}

void bench_setup(void)
{
    static const layer cases[] = {{1024, 512, 1}, {1024, 512, 2}, {65536, 64, 2}, {256, 8192, 2}, {1048576, 64, 2}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const layer *l = &cases[i];
        bench_register(run_forward, l, "bias_relu forward %ldx%ld threads %d", (long)l->rows, (long)l->cols,
                       l->threads);
        bench_register(run_backward, l, "bias_relu backward %ldx%ld threads %d", (long)l->rows, (long)l->cols,
                       l->threads);
    }
}
