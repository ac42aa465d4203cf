#include "formats/pickle.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "formats/pickle_machine.h"
#include "formats/pickle_names.h"
#include "support/parse.h"

enum { MOST_STEPS = 2 << 20 };

/* The opcodes that are understood, by their names in pickletools. */
enum {
    MARK = '(',
    STOP = '.',
    POP = '0',
    POP_MARK = '1',
    FLOAT = 'F',
    INT = 'I',
    BININT = 'J',
    BININT1 = 'K',
    LONG = 'L',
    BININT2 = 'M',
    NONE = 'N',
    BINPERSID = 'Q',
    REDUCE = 'R',
    STRING = 'S',
    BINSTRING = 'T',
    SHORT_BINSTRING = 'U',
    UNICODE = 'V',
    BINUNICODE = 'X',
    APPEND = 'a',
    BUILD = 'b',
    GLOBAL = 'c',
    DICT = 'd',
    APPENDS = 'e',
    GET = 'g',
    BINGET = 'h',
    LONG_BINGET = 'j',
    LIST = 'l',
    PUT = 'p',
    BINPUT = 'q',
    LONG_BINPUT = 'r',
    SETITEM = 's',
    TUPLE = 't',
    SETITEMS = 'u',
    EMPTY_TUPLE = ')',
    EMPTY_LIST = ']',
    EMPTY_DICT = '}',
    BINFLOAT = 'G',
    BINBYTES = 'B',
    SHORT_BINBYTES = 'C',
    PROTO = 0x80,
    TUPLE1 = 0x85,
    TUPLE2,
    TUPLE3,
    NEWTRUE,
    NEWFALSE,
    LONG1,
    LONG4,
    SHORT_BINUNICODE = 0x8c,
    BINUNICODE8,
    BINBYTES8,
    STACK_GLOBAL = 0x93,
    MEMOIZE,
    FRAME,
};

/* --- the pickle's bytes ---------------------------------------------------------------------------------------- */

static bool take(gm_machine *m, uint64_t size, const uint8_t **bytes)
{
    *bytes = m->next;
    if (size > (uint64_t)(m->end - m->next))
        return gm_machine_refuse(m, "cut short, or a length that is too long");
    m->next += size;
    return true;
}

static bool take_number(gm_machine *m, int size, uint64_t *number)
{
    const uint8_t *bytes;
    *number = 0;
    if (!take(m, (uint64_t)size, &bytes))
        return false;
    for (int i = 0; i < size; i++)
        *number |= (uint64_t)bytes[i] << 8 * i;
    return true;
}

struct line {
    const char *text;
    size_t length;
};

/* The bytes up to a newline, which is taken, too. */
static bool take_line(gm_machine *m, struct line *line)
{
    const uint8_t *end = memchr(m->next, '\n', (size_t)(m->end - m->next));
    if (!end)
        return gm_machine_refuse(m, "a line without an end");
    *line = (struct line){(const char *)m->next, (size_t)(end - m->next)};
    m->next = end + 1;
    return true;
}

static bool take_line_number(gm_machine *m, int64_t low, int64_t *number)
{
    struct line line = {0};
    char text[32];
    if (!take_line(m, &line))
        return false;
    if (line.length > 0 && line.text[line.length - 1] == 'L') /* of Python 2 */
        line.length--;
    snprintf(text, sizeof text, "%.*s", line.length < sizeof text ? (int)line.length : 0, line.text);
    return gm_parse_int64(text, low, INT64_MAX, number) || gm_machine_refuse(m, "a line that is no number");
}

/* --- names and what stands for calls --------------------------------------------------------------------------- */

bool gm_pickle_is_text(const gm_pickle_value *value, const char *text)
{
    return value->kind == GM_PICKLE_TEXT && value->count == strlen(text) &&
           memcmp(value->text, text, value->count) == 0;
}

