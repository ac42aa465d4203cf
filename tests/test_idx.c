/* The idx reader on plain and compressed files, whole and damaged. */
#include "formats/idx.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "support/files.h"
#include "support/support.h"

/* Two images of 3 x 5 pixels. */
enum { COUNT = 2, HEIGHT = 3, WIDTH = 5, DATA = COUNT * HEIGHT * WIDTH, HEADER = 16 };

static void make_file(uint8_t bytes[HEADER + DATA])
{
    const uint8_t header[HEADER] = {0, 0, 8, 3, 0, 0, 0, COUNT, 0, 0, 0, HEIGHT, 0, 0, 0, WIDTH};
    memcpy(bytes, header, HEADER);
    for (int i = 0; i < DATA; i++)
        bytes[HEADER + i] = (uint8_t)(i * i);
}

static size_t read_back(const char *path, uint8_t *bytes, size_t size)
{
    FILE *file = fopen(path, "rb");
    ck_assert_ptr_nonnull(file);
    const size_t got = fread(bytes, 1, size, file);
    fclose(file);
    return got;
}

START_TEST(plain_and_compressed_files_are_read)
{
    const test_folder folder = test_folder_create();
    uint8_t bytes[HEADER + DATA];
    make_file(bytes);
    const char *const paths[] = {test_path(&folder, "plain"), test_path(&folder, "packed.gz")};
    test_write(paths[0], bytes, sizeof bytes);
    test_write_gzip(paths[1], bytes, sizeof bytes);
    for (int i = 0; i < 2; i++) {
        gm_error error;
        gm_idx idx;
        test_expect(gm_idx_read(paths[i], 3, &idx, &error), &error, GM_OK, "");
        ck_assert_int_eq(idx.shape[0], COUNT);
        ck_assert_int_eq(idx.shape[1], HEIGHT);
        ck_assert_int_eq(idx.shape[2], WIDTH);
        ck_assert(memcmp(idx.bytes, bytes + HEADER, DATA) == 0);
        free(idx.bytes);
    }
    test_folder_remove(&folder);
}
END_TEST

/* Larger than any buffer on the way, and not compressible. */
START_TEST(large_files_are_read)
{
    enum { SIZE = 1 << 20 };
    const test_folder folder = test_folder_create();
    uint8_t *bytes = malloc(8 + SIZE);
    const uint8_t header[] = {0, 0, 8, 1, 0, SIZE >> 16, 0, 0};
    memcpy(bytes, header, sizeof header);
    test_random random = test_random_create(1);
    for (int i = 0; i < SIZE; i++)
        bytes[8 + i] = (uint8_t)test_random_bits(&random);
    const char *path = test_path(&folder, "packed.gz");
    test_write_gzip(path, bytes, 8 + SIZE);
    gm_error error;
    gm_idx idx;
    test_expect(gm_idx_read(path, 1, &idx, &error), &error, GM_OK, "");
    ck_assert_int_eq(idx.shape[0], SIZE);
    ck_assert_int_eq(idx.shape[1], 1);
    ck_assert(memcmp(idx.bytes, bytes + 8, SIZE) == 0);
    free(idx.bytes);
    free(bytes);
    test_folder_remove(&folder);
}
END_TEST

