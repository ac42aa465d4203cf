/* Times one matrix product. Request: "N T 256 512 1024" = op(A) op(B) m n k. Answer: seconds. */
#include "sgemm.h"
#include "server.h"

#include "support/operands.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct product {
    char request[256];
    bool ta, tb;
    int m, n, k;
    float *a, *b, *c;
    double last;
} product;

static void prepare(product *p, const char *request)
{
    char ta, tb;
    free(p->a), free(p->b), free(p->c);
    *p = (product){0};
    if (sscanf(request, "%c %c %d %d %d", &ta, &tb, &p->m, &p->n, &p->k) != 5)
        server_fail("not a product: %s", request);
    snprintf(p->request, sizeof p->request, "%s", request);
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
    if (strcmp(request, current.request) != 0)
        prepare(&current, request);
    return server_time(multiply, &current, &current.last);
}

int main(int argc, char **argv)
{
    sgemm_open(argc, argv);
    return server_run(answer);
}
