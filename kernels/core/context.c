#include <stdlib.h>

#include "core/core.h"
#include "core/topology.h"

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

/* OMP_NUM_THREADS may be a list, one number a nesting level; the first one counts. */
static gm_status threads_from_environment(int32_t *threads)
{
    const char *text = getenv("OMP_NUM_THREADS");
    *threads = 0;
    if (!text || !*text)
        return GM_OK;
    char *end;
    const long value = strtol(text, &end, 10);
    while (*end == ' ')
        end++;
    if (end == text || (*end && *end != ',') || value < 1 || value > GM_MOST_THREADS)
        return GM_INVALID_ENVIRONMENT;
    *threads = (int32_t)value;
    return GM_OK;
}

static gm_status choose_threads(const gm_context_options *options, gm_context *context)
{
    if (options->threads < 0 || options->threads > GM_MOST_THREADS)
        return GM_INVALID_ARGUMENT;
    context->threads = 1;
    context->threads_source = "serial";
    if (options->threading == GM_THREADING_SERIAL)
        return GM_OK;
#ifndef _OPENMP
    if (options->threading == GM_THREADING_OPENMP)
        return GM_OK;
#endif
    if (options->threads > 0) {
        context->threads = options->threads;
        context->threads_source = "options";
        return GM_OK;
    }
    const gm_status status = threads_from_environment(&context->threads);
    if (status != GM_OK)
        return status;
    if (context->threads > 0) {
        context->threads_source = "OMP_NUM_THREADS";
        return GM_OK;
    }
    const int32_t cores = gm_physical_cores(), quota = (int32_t)gm_cpu_quota();
    context->threads = gm_cpu_quota() > 0 && quota < cores ? (quota < 1 ? 1 : quota) : cores;
    context->threads_source = context->threads < cores ? "cgroup quota" : "physical cores";
    return GM_OK;
}

static gm_status check_options(const gm_context_options *options)
{
    if (!gm_options_valid(options->size, sizeof *options) || options->threading < GM_THREADING_OPENMP ||
        options->threading > GM_THREADING_INJECTED)
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
    created->threading = options->threading;
    created->parallel_for = options->parallel_for;
    created->pool = options->pool;
    status = choose_isa(options->isa, &created->isa);
    if (status == GM_OK)
        status = choose_threads(options, created);
    if (status == GM_OK)
        status = gm_context_reserve(
            created, options->workspace ? options->workspace : default_workspace_a_thread * (size_t)created->threads);
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
    gm_memory_unmap(context->workspace, context->workspace_size);
    free(context);
}

gm_isa gm_context_isa(const gm_context *context)
{
    return context->isa;
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
    const int64_t most_elements = INT64_MAX / (int64_t)sizeof(double);
    return rows > most_elements / ld ? GM_SIZE_OVERFLOW : GM_OK;
}
