/* One matrix product, by whoever is linked in: sgemm_gemel.c or, for a library with the C interface of BLAS,
 * sgemm_blas.c.
 */
#ifndef GEMEL_BENCH_SGEMM_H
#define GEMEL_BENCH_SGEMM_H

#include <stdbool.h>
#include <stddef.h>

/* Takes the program's arguments: nothing for Gemel, whose threads follow OMP_NUM_THREADS; the library's file and the
 * name of its cblas_sgemm for BLAS, whose threads follow that library's own variable. */
void sgemm_open(int argc, char **argv);

/* c[m,n] = alpha op(a)[m,k] op(b)[k,n] + beta c, row-major. */
void sgemm(bool ta, bool tb, int m, int n, int k, float alpha, const float *a, int lda, const float *b, int ldb,
           float beta, float *c, int ldc);

/* Bytes of the caller's workspace that such a product needs. */
size_t sgemm_workspace(bool ta, bool tb, int m, int n, int k);

#endif