static bool push_name(gm_machine *m, const struct line *module, const struct line *name)
{
    char shown[2][100];
    const gm_pickle_name *found = gm_pickle_name_find(module->text, module->length, name->text, name->length);
    if (!found) {
        gm_format_text(shown[0], sizeof shown[0], module->text, module->length);
        gm_format_text(shown[1], sizeof shown[1], name->text, name->length);
        return gm_machine_refuse(m, "names %s.%s, which is no part of a file of tensors; nothing was executed",
                                 shown[0], shown[1]);
    }
    gm_pickle_value value = {.kind = found->kind};
    if (found->kind == GM_PICKLE_STORAGE_TYPE)
        value.type = found->type;
    else if (found->kind == GM_PICKLE_FUNCTION)
        value.function = (int32_t)found->function;
    return gm_machine_push(m, value);
}

static bool take_name(gm_machine *m)
{
    struct line module = {0}, name = {0};
    return take_line(m, &module) && take_line(m, &name) && push_name(m, &module, &name);
}

static bool stack_name(gm_machine *m)
{
    uint32_t name, module;
    if (!gm_machine_pop(m, &name) || !gm_machine_pop(m, &module))
        return false;
    const gm_pickle_value *a = gm_machine_value(m, module), *b = gm_machine_value(m, name);
    if (a->kind != GM_PICKLE_TEXT || b->kind != GM_PICKLE_TEXT)
        return gm_machine_refuse(m, "a name that is no text");
    const struct line module_text = {a->text, a->count}, name_text = {b->text, b->count};
    return push_name(m, &module_text, &name_text);
}

/* OrderedDict(), or OrderedDict([[key, value], …]) as Python 2 wrote it. */
static bool make_ordered_dict(gm_machine *m, const gm_pickle_value *arguments)
{
    gm_pickle_value dict = {.kind = GM_PICKLE_DICT, .items = m->items};
    const gm_pickle_value *pairs = arguments->count == 1 ? gm_pickle_item(m->pickle, arguments, 0) : NULL;
    if (arguments->count > 1 || (pairs && pairs->kind != GM_PICKLE_LIST))
        return gm_machine_refuse(m, "collections.OrderedDict of something that is no list of pairs");
    for (uint32_t i = 0; pairs && i < pairs->count; i++) {
        const gm_pickle_value *pair = gm_pickle_item(m->pickle, pairs, i);
        if ((pair->kind != GM_PICKLE_LIST && pair->kind != GM_PICKLE_TUPLE) || pair->count != 2)
            return gm_machine_refuse(m, "collections.OrderedDict of something that is no list of pairs");
        if (!gm_machine_append(m, &dict, m->pickle->items + pair->items, 2))
            return false;
    }
    return gm_machine_push(m, dict);
}

static bool reduce(gm_machine *m)
{
    uint32_t top_index, below;
    if (!gm_machine_pop(m, &top_index) || !gm_machine_pop(m, &below))
        return false;
    const gm_pickle_value *arguments = gm_machine_value(m, top_index), *function = gm_machine_value(m, below);
    if (function->kind != GM_PICKLE_FUNCTION || arguments->kind != GM_PICKLE_TUPLE)
        return gm_machine_refuse(m, "calls what is no function of a file of tensors; nothing was executed");
    gm_pickle_value tensor = *arguments;
    tensor.kind = GM_PICKLE_TENSOR;
    switch ((gm_pickle_function)function->function) {
    case GM_PICKLE_ORDERED_DICT:
        return make_ordered_dict(m, arguments);
    case GM_PICKLE_REBUILD_TENSOR:
        if (arguments->count < 4)
            return gm_machine_refuse(m, "a tensor of %u arguments", arguments->count);
        return gm_machine_push(m, tensor);
    case GM_PICKLE_REBUILD_PARAMETER:
        if (arguments->count < 1 || gm_pickle_item(m->pickle, arguments, 0)->kind != GM_PICKLE_TENSOR)
            return gm_machine_refuse(m, "a parameter that is no tensor");
        return gm_machine_push_index(m, m->pickle->items[arguments->items]);
    case GM_PICKLE_SIZE:
        if (arguments->count != 1 || gm_pickle_item(m->pickle, arguments, 0)->kind != GM_PICKLE_TUPLE)
            return gm_machine_refuse(m, "a torch.Size that is no tuple");
        return gm_machine_push_index(m, m->pickle->items[arguments->items]);
    case GM_PICKLE_DEVICE:
        return gm_machine_push_kind(m, GM_PICKLE_OTHER);
    }
    return gm_machine_refuse(m, "calls an unknown function");
}

