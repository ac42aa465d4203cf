/* Whole files, atomic writes, and their errors. */
#include "support/file.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "support/files.h"
#include "support/support.h"

static void expect_contents(const char *path, const char *contents)
{
    gm_error error;
    char *bytes;
    size_t size;
    test_expect(gm_file_read(path, 1000, &bytes, &size, &error), &error, GM_OK, "");
    ck_assert_str_eq(bytes, contents);
    ck_assert_uint_eq(size, strlen(contents));
    free(bytes);
}

START_TEST(files_are_replaced_at_once)
{
    const test_folder folder = test_folder_create();
    const char *path = test_path(&folder, "a"), *temporary = test_path(&folder, "a.tmp");
    gm_error error;
    gm_file_writer writer;
    test_expect(gm_file_write(path, "old", 3, &error), &error, GM_OK, "");
    test_write(temporary, "left by a killed process", 24);
    test_expect(gm_file_begin(&writer, path, &error), &error, GM_OK, "");
    test_expect(gm_file_append(&writer, "ne", 2, &error), &error, GM_OK, "");
    expect_contents(path, "old");
    test_expect(gm_file_append(&writer, "w", 1, &error), &error, GM_OK, "");
    test_expect(gm_file_commit(&writer, &error), &error, GM_OK, "");
    expect_contents(path, "new");
    ck_assert_int_ne(access(temporary, F_OK), 0);
    test_expect(gm_file_begin(&writer, path, &error), &error, GM_OK, "");
    test_expect(gm_file_append(&writer, "newer", 5, &error), &error, GM_OK, "");
    gm_file_abandon(&writer);
    expect_contents(path, "new");
    ck_assert_int_ne(access(temporary, F_OK), 0);
    test_folder_remove(&folder);
}
END_TEST

START_TEST(names_without_a_folder_are_in_this_one)
{
    const test_folder folder = test_folder_create();
    gm_error error;
    ck_assert_int_eq(chdir(folder.path), 0);
    test_expect(gm_file_write("a", "b", 1, &error), &error, GM_OK, "");
    expect_contents("a", "b");
    ck_assert_int_eq(chdir("/"), 0);
    test_folder_remove(&folder);
}
END_TEST

START_TEST(the_previous_file_is_kept)
{
    const test_folder folder = test_folder_create();
    const char *path = test_path(&folder, "a"), *previous = test_path(&folder, "a.previous");
    gm_error error;
    test_expect(gm_file_keep(path, previous, &error), &error, GM_OK, "");
    ck_assert_int_ne(access(previous, F_OK), 0);
    static const char *const versions[] = {"1", "2", "3"};
    for (int i = 0; i < 3; i++) {
        test_expect(gm_file_keep(path, previous, &error), &error, GM_OK, "");
        test_expect(gm_file_write(path, versions[i], 1, &error), &error, GM_OK, "");
        expect_contents(path, versions[i]);
        if (i > 0)
            expect_contents(previous, versions[i - 1]);
    }
    test_expect(gm_file_keep(path, previous, &error), &error, GM_OK, "");
    test_expect(gm_file_keep(path, previous, &error), &error, GM_OK, "");
    expect_contents(path, "3");
    expect_contents(previous, "3");
    ck_assert_int_ne(access(test_path(&folder, "a.previous.tmp"), F_OK), 0);
    test_folder_remove(&folder);
}
END_TEST

/* A limit on the size of files stands in for a full disk. */
START_TEST(a_failed_write_leaves_the_old_file)
{
    const test_folder folder = test_folder_create();
    const char *path = test_path(&folder, "a");
    static const char zeros[100000];
    gm_error error;
    test_expect(gm_file_write(path, "old", 3, &error), &error, GM_OK, "");
    signal(SIGXFSZ, SIG_IGN);
    const struct rlimit limit = {50000, RLIM_INFINITY}, none = {RLIM_INFINITY, RLIM_INFINITY};
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
    test_expect(gm_file_write(path, zeros, sizeof zeros, &error), &error, GM_IO_ERROR,
                "a: cannot write: File too large");
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &none), 0);
    expect_contents(path, "old");
    ck_assert_int_ne(access(test_path(&folder, "a.tmp"), F_OK), 0);
    test_folder_remove(&folder);
}
END_TEST

START_TEST(errors_name_the_path_the_reason_and_the_remedy)
{
    static const struct {
        int code;
        gm_status status;
        const char *pattern;
    } cases[] = {
        {ENOSPC, GM_IO_ERROR, "x/y: cannot write: No space left on device; free some space"},
        {EACCES, GM_IO_ERROR, "x/y: cannot write: Permission denied; choose a place"},
        {EROFS, GM_IO_ERROR, "change its permissions"},
        {ENOENT, GM_IO_ERROR, "check the path"},
        {EIO, GM_IO_ERROR, "check the disk"},
        {ENOMEM, GM_OUT_OF_MEMORY, "out of memory"},
    };
    gm_error error;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        test_expect(gm_file_error(&error, "x/y", "write", cases[i].code), &error, cases[i].status, cases[i].pattern);

    const test_folder folder = test_folder_create();
    const char *file = test_path(&folder, "file"), *below = test_path(&folder, "file/below");
    const char *absent = test_path(&folder, "absent/file"), *pipe = test_path(&folder, "pipe");
    char *bytes;
    size_t size;
    test_write(file, "12345", 5);
    ck_assert_int_eq(mkfifo(pipe, 0600), 0);
    test_expect(gm_file_write(absent, "", 0, &error), &error, GM_IO_ERROR, "absent/file: cannot write: No such file");
    test_expect(gm_file_write(below, "", 0, &error), &error, GM_IO_ERROR, "Not a directory");
    test_expect(gm_file_write(folder.path, "", 0, &error), &error, GM_IO_ERROR, "directory");
    test_expect(gm_file_read(absent, 10, &bytes, &size, &error), &error, GM_IO_ERROR, "absent/file: cannot open");
    test_expect(gm_file_read(folder.path, 10, &bytes, &size, &error), &error, GM_IO_ERROR, "Is a directory");
    test_expect(gm_file_read(pipe, 10, &bytes, &size, &error), &error, GM_IO_ERROR, "not a regular file");
    test_expect(gm_file_read(file, 4, &bytes, &size, &error), &error, GM_BAD_DATA, "has 5 bytes; at most 4");
    ck_assert_ptr_null(bytes);
    test_folder_remove(&folder);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("file");
    TCase *tests = tcase_create("file");
    suite_add_tcase(suite, tests);
    tcase_add_test(tests, files_are_replaced_at_once);
    tcase_add_test(tests, names_without_a_folder_are_in_this_one);
    tcase_add_test(tests, the_previous_file_is_kept);
    tcase_add_test(tests, a_failed_write_leaves_the_old_file);
    tcase_add_test(tests, errors_name_the_path_the_reason_and_the_remedy);
    return test_run(suite);
}
