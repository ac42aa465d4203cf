/* Views of 28 x 28 images: as they are, cropped with jitter, and with everything. A repetition is 256 views. */
#include <gemel/gemel.h>
#include <stdlib.h>

#include "shim/bench.h"
#include "support/operands.h"

enum { VIEWS = 256, SIDE = 28, PIXELS = SIDE * SIDE };

typedef struct view_case {
    const char *name;
    gm_gray_view view;
    int32_t threads;
} view_case;

static void run_case(bench_run *run, const void *arg)
{
    const view_case *c = arg;
    gm_context *context = bench_context(c->threads, 0);
    float *noise = bench_floats(VIEWS * PIXELS, 1), *y = bench_floats(VIEWS * PIXELS, 2);
    uint8_t *images = malloc(VIEWS * PIXELS);
    gm_gray_view views[VIEWS];
    for (int i = 0; i < VIEWS * PIXELS; i++)
        images[i] = (uint8_t)(int)(100.0f + 50.0f * noise[i]);
    for (int i = 0; i < VIEWS; i++) {
        views[i] = c->view;
        views[i].flip = c->view.flip && i % 2;
        views[i].top = (SIDE - c->view.height) * (float)i / VIEWS;
    }
    while (bench_next(run))
        gm_gray_views_u8_f32(context, VIEWS, SIDE, SIDE, images, NULL, views, 0.286f, 0.353f, y, PIXELS);
    bench_bytes(run, (double)VIEWS * PIXELS * (sizeof(uint8_t) + sizeof(float)));
    free(noise);
    free(images);
    free(y);
    gm_context_destroy(context);
}

void bench_setup(void)
{
    static const view_case cases[] = {
        {"plain", {0, 0, SIDE, SIDE, false, 1, 1, 0, 2}, 1},
        {"crop flip jitter", {3.7f, 0, 20.3f, 22.1f, true, 0.8f, 1.3f, 0, 2}, 1},
        {"crop flip jitter", {3.7f, 0, 20.3f, 22.1f, true, 0.8f, 1.3f, 0, 2}, 2},
        {"crop flip jitter blur solarize", {3.7f, 0, 20.3f, 22.1f, true, 0.8f, 1.3f, 1, 0.5f}, 1},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        bench_register(run_case, &cases[i], "gray_view 256 x 28x28 %s threads %d", cases[i].name, cases[i].threads);
}