/* Attributes of a dictionary, as PyTorch's state_dict() has; they are forgotten. */
static bool build(gm_machine *m)
{
    uint32_t state, object;
    if (!gm_machine_pop(m, &state) || !gm_machine_top(m, &object))
        return false;
    if (gm_machine_value(m, state)->kind != GM_PICKLE_DICT || gm_machine_value(m, object)->kind != GM_PICKLE_DICT)
        return gm_machine_refuse(m, "builds an object; nothing was executed");
    return true;
}

static bool make_storage(gm_machine *m)
{
    uint32_t index;
    if (!gm_machine_pop(m, &index))
        return false;
    gm_pickle_value id = *gm_machine_value(m, index);
    const gm_pickle *p = m->pickle;
    const bool is_storage = id.kind == GM_PICKLE_TUPLE && (id.count == 5 || id.count == 6) &&
                            gm_pickle_is_text(gm_pickle_item(p, &id, 0), "storage") &&
                            gm_pickle_item(p, &id, 1)->kind == GM_PICKLE_STORAGE_TYPE &&
                            gm_pickle_item(p, &id, 2)->kind == GM_PICKLE_TEXT &&
                            gm_pickle_item(p, &id, 3)->kind == GM_PICKLE_TEXT &&
                            gm_pickle_item(p, &id, 4)->kind == GM_PICKLE_INTEGER &&
                            (id.count == 5 || gm_pickle_item(p, &id, 5)->kind == GM_PICKLE_NONE);
    if (!is_storage)
        return gm_machine_refuse(m, "a persistent object that is no storage");
    id.kind = GM_PICKLE_STORAGE;
    return gm_machine_push(m, id);
}

/* --- opcodes --------------------------------------------------------------------------------------------------- */

static bool push_text(gm_machine *m, int length_bytes, gm_pickle_kind kind)
{
    uint64_t length;
    const uint8_t *text;
    if (!take_number(m, length_bytes, &length) || !take(m, length, &text))
        return false;
    return gm_machine_push(m, (gm_pickle_value){.kind = kind, .count = (uint32_t)length, .text = (const char *)text});
}

/* Protocol 0: a line, in quotes if it is a string; escapes are not needed by any name of a tensor. */
static bool push_line(gm_machine *m, bool quoted)
{
    struct line line = {0};
    if (!take_line(m, &line))
        return false;
    if (memchr(line.text, '\\', line.length))
        return gm_machine_refuse(m, "a text with escapes");
    if (quoted) {
        const char quote = line.text[0]; /* at least the newline is there */
        if (line.length < 2 || quote != line.text[line.length - 1] || (quote != '\'' && quote != '"'))
            return gm_machine_refuse(m, "a string without quotes");
        line = (struct line){line.text + 1, line.length - 2};
    }
    return gm_machine_push(
        m, (gm_pickle_value){.kind = GM_PICKLE_TEXT, .count = (uint32_t)line.length, .text = line.text});
}

/* An integer of any length; those beyond 64 bits are of no interest. */
static bool push_long(gm_machine *m, int length_bytes)
{
    uint64_t length, value = 0;
    const uint8_t *bytes;
    if (!take_number(m, length_bytes, &length) || !take(m, length, &bytes))
        return false;
    if (length > 8)
        return gm_machine_push_kind(m, GM_PICKLE_OTHER);
    for (uint64_t i = 0; i < length; i++)
        value |= (uint64_t)bytes[i] << 8 * i;
    if (length > 0 && length < 8 && bytes[length - 1] >= 0x80)
        value |= UINT64_MAX << 8 * length;
    return gm_machine_push_integer(m, GM_PICKLE_INTEGER, (int64_t)value);
}

