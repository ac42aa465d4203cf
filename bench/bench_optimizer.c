/* Optimisers on a layer of a small MLP, on a large one, and on an array that no cache holds. */
#include <gemel/gemel.h>
#include <stdlib.h>
#include <string.h>

#include "shim/bench.h"
#include "support/operands.h"

typedef struct array {
    int64_t count;
    int32_t threads;
} array;

typedef struct operands {
    gm_context *context;
    float *parameter, *gradient, *first, *second;
} operands;

static operands create(const array *a)
{
    operands o = {bench_context(a->threads, gm_lars_f32_workspace(NULL, a->count)), bench_floats(a->count, 1),
                  bench_floats(a->count, 2), bench_floats(a->count, 3), bench_floats(a->count, 4)};
    memset(o.first, 0, (size_t)a->count * sizeof(float));
    memset(o.second, 0, (size_t)a->count * sizeof(float));
    return o;
}

static void destroy(operands *o)
{
    float *const all[] = {o->parameter, o->gradient, o->first, o->second};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        free(all[i]);
    gm_context_destroy(o->context);
}

/* Three reads and two writes. */
static void run_sgd(bench_run *run, const void *arg)
{
    const array *a = arg;
    operands o = create(a);
    while (bench_next(run))
        gm_sgd_f32(o.context, a->count, o.parameter, o.gradient, o.first, 1e-3f, 0.9f, 1e-6f);
    bench_bytes(run, 5.0 * (double)a->count * sizeof(float));
    destroy(&o);
}

/* Four reads and three writes. */
static void run_adam(bench_run *run, const void *arg)
{
    const array *a = arg;
    operands o = create(a);
    while (bench_next(run))
        gm_adam_f32(o.context, a->count, o.parameter, o.gradient, o.first, o.second, 1e-3f, 0.9f, 0.999f, 1e-8f, 1e-6f,
                    1000);
    bench_bytes(run, 7.0 * (double)a->count * sizeof(float));
    destroy(&o);
}

/* Five reads and two writes. */
static void run_lars(bench_run *run, const void *arg)
{
    const array *a = arg;
    operands o = create(a);
    while (bench_next(run))
        gm_lars_f32(o.context, a->count, o.parameter, o.gradient, o.first, 1e-3f, 0.9f, 1e-6f, 1e-3f);
    bench_bytes(run, 7.0 * (double)a->count * sizeof(float));
    destroy(&o);
}

void bench_setup(void)
{
    static const array cases[] = {{512, 1}, {512 * 784, 1}, {512 * 784, 2}, {8192 * 2048, 1}, {8192 * 2048, 2}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const array *a = &cases[i];
        bench_register(run_sgd, a, "sgd %ld threads %d", (long)a->count, a->threads);
        bench_register(run_adam, a, "adam %ld threads %d", (long)a->count, a->threads);
        bench_register(run_lars, a, "lars %ld threads %d", (long)a->count, a->threads);
    }
}
