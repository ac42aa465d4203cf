/* Matrix products to test: shapes, guarded operands, and what the results are checked against. */
#ifndef GEMEL_TEST_PRODUCT_H
#define GEMEL_TEST_PRODUCT_H

#include "support/support.h"

typedef struct product {
    int64_t m, n, k;
    bool ta, tb;
    int64_t pad; /* of every leading dimension */
    float alpha, beta;
} product;

typedef struct product_operands {
    test_guard a, b, c;
    int64_t lda, ldb, ldc;
} product_operands;

/* n neighbours of a matrix: integers from -3 to 3, normal, of magnitudes from 2^-10 to 2^10, 0. */
typedef void (*product_fill)(test_random *random, float *x, int64_t n);
void product_integers(test_random *random, float *x, int64_t n);
void product_normal(test_random *random, float *x, int64_t n);
void product_heavy_tails(test_random *random, float *x, int64_t n);
void product_zeros(test_random *random, float *x, int64_t n);

/* Matrices in guarded memory, their rows padded with NaN; C is filled only where the product reads it. */
product_operands product_operands_create(const product *p, uint64_t seed, product_fill fill);
void product_operands_free(product_operands *o);

/* C in double, the sums of magnitudes that bound its error, and C as sequential float32 gives it; each [m, n]. */
typedef struct product_reference {
    double *value, *magnitude;
    float *sequential;
} product_reference;

product_reference product_reference_create(const product *p, const product_operands *o);
void product_reference_free(product_reference *r);

/* Both abort the test unless C is right: bit for bit, or within the bounds that <gemel/gemm.h> gives. */
void product_check_exact(const product *p, const product_operands *o, const product_reference *r);
void product_check_bounds(const product *p, const product_operands *o, const product_reference *r);

/* gm_gemm_f32(), and a context with the workspace that it needs. */
gm_status product_multiply(gm_context *context, const product *p, const product_operands *o, float *c);
gm_context *product_context(gm_isa isa, int32_t threads, const product *p);

/* The product in words, until the next call. */
const char *product_describe(const product *p);

#endif
