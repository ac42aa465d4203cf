#include "formats/zip.h"

#include <stdlib.h>
#include <string.h>

#include <zlib.h>

#include "support/file.h"
#include "support/parse.h"

enum {
    LOCAL_SIZE = 30,
    CENTRAL_SIZE = 46,
    END_SIZE = 22,
    LOCATOR_SIZE = 20,
    END64_SIZE = 56,
    MOST_COMMENT = UINT16_MAX,
    MOST_ENTRIES = 1 << 16,
    MOST_DIRECTORY = 8 << 20,
    MOST_NAME = 1024,
    PIECE = 1 << 16,
};

enum { ENCRYPTED = 1, STORED = 0, DEFLATED = 8, ZIP64_FIELD = 1 };

static uint64_t little_endian(const uint8_t *bytes, int size)
{
    uint64_t value = 0;
    for (int i = 0; i < size; i++)
        value |= (uint64_t)bytes[i] << 8 * i;
    return value;
}

static bool is_signature(const uint8_t *bytes, uint8_t third, uint8_t fourth)
{
    return bytes[0] == 'P' && bytes[1] == 'K' && bytes[2] == third && bytes[3] == fourth;
}

static gm_status refuse(const gm_zip *zip, const char *reason, gm_error *error)
{
    return gm_error_set(error, GM_BAD_DATA, "%s: %s", zip->file->path, reason);
}

static gm_status refuse_entry(const gm_zip *zip, const gm_zip_entry *entry, const char *reason, gm_error *error)
{
    char name[128];
    gm_format_text(name, sizeof name, entry->name, strlen(entry->name));
    return gm_error_set(error, GM_BAD_DATA, "%s: entry '%s' %s", zip->file->path, name, reason);
}

static gm_status read_at(const gm_zip *zip, int64_t offset, void *bytes, int64_t size, gm_error *error)
{
    return gm_file_read_at(zip->file, offset, bytes, (size_t)size, error);
}

/* --- the end of the archive ------------------------------------------------------------------------------------ */

/* Where the directory lies. */
struct directory {
    int64_t offset, size;
    uint64_t count;
};

/* The last record, which ends where the file does, behind a comment. */
static gm_status find_end(const gm_zip *zip, uint8_t end[END_SIZE], int64_t *offset, gm_error *error)
{
    const int64_t tail = zip->file->size < END_SIZE + MOST_COMMENT ? zip->file->size : END_SIZE + MOST_COMMENT;
    uint8_t *bytes = malloc((size_t)tail);
    if (!bytes)
        return gm_file_no_memory(error, zip->file->path, (size_t)tail);
    gm_status status = read_at(zip, zip->file->size - tail, bytes, tail, error);
    int64_t at = tail - END_SIZE;
    while (status == GM_OK && at >= 0 &&
           !(is_signature(bytes + at, 5, 6) && (int64_t)little_endian(bytes + at + 20, 2) == tail - at - END_SIZE))
        at--;
    if (status == GM_OK && at >= 0) {
        memcpy(end, bytes + at, END_SIZE);
        *offset = zip->file->size - tail + at;
    } else if (status == GM_OK) {
        status = refuse(zip, "cut short, or no zip archive: its directory is missing", error);
    }
    free(bytes);
    return status;
}

/* Replaces what `end` says by the ZIP64 records in front of it, if they are there; *limit: where these begin. */
static gm_status read_end64(const gm_zip *zip, struct directory *directory, int64_t *limit, gm_error *error)
{
    uint8_t locator[LOCATOR_SIZE], end[END64_SIZE];
    if (*limit < LOCATOR_SIZE + END64_SIZE)
        return GM_OK;
    gm_status status = read_at(zip, *limit - LOCATOR_SIZE, locator, LOCATOR_SIZE, error);
    if (status != GM_OK || !is_signature(locator, 6, 7))
        return status;
    const uint64_t offset = little_endian(locator + 8, 8), last = (uint64_t)(*limit - LOCATOR_SIZE - END64_SIZE);
    if (offset > last || little_endian(locator + 4, 4) != 0 || little_endian(locator + 16, 4) > 1)
        return refuse(zip, "its ZIP64 locator points nowhere", error);
    status = read_at(zip, (int64_t)offset, end, END64_SIZE, error);
    if (status != GM_OK)
        return status;
    if (!is_signature(end, 6, 6) || little_endian(end + 4, 8) != last - offset + END64_SIZE - 12 ||
        little_endian(end + 16, 8) != 0 || little_endian(end + 24, 8) != little_endian(end + 32, 8))
        return refuse(zip, "its ZIP64 end record is malformed", error);
    if (little_endian(end + 40, 8) > INT64_MAX || little_endian(end + 48, 8) > INT64_MAX)
        return refuse(zip, "its directory lies outside the file", error);
    directory->count = little_endian(end + 32, 8);
    directory->size = (int64_t)little_endian(end + 40, 8);
    directory->offset = (int64_t)little_endian(end + 48, 8);
    *limit = (int64_t)offset;
    return GM_OK;
}

