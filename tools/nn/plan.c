/* Greedy by size: the largest buffer first, each at the lowest offset that is free while it lives. The small ones then
 * fill the gaps; for a chain of layers the block comes out as large as the most that lives at one step. Quadratic in
 * the number of buffers, which is a few times the number of layers. */
#include <stdbool.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "nn/plan.h"

enum { UNPLACED = -1 };

static gm_buffer *largest_unplaced(gm_buffer *buffers, int32_t count)
{
    gm_buffer *largest = NULL;
    for (gm_buffer *b = buffers; b < buffers + count; b++)
        if (b->offset == UNPLACED && (!largest || b->bytes > largest->bytes))
            largest = b;
    return largest;
}

static bool in_the_way(const gm_buffer *placed, const gm_buffer *b, int64_t offset)
{
    return placed->offset != UNPLACED && placed->first <= b->last && b->first <= placed->last &&
           placed->offset < gm_size_add(offset, b->bytes) && offset < gm_size_add(placed->offset, placed->bytes);
}

static int64_t lowest_free_offset(const gm_buffer *buffers, int32_t count, const gm_buffer *b)
{
    int64_t offset = 0;
    for (int32_t i = 0; i < count; i++)
        if (in_the_way(&buffers[i], b, offset)) {
            offset = gm_size_align(gm_size_add(buffers[i].offset, buffers[i].bytes));
            i = -1; /* an earlier one may be in the way there */
        }
    return offset;
}

int64_t gm_plan(gm_buffer *buffers, int32_t count)
{
    int64_t total = 0;
    for (int32_t i = 0; i < count; i++) {
        buffers[i].offset = UNPLACED;
        total = gm_size_add(total, gm_size_align(buffers[i].bytes));
    }
    if (total == INT64_MAX)
        return INT64_MAX;
    int64_t size = 0;
    for (gm_buffer *b; (b = largest_unplaced(buffers, count));) {
        b->offset = lowest_free_offset(buffers, count, b);
        const int64_t end = gm_size_align(b->offset + b->bytes);
        size = end > size ? end : size;
    }
    return size;
}

void *gm_block_allocate(int64_t bytes)
{
    const size_t huge_page = 2 << 20, cache_line = 64, size = (size_t)bytes;
    if (size < huge_page)
        return aligned_alloc(cache_line, (size_t)gm_size_align(bytes));
    if (size > PTRDIFF_MAX - huge_page)
        return NULL;
    const size_t rounded = (size + huge_page - 1) / huge_page * huge_page;
    void *block = aligned_alloc(huge_page, rounded);
    if (block)
        madvise(block, rounded, MADV_HUGEPAGE); /* a wish: without huge pages it is only slower */
    return block;
}
