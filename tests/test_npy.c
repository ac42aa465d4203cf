/* The .npy reader and writer. */
#include "formats/npy.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "support/files.h"
#include "support/support.h"

/* A file of this version with this dictionary and these data. padding: spaces behind the dictionary. */
static size_t make_file(char *bytes, int version, const char *dictionary, int padding, const void *data, size_t size)
{
    const size_t text = strlen(dictionary) + (size_t)padding + 1, prefix = version == 1 ? 10 : 12;
    memcpy(bytes, "\x93NUMPY", 6);
    bytes[6] = (char)version;
    bytes[7] = 0;
    for (size_t i = 8; i < prefix; i++)
        bytes[i] = (char)(text >> 8 * (i - 8));
    memset(bytes + prefix, ' ', text);
    memcpy(bytes + prefix, dictionary, strlen(dictionary));
    bytes[prefix + text - 1] = '\n';
    memcpy(bytes + prefix + text, data, size);
    return prefix + text + size;
}

static gm_status read_f32(const char *path, const char *bytes, size_t size, int64_t shape[2], float **values,
                          gm_error *error)
{
    test_write(path, bytes, size);
    return gm_npy_read_f32(path, &shape[0], &shape[1], values, error);
}

START_TEST(matrices_survive_writing_and_reading)
{
    const test_folder folder = test_folder_create();
    const char *path = test_path(&folder, "x.npy");
    enum { ROWS = 301, COLS = 70, LD = 75 }; /* more than one piece of the reader */
    float *x = malloc(ROWS * LD * sizeof *x), *y;
    test_random random = test_random_create(1);
    test_fill_heavy_tails(&random, x, ROWS * LD);
    gm_error error;
    int64_t rows, cols;
    test_expect(gm_npy_write_f32(path, ROWS, COLS, x, LD, &error), &error, GM_OK, "");
    test_expect(gm_npy_read_f32(path, &rows, &cols, &y, &error), &error, GM_OK, "");
    ck_assert_int_eq(rows, ROWS);
    ck_assert_int_eq(cols, COLS);
    for (int i = 0; i < ROWS; i++)
        ck_assert(test_same_bits(x + i * LD, y + i * COLS, COLS * sizeof *x));
    free(x);
    free(y);
    test_folder_remove(&folder);
}
END_TEST

/* Byte for byte what numpy.save writes. */
START_TEST(the_writer_follows_the_format)
{
    const test_folder folder = test_folder_create();
    const char *path = test_path(&folder, "x.npy");
    const float x[2] = {1, -2};
    char expected[256], found[256];
    const size_t size = make_file(expected, 1, "{'descr': '<f4', 'fortran_order': False, 'shape': (1, 2), }", 58, x, 8);
    gm_error error;
    test_expect(gm_npy_write_f32(path, 1, 2, x, 2, &error), &error, GM_OK, "");
    FILE *file = fopen(path, "rb");
    ck_assert_int_eq(fread(found, 1, sizeof found, file), size);
    fclose(file);
    ck_assert_int_eq(size, 128 + 8);
    ck_assert(memcmp(expected, found, size) == 0);
    test_folder_remove(&folder);
}
END_TEST

START_TEST(versions_and_spellings_are_read)
{
    static const char *const dictionaries[] = {
        "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }",
        "{\"shape\":(2,3),\"descr\":\"<f4\",\"fortran_order\":False}",
        "{ 'fortran_order' : False , 'shape' : ( 2 , 3 , ) , 'descr' : '<f4' }",
    };
    const float x[6] = {0, 1, -2.5f, INFINITY, 1e-40f, 6};
    const test_folder folder = test_folder_create();
    const char *path = test_path(&folder, "x.npy");
    for (int version = 1; version <= 3; version++)
        for (size_t i = 0; i < sizeof dictionaries / sizeof *dictionaries; i++) {
            char bytes[256];
            const size_t size = make_file(bytes, version, dictionaries[i], (int)i * 20, x, sizeof x);
            gm_error error;
            int64_t shape[2];
            float *values;
            test_expect(read_f32(path, bytes, size, shape, &values, &error), &error, GM_OK, "");
            ck_assert(shape[0] == 2 && shape[1] == 3);
            ck_assert(test_same_bits(values, x, sizeof x));
            free(values);
        }
    test_folder_remove(&folder);
}
END_TEST

