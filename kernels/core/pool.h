/* The library's own threads: what runs the parallel loops of GM_THREADING_POOL. Implemented for Linux and POSIX. */
#ifndef GEMEL_POOL_H
#define GEMEL_POOL_H

#include <gemel/context.h>

struct gm_pool;

/* Starts threads - 1 workers, for 1 <= threads <= GM_MOST_THREADS. They take over the affinity of the calling thread
 * and let all signals pass to other threads. Errors: GM_OUT_OF_MEMORY (memory or threads). */
gm_status gm_pool_create(int32_t threads, struct gm_pool **pool);

/* Ends the workers. In a process forked from the one that made the pool it only frees its memory. NULL is allowed. */
void gm_pool_destroy(struct gm_pool *pool);

/* A gm_parallel_for_fn. The caller is worker 0; one caller at a time. Returns when every chunk is done, without waiting
 * for workers that have none: so it is also right where no worker ever runs, as in a forked process. */
void gm_pool_run(void *pool, int64_t chunks, gm_chunk_body body, void *arg);

#endif
