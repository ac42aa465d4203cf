/* The distinct layers of ResNet-18 on images of 32 x 32 (batch 64) and of ResNet-50 on 224 x 224 (batch 16), pass by
 * pass. */
#include <gemel/gemel.h>
#include <stdlib.h>

#include "shim/bench.h"
#include "support/operands.h"

typedef struct conv_case {
    gm_conv_shape shape;
    gm_conv_pass pass;
    int32_t threads;
    bool exact;
} conv_case;

typedef struct layer {
    gm_conv_plan *plan;
    gm_conv_packed *packed; /* NULL for the weight gradient */
    float *x, *y, *weight;
    int64_t ldx, ldy;
} layer;

static layer create(gm_context *context, const conv_case *c)
{
    const gm_conv_shape *s = &c->shape;
    layer l = {.ldx = s->in_channels, .ldy = s->out_channels};
    gm_conv_options options = gm_conv_default_options();
    options.exact = c->exact;
    if (gm_conv_plan_create(context, s, &options, &l.plan) != GM_OK)
        abort();
    l.x = bench_floats(gm_conv_in_rows(s) * l.ldx, 1);
    l.y = bench_floats(gm_conv_out_rows(s) * l.ldy, 2);
    l.weight = bench_floats(s->out_channels * s->in_channels * s->kernel_height * s->kernel_width, 3);
    gm_context_reserve(context, gm_conv_f32_workspace(context, l.plan, c->pass));
    if (c->pass != GM_CONV_WEIGHT_GRADIENT) {
        l.packed = malloc(gm_conv_packed_f32_size(l.plan, c->pass));
        gm_conv_pack_f32(context, l.plan, c->pass, l.weight, l.packed);
    }
    return l;
}

static gm_status run(gm_context *context, const conv_case *c, layer *l)
{
    switch (c->pass) {
    case GM_CONV_FORWARD:
        return gm_conv_forward_f32(context, l->plan, l->x, l->ldx, l->packed, NULL, l->y, l->ldy);
    case GM_CONV_DATA_GRADIENT:
        return gm_conv_data_gradient_f32(context, l->plan, l->y, l->ldy, l->packed, 0, l->x, l->ldx);
    default:
        return gm_conv_weight_gradient_f32(context, l->plan, l->y, l->ldy, l->x, l->ldx, NULL, l->weight, NULL);
    }
}

static void run_case(bench_run *bench, const void *arg)
{
    const conv_case *c = arg;
    const gm_conv_shape *s = &c->shape;
    gm_context *context = bench_context(c->threads, 0);
    layer l = create(context, c);
    if (run(context, c, &l) != GM_OK)
        bench_fail(bench, "refused");
    while (bench_next(bench))
        run(context, c, &l);
    bench_flops(bench, 2.0 * (double)(gm_conv_out_rows(s) * s->out_channels * s->in_channels * s->kernel_height *
                                      s->kernel_width));
    free(l.x);
    free(l.y);
    free(l.weight);
    free(l.packed);
    gm_conv_plan_destroy(l.plan);
    gm_context_destroy(context);
}

/* batch, height, width, channels in and out, kernel, stride, padding */
static const int64_t layers[][8] = {
    {64, 32, 32, 3, 64, 3, 1, 1},     {64, 32, 32, 64, 64, 3, 1, 1},     {64, 32, 32, 64, 128, 3, 2, 1},
    {64, 16, 16, 128, 128, 3, 1, 1},  {64, 32, 32, 64, 128, 1, 2, 0},    {64, 16, 16, 128, 256, 3, 2, 1},
    {64, 8, 8, 256, 256, 3, 1, 1},    {64, 16, 16, 128, 256, 1, 2, 0},   {64, 8, 8, 256, 512, 3, 2, 1},
    {64, 4, 4, 512, 512, 3, 1, 1},    {64, 8, 8, 256, 512, 1, 2, 0},     {16, 224, 224, 3, 64, 7, 2, 3},
    {16, 56, 56, 64, 64, 1, 1, 0},    {16, 56, 56, 64, 64, 3, 1, 1},     {16, 56, 56, 64, 256, 1, 1, 0},
    {16, 56, 56, 256, 64, 1, 1, 0},   {16, 56, 56, 256, 128, 1, 1, 0},   {16, 56, 56, 128, 128, 3, 2, 1},
    {16, 28, 28, 128, 512, 1, 1, 0},  {16, 56, 56, 256, 512, 1, 2, 0},   {16, 28, 28, 512, 128, 1, 1, 0},
    {16, 28, 28, 128, 128, 3, 1, 1},  {16, 28, 28, 512, 256, 1, 1, 0},   {16, 28, 28, 256, 256, 3, 2, 1},
    {16, 14, 14, 256, 1024, 1, 1, 0}, {16, 28, 28, 512, 1024, 1, 2, 0},  {16, 14, 14, 1024, 256, 1, 1, 0},
    {16, 14, 14, 256, 256, 3, 1, 1},  {16, 14, 14, 1024, 512, 1, 1, 0},  {16, 14, 14, 512, 512, 3, 2, 1},
    {16, 7, 7, 512, 2048, 1, 1, 0},   {16, 14, 14, 1024, 2048, 1, 2, 0}, {16, 7, 7, 2048, 512, 1, 1, 0},
    {16, 7, 7, 512, 512, 3, 1, 1},
};
enum { LAYERS = sizeof layers / sizeof *layers };

/* Of which there are inexact algorithms. */
static bool may_be_inexact(const gm_conv_shape *s)
{
    return s->kernel_height == 3 && s->stride == 1;
}

void bench_setup(void)
{
    enum { VARIANTS = 2 * 2 * GM_CONV_PASSES };
    static const char *const passes[GM_CONV_PASSES] = {"forward", "data gradient", "weight gradient"};
    static conv_case cases[VARIANTS * LAYERS];
    for (int i = 0; i < VARIANTS * LAYERS; i++) {
        const int64_t *l = layers[i / VARIANTS];
        conv_case *c = &cases[i];
        *c = (conv_case){{sizeof(gm_conv_shape), l[0], l[1], l[2], l[3], l[4], l[5], l[5], l[6], l[7]},
                         (gm_conv_pass)(i / 2 % GM_CONV_PASSES),
                         1 + i % 2,
                         i % VARIANTS < VARIANTS / 2};
        if (c->exact || may_be_inexact(&c->shape))
            bench_register(run_case, c, "conv %ldx%ldx%ldx%ld to %ld %ldx%ld/%ld %s%s threads %d", (long)l[0],
                           (long)l[1], (long)l[2], (long)l[3], (long)l[4], (long)l[5], (long)l[5], (long)l[6],
                           passes[c->pass], c->exact ? " exact" : "", c->threads);
    }
}
