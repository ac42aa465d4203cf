/* Times column statistics, batch and layer normalisation, bias with ReLU, and optimisers. Requests: "time OPERATION
 * PHASE ROWS COLS" (seconds) and "value OPERATION PHASE ROWS COLS" (the sum of the results' norms), with an operation
 * of the table below and a phase that is forward, backward or all; more words do not matter. An optimiser has one
 * phase, all, and an array of ROWS COLS elements. */
#include "server.h"

#include "support/operands.h"

#include <gemel/batchnorm.h>
#include <gemel/bias_relu.h>
#include <gemel/column_stats.h>
#include <gemel/layernorm.h>
#include <gemel/optimizer.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct layer {
    char request[128];
    const struct operation *operation;
    enum { ALL, FORWARD, BACKWARD } phase;
    int64_t rows, cols;
    gm_context *context;
    float *x, *residual, *dy, *weight, *bias; /* given */
    float *y, *dx, *dresidual, *dweight, *dbias, *saved;
    uint8_t *mask;
    double last;
} layer;

typedef struct operation {
    const char *name;
    gm_status (*forward)(layer *l);
    gm_status (*backward)(layer *l); /* or NULL */
    bool has_residual;
} operation;

static gm_status column_stats(layer *l)
{
    return gm_column_stats_f32(l->context, l->rows, l->cols, l->x, l->cols, NULL, l->dbias, l->dweight);
}

static gm_batchnorm_options batchnorm_options(bool relu)
{
    gm_batchnorm_options options = gm_batchnorm_default_options();
    options.relu = relu;
    return options;
}

static gm_status batchnorm_forward_with(layer *l, bool relu)
{
    const gm_batchnorm_options options = batchnorm_options(relu);
    return gm_batchnorm_forward_f32(l->context, l->rows, l->cols, l->x, l->cols, l->weight, l->bias, &options, NULL,
                                    NULL, l->saved, l->y, l->cols);
}

static gm_status batchnorm_backward_with(layer *l, bool relu)
{
    const gm_batchnorm_options options = batchnorm_options(relu);
    return gm_batchnorm_backward_f32(l->context, l->rows, l->cols, l->dy, l->cols, l->x, l->cols, l->weight, l->bias,
                                     l->saved, &options, l->dx, l->cols, l->dweight, l->dbias);
}

static gm_status batchnorm_forward(layer *l)
{
    return batchnorm_forward_with(l, false);
}

static gm_status batchnorm_backward(layer *l)
{
    return batchnorm_backward_with(l, false);
}

static gm_status batchnorm_relu_forward(layer *l)
{
    return batchnorm_forward_with(l, true);
}

static gm_status batchnorm_relu_backward(layer *l)
{
    return batchnorm_backward_with(l, true);
}

static gm_status batchnorm_add_relu_forward(layer *l)
{
    const gm_batchnorm_options options = batchnorm_options(true);
    return gm_batchnorm_add_forward_f32(l->context, l->rows, l->cols, l->x, l->cols, l->residual, l->cols, l->weight,
                                        l->bias, &options, NULL, NULL, l->saved, l->mask, l->y, l->cols);
}

static gm_status batchnorm_add_relu_backward(layer *l)
{
    const gm_batchnorm_options options = batchnorm_options(true);
    return gm_batchnorm_add_backward_f32(l->context, l->rows, l->cols, l->dy, l->cols, l->x, l->cols, l->mask,
                                         l->weight, l->saved, &options, l->dx, l->cols, l->dresidual, l->cols,
                                         l->dweight, l->dbias);
}

static gm_status layernorm_forward(layer *l)
{
    return gm_layernorm_forward_f32(l->context, l->rows, l->cols, l->x, l->cols, l->weight, l->bias, NULL, l->saved,
                                    l->y, l->cols);
}

static gm_status layernorm_backward(layer *l)
{
    return gm_layernorm_backward_f32(l->context, l->rows, l->cols, l->dy, l->cols, l->x, l->cols, l->weight, l->saved,
                                     NULL, l->dx, l->cols, l->dweight, l->dbias);
}

static gm_status bias_relu_forward(layer *l)
{
    return gm_bias_relu_forward_f32(l->context, l->rows, l->cols, l->x, l->cols, l->bias, true, l->y, l->cols);
}

static gm_status bias_relu_backward(layer *l)
{
    return gm_bias_relu_backward_f32(l->context, l->rows, l->cols, l->dy, l->cols, l->y, l->cols, true, l->dx, l->cols,
                                     l->dbias);
}

/* The optimisers' parameter is x, its gradient dy, its state y and dx. */
static gm_status sgd(layer *l)
{
    return gm_sgd_f32(l->context, l->rows * l->cols, l->x, l->dy, l->y, 1e-3f, 0.9f, 1e-6f);
}

static gm_status adam(layer *l)
{
    return gm_adam_f32(l->context, l->rows * l->cols, l->x, l->dy, l->y, l->dx, 1e-3f, 0.9f, 0.999f, 1e-8f, 1e-6f,
                       1000);
}

