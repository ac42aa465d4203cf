/* The products beside gm_gemm_f32() and what each of them replaces. Requests: "call syrk N T 256 256 1024" and "instead
 * syrk N T 256 256 1024" (seconds), with a product of the table below and op(A) op(B) m n k; a batch
 * has 64 of them. */
#include "server.h"

#include "support/operands.h"

#include <gemel/bias_relu.h>
#include <gemel/gemm.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct product {
    char request[128];
    gm_context *context;
    gm_transpose ta, tb;
    int64_t m, n, k, lda, ldb;
    int64_t count;
    float *a, *b, *c, *bias;
    gm_gemm_packed *packed;
    gm_status (*run)(const struct product *p);
    double last;
} product;

static gm_status syrk(const product *p)
{
    return gm_syrk_f32(p->context, p->ta, p->m, p->k, 1.0f, p->a, p->lda, 0.0f, p->c, p->n);
}

static gm_status syrk_instead(const product *p)
{
    return gm_gemm_f32(p->context, p->ta, p->tb, p->m, p->m, p->k, 1.0f, p->a, p->lda, p->a, p->lda, 0.0f, p->c, p->n);
}

static gm_status gemm(const product *p)
{
    return gm_gemm_f32(p->context, p->ta, p->tb, p->m, p->n, p->k, 1.0f, p->a, p->lda, p->b, p->ldb, 0.0f, p->c, p->n);
}

static gm_status fused(const product *p)
{
    gm_gemm_options options = gm_gemm_default_options();
    options.bias = p->bias;
    options.relu = true;
    return gm_gemm_fused_f32(p->context, p->ta, p->tb, p->m, p->n, p->k, 1.0f, p->a, p->lda, p->b, p->ldb, 0.0f, p->c,
                             p->n, &options);
}

static gm_status fused_instead(const product *p)
{
    const gm_status status = gemm(p);
    return status != GM_OK ? status
                           : gm_bias_relu_forward_f32(p->context, p->m, p->n, p->c, p->n, p->bias, true, p->c, p->n);
}

static gm_status packed(const product *p)
{
    return gm_gemm_packed_f32(p->context, p->ta, p->m, p->n, p->k, 1.0f, p->a, p->lda, p->packed, 0.0f, p->c, p->n,
                              NULL);
}

static gm_status batch(const product *p)
{
    return gm_gemm_batch_f32(p->context, p->ta, p->tb, p->count, p->m, p->n, p->k, 1.0f, p->a, p->lda, p->m * p->k,
                             p->b, p->ldb, p->k * p->n, 0.0f, p->c, p->n, p->m * p->n);
}

static gm_status batch_instead(const product *p)
{
    gm_status status = GM_OK;
    for (int64_t i = 0; i < p->count && status == GM_OK; i++)
        status = gm_gemm_f32(p->context, p->ta, p->tb, p->m, p->n, p->k, 1.0f, p->a + i * p->m * p->k, p->lda,
                             p->b + i * p->k * p->n, p->ldb, 0.0f, p->c + i * p->m * p->n, p->n);
    return status;
}

static const struct {
    const char *name;
    gm_status (*call)(const product *p);
    gm_status (*instead)(const product *p);
} products[] = {
    {"syrk", syrk, syrk_instead},
    {"fused", fused, fused_instead},
    {"packed", packed, gemm},
    {"batch", batch, batch_instead},
};

enum { BATCH = 64 };

static void release(product *p)
{
    free(p->a), free(p->b), free(p->c), free(p->bias), free(p->packed);
    gm_context_destroy(p->context);
    *p = (product){0};
}

static void prepare(product *p, const char *request)
{
    char what[16], name[16], ta, tb;
    release(p);
    if (sscanf(request, "%15s %15s %c %c %ld %ld %ld", what, name, &ta, &tb, &p->m, &p->n, &p->k) != 7)
        server_fail("not a request: %s", request);
    snprintf(p->request, sizeof p->request, "%s", request);
    for (size_t i = 0; i < sizeof products / sizeof *products; i++)
        if (!strcmp(name, products[i].name))
            p->run = strcmp(what, "call") ? products[i].instead : products[i].call;
    if (!p->run)
        server_fail("not a product: %s", name);
    p->ta = ta == 'T' ? GM_TRANSPOSE : GM_NO_TRANSPOSE;
    p->tb = tb == 'T' ? GM_TRANSPOSE : GM_NO_TRANSPOSE;
    p->lda = p->ta ? p->m : p->k;
    p->ldb = p->tb ? p->k : p->n;
    p->context = bench_context(0, 0);
    p->count = p->run == batch || p->run == batch_instead ? BATCH : 1;
    p->a = bench_floats(p->count * p->m * p->k, 1);
    p->b = bench_floats(p->count * p->k * p->n, 2);
    p->c = bench_floats(p->count * p->m * p->n, 3);
    p->bias = bench_floats(p->n, 4);
    p->packed = malloc(gm_gemm_packed_f32_size(p->context, p->n, p->k));
    if (!p->packed || gm_gemm_pack_f32(p->context, p->tb, p->n, p->k, p->b, p->ldb, p->packed) != GM_OK)
        server_fail("cannot pack %s", request);
}

static void run(void *arg)
{
    const product *p = arg;
    const gm_status status = p->run(p);
    if (status != GM_OK)
        server_fail("%s: %s", p->request, gm_status_string(status));
}

static double answer(const char *request)
{
    static product current;
    if (strcmp(request, current.request) != 0)
        prepare(&current, request);
    return server_time(run, &current, &current.last);
}

int main(int argc, char **argv)
{
    if (argc != 1)
        server_fail("usage: %s", argv[0]);
    return server_run(answer);
}
