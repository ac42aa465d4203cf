/* Pickles as data: what torch.save() and plain Python write is read, and nothing else. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "formats/pickle.h"
#include "support/files.h"
#include "support/pickles.h"
#include "support/support.h"

static gm_status parse(const char *bytes, size_t size, gm_pickle *pickle, size_t *used, gm_error *error)
{
    static unsigned char *exact; /* of this size, so that a sanitizer sees reads behind the end */
    free(exact);
    exact = malloc(size ? size : 1);
    memcpy(exact, bytes, size);
    return gm_pickle_parse("a.pth", exact, size, pickle, used, error);
}

static char *write_value(const gm_pickle *p, const gm_pickle_value *value, char *out, int depth)
{
    static const char *const brackets[] = {
        [GM_PICKLE_TUPLE] = "()",   [GM_PICKLE_LIST] = "[]",   [GM_PICKLE_DICT] = "{}",
        [GM_PICKLE_STORAGE] = "ss", [GM_PICKLE_TENSOR] = "tt",
    };
    switch (value->kind) {
    case GM_PICKLE_NONE:
        return out + sprintf(out, "None");
    case GM_PICKLE_BOOL:
        return out + sprintf(out, value->integer ? "True" : "False");
    case GM_PICKLE_INTEGER:
        return out + sprintf(out, "%lld", (long long)value->integer);
    case GM_PICKLE_TEXT:
        return out + sprintf(out, "'%.*s'", (int)value->count, value->text);
    case GM_PICKLE_STORAGE_TYPE:
        return out + sprintf(out, "%s", gm_tensor_type_name(value->type));
    case GM_PICKLE_FUNCTION:
    case GM_PICKLE_OTHER:
        return out + sprintf(out, "?");
    default:
        break;
    }
    *out++ = brackets[value->kind][0];
    for (uint32_t i = 0; i < value->count && depth < 8; i++) {
        out = write_value(p, gm_pickle_item(p, value, i), out, depth + 1);
        *out++ = ' ';
    }
    *out++ = brackets[value->kind][1];
    *out = '\0';
    return out;
}

#define CASE(bytes, text)                                                                                              \
    {                                                                                                                  \
        bytes, sizeof bytes - 1, text                                                                                  \
    }

