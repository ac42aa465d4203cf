/* PyTorch's checkpoints: what torch.save() wrote is read with equal bits, and whatever is wrong is refused by name. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "formats/pth.h"
#include "formats/tensor_file.h"
#include "support/archive.h"
#include "support/files.h"
#include "support/pickles.h"
#include "support/support.h"

/* --- files of torch.save(), beside the same tensors as safetensors; tests/data/make_weights.py makes them ------- */

static int64_t find(const gm_tensor_file *file, const char *name)
{
    for (int64_t i = 0; i < gm_tensor_file_count(file); i++)
        if (strcmp(gm_tensor_file_tensor(file, i).name, name) == 0)
            return i;
    ck_abort_msg("no tensor '%s'", name);
}

static void *read_tensor(gm_tensor_file *file, int64_t index, int64_t *bytes)
{
    gm_error error = {GM_OK, ""};
    const gm_tensor tensor = gm_tensor_file_tensor(file, index);
    int64_t count;
    ck_assert(gm_tensor_size(&tensor, &count, bytes));
    void *data = malloc((size_t)*bytes + 1);
    ck_assert_msg(gm_tensor_file_read(file, index, data, &error) == GM_OK, "%s", error.message);
    return data;
}

static const char *const real_files[][2] = {
    {"types", "types.zip.pth"},    {"types", "types.legacy.pth"},     {"views", "views.zip.pth"},
    {"views", "views.legacy.pth"}, {"nested", "nested.zip.pth"},      {"nested", "nested.legacy.pth"},
    {"nested", "nested.4.pth"},    {"nested", "nested.deflated.pth"}, {"nested", "nested.3.pth"},
};

START_TEST(files_of_pytorch_have_equal_bits)
{
    char path[2][512];
    gm_error error = {GM_OK, ""};
    gm_tensor_file *expected, *file;
    snprintf(path[0], sizeof path[0], TEST_DATA "/weights/%s.safetensors", real_files[_i][0]);
    snprintf(path[1], sizeof path[1], TEST_DATA "/weights/%s", real_files[_i][1]);
    ck_assert_msg(gm_tensor_file_open(path[0], &expected, &error) == GM_OK, "%s", error.message);
    ck_assert_msg(gm_tensor_file_open(path[1], &file, &error) == GM_OK, "%s", error.message);
    ck_assert_str_eq(gm_tensor_file_path(file), path[1]);
    ck_assert_int_eq(gm_tensor_file_count(file), gm_tensor_file_count(expected));
    for (int64_t i = 0; i < gm_tensor_file_count(expected); i++) {
        int64_t bytes, expected_bytes;
        const gm_tensor wanted = gm_tensor_file_tensor(expected, i);
        const int64_t at = find(file, wanted.name);
        const gm_tensor tensor = gm_tensor_file_tensor(file, at);
        ck_assert_str_eq(gm_tensor_type_name(tensor.type), gm_tensor_type_name(wanted.type));
        ck_assert(gm_tensor_same_shape(&tensor, &wanted));
        void *a = read_tensor(expected, i, &expected_bytes), *b = read_tensor(file, at, &bytes);
        ck_assert_int_eq(bytes, expected_bytes);
        ck_assert_msg(memcmp(a, b, (size_t)bytes) == 0, "%s", wanted.name);
        free(a);
        free(b);
    }
    gm_tensor_file_close(file);
    gm_tensor_file_close(expected);
}
END_TEST

/* --- archives that are built here ------------------------------------------------------------------------------ */

static const char good_pickle[] = "\x80\x02}(U\x01"
                                  "a" PICKLE_VECTOR("0", "\x02") "U\x01"
                                                                 "b" PICKLE_VECTOR("1", "\x03") "u.";
static const float values[5] = {1, 2, 3, 4, 5};

enum { PICKLE, ORDER, FIRST, SECOND, PARTS };

static const test_entry good_entries[PARTS] = {
    [PICKLE] = {"w/data.pkl", good_pickle, sizeof good_pickle - 1, false},
    [ORDER] = {"w/byteorder", "little", 6, false},
    [FIRST] = {"w/data/0", values, 8, false},
    [SECOND] = {"w/data/1", values + 2, 12, false},
};