static bool push_fixed(gm_machine *m, int size)
{
    uint64_t value;
    if (!take_number(m, size, &value))
        return false;
    return gm_machine_push_integer(m, GM_PICKLE_INTEGER,
                                   size == 4 ? (int64_t)(int32_t)(uint32_t)value : (int64_t)value);
}

/* "01" and "00" are True and False. */
static bool push_line_integer(gm_machine *m, bool booleans)
{
    int64_t value;
    const char *line = (const char *)m->next;
    if (!take_line_number(m, INT64_MIN, &value))
        return false;
    const bool boolean = booleans && (const char *)m->next - line == 3 && line[0] == '0';
    return gm_machine_push_integer(m, boolean ? GM_PICKLE_BOOL : GM_PICKLE_INTEGER, value);
}

static bool push_line_float(gm_machine *m)
{
    struct line line = {0};
    return take_line(m, &line) && gm_machine_push_kind(m, GM_PICKLE_OTHER);
}

static bool skip(gm_machine *m, uint64_t size)
{
    const uint8_t *bytes;
    return take(m, size, &bytes);
}

static bool memo_line(gm_machine *m, bool put)
{
    int64_t key;
    return take_line_number(m, 0, &key) &&
           (put ? gm_machine_put_memo(m, (uint64_t)key) : gm_machine_get_memo(m, (uint64_t)key));
}

static bool memo_binary(gm_machine *m, int size, bool put)
{
    uint64_t key;
    return take_number(m, size, &key) && (put ? gm_machine_put_memo(m, key) : gm_machine_get_memo(m, key));
}

static bool refuse_opcode(gm_machine *m, uint8_t opcode)
{
    const char *name = gm_pickle_refused_opcode(opcode);
    struct line module = {0}, second = {0};
    char shown[2][100];
    if (!name)
        return gm_machine_refuse(m, "opcode 0x%02x, which no pickle has", opcode);
    if (opcode != 'i')
        return gm_machine_refuse(m, "opcode %s, which no file of tensors needs; nothing was executed", name);
    if (!take_line(m, &module) || !take_line(m, &second))
        return false;
    gm_format_text(shown[0], sizeof shown[0], module.text, module.length);
    gm_format_text(shown[1], sizeof shown[1], second.text, second.length);
    return gm_machine_refuse(m, "opcode %s of %s.%s; nothing was executed", name, shown[0], shown[1]);
}

/* Texts and the memo. */
static bool step_text(gm_machine *m, uint8_t opcode)
{
    switch (opcode) {
    case STRING:
    case UNICODE:
        return push_line(m, opcode == STRING);
    case SHORT_BINSTRING:
    case SHORT_BINUNICODE:
        return push_text(m, 1, GM_PICKLE_TEXT);
    case BINSTRING:
    case BINUNICODE:
        return push_text(m, 4, GM_PICKLE_TEXT);
    case BINUNICODE8:
        return push_text(m, 8, GM_PICKLE_TEXT);
    case SHORT_BINBYTES:
        return push_text(m, 1, GM_PICKLE_OTHER);
    case BINBYTES:
        return push_text(m, 4, GM_PICKLE_OTHER);
    case BINBYTES8:
        return push_text(m, 8, GM_PICKLE_OTHER);
    case PUT:
    case GET:
        return memo_line(m, opcode == PUT);
    case BINPUT:
    case BINGET:
        return memo_binary(m, 1, opcode == BINPUT);
    case LONG_BINPUT:
    case LONG_BINGET:
        return memo_binary(m, 4, opcode == LONG_BINPUT);
    case MEMOIZE:
        return gm_machine_put_memo(m, m->memo_count);
    default:
        return refuse_opcode(m, opcode);
    }
}