/* What Python's pickle.dumps() gives, and the values in it. */
static const struct {
    const char *bytes;
    size_t size;
    const char *text;
} good[] = {
    CASE("N.", "None"),
    CASE("\x80\x02\x88.", "True"),
    CASE("\x80\x02\x89.", "False"),
    CASE("I01\n.", "True"),
    CASE("I00\n.", "False"),
    CASE("I1\n.", "1"),
    CASE("I-12\n.", "-12"),
    CASE("L123456789012L\n.", "123456789012"),
    CASE("K\xff.", "255"),
    CASE("M\xff\xff.", "65535"),
    CASE("J\xff\xff\xff\xff.", "-1"),
    CASE("\x8a\x00.", "0"),
    CASE("\x8a\x01\xff.", "-1"),
    CASE("\x8a\x02\xff\x00.", "255"),
    CASE("\x8a\x08\xff\xff\xff\xff\xff\xff\xff\x7f.", "9223372036854775807"),
    CASE("\x8a\x09\xff\xff\xff\xff\xff\xff\xff\xff\x00.", "?"),
    CASE("\x8b\x02\x00\x00\x00\xff\x00.", "255"),
    CASE("F1.5\n.", "?"),
    CASE("G\x3f\xf0\0\0\0\0\0\0.", "?"),
    CASE("S'ab'\n.", "'ab'"),
    CASE("S\"a'b\"\n.", "'a'b'"),
    CASE("Vab\np0\n.", "'ab'"),
    CASE("X\x02\0\0\0ab.", "'ab'"),
    CASE("\x8c\x02"
         "ab.",
         "'ab'"),
    CASE("\x8d\x02\0\0\0\0\0\0\0ab.", "'ab'"),
    CASE("U\x02"
         "ab.",
         "'ab'"),
    CASE("T\x02\0\0\0ab.", "'ab'"),
    CASE("C\x02"
         "ab.",
         "?"),
    CASE("B\x02\0\0\0ab.", "?"),
    CASE(").", "()"),
    CASE("K\x01\x85.", "(1 )"),
    CASE("K\x01K\x02\x86.", "(1 2 )"),
    CASE("K\x01K\x02K\x03\x87.", "(1 2 3 )"),
    CASE("(K\x01K\x02K\x03K\x04t.", "(1 2 3 4 )"),
    CASE("].", "[]"),
    CASE("(lp0\nI1\naI2\na.", "[1 2 ]"),
    CASE("\x80\x04\x95\x09\0\0\0\0\0\0\0]\x94(K\x01K\x02"
         "e.",
         "[1 2 ]"),
    CASE("]K\x01"
         "aK\x02"
         "aK\x03"
         "aK\x04"
         "aK\x05"
         "a.",
         "[1 2 3 4 5 ]"),
    CASE("}.", "{}"),
    CASE("(dp0\nS'a'\nI1\ns.", "{'a' 1 }"),
    CASE("}(U\x01"
         "aK\x01U\x01"
         "bNu.",
         "{'a' 1 'b' None }"),
    CASE("}K\x07}K\x08Nss.", "{7 {8 None } }"),
    CASE("K\x05q\x00"
         "0h\x00.",
         "5"),
    CASE("K\x05r\x07\0\0\0j\x07\0\0\0\x86.", "(5 5 )"),
    CASE("K\x01\x94K\x02\x94h\x00h\x01\x86\x94\x86\x86.", "(1 (2 (1 2 ) ) )"),
    CASE("(K\x01"
         "1K\x02.",
         "2"),
    CASE("]q\0h\0"
         "a.",
         "[[[[[[[[[] ] ] ] ] ] ] ] ]"),
    CASE(PICKLE_ORDERED_DICT ".", "{}"),
    CASE("ccollections\nOrderedDict\n](](U\x01"
         "aK\x01"
         "e](U\x01"
         "bK\x02"
         "ee\x85R.",
         "{'a' 1 'b' 2 }"),
    CASE("\x8c\x0b"
         "collections\x8c\x0bOrderedDict\x93)R.",
         "{}"),
    CASE(PICKLE_ORDERED_DICT "}U\x09_metadata" PICKLE_ORDERED_DICT "sb.", "{}"),
    CASE("ctorch\nSize\nK\x01K\x02\x86\x85R.", "(1 2 )"),
    CASE("ctorch\ndevice\nU\x03"
         "cpu\x85R.",
         "?"),
    CASE("ctorch\nfloat32\n.", "?"),
    CASE("ctorch\nHalfStorage\n.", "F16"),
    CASE("ctorch.cuda\nBoolStorage\n.", "BOOL"),
    CASE(PICKLE_STORAGE("LongStorage", "0", "\x02") ".", "s'storage' I64 '0' 'cpu' 2 s"),
    CASE(PICKLE_VECTOR("0", "\x02") ".", "ts'storage' F32 '0' 'cpu' 2 s 0 (2 ) (1 ) False {} t"),
    CASE("ctorch._utils\n_rebuild_parameter\n" PICKLE_VECTOR("0", "\x02") "\x88" PICKLE_ORDERED_DICT "\x87R.",
         "ts'storage' F32 '0' 'cpu' 2 s 0 (2 ) (1 ) False {} t"),
};

START_TEST(plain_values_are_read)
{
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        gm_pickle pickle;
        gm_error error = {GM_OK, ""};
        size_t used;
        char text[1024], more[1024];
        memcpy(more, good[i].bytes, good[i].size);
        memcpy(more + good[i].size, "more", 4);
        const gm_status status = parse(more, good[i].size + 4, &pickle, &used, &error);
        ck_assert_msg(status == GM_OK, "case %zu, '%s': %s", i, good[i].text, error.message);
        ck_assert_uint_eq(used, good[i].size);
        write_value(&pickle, &pickle.values[pickle.root], text, 0);
        ck_assert_str_eq(text, good[i].text);
        gm_pickle_free(&pickle);
    }
}
END_TEST

