/* Bytes per second of a loop that reads and writes memory in a given mix, out of cache. Request: "2 1 0 4" = arrays
 * read, arrays written, arrays read and written in place, threads. Answer: bytes read and written per second, the
 * faster of storing through the caches and around them; a write counts once, though the processor may read the line
 * before. (To ask for lines ahead in such simple loops costs up to a third of the speed.) */
#include "peers/server.h"
#include "peers/threads.h"

#include "support/operands.h"

#include <gemel/cpu.h>
#include <stdbool.h>
#include <stdio.h>

/* Quads that are summed by themselves: in one sum, each addition would wait for the one before it. */
typedef float quad __attribute__((vector_size(16)));
enum { QUAD = 4, SUMS = 4, STRIP = SUMS * QUAD, ARRAYS = 4, THREADS = 256 };

/* How many arrays are used, in this order: read, written, updated in place. */
typedef struct mix {
    int reads, writes, updates;
    bool stream;
} mix;

typedef struct loop {
    mix mix;
    int threads;
    int64_t count; /* floats in each array, a multiple of STRIP */
    float *array[ARRAYS];
    float sum[THREADS]; /* keeps pure reads alive */
} loop;

static inline void store(float *p, quad v, bool stream)
{
#if defined(__x86_64__)
    if (stream) {
        __builtin_ia32_movntps(p, v);
        return;
    }
#endif
    (void)stream;
    *(quad *)p = v;
}

/* The mix is a constant at every call. Values do not matter, infinite ones take no longer. */
static inline __attribute__((always_inline)) float pass(float *const *array, int64_t begin, int64_t end, mix m)
{
    quad sum[SUMS] = {0};
    const int updated = m.reads + m.writes, used = updated + m.updates;
    for (int64_t i = begin; i < end; i += STRIP) {
        for (int s = 0; s < SUMS; s++) {
            quad v = {0};
            for (int a = 0; a < used; a++)
                if (a < m.reads || a >= updated)
                    v += *(const quad *)(array[a] + i + s * QUAD);
            for (int a = m.reads; a < used; a++)
                store(array[a] + i + s * QUAD, v, m.stream && a < updated);
            if (used == m.reads)
                sum[s] += v;
        }
    }
    const quad all = (sum[0] + sum[1]) + (sum[2] + sum[3]);
    return all[0] + all[1] + all[2] + all[3];
}

static float run(float *const *array, int64_t begin, int64_t end, mix m)
{
    switch (100 * m.reads + 10 * m.writes + m.updates) {
    case 100:
        return pass(array, begin, end, (mix){1, 0, 0, false});
    case 200:
        return pass(array, begin, end, (mix){2, 0, 0, false});
    case 110:
        return m.stream ? pass(array, begin, end, (mix){1, 1, 0, true})
                        : pass(array, begin, end, (mix){1, 1, 0, false});
    case 210:
        return m.stream ? pass(array, begin, end, (mix){2, 1, 0, true})
                        : pass(array, begin, end, (mix){2, 1, 0, false});
    case 220:
        return m.stream ? pass(array, begin, end, (mix){2, 2, 0, true})
                        : pass(array, begin, end, (mix){2, 2, 0, false});
    case 102: /* SGD's */
        return pass(array, begin, end, (mix){1, 0, 2, false});
    case 103: /* Adam's */
        return pass(array, begin, end, (mix){1, 0, 3, false});
    default:
        server_fail("no loop of %d reads, %d writes and %d updates", m.reads, m.writes, m.updates);
    }
}

static void run_share(void *arg, int thread)
{
    loop *l = arg;
    const int64_t strips = l->count / STRIP, begin = STRIP * (strips * thread / l->threads),
                  end = STRIP * (strips * (thread + 1) / l->threads);
    l->sum[thread] = run(l->array, begin, end, l->mix);
    __sync_synchronize(); /* what goes around the caches has arrived, too */
}

static double time_loop(void *arg)
{
    loop *l = arg;
    return threads_time(l->threads, run_share, l);
}

static double answer(const char *request)
{
    static loop l;
    mix *m = &l.mix;
    if (sscanf(request, "%d %d %d %d", &m->reads, &m->writes, &m->updates, &l.threads) != 4)
        server_fail("not a request: %s", request);
    if (l.count == 0) {
        gm_cpu_info cpu = {.size = sizeof cpu};
        gm_cpu_query(&cpu);
        /* Out of cache: each array is more than four times the last level. */
        const int64_t cache = cpu.l3_bytes > cpu.l2_bytes ? cpu.l3_bytes : cpu.l2_bytes;
        l.count = 5 * cache / (int64_t)sizeof(float) / STRIP * STRIP;
        for (int i = 0; i < ARRAYS; i++)
            l.array[i] = bench_floats(l.count, (uint32_t)i);
    }
    m->stream = false;
    double seconds = server_least(time_loop, &l);
    m->stream = true;
    if (m->writes) {
        const double around = server_least(time_loop, &l);
        seconds = around < seconds ? around : seconds;
    }
    return (double)sizeof(float) * (double)l.count * (m->reads + m->writes + 2 * m->updates) / seconds;
}

int main(void)
{
    return server_run(answer);
}
