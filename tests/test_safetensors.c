/* The safetensors writer and reader, and what the reader refuses. */
#include "formats/safetensors.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "support/files.h"
#include "support/support.h"

static float weights[2][3] = {{1, -2, 3.5f}, {0, 1e-30f, 7}};
static float scalar = 0.25f;
static int64_t steps[1] = {-5};

static const gm_tensor tensors[] = {
    {"encoder.0.weight", GM_TENSOR_F32, 2, {2, 3}, weights},
    {"empty", GM_TENSOR_F32, 2, {0, 4}, NULL},
    {"steps", GM_TENSOR_I64, 1, {1}, steps},
    {"scalar", GM_TENSOR_F32, 0, {0}, &scalar},
};
static const gm_metadata metadata[] = {{"arch", "mlp"}, {"note", "quotes \" and \xc3\xbc"}};

enum { TENSORS = sizeof tensors / sizeof tensors[0] };

START_TEST(what_is_written_is_read)
{
    const test_folder folder = test_folder_create();
    const char *path = test_path(&folder, "model.safetensors");
    gm_error error;
    gm_safetensors *file;
    test_expect(gm_safetensors_write(path, TENSORS, tensors, 2, metadata, &error), &error, GM_OK, "");
    test_expect(gm_safetensors_open(path, &file, &error), &error, GM_OK, "");
    ck_assert_int_eq(gm_safetensors_count(file), TENSORS);
    ck_assert_str_eq(gm_safetensors_metadata(file, "arch"), "mlp");
    ck_assert_str_eq(gm_safetensors_metadata(file, "note"), metadata[1].value);
    ck_assert_ptr_null(gm_safetensors_metadata(file, "absent"));
    for (int64_t i = 0; i < TENSORS; i++) {
        const gm_tensor found = gm_safetensors_tensor(file, i);
        ck_assert_str_eq(found.name, tensors[i].name);
        ck_assert_int_eq(found.type, tensors[i].type);
        ck_assert_int_eq(found.dimensions, tensors[i].dimensions);
        for (int32_t d = 0; d < found.dimensions; d++)
            ck_assert_int_eq(found.shape[d], tensors[i].shape[d]);
        char bytes[64];
        gm_tensor wanted = tensors[i];
        wanted.data = bytes;
        memset(bytes, 0x55, sizeof bytes);
        test_expect(gm_safetensors_read(file, &wanted, &error), &error, GM_OK, "");
        const size_t size = i == 0 ? sizeof weights : i == 1 ? 0 : i == 2 ? sizeof steps : sizeof scalar;
        ck_assert(size == 0 || memcmp(bytes, tensors[i].data, size) == 0);
        ck_assert_int_eq(bytes[size], 0x55);
    }
    gm_safetensors_close(file);
    test_folder_remove(&folder);
}
END_TEST

/* The bytes that the format's definition asks for, written out by hand. */
START_TEST(the_file_follows_the_format)
{
    static const char expected[] = "\x38\0\0\0\0\0\0\0"
                                   "{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}  "
                                   "\0\0\x80\x3f\0\0\0\x40";
    const test_folder folder = test_folder_create();
    const char *path = test_path(&folder, "a.safetensors");
    float values[2] = {1, 2};
    const gm_tensor one = {"a", GM_TENSOR_F32, 1, {2}, values};
    gm_error error;
    test_expect(gm_safetensors_write(path, 1, &one, 0, NULL, &error), &error, GM_OK, "");
    char bytes[sizeof expected + 1];
    FILE *file = fopen(path, "rb");
    ck_assert_int_eq(fread(bytes, 1, sizeof bytes, file), sizeof expected - 1);
    fclose(file);
    ck_assert(memcmp(bytes, expected, sizeof expected - 1) == 0);
    ck_assert_int_ne(access(test_path(&folder, "a.safetensors.tmp"), F_OK), 0);
    test_folder_remove(&folder);
}
END_TEST