static test_folder folder;

static void enter(void)
{
    folder = test_folder_create();
}

static void leave(void)
{
    test_folder_remove(&folder);
}

static void build(const test_entry *entries, size_t count, test_archive *archive)
{
    test_archive_begin(archive);
    for (size_t i = 0; i < count; i++)
        test_archive_add(archive, &entries[i]);
    test_archive_end(archive);
}

static gm_status open_bytes(const void *bytes, size_t size, gm_pth **file, gm_error *error)
{
    const char *path = test_path(&folder, "weights.pth");
    test_write(path, bytes, size);
    return gm_pth_open(path, file, error);
}

/* Opens, and reads every tensor. */
static gm_status read_bytes(const void *bytes, size_t size, gm_error *error)
{
    gm_pth *file;
    float data[8];
    gm_status status = open_bytes(bytes, size, &file, error);
    for (int64_t i = 0; status == GM_OK && i < gm_pth_count(file); i++)
        status = gm_pth_read(file, i, data, error);
    gm_pth_close(file);
    return status;
}

static void check_good(const test_archive *archive)
{
    gm_pth *file;
    gm_error error = {GM_OK, ""};
    float data[5];
    ck_assert_msg(open_bytes(archive->bytes, archive->size, &file, &error) == GM_OK, "%s", error.message);
    ck_assert_int_eq(gm_pth_count(file), 2);
    ck_assert_str_eq(gm_pth_tensor(file, 1).name, "b");
    ck_assert_msg(gm_pth_read(file, 0, data, &error) == GM_OK, "%s", error.message);
    ck_assert_msg(gm_pth_read(file, 1, data + 2, &error) == GM_OK, "%s", error.message);
    ck_assert(test_same_bits(data, values, sizeof values));
    gm_pth_close(file);
}

START_TEST(archives_that_are_right_are_read)
{
    test_archive archive;
    test_entry entries[PARTS + 1];
    memcpy(entries, good_entries, sizeof good_entries);
    build(entries, PARTS, &archive);
    check_good(&archive);
    for (int i = 0; i < PARTS; i++)
        entries[i].deflated = true;
    entries[PARTS] = (test_entry){"w/", "", 0, false};
    build(entries, PARTS + 1, &archive);
    check_good(&archive);
    memcpy(archive.bytes + archive.size, "comment", 7);
    test_archive_put(&archive, archive.end + 20, 2, 7);
    archive.size += 7;
    check_good(&archive);
}
END_TEST

enum record { LOCAL, CENTRAL, DATA, END };

