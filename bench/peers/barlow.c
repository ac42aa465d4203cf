/* Times the Barlow Twins loss, forward and backward. Requests: "time N D" (seconds), "loss N D" (its value), "gradient
 * N D" (the norm of both gradients) and "memory N D" (bytes of peak memory beyond inputs and gradients; asked of a
 * fresh process). */
#include "barlow.h"
#include "server.h"

#include "support/operands.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct embeddings {
    int64_t n, d;
    float *za, *zb, *dza, *dzb;
    double seconds, loss;
} embeddings;

static void prepare(embeddings *e, int64_t n, int64_t d)
{
    free(e->za), free(e->zb), free(e->dza), free(e->dzb);
    *e = (embeddings){.n = n, .d = d};
    e->za = bench_floats(n * d, 11);
    e->zb = bench_floats(n * d, 12);
    e->dza = bench_floats(n * d, 13);
    e->dzb = bench_floats(n * d, 14);
    /* Two views of the same samples agree to some degree. */
    for (int64_t i = 0; i < n * d; i++)
        e->zb[i] = 0.5f * e->za[i] + e->zb[i];
}

static void run(void *arg)
{
    embeddings *e = arg;
    e->loss = barlow_loss(e->n, e->d, e->za, e->zb, e->dza, e->dzb);
}

static double gradient_norm(const embeddings *e)
{
    double sum = 0;
    for (int64_t i = 0; i < e->n * e->d; i++)
        sum += (double)e->dza[i] * e->dza[i] + (double)e->dzb[i] * e->dzb[i];
    return sqrt(sum);
}

static double answer(const char *request)
{
    static embeddings current;
    char what[16];
    long n, d;
    if (sscanf(request, "%15s %ld %ld", what, &n, &d) != 3)
        server_fail("not a request: %s", request);
    if (n != current.n || d != current.d)
        prepare(&current, n, d);
    if (!strcmp(what, "time"))
        return server_time(run, &current, &current.seconds);
    server_reset_peak();
    const size_t before = server_resident();
    run(&current);
    if (!strcmp(what, "memory"))
        return (double)(server_peak() - before);
    if (!strcmp(what, "loss"))
        return current.loss;
    if (!strcmp(what, "gradient"))
        return gradient_norm(&current);
    server_fail("not a request: %s", request);
}

int main(int argc, char **argv)
{
    barlow_open(argc, argv);
    return server_run(answer);
}
