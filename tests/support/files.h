/* Folders and files that exist for one test. */
#ifndef GEMEL_TEST_FILES_H
#define GEMEL_TEST_FILES_H

#include <stdbool.h>
#include <stddef.h>

#include <gemel/error.h>

enum { TEST_PATH = 4096 };

/* A new folder for temporary files; test_folder_remove() removes it with everything in it. */
typedef struct test_folder {
    char path[TEST_PATH];
} test_folder;

test_folder test_folder_create(void);
void test_folder_remove(const test_folder *folder);

/* The path of a file in it, in memory that the next but seven calls reuse. */
const char *test_path(const test_folder *folder, const char *name);

void test_write(const char *path, const void *bytes, size_t size);

/* The same, gzip-compressed. */
void test_write_gzip(const char *path, const void *bytes, size_t size);

/* Reads at most `most` - 1 bytes and ends them with a zero; returns their number. */
size_t test_read(const char *path, char *bytes, size_t most);

/* Both can be read, and hold the same bytes, at least one. */
bool test_same_files(const char *a, const char *b);

/* Aborts the test unless status is as expected and the error's message contains `pattern`. */
void test_expect(gm_status status, const gm_error *error, gm_status expected, const char *pattern);

#endif
