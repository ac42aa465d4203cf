/* Matrix products: squares in all four transposes, the layers of an MLP, projectors, cross-correlations and thin ones.
 */
#include <gemel/gemel.h>
#include <stdlib.h>

#include "shim/bench.h"
#include "support/operands.h"

typedef struct product {
    gm_transpose ta, tb;
    int64_t m, n, k;
} product;

typedef struct product_case {
    const product *shape;
    int32_t threads;
} product_case;

static const product shapes[] = {
    {0, 0, 64, 64, 64},       {0, 0, 256, 256, 256},    {0, 0, 512, 512, 512},    {0, 0, 1024, 1024, 1024},
    {1, 0, 1024, 1024, 1024}, {0, 1, 1024, 1024, 1024}, {1, 1, 1024, 1024, 1024}, {0, 0, 2048, 2048, 2048},
    {0, 1, 1024, 512, 784},   {0, 1, 1024, 512, 512},   {0, 0, 1024, 512, 512},   {1, 0, 512, 784, 1024},
    {1, 0, 512, 512, 1024},   {0, 1, 1024, 256, 512},   {0, 0, 1024, 784, 512},   {0, 1, 256, 256, 8192},
    {0, 1, 256, 8192, 2048},  {1, 0, 2048, 2048, 256},  {0, 0, 6, 1024, 1024},    {0, 0, 1024, 10, 512},
    {1, 0, 512, 10, 1024},    {0, 0, 1024, 1024, 4},
};

enum { SHAPES = sizeof shapes / sizeof *shapes };

static void run_case(bench_run *run, const void *arg)
{
    const product_case *c = arg;
    const product *p = c->shape;
    gm_context *context = bench_context(c->threads, 0);
    float *a = bench_floats(p->m * p->k, 1), *b = bench_floats(p->k * p->n, 2), *out = bench_floats(p->m * p->n, 3);
    const int64_t lda = p->ta == GM_TRANSPOSE ? p->m : p->k, ldb = p->tb == GM_TRANSPOSE ? p->k : p->n;
    while (bench_next(run))
        gm_gemm_f32(context, p->ta, p->tb, p->m, p->n, p->k, 1, a, lda, b, ldb, 0, out, p->n);
    bench_flops(run, 2.0 * (double)p->m * (double)p->n * (double)p->k);
    free(a);
    free(b);
    free(out);
    gm_context_destroy(context);
}

void bench_setup(void)
{
    static product_case cases[2 * SHAPES];
    for (int i = 0; i < 2 * SHAPES; i++) {
        const product *p = &shapes[i / 2];
        cases[i] = (product_case){p, i % 2 + 1};
        bench_register(run_case, &cases[i], "gemm %c%c %ldx%ldx%ld threads %d", p->ta ? 'T' : 'N', p->tb ? 'T' : 'N',
                       (long)p->m, (long)p->n, (long)p->k, cases[i].threads);
    }
}
