#include "support/norm.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { GUARDS = 11 };

static void list_guards(norm_trial *t, test_guard *list[GUARDS])
{
    test_guard *const all[GUARDS] = {&t->x,     &t->dy,      &t->y,     &t->dx,           &t->weight,          &t->bias,
                                     &t->saved, &t->dweight, &t->dbias, &t->running_mean, &t->running_variance};
    memcpy(list, all, sizeof all);
}

static void fill_rows(const norm_layer *l, float *x, test_random *random, double mean)
{
    for (int64_t i = 0; i < l->rows; i++)
        test_fill_normal(random, x + i * l->ld, l->cols, mean, 1);
}

norm_trial norm_trial_create(const norm_layer *layer, int64_t saved_size, uint64_t seed)
{
    const norm_layer *l = layer;
    const int64_t matrix = (l->rows - 1) * l->ld + l->cols;
    test_random random = test_random_create(seed);
    norm_trial t = {.layer = *l, .saved = test_guard_create(saved_size)};
    test_guard *const matrices[] = {&t.x, &t.dy, &t.y, &t.dx};
    for (int i = 0; i < 4; i++)
        *matrices[i] = test_guard_create(matrix);
    test_guard *const columns[] = {&t.weight, &t.bias, &t.dweight, &t.dbias, &t.running_mean, &t.running_variance};
    for (int i = 0; i < 6; i++)
        *columns[i] = test_guard_create(l->cols);
    fill_rows(l, t.x.data, &random, l->offset);
    fill_rows(l, t.dy.data, &random, 0.1);
    test_fill_normal(&random, t.weight.data, l->cols, 1, 0.3);
    test_fill_normal(&random, t.bias.data, l->cols, 0, 0.5);
    test_fill_normal(&random, t.running_mean.data, l->cols, 0, 1);
    for (int64_t j = 0; j < l->cols; j++)
        t.running_variance.data[j] = (float)(0.5 + test_random_uniform(&random));
    test_guard *const inputs[] = {&t.x, &t.dy, &t.weight, &t.bias};
    for (int i = 0; i < 4; i++)
        test_guard_protect(inputs[i]);
    return t;
}

void norm_trial_free(norm_trial *t)
{
    test_guard *all[GUARDS];
    list_guards(t, all);
    for (int i = 0; i < GUARDS; i++)
        test_guard_free(all[i]);
}

double norm_weight(const norm_trial *t, int64_t j)
{
    return t->layer.affine ? (double)t->weight.data[j] : 1;
}

double norm_bias(const norm_trial *t, int64_t j)
{
    return t->layer.affine ? (double)t->bias.data[j] : 0;
}

void norm_check_value(const norm_trial *t, const test_guard *matrix, int64_t i, int64_t j, double expected,
                      double bound)
{
    const norm_layer *l = &t->layer;
    const double value = (double)matrix->data[i * l->ld + j];
    if (!(fabs(value - expected) <= bound))
        ck_abort_msg("%ldx%ld: %s[%ld, %ld] is %.9g instead of %.9g", (long)l->rows, (long)l->cols,
                     matrix == &t->y ? "y" : "dx", (long)i, (long)j, value, expected);
}

void norm_check_padding(const norm_trial *t)
{
    const norm_layer *l = &t->layer;
    for (int64_t i = 0; i + 1 < l->rows; i++)
        for (int64_t j = l->cols; j < l->ld; j++)
            if (!isnan(t->y.data[i * l->ld + j]) || !isnan(t->dx.data[i * l->ld + j]))
                ck_abort_msg("padding of row %ld was written", (long)i);
}

void norm_check_close(const char *what, const float *ours, const float *theirs, int64_t count, double tolerance)
{
    for (int64_t i = 0; i < count; i++)
        ck_assert_msg(fabs((double)ours[i] - (double)theirs[i]) <= tolerance, "%s[%ld] is %.9g, PyTorch's %.9g", what,
                      (long)i, ours[i], theirs[i]);
}

void norm_check_gradient(const norm_calls *calls, const norm_layer *layer)
{
    const norm_layer *l = layer;
    const int64_t count = l->rows * l->cols;
    gm_isa isas[GM_ISA_COUNT];
    norm_trial t = calls->create(l, 5);
    double *x = malloc((size_t)count * sizeof *x), *quotient = malloc((size_t)count * sizeof *quotient);
    float *dx = malloc((size_t)count * sizeof *dx);
    for (int64_t i = 0; i < count; i++)
        x[i] = (double)t.x.data[i / l->cols * l->ld + i % l->cols];
    for (int k = 0, n = test_isas(isas); k < n; k++) {
        gm_context *context = calls->context(isas[k], 1, &t);
        calls->forward(context, &t, t.x.data, t.y.data);
        calls->backward(context, &t, t.dy.data, t.dx.data);
        for (int64_t i = 0; i < count; i++) {
            const double step = 1e-5, before = x[i];
            x[i] = before + step;
            const double above = calls->loss(&t, x);
            x[i] = before - step;
            quotient[i] = (above - calls->loss(&t, x)) / (2 * step);
            x[i] = before;
            dx[i] = t.dx.data[i / l->cols * l->ld + i % l->cols];
        }
        ck_assert(test_relative_error(dx, quotient, count) < 1e-6);
        gm_context_destroy(context);
    }
    free(x), free(quotient), free(dx);
    norm_trial_free(&t);
}

void norm_check_in_place(const norm_calls *calls, const norm_layer *layer)
{
    gm_isa isas[GM_ISA_COUNT];
    norm_trial t = calls->create(layer, 9);
    const size_t bytes = (size_t)t.x.count * sizeof(float);
    float *copy = malloc(bytes);
    for (int i = 0, n = test_isas(isas); i < n; i++) {
        gm_context *context = calls->context(isas[i], 2, &t);
        calls->forward(context, &t, t.x.data, t.y.data);
        memcpy(copy, t.x.data, bytes);
        calls->forward(context, &t, copy, copy);
        ck_assert(test_same_bits(copy, t.y.data, bytes));
        calls->backward(context, &t, t.dy.data, t.dx.data);
        memcpy(copy, t.dy.data, bytes);
        calls->backward(context, &t, copy, copy);
        ck_assert(test_same_bits(copy, t.dx.data, bytes));
        gm_context_destroy(context);
    }
    free(copy);
    norm_trial_free(&t);
}

void norm_check_threads(const norm_calls *calls, const norm_layer *layer)
{
    static const int32_t threads[] = {1, 2, 3, 7};
    gm_isa isas[GM_ISA_COUNT];
    for (int i = 0, n = test_isas(isas); i < n; i++) {
        norm_trial first = calls->create(layer, 1);
        for (int k = 0; k < 4; k++) {
            norm_trial again = calls->create(layer, 1), *t = k == 0 ? &first : &again;
            gm_context *context = calls->context(isas[i], threads[k], t);
            calls->forward(context, t, t->x.data, t->y.data);
            calls->backward(context, t, t->dy.data, t->dx.data);
            gm_context_destroy(context);
            test_guard *expected[GUARDS], *found[GUARDS];
            list_guards(&first, expected);
            list_guards(t, found);
            for (int g = 0; g < GUARDS; g++)
                ck_assert(test_same_bits(expected[g]->data, found[g]->data, (size_t)found[g]->count * sizeof(float)));
            norm_trial_free(&again);
        }
        norm_trial_free(&first);
    }
}
