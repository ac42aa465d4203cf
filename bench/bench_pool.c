/* Max pooling of ResNet's stem and of small images, and global average pooling, forward and backward. */
#include <gemel/gemel.h>
#include <stdlib.h>

#include "shim/bench.h"
#include "support/operands.h"

typedef struct map {
    int64_t images, size, channels;
    int64_t kernel; /* of max pooling with stride 2; 0: global average pooling */
    int32_t threads;
} map;

typedef struct operands {
    gm_context *context;
    gm_max_pool_options max;
    int64_t elements, out;
    float *x, *y;
    uint8_t *winners;
} operands;

static operands operands_create(const map *m)
{
    operands o = {.context = bench_context(m->threads, 0), .max = gm_max_pool_default_options()};
    o.max.kernel = m->kernel ? m->kernel : 1;
    o.max.padding = o.max.kernel == 3;
    const int64_t extent = m->kernel ? gm_max_pool_extent(m->size, &o.max) : 1;
    o.elements = m->images * m->size * m->size * m->channels;
    o.out = m->images * extent * extent * m->channels;
    o.x = bench_floats(o.elements, 1);
    o.y = bench_floats(o.out, 2);
    o.winners = calloc((size_t)o.out, 1);
    return o;
}

static void operands_free(operands *o)
{
    free(o->x);
    free(o->y);
    free(o->winners);
    gm_context_destroy(o->context);
}

static void run_forward(bench_run *run, const void *arg)
{
    const map *m = arg;
    operands o = operands_create(m);
    while (bench_next(run))
        if (m->kernel)
            gm_max_pool_forward_f32(o.context, m->images, m->size, m->size, m->channels, o.x, m->channels, &o.max, o.y,
                                    m->channels, o.winners);
        else
            gm_average_pool_forward_f32(o.context, m->images, m->size, m->size, m->channels, o.x, m->channels, NULL,
                                        o.y, m->channels);
    bench_bytes(run, 4.0 * (double)(o.elements + o.out) + (m->kernel ? (double)o.out : 0));
    operands_free(&o);
}

static void run_backward(bench_run *run, const void *arg)
{
    const map *m = arg;
    operands o = operands_create(m);
    while (bench_next(run))
        if (m->kernel)
            gm_max_pool_backward_f32(o.context, m->images, m->size, m->size, m->channels, o.y, m->channels, o.winners,
                                     &o.max, o.x, m->channels);
        else
            gm_average_pool_backward_f32(o.context, m->images, m->size, m->size, m->channels, o.y, m->channels, NULL,
                                         o.x, m->channels);
    bench_bytes(run, 4.0 * (double)(o.elements + o.out) + (m->kernel ? (double)o.out : 0));
    operands_free(&o);
}

void bench_setup(void)
{
    static const map cases[] = {{16, 112, 64, 3, 1}, {16, 112, 64, 3, 2}, {512, 28, 32, 2, 2},
                                {512, 14, 64, 2, 2}, {64, 7, 2048, 0, 2}, {512, 7, 128, 0, 2}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const map *m = &cases[i];
        const char *what = m->kernel == 3 ? "max 3x3" : m->kernel ? "max 2x2" : "average";
        bench_register(run_forward, m, "pool %s forward %ldx%ldx%ldx%ld threads %d", what, (long)m->images,
                       (long)m->size, (long)m->size, (long)m->channels, m->threads);
        bench_register(run_backward, m, "pool %s backward %ldx%ldx%ldx%ld threads %d", what, (long)m->images,
                       (long)m->size, (long)m->size, (long)m->channels, m->threads);
    }
}
