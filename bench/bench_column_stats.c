/* Mean and variance of tall, square and wide matrices. */
#include <gemel/gemel.h>
#include <stdlib.h>

#include "shim/bench.h"
#include "support/operands.h"

typedef struct stats_case {
    int64_t rows, cols;
    int32_t threads;
} stats_case;

static void run_case(bench_run *run, const void *arg)
{
    const stats_case *c = arg;
    gm_context *context = bench_context(c->threads, 0);
    float *x = bench_floats(c->rows * c->cols, 1), *mean = bench_floats(c->cols, 2),
          *variance = bench_floats(c->cols, 3);
    while (bench_next(run))
        gm_column_stats_f32(context, c->rows, c->cols, x, c->cols, NULL, mean, variance);
    bench_bytes(run, (double)c->rows * (double)c->cols * sizeof(float));
    free(x);
    free(mean);
    free(variance);
    gm_context_destroy(context);
}

void bench_setup(void)
{
    static const stats_case cases[] = {
        {1024, 512, 1},  {1024, 512, 2},  {65536, 64, 1},   {65536, 64, 2},   {256, 8192, 1},
        {256, 8192, 2},  {50176, 64, 2},  {16384, 256, 2},  {1048576, 64, 1}, {1048576, 64, 2},
        {4096, 8192, 1}, {4096, 8192, 2}, {131072, 256, 1}, {131072, 256, 2},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        bench_register(run_case, &cases[i], "column_stats %ldx%ld threads %d", (long)cases[i].rows, (long)cases[i].cols,
                       cases[i].threads);
}
