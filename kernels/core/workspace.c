#include <assert.h>
#include <sys/mman.h>

#include "core/core.h"

enum { GM_HUGE_PAGE = 2 << 20, GM_PAGE = 4096 };

static size_t map_length(size_t bytes)
{
    return (bytes + GM_PAGE - 1) / GM_PAGE * GM_PAGE;
}

void *gm_memory_map(size_t bytes)
{
    if (bytes > SIZE_MAX / 2)
        return NULL;
    const size_t length = map_length(bytes), mapped = length + GM_HUGE_PAGE;
    char *memory = mmap(NULL, mapped, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED)
        return NULL;
    const size_t before = (GM_HUGE_PAGE - (uintptr_t)memory % GM_HUGE_PAGE) % GM_HUGE_PAGE;
    if (before)
        munmap(memory, before);
    munmap(memory + before + length, mapped - before - length);
    memory += before;
    if (length >= GM_HUGE_PAGE)
        madvise(memory, length, MADV_HUGEPAGE); /* a wish: without huge pages it is only slower */
    return memory;
}

void gm_memory_unmap(void *memory, size_t bytes)
{
    if (memory)
        munmap(memory, map_length(bytes));
}

void *gm_workspace_take(gm_context *context, size_t bytes)
{
    const size_t taken = gm_workspace_bytes(bytes);
    assert(gm_workspace_fits(context, taken));
    void *memory = context->workspace + context->workspace_used;
    context->workspace_used += taken;
    return memory;
}

gm_status gm_context_reserve(gm_context *context, size_t bytes)
{
    if (!context)
        return GM_INVALID_ARGUMENT;
    if (bytes <= context->workspace_size)
        return GM_OK;
    char *larger = gm_memory_map(bytes);
    if (!larger)
        return GM_OUT_OF_MEMORY;
    gm_memory_unmap(context->workspace, context->workspace_size);
    context->workspace = larger;
    context->workspace_size = bytes;
    return GM_OK;
}

size_t gm_context_workspace(const gm_context *context)
{
    return context ? context->workspace_size : 0;
}