static gm_status lars(layer *l)
{
    return gm_lars_f32(l->context, l->rows * l->cols, l->x, l->dy, l->y, 1e-3f, 0.9f, 1e-6f, 1e-3f);
}

static const operation operations[] = {
    {"column_stats", column_stats, NULL, false},
    {"batchnorm", batchnorm_forward, batchnorm_backward, false},
    {"batchnorm_relu", batchnorm_relu_forward, batchnorm_relu_backward, false},
    {"batchnorm_add_relu", batchnorm_add_relu_forward, batchnorm_add_relu_backward, true},
    {"layernorm", layernorm_forward, layernorm_backward, false},
    {"bias_relu", bias_relu_forward, bias_relu_backward, false},
    {"sgd", sgd, NULL, false},
    {"adam", adam, NULL, false},
    {"lars", lars, NULL, false},
};

static size_t largest(size_t a, size_t b)
{
    return a > b ? a : b;
}

static size_t workspace(int64_t rows, int64_t cols)
{
    const size_t statistics = gm_column_stats_f32_workspace(NULL, rows, cols, NULL),
                 batchnorm = gm_batchnorm_f32_workspace(NULL, rows, cols, NULL),
                 layernorm = gm_layernorm_f32_workspace(NULL, rows, cols),
                 bias_relu = gm_bias_relu_f32_workspace(NULL, rows, cols),
                 optimizer = gm_lars_f32_workspace(NULL, rows * cols);
    return largest(largest(largest(statistics, batchnorm), largest(layernorm, optimizer)), bias_relu);
}

static void release(layer *l)
{
    float *const all[] = {l->x,  l->residual,  l->dy,      l->weight, l->bias, l->y,
                          l->dx, l->dresidual, l->dweight, l->dbias,  l->saved};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        free(all[i]);
    free(l->mask);
    gm_context_destroy(l->context);
    *l = (layer){0};
}

static void run(void *arg)
{
    layer *l = arg;
    gm_status status = l->phase == BACKWARD ? GM_OK : l->operation->forward(l);
    if (status == GM_OK && l->phase != FORWARD && l->operation->backward)
        status = l->operation->backward(l);
    if (status != GM_OK)
        server_fail("%s: %s", l->operation->name, gm_status_string(status));
}

static void create_operands(layer *l)
{
    const int64_t all = l->rows * l->cols, some = l->operation->forward == column_stats ? 1 : all,
                  added = l->operation->has_residual ? all : 1;
    l->context = bench_context(0, workspace(l->rows, l->cols));
    l->x = bench_floats(all, 1);
    l->dy = bench_floats(some, 2);
    l->weight = bench_floats(l->cols, 3);
    l->bias = bench_floats(l->cols, 4);
    l->y = bench_floats(some, 5);
    l->dx = bench_floats(some, 6);
    l->dweight = bench_floats(l->cols, 7);
    l->dbias = bench_floats(l->cols, 8);
    l->saved = bench_floats(
        (int64_t)largest((size_t)gm_batchnorm_saved_size(l->cols, 1), (size_t)gm_layernorm_saved_size(l->rows)), 9);
    l->residual = bench_floats(added, 10);
    l->dresidual = bench_floats(added, 11);
    l->mask = malloc((size_t)gm_batchnorm_mask_size(l->rows, l->cols));
    if (!l->mask)
        server_fail("no memory for a mask");
    if (!l->operation->backward && some > 1) { /* an optimiser's state */
        memset(l->y, 0, (size_t)some * sizeof(float));
        memset(l->dx, 0, (size_t)some * sizeof(float));
    }
}

static void prepare(layer *l, const char *request)
{
    char name[32], phase[16];
    release(l);
    if (sscanf(request, "%31s %15s %ld %ld", name, phase, &l->rows, &l->cols) != 4)
        server_fail("not a request: %s", request);
    snprintf(l->request, sizeof l->request, "%s", request);
    for (size_t i = 0; i < sizeof operations / sizeof *operations; i++)
        if (!strcmp(name, operations[i].name))
            l->operation = &operations[i];
    if (!l->operation)
        server_fail("not an operation: %s", name);
    create_operands(l);
    run(l); /* what a backward call needs */
    l->phase = !strcmp(phase, "forward") ? FORWARD : !strcmp(phase, "backward") ? BACKWARD : ALL;
}

static double norm(const float *x, int64_t count)
{
    return sqrt(server_sum_of_squares(count, x));
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
    const int64_t cols = current.cols, count = current.operation->backward ? current.rows * cols : 0;
    return norm(current.y, count) + norm(current.dx, count) + norm(current.dweight, cols) + norm(current.dbias, cols) +
           norm(current.dresidual, current.operation->has_residual ? count : 0);
}

int main(int argc, char **argv)
{
    if (argc != 1)
        server_fail("usage: %s", argv[0]);
    return server_run(answer);
}