/* One field of the good archive, replaced; and what must be said. */
static const struct {
    enum record record;
    int entry;
    size_t field;
    int size;
    uint64_t value;
    const char *pattern;
} lies[] = {
    {END, 0, 0, 1, 'Q', "its directory is missing"},
    {END, 0, 4, 2, 1, "one part of several"},
    {END, 0, 8, 2, 3, "one part of several"},
    {END, 0, 8, 4, 3 | 3 << 16, "directory is malformed"},
    {END, 0, 8, 4, 5 | 5 << 16, "directory is too short for its entries"},
    {END, 0, 8, 4, 0xffffffff, "directory is too short for its entries"},
    {END, 0, 12, 4, 0, "does not end where"},
    {END, 0, 12, 4, 0xffffffff, "does not end where"},
    {END, 0, 16, 4, 0, "does not end where"},
    {END, 0, 16, 4, 0xffffffff, "does not end where"},
    {END, 0, 20, 2, 1, "its directory is missing"},
    {CENTRAL, FIRST, 0, 1, 'Q', "directory is malformed"},
    {CENTRAL, FIRST, 8, 2, 1, "entry 'w/data/0' is encrypted"},
    {CENTRAL, FIRST, 34, 2, 1, "entry 'w/data/0' is encrypted or in another part"},
    {CENTRAL, FIRST, 10, 2, 12, "entry 'w/data/0' is compressed in another way"},
    {CENTRAL, FIRST, 10, 2, 8, "entry 'w/data/0' is not what the directory says"},
    {CENTRAL, FIRST, 16, 4, 0, "entry 'w/data/0' has another checksum"},
    {CENTRAL, FIRST, 20, 4, 7, "entry 'w/data/0' is stored in another size"},
    {CENTRAL, FIRST, 24, 4, 9, "entry 'w/data/0' is stored in another size"},
    {CENTRAL, FIRST, 20, 8, 4 | (uint64_t)4 << 32, "tensor 'a': its storage '0' has another size"},
    {CENTRAL, FIRST, 20, 8, 100 | (uint64_t)100 << 32, "entry 'w/data/0' lies outside the file, or on another"},
    {CENTRAL, SECOND, 20, 8, 0xfffffffefffffffe, "entry 'w/data/1' lies outside the file"},
    {CENTRAL, FIRST, 24, 4, 0xffffffff, "entry 'w/data/0' has malformed extra fields"},
    {CENTRAL, FIRST, 28, 2, 0xffff, "directory is malformed"},
    {CENTRAL, FIRST, 28, 2, 0, "entry '' has a name"},
    {CENTRAL, FIRST, 30, 2, 0xffff, "directory is malformed"},
    {CENTRAL, FIRST, 30, 2, 3, "entry 'w/data/0' has malformed extra fields"},
    {CENTRAL, FIRST, 42, 4, 0xfffffffe, "entry 'w/data/0' lies outside the file"},
    {CENTRAL, FIRST, 42, 4, 1, "entry 'w/data"},
    {CENTRAL, FIRST, 42, 4, 0, "entry 'w/data"},
    {CENTRAL, FIRST, 46, 3, '.' | '.' << 8 | '/' << 16, "entry '../ata/0' has a name"},
    {CENTRAL, FIRST, 46, 1, '/', "entry '//data/0' has a name"},
    {CENTRAL, FIRST, 47, 1, '\\', "entry 'w\\data/0' has a name"},
    {CENTRAL, FIRST, 47, 1, 0, "has a name that leaves its folder or is not plain"},
    {CENTRAL, FIRST, 47, 1, 0x1b, "entry 'w\\x1bdata/0' has a name"},
    {CENTRAL, FIRST, 53, 1, '1', "entry 'w/data/1' is not what the directory says"},
    {LOCAL, FIRST, 0, 1, 'Q', "entry 'w/data/0' is not what the directory says"},
    {LOCAL, FIRST, 8, 2, 8, "entry 'w/data/0' is not what the directory says"},
    {LOCAL, FIRST, 26, 2, 7, "entry 'w/data/0' is not what the directory says"},
    {LOCAL, FIRST, 28, 2, 1, "entry 'w/data/0' lies outside the file, or on another"},
    {LOCAL, SECOND, 28, 2, 0xffff, "entry 'w/data/1' lies outside the file"},
    {LOCAL, FIRST, 37, 1, '1', "entry 'w/data/0' is not what the directory says"},
    {DATA, FIRST, 0, 1, 7, "entry 'w/data/0' has another checksum"},
    {DATA, PICKLE, 3, 1, ')', "entry 'w/data.pkl' has another checksum"},
    {DATA, ORDER, 0, 1, 'L', "entry 'w/byteorder' has another checksum"},
};

START_TEST(archives_that_lie_are_refused)
{
    for (size_t i = 0; i < sizeof lies / sizeof *lies; i++) {
        test_archive archive;
        gm_error error = {GM_OK, ""};
        build(good_entries, PARTS, &archive);
        const size_t places[] = {archive.local[lies[i].entry], archive.central[lies[i].entry],
                                 archive.data[lies[i].entry], archive.end};
        test_archive_put(&archive, places[lies[i].record] + lies[i].field, lies[i].size, lies[i].value);
        const gm_status status = read_bytes(archive.bytes, archive.size, &error);
        ck_assert_msg(status != GM_OK, "lie %zu, '%s', was believed", i, lies[i].pattern);
        test_expect(status, &error, GM_BAD_DATA, lies[i].pattern);
        ck_assert_msg(strstr(error.message, "weights.pth: "), "%s", error.message);
    }
}
END_TEST