START_TEST(halves_and_bytes_become_floats)
{
    static const struct {
        uint16_t half;
        float value;
    } halves[] = {{0x0000, 0.0f},        {0x8000, -0.0f},    {0x3c00, 1.0f},     {0xc000, -2.0f},
                  {0x3555, 0.33325195f}, {0x7bff, 65504.0f}, {0x0400, 0x1p-14f}, {0x0001, 0x1p-24f},
                  {0x83ff, -0x3ffp-24f}, {0x7c00, INFINITY}, {0xfc00, -INFINITY}};
    enum { N = sizeof halves / sizeof *halves };
    const test_folder folder = test_folder_create();
    const char *path = test_path(&folder, "x.npy");
    uint16_t data[N + 1];
    for (int i = 0; i < N; i++)
        data[i] = halves[i].half;
    data[N] = 0x7e00; /* NaN */
    char bytes[256], dictionary[80];
    gm_error error;
    int64_t shape[2];
    float *values;
    snprintf(dictionary, sizeof dictionary, "{'descr': '<f2', 'fortran_order': False, 'shape': (1, %d)}", N + 1);
    size_t size = make_file(bytes, 1, dictionary, 0, data, sizeof data);
    test_expect(read_f32(path, bytes, size, shape, &values, &error), &error, GM_OK, "");
    for (int i = 0; i < N; i++)
        ck_assert_msg(test_same_bits(&values[i], &halves[i].value, sizeof(float)), "%04x: %g", data[i], values[i]);
    ck_assert(isnan(values[N]));
    free(values);
    size = make_file(bytes, 1, "{'descr': '|u1', 'fortran_order': False, 'shape': (3, 1)}", 0, "\0\x7f\xff", 3);
    test_expect(read_f32(path, bytes, size, shape, &values, &error), &error, GM_OK, "");
    ck_assert(values[0] == 0.0f && values[1] == 127.0f && values[2] == 255.0f);
    free(values);
    test_folder_remove(&folder);
}
END_TEST

START_TEST(labels_of_every_integer_type_are_read)
{
    static const struct {
        const char *descr, *shape;
        const char data[24];
        size_t size;
        int64_t expected[3];
    } cases[] = {
        {"|u1", "(3,)", {0, 1, (char)255}, 3, {0, 1, 255}},
        {"|i1", "(3,)", {0, 1, (char)255}, 3, {0, 1, -1}},
        {"<u1", "(3,)", {0, 1, 2}, 3, {0, 1, 2}},
        {"<i2", "(3, 1)", {0, 1, 1, 0, (char)254, (char)255}, 6, {256, 1, -2}},
        {"<i4", "(3,)", {9, 0, 0, 0, 0, 0, 1, 0, (char)255, (char)255, (char)255, (char)255}, 12, {9, 65536, -1}},
        {"<i8", "(3,)", {7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1}, 24, {7, 4294967296, 1}},
    };
    const test_folder folder = test_folder_create();
    const char *path = test_path(&folder, "labels.npy");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char bytes[256], dictionary[80];
        snprintf(dictionary, sizeof dictionary, "{'descr': '%s', 'fortran_order': False, 'shape': %s, }",
                 cases[i].descr, cases[i].shape);
        test_write(path, bytes, make_file(bytes, 1, dictionary, 0, cases[i].data, cases[i].size));
        gm_error error;
        int64_t rows, *values;
        test_expect(gm_npy_read_i64(path, &rows, &values, &error), &error, GM_OK, "");
        ck_assert_int_eq(rows, 3);
        for (int j = 0; j < 3; j++)
            ck_assert_int_eq(values[j], cases[i].expected[j]);
        free(values);
    }
    test_folder_remove(&folder);
}
END_TEST

START_TEST(bad_files_are_refused)
{
    static const struct {
        const char *dictionary;
        size_t size; /* of the data */
        const char *pattern;
    } cases[] = {
        {"{'descr': '|O', 'fortran_order': False, 'shape': (1, 2), }", 24, "holds objects, not numbers"},
        {"{'descr': [('a', '<f4'), ('b', '<f4')], 'fortran_order': False, 'shape': (3,), }", 24, "holds records"},
        {"{'descr': '>f4', 'fortran_order': False, 'shape': (2, 3), }", 24, "is big endian"},
        {"{'descr': '<f8', 'fortran_order': False, 'shape': (1, 3), }", 24, "dtype '<f8'; save it with dtype float32"},
        {"{'descr': '<U6', 'fortran_order': False, 'shape': (1, 1), }", 24, "dtype '<U6'"},
        {"{'descr': '', 'fortran_order': False, 'shape': (1, 1), }", 24, "dtype ''"},
        {"{'descr': '<f4', 'fortran_order': True, 'shape': (2, 3), }", 24, "numpy.ascontiguousarray"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (6,), }", 24, "has shape [6]; a matrix"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (1, 2, 3), }", 24, "has shape [1, 2, 3]"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (), }", 4, "has shape []"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (0, 3), }", 0, "at least one of each"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }", 23,
         "23 bytes of data where its header says 24"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }", 25, "25 bytes of data where"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (1000000000, 1000000000), }", 24,
         "says 4000000000000000000"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (4611686018427387904, 4), }", 24, "malformed"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999999999999, 1), }", 24, "malformed"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (-2, 3), }", 24, "malformed"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3) ", 24, "malformed"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3", 24, "malformed"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (2 3), }", 24, "malformed"},
        {"{'descr': '<f4', 'fortran_order': False, }", 24, "malformed"},
        {"{'descr': '<f4', 'shape': (2, 3), }", 24, "malformed"},
        {"{'fortran_order': False, 'shape': (2, 3), }", 24, "malformed"},
        {"{'descr': '<f4', 'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }", 24, "malformed"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), 'more': 1, }", 24, "malformed"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), } {}", 24, "malformed"},
        {"{'descr': '<f4, 'fortran_order': False, 'shape': (2, 3), }", 24, "malformed"},
        {"{'descr: '<f4', 'fortran_order': False, 'shape': (2, 3), }", 24, "malformed"},
        {"{'descr': 4, 'fortran_order': False, 'shape': (2, 3), }", 24, "malformed"},
        {"{'descr': '<f4', 'fortran_order': 0, 'shape': (2, 3), }", 24, "malformed"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': 6, }", 24, "malformed"},
        {"{'descr': '<f444444444444444444444444444444444444', 'fortran_order': False, 'shape': (2, 3), }", 24,
         "malformed"},
        {"", 24, "malformed"},
    };
    const test_folder folder = test_folder_create();
    const char *path = test_path(&folder, "bad.npy");
    const char data[32] = {0};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char bytes[256];
        gm_error error;
        int64_t shape[2];
        float *values;
        const size_t size = make_file(bytes, 1 + (int)i % 3, cases[i].dictionary, 3, data, cases[i].size);
        test_expect(read_f32(path, bytes, size, shape, &values, &error), &error, GM_BAD_DATA, cases[i].pattern);
        ck_assert_msg(strstr(error.message, "bad.npy"), "%s", error.message);
        ck_assert_ptr_null(values);
    }
    test_folder_remove(&folder);
}
END_TEST

