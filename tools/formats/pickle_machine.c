#include "formats/pickle_machine.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/file.h"

enum { MOST_MEMO = 1 << 20, ITEMS_PER_VALUE = 4 };

/* Ends the machine with a message; false, for callers to return. */
__attribute__((format(printf, 2, 3))) bool gm_machine_refuse(gm_machine *m, const char *format, ...)
{
    char reason[512];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(reason, sizeof reason, format, arguments);
    va_end(arguments);
    m->status = gm_error_set(m->error, GM_BAD_DATA, "%s: pickle, before byte %lld: %s", m->name,
                             (long long)(m->next - m->bytes), reason);
    return false;
}

bool gm_machine_push_index(gm_machine *m, uint32_t index)
{
    if (m->depth == m->most_values)
        return gm_machine_refuse(m, "too many values on the stack");
    m->stack[m->depth++] = index;
    return true;
}

bool gm_machine_push(gm_machine *m, gm_pickle_value value)
{
    if (m->values == m->most_values)
        return gm_machine_refuse(m, "more than %d values", GM_PICKLE_MOST_VALUES);
    *gm_machine_value(m, m->values) = value;
    return gm_machine_push_index(m, m->values++);
}

bool gm_machine_push_kind(gm_machine *m, gm_pickle_kind kind)
{
    return gm_machine_push(m, (gm_pickle_value){.kind = kind});
}

bool gm_machine_push_integer(gm_machine *m, gm_pickle_kind kind, int64_t integer)
{
    return gm_machine_push(m, (gm_pickle_value){.kind = kind, .integer = integer});
}

/* The lowest place that the present mark leaves free to be taken. */
static uint32_t floor_of_stack(const gm_machine *m)
{
    return m->mark_count ? m->marks[m->mark_count - 1] : 0;
}

bool gm_machine_pop(gm_machine *m, uint32_t *index)
{
    *index = 0;
    if (m->depth == floor_of_stack(m))
        return gm_machine_refuse(m, "takes from an empty stack");
    *index = m->stack[--m->depth];
    return true;
}

bool gm_machine_top(gm_machine *m, uint32_t *index)
{
    if (!gm_machine_pop(m, index))
        return false;
    m->depth++;
    return true;
}

bool gm_machine_push_mark(gm_machine *m)
{
    if (m->mark_count == GM_MACHINE_MOST_MARKS)
        return gm_machine_refuse(m, "nested deeper than %d", GM_MACHINE_MOST_MARKS);
    m->marks[m->mark_count++] = m->depth;
    return true;
}

bool gm_machine_pop_mark(gm_machine *m, uint32_t *count)
{
    *count = 0;
    if (m->mark_count == 0)
        return gm_machine_refuse(m, "takes a mark that is not there");
    const uint32_t mark = m->marks[--m->mark_count];
    *count = m->depth - mark;
    m->depth = mark;
    return true;
}

/* Room for so many items more than a value has; its items may move. */
static bool reserve(gm_machine *m, gm_pickle_value *value, uint32_t more)
{
    if (more <= value->capacity - value->count)
        return true;
    const uint64_t needed = (uint64_t)value->count + more, doubled = 2 * (uint64_t)value->capacity;
    const uint64_t capacity = needed > doubled ? needed : doubled;
    if (capacity > m->most_items - m->items)
        return gm_machine_refuse(m, "more than %d items in its containers",
                                 GM_PICKLE_MOST_VALUES * ITEMS_PER_VALUE / 2);
    uint32_t *items = m->pickle->items;
    memcpy(items + m->items, items + value->items, value->count * sizeof *items);
    value->items = m->items;
    value->capacity = (uint32_t)capacity;
    m->items += (uint32_t)capacity;
    return true;
}

bool gm_machine_append(gm_machine *m, gm_pickle_value *value, const uint32_t *indices, uint32_t count)
{
    if (!reserve(m, value, count))
        return false;
    if (count > 0)
        memcpy(m->pickle->items + value->items + value->count, indices, count * sizeof *indices);
    value->count += count;
    return true;
}

static bool push_container(gm_machine *m, gm_pickle_kind kind, uint32_t count)
{
    gm_pickle_value value = {.kind = kind, .items = m->items};
    if (kind == GM_PICKLE_DICT && count % 2 != 0)
        return gm_machine_refuse(m, "a key without a value");
    return gm_machine_append(m, &value, m->stack + m->depth, count) && gm_machine_push(m, value);
}

