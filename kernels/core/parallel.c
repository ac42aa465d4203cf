#if defined(__x86_64__)
#include <xmmintrin.h>
#endif

#include "core/core.h"

/* Rounding and flush-to-zero state, which workers do not take over from the thread that starts a region. */
static inline uint64_t float_state(void)
{
#if defined(__x86_64__)
    return _mm_getcsr();
#elif defined(__aarch64__)
    uint64_t fpcr;
    __asm__ volatile("mrs %0, fpcr" : "=r"(fpcr));
    return fpcr;
#else
    return 0;
#endif
}

static inline void set_float_state(uint64_t state)
{
#if defined(__x86_64__)
    const unsigned exception_flags = 0x3f; /* differ from thread to thread and do not matter */
    if ((_mm_getcsr() ^ (unsigned)state) & ~exception_flags)
        _mm_setcsr((unsigned)state);
#elif defined(__aarch64__)
    __asm__ volatile("msr fpcr, %0" : : "r"(state));
#else
    (void)state;
#endif
}

void gm_run_serially(int64_t chunks, gm_chunk_body body, void *arg)
{
    for (int64_t chunk = 0; chunk < chunks; chunk++)
        body(arg, chunk, 0);
}

struct state_carrier {
    gm_chunk_body body;
    void *arg;
    uint64_t state;
};

static void run_with_state(void *arg, int64_t chunk, int worker)
{
    const struct state_carrier *carrier = arg;
    const uint64_t own = float_state();
    set_float_state(carrier->state);
    carrier->body(carrier->arg, chunk, worker);
    set_float_state(own);
}

void gm_parallel(gm_context *context, int64_t chunks, gm_chunk_body body, void *arg)
{
    if (chunks <= 1 || context->threads == 1 || context->in_parallel) {
        gm_run_serially(chunks, body, arg);
        return;
    }
    struct state_carrier carrier = {body, arg, float_state()};
    context->in_parallel = true;
    context->parallel_for(context->pool, chunks, run_with_state, &carrier);
    context->in_parallel = false;
}

void gm_context_parallel_for(gm_context *context, int64_t chunks, gm_chunk_body body, void *arg)
{
    gm_parallel(context, chunks, body, arg);
}
