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

static gm_transpose transpose(bool yes)
{
    return yes ? GM_TRANSPOSE : GM_NO_TRANSPOSE;
}

void sgemm(bool ta, bool tb, int m, int n, int k, float alpha, const float *a, int lda, const float *b, int ldb,
           float beta, float *c, int ldc)
{
    const gm_status status =
        gm_gemm_f32(context, transpose(ta), transpose(tb), m, n, k, alpha, a, lda, b, ldb, beta, c, ldc);
    if (status != GM_OK)
        server_fail("gm_gemm_f32: %s", gm_status_string(status));
}

size_t sgemm_workspace(bool ta, bool tb, int m, int n, int k)
{
    return gm_gemm_f32_workspace(context, transpose(ta), transpose(tb), m, n, k);
}
