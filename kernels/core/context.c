#include <stdlib.h>

#include "core/core.h"
#include "core/threads.h"

static const size_t default_workspace_a_thread = 2 << 20;

static gm_isa best_isa(void)
{
    for (int isa = GM_ISA_COUNT - 1; isa > GM_ISA_SCALAR; isa--)
        if (gm_isa_available((gm_isa)isa))
            return (gm_isa)isa;
    return GM_ISA_SCALAR;
}

static gm_status choose_isa(gm_isa asked, gm_isa *isa)
{
    const char *name = getenv("GEMEL_ISA");
    if (asked == GM_ISA_AUTO) {
        if (!name || !*name) {
            *isa = best_isa();
            return GM_OK;
        }
        const gm_status status = gm_isa_from_name(name, &asked);
        if (status != GM_OK)
            return status;
    }
    if (!gm_isa_name(asked))
        return GM_UNKNOWN_ISA;
    if (!gm_isa_available(asked))
        return GM_UNAVAILABLE_ISA;
    *isa = asked;
    return GM_OK;
}

static gm_status check_options(const gm_context_options *options)
{
    if (!gm_options_valid(options->size, sizeof *options) || !gm_threading_name(options->threading))
        return GM_INVALID_ARGUMENT;
    if (options->threading == GM_THREADING_INJECTED && (!options->parallel_for || options->threads < 1))
        return GM_INVALID_ARGUMENT;
    return GM_OK;
}

gm_status gm_context_create(const gm_context_options *options, gm_context **context)
{
    if (!context)
        return GM_INVALID_ARGUMENT;
    *context = NULL;
    const gm_context_options defaults = gm_context_default_options();
    if (!options)
        options = &defaults;
    gm_status status = check_options(options);
    if (status != GM_OK)
        return status;
    gm_context *created = calloc(1, sizeof *created);
    if (!created)
        return GM_OUT_OF_MEMORY;
    created->core_type = gm_cpu_core_type();
    status = choose_isa(options->isa, &created->isa);
    if (status == GM_OK)
        status = gm_threads_choose(options, created);
    if (status == GM_OK)
        status = gm_context_reserve(
            created, options->workspace ? options->workspace : default_workspace_a_thread * (size_t)created->threads);
    if (status == GM_OK)
        status = gm_threads_start(options, created);
    if (status != GM_OK) {
        gm_context_destroy(created);
        return status;
    }
    gm_table_fill(&created->kernels, created->isa);
    *context = created;
    return GM_OK;
}

void gm_context_destroy(gm_context *context)
{
    if (!context)
        return;
    gm_threads_end(context);
    gm_memory_unmap(context->workspace, context->workspace_size);
    free(context);
}

gm_isa gm_context_isa(const gm_context *context)
{
    return context->isa;
}

gm_threading gm_context_threading(const gm_context *context)
{
    return context->threading;
}

int32_t gm_context_threads(const gm_context *context)
{
    return context->threads;
}

const char *gm_context_threads_source(const gm_context *context)
{
    return context->threads_source;
}

bool gm_context_kernel(const gm_context *context, int32_t index, const char **operation, const char **kernel)
{
    return context && operation && kernel && gm_table_entry(&context->kernels, index, operation, kernel);
}

gm_status gm_check_matrix(int64_t rows, int64_t cols, const void *data, int64_t ld)
{
    if (rows < 0 || cols < 0 || ld < cols || ld < 1)
        return GM_INVALID_ARGUMENT;
    if (rows == 0 || cols == 0)
        return GM_OK;
    if (!data)
        return GM_INVALID_ARGUMENT;
    int64_t bytes;
    return __builtin_mul_overflow(rows, ld, &bytes) || __builtin_mul_overflow(bytes, (int64_t)sizeof(double), &bytes)
               ? GM_SIZE_OVERFLOW
               : GM_OK;
}