/* Whole entries, replaced. */
static const struct {
    int entry;
    test_entry replacement;
    const char *pattern;
} parts[] = {
    {PICKLE, {"w/other.pkl", "N.", 2, false}, "without a file data.pkl"},
    {PICKLE, {"data.pkl", "N.", 2, false}, "without a file data.pkl"},
    {PICKLE, {"w/data.pkl", "N.", 2, false}, "holds no dictionary of tensors"},
    {PICKLE, {"w/data.pkl", "}.N.", 4, false}, "something follows the end of its pickle"},
    {PICKLE, {"w/data.pkl", "cos\nsystem\n.", 12, true}, "names os.system"},
    {ORDER, {"w/byteorder", "big", 3, false}, "not in little endian"},
    {ORDER, {"w/byteorder", "LITTLE", 6, false}, "not in little endian"},
    {ORDER, {"w/data/0", values, 8, false}, "entry 'w/data/0' is there twice"},
    {ORDER, {"v/data.pkl", "N.", 2, false}, "two files data.pkl"},
    {ORDER, {"w/constants.pkl", "N.", 2, false}, "TorchScript"},
    {FIRST, {"v/data/0", values, 8, false}, "tensor 'a': its storage '0' is missing"},
    {FIRST, {"w/data/2", values, 8, false}, "tensor 'a': its storage '0' is missing"},
    {SECOND, {"w/data/1", values, 8, false}, "tensor 'b': its storage '1' has another size"},
    {SECOND, {"w/data/1", values, 16, true}, "tensor 'b': its storage '1' has another size"},
};

START_TEST(archives_of_other_parts_are_refused)
{
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        test_archive archive;
        test_entry entries[PARTS];
        gm_error error = {GM_OK, ""};
        memcpy(entries, good_entries, sizeof entries);
        entries[parts[i].entry] = parts[i].replacement;
        build(entries, PARTS, &archive);
        test_expect(read_bytes(archive.bytes, archive.size, &error), &error, GM_BAD_DATA, parts[i].pattern);
    }
}
END_TEST

#define PICKLED(pickle, pattern)                                                                                       \
    {                                                                                                                  \
        pickle, sizeof pickle - 1, pattern                                                                             \
    }
#define FLOATS(key, elements) PICKLE_STORAGE("FloatStorage", key, elements)
#define A                                                                                                              \
    "}U\x01"                                                                                                           \
    "a"

