/* Times the training step or the inference of a ResNet. Requests: "WHAT PHASE ARCH STEM BATCH SIDE", WHAT being time
 * (seconds), peak (most bytes of memory of the process with one call, beyond what it had before) or value (a norm of
 * the result), PHASE being train (encoder and projector, forward and backward from the mean of the squared outputs) or
 * infer (the encoder's features), STEM imagenet or small. */
#include "parameters.h"
#include "server.h"

#include "support/operands.h"

#include <gemel/model.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct resnet {
    char request[128];
    bool train;
    int64_t batch, features, outputs;
    gm_context *context;
    gm_model *model;
    float *x, *result, *gradient;
    size_t memory_before;
    double last;
} resnet;

static void check(const resnet *r, gm_status status)
{
    if (status != GM_OK)
        server_fail("%s: %s", r->request, gm_status_string(status));
}

static void run(void *arg)
{
    resnet *r = arg;
    const int64_t inputs = gm_model_input_size(r->model), count = r->batch * r->outputs;
    if (!r->train) {
        check(r, gm_model_features_f32(r->model, r->batch, r->x, inputs, r->result, r->features));
        return;
    }
    check(r, gm_model_forward_f32(r->model, 1, r->batch, r->x, inputs, r->result, r->outputs));
    for (int64_t i = 0; i < count; i++)
        r->gradient[i] = 2 * r->result[i] / (float)count;
    check(r, gm_model_backward_f32(r->model, r->gradient, r->outputs));
}

static void release(resnet *r)
{
    gm_model_destroy(r->model);
    gm_context_destroy(r->context);
    free(r->x);
    free(r->result);
    free(r->gradient);
    *r = (resnet){0};
}

static void prepare(resnet *r, const char *request)
{
    char phase[16], arch_name[16], stem[16];
    long batch, side;
    gm_arch arch;
    release(r);
    r->memory_before = server_resident();
    if (sscanf(request, "%15s %15s %15s %ld %ld", phase, arch_name, stem, &batch, &side) != 5 ||
        gm_arch_from_name(arch_name, &arch) != GM_OK || !gm_arch_takes_images(arch))
        server_fail("not a request: %s", request);
    snprintf(r->request, sizeof r->request, "%s", request);
    r->train = !strcmp(phase, "train");
    r->batch = batch;
    r->context = bench_context(0, 0);
    gm_model_options options = gm_model_image_options(arch, side, side, 3, batch);
    options.views = 1;
    options.training = r->train;
    options.stem = !strcmp(stem, "small") ? GM_STEM_SMALL : GM_STEM_IMAGENET;
    check(r, gm_model_create(r->context, &options, &r->model));
    parameters_fill(r->model, 0);
    if (!r->train)
        check(r, gm_model_freeze(r->model));
    r->features = gm_model_feature_size(r->model);
    r->outputs = gm_model_output_size(r->model);
    const int64_t widest = r->features > r->outputs ? r->features : r->outputs;
    r->x = bench_floats(batch * gm_model_input_size(r->model), 1);
    r->result = calloc((size_t)(batch * widest), sizeof *r->result);
    r->gradient = calloc((size_t)(batch * widest), sizeof *r->gradient);
    if (!r->result || !r->gradient)
        server_fail("no memory for: %s", request);
}

/* Of the features, or of all gradients. */
static double norm(const resnet *r)
{
    if (!r->train)
        return sqrt(server_sum_of_squares(r->batch * r->features, r->result));
    double sum = 0;
    for (int32_t i = 0; i < gm_model_parameter_count(r->model); i++) {
        const gm_parameter p = gm_model_parameter(r->model, i);
        if (p.gradient)
            sum += server_sum_of_squares(p.count, p.gradient);
    }
    return sqrt(sum);
}

static double answer(const char *request)
{
    static resnet current;
    char what[SERVER_WORD];
    const char *rest = server_first_word(request, what);
    if (strcmp(rest, current.request) != 0)
        prepare(&current, rest);
    if (!strcmp(what, "time"))
        return server_time(run, &current, &current.last);
    const bool peak = !strcmp(what, "peak");
    if (!peak && strcmp(what, "value") != 0)
        server_fail("not a request: %s", request);
    server_reset_peak();
    run(&current);
    return peak ? (double)(server_peak() - current.memory_before) : norm(&current);
}

int main(int argc, char **argv)
{
    if (argc != 1)
        server_fail("usage: %s", argv[0]);
    return server_run(answer);
}