/* Numbers and marks: what needs no look at other values. */
static bool step_number(gm_machine *m, uint8_t opcode)
{
    uint32_t ignored;
    switch (opcode) {
    case PROTO:
        return skip(m, 1);
    case FRAME:
        return skip(m, 8);
    case NONE:
        return gm_machine_push_kind(m, GM_PICKLE_NONE);
    case NEWTRUE:
    case NEWFALSE:
        return gm_machine_push_integer(m, GM_PICKLE_BOOL, opcode == NEWTRUE);
    case INT:
    case LONG:
        return push_line_integer(m, opcode == INT);
    case BININT:
        return push_fixed(m, 4);
    case BININT1:
        return push_fixed(m, 1);
    case BININT2:
        return push_fixed(m, 2);
    case LONG1:
    case LONG4:
        return push_long(m, opcode == LONG1 ? 1 : 4);
    case FLOAT:
        return push_line_float(m);
    case BINFLOAT:
        return skip(m, 8) && gm_machine_push_kind(m, GM_PICKLE_OTHER);
    case MARK:
        return gm_machine_push_mark(m);
    case POP:
        return gm_machine_pop(m, &ignored);
    case POP_MARK:
        return gm_machine_pop_mark(m, &ignored);
    default:
        return step_text(m, opcode);
    }
}

static bool step(gm_machine *m, uint8_t opcode)
{
    switch (opcode) {
    case EMPTY_TUPLE:
        return gm_machine_push_tuple(m, 0);
    case TUPLE1:
    case TUPLE2:
    case TUPLE3:
        return gm_machine_push_tuple(m, (uint32_t)(opcode - TUPLE1 + 1));
    case TUPLE:
        return gm_machine_push_marked(m, GM_PICKLE_TUPLE);
    case EMPTY_LIST:
        return gm_machine_push_kind(m, GM_PICKLE_LIST);
    case LIST:
        return gm_machine_push_marked(m, GM_PICKLE_LIST);
    case APPEND:
        return gm_machine_add_few(m, GM_PICKLE_LIST, 1);
    case APPENDS:
        return gm_machine_add_marked(m, GM_PICKLE_LIST);
    case EMPTY_DICT:
        return gm_machine_push_kind(m, GM_PICKLE_DICT);
    case DICT:
        return gm_machine_push_marked(m, GM_PICKLE_DICT);
    case SETITEM:
        return gm_machine_add_few(m, GM_PICKLE_DICT, 2);
    case SETITEMS:
        return gm_machine_add_marked(m, GM_PICKLE_DICT);
    case GLOBAL:
        return take_name(m);
    case STACK_GLOBAL:
        return stack_name(m);
    case REDUCE:
        return reduce(m);
    case BUILD:
        return build(m);
    case BINPERSID:
        return make_storage(m);
    default:
        return step_number(m, opcode);
    }
}

static bool run(gm_machine *m)
{
    for (int32_t steps = 0; steps < MOST_STEPS; steps++) {
        if (m->next == m->end)
            return gm_machine_refuse(m, "cut short");
        const uint8_t opcode = *m->next++;
        if (opcode == STOP)
            return gm_machine_pop(m, &m->pickle->root) &&
                   ((m->depth == 0 && m->mark_count == 0) || gm_machine_refuse(m, "ends with values left over"));
        if (!step(m, opcode))
            return false;
    }
    return gm_machine_refuse(m, "more than %d steps", MOST_STEPS);
}

gm_status gm_pickle_parse(const char *name, const uint8_t *bytes, size_t size, gm_pickle *pickle, size_t *used,
                          gm_error *error)
{
    gm_machine m;
    m.status = gm_machine_create(name, bytes, size, pickle, &m, error);
    if (m.status == GM_OK)
        run(&m);
    *used = (size_t)(m.next - bytes);
    gm_machine_destroy(&m);
    if (m.status != GM_OK)
        gm_pickle_free(pickle);
    return m.status;
}

void gm_pickle_free(gm_pickle *pickle)
{
    free(pickle->values);
    free(pickle->items);
    *pickle = (gm_pickle){0};
}
