/* One matrix product. Requests, N T 256 512 1024 being op(A) op(B) m n k: "time N T 256 512 1024" (seconds), "memory N
 * T 256 512 1024" (bytes of peak memory beyond the operands; asked of a fresh process) and "workspace N T 256 512 1024"
 * (bytes that the call asks its context for; of Gemel only). */
#include "sgemm.h"
#include "server.h"

#include "support/operands.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct product {
    char shape[64];
    bool ta, tb;
    int m, n, k;
    float *a, *b, *c;
    double last;
} product;

static void prepare(product *p, const char *shape)
{
    char ta, tb;
    free(p->a), free(p->b), free(p->c);
    *p = (product){0};
    if (sscanf(shape, "%c %c %d %d %d", &ta, &tb, &p->m, &p->n, &p->k) != 5)
        server_fail("not a product: %s", shape);
    snprintf(p->shape, sizeof p->shape, "%s", shape);
    p->ta = ta == 'T';
    p->tb = tb == 'T';
    p->a = bench_floats((int64_t)p->m * p->k, 1);
    p->b = bench_floats((int64_t)p->k * p->n, 2);
    p->c = bench_floats((int64_t)p->m * p->n, 3);
}

static void multiply(void *arg)
{
    const product *p = arg;
    sgemm(p->ta, p->tb, p->m, p->n, p->k, 1.0f, p->a, p->ta ? p->m : p->k, p->b, p->tb ? p->k : p->n, 0.0f, p->c, p->n);
}

static double answer(const char *request)
{
    static product current;
    char what[SERVER_WORD];
    const char *rest = server_first_word(request, what);
    if (strcmp(rest, current.shape) != 0)
        prepare(&current, rest);
    if (!strcmp(what, "time"))
        return server_time(multiply, &current, &current.last);
    if (!strcmp(what, "workspace"))
        return (double)sgemm_workspace(current.ta, current.tb, current.m, current.n, current.k);
    if (strcmp(what, "memory") != 0)
        server_fail("not a request: %s", request);
    server_reset_peak();
    const size_t before = server_resident();
    multiply(&current);
    return (double)(server_peak() - before);
}

int main(int argc, char **argv)
{
    sgemm_open(argc, argv);
    return server_run(answer);
}
