/* What the tests of the normalisation layers share: operands of one layer, and what holds for each layer alike. */
#ifndef GEMEL_TEST_NORM_H
#define GEMEL_TEST_NORM_H

#include "support/support.h"

typedef struct norm_layer {
    int64_t rows, cols, ld;
    int64_t groups; /* of batch norm; 1 otherwise */
    bool relu, affine;
    double offset; /* of the inputs' mean, in deviations */
} norm_layer;

/* Operands and results of one layer; matrices in guarded memory, with NaN in what pads their rows. */
typedef struct norm_trial {
    norm_layer layer;
    test_guard x, dy, y, dx, weight, bias, saved, dweight, dbias;
    test_guard running_mean, running_variance; /* of batch norm */
} norm_trial;

norm_trial norm_trial_create(const norm_layer *layer, int64_t saved_size, uint64_t seed);
void norm_trial_free(norm_trial *t);

/* The layer's weight and bias of column j, or 1 and 0. */
double norm_weight(const norm_trial *t, int64_t j);
double norm_bias(const norm_trial *t, int64_t j);

/* The layer under test. */
typedef struct norm_calls {
    norm_trial (*create)(const norm_layer *layer, uint64_t seed);
    gm_context *(*context)(gm_isa isa, int32_t threads, const norm_trial *t); /* with just the workspace it needs */
    void (*forward)(gm_context *context, norm_trial *t, const float *x, float *y);
    void (*backward)(gm_context *context, norm_trial *t, const float *dy, float *dx);
    /* sum dy y for an x [rows, cols] near the trial's own, in double; the trial's forward call has been made. */
    double (*loss)(const norm_trial *t, const double *x);
} norm_calls;

/* Aborts the test unless element [i, j] of t->y or t->dx is as expected: ck_assert() would write to a pipe each time,
 * which is too slow for every element. */
void norm_check_value(const norm_trial *t, const test_guard *matrix, int64_t i, int64_t j, double expected,
                      double bound);

void norm_check_padding(const norm_trial *t);

/* Every value within `tolerance` of PyTorch's. */
void norm_check_close(const char *what, const float *ours, const float *theirs, int64_t count, double tolerance);

/* On every instruction set: */
void norm_check_gradient(const norm_calls *calls, const norm_layer *layer); /* dx is the difference quotient */
void norm_check_in_place(const norm_calls *calls, const norm_layer *layer);
void norm_check_threads(const norm_calls *calls, const norm_layer *layer);

#endif
