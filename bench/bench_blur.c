/* Gaussian blur of views and of a photograph. */
#include <gemel/gemel.h>

#include <stdlib.h>

#include "shim/bench.h"
#include "support/image.h"

typedef struct blur_case {
    int64_t channels, height, width;
    float sigma;
} blur_case;

static void run_case(bench_run *run, const void *arg)
{
    const blur_case *c = arg;
    const int64_t row = c->width * c->channels;
    gm_context *context = bench_context(1, 0);
    gm_context_reserve(context, gm_gaussian_blur_u8_workspace(context, c->channels, c->height, c->width));
    uint8_t *x = bench_image(c->height, c->width, c->channels), *y = bench_image(c->height, c->width, c->channels);
    while (bench_next(run))
        gm_gaussian_blur_u8(context, c->channels, c->height, c->width, x, row, c->sigma, y, row);
    bench_bytes(run, 2.0 * (double)(c->height * row));
    free(x);
    free(y);
    gm_context_destroy(context);
}

void bench_setup(void)
{
    static const blur_case cases[] = {
        {3, 224, 224, 0.3f}, {3, 224, 224, 2.0f}, {1, 224, 224, 2.0f}, {3, 32, 32, 1.0f}, {3, 1000, 1500, 20.0f},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        bench_register(run_case, &cases[i], "blur %ldx%ldx%ld sigma %g", (long)cases[i].height, (long)cases[i].width,
                       (long)cases[i].channels, (double)cases[i].sigma);
}