START_TEST(other_tensors_than_the_file_has_are_refused)
{
    const test_folder folder = test_folder_create();
    const char *path = test_path(&folder, "model.safetensors");
    gm_error error;
    gm_safetensors *file;
    float values[6];
    test_expect(gm_safetensors_write(path, TENSORS, tensors, 2, metadata, &error), &error, GM_OK, "");
    test_expect(gm_safetensors_open(path, &file, &error), &error, GM_OK, "");
    const struct {
        gm_tensor wanted;
        const char *pattern;
    } cases[] = {
        {{"encoder.1.weight", GM_TENSOR_F32, 2, {2, 3}, values}, "tensor 'encoder.1.weight' is missing"},
        {{"encoder.0.weight", GM_TENSOR_F32, 2, {3, 2}, values}, "is F32 [2, 3] where F32 [3, 2] is needed"},
        {{"encoder.0.weight", GM_TENSOR_F32, 1, {2}, values}, "is F32 [2, 3] where F32 [2] is needed"},
        {{"encoder.0.weight", GM_TENSOR_I64, 2, {2, 3}, values}, "where I64 [2, 3] is needed"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        test_expect(gm_safetensors_read(file, &cases[i].wanted, &error), &error, GM_BAD_DATA, cases[i].pattern);
    gm_safetensors_close(file);
    gm_safetensors_close(NULL);
    test_folder_remove(&folder);
}
END_TEST

/* A header, a claim about its length (0: the truth) and the number of bytes of data behind it. */
START_TEST(malformed_files_are_refused)
{
#define ENTRY(shape, begin, end) "{\"dtype\":\"F32\",\"shape\":" shape ",\"data_offsets\":[" begin "," end "]}"
    static const struct {
        const char *header;
        uint64_t length;
        int64_t data;
        const char *pattern;
    } cases[] = {
        {"", 0, -8, "too short"},
        {"", 0, -1, "too short"},
        {"{}", 3, 0, "cut short"},
        {"{}", UINT64_MAX, 0, "cut short"},
        {"{}", (uint64_t)1 << 62, 0, "cut short"},
        {"", 0, 0, "header: "},
        {"{} {}", 0, 0, "header: "},
        {"[]", 0, 0, "not an object"},
        {"{\"a\":" ENTRY("[1]", "0", "4") ",\"a\":" ENTRY("[1]", "0", "4") "}", 0, 4, "duplicate"},
        {"{\"__metadata__\":{\"a\":\"1\",\"a\":\"2\"}}", 0, 0, "duplicate"},
        {"{\"__metadata__\":[]}", 0, 0, "metadata"},
        {"{\"__metadata__\":{\"a\":1}}", 0, 0, "metadata 'a'"},
        {"{\"a\":{}}", 0, 0, "'a' is not described"},
        {"{\"a\\u001b\":{}}", 0, 0, "control characters"},
        {"{\"a\":7}", 0, 0, "'a' is not described"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4],\"more\":1}}", 0, 4, "'a' is not described"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0]}}", 0, 4, "'a' is not described"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0.0,4.0]}}", 0, 4, "'a' is not described"},
        {"{\"a\":{\"dtype\":\"F8_E4M3\",\"shape\":[2],\"data_offsets\":[0,4]}}", 0, 4, "dtype 'F8_E4M3'"},
        {"{\"a\":" ENTRY("[1,1,1,1,1,1,1,1,1]", "0", "4") "}", 0, 4, "too many dimensions"},
        {"{\"a\":" ENTRY("[1.5]", "0", "4") "}", 0, 4, "not of integers"},
        {"{\"a\":" ENTRY("[-1]", "0", "4") "}", 0, 4, "impossible shape"},
        {"{\"a\":" ENTRY("[4611686018427387904,4]", "0", "0") "}", 0, 0, "impossible shape"},
        {"{\"a\":" ENTRY("[4611686018427387904,4,0]", "0", "0") "}", 0, 0, "impossible shape"},
        {"{\"a\":" ENTRY("[99999999999999999999]", "0", "4") "}", 0, 4, "header: "},
        {"{\"a\":" ENTRY("[2]", "0", "4") "}", 0, 4, "do not fit its shape"},
        {"{\"a\":" ENTRY("[1]", "4", "0") "}", 0, 4, "do not fit its shape"},
        {"{\"a\":" ENTRY("[1]", "-4", "0") "}", 0, 4, "do not fit its shape"},
        {"{\"a\":" ENTRY("[1]", "4", "8") "}", 0, 8, "'a' does not begin where"},
        {"{\"a\":" ENTRY("[1]", "0", "4") ",\"b\":" ENTRY("[1]", "8", "12") "}", 0, 12, "'b' does not begin where"},
        {"{\"a\":" ENTRY("[2]", "0", "8") ",\"b\":" ENTRY("[2]", "4", "12") "}", 0, 12, "'b' does not begin where"},
        {"{\"a\":" ENTRY("[1]", "0", "4") "}", 0, 3, "has 3 bytes of data where its header says 4"},
        {"{\"a\":" ENTRY("[1]", "0", "4") "}", 0, 5, "has 5 bytes of data where its header says 4"},
    };
    const test_folder folder = test_folder_create();
    const char *path = test_path(&folder, "bad.safetensors");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char bytes[512] = {0};
        const size_t text = strlen(cases[i].header);
        const uint64_t length = cases[i].length ? cases[i].length : text;
        memcpy(bytes, &length, 8);
        memcpy(bytes + 8, cases[i].header, text);
        test_write(path, bytes, (size_t)(8 + (int64_t)text + cases[i].data));
        gm_error error;
        gm_safetensors *file;
        test_expect(gm_safetensors_open(path, &file, &error), &error, GM_BAD_DATA, cases[i].pattern);
        ck_assert_msg(strstr(error.message, "bad.safetensors"), "%s", error.message);
        ck_assert_ptr_null(file);
    }
    test_folder_remove(&folder);
}
END_TEST

