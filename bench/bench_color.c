/* Colour steps of a view of 224 x 224 pixels, in place. */
#include <gemel/gemel.h>

#include <stdlib.h>

#include "shim/bench.h"
#include "support/image.h"

enum { SIDE = 224, ROW = 3 * SIDE };

typedef enum color_step {
    BRIGHTNESS,
    CONTRAST,
    SATURATION,
    HUE,
    GRAYSCALE,
    SOLARIZE,
    FLIP,
    NORMALIZE,
    STEPS
} color_step;

static const char *const names[STEPS] = {"brightness", "contrast", "saturation", "hue",
                                         "grayscale",  "solarize", "flip",       "normalize"};

static void run_step(gm_context *context, color_step step, uint8_t *x, float *y)
{
    static const float mean[3] = {0.485f, 0.456f, 0.406f}, std[3] = {0.229f, 0.224f, 0.225f};
    switch (step) {
    case BRIGHTNESS:
        gm_adjust_brightness_u8(context, 3, SIDE, SIDE, x, ROW, 1.01f, x, ROW);
        break;
    case CONTRAST:
        gm_adjust_contrast_u8(context, 3, SIDE, SIDE, x, ROW, 1.01f, x, ROW);
        break;
    case SATURATION:
        gm_adjust_saturation_u8(context, 3, SIDE, SIDE, x, ROW, 1.01f, x, ROW);
        break;
    case HUE:
        gm_adjust_hue_u8(context, 3, SIDE, SIDE, x, ROW, 0.01f, x, ROW);
        break;
    case GRAYSCALE:
        gm_grayscale_u8(context, 3, SIDE, SIDE, x, ROW, x, ROW);
        break;
    case SOLARIZE:
        gm_solarize_u8(context, 3, SIDE, SIDE, x, ROW, 128, x, ROW);
        break;
    case FLIP:
        gm_flip_u8(context, 3, SIDE, SIDE, x, ROW, x, ROW);
        break;
    default:
        gm_normalize_u8_f32(context, 3, SIDE, SIDE, x, ROW, mean, std, y, ROW);
    }
}

static void run_case(bench_run *run, const void *arg)
{
    gm_context *context = bench_context(1, 0);
    uint8_t *x = bench_image(SIDE, SIDE, 3);
    float *y = bench_floats(SIDE * ROW, 1);
    while (bench_next(run))
        run_step(context, *(const color_step *)arg, x, y);
    bench_bytes(run, 2.0 * SIDE * ROW);
    free(x);
    free(y);
    gm_context_destroy(context);
}

void bench_setup(void)
{
    static const color_step steps[STEPS] = {BRIGHTNESS, CONTRAST, SATURATION, HUE,
                                            GRAYSCALE,  SOLARIZE, FLIP,       NORMALIZE};
    for (int i = 0; i < STEPS; i++)
        bench_register(run_case, &steps[i], "color 224x224x3 %s", names[i]);
}