START_TEST(bad_files_are_refused)
{
    static const struct {
        bool compressed;
        int offset; /* of a byte to change in the unpacked file; -1: none */
        uint8_t value;
        int size; /* of the unpacked file; 0: as it should be */
        const char *pattern;
    } cases[] = {
        {false, 2, 9, 0, "begins with 00 00 09 03, not 00 00 08 03 as an idx file of images"},
        {true, 2, 9, 0, "begins with 00 00 09 03"},
        {false, 3, 1, 0, "begins with 00 00 08 01"},
        {false, 0, 'P', 0, "begins with 50 00 08 03"},
        {false, 7, 0, 0, "holds nothing"},
        {false, 7, 3, 0, "has 46 bytes where its header says 61"},
        {false, 7, 1, 0, "has 46 bytes where its header says 31"},
        {false, 4, 255, 0, "has 46 bytes where"},
        {true, 7, 3, 0, "unpacks to 15 bytes less than its header says"},
        {true, 7, 1, 0, "unpacks to more bytes than its header says"},
        {true, 4, 255, 0, "unpack it with gunzip"},
        {false, -1, 0, 1, "cut short after 1 bytes"},
        {false, -1, 0, 15, "cut short after 15 bytes"},
        {false, -1, 0, 45, "has 45 bytes where"},
        {true, -1, 0, 15, "unpacks to 1 bytes less"},
        {true, -1, 0, 45, "unpacks to 1 bytes less"},
    };
    const test_folder folder = test_folder_create();
    const char *path = test_path(&folder, "bad");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        uint8_t bytes[HEADER + DATA];
        make_file(bytes);
        if (cases[i].offset >= 0)
            bytes[cases[i].offset] = cases[i].value;
        (cases[i].compressed ? test_write_gzip : test_write)(path, bytes,
                                                             cases[i].size ? (size_t)cases[i].size : sizeof bytes);
        gm_error error;
        gm_idx idx;
        test_expect(gm_idx_read(path, 3, &idx, &error), &error, GM_BAD_DATA, cases[i].pattern);
        ck_assert_ptr_null(idx.bytes);
    }
    test_write(path, "", 0);
    gm_error error;
    gm_idx idx;
    test_expect(gm_idx_read(path, 3, &idx, &error), &error, GM_BAD_DATA, "cut short after 0 bytes");
    test_expect(gm_idx_read(folder.path, 3, &idx, &error), &error, GM_IO_ERROR, "Is a directory");
    test_expect(gm_idx_read("/nowhere/at/all", 3, &idx, &error), &error, GM_IO_ERROR, "No such file");
    test_folder_remove(&folder);
}
END_TEST

/* 2^32 - 1 cubed does not fit any integer. */
START_TEST(impossible_sizes_are_refused)
{
    const test_folder folder = test_folder_create();
    const char *path = test_path(&folder, "bad");
    uint8_t bytes[HEADER + DATA];
    make_file(bytes);
    memset(bytes + 4, 255, 12);
    test_write(path, bytes, sizeof bytes);
    gm_error error;
    gm_idx idx;
    test_expect(gm_idx_read(path, 3, &idx, &error), &error, GM_BAD_DATA, "impossible size");
    test_folder_remove(&folder);
}
END_TEST

/* Cut anywhere, one bit wrong anywhere, anything behind it: never taken for the truth. */
START_TEST(damaged_gzip_files_are_refused)
{
    const test_folder folder = test_folder_create();
    const char *whole = test_path(&folder, "whole.gz"), *path = test_path(&folder, "bad.gz");
    uint8_t bytes[HEADER + DATA], packed[256];
    make_file(bytes);
    test_write_gzip(whole, bytes, sizeof bytes);
    const size_t size = read_back(whole, packed, sizeof packed - 1);
    gm_error error;
    gm_idx idx;
    int unused_bits = 0;
    for (size_t cut = 2; cut < size; cut++) {
        test_write(path, packed, cut);
        test_expect(gm_idx_read(path, 3, &idx, &error), &error, GM_BAD_DATA, "cut short");
    }
    for (size_t bit = 0; bit < 8 * size; bit++) {
        if (bit / 8 >= 3 && bit / 8 < 10)
            continue; /* the header's flags, time and origin say nothing of the contents */
        packed[bit / 8] ^= (uint8_t)(1 << bit % 8);
        test_write(path, packed, size);
        packed[bit / 8] ^= (uint8_t)(1 << bit % 8);
        const gm_status status = gm_idx_read(path, 3, &idx, &error);
        if (status == GM_OK) {
            unused_bits++;
            ck_assert(memcmp(idx.bytes, bytes + HEADER, DATA) == 0);
            free(idx.bytes);
            continue;
        }
        test_expect(status, &error, GM_BAD_DATA, "bad.gz");
        ck_assert_ptr_null(idx.bytes);
    }
    ck_assert_int_lt(unused_bits, 8); /* that fill up the last byte of the compressed data */
    packed[size] = 0;
    test_write(path, packed, size + 1);
    test_expect(gm_idx_read(path, 3, &idx, &error), &error, GM_BAD_DATA, "1 bytes follow the end");
    test_folder_remove(&folder);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("idx");
    TCase *tests = tcase_create("idx");
    suite_add_tcase(suite, tests);
    tcase_add_test(tests, plain_and_compressed_files_are_read);
    tcase_add_test(tests, large_files_are_read);
    tcase_add_test(tests, bad_files_are_refused);
    tcase_add_test(tests, impossible_sizes_are_refused);
    tcase_add_test(tests, damaged_gzip_files_are_refused);
    return test_run(suite);
}