static gm_status find_directory(const gm_zip *zip, struct directory *directory, gm_error *error)
{
    uint8_t end[END_SIZE];
    int64_t limit = 0, behind;
    if (zip->file->size < END_SIZE)
        return refuse(zip, "too short for a zip archive", error);
    gm_status status = find_end(zip, end, &limit, error);
    if (status != GM_OK)
        return status;
    if (little_endian(end + 4, 4) != 0 || little_endian(end + 8, 2) != little_endian(end + 10, 2))
        return refuse(zip, "is one part of several", error);
    directory->count = little_endian(end + 10, 2);
    directory->size = (int64_t)little_endian(end + 12, 4);
    directory->offset = (int64_t)little_endian(end + 16, 4);
    status = read_end64(zip, directory, &limit, error);
    if (status != GM_OK)
        return status;
    if (__builtin_add_overflow(directory->offset, directory->size, &behind) || behind != limit)
        return refuse(zip, "its directory does not end where its last record begins", error);
    if (directory->count > MOST_ENTRIES || directory->size > MOST_DIRECTORY)
        return refuse(zip, "has too many entries", error);
    if (directory->count > (uint64_t)(directory->size / CENTRAL_SIZE))
        return refuse(zip, "its directory is too short for its entries", error);
    return GM_OK;
}

/* --- the directory --------------------------------------------------------------------------------------------- */

/* Takes 8 bytes of the ZIP64 field for a value that its 4 bytes leave to it. */
static bool take_wide(const uint8_t **next, const uint8_t *end, int64_t *value)
{
    if (*value != UINT32_MAX)
        return true;
    if (!*next || end - *next < 8 || little_endian(*next, 8) > INT64_MAX)
        return false;
    *value = (int64_t)little_endian(*next, 8);
    *next += 8;
    return true;
}

/* The ZIP64 field among the extra ones: NULL and *end NULL where there is none; false where they are malformed. */
static bool find_zip64(const uint8_t *extra, int64_t size, const uint8_t **field, const uint8_t **end)
{
    *field = *end = NULL;
    while (size >= 4) {
        const int64_t length = (int64_t)little_endian(extra + 2, 2);
        if (length > size - 4)
            return false;
        if (little_endian(extra, 2) == ZIP64_FIELD && !*field) {
            *field = extra + 4;
            *end = *field + length;
        }
        extra += 4 + length;
        size -= 4 + length;
    }
    return size == 0;
}

/* No folder above, no other root, nothing that a terminal or another system reads its own way. */
static bool safe_name(const char *name, size_t length)
{
    if (length == 0 || length > MOST_NAME || name[0] == '/' || !gm_text_is_plain(name, length) ||
        memchr(name, '\\', length))
        return false;
    for (const char *part = name; part; part = strchr(part, '/') ? strchr(part, '/') + 1 : NULL) {
        const size_t size = strcspn(part, "/");
        if ((size == 1 && part[0] == '.') || (size == 2 && part[0] == '.' && part[1] == '.'))
            return false;
    }
    return true;
}