/* Pickles over the storages '0' of 2 floats and '1' of 3. */
static const struct {
    const char *pickle;
    size_t size;
    const char *pattern;
} tensors[] = {
    PICKLED(A PICKLE_TENSOR(FLOATS("0", "\x02"), "\x01", "K\x02\x85", "K\x01\x85") "s.", "tensor 'a' reaches beyond"),
    PICKLED(A PICKLE_TENSOR(FLOATS("0", "\x02"), "\0", "K\x03\x85", "K\x01\x85") "s.", "tensor 'a' reaches beyond"),
    PICKLED(A PICKLE_TENSOR(FLOATS("0", "\x02"), "\0", "K\x02\x85", "K\x02\x85") "s.", "tensor 'a' reaches beyond"),
    PICKLED(A PICKLE_TENSOR(FLOATS("0", "\x02"), "\x03", "K\0\x85", "K\x01\x85") "s.", "tensor 'a' reaches beyond"),
    PICKLED(A PICKLE_TENSOR(FLOATS("0", "\x02"), "\0", "K\x03\x85", "K\0\x85") "s.", "tensor 'a' repeats elements"),
    PICKLED(A PICKLE_TENSOR(FLOATS("0", "\x02"), "\0", "J\xff\xff\xff\xff\x85", "K\x01\x85") "s.",
            "tensor 'a' has an offset, a shape"),
    PICKLED(A PICKLE_TENSOR(FLOATS("0", "\x02"), "\0", "K\x02\x85", "J\xff\xff\xff\xff\x85") "s.",
            "tensor 'a' has an offset, a shape"),
    PICKLED(A PICKLE_TENSOR(FLOATS("0", "\x02"), "\0", "K\x02\x85", ")") "s.", "tensor 'a' has an offset, a shape"),
    PICKLED(A PICKLE_TENSOR(FLOATS("0", "\x02"), "\0", "N\x85", "K\x01\x85") "s.", "tensor 'a' has an offset, a shape"),
    PICKLED(A PICKLE_TENSOR(FLOATS("0", "\x02"), "\0", "]", "]") "s.", "tensor 'a' has an offset, a shape"),
    PICKLED(A PICKLE_TENSOR(FLOATS("0", "\x02"), "\0", "(K\x01K\x01K\x01K\x01K\x01K\x01K\x01K\x01K\x01t",
                            "(K\x01K\x01K\x01K\x01K\x01K\x01K\x01K\x01K\x01t") "s.",
            "tensor 'a' has an offset, a shape"),
    PICKLED(A PICKLE_TENSOR(FLOATS("0", "\x02"), "\0",
                            "\x8a\x08\xff\xff\xff\xff\xff\xff\xff\x7f"
                            "K\x02\x86",
                            "K\x01K\x01\x86") "s.",
            "tensor 'a' has an impossible shape"),
    PICKLED(A PICKLE_TENSOR(FLOATS("0", "\x02"), "\0", "\x8a\x08\xff\xff\xff\xff\xff\xff\xff\x1f\x85",
                            "\x8a\x08\xff\xff\xff\xff\xff\xff\xff\x7f\x85") "s.",
            "tensor 'a' "),
    PICKLED(
        A PICKLE_TENSOR(FLOATS("0", "\x02"), "\0", "K\x02K\x02\x86",
                        "\x8a\x08\xff\xff\xff\xff\xff\xff\xff\x7f\x8a\x08\xff\xff\xff\xff\xff\xff\xff\x7f\x86") "s.",
        "tensor 'a' reaches beyond"),
    PICKLED(A PICKLE_TENSOR("N", "\0", "K\x02\x85", "K\x01\x85") "s.", "tensor 'a' has no storage"),
    PICKLED(A PICKLE_TENSOR(FLOATS("/", "\x02"), "\0", "K\x02\x85", "K\x01\x85") "s.",
            "tensor 'a' has a storage whose key"),
    PICKLED(A PICKLE_TENSOR(FLOATS("\n", "\x02"), "\0", "K\x02\x85", "K\x01\x85") "s.",
            "tensor 'a' has a storage whose key"),
    PICKLED(A PICKLE_TENSOR(FLOATS("7", "\x02"), "\0", "K\x02\x85", "K\x01\x85") "s.",
            "tensor 'a': its storage '7' is missing"),
    PICKLED(A PICKLE_TENSOR(FLOATS("0", "\x03"), "\0", "K\x03\x85", "K\x01\x85") "s.",
            "tensor 'a': its storage '0' has another size"),
    PICKLED(A PICKLE_TENSOR("(U\x07storagectorch\nFloatStorage\nU\x01"
                            "0U\x03"
                            "cpuJ\xff\xff\xff\xfftQ",
                            "\0", "K\x02\x85", "K\x01\x85") "s.",
            "tensor 'a' has a storage of impossible size"),
    PICKLED(A PICKLE_TENSOR("(U\x07storagectorch\nFloatStorage\nU\x01"
                            "0U\x03"
                            "cpu\x8a\x08\xff\xff\xff\xff\xff\xff\xff\x7ftQ",
                            "\0", "K\x02\x85", "K\x01\x85") "s.",
            "tensor 'a' has a storage of impossible size"),
    PICKLED("}(U\x01"
            "a" PICKLE_VECTOR("0", "\x02") "U\x01"
                                           "b" PICKLE_TENSOR(PICKLE_STORAGE("IntStorage", "0", "\x02"), "\0",
                                                             "K\x02\x85", "K\x01\x85") "u.",
            "tensor 'b' takes its storage '0' for another type or size than 'a'"),
    PICKLED(A "ctorch._utils\n_rebuild_tensor_v2\n(" FLOATS("0", "\x02") "K\0K\x02\x85K\x01\x85\x89}K\x01K\x01stRs.",
            "tensor 'a' has hooks or flags"),
    PICKLED(A "ctorch._utils\n_rebuild_tensor_v2\n(" FLOATS("0", "\x02") "K\0K\x02\x85K\x01\x85\x89}}U\x03neg\x88stRs.",
            "tensor 'a' has hooks or flags"),
    PICKLED("}(U\x01"
            "a" PICKLE_VECTOR("0", "\x02") "U\x01"
                                           "a" PICKLE_VECTOR("1", "\x03") "u.",
            "'' is a dictionary with duplicate keys"),
    PICKLED("}(U\x01"
            "a" PICKLE_VECTOR("0", "\x02") "U\x01"
                                           "aNu.",
            "duplicate keys"),
    PICKLED("}U\x01m}(K\x01NK\x01Nus.", "'m' is a dictionary with duplicate keys"),
    PICKLED("}(U\x01"
            "1" PICKLE_VECTOR("0", "\x02") "K\x01" PICKLE_VECTOR("1", "\x03") "u.",
            "tensor '1' is there twice"),
    PICKLED("}(U\x03"
            "a.b" PICKLE_VECTOR("0", "\x02") "U\x01"
                                             "a}U\x01"
                                             "b" PICKLE_VECTOR("1", "\x03") "su.",
            "tensor 'a.b' is there twice"),
    PICKLED("}N" PICKLE_VECTOR("0", "\x02") "s.", "neither texts nor integers"),
    PICKLED("}U\x02"
            "a\n" PICKLE_VECTOR("0", "\x02") "s.",
            "control characters"),
    PICKLED("}.", "holds no tensors"),
    PICKLED("}U\x01"
            "aNs.",
            "holds no tensors"),
    PICKLED("]q\0h\0"
            "a.",
            "is nested too deeply"),
    PICKLED("]q\0(h\0h\0h\0h\0h\0h\0h\0h\0"
            "e.",
            "is nested too deeply"),
};

