/* The Barlow Twins loss as its formula reads, in double precision, inputs to compare it on, and calls of the library.
 */
#ifndef GEMEL_TEST_BARLOW_REFERENCE_H
#define GEMEL_TEST_BARLOW_REFERENCE_H

#include <gemel/barlow.h>
#include <stdbool.h>

/* What errors of a gradient are measured against: norms of terms before the chain through the normalisation. */
typedef struct barlow_sizes {
    double whole; /* |r g|, g = dL/da */
    double
        subtracted; /* |r x|, x_ij = 2 lambda scale C_jj b_ij / s: what the dual form takes from a product to get g */
} barlow_sizes;

typedef struct barlow_reference {
    int64_t n, d;
    double divisor;
    double invariance, redundancy, loss; /* with lambda and scale */
    double *a, *b, *c;                   /* [n, d], [n, d], [d, d] */
    double *dza, *dzb;                   /* [n, d] */
    barlow_sizes size_a, size_b;
} barlow_reference;

/* za, zb: [n, d]. Free with barlow_reference_free(). */
barlow_reference barlow_reference_create(const gm_barlow_options *o, int64_t n, int64_t d, const double *za,
                                         const double *zb);
barlow_reference barlow_reference_of_floats(const gm_barlow_options *o, int64_t n, int64_t d, const float *za,
                                            const float *zb);
void barlow_reference_free(barlow_reference *ref);

/* One column, of elements d apart: a = (z - mean) r; returns r. A column without variation has a = 0, and r = 0 where
 * no eps makes it finite. a may be z. */
double barlow_reference_normalize(const gm_barlow_options *o, int64_t n, int64_t d, const double *z, double *a);

/* Inputs that data/barlow_pytorch.py makes too. */
typedef enum barlow_input {
    BARLOW_NORMAL,    /* columns of different means and deviations */
    BARLOW_OFFSET,    /* at 1e4 */
    BARLOW_CONVERGED, /* zb near za, whitened; n is a power of two */
    BARLOW_FLAT,      /* every third column varies in its last bits only */
    BARLOW_KINDS
} barlow_input;

extern const char *const barlow_input_names[BARLOW_KINDS];

void barlow_fill_views(barlow_input kind, int64_t n, int64_t d, float *za, float *zb);

/* Mean 0, variance 1, the same on every machine. */
void barlow_fill_noise(uint64_t seed, double *x, int64_t count);

/* |x - expected| / scale, or |x - expected| where scale is 0. */
double barlow_error(const float *x, const double *expected, int64_t count, double scale);

/* A context with exactly the workspace that the call needs. */
gm_context *barlow_context(gm_isa isa, int32_t threads, int64_t n, int64_t d, const gm_barlow_options *o,
                           bool gradients);

/* The library's loss in such a context; the gradients, unless NULL, are filled with NaN first. */
gm_status barlow_loss(gm_isa isa, int32_t threads, int64_t n, int64_t d, const float *za, const float *zb,
                      const gm_barlow_options *o, gm_barlow_result *result, float *dza, float *dzb);

static const gm_barlow_normalization barlow_normalizations[] = {GM_BARLOW_BATCHNORM, GM_BARLOW_UNBIASED,
                                                                GM_BARLOW_COSINE};
static const gm_barlow_form barlow_forms[] = {GM_BARLOW_DUAL, GM_BARLOW_PRIMAL};

/* Columns of +1 and -1, balanced and, up to col = n - 2, orthogonal; n is a power of two. */
double barlow_walsh(int64_t n, int64_t row, int64_t col);

#endif
