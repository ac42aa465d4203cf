/* A crop of a photograph to 224 x 224, an image's shorter side to 256, and a small image enlarged. */
#include <gemel/gemel.h>

#include <stdlib.h>

#include "shim/bench.h"
#include "support/image.h"

typedef struct resample_case {
    gm_resample_filter filter;
    int64_t channels, height, width, out_height, out_width;
} resample_case;

static void run_case(bench_run *run, const void *arg)
{
    const resample_case *c = arg;
    gm_context *context = bench_context(1, 0);
    gm_context_reserve(context, gm_resample_u8_workspace(context, c->filter, c->channels, c->height, c->width,
                                                         c->out_height, c->out_width));
    uint8_t *x = bench_image(c->height, c->width, c->channels);
    uint8_t *y = bench_image(c->out_height, c->out_width, c->channels);
    while (bench_next(run))
        gm_resample_u8(context, c->filter, c->channels, c->height, c->width, x, c->width * c->channels, c->out_height,
                       c->out_width, y, c->out_width * c->channels);
    bench_bytes(run, (double)((c->height * c->width + c->out_height * c->out_width) * c->channels));
    free(x);
    free(y);
    gm_context_destroy(context);
}

void bench_setup(void)
{
    static const resample_case cases[] = {
        {GM_RESAMPLE_BICUBIC, 3, 275, 367, 224, 224}, {GM_RESAMPLE_BICUBIC, 3, 375, 500, 224, 224},
        {GM_RESAMPLE_BICUBIC, 3, 120, 120, 224, 224}, {GM_RESAMPLE_BILINEAR, 3, 375, 500, 256, 341},
        {GM_RESAMPLE_BICUBIC, 1, 375, 500, 224, 224}, {GM_RESAMPLE_BICUBIC, 3, 20, 24, 32, 32},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        bench_register(run_case, &cases[i], "resample %s %ldx%ldx%ld to %ldx%ld",
                       cases[i].filter == GM_RESAMPLE_BICUBIC ? "bicubic" : "bilinear", (long)cases[i].height,
                       (long)cases[i].width, (long)cases[i].channels, (long)cases[i].out_height,
                       (long)cases[i].out_width);
}
