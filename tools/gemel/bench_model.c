#include "bench_model.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "nn/timing.h"
#include "support/random.h"

enum { LEAST_ROUNDS = 3, MOST_ROUNDS = 99, LEAST_SECONDS = 1 };

typedef struct bench {
    const bench_model_options *options;
    gm_context *context;
    gm_model *model;
    gm_layer_seconds *seconds;
    float *x, *z, *dz, *features;
    double rounds[MOST_ROUNDS];
} bench;

static gm_status create(bench *b, bool training, gm_error *error)
{
    const bench_model_options *o = b->options;
    gm_model_options options = gm_model_image_options(o->arch, o->size, o->size, o->channels, o->batch);
    options.views = 1;
    options.exact = o->exact;
    options.conv_width = o->conv_width;
    options.training = training;
    gm_status status = gm_model_create(b->context, &options, &b->model);
    if (status == GM_OK && !training)
        status = gm_model_freeze(b->model);
    if (status != GM_OK)
        return gm_error_set(error, status == GM_INVALID_ARGUMENT ? GM_BAD_USAGE : status,
                            "cannot build %s for %lld images of %lld x %lld: %s", gm_arch_name(o->arch),
                            (long long)o->batch, (long long)o->size, (long long)o->size, gm_status_string(status));
    const int64_t numbers = o->batch * gm_model_input_size(b->model);
    const size_t out = (size_t)(o->batch * gm_model_output_size(b->model));
    b->x = malloc((size_t)numbers * sizeof *b->x);
    b->z = malloc(out * sizeof *b->z);
    b->dz = malloc(out * sizeof *b->dz);
    b->features = malloc((size_t)(o->batch * gm_model_feature_size(b->model)) * sizeof *b->features);
    b->seconds = calloc((size_t)gm_model_network(b->model)->layer_count, sizeof *b->seconds);
    if (!b->x || !b->z || !b->dz || !b->features || !b->seconds)
        return gm_error_set(error, GM_OUT_OF_MEMORY, "no memory for the images; choose a smaller batch-size");
    gm_random random = gm_random_stream(0, 0, 0, 0, GM_RANDOM_SYNTHETIC);
    for (int64_t i = 0; i < numbers; i++)
        b->x[i] = gm_random_normal(&random);
    return GM_OK;
}

static void destroy(bench *b)
{
    gm_model_destroy(b->model);
    free(b->seconds);
    free(b->x);
    free(b->z);
    free(b->dz);
    free(b->features);
    *b = (bench){.options = b->options, .context = b->context};
}

static gm_status train(bench *b)
{
    const int64_t out = gm_model_output_size(b->model), rows = b->options->batch;
    const gm_status status = gm_model_forward_f32(b->model, 1, rows, b->x, gm_model_input_size(b->model), b->z, out);
    if (status != GM_OK)
        return status;
    memcpy(b->dz, b->z, (size_t)(rows * out) * sizeof *b->dz);
    return gm_model_backward_f32(b->model, b->dz, out);
}

static gm_status infer(bench *b)
{
    return gm_model_features_f32(b->model, b->options->batch, b->x, gm_model_input_size(b->model), b->features,
                                 gm_model_feature_size(b->model));
}

static int ascending(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* The median of some seconds of calls, after one that touches the memory; b->seconds are of all `rounds`. */
static gm_status time_calls(bench *b, gm_status (*call)(bench *), double *median, int *rounds, gm_error *error)
{
    gm_status status = call(b);
    double all = 0;
    memset(b->seconds, 0, (size_t)gm_model_network(b->model)->layer_count * sizeof *b->seconds);
    gm_model_time_layers(b->model, b->seconds);
    for (*rounds = 0; status == GM_OK && *rounds < MOST_ROUNDS && (*rounds < LEAST_ROUNDS || all < LEAST_SECONDS);) {
        const double start = gm_seconds_now();
        status = call(b);
        b->rounds[*rounds] = gm_seconds_now() - start;
        all += b->rounds[(*rounds)++];
    }
    gm_model_time_layers(b->model, NULL);
    if (status != GM_OK)
        return gm_error_set(error, status, "the model's call: %s", gm_status_string(status));
    qsort(b->rounds, (size_t)*rounds, sizeof *b->rounds, ascending);
    *median = b->rounds[*rounds / 2];
    return GM_OK;
}

static void print_kind(const bench *b, gm_layer_kind kind, int rounds)
{
    const gm_network *network = gm_model_network(b->model);
    double forward = 0, backward = 0, flops = 0, backward_flops = 0;
    int count = 0;
    for (int32_t i = 0; i < network->layer_count; i++) {
        if (network->layers[i].kind != kind)
            continue;
        count++;
        forward += b->seconds[i].forward / rounds;
        backward += b->seconds[i].backward / rounds;
        flops += (double)gm_layer_flops(&network->layers[i], b->options->batch);
        backward_flops += (i == 0 ? 1 : 2) * (double)gm_layer_flops(&network->layers[i], b->options->batch);
    }
    if (!count)
        return;
    printf("  %-16s %3d  %9.2f ms %9.2f ms", gm_layer_kind_name(kind), count, 1e3 * forward, 1e3 * backward);
    if (flops > 0)
        printf("  %6.1f %6.1f GFLOP/s", 1e-9 * flops / forward, 1e-9 * backward_flops / backward);
    printf("\n");
}

gm_status bench_model_run(gm_context *context, const bench_model_options *options, gm_error *error)
{
    bench b = {.options = options, .context = context};
    double step = 0, inference = 0;
    int rounds = 0, inference_rounds = 0;
    gm_status status = create(&b, false, error);
    if (status == GM_OK)
        status = time_calls(&b, infer, &inference, &inference_rounds, error);
    destroy(&b);
    if (status == GM_OK)
        status = create(&b, true, error);
    if (status == GM_OK)
        status = time_calls(&b, train, &step, &rounds, error);
    if (status == GM_OK) {
        const double images = (double)options->batch, flops = (double)gm_model_flops(b.model, options->batch);
        printf("%s", gm_arch_name(options->arch));
        if (options->arch == GM_ARCH_CONV)
            printf(" of width %lld", (long long)options->conv_width);
        printf(", %lld images of %lld x %lld x %lld, %s, %d threads:\n", (long long)options->batch,
               (long long)options->size, (long long)options->size, (long long)options->channels,
               gm_isa_name(gm_context_isa(context)), gm_context_threads(context));
        printf("  forward and backward %9.2f ms  %8.1f images/s  %6.1f GFLOP/s\n", 1e3 * step, images / step,
               1e-9 * flops / step);
        printf("  features             %9.2f ms  %8.1f images/s\n", 1e3 * inference, images / inference);
        printf("  memory               %9.1f MiB, workspace %.1f MiB\n", (double)gm_model_memory(b.model) / (1 << 20),
               (double)gm_context_workspace(context) / (1 << 20));
        printf("  %-16s %3s  %12s %12s\n", "layers", "", "forward", "backward");
        for (gm_layer_kind kind = GM_LAYER_DENSE; gm_layer_kind_name(kind); kind = (gm_layer_kind)(kind + 1))
            print_kind(&b, kind, rounds);
    }
    destroy(&b);
    return status;
}