START_TEST(files_cut_anywhere_are_refused)
{
    const test_folder folder = test_folder_create();
    const char *path = test_path(&folder, "bad.npy");
    char bytes[256];
    const size_t size = make_file(bytes, 1, "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }", 10,
                                  "123456789012345678901234", 24);
    gm_error error;
    int64_t shape[2];
    float *values;
    for (size_t cut = 0; cut < size; cut++)
        test_expect(read_f32(path, bytes, cut, shape, &values, &error), &error, GM_BAD_DATA, "bad.npy");
    static const struct {
        int offset;
        char value;
        const char *pattern;
    } changes[] = {{0, 'x', "not a .npy file"}, {6, 4, "version 4"}, {6, 0, "version 0"},
                   {9, 1, "malformed"},         {8, 0, "malformed"}, {40, 0, "malformed"}};
    for (size_t i = 0; i < sizeof changes / sizeof *changes; i++) {
        char changed[256];
        memcpy(changed, bytes, size);
        changed[changes[i].offset] = changes[i].value;
        test_expect(read_f32(path, changed, size, shape, &values, &error), &error, GM_BAD_DATA, changes[i].pattern);
    }
    test_expect(gm_npy_read_f32("/nowhere.npy", &shape[0], &shape[1], &values, &error), &error, GM_IO_ERROR,
                "No such file");
    test_folder_remove(&folder);
}
END_TEST

START_TEST(labels_of_other_kinds_are_refused)
{
    static const struct {
        const char *dictionary;
        size_t size;
        const char *pattern;
    } cases[] = {
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (6,), }", 24, "save it with dtype int64"},
        {"{'descr': '|O', 'fortran_order': False, 'shape': (3,), }", 24, "holds objects"},
        {"{'descr': '<i4', 'fortran_order': False, 'shape': (2, 3), }", 24, "has shape [2, 3]; one integer a row"},
        {"{'descr': '<i4', 'fortran_order': False, 'shape': (), }", 4, "has shape []"},
        {"{'descr': '<i4', 'fortran_order': False, 'shape': (0,), }", 0, "has shape [0]"},
    };
    const test_folder folder = test_folder_create();
    const char *path = test_path(&folder, "labels.npy");
    const char data[32] = {0};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char bytes[256];
        gm_error error;
        int64_t rows, *values;
        test_write(path, bytes, make_file(bytes, 1, cases[i].dictionary, 0, data, cases[i].size));
        test_expect(gm_npy_read_i64(path, &rows, &values, &error), &error, GM_BAD_DATA, cases[i].pattern);
        ck_assert_ptr_null(values);
    }
    test_folder_remove(&folder);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("npy");
    TCase *tests = tcase_create("npy");
    suite_add_tcase(suite, tests);
    tcase_add_test(tests, matrices_survive_writing_and_reading);
    tcase_add_test(tests, the_writer_follows_the_format);
    tcase_add_test(tests, versions_and_spellings_are_read);
    tcase_add_test(tests, halves_and_bytes_become_floats);
    tcase_add_test(tests, labels_of_every_integer_type_are_read);
    tcase_add_test(tests, bad_files_are_refused);
    tcase_add_test(tests, files_cut_anywhere_are_refused);
    tcase_add_test(tests, labels_of_other_kinds_are_refused);
    return test_run(suite);
}
