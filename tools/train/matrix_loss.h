/* The Barlow Twins loss with its matrix: C = A^T B / n is computed and kept, G = dL/dC takes its place, and two
 * products lead back. What gm_barlow_loss_f32() is compared with; the same numbers, [d, d] floats more memory. */
#ifndef GEMEL_MATRIX_LOSS_H
#define GEMEL_MATRIX_LOSS_H

#include <gemel/barlow.h>
#include <gemel/error.h>

typedef struct gm_matrix_loss {
    gm_context *context;
    int64_t n, d;
    float *a, *b;             /* [n, d]: the normalised views */
    float *saved_a, *saved_b; /* statistics for the way back */
    float *c;                 /* [d, d]: C, then G */
    double *row_loss;         /* [d, 2]: what each row of C adds to the two terms */
    size_t bytes;             /* of all these */
} gm_matrix_loss;

/* Errors: GM_SIZE_OVERFLOW, GM_OUT_OF_MEMORY; *loss then holds nothing. */
gm_status gm_matrix_loss_create(gm_context *context, int64_t n, int64_t d, gm_matrix_loss *loss, gm_error *error);
void gm_matrix_loss_free(gm_matrix_loss *loss);

/* As gm_barlow_loss_f32() with the options' GM_BARLOW_BATCHNORM, on contiguous matrices; the result has the loss and
 * its two terms. Errors: those of the kernels. */
gm_status gm_matrix_loss_run(gm_matrix_loss *loss, const float *za, const float *zb, const gm_barlow_options *options,
                             gm_barlow_result *result, float *dza, float *dzb, gm_error *error);

#endif
