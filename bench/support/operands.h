/* What every benchmark needs: a context and matrices. These functions end the program with a message when they fail. */
#ifndef GEMEL_BENCH_OPERANDS_H
#define GEMEL_BENCH_OPERANDS_H

#include <gemel/context.h>

#include <stddef.h>
#include <stdint.h>

/* A context of that many threads (0: the default number) on the best instruction set, or on GEMEL_ISA's, with
 * workspace bytes reserved. Free it with gm_context_destroy(). */
gm_context *bench_context(int32_t threads, size_t workspace);

/* count floats uniform in [-1, 1), the same for the same seed, aligned to 2 MiB so that huge pages can serve them.
 * Free them with free(). */
float *bench_floats(int64_t count, uint32_t seed);

#endif
