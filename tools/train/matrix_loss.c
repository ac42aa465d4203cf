#include "train/matrix_loss.h"

#include <stdlib.h>

#include <gemel/batchnorm.h>
#include <gemel/gemm.h>

gm_status gm_matrix_loss_create(gm_context *context, int64_t n, int64_t d, gm_matrix_loss *loss, gm_error *error)
{
    const int64_t saved = gm_batchnorm_saved_size(d, 1);
    const double floats = 2.0 * n * d + 2.0 * saved + (double)d * d + 4.0 * d;
    *loss = (gm_matrix_loss){.context = context, .n = n, .d = d};
    if (floats * sizeof(float) > (double)(SIZE_MAX / 2))
        return gm_error_set(error, GM_SIZE_OVERFLOW, "a matrix of %lld x %lld numbers is beyond this machine",
                            (long long)d, (long long)d);
    loss->bytes = (size_t)floats * sizeof(float);
    loss->a = malloc((size_t)(n * d) * sizeof(float));
    loss->b = malloc((size_t)(n * d) * sizeof(float));
    loss->saved_a = malloc((size_t)saved * sizeof(float));
    loss->saved_b = malloc((size_t)saved * sizeof(float));
    loss->c = malloc((size_t)(d * d) * sizeof(float));
    loss->row_loss = malloc((size_t)d * 2 * sizeof(double));
    gm_status status = loss->a && loss->b && loss->saved_a && loss->saved_b && loss->c && loss->row_loss
                           ? gm_context_reserve(context, gm_batchnorm_f32_workspace(context, n, d, NULL))
                           : GM_OUT_OF_MEMORY;
    if (status != GM_OK) {
        const double megabytes = 1e-6 * (double)loss->bytes;
        gm_matrix_loss_free(loss);
        return gm_error_set(error, status, "no memory for the loss with its matrix: %.0f MB", megabytes);
    }
    return GM_OK;
}

void gm_matrix_loss_free(gm_matrix_loss *loss)
{
    free(loss->a);
    free(loss->b);
    free(loss->saved_a);
    free(loss->saved_b);
    free(loss->c);
    free(loss->row_loss);
    *loss = (gm_matrix_loss){0};
}

struct row_pass {
    gm_matrix_loss *loss;
    float lambda, scale;
};

/* One row of C: its share of the loss, and G in its place. */
static void turn_row(void *arg, int64_t i, int worker)
{
    (void)worker;
    const struct row_pass *pass = arg;
    const int64_t d = pass->loss->d;
    float *row = pass->loss->c + i * d;
    const float diagonal = row[i] - 1.0f;
    double squares = 0.0;
    row[i] = 0.0f;
    for (int64_t j = 0; j < d; j++) {
        squares += (double)row[j] * row[j];
        row[j] *= 2.0f * pass->scale * pass->lambda;
    }
    row[i] = 2.0f * pass->scale * diagonal;
    pass->loss->row_loss[2 * i] = (double)diagonal * diagonal;
    pass->loss->row_loss[2 * i + 1] = squares;
}

gm_status gm_matrix_loss_run(gm_matrix_loss *loss, const float *za, const float *zb, const gm_barlow_options *options,
                             gm_barlow_result *result, float *dza, float *dzb, gm_error *error)
{
    gm_context *context = loss->context;
    const int64_t n = loss->n, d = loss->d;
    const float inverse = 1.0f / (float)n;
    gm_batchnorm_options norm = gm_batchnorm_default_options();
    norm.eps = options->eps;
    struct row_pass pass = {loss, options->lambda, options->scale};

    gm_status status =
        gm_batchnorm_forward_f32(context, n, d, za, d, NULL, NULL, &norm, NULL, NULL, loss->saved_a, loss->a, d);
    if (status == GM_OK)
        status =
            gm_batchnorm_forward_f32(context, n, d, zb, d, NULL, NULL, &norm, NULL, NULL, loss->saved_b, loss->b, d);
    if (status == GM_OK)
        status = gm_gemm_f32(context, GM_TRANSPOSE, GM_NO_TRANSPOSE, d, d, n, inverse, loss->a, d, loss->b, d, 0.0f,
                             loss->c, d);
    if (status != GM_OK)
        goto fail;

    gm_context_parallel_for(context, d, turn_row, &pass);
    result->invariance = result->redundancy = 0.0;
    for (int64_t i = 0; i < d; i++) {
        result->invariance += (double)options->scale * loss->row_loss[2 * i];
        result->redundancy += (double)options->scale * options->lambda * loss->row_loss[2 * i + 1];
    }
    result->loss = result->invariance + result->redundancy;

    status =
        gm_gemm_f32(context, GM_NO_TRANSPOSE, GM_TRANSPOSE, n, d, d, inverse, loss->b, d, loss->c, d, 0.0f, dza, d);
    if (status == GM_OK)
        status = gm_gemm_f32(context, GM_NO_TRANSPOSE, GM_NO_TRANSPOSE, n, d, d, inverse, loss->a, d, loss->c, d, 0.0f,
                             dzb, d);
    if (status == GM_OK)
        status = gm_batchnorm_backward_f32(context, n, d, dza, d, za, d, NULL, NULL, loss->saved_a, &norm, dza, d, NULL,
                                           NULL);
    if (status == GM_OK)
        status = gm_batchnorm_backward_f32(context, n, d, dzb, d, zb, d, NULL, NULL, loss->saved_b, &norm, dzb, d, NULL,
                                           NULL);
    if (status == GM_OK)
        return GM_OK;
fail:
    return gm_error_set(error, status, "the loss with its matrix: %s", gm_status_string(status));
}