/* One record of the directory; *name grows by its name. entry->offset is that of the local header for now. */
static gm_status read_central(const gm_zip *zip, const uint8_t **next, const uint8_t *end, char **name,
                              gm_zip_entry *entry, gm_error *error)
{
    const uint8_t *record = *next, *wide, *wide_end;
    if (end - record < CENTRAL_SIZE || !is_signature(record, 1, 2))
        return refuse(zip, "its directory is malformed", error);
    const uint64_t flags = little_endian(record + 8, 2), method = little_endian(record + 10, 2);
    const int64_t length = (int64_t)little_endian(record + 28, 2), extra = (int64_t)little_endian(record + 30, 2),
                  comment = (int64_t)little_endian(record + 32, 2);
    if (length + extra + comment > end - record - CENTRAL_SIZE)
        return refuse(zip, "its directory is malformed", error);
    entry->name = memcpy(*name, record + CENTRAL_SIZE, (size_t)length);
    (*name)[length] = '\0';
    *name += length + 1;
    *next = record + CENTRAL_SIZE + length + extra + comment;
    if (!safe_name(entry->name, (size_t)length))
        return refuse_entry(zip, entry, "has a name that leaves its folder or is not plain", error);
    if ((flags & ENCRYPTED) || little_endian(record + 34, 2) != 0)
        return refuse_entry(zip, entry, "is encrypted or in another part", error);
    if (method != STORED && method != DEFLATED)
        return refuse_entry(zip, entry, "is compressed in another way than by deflate", error);
    entry->deflated = method == DEFLATED;
    entry->crc = (uint32_t)little_endian(record + 16, 4);
    entry->used = (int64_t)little_endian(record + 20, 4);
    entry->size = (int64_t)little_endian(record + 24, 4);
    entry->offset = (int64_t)little_endian(record + 42, 4);
    if (!find_zip64(record + CENTRAL_SIZE + length, extra, &wide, &wide_end) ||
        !take_wide(&wide, wide_end, &entry->size) || !take_wide(&wide, wide_end, &entry->used) ||
        !take_wide(&wide, wide_end, &entry->offset))
        return refuse_entry(zip, entry, "has malformed extra fields", error);
    if (!entry->deflated && entry->size != entry->used)
        return refuse_entry(zip, entry, "is stored in another size than its own", error);
    return GM_OK;
}

static int by_offset(const void *a, const void *b)
{
    const gm_zip_entry *x = a, *y = b;
    return (x->offset > y->offset) - (x->offset < y->offset);
}

static int by_name(const void *a, const void *b)
{
    const gm_zip_entry *x = a, *y = b;
    return strcmp(x->name, y->name);
}

/* Follows an entry to its local header, which must say the same, and from there to its data, which must end before
 * `limit`. */
static gm_status locate(const gm_zip *zip, gm_zip_entry *entry, int64_t limit, gm_error *error)
{
    static const char outside[] = "lies outside the file, or on another entry";
    uint8_t local[LOCAL_SIZE];
    char name[MOST_NAME];
    const int64_t length = (int64_t)strlen(entry->name);
    if (entry->offset > limit - LOCAL_SIZE - length)
        return refuse_entry(zip, entry, outside, error);
    gm_status status = read_at(zip, entry->offset, local, LOCAL_SIZE, error);
    if (status == GM_OK)
        status = read_at(zip, entry->offset + LOCAL_SIZE, name, length, error);
    if (status != GM_OK)
        return status;
    if (!is_signature(local, 3, 4) || (int64_t)little_endian(local + 26, 2) != length ||
        memcmp(name, entry->name, (size_t)length) != 0 ||
        little_endian(local + 8, 2) != (entry->deflated ? DEFLATED : STORED))
        return refuse_entry(zip, entry, "is not what the directory says", error);
    entry->offset += LOCAL_SIZE + length + (int64_t)little_endian(local + 28, 2);
    if (entry->offset > limit || entry->used > limit - entry->offset)
        return refuse_entry(zip, entry, outside, error);
    return GM_OK;
}

static gm_status read_entries(gm_zip *zip, const struct directory *directory, const uint8_t *bytes, gm_error *error)
{
    const uint8_t *next = bytes, *end = bytes + directory->size;
    char *name = zip->names;
    for (zip->count = 0; (uint64_t)zip->count < directory->count; zip->count++) {
        const gm_status status = read_central(zip, &next, end, &name, &zip->entries[zip->count], error);
        if (status != GM_OK)
            return status;
    }
    if (next != end)
        return refuse(zip, "its directory is malformed", error);
    qsort(zip->entries, (size_t)zip->count, sizeof *zip->entries, by_offset);
    int64_t limit = directory->offset;
    for (int64_t i = zip->count - 1; i >= 0; i--) {
        const int64_t begin = zip->entries[i].offset;
        const gm_status status = locate(zip, &zip->entries[i], limit, error);
        if (status != GM_OK)
            return status;
        limit = begin;
    }
    qsort(zip->entries, (size_t)zip->count, sizeof *zip->entries, by_name);
    for (int64_t i = 1; i < zip->count; i++)
        if (strcmp(zip->entries[i - 1].name, zip->entries[i].name) == 0)
            return refuse_entry(zip, &zip->entries[i], "is there twice", error);
    return GM_OK;
}

