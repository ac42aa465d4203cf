#include "core/threads.h"

#include <stdlib.h>
#include <string.h>

#include "core/openmp.h"
#include "core/pool.h"
#include "core/topology.h"

static const char *const names[GM_THREADING_COUNT] = {[GM_THREADING_AUTO] = "auto",
                                                      [GM_THREADING_SERIAL] = "serial",
                                                      [GM_THREADING_INJECTED] = "injected",
                                                      [GM_THREADING_POOL] = "pool",
                                                      [GM_THREADING_OPENMP] = "openmp"};

const char *gm_threading_name(gm_threading threading)
{
    return (int)threading >= 0 && threading < GM_THREADING_COUNT ? names[threading] : NULL;
}

bool gm_threading_available(gm_threading threading)
{
    return gm_threading_name(threading) && (threading != GM_THREADING_OPENMP || gm_openmp_built());
}

/* A pool to inject, or the choice itself, cannot be named by a variable. */
static gm_status threading_from_name(const char *name, gm_threading *threading)
{
    static const gm_threading choices[] = {GM_THREADING_POOL, GM_THREADING_OPENMP, GM_THREADING_SERIAL};
    for (size_t i = 0; i < sizeof choices / sizeof *choices; i++) {
        if (strcmp(name, names[choices[i]]) == 0) {
            *threading = choices[i];
            return GM_OK;
        }
    }
    return GM_UNKNOWN_THREADING;
}

static gm_status choose_threading(gm_threading asked, gm_threading *threading)
{
    *threading = asked;
    if (asked == GM_THREADING_AUTO) {
        const char *name = getenv("GEMEL_THREADING");
        const gm_status status = threading_from_name(name && *name ? name : "pool", threading);
        if (status != GM_OK)
            return status;
    }
    return gm_threading_available(*threading) ? GM_OK : GM_UNKNOWN_THREADING;
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

gm_status gm_threads_choose(const gm_context_options *options, gm_context *context)
{
    if (options->threads < 0 || options->threads > GM_MOST_THREADS)
        return GM_INVALID_ARGUMENT;
    gm_status status = choose_threading(options->threading, &context->threading);
    if (status != GM_OK)
        return status;
    context->threads = 1;
    context->threads_source = "serial";
    if (context->threading == GM_THREADING_SERIAL)
        return GM_OK;
    if (options->threads > 0) {
        context->threads = options->threads;
        context->threads_source = "options";
        return GM_OK;
    }
    status = threads_from_environment(&context->threads);
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

static gm_status start_pool(gm_context *context)
{
    struct gm_pool *pool;
    const gm_status status = gm_pool_create(context->threads, &pool);
    context->parallel_for = gm_pool_run;
    context->pool = pool;
    return status;
}

gm_status gm_threads_start(const gm_context_options *options, gm_context *context)
{
    switch (context->threading) {
    case GM_THREADING_INJECTED:
        context->parallel_for = options->parallel_for;
        context->pool = options->pool;
        return GM_OK;
    case GM_THREADING_OPENMP:
        context->parallel_for = gm_openmp_run;
        context->pool = context;
        return GM_OK;
    case GM_THREADING_POOL:
        return start_pool(context);
    default:
        return GM_OK; /* a single thread needs nobody */
    }
}

void gm_threads_end(gm_context *context)
{
    if (context->threading == GM_THREADING_POOL)
        gm_pool_destroy(context->pool);
}
