/* Who runs a context's parallel loops, and how many threads. */
#ifndef GEMEL_THREADS_H
#define GEMEL_THREADS_H

#include "core/core.h"

/* Sets the context's threading, number of threads and where that comes from. Errors: GM_INVALID_ARGUMENT,
 * GM_UNKNOWN_THREADING, GM_INVALID_ENVIRONMENT. */
gm_status gm_threads_choose(const gm_context_options *options, gm_context *context);

/* Sets what gm_parallel() calls, and starts the threads. Errors: GM_OUT_OF_MEMORY. */
gm_status gm_threads_start(const gm_context_options *options, gm_context *context);

/* The reverse, also of a context whose start failed. */
void gm_threads_end(gm_context *context);

#endif