static const struct {
    const char *bytes;
    size_t size;
    const char *pattern;
} bad[] = {
    /* names, and whatever would call one */
    CASE("cos\nsystem\n(U\x04truetR.", "names os.system, which"),
    CASE("cposix\nsystem\n.", "names posix.system"),
    CASE("c__builtin__\neval\n.", "names __builtin__.eval"),
    CASE("cbuiltins\ngetattr\n.", "names builtins.getattr"),
    CASE("ctorch\nload\n.", "names torch.load"),
    CASE("ctorch._utils\n_rebuild_tensor_v3\n.", "_rebuild_tensor_v3"),
    CASE("ctorch._utils.\n_rebuild_tensor_v2\n.", "torch._utils.._rebuild_tensor_v2"),
    CASE("ccollections\nOrderedDict.__init__\n.", "collections.OrderedDict.__init__"),
    CASE("cos\x1b[2J\nsys\ttem\n.", "names os\\x1b[2J.sys\\x09tem"),
    CASE("\x8c\x02os\x8c\x06system\x93.", "names os.system"),
    CASE("\x80\x04\x8c\x05posix\x94\x8c\x06system\x94\x93\x94\x8c\x04true\x94\x85\x94R.", "names posix.system"),
    CASE("K\x01K\x02\x93.", "a name that is no text"),
    CASE("(U\x04truei"
         "os\nsystem\n.",
         "INST of os.system"),
    CASE("(cos\nsystem\nU\x04trueo.", "names os.system"),
    CASE("(ccollections\nOrderedDict\no.", "opcode OBJ"),
    CASE("ccollections\nOrderedDict\n)\x81.", "opcode NEWOBJ,"),
    CASE("ccollections\nOrderedDict\n)}\x92.", "opcode NEWOBJ_EX"),
    CASE("\x82\x01.", "opcode EXT1"),
    CASE("\x83\x01\x00.", "opcode EXT2"),
    CASE("\x84\x01\0\0\0.", "opcode EXT4"),
    CASE("P0\n.", "opcode PERSID"),
    CASE("\x8f.", "opcode EMPTY_SET"),
    CASE("\x97.", "opcode NEXT_BUFFER"),
    CASE("\x96\x01\0\0\0\0\0\0\0a.", "opcode BYTEARRAY8"),
    CASE("\xff.", "opcode 0xff"),
    CASE("K\x01)R.", "calls what is no function"),
    CASE("U\x02os)R.", "calls what is no function"),
    CASE("ctorch\nFloatStorage\n)R.", "calls what is no function"),
    CASE("ccollections\nOrderedDict\nK\x01R.", "calls what is no function"),
    CASE("ccollections\nOrderedDict\n}b.", "builds an object"),
    CASE("]}b.", "builds an object"),
    CASE("}Nb.", "builds an object"),
    CASE("ctorch._utils\n_rebuild_tensor_v2\n)R.", "a tensor of 0 arguments"),
    CASE("ctorch._utils\n_rebuild_parameter\nN\x85R.", "a parameter that is no tensor"),
    CASE("ctorch._utils\n_rebuild_parameter\n)R.", "a parameter that is no tensor"),
    CASE("ctorch\nSize\nN\x85R.", "a torch.Size that is no tuple"),
    CASE("ccollections\nOrderedDict\n]K\x01"
         "a\x85R.",
         "no list of pairs"),
    CASE("ccollections\nOrderedDict\nNN\x86R.", "no list of pairs"),
    CASE("NQ.", "no storage"),
    CASE("(U\x07storagectorch\nFloatStorage\nK\x01U\x03"
         "cpuK\x02tQ.",
         "no storage"),
    CASE("(U\x07storageU\x0c"
         "FloatStorageU\x01"
         "0U\x03"
         "cpuK\x02tQ.",
         "no storage"),
    CASE("(U\x07"
         "storagfctorch\nFloatStorage\nU\x01"
         "0U\x03"
         "cpuK\x02tQ.",
         "no storage"),
    CASE("(U\x07storagectorch\nFloatStorage\nU\x01"
         "0U\x03"
         "cpuK\x02K\x03tQ.",
         "no storage"),
    /* malformed ones */
    CASE("", "cut short"),
    CASE("N", "cut short"),
    CASE(".", "empty stack"),
    CASE("NN.", "left over"),
    CASE("(N.", "left over"),
    CASE("\x80", "cut short"),
    CASE("K", "cut short"),
    CASE("X\x05\0\0\0ab.", "cut short, or a length"),
    CASE("X\xff\xff\xff\xff"
         "ab.",
         "cut short, or a length"),
    CASE("\x8d\xff\xff\xff\xff\xff\xff\xff\xff"
         "ab.",
         "cut short, or a length"),
    CASE("\x8e\xff\xff\xff\xff\xff\xff\xff\x7f"
         "ab.",
         "cut short, or a length"),
    CASE("\x8b\xff\xff\xff\xff.", "cut short, or a length"),
    CASE("\x95\x01", "cut short"),
    CASE("Iabc\n.", "no number"),
    CASE("I\n.", "no number"),
    CASE("I1", "a line without an end"),
    CASE("L99999999999999999999L\n.", "no number"),
    CASE("I000000000000000000000000000000000000000000\n.", "no number"),
    CASE("cos", "a line without an end"),
    CASE("cos\nsystem", "a line without an end"),
    CASE("S\n.", "without quotes"),
    CASE("S'\n.", "without quotes"),
    CASE("S'a\"\n.", "without quotes"),
    CASE("S'\\x41'\n.", "escapes"),
    CASE("t.", "a mark that is not there"),
    CASE("e.", "a mark that is not there"),
    CASE("(e.", "empty stack"),
    CASE("(Ne.", "empty stack"),
    CASE("](N\x86.", "empty stack"),
    CASE("]K\x01(a.", "empty stack"),
    CASE("N\x86.", "empty stack"),
    CASE("N(0.", "empty stack"),
    CASE("a.", "empty stack"),
    CASE("R.", "empty stack"),
    CASE("NR.", "empty stack"),
    CASE("b.", "empty stack"),
    CASE("Q.", "empty stack"),
    CASE("q\x00.", "empty stack"),
    CASE("}Kaa.", "to what is no list"),
    CASE(")K\x01"
         "a.",
         "to what is no list"),
    CASE("]K\x01K\x02s.", "to what is no dictionary"),
    CASE(")(K\x01K\x02u.", "to what is no dictionary"),
    CASE("}(K\x01u.", "a key without a value"),
    CASE("(K\x01"
         "d.",
         "a key without a value"),
    CASE("h\x00.", "place 0 in the memo is empty"),
    CASE("Nq\x00h\x01.", "place 1 in the memo is empty"),
    CASE("j\xff\xff\xff\xff.", "place 4294967295 in the memo is empty"),
    CASE("Nr\xff\xff\xff\xff.", "place 4294967295 in the memo, which has"),
    CASE("Np9223372036854775807\n.", "in the memo, which has"),
    CASE("Np-1\n.", "no number"),
};

