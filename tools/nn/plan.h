/* One block of memory for everything that a computation needs, laid out before it runs. */
#ifndef GEMEL_PLAN_H
#define GEMEL_PLAN_H

#include <stdint.h>

/* A piece of memory that is in use from step `first` to step `last` of a schedule, both included. */
typedef struct gm_buffer {
    int64_t bytes;
    int32_t first, last;
    int64_t offset; /* from the start of the block, a multiple of 64; set by gm_plan() */
} gm_buffer;

/* Gives every buffer its offset such that no two buffers in use at the same step overlap, and returns the size of the
 * block in bytes; INT64_MAX when a size or the sum of them is not representable. */
int64_t gm_plan(gm_buffer *buffers, int32_t count);

/* Memory aligned for gm_plan()'s offsets and not cleared, on huge pages where the system gives them; free() it.
 * NULL without memory. */
void *gm_block_allocate(int64_t bytes);

/* Sizes that stay at INT64_MAX once they have reached it, so that one check at the end finds every overflow. */
static inline int64_t gm_size_mul(int64_t a, int64_t b)
{
    int64_t product;
    return __builtin_mul_overflow(a, b, &product) ? INT64_MAX : product;
}

static inline int64_t gm_size_add(int64_t a, int64_t b)
{
    int64_t sum;
    return __builtin_add_overflow(a, b, &sum) ? INT64_MAX : sum;
}

static inline int64_t gm_size_align(int64_t a)
{
    const int64_t up = gm_size_add(a, 63);
    return up == INT64_MAX ? up : up / 64 * 64;
}

#endif
