/* What every operation's <op>.c needs from its context: threads, workspace and argument checks. */
#ifndef GEMEL_CORE_H
#define GEMEL_CORE_H

#include <gemel/context.h>
#include <gemel/status.h>

#include "core/cpu.h"
#include "core/table.h"

struct gm_context {
    gm_isa isa;
    gm_core_type core_type; /* kept here because cpuid is slow under a hypervisor */
    gm_threading threading;
    int32_t threads;
    const char *threads_source;
    gm_parallel_for_fn parallel_for; /* of more than one thread */
    void *pool;                      /* handed to parallel_for */
    bool in_parallel;                /* a chunk is running: further loops run serially */
    struct gm_kernels kernels;
    char *workspace; /* aligned to 2 MiB */
    size_t workspace_size, workspace_used;
};

enum { GM_CACHE_LINE = 64 };

static inline int64_t gm_min_i64(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static inline int64_t gm_max_i64(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

static inline int64_t gm_ceil_div(int64_t a, int64_t b)
{
    return (a + b - 1) / b;
}

static inline int64_t gm_round_up(int64_t a, int64_t multiple)
{
    return gm_ceil_div(a, multiple) * multiple;
}

/* Bytes that gm_workspace_take() of so many bytes uses up; the sum of these is an operation's workspace. */
static inline size_t gm_workspace_bytes(size_t bytes)
{
    return (bytes + GM_CACHE_LINE - 1) / GM_CACHE_LINE * GM_CACHE_LINE;
}

static inline bool gm_workspace_fits(const gm_context *context, size_t bytes)
{
    return context->workspace_size - context->workspace_used >= bytes;
}

/* Memory until gm_workspace_release(), aligned to 64 bytes, not cleared. The caller has checked that it fits. */
void *gm_workspace_take(gm_context *context, size_t bytes);

/* A point to return to: everything taken since is free again. */
static inline size_t gm_workspace_mark(const gm_context *context)
{
    return context->workspace_used;
}

static inline void gm_workspace_release(gm_context *context, size_t mark)
{
    context->workspace_used = mark;
}

/* Maps at least `bytes` bytes aligned to 2 MiB, with huge pages where the system gives them; NULL without memory. */
void *gm_memory_map(size_t bytes);
void gm_memory_unmap(void *memory, size_t bytes);

/* Runs body for each chunk on the context's threads. The same chunks run whatever the number of threads is, so that
 * results depend on the chunks alone. */
void gm_parallel(gm_context *context, int64_t chunks, gm_chunk_body body, void *arg);

/* Runs body for each chunk in order, as worker 0. */
void gm_run_serially(int64_t chunks, gm_chunk_body body, void *arg);

/* GM_OK if a [rows, cols] matrix of 4-byte elements with this leading dimension is addressable. Empty matrices need no
 * pointer. */
gm_status gm_check_matrix(int64_t rows, int64_t cols, const void *data, int64_t ld);

/* Whether the caller's option structure holds at least the fields up to `known` bytes of this version. */
static inline bool gm_options_valid(size_t size, size_t known)
{
    return size >= known;
}

#endif