START_TEST(tensors_that_cannot_be_are_refused)
{
    for (size_t i = 0; i < sizeof tensors / sizeof *tensors; i++) {
        test_archive archive;
        test_entry entries[PARTS];
        gm_error error = {GM_OK, ""};
        memcpy(entries, good_entries, sizeof entries);
        entries[PICKLE].data = tensors[i].pickle;
        entries[PICKLE].size = tensors[i].size;
        build(entries, PARTS, &archive);
        const gm_status status = read_bytes(archive.bytes, archive.size, &error);
        ck_assert_msg(status != GM_OK, "case %zu, '%s', was accepted", i, tensors[i].pattern);
        test_expect(status, &error, GM_BAD_DATA, tensors[i].pattern);
    }
}
END_TEST

/* --- legacy files ---------------------------------------------------------------------------------------------- */

#define MAGIC "\x80\x02\x8a\nl\xfc\x9c\x46\xf9 j\xa8P\x19."
#define PROTOCOL "\x80\x02M\xe9\x03."
#define MACHINE "\x80\x02}U\x0dlittle_endian\x88s."
#define OBJECT                                                                                                         \
    "\x80\x02}(U\x01"                                                                                                  \
    "a" PICKLE_VECTOR("0", "\x02") "U\x01"                                                                             \
                                   "b" PICKLE_VECTOR("1", "\x01") "u."
#define KEYS                                                                                                           \
    "\x80\x02](U\x01"                                                                                                  \
    "0U\x01"                                                                                                           \
    "1e."
#define TWO "\x02\0\0\0\0\0\0\0\0\0\x80\x3f\0\0\0\x40"
#define ONE "\x01\0\0\0\0\0\0\0\0\0\x40\x40"

