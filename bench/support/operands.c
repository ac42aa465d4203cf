#include "operands.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

gm_context *bench_context(int32_t threads, size_t workspace)
{
    gm_context_options options = gm_context_default_options();
    options.threads = threads;
    options.workspace = workspace;
    gm_context *context;
    const gm_status status = gm_context_create(&options, &context);
    if (status != GM_OK) {
        fprintf(stderr, "bench: no context for %d threads: %s\n", threads, gm_status_string(status));
        exit(1);
    }
    return context;
}

float *bench_floats(int64_t count, uint32_t seed)
{
    const size_t huge_page = (size_t)2 << 20;
    const size_t bytes = ((size_t)count * sizeof(float) + huge_page - 1) / huge_page * huge_page;
    float *x = bytes < huge_page ? NULL : aligned_alloc(huge_page, bytes);
    if (!x) {
        fprintf(stderr, "bench: no memory for %lld floats\n", (long long)count);
        exit(1);
    }
    madvise(x, bytes, MADV_HUGEPAGE);
    uint32_t random = seed * 2654435769u + 1;
    for (int64_t i = 0; i < count; i++) {
        random = random * 1664525u + 1013904223u;
        x[i] = (float)(int32_t)(random & 0xffffff00u) * 0x1p-31f;
    }
    return x;
}