/* A file of nothing but header would need many times its size when parsed. */
START_TEST(long_headers_are_refused)
{
    const test_folder folder = test_folder_create();
    const char *path = test_path(&folder, "long.safetensors");
    const uint64_t length = 8000000;
    test_write(path, &length, sizeof length);
    ck_assert_int_eq(truncate(path, (off_t)(8 + length)), 0);
    gm_error error;
    gm_safetensors *file;
    test_expect(gm_safetensors_open(path, &file, &error), &error, GM_BAD_DATA, "too long");
    test_folder_remove(&folder);
}
END_TEST

START_TEST(tensors_that_cannot_be_written_are_refused)
{
    const test_folder folder = test_folder_create();
    const char *path = test_path(&folder, "model.safetensors");
    static const gm_tensor good = {"a", GM_TENSOR_F32, 1, {6}, weights};
    const gm_tensor cases[][2] = {
        {good, good},
        {good, {"", GM_TENSOR_F32, 1, {6}, weights}},
        {good, {NULL, GM_TENSOR_F32, 1, {6}, weights}},
        {good, {"__metadata__", GM_TENSOR_F32, 1, {6}, weights}},
        {good, {"b", GM_TENSOR_F32, 1, {-6}, weights}},
        {good, {"b", GM_TENSOR_F32, 3, {1 << 30, 1 << 30, 1 << 30}, weights}},
        {good, {"b", GM_TENSOR_F32, 9, {1}, weights}},
        {good, {"b", GM_TENSOR_F32, 1, {6}, NULL}},
        {good, {"b", GM_TENSOR_TYPE_COUNT, 1, {6}, weights}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        gm_error error;
        test_expect(gm_safetensors_write(path, 2, cases[i], 0, NULL, &error), &error, GM_INVALID_ARGUMENT,
                    "model.safetensors");
        ck_assert_int_ne(access(path, F_OK), 0);
    }
    test_folder_remove(&folder);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("safetensors");
    TCase *tests = tcase_create("safetensors");
    suite_add_tcase(suite, tests);
    tcase_add_test(tests, what_is_written_is_read);
    tcase_add_test(tests, the_file_follows_the_format);
    tcase_add_test(tests, other_tensors_than_the_file_has_are_refused);
    tcase_add_test(tests, malformed_files_are_refused);
    tcase_add_test(tests, long_headers_are_refused);
    tcase_add_test(tests, tensors_that_cannot_be_written_are_refused);
    return test_run(suite);
}
