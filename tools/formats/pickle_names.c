#include "formats/pickle_names.h"

#include <string.h>

#define FUNCTION(module, name, function)                                                                               \
    {                                                                                                                  \
        module, name, GM_PICKLE_FUNCTION, GM_TENSOR_F32, function                                                      \
    }
/* On a processor, and as it was named on a graphics card. */
#define STORAGE(name, type)                                                                                            \
    {"torch", name, GM_PICKLE_STORAGE_TYPE, type, 0},                                                                  \
    {                                                                                                                  \
        "torch.cuda", name, GM_PICKLE_STORAGE_TYPE, type, 0                                                            \
    }
#define OTHER(name)                                                                                                    \
    {                                                                                                                  \
        "torch", name, GM_PICKLE_OTHER, GM_TENSOR_F32, 0                                                               \
    }

static const gm_pickle_name names[] = {
    FUNCTION("collections", "OrderedDict", GM_PICKLE_ORDERED_DICT),
    FUNCTION("torch._utils", "_rebuild_tensor", GM_PICKLE_REBUILD_TENSOR), /* before PyTorch 0.4 */
    FUNCTION("torch._utils", "_rebuild_tensor_v2", GM_PICKLE_REBUILD_TENSOR),
    FUNCTION("torch._utils", "_rebuild_parameter", GM_PICKLE_REBUILD_PARAMETER),
    FUNCTION("torch", "Size", GM_PICKLE_SIZE),
    FUNCTION("torch", "device", GM_PICKLE_DEVICE),
    STORAGE("FloatStorage", GM_TENSOR_F32),
    STORAGE("DoubleStorage", GM_TENSOR_F64),
    STORAGE("HalfStorage", GM_TENSOR_F16),
    STORAGE("BFloat16Storage", GM_TENSOR_BF16),
    STORAGE("LongStorage", GM_TENSOR_I64),
    STORAGE("IntStorage", GM_TENSOR_I32),
    STORAGE("ShortStorage", GM_TENSOR_I16),
    STORAGE("CharStorage", GM_TENSOR_I8),
    STORAGE("ByteStorage", GM_TENSOR_U8),
    STORAGE("BoolStorage", GM_TENSOR_BOOL),
    OTHER("float32"),
    OTHER("float64"),
    OTHER("float16"),
    OTHER("bfloat16"),
    OTHER("int64"),
    OTHER("int32"),
    OTHER("int16"),
    OTHER("int8"),
    OTHER("uint8"),
    OTHER("bool"),
};

static bool equals(const char *text, size_t length, const char *expected)
{
    return strlen(expected) == length && memcmp(text, expected, length) == 0;
}

const gm_pickle_name *gm_pickle_name_find(const char *module, size_t module_length, const char *name, size_t length)
{
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (equals(module, module_length, names[i].module) && equals(name, length, names[i].name))
            return &names[i];
    return NULL;
}

const char *gm_pickle_refused_opcode(uint8_t opcode)
{
    static const struct {
        uint8_t opcode;
        const char *name;
    } refused[] = {
        {'2', "DUP"},         {'P', "PERSID"},       {'i', "INST"},
        {'o', "OBJ"},         {0x81, "NEWOBJ"},      {0x82, "EXT1"},
        {0x83, "EXT2"},       {0x84, "EXT4"},        {0x8f, "EMPTY_SET"},
        {0x90, "ADDITEMS"},   {0x91, "FROZENSET"},   {0x92, "NEWOBJ_EX"},
        {0x96, "BYTEARRAY8"}, {0x97, "NEXT_BUFFER"}, {0x98, "READONLY_BUFFER"},
    };
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++)
        if (refused[i].opcode == opcode)
            return refused[i].name;
    return NULL;
}
