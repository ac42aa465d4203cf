/* The most fused multiply-adds that the machine does: chains in registers, nothing loaded or stored. Request: "avx2 2"
 * = instruction set, threads. Answer: float32 operations per second, two for each multiply-add. */
#include "peers/server.h"
#include "peers/threads.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

/* Independent chains: latency times issue rate is at most 4 x 2 on today's cores. 12 fit the 16 registers of AVX2. */
enum { CHAINS = 12, STEPS = 1000000 };

static const float factor = 0.999f, addend = 1e-3f;

/* The empty asm makes each value opaque, so that no step can be folded into another. */
#define RUN_CHAINS(vector, set1, fma, constraint)                                                                      \
    vector chain[CHAINS];                                                                                              \
    const vector x = set1(factor), y = set1(addend);                                                                   \
    for (int i = 0; i < CHAINS; i++)                                                                                   \
        chain[i] = set1((float)i);                                                                                     \
    for (int64_t step = 0; step < STEPS; step++)                                                                       \
        for (int i = 0; i < CHAINS; i++) {                                                                             \
            vector next = fma(chain[i], x, y);                                                                         \
            __asm__ volatile("" : "+" constraint(next));                                                               \
            chain[i] = next;                                                                                           \
        }

#if defined(__x86_64__)
#include <immintrin.h>

__attribute__((target("avx2,fma"))) static void avx2_chains(void *arg, int thread)
{
    (void)arg, (void)thread;
    RUN_CHAINS(__m256, _mm256_set1_ps, _mm256_fmadd_ps, "x")
}

__attribute__((target("avx512f"))) static void avx512_chains(void *arg, int thread)
{
    (void)arg, (void)thread;
    RUN_CHAINS(__m512, _mm512_set1_ps, _mm512_fmadd_ps, "v")
}
#elif defined(__aarch64__)
#include <arm_neon.h>

static void neon_chains(void *arg, int thread)
{
    (void)arg, (void)thread;
    RUN_CHAINS(float32x4_t, vdupq_n_f32, vfmaq_f32, "w")
}
#endif

typedef struct kind {
    const char *isa;
    int lanes;
    void (*chains)(void *arg, int thread);
} kind;

static const kind kinds[] = {
#if defined(__x86_64__)
    {"avx2", 8, avx2_chains},
    {"avx512", 16, avx512_chains},
#elif defined(__aarch64__)
    {"neon", 4, neon_chains},
#endif
};

typedef struct team {
    const kind *kind;
    int threads;
} team;

static double time_chains(void *arg)
{
    const team *t = arg;
    return threads_time(t->threads, t->kind->chains, NULL);
}

static double answer(const char *request)
{
    char isa[16];
    team t;
    if (sscanf(request, "%15s %d", isa, &t.threads) == 2)
        for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
            if (!strcmp(isa, kinds[i].isa)) {
                t.kind = &kinds[i];
                return 2.0 * CHAINS * STEPS * kinds[i].lanes * t.threads / server_least(time_chains, &t);
            }
    server_fail("not a request: %s", request);
}

int main(void)
{
    return server_run(answer);
}
