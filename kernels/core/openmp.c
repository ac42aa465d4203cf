#include "core/openmp.h"

#ifdef _OPENMP
#include <omp.h>
#include <stdatomic.h>
#include <unistd.h>
#endif

#include "core/core.h"

#ifdef _OPENMP
bool gm_openmp_built(void)
{
    return true;
}

/* The process in which OpenMP first ran; a child forked from it has no workers, and libgomp would wait for them. */
static _Atomic(pid_t) openmp_process;

static bool usable(void)
{
    const pid_t self = getpid();
    pid_t expected = 0;
    return atomic_compare_exchange_strong(&openmp_process, &expected, self) || expected == self;
}

void gm_openmp_run(void *context, int64_t chunks, gm_chunk_body body, void *arg)
{
    if (!usable()) {
        gm_run_serially(chunks, body, arg);
        return;
    }
    const int32_t threads = gm_context_threads(context);
    _Atomic int64_t next = 0;
    /* Always the whole team: libgomp ends and restarts threads when the size changes from region to region. */
#pragma omp parallel num_threads(threads)
    {
        const int worker = omp_get_thread_num();
        int64_t chunk;
        while ((chunk = atomic_fetch_add_explicit(&next, 1, memory_order_relaxed)) < chunks)
            body(arg, chunk, worker);
    }
}
#else
bool gm_openmp_built(void)
{
    return false;
}

void gm_openmp_run(void *context, int64_t chunks, gm_chunk_body body, void *arg)
{
    (void)context;
    gm_run_serially(chunks, body, arg);
}
#endif