bool gm_machine_push_tuple(gm_machine *m, uint32_t count)
{
    if (m->depth - floor_of_stack(m) < count)
        return gm_machine_refuse(m, "takes from an empty stack");
    m->depth -= count;
    return push_container(m, GM_PICKLE_TUPLE, count);
}

bool gm_machine_push_marked(gm_machine *m, gm_pickle_kind kind)
{
    uint32_t count;
    return gm_machine_pop_mark(m, &count) && push_container(m, kind, count);
}

/* Adds the `count` values above the stack to the container on top of it. */
static bool add_to_top(gm_machine *m, gm_pickle_kind kind, uint32_t count)
{
    uint32_t index;
    const uint32_t *added = m->stack + m->depth;
    if (!gm_machine_top(m, &index))
        return false;
    gm_pickle_value *container = gm_machine_value(m, index);
    if (container->kind != kind)
        return gm_machine_refuse(m, "adds items to what is no %s", kind == GM_PICKLE_DICT ? "dictionary" : "list");
    if (kind == GM_PICKLE_DICT && count % 2 != 0)
        return gm_machine_refuse(m, "a key without a value");
    return gm_machine_append(m, container, added, count);
}

bool gm_machine_add_marked(gm_machine *m, gm_pickle_kind kind)
{
    uint32_t count;
    return gm_machine_pop_mark(m, &count) && add_to_top(m, kind, count);
}

bool gm_machine_add_few(gm_machine *m, gm_pickle_kind kind, uint32_t count)
{
    if (m->depth - floor_of_stack(m) < count)
        return gm_machine_refuse(m, "takes from an empty stack");
    m->depth -= count;
    return add_to_top(m, kind, count);
}

bool gm_machine_put_memo(gm_machine *m, uint64_t key)
{
    uint32_t index;
    if (!gm_machine_top(m, &index))
        return false;
    if (key >= MOST_MEMO)
        return gm_machine_refuse(m, "place %llu in the memo, which has %d", (unsigned long long)key, MOST_MEMO);
    if (key >= m->memo_size) {
        uint32_t size = m->memo_size ? m->memo_size : 64;
        while (size <= key)
            size *= 2;
        uint32_t *grown = realloc(m->memo, size * sizeof *grown);
        if (!grown) {
            m->status = gm_file_no_memory(m->error, m->name, size * sizeof *grown);
            return false;
        }
        memset(grown + m->memo_size, 0, (size - m->memo_size) * sizeof *grown);
        m->memo = grown;
        m->memo_size = size;
    }
    m->memo_count += m->memo[key] == 0;
    m->memo[key] = index + 1;
    return true;
}

bool gm_machine_get_memo(gm_machine *m, uint64_t key)
{
    if (key >= m->memo_size || !m->memo[key])
        return gm_machine_refuse(m, "place %llu in the memo is empty", (unsigned long long)key);
    return gm_machine_push_index(m, m->memo[key] - 1);
}

gm_status gm_machine_create(const char *name, const uint8_t *bytes, size_t size, gm_pickle *pickle, gm_machine *m,
                            gm_error *error)
{
    *m = (gm_machine){
        .name = name, .bytes = bytes, .next = bytes, .end = bytes + size, .pickle = pickle, .error = error};
    *pickle = (gm_pickle){0};
    /* A step pushes at most one value and adds at most what was pushed before it; and memory that is never touched
     * costs nothing: so everything is allocated at once. */
    const size_t room = size < GM_PICKLE_MOST_VALUES ? size + 1 : GM_PICKLE_MOST_VALUES;
    m->most_values = (uint32_t)room;
    m->most_items = (uint32_t)(room * ITEMS_PER_VALUE);
    pickle->values = malloc(room * sizeof *pickle->values);
    pickle->items = malloc(m->most_items * sizeof *pickle->items);
    m->stack = malloc(room * sizeof *m->stack);
    if (pickle->values && pickle->items && m->stack)
        return GM_OK;
    return gm_file_no_memory(error, name, m->most_items * sizeof *pickle->items);
}

void gm_machine_destroy(gm_machine *m)
{
    free(m->stack);
    free(m->memo);
}
