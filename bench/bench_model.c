/* The parts of a training step, and the encoder's features, of models on vectors of 784 numbers in batches of 512. */
#include <gemel/barlow.h>
#include <gemel/model.h>
#include <stdlib.h>

#include "shim/bench.h"
#include "support/operands.h"

enum { BATCH = 512, VIEWS = 2, DIM = 784 };

typedef struct step {
    gm_arch arch;
    int64_t projection_dim;
    int32_t threads;
} step;

typedef struct operands {
    gm_context *context;
    gm_model *model;
    gm_optimizer *optimizer;
    int64_t out;
    float *x, *z, *dz, *features;
} operands;

static void destroy(operands *o)
{
    gm_optimizer_destroy(o->optimizer);
    gm_model_destroy(o->model);
    gm_context_destroy(o->context);
    free(o->x);
    free(o->z);
    free(o->dz);
    free(o->features);
}

static bool create(const step *s, bench_run *run, operands *o)
{
    const int64_t rows = VIEWS * BATCH;
    *o = (operands){.context = bench_context(s->threads, 0), .out = s->projection_dim};
    gm_model_options options = gm_model_default_options(DIM, BATCH);
    options.arch = s->arch;
    options.projection_dim = s->projection_dim;
    const gm_optimizer_options adam = gm_optimizer_default_options(GM_OPTIMIZER_ADAM);
    const size_t workspace = gm_barlow_loss_f32_workspace(o->context, BATCH, o->out, NULL, true);
    o->x = bench_floats(rows * DIM, 1);
    o->z = bench_floats(rows * o->out, 2);
    o->dz = bench_floats(rows * o->out, 3);
    if (gm_model_create(o->context, &options, &o->model) == GM_OK &&
        gm_optimizer_create(o->model, &adam, &o->optimizer) == GM_OK &&
        gm_context_reserve(o->context, workspace) == GM_OK) {
        o->features = bench_floats(rows * gm_model_feature_size(o->model), 4);
        return true;
    }
    bench_fail(run, "no memory for the model");
    destroy(o);
    return false;
}

static void forward(operands *o)
{
    gm_model_forward_f32(o->model, VIEWS, BATCH, o->x, DIM, o->z, o->out);
}

static void loss(operands *o)
{
    gm_barlow_result result = {.size = sizeof result};
    gm_barlow_loss_f32(o->context, BATCH, o->out, o->z, o->out, o->z + BATCH * o->out, o->out, NULL, &result, o->dz,
                       o->out, o->dz + BATCH * o->out, o->out);
}

static void run_forward(bench_run *run, const void *arg)
{
    operands o;
    if (!create(arg, run, &o))
        return;
    while (bench_next(run))
        forward(&o);
    destroy(&o);
}

static void run_backward(bench_run *run, const void *arg)
{
    operands o;
    if (!create(arg, run, &o))
        return;
    while (bench_next(run)) {
        bench_pause(run);
        forward(&o);
        loss(&o);
        bench_resume(run);
        gm_model_backward_f32(o.model, o.dz, o.out);
    }
    destroy(&o);
}

static void run_optimizer(bench_run *run, const void *arg)
{
    operands o;
    if (!create(arg, run, &o))
        return;
    while (bench_next(run))
        gm_optimizer_step(o.optimizer, 1e-3f, 1e-3f);
    destroy(&o);
}

static void run_step(bench_run *run, const void *arg)
{
    operands o;
    if (!create(arg, run, &o))
        return;
    while (bench_next(run)) {
        forward(&o);
        loss(&o);
        gm_model_backward_f32(o.model, o.dz, o.out);
        gm_optimizer_step(o.optimizer, 1e-3f, 1e-3f);
    }
    bench_flops(run, (double)gm_model_flops(o.model, VIEWS * BATCH));
    destroy(&o);
}

static void run_features(bench_run *run, const void *arg)
{
    operands o;
    if (!create(arg, run, &o))
        return;
    const int64_t rows = VIEWS * BATCH, size = gm_model_feature_size(o.model);
    while (bench_next(run))
        gm_model_features_f32(o.model, rows, o.x, DIM, o.features, size);
    bench_flops(run, 2.0 * (double)rows * (double)size * (double)(DIM + size));
    destroy(&o);
}

void bench_setup(void)
{
    static const step cases[] = {
        {GM_ARCH_MLP, 256, 1},  {GM_ARCH_MLP, 256, 2},  {GM_ARCH_MLP, 1024, 1},
        {GM_ARCH_MLP, 1024, 2}, {GM_ARCH_AXON, 256, 2},
    };
    static const struct {
        const char *name;
        bench_function run;
    } parts[] = {{"forward", run_forward},
                 {"backward", run_backward},
                 {"optimizer", run_optimizer},
                 {"step", run_step},
                 {"features", run_features}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        for (size_t p = 0; p < sizeof parts / sizeof *parts; p++)
            bench_register(parts[p].run, &cases[i], "model %s %s D %ld threads %d", parts[p].name,
                           gm_arch_name(cases[i].arch), (long)cases[i].projection_dim, cases[i].threads);
}
