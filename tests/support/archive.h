/* Zip archives for tests, with a place to lie at every field. */
#ifndef GEMEL_TEST_ARCHIVE_H
#define GEMEL_TEST_ARCHIVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { TEST_ARCHIVE_ENTRIES = 8, TEST_ARCHIVE_BYTES = 1 << 17 };

typedef struct test_entry {
    const char *name;
    const void *data;
    size_t size;
    bool deflated;
} test_entry;

/* Where in `bytes` the records begin. */
typedef struct test_archive {
    unsigned char bytes[TEST_ARCHIVE_BYTES];
    size_t size, count;
    size_t local[TEST_ARCHIVE_ENTRIES], data[TEST_ARCHIVE_ENTRIES], central[TEST_ARCHIVE_ENTRIES], end;
} test_archive;

void test_archive_begin(test_archive *archive);
void test_archive_add(test_archive *archive, const test_entry *entry);
void test_archive_end(test_archive *archive); /* appends directory and end */

/* Little-endian numbers. */
void test_archive_put(test_archive *archive, size_t offset, int size, uint64_t value);

#endif
