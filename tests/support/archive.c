#include "support/archive.h"

#include <check.h>
#include <string.h>

#include <zlib.h>

void test_archive_put(test_archive *archive, size_t offset, int size, uint64_t value)
{
    for (int i = 0; i < size; i++)
        archive->bytes[offset + (size_t)i] = (unsigned char)(value >> 8 * i);
}

static void append(test_archive *archive, const void *bytes, size_t size)
{
    ck_assert_uint_le(size, TEST_ARCHIVE_BYTES - archive->size);
    memcpy(archive->bytes + archive->size, bytes, size);
    archive->size += size;
}

void test_archive_begin(test_archive *archive)
{
    memset(archive, 0, sizeof *archive);
}

static size_t append_data(test_archive *archive, const test_entry *entry)
{
    if (!entry->deflated) {
        append(archive, entry->data, entry->size);
        return entry->size;
    }
    z_stream stream = {0};
    ck_assert_int_eq(deflateInit2(&stream, 9, Z_DEFLATED, -MAX_WBITS, 8, Z_DEFAULT_STRATEGY), Z_OK);
    stream.next_in = (Bytef *)entry->data;
    stream.avail_in = (uInt)entry->size;
    stream.next_out = archive->bytes + archive->size;
    stream.avail_out = (uInt)(TEST_ARCHIVE_BYTES - archive->size);
    ck_assert_int_eq(deflate(&stream, Z_FINISH), Z_STREAM_END);
    const size_t used = stream.total_out;
    deflateEnd(&stream);
    archive->size += used;
    return used;
}

/* The fields that a local header and a record of the directory share, from the version that is needed on. */
static void put_fields(test_archive *archive, size_t offset, const test_entry *entry, size_t used)
{
    test_archive_put(archive, offset, 2, 20);
    test_archive_put(archive, offset + 4, 2, entry->deflated ? 8 : 0);
    test_archive_put(archive, offset + 10, 4, crc32(0, entry->data, (uInt)entry->size));
    test_archive_put(archive, offset + 14, 4, used);
    test_archive_put(archive, offset + 18, 4, entry->size);
    test_archive_put(archive, offset + 22, 2, strlen(entry->name));
}

static test_entry entries[TEST_ARCHIVE_ENTRIES];

void test_archive_add(test_archive *archive, const test_entry *entry)
{
    static const unsigned char header[30] = "PK\x03\x04";
    const size_t i = archive->count++;
    ck_assert_uint_lt(i, TEST_ARCHIVE_ENTRIES);
    entries[i] = *entry;
    archive->local[i] = archive->size;
    append(archive, header, sizeof header);
    append(archive, entry->name, strlen(entry->name));
    archive->data[i] = archive->size;
    put_fields(archive, archive->local[i] + 4, entry, append_data(archive, entry));
}

void test_archive_end(test_archive *archive)
{
    static const unsigned char record[46] = "PK\x01\x02", end[22] = "PK\x05\x06";
    const size_t begin = archive->size;
    for (size_t i = 0; i < archive->count; i++) {
        const size_t next = i + 1 < archive->count ? archive->local[i + 1] : begin;
        archive->central[i] = archive->size;
        append(archive, record, sizeof record);
        append(archive, entries[i].name, strlen(entries[i].name));
        put_fields(archive, archive->central[i] + 6, &entries[i], next - archive->data[i]);
        test_archive_put(archive, archive->central[i] + 42, 4, archive->local[i]);
    }
    archive->end = archive->size;
    append(archive, end, sizeof end);
    test_archive_put(archive, archive->end + 8, 2, archive->count);
    test_archive_put(archive, archive->end + 10, 2, archive->count);
    test_archive_put(archive, archive->end + 12, 4, archive->end - begin);
    test_archive_put(archive, archive->end + 16, 4, begin);
}
