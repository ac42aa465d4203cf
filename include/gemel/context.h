/* A context chooses the kernels, and owns the threads and the workspace of the operations that are called with it. */
#ifndef GEMEL_CONTEXT_H
#define GEMEL_CONTEXT_H

#include <gemel/api.h>
#include <gemel/cpu.h>
#include <gemel/status.h>

GM_BEGIN_DECLS

/* One context serves one calling thread at a time; several contexts are independent of each other. */
typedef struct gm_context gm_context;

/* One piece of a parallel loop: chunk is its number, worker the number in [0, threads) of the thread that runs it. */
typedef void (*gm_chunk_body)(void *arg, int64_t chunk, int worker);

/* Runs body(arg, c, worker) once for every c in [0, chunks) and returns when all are done. Two chunks that run at the
 * same time must get different workers, each below the context's number of threads. */
typedef void (*gm_parallel_for_fn)(void *pool, int64_t chunks, gm_chunk_body body, void *arg);

/* Who runs the parallel loops. */
typedef enum gm_threading {
    GM_THREADING_AUTO = 0, /* the environment variable GEMEL_THREADING (pool, openmp or serial) if set, else a pool */
    GM_THREADING_SERIAL,
    GM_THREADING_INJECTED, /* parallel_for and pool of the options */
    GM_THREADING_POOL,     /* threads of the context's own; idle ones sleep after 2 ms */
    GM_THREADING_OPENMP,   /* for programs with OpenMP teams of their own, if the library was built with OpenMP */
    GM_THREADING_COUNT,
} gm_threading;

/* "auto", "serial", "injected", "pool", "openmp"; NULL for anything else. */
GM_API const char *gm_threading_name(gm_threading threading);

/* Whether the build has it. */
GM_API bool gm_threading_available(gm_threading threading);

typedef struct gm_context_options {
    size_t size; /* sizeof(gm_context_options) */
    gm_isa isa;  /* upper limit; GM_ISA_AUTO: the environment variable GEMEL_ISA, else the best */
    gm_threading threading;
    int32_t threads;                 /* 0: OMP_NUM_THREADS, else physical cores in the affinity mask, capped by the
                                      * cgroup's quota. An explicit number may exceed all of these. */
    gm_parallel_for_fn parallel_for; /* for GM_THREADING_INJECTED, which needs threads > 0 */
    void *pool;                      /* handed to parallel_for */
    size_t workspace;                /* bytes to reserve now; 0: 2 MiB a thread, which serves every gm_gemm_f32() */
} gm_context_options;

static inline gm_context_options gm_context_default_options(void)
{
    gm_context_options options = {sizeof(gm_context_options), GM_ISA_AUTO, GM_THREADING_AUTO, 0, NULL, NULL, 0};
    return options;
}

/* options: NULL for the defaults. Errors: GM_INVALID_ARGUMENT, GM_OUT_OF_MEMORY, GM_UNKNOWN_ISA, GM_UNAVAILABLE_ISA
 * and GM_UNKNOWN_THREADING (never a silent fallback), GM_INVALID_ENVIRONMENT. *context is NULL after an error. */
GM_API gm_status gm_context_create(const gm_context_options *options, gm_context **context);

/* Ends the context's threads; in a child forked since its creation, which has none of them, frees its memory. NULL is
 * allowed. */
GM_API void gm_context_destroy(gm_context *context);

/* Makes the workspace at least this large. It only grows; a larger one serves every operation that needs less.
 * Errors: GM_INVALID_ARGUMENT, GM_OUT_OF_MEMORY (the workspace keeps its size). */
GM_API gm_status gm_context_reserve(gm_context *context, size_t bytes);

GM_API size_t gm_context_workspace(const gm_context *context);
GM_API gm_isa gm_context_isa(const gm_context *context);
GM_API gm_threading gm_context_threading(const gm_context *context); /* never GM_THREADING_AUTO */
GM_API int32_t gm_context_threads(const gm_context *context);

/* Where the number of threads comes from: "options", "OMP_NUM_THREADS", "physical cores", "cgroup quota", "serial". */
GM_API const char *gm_context_threads_source(const gm_context *context);

/* Names the index-th operation and the kernel chosen for it ("gemm", "avx512 14x32"). False when there is none. */
GM_API bool gm_context_kernel(const gm_context *context, int32_t index, const char **operation, const char **kernel);

/* Runs a loop of the caller's on the context's threads, as the operations do: chunks are claimed dynamically, a call
 * from inside a chunk runs serially, and so does a call in a forked child on a context of its parent's. */
GM_API void gm_context_parallel_for(gm_context *context, int64_t chunks, gm_chunk_body body, void *arg);

GM_END_DECLS

#endif