static const struct {
    const char *bytes;
    size_t size;
    const char *pattern;
} legacy[] = {
    PICKLED(MAGIC PROTOCOL MACHINE OBJECT KEYS TWO ONE, ""),
    PICKLED(MAGIC PROTOCOL MACHINE OBJECT "\x80\x02](U\x01"
                                          "1U\x01"
                                          "0e." ONE TWO,
            ""),
    PICKLED("\x80\x02}.", "is a bare pickle"),
    PICKLED(MAGIC, "cut short"),
    PICKLED(MAGIC "\x80\x02M\xe8\x03." MACHINE OBJECT KEYS TWO ONE, "another protocol"),
    PICKLED(MAGIC "N." MACHINE OBJECT KEYS TWO ONE, "another protocol"),
    PICKLED(MAGIC PROTOCOL "}U\x0dlittle_endian\x89s." OBJECT KEYS TWO ONE, "not in little endian"),
    PICKLED(MAGIC PROTOCOL "}." OBJECT KEYS TWO ONE, "not in little endian"),
    PICKLED(MAGIC PROTOCOL MACHINE "cos\nsystem\n." KEYS TWO ONE, "names os.system"),
    PICKLED(MAGIC PROTOCOL "cos\nsystem\n." OBJECT KEYS TWO ONE, "names os.system"),
    PICKLED(MAGIC PROTOCOL MACHINE OBJECT "cos\nsystem\n." TWO ONE, "names os.system"),
    PICKLED(MAGIC PROTOCOL MACHINE "N." KEYS TWO ONE, "no dictionary of tensors"),
    PICKLED(MAGIC PROTOCOL MACHINE OBJECT "N." TWO ONE, "no list"),
    PICKLED(MAGIC PROTOCOL MACHINE OBJECT "](K\x01K\x02"
                                          "e." TWO ONE,
            "lists a storage twice, or one"),
    PICKLED(MAGIC PROTOCOL MACHINE OBJECT "](U\x01"
                                          "0U\x01"
                                          "7e." TWO ONE,
            "lists a storage twice, or one"),
    PICKLED(MAGIC PROTOCOL MACHINE OBJECT "](U\x01"
                                          "0U\x01"
                                          "0e." TWO TWO,
            "lists a storage twice"),
    PICKLED(MAGIC PROTOCOL MACHINE OBJECT "](U\x01"
                                          "0e." TWO,
            "tensor 'b': its storage '1' is missing"),
    PICKLED(MAGIC PROTOCOL MACHINE OBJECT KEYS ONE TWO, "tensor 'a': its storage '0' has another size"),
    PICKLED(MAGIC PROTOCOL MACHINE OBJECT KEYS TWO, "tensor 'b': its storage '1' lies outside the file"),
    PICKLED(MAGIC PROTOCOL MACHINE OBJECT KEYS TWO "\x01\0\0\0\0\0\0\0\0\0",
            "tensor 'b': its storage '1' lies outside"),
    PICKLED(MAGIC PROTOCOL MACHINE OBJECT KEYS TWO ONE "\0", "something follows its last storage"),
};

START_TEST(legacy_files_are_read_or_refused)
{
    for (size_t i = 0; i < sizeof legacy / sizeof *legacy; i++) {
        gm_error error = {GM_OK, ""};
        gm_pth *file;
        float data[2];
        gm_status status = open_bytes(legacy[i].bytes, legacy[i].size, &file, &error);
        if (*legacy[i].pattern) {
            ck_assert_msg(status != GM_OK, "case %zu, '%s', was accepted", i, legacy[i].pattern);
            test_expect(status, &error, GM_BAD_DATA, legacy[i].pattern);
            ck_assert_ptr_null(file);
            continue;
        }
        ck_assert_msg(status == GM_OK, "case %zu: %s", i, error.message);
        ck_assert_int_eq(gm_pth_read(file, 0, data, &error), GM_OK);
        ck_assert(test_same_bits(data, values, 8));
        ck_assert_int_eq(gm_pth_read(file, 1, data, &error), GM_OK);
        ck_assert(test_same_bits(data, values + 2, 4));
        gm_pth_close(file);
    }
}
END_TEST

/* --- sizes ----------------------------------------------------------------------------------------------------- */

START_TEST(files_that_are_cut_short_are_refused)
{
    test_archive archive;
    gm_error error;
    static const char whole[] = MAGIC PROTOCOL MACHINE OBJECT KEYS TWO ONE;
    build(good_entries, PARTS, &archive);
    for (size_t size = 0; size < archive.size; size++)
        test_expect(read_bytes(archive.bytes, size, &error), &error, GM_BAD_DATA, "weights.pth: ");
    for (size_t size = 0; size < sizeof whole - 1; size++)
        test_expect(read_bytes(whole, size, &error), &error, GM_BAD_DATA, "weights.pth: ");
}
END_TEST

static size_t peak_memory(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (size_t)usage.ru_maxrss << 10;
}

