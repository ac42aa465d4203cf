#include "support/files.h"

#include <check.h>
#include <errno.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <zlib.h>

test_folder test_folder_create(void)
{
    test_folder folder;
    const char *parent = getenv("TMPDIR");
    snprintf(folder.path, sizeof folder.path, "%s/gemel-test-XXXXXX", parent && *parent ? parent : "/tmp");
    ck_assert_msg(mkdtemp(folder.path), "%s: cannot be created", folder.path);
    return folder;
}

static int remove_one(const char *path, const struct stat *about, int kind, struct FTW *where)
{
    (void)about;
    (void)kind;
    (void)where;
    return remove(path);
}

void test_folder_remove(const test_folder *folder)
{
    nftw(folder->path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

const char *test_path(const test_folder *folder, const char *name)
{
    static char paths[8][2 * TEST_PATH];
    static int next;
    char *path = paths[next++ % 8];
    snprintf(path, sizeof paths[0], "%s/%s", folder->path, name);
    return path;
}

void test_write(const char *path, const void *bytes, size_t size)
{
    FILE *file = fopen(path, "wb");
    ck_assert_msg(file && fwrite(bytes, 1, size, file) == size && fclose(file) == 0, "%s: cannot be written", path);
}

void test_write_gzip(const char *path, const void *bytes, size_t size)
{
    gzFile file = gzopen(path, "wb");
    ck_assert_msg(file && gzwrite(file, bytes, (unsigned)size) == (int)size && gzclose(file) == Z_OK,
                  "%s: cannot be written", path);
}

size_t test_read(const char *path, char *bytes, size_t most)
{
    FILE *file = fopen(path, "rb");
    ck_assert_msg(file != NULL, "%s: %s", path, strerror(errno));
    const size_t size = fread(bytes, 1, most - 1, file);
    bytes[size] = '\0';
    fclose(file);
    return size;
}

bool test_same_files(const char *a, const char *b)
{
    FILE *one = fopen(a, "rb"), *other = fopen(b, "rb");
    size_t count = 0;
    int byte = 0, its = 0;
    while (one && other && byte == its && byte != EOF) {
        byte = getc(one);
        its = getc(other);
        count++;
    }
    if (one)
        fclose(one);
    if (other)
        fclose(other);
    return count > 1 && byte == its;
}

void test_expect(gm_status status, const gm_error *error, gm_status expected, const char *pattern)
{
    ck_assert_msg(status == expected, "'%s' instead of '%s': %s", gm_status_string(status), gm_status_string(expected),
                  status == GM_OK ? "" : error->message);
    if (expected != GM_OK) {
        ck_assert_int_eq(error->code, expected);
        ck_assert_msg(strstr(error->message, pattern) && !strchr(error->message, '\n'), "'%s' lacks '%s'",
                      error->message, pattern);
    }
}
