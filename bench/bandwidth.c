/* Bytes per second of a loop that reads and writes memory in a given mix, out of cache. Request: "2 1 4" = arrays read,
 * arrays written (at most 2 and 1), threads. Answer: bytes read and written per second; a write counts once, though the
 * processor may read the line before. */
#include "peers/server.h"
#include "peers/threads.h"

#include "support/operands.h"

#include <stdio.h>
#include <stdlib.h>

#include <gemel/cpu.h>

typedef struct mix {
    int reads, writes, threads;
    int64_t count; /* floats in each array */
    float *array[3];
    float sums[256]; /* keeps pure reads alive */
} mix;

static void walk(void *arg, int thread)
{
    mix *m = arg;
    const int64_t begin = m->count * thread / m->threads, end = m->count * (thread + 1) / m->threads;
    const float *a = m->array[0], *b = m->array[1];
    float *c = m->array[2], sum = 0;
    if (m->reads == 0) {
        for (int64_t i = begin; i < end; i++)
            c[i] = 1.0f;
    } else if (m->writes == 0 && m->reads == 1) {
#pragma omp simd reduction(+ : sum)
        for (int64_t i = begin; i < end; i++)
            sum += a[i];
    } else if (m->writes == 0) {
#pragma omp simd reduction(+ : sum)
        for (int64_t i = begin; i < end; i++)
            sum += a[i] * b[i];
    } else if (m->reads == 1) {
        for (int64_t i = begin; i < end; i++)
            c[i] = 2.0f * a[i];
    } else {
        for (int64_t i = begin; i < end; i++)
            c[i] = a[i] + b[i];
    }
    m->sums[thread] = sum;
}

static double answer(const char *request)
{
    static mix m;
    if (sscanf(request, "%d %d %d", &m.reads, &m.writes, &m.threads) != 3 || m.reads < 0 || m.reads > 2 ||
        m.writes < 0 || m.writes > 1 || m.reads + m.writes == 0)
        server_fail("not a request: %s", request);
    if (m.count == 0) {
        gm_cpu_info cpu = {.size = sizeof cpu};
        gm_cpu_query(&cpu);
        /* Out of cache: each array is more than four times the last level. */
        const int64_t cache = cpu.l3_bytes > cpu.l2_bytes ? cpu.l3_bytes : cpu.l2_bytes;
        m.count = 5 * cache / (int64_t)sizeof(float);
        for (int i = 0; i < 3; i++)
            m.array[i] = bench_floats(m.count, (uint32_t)i);
    }
    const double bytes = (double)sizeof(float) * (double)m.count * (m.reads + m.writes);
    return bytes / threads_time(m.threads, walk, &m);
}

int main(void)
{
    return server_run(answer);
}
