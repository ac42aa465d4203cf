/* Parallel loops on OpenMP's threads, for programs that have teams of their own. */
#ifndef GEMEL_OPENMP_H
#define GEMEL_OPENMP_H

#include <gemel/context.h>

bool gm_openmp_built(void);

/* A gm_parallel_for_fn whose pool is the gm_context. Serial in a forked child, and where the build has no OpenMP. */
void gm_openmp_run(void *context, int64_t chunks, gm_chunk_body body, void *arg);

#endif