START_TEST(everything_else_is_refused)
{
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        gm_pickle pickle;
        gm_error error = {GM_OK, ""};
        size_t used;
        const gm_status status = parse(bad[i].bytes, bad[i].size, &pickle, &used, &error);
        ck_assert_msg(status != GM_OK, "case %zu, '%s' was accepted", i, bad[i].pattern);
        test_expect(status, &error, GM_BAD_DATA, bad[i].pattern);
        ck_assert_msg(strstr(error.message, "a.pth: pickle, before byte "), "%s", error.message);
        ck_assert_ptr_null(pickle.values);
    }
}
END_TEST

/* Every beginning of a good pickle is cut short, none of them is read beyond its end. */
START_TEST(pickles_that_are_cut_short_are_refused)
{
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        for (size_t size = 0; size < good[i].size; size++) {
            gm_pickle pickle;
            gm_error error;
            size_t used;
            ck_assert_int_eq(parse(good[i].bytes, size, &pickle, &used, &error), GM_BAD_DATA);
        }
}
END_TEST

/* One piece again and again: the limits hold, whatever a pickle is made of. */
static const struct {
    const char *start;
    size_t start_size;
    const char *piece;
    size_t size;
    const char *pattern;
} endless[] = {
#define ENDLESS(start, piece, pattern)                                                                                 \
    {                                                                                                                  \
        start, sizeof start - 1, piece, sizeof piece - 1, pattern                                                      \
    }
    ENDLESS("", "(", "nested deeper than 256"),
    ENDLESS("", "N", "more than 1048576 values"),
    ENDLESS("", "]", "more than 1048576 values"),
    ENDLESS("N", "\x85", "more than 1048576 values"),
    ENDLESS("Nq\0", "h\0", "too many values on the stack"),
    ENDLESS("", "\x80\x02", "more than 2097152 steps"),
    ENDLESS("]N0", "Na", "more than 1048576 values"),
    ENDLESS("]Nq\0"
            "0]",
            "h\0"
            "a",
            "more than 2097152 steps"),
    ENDLESS("](](NNeeq\0",
            "h\0ccollections\nOrderedDict\nh\0\x85R0"
            "0",
            "more than"),
    ENDLESS("N", "\x94", "place 1048576 in the memo"),
};

START_TEST(endless_pickles_are_refused)
{
    const size_t most = 15 << 20;
    unsigned char *bytes = malloc(most);
    for (size_t i = 0; i < sizeof endless / sizeof *endless; i++) {
        size_t size = endless[i].start_size;
        memcpy(bytes, endless[i].start, size);
        for (; size + endless[i].size <= most; size += endless[i].size)
            memcpy(bytes + size, endless[i].piece, endless[i].size);
        gm_pickle pickle;
        gm_error error;
        size_t used;
        test_expect(gm_pickle_parse("a.pth", bytes, size, &pickle, &used, &error), &error, GM_BAD_DATA,
                    endless[i].pattern);
    }
    free(bytes);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("pickle");
    TCase *tests = tcase_create("pickle");
    suite_add_tcase(suite, tests);
    tcase_add_test(tests, plain_values_are_read);
    tcase_add_test(tests, everything_else_is_refused);
    tcase_add_test(tests, pickles_that_are_cut_short_are_refused);
    tcase_add_test(tests, endless_pickles_are_refused);
    return test_run(suite);
}