gm_status gm_zip_open(const gm_file *file, gm_zip *zip, gm_error *error)
{
    struct directory directory = {0};
    uint8_t *bytes = NULL;
    *zip = (gm_zip){.file = file};
    gm_status status = find_directory(zip, &directory, error);
    if (status != GM_OK)
        return status;
    const size_t length = (size_t)directory.size, count = (size_t)directory.count;
    bytes = malloc(length + 1);
    zip->names = malloc(length + 1); /* a name with its end takes less than its record */
    zip->entries = calloc(count + 1, sizeof *zip->entries);
    if (!bytes || !zip->names || !zip->entries)
        status = gm_file_no_memory(error, file->path, 2 * length + count * sizeof *zip->entries);
    else
        status = read_at(zip, directory.offset, bytes, directory.size, error);
    if (status == GM_OK)
        status = read_entries(zip, &directory, bytes, error);
    free(bytes);
    if (status != GM_OK)
        gm_zip_close(zip);
    return status;
}

void gm_zip_close(gm_zip *zip)
{
    free(zip->names);
    free(zip->entries);
    *zip = (gm_zip){0};
}

const gm_zip_entry *gm_zip_find(const gm_zip *zip, const char *name)
{
    const gm_zip_entry key = {.name = name};
    return zip->count ? bsearch(&key, zip->entries, (size_t)zip->count, sizeof *zip->entries, by_name) : NULL;
}

/* --- contents -------------------------------------------------------------------------------------------------- */

static uint32_t checksum(const uint8_t *bytes, int64_t size)
{
    uLong crc = crc32(0, NULL, 0);
    for (int64_t done = 0; done < size; done += PIECE)
        crc = crc32(crc, bytes + done, (uInt)(size - done < PIECE ? size - done : PIECE));
    return (uint32_t)crc;
}

/* Inflates into exactly entry->size bytes: zlib is told of no more room than that. */
static gm_status inflate_entry(const gm_zip *zip, const gm_zip_entry *entry, uint8_t *bytes, gm_error *error)
{
    uint8_t input[PIECE], spare;
    z_stream stream = {0};
    int64_t read = 0, written = 0;
    int result = Z_OK;
    if (inflateInit2(&stream, -MAX_WBITS) != Z_OK)
        return gm_file_no_memory(error, zip->file->path, PIECE);
    gm_status status = GM_OK;
    while (status == GM_OK && result == Z_OK && written <= entry->size) {
        if (stream.avail_in == 0 && read < entry->used) {
            const int64_t piece = entry->used - read < PIECE ? entry->used - read : PIECE;
            status = read_at(zip, entry->offset + read, input, piece, error);
            stream.next_in = input;
            stream.avail_in = (uInt)piece;
            read += piece;
        }
        const int64_t room = entry->size - written < PIECE ? entry->size - written : PIECE;
        stream.next_out = room > 0 ? bytes + written : &spare; /* one byte too many shows that it is too long */
        stream.avail_out = room > 0 ? (uInt)room : 1;
        const uInt before = stream.avail_out;
        if (status == GM_OK)
            result = inflate(&stream, Z_NO_FLUSH);
        written += before - stream.avail_out;
    }
    const bool complete = result == Z_STREAM_END && written == entry->size && read == entry->used && !stream.avail_in;
    inflateEnd(&stream);
    if (status != GM_OK || complete)
        return status;
    return result == Z_MEM_ERROR ? gm_file_no_memory(error, zip->file->path, PIECE)
                                 : refuse_entry(zip, entry, "is damaged, or unpacks to another size", error);
}

gm_status gm_zip_read(const gm_zip *zip, const gm_zip_entry *entry, void *bytes, gm_error *error)
{
    const gm_status status = entry->deflated ? inflate_entry(zip, entry, bytes, error)
                                             : read_at(zip, entry->offset, bytes, entry->size, error);
    if (status != GM_OK || checksum(bytes, entry->size) == entry->crc)
        return status;
    return refuse_entry(zip, entry, "has another checksum than the directory says; fetch the file again", error);
}
