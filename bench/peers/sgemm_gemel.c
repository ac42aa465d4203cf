#include "server.h"
#include "sgemm.h"

#include "support/operands.h"

#include <gemel/gemm.h>

static gm_context *context;

void sgemm_open(int argc, char **argv)
{
    if (argc != 1)
        server_fail("usage: %s", argv[0]);
    context = bench_context(0, 0);
}

void sgemm(bool ta, bool tb, int m, int n, int k, float alpha, const float *a, int lda, const float *b, int ldb,
           float beta, float *c, int ldc)
{
    const gm_status status =
        gm_gemm_f32(context, ta ? GM_TRANSPOSE : GM_NO_TRANSPOSE, tb ? GM_TRANSPOSE : GM_NO_TRANSPOSE, m, n, k, alpha,
                    a, lda, b, ldb, beta, c, ldc);
    if (status != GM_OK)
        server_fail("gm_gemm_f32: %s", gm_status_string(status));
}
