/* Times a layer's convolution or one of its gradients, the packing of its weights included. Requests: "WHAT PASS BATCH
 * SIDE IN OUT KERNEL STRIDE", WHAT being time (seconds) or value (the result's norm), PASS forward, data or weight; the
 * padding is half the kernel. */
#include "server.h"

#include "support/operands.h"

#include <gemel/conv.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct layer {
    char request[128];
    gm_conv_pass pass;
    gm_conv_shape shape;
    gm_context *context;
    gm_conv_plan *plan;
    gm_conv_packed *packed;
    float *x, *y, *weight, *result;
    int64_t results;
    double last;
} layer;

static void run(void *arg)
{
    layer *l = arg;
    const gm_conv_shape *s = &l->shape;
    gm_status status = l->packed ? gm_conv_pack_f32(l->context, l->plan, l->pass, l->weight, l->packed) : GM_OK;
    if (status == GM_OK && l->pass == GM_CONV_FORWARD)
        status =
            gm_conv_forward_f32(l->context, l->plan, l->x, s->in_channels, l->packed, NULL, l->result, s->out_channels);
    else if (status == GM_OK && l->pass == GM_CONV_DATA_GRADIENT)
        status = gm_conv_data_gradient_f32(l->context, l->plan, l->y, s->out_channels, l->packed, 0, l->result,
                                           s->in_channels);
    else if (status == GM_OK)
        status = gm_conv_weight_gradient_f32(l->context, l->plan, l->y, s->out_channels, l->x, s->in_channels, NULL,
                                             l->result, NULL);
    if (status != GM_OK)
        server_fail("%s: %s", l->request, gm_status_string(status));
}

static void release(layer *l)
{
    float *const all[] = {l->x, l->y, l->weight, l->result};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        free(all[i]);
    free(l->packed);
    gm_conv_plan_destroy(l->plan);
    gm_context_destroy(l->context);
    *l = (layer){0};
}

static void prepare(layer *l, const char *request)
{
    char pass[16];
    gm_conv_shape *s = &l->shape;
    release(l);
    s->size = sizeof *s;
    if (sscanf(request, "%15s %ld %ld %ld %ld %ld %ld", pass, &s->batch, &s->height, &s->in_channels, &s->out_channels,
               &s->kernel_height, &s->stride) != 7)
        server_fail("not a request: %s", request);
    snprintf(l->request, sizeof l->request, "%s", request);
    s->width = s->height;
    s->kernel_width = s->kernel_height;
    s->padding = s->kernel_height / 2;
    l->pass = !strcmp(pass, "forward") ? GM_CONV_FORWARD
              : !strcmp(pass, "data")  ? GM_CONV_DATA_GRADIENT
                                       : GM_CONV_WEIGHT_GRADIENT;
    l->context = bench_context(0, 0);
    if (gm_conv_plan_create(l->context, s, NULL, &l->plan) != GM_OK ||
        gm_context_reserve(l->context, gm_conv_f32_workspace(l->context, l->plan, l->pass)) != GM_OK)
        server_fail("not a layer: %s", request);
    const int64_t inputs = gm_conv_in_rows(s) * s->in_channels, outputs = gm_conv_out_rows(s) * s->out_channels,
                  weights = s->in_channels * s->out_channels * s->kernel_height * s->kernel_width;
    const int64_t results[] = {outputs, inputs, weights};
    l->results = results[l->pass];
    l->x = bench_floats(inputs, 1);
    l->y = bench_floats(outputs, 2);
    l->weight = bench_floats(weights, 3);
    l->result = bench_floats(l->results, 4);
    if (l->pass != GM_CONV_WEIGHT_GRADIENT)
        l->packed = malloc(gm_conv_packed_f32_size(l->plan, l->pass));
}

static double answer(const char *request)
{
    static layer current;
    char what[SERVER_WORD];
    const char *rest = server_first_word(request, what);
    if (strcmp(rest, current.request) != 0)
        prepare(&current, rest);
    if (!strcmp(what, "time"))
        return server_time(run, &current, &current.last);
    if (strcmp(what, "value") != 0)
        server_fail("not a request: %s", request);
    run(&current);
    return sqrt(server_sum_of_squares(current.results, current.result));
}

int main(int argc, char **argv)
{
    if (argc != 1)
        server_fail("usage: %s", argv[0]);
    return server_run(answer);
}
