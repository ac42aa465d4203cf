/* The Barlow Twins loss with and without gradients, where each form is at home. */
#include <gemel/gemel.h>
#include <stdlib.h>

#include "shim/bench.h"
#include "support/operands.h"

typedef struct loss_case {
    int64_t n, d;
    bool gradients;
    int32_t threads;
} loss_case;

/* Symmetric products cost half: 2 n^2 d for the loss and 4 n^2 d for the gradients, or the same with n and d swapped.
 */
static double operations(const loss_case *c, gm_barlow_form form)
{
    const double n = (double)c->n, d = (double)c->d;
    return (c->gradients ? 6.0 : 2.0) * n * d * (form == GM_BARLOW_DUAL ? n : d);
}

static void run_case(bench_run *run, const void *arg)
{
    const loss_case *c = arg;
    const int64_t n = c->n, d = c->d;
    gm_context *context = bench_context(c->threads, 0);
    if (gm_context_reserve(context, gm_barlow_loss_f32_workspace(context, n, d, NULL, c->gradients)) != GM_OK) {
        bench_fail(run, "out of memory");
        return;
    }
    float *za = bench_floats(n * d, 1), *zb = bench_floats(n * d, 2);
    float *dza = c->gradients ? bench_floats(n * d, 3) : NULL, *dzb = c->gradients ? bench_floats(n * d, 4) : NULL;
    gm_barlow_result result = {.size = sizeof result};
    while (bench_next(run))
        gm_barlow_loss_f32(context, n, d, za, d, zb, d, NULL, &result, dza, d, dzb, d);
    bench_flops(run, operations(c, result.form));
    free(za);
    free(zb);
    free(dza);
    free(dzb);
    gm_context_destroy(context);
}

void bench_setup(void)
{
    static const loss_case cases[] = {
        {32, 8192, true, 1},   {32, 8192, true, 2},  {32, 8192, false, 2},  {128, 8192, true, 2},
        {256, 8192, true, 1},  {256, 8192, true, 2}, {256, 8192, false, 2}, {1024, 8192, true, 2},
        {2048, 8192, true, 2}, {64, 2048, true, 2},  {256, 2048, true, 2},  {1024, 2048, true, 2},
        {512, 256, true, 2},   {256, 256, true, 1},  {1024, 2048, true, 1}, {512, 512, true, 1},
        {256, 256, true, 2},   {256, 256, false, 2}, {512, 512, true, 2},   {2048, 512, true, 2},
        {512, 128, true, 2},   {32, 65536, true, 2},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        bench_register(run_case, &cases[i], "barlow %ldx%ld %s threads %d", (long)cases[i].n, (long)cases[i].d,
                       cases[i].gradients ? "gradients" : "loss", cases[i].threads);
}
