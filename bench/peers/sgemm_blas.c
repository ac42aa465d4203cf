#include "server.h"
#include "sgemm.h"

#include <dlfcn.h>

enum { CBLAS_ROW_MAJOR = 101, CBLAS_NO_TRANS = 111, CBLAS_TRANS = 112 };

typedef void (*cblas_sgemm_fn)(int layout, int ta, int tb, int m, int n, int k, float alpha, const float *a, int lda,
                               const float *b, int ldb, float beta, float *c, int ldc);

static cblas_sgemm_fn cblas_sgemm;

void sgemm_open(int argc, char **argv)
{
    if (argc != 3)
        server_fail("usage: %s LIBRARY SYMBOL", argv[0]);
    void *library = dlopen(argv[1], RTLD_NOW | RTLD_GLOBAL);
    /* ISO C knows no conversion from an object's pointer to a function's; POSIX does. */
    *(void **)&cblas_sgemm = library ? dlsym(library, argv[2]) : NULL;
    if (!cblas_sgemm)
        server_fail("%s", dlerror());
}

void sgemm(bool ta, bool tb, int m, int n, int k, float alpha, const float *a, int lda, const float *b, int ldb,
           float beta, float *c, int ldc)
{
    cblas_sgemm(CBLAS_ROW_MAJOR, ta ? CBLAS_TRANS : CBLAS_NO_TRANS, tb ? CBLAS_TRANS : CBLAS_NO_TRANS, m, n, k, alpha,
                a, lda, b, ldb, beta, c, ldc);
}

size_t sgemm_workspace(bool ta, bool tb, int m, int n, int k)
{
    (void)ta, (void)tb, (void)m, (void)n, (void)k;
    server_fail("a BLAS takes no workspace from its caller");
}
