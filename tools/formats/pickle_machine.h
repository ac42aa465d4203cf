/* What a pickle's opcodes work on: its bytes, the stack of values, its marks, and the memo. Every function but the last
 * two returns whether the machine can go on. */
#ifndef GEMEL_PICKLE_MACHINE_H
#define GEMEL_PICKLE_MACHINE_H

#include "formats/pickle.h"

enum { GM_MACHINE_MOST_MARKS = 256 };

typedef struct gm_machine {
    const char *name;
    const uint8_t *bytes, *next, *end;
    gm_pickle *pickle;
    uint32_t values, most_values, items, most_items;   /* in use, and room for */
    uint32_t *stack, depth;                            /* indices of values; as much room as for values */
    uint32_t marks[GM_MACHINE_MOST_MARKS], mark_count; /* depths of the stack */
    uint32_t *memo, memo_size, memo_count;             /* index + 1; 0: nothing there */
    gm_error *error;
    gm_status status;
} gm_machine;

/* Errors: GM_OUT_OF_MEMORY. The pickle and the machine are to be freed in any case. */
gm_status gm_machine_create(const char *name, const uint8_t *bytes, size_t size, gm_pickle *pickle, gm_machine *m,
                            gm_error *error);
void gm_machine_destroy(gm_machine *m); /* leaves the pickle as it is */

static inline gm_pickle_value *gm_machine_value(const gm_machine *m, uint32_t index)
{
    return &m->pickle->values[index];
}

/* Ends the machine with a message; false. */
__attribute__((format(printf, 2, 3))) bool gm_machine_refuse(gm_machine *m, const char *format, ...);

bool gm_machine_push(gm_machine *m, gm_pickle_value value);
bool gm_machine_push_kind(gm_machine *m, gm_pickle_kind kind); /* a value of which only this matters */
bool gm_machine_push_integer(gm_machine *m, gm_pickle_kind kind, int64_t integer);
bool gm_machine_push_index(gm_machine *m, uint32_t index); /* a value that is there already */
bool gm_machine_push_mark(gm_machine *m);

/* What the latest mark has below it cannot be taken. */
bool gm_machine_pop(gm_machine *m, uint32_t *index);
bool gm_machine_top(gm_machine *m, uint32_t *index); /* stays there */

/* Takes everything above the latest mark, and the mark: *count indices, at m->stack + m->depth until the next push. */
bool gm_machine_pop_mark(gm_machine *m, uint32_t *count);

/* Adds items to a tuple, list or dictionary, whose items may move. */
bool gm_machine_append(gm_machine *m, gm_pickle_value *value, const uint32_t *indices, uint32_t count);

/* A tuple of the `count` values on top; and a container of everything above the latest mark. */
bool gm_machine_push_tuple(gm_machine *m, uint32_t count);
bool gm_machine_push_marked(gm_machine *m, gm_pickle_kind kind);

/* Adds the `count` values on top, or everything above the latest mark, to the container below them. */
bool gm_machine_add_few(gm_machine *m, gm_pickle_kind kind, uint32_t count);
bool gm_machine_add_marked(gm_machine *m, gm_pickle_kind kind);

bool gm_machine_put_memo(gm_machine *m, uint64_t key); /* the value on top, which stays there */
bool gm_machine_get_memo(gm_machine *m, uint64_t key);

#endif
