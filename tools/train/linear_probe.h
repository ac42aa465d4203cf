/* A linear classifier on frozen features: how much of the classes they hold ready. */
#ifndef GEMEL_LINEAR_PROBE_H
#define GEMEL_LINEAR_PROBE_H

#include "train/samples.h"

typedef struct gm_probe_options {
    int32_t epochs;
    int64_t batch;       /* rows a step; the last step of an epoch takes what remains */
    float learning_rate; /* of the first epoch; falls with a cosine to 0 behind the last, from epoch to epoch */
    float momentum;
    float weight_decay; /* of weights and biases alike */
    uint64_t seed;      /* of the initial weights and the order of samples */
} gm_probe_options;

static inline gm_probe_options gm_probe_default_options(void)
{
    gm_probe_options options = {20, 256, 0.1f, 0.9f, 1e-6f, 0};
    return options;
}

typedef struct gm_probe_result {
    double top1, top5; /* shares of the test samples */
    double loss;       /* mean cross-entropy over the last epoch */
} gm_probe_result;

/* Where a probe leaves its classifier: logits = x weight^T + bias of samples as they are, not standardised. */
typedef struct gm_probe_classifier {
    float *weight, *bias; /* [classes, dim], [classes] */
} gm_probe_classifier;

/* Trains softmax regression on `train` by SGD with momentum and measures it on `test`, both brought to mean 0 and
 * deviation 1 by `standardization`. Weights and biases start uniform in +-1 / sqrt(dim); a step is
 * v = momentum v + gradient + weight_decay w, w = w - rate v, as PyTorch's. options: NULL for the defaults;
 * classifier: NULL if only the result is wanted. Errors: GM_INVALID_ARGUMENT,
 * GM_OUT_OF_MEMORY, GM_NOT_FINITE. */
gm_status gm_linear_probe(gm_context *context, const gm_samples *train, const gm_samples *test, int32_t classes,
                          const gm_standardization *standardization, const gm_probe_options *options,
                          gm_probe_result *result, const gm_probe_classifier *classifier, gm_error *error);

/* Sum over the rows of the cross-entropy of softmax(x w^T) and the labels, and the gradient of its mean with respect to
 * w. x: [rows, dim]; w, gradient: [classes, dim]; probabilities: scratch, [rows, classes]; losses: scratch, [rows].
 * A bias is a column of ones in x. Errors: as gm_gemm_f32(). */
gm_status gm_softmax_gradient(gm_context *context, int64_t rows, int64_t dim, int32_t classes, const float *x,
                              const int32_t *labels, const float *w, float *gradient, float *probabilities,
                              double *losses, double *loss);

#endif
