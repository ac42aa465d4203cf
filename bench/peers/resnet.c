/* Times forward and backward calls, or inference, of a model of images with a projector of one layer. Requests: "WHAT
 * PASS ARCH STEM BATCH SIDE", WHAT being time (seconds), parameters (their number) or peak (most bytes of memory of the
 * process with one call, beyond what it had before), PASS train or infer, STEM imagenet or small. */
#include "server.h"

#include "support/operands.h"

#include <gemel/model.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CHANNELS = 3, OUT = 64 };

typedef struct network {
    char request[128];
    bool train;
    int64_t batch, size;
    gm_context *context;
    gm_model *model;
    float *x, *z;
    size_t memory_before;
    double last;
} network;

/* The gradient of sum z^2 / 2 is z. */
static void run(void *arg)
{
    network *n = arg;
    gm_status status = n->train ? gm_model_forward_f32(n->model, 1, n->batch, n->x, n->size, n->z, OUT)
                                : gm_model_infer_f32(n->model, n->batch, n->x, n->size, n->z, OUT);
    if (status == GM_OK && n->train)
        status = gm_model_backward_f32(n->model, n->z, OUT);
    if (status != GM_OK)
        server_fail("%s: %s", n->request, gm_status_string(status));
}

static void release(network *n)
{
    gm_model_destroy(n->model);
    gm_context_destroy(n->context);
    free(n->x);
    free(n->z);
    *n = (network){0};
}

static void prepare(network *n, const char *request)
{
    char pass[16], arch[16], stem[16];
    const int64_t widths[] = {OUT};
    int64_t side;
    gm_model_options options;
    release(n);
    n->memory_before = server_resident();
    if (sscanf(request, "%15s %15s %15s %ld %ld", pass, arch, stem, &n->batch, &side) != 5)
        server_fail("not a request: %s", request);
    snprintf(n->request, sizeof n->request, "%s", request);
    n->train = !strcmp(pass, "train");
    options = gm_model_image_options(GM_ARCH_RESNET18, side, side, CHANNELS, n->batch);
    options.views = 1;
    options.training = n->train;
    options.stem = !strcmp(stem, "small") ? GM_STEM_SMALL : GM_STEM_IMAGENET;
    options.projector = widths;
    options.projector_layers = 1;
    n->context = bench_context(0, 0);
    if (gm_arch_from_name(arch, &options.arch) != GM_OK || gm_model_create(n->context, &options, &n->model) != GM_OK)
        server_fail("not a network: %s", request);
    n->size = gm_model_input_size(n->model);
    n->x = bench_floats(n->batch * n->size, 1);
    n->z = bench_floats(n->batch * OUT, 2);
}

static double parameters(const network *n)
{
    int64_t count = 0;
    for (int32_t i = 0; i < gm_model_parameter_count(n->model); i++)
        if (!strstr(gm_model_parameter(n->model, i).name, "running"))
            count += gm_model_parameter(n->model, i).count;
    return (double)count;
}

static double answer(const char *request)
{
    static network current;
    char what[16];
    int rest = 0;
    if (sscanf(request, "%15s %n", what, &rest) != 1)
        server_fail("not a request: %s", request);
    if (strcmp(request + rest, current.request) != 0)
        prepare(&current, request + rest);
    if (!strcmp(what, "time"))
        return server_time(run, &current, &current.last);
    if (!strcmp(what, "parameters"))
        return parameters(&current);
    if (strcmp(what, "peak") != 0)
        server_fail("not a request: %s", request);
    server_reset_peak();
    run(&current);
    return (double)(server_peak() - current.memory_before);
}

int main(int argc, char **argv)
{
    if (argc != 1)
        server_fail("usage: %s", argv[0]);
    return server_run(answer);
}