#if defined __SANITIZE_ADDRESS__ || defined __SANITIZE_THREAD__
static const bool measured = false; /* a sanitizer's own memory is many times that */
#else
static const bool measured = true;
#endif

#define MANY "J\0\0\x40\x01" /* 20 x 2^20 */
static const char large_pickle[] = "}U\x01"
                                   "a" PICKLE_TENSOR("(U\x07storagectorch\nFloatStorage\nU\x01"
                                                     "0U\x03"
                                                     "cpu" MANY "tQ",
                                                     "\0", MANY "\x85", "K\x01\x85") "s.";

START_TEST(bombs_are_refused)
{
    enum { SIZE = 80 << 20 };
    static test_archive archive;
    gm_error error = {GM_OK, ""};
    char *zeros = calloc(SIZE, 1);
    const test_entry pickle = {"w/data.pkl", large_pickle, sizeof large_pickle - 1, true};
    const test_entry bomb = {"w/data/0", zeros, SIZE, true};
    test_archive_begin(&archive);
    test_archive_add(&archive, &pickle);
    test_archive_add(&archive, &bomb);
    test_archive_end(&archive);
    free(zeros);
    test_expect(read_bytes(archive.bytes, archive.size, &error), &error, GM_BAD_DATA,
                "tensor 'a': its storage '0' unpacks to more than");
    test_archive_put(&archive, archive.central[0] + 24, 4, 1 << 30);
    test_expect(read_bytes(archive.bytes, archive.size, &error), &error, GM_BAD_DATA, "pickle is longer than 16 MB");
    for (uint64_t size = 0; size < sizeof large_pickle + 8; size++) {
        test_archive_put(&archive, archive.central[0] + 24, 4, size);
        if (size != sizeof large_pickle - 1)
            test_expect(read_bytes(archive.bytes, archive.size, &error), &error, GM_BAD_DATA,
                        "entry 'w/data.pkl' is damaged, or unpacks to another size");
    }
}
END_TEST

/* The most that a pickle of 15 MB makes the reader hold. */
START_TEST(memory_is_bounded)
{
    static const struct {
        const char *start, *piece;
        size_t start_size, size;
    } cases[] = {
        {"", "]", 0, 1}, {"N", "\x85", 1, 1}, {"]", "Na", 1, 2}, {"](", "K\x01\x94", 2, 3}, {"}(", "K\x01K\x01", 2, 4},
    };
    enum { SIZE = 15 << 20 };
    static unsigned char bytes[SIZE];
    const char *path = test_path(&folder, "large.pth");
    memset(bytes, 1, SIZE);
    const size_t before = peak_memory();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        size_t size = sizeof MAGIC PROTOCOL MACHINE - 1;
        memcpy(bytes, MAGIC PROTOCOL MACHINE, size);
        memcpy(bytes + size, cases[i].start, cases[i].start_size);
        size += cases[i].start_size;
        for (; size + cases[i].size <= SIZE; size += cases[i].size)
            memcpy(bytes + size, cases[i].piece, cases[i].size);
        test_write(path, bytes, size);
        gm_error error;
        gm_pth *file;
        test_expect(gm_pth_open(path, &file, &error), &error, GM_BAD_DATA, "more than");
        if (measured)
            ck_assert_uint_le(peak_memory() - before, 2 * size + (64 << 20));
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("pth");
    TCase *tests = tcase_create("pth");
    tcase_add_checked_fixture(tests, enter, leave);
    suite_add_tcase(suite, tests);
    tcase_add_loop_test(tests, files_of_pytorch_have_equal_bits, 0, sizeof real_files / sizeof *real_files);
    tcase_add_test(tests, archives_that_are_right_are_read);
    tcase_add_test(tests, archives_that_lie_are_refused);
    tcase_add_test(tests, archives_of_other_parts_are_refused);
    tcase_add_test(tests, tensors_that_cannot_be_are_refused);
    tcase_add_test(tests, legacy_files_are_read_or_refused);
    tcase_add_test(tests, files_that_are_cut_short_are_refused);
    tcase_add_test(tests, bombs_are_refused);
    tcase_add_test(tests, memory_is_bounded);
    return test_run(suite);
}
