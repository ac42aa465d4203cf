/* Matrix products: squares in all four transposes, the layers of an MLP, projectors, cross-correlations and thin ones;
 * layers of networks with packed weights, which come from memory or from a cache. */
#include <gemel/gemel.h>
#include <stdbool.h>
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

typedef struct packed_case {
    int64_t m, n, k;
    int64_t bytes; /* of all weights, each of which is used in turn */
    int32_t threads;
} packed_case;

enum { FROM_MEMORY = 128 << 20 };

static void run_packed(bench_run *run, const void *arg)
{
    const packed_case *c = arg;
    gm_context *context = bench_context(c->threads, 0);
    const int64_t size = (int64_t)(gm_gemm_packed_f32_size(context, c->n, c->k) + 63) / 64 * 64;
    const int64_t layers = c->bytes / size + 1;
    float *a = bench_floats(c->m * c->k, 1), *b = bench_floats(c->k * c->n, 2), *out = bench_floats(c->m * c->n, 3);
    char *weights = (char *)bench_floats(layers * size / (int64_t)sizeof(float), 4);
    gm_context_reserve(context, gm_gemm_packed_f32_workspace(context, GM_NO_TRANSPOSE, c->m, c->n, c->k, NULL));
    for (int64_t i = 0; i < layers; i++)
        gm_gemm_pack_f32(context, GM_TRANSPOSE, c->n, c->k, b, c->k, (gm_gemm_packed *)(weights + i * size));
    for (int64_t i = 0; bench_next(run); i++)
        gm_gemm_packed_f32(context, GM_NO_TRANSPOSE, c->m, c->n, c->k, 1, a, c->k,
                           (gm_gemm_packed *)(weights + i % layers * size), 0, out, c->n, NULL);
    bench_flops(run, 2.0 * (double)c->m * (double)c->n * (double)c->k);
    free(a);
    free(b);
    free(out);
    free(weights);
    gm_context_destroy(context);
}

static void register_packed(void)
{
    static const int64_t layers[][3] = {{14, 1024, 1024}, {49, 512, 1536}, {49, 512, 4608}, {112, 1024, 1024}};
    enum { LAYERS = sizeof layers / sizeof *layers };
    static packed_case cases[4 * LAYERS];
    for (int i = 0; i < 4 * LAYERS; i++) {
        const int64_t *l = layers[i / 4];
        const bool far = i / 2 % 2 == 0;
        cases[i] = (packed_case){l[0], l[1], l[2], far ? FROM_MEMORY : 0, i % 2 + 1};
        bench_register(run_packed, &cases[i], "packed %s %ldx%ldx%ld threads %d", far ? "far" : "near", (long)l[0],
                       (long)l[1], (long)l[2], cases[i].threads);
    }
}

void bench_setup(void)
{
    register_packed();
    static product_case cases[2 * SHAPES];
    for (int i = 0; i < 2 * SHAPES; i++) {
        const product *p = &shapes[i / 2];
        cases[i] = (product_case){p, i % 2 + 1};
        bench_register(run_case, &cases[i], "gemm %c%c %ldx%ldx%ld threads %d", p->ta ? 'T' : 'N', p->tb ? 'T' : 'N',
                       (long)p->m, (long)p->n, (long)p->k, cases[i].threads);
    }
}
