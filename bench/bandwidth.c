/* Bytes per second of a loop that reads and writes memory in a given mix, out of cache. Request: "2 1 4" = arrays read,
 * arrays written (at most 2 and 1), threads. Answer: bytes read and written per second, the faster of storing through
 * the caches and around them; a write counts once, though the processor may read the line before. */
#include "peers/server.h"
#include "peers/threads.h"

#include "support/operands.h"

#include <gemel/cpu.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

/* Several sums at once: in one, each addition would wait for the one before it. */
typedef float quad __attribute__((vector_size(16)));
enum { SUMS = 4, STRIP = SUMS * 4 };

typedef struct mix {
    int reads, writes, threads;
    bool stream;
    int64_t count; /* floats in each array, a multiple of STRIP */
    float *array[3];
    float sum[256]; /* keeps pure reads alive */
} mix;

static float total(quad a, quad b, quad c, quad d)
{
    const quad sum = (a + b) + (c + d);
    return sum[0] + sum[1] + sum[2] + sum[3];
}

static float read_one(const float *a, int64_t begin, int64_t end)
{
    quad sum0 = {0}, sum1 = {0}, sum2 = {0}, sum3 = {0};
    for (int64_t i = begin; i < end; i += STRIP) {
        const quad *x = (const quad *)(a + i);
        sum0 += x[0];
        sum1 += x[1];
        sum2 += x[2];
        sum3 += x[3];
    }
    return total(sum0, sum1, sum2, sum3);
}

static float read_two(const float *a, const float *b, int64_t begin, int64_t end)
{
    quad sum0 = {0}, sum1 = {0}, sum2 = {0}, sum3 = {0};
    for (int64_t i = begin; i < end; i += STRIP) {
        const quad *x = (const quad *)(a + i), *y = (const quad *)(b + i);
        sum0 += x[0] * y[0];
        sum1 += x[1] * y[1];
        sum2 += x[2] * y[2];
        sum3 += x[3] * y[3];
    }
    return total(sum0, sum1, sum2, sum3);
}

static void write_through(float *c, const float *a, const float *b, int64_t begin, int64_t end)
{
    for (int64_t i = begin; i < end; i++)
        c[i] = a && b ? a[i] + b[i] : a ? a[i] + 1.0f : 1.0f;
}

#if defined(__x86_64__)
#include <xmmintrin.h>

static void write_around(float *c, const float *a, const float *b, int64_t begin, int64_t end)
{
    const __m128 one = _mm_set1_ps(1.0f);
    for (int64_t i = begin; i < end; i += 4) {
        const __m128 x = a ? _mm_load_ps(a + i) : one;
        _mm_stream_ps(c + i, a ? _mm_add_ps(x, b ? _mm_load_ps(b + i) : one) : one);
    }
    _mm_sfence();
}
#else
static void write_around(float *c, const float *a, const float *b, int64_t begin, int64_t end)
{
    write_through(c, a, b, begin, end);
}
#endif

static void walk(void *arg, int thread)
{
    mix *m = arg;
    const int64_t strips = m->count / STRIP, begin = STRIP * (strips * thread / m->threads),
                  end = STRIP * (strips * (thread + 1) / m->threads);
    const float *a = m->reads > 0 ? m->array[0] : NULL, *b = m->reads > 1 ? m->array[1] : NULL;
    if (m->writes)
        (m->stream ? write_around : write_through)(m->array[2], a, b, begin, end);
    else
        m->sum[thread] = b ? read_two(a, b, begin, end) : read_one(a, begin, end);
}

static double time_walk(void *arg)
{
    mix *m = arg;
    return threads_time(m->threads, walk, m);
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
        m.count = 5 * cache / (int64_t)sizeof(float) / STRIP * STRIP;
        for (int i = 0; i < 3; i++)
            m.array[i] = bench_floats(m.count, (uint32_t)i);
    }
    m.stream = false;
    double seconds = server_least(time_walk, &m);
    m.stream = true;
    if (m.writes) {
        const double around = server_least(time_walk, &m);
        seconds = around < seconds ? around : seconds;
    }
    return (double)sizeof(float) * (double)m.count * (m.reads + m.writes) / seconds;
}

int main(void)
{
    return server_run(answer);
}
