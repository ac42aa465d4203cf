/* Times column statistics, and batch and layer normalisation forward and backward. Requests: "time OPERATION ROWS COLS"
 * (seconds) and "value OPERATION ROWS COLS" (the sum of the results' norms), with an operation of the table below; more
 * words do not matter. */
#include "server.h"

#include "support/operands.h"

#include <gemel/batchnorm.h>
#include <gemel/column_stats.h>
#include <gemel/layernorm.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct layer {
    char request[128];
    const struct operation *operation;
    int64_t rows, cols;
    gm_context *context;
    float *x, *dy, *weight, *bias; /* given */
    float *y, *dx, *dweight, *dbias, *saved;
    double last;
} layer;

typedef struct operation {
    const char *name;
    gm_status (*run)(layer *l);
    bool has_gradients;
} operation;

static gm_status column_stats(layer *l)
{
    return gm_column_stats_f32(l->context, l->rows, l->cols, l->x, l->cols, NULL, l->dbias, l->dweight);
}

static gm_status batchnorm_with(layer *l, bool relu)
{
    gm_batchnorm_options options = gm_batchnorm_default_options();
    options.relu = relu;
    const gm_status status = gm_batchnorm_forward_f32(l->context, l->rows, l->cols, l->x, l->cols, l->weight, l->bias,
                                                      &options, NULL, NULL, l->saved, l->y, l->cols);
    return status != GM_OK
               ? status
               : gm_batchnorm_backward_f32(l->context, l->rows, l->cols, l->dy, l->cols, l->x, l->cols, l->weight,
                                           l->bias, l->saved, &options, l->dx, l->cols, l->dweight, l->dbias);
}

static gm_status batchnorm(layer *l)
{
    return batchnorm_with(l, false);
}

static gm_status batchnorm_relu(layer *l)
{
    return batchnorm_with(l, true);
}

static gm_status layernorm(layer *l)
{
    const gm_status status = gm_layernorm_forward_f32(l->context, l->rows, l->cols, l->x, l->cols, l->weight, l->bias,
                                                      NULL, l->saved, l->y, l->cols);
    return status != GM_OK ? status
                           : gm_layernorm_backward_f32(l->context, l->rows, l->cols, l->dy, l->cols, l->x, l->cols,
                                                       l->weight, l->saved, NULL, l->dx, l->cols, l->dweight, l->dbias);
}

static const operation operations[] = {
    {"column_stats", column_stats, false},
    {"batchnorm", batchnorm, true},
    {"batchnorm_relu", batchnorm_relu, true},
    {"layernorm", layernorm, true},
};

static size_t largest(size_t a, size_t b)
{
    return a > b ? a : b;
}

static size_t workspace(int64_t rows, int64_t cols)
{
    return largest(
        gm_column_stats_f32_workspace(NULL, rows, cols, NULL),
        largest(gm_batchnorm_f32_workspace(NULL, rows, cols, NULL), gm_layernorm_f32_workspace(NULL, rows, cols)));
}

static void release(layer *l)
{
    float *const all[] = {l->x, l->dy, l->weight, l->bias, l->y, l->dx, l->dweight, l->dbias, l->saved};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        free(all[i]);
    gm_context_destroy(l->context);
    *l = (layer){0};
}

static void prepare(layer *l, const char *request)
{
    char name[32];
    release(l);
    if (sscanf(request, "%31s %ld %ld", name, &l->rows, &l->cols) != 3)
        server_fail("not a request: %s", request);
    snprintf(l->request, sizeof l->request, "%s", request);
    for (size_t i = 0; i < sizeof operations / sizeof *operations; i++)
        if (!strcmp(name, operations[i].name))
            l->operation = &operations[i];
    if (!l->operation)
        server_fail("not an operation: %s", name);
    const int64_t count = l->operation->has_gradients ? l->rows * l->cols : 1;
    l->context = bench_context(0, workspace(l->rows, l->cols));
    l->x = bench_floats(l->rows * l->cols, 1);
    l->dy = bench_floats(count, 2);
    l->weight = bench_floats(l->cols, 3);
    l->bias = bench_floats(l->cols, 4);
    l->y = bench_floats(count, 5);
    l->dx = bench_floats(count, 6);
    l->dweight = bench_floats(l->cols, 7);
    l->dbias = bench_floats(l->cols, 8);
    l->saved = bench_floats(
        (int64_t)largest((size_t)gm_batchnorm_saved_size(l->cols, 1), (size_t)gm_layernorm_saved_size(l->rows)), 9);
}

static void run(void *arg)
{
    layer *l = arg;
    const gm_status status = l->operation->run(l);
    if (status != GM_OK)
        server_fail("%s: %s", l->operation->name, gm_status_string(status));
}

static double norm(const float *x, int64_t count)
{
    double sum = 0;
    for (int64_t i = 0; i < count; i++)
        sum += (double)x[i] * x[i];
    return sqrt(sum);
}

static double answer(const char *request)
{
    static layer current;
    char what[16];
    int rest = 0;
    if (sscanf(request, "%15s %n", what, &rest) != 1)
        server_fail("not a request: %s", request);
    if (strcmp(request + rest, current.request) != 0)
        prepare(&current, request + rest);
    if (!strcmp(what, "time"))
        return server_time(run, &current, &current.last);
    if (strcmp(what, "value") != 0)
        server_fail("not a request: %s", request);
    run(&current);
    const int64_t count = current.operation->has_gradients ? current.rows * current.cols : 0;
    return norm(current.y, count) + norm(current.dx, count) + norm(current.dweight, current.cols) +
           norm(current.dbias, current.cols);
}

int main(int argc, char **argv)
{
    if (argc != 1)
        server_fail("usage: %s", argv[0]);
    return server_run(answer);
}
