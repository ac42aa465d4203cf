/* What a parallel loop costs: one chunk a thread, after the caller computed or slept for a while. The counter `loop` is
 * the median time of a loop in seconds, without what was before it. GEMEL_THREADING chooses who runs the loops. */
#include <gemel/context.h>
#include <stdlib.h>
#include <time.h>

#include "shim/bench.h"
#include "support/operands.h"

typedef struct loop {
    int32_t threads;
    int64_t chunk_us;            /* of work in a chunk */
    int64_t compute_us, idle_us; /* of the caller before a loop */
} loop;

static int64_t now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * INT64_C(1000000000) + time.tv_nsec;
}

static void compute(int64_t us)
{
    if (us > 0)
        for (const int64_t end = now() + us * 1000; now() < end;)
            continue;
}

static void idle(int64_t us)
{
    const struct timespec time = {0, us * 1000};
    if (us > 0)
        nanosleep(&time, NULL);
}

static void run_chunk(void *arg, int64_t chunk, int worker)
{
    (void)chunk;
    (void)worker;
    compute(((const loop *)arg)->chunk_us);
}

static int ascending(const void *a, const void *b)
{
    const int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static void run_case(bench_run *run, const void *arg)
{
    enum { MOST = 10000 };
    static int64_t times[MOST];
    loop l = *(const loop *)arg;
    gm_context *context = bench_context(l.threads, 0);
    int64_t count = 0;
    for (; bench_next(run); count++) {
        compute(l.compute_us);
        idle(l.idle_us);
        const int64_t began = now();
        gm_context_parallel_for(context, l.threads, run_chunk, &l);
        times[count % MOST] = now() - began;
    }
    count = count < MOST ? count : MOST;
    qsort(times, (size_t)count, sizeof *times, ascending);
    bench_counter(run, "loop", (double)times[count / 2] * 1e-9);
    gm_context_destroy(context);
}

void bench_setup(void)
{
    static const loop cases[] = {{2, 0, 0, 0},    {2, 0, 10, 0},     {2, 0, 0, 10000},  {2, 20, 0, 0},
                                 {2, 20, 10, 0},  {2, 20, 500, 0},   {2, 20, 1500, 0},  {2, 20, 4000, 0},
                                 {2, 20, 0, 500}, {2, 20, 0, 10000}, {2, 500, 0, 10000}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        bench_register(run_case, &cases[i], "parallel %d x %ld us after %ld us and %ld us idle", cases[i].threads,
                       (long)cases[i].chunk_us, (long)cases[i].compute_us, (long)cases[i].idle_us);
}
