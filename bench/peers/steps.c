/* The losses of the first steps of a training run. Requests: "ARCH exact|chosen SEED BATCH SIDE STEPS VIEWS LOSSES":
 * VIEWS is a file of float32 [steps, 2, batch, side, side], LOSSES one to be written, of double [steps]. Adam with
 * PyTorch's defaults. The answer is the last loss. */
#include "parameters.h"
#include "server.h"

#include "support/operands.h"

#include <gemel/barlow.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { STEM_CHANNELS = 1, VIEWS = 2, PATH = 96 };
static const float lambda = 0.0051f, rate = 0.001f;

typedef struct training {
    int64_t batch, side, outputs;
    gm_context *context;
    gm_model *model;
    gm_optimizer *optimizer;
    float *x, *z, *dz;
} training;

static void check(gm_status status)
{
    if (status != GM_OK)
        server_fail("%s", gm_status_string(status));
}

static training create(const char *arch_name, bool exact, uint32_t seed, int64_t batch, int64_t side)
{
    training t = {.batch = batch, .side = side, .context = bench_context(0, 0)};
    gm_arch arch;
    check(gm_arch_from_name(arch_name, &arch));
    gm_model_options options = gm_model_image_options(arch, side, side, STEM_CHANNELS, batch);
    options.exact = exact;
    check(gm_model_create(t.context, &options, &t.model));
    parameters_fill(t.model, seed);
    gm_optimizer_options adam = gm_optimizer_default_options(GM_OPTIMIZER_ADAM);
    adam.weight_decay = 0;
    check(gm_optimizer_create(t.model, &adam, &t.optimizer));
    t.outputs = gm_model_output_size(t.model);
    t.x = bench_floats(VIEWS * batch * side * side, 1);
    t.z = bench_floats(VIEWS * batch * t.outputs, 2);
    t.dz = bench_floats(VIEWS * batch * t.outputs, 3);
    const gm_barlow_options barlow = gm_barlow_default_options();
    check(gm_context_reserve(t.context, gm_barlow_loss_f32_workspace(t.context, batch, t.outputs, &barlow, true)));
    return t;
}

static void destroy(training *t)
{
    gm_optimizer_destroy(t->optimizer);
    gm_model_destroy(t->model);
    gm_context_destroy(t->context);
    free(t->x);
    free(t->z);
    free(t->dz);
}

static double step(training *t)
{
    const int64_t other = t->batch * t->outputs;
    gm_barlow_options options = gm_barlow_default_options();
    gm_barlow_result result = {.size = sizeof result};
    options.lambda = lambda;
    check(gm_model_forward_f32(t->model, VIEWS, t->batch, t->x, t->side * t->side, t->z, t->outputs));
    check(gm_barlow_loss_f32(t->context, t->batch, t->outputs, t->z, t->outputs, t->z + other, t->outputs, &options,
                             &result, t->dz, t->outputs, t->dz + other, t->outputs));
    check(gm_model_backward_f32(t->model, t->dz, t->outputs));
    check(gm_optimizer_step(t->optimizer, rate, rate));
    return result.loss;
}

static double answer(const char *request)
{
    char arch[16], way[16], views_path[PATH], losses_path[PATH];
    unsigned seed;
    long batch, side, steps;
    if (sscanf(request, "%15s %15s %u %ld %ld %ld %95s %95s", arch, way, &seed, &batch, &side, &steps, views_path,
               losses_path) != 8)
        server_fail("not a request: %s", request);
    FILE *views = fopen(views_path, "rb"), *losses = fopen(losses_path, "wb");
    if (!views || !losses)
        server_fail("%s or %s cannot be opened", views_path, losses_path);
    training t = create(arch, !strcmp(way, "exact"), seed, batch, side);
    const size_t floats = (size_t)(VIEWS * batch * side * side);
    double loss = 0;
    for (long i = 0; i < steps; i++) {
        if (fread(t.x, sizeof(float), floats, views) != floats)
            server_fail("%s ends too early", views_path);
        loss = step(&t);
        fwrite(&loss, sizeof loss, 1, losses);
    }
    fclose(views);
    if (fclose(losses) != 0)
        server_fail("%s cannot be written", losses_path);
    destroy(&t);
    return loss;
}

int main(int argc, char **argv)
{
    if (argc != 1)
        server_fail("usage: %s", argv[0]);
    return server_run(answer);
}
