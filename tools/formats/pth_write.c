#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <zlib.h>

#include "formats/pth.h"
#include "support/file.h"

enum { LOCAL_SIZE = 30, CENTRAL_SIZE = 46, END_SIZE = 22, ALIGNMENT = 64, MOST_NAME = 64, UTF8_NAMES = 0x800 };

static const char *const storage_types[] = {
    [GM_TENSOR_F32] = "FloatStorage",     [GM_TENSOR_F64] = "DoubleStorage", [GM_TENSOR_F16] = "HalfStorage",
    [GM_TENSOR_BF16] = "BFloat16Storage", [GM_TENSOR_I64] = "LongStorage",   [GM_TENSOR_I32] = "IntStorage",
    [GM_TENSOR_I16] = "ShortStorage",     [GM_TENSOR_I8] = "CharStorage",    [GM_TENSOR_U8] = "ByteStorage",
    [GM_TENSOR_BOOL] = "BoolStorage",
};

/* --- the pickle ------------------------------------------------------------------------------------------------ */

static void put_number(uint8_t *bytes, int size, uint64_t value)
{
    for (int i = 0; i < size; i++)
        bytes[i] = (uint8_t)(value >> 8 * i);
}

static void pickle_text(FILE *out, const char *text)
{
    uint8_t length[4];
    put_number(length, 4, strlen(text));
    putc('X', out); /* BINUNICODE */
    fwrite(length, 1, sizeof length, out);
    fputs(text, out);
}

static void pickle_integer(FILE *out, int64_t value)
{
    uint8_t bytes[8];
    put_number(bytes, sizeof bytes, (uint64_t)value);
    fputs("\x8a\x08", out); /* LONG1 */
    fwrite(bytes, 1, sizeof bytes, out);
}

/* A name and _rebuild_tensor_v2(("storage", type, key, "cpu", elements), 0, shape, strides, False, OrderedDict()). */
static void pickle_tensor(FILE *out, const gm_tensor *tensor, int64_t key, int64_t count)
{
    char text[24];
    int64_t stride[GM_TENSOR_MOST_DIMENSIONS], reach = 1;
    for (int32_t i = tensor->dimensions - 1; i >= 0; i--) {
        stride[i] = reach;
        reach *= tensor->shape[i];
    }
    snprintf(text, sizeof text, "%lld", (long long)key);
    pickle_text(out, tensor->name);
    fputs("ctorch._utils\n_rebuild_tensor_v2\n((", out);
    pickle_text(out, "storage");
    fprintf(out, "ctorch\n%s\n", storage_types[tensor->type]);
    pickle_text(out, text);
    pickle_text(out, "cpu");
    pickle_integer(out, count);
    fputs("tQ", out);
    pickle_integer(out, 0);
    putc('(', out);
    for (int32_t i = 0; i < tensor->dimensions; i++)
        pickle_integer(out, tensor->shape[i]);
    fputs("t(", out);
    for (int32_t i = 0; i < tensor->dimensions; i++)
        pickle_integer(out, stride[i]);
    fputs("t\x89"
          "ccollections\nOrderedDict\n)RtR",
          out);
}

static gm_status pickle(const char *path, int64_t count, const gm_tensor *tensors, char **bytes, size_t *size,
                        gm_error *error)
{
    FILE *out = open_memstream(bytes, size);
    if (!out)
        return gm_file_no_memory(error, path, 0);
    fputs("\x80\x02"
          "ccollections\nOrderedDict\n)R(",
          out);
    gm_status status = GM_OK;
    for (int64_t i = 0; i < count && status == GM_OK; i++) {
        int64_t elements, stored;
        const gm_tensor *tensor = &tensors[i];
        if (!tensor->name || !*tensor->name || tensor->type >= GM_TENSOR_TYPE_COUNT ||
            !gm_tensor_size(tensor, &elements, &stored) || (stored > 0 && !tensor->data))
            status = gm_error_set(error, GM_INVALID_ARGUMENT,
                                  "%s: tensor %lld has no name, no data or an impossible shape", path, (long long)i);
        else
            pickle_tensor(out, tensor, i, elements);
    }
    fputs("u.", out);
    const bool failed = ferror(out);
    if ((fclose(out) || failed) && status == GM_OK)
        status = gm_file_no_memory(error, path, *size);
    return status;
}

/* --- the archive ----------------------------------------------------------------------------------------------- */

struct archive {
    gm_file_writer writer;
    const char *path;
    uint64_t offset;
    FILE *directory; /* grows with the entries */
    uint64_t count;
};

static gm_status append(struct archive *archive, const void *bytes, size_t size, gm_error *error)
{
    archive->offset += size;
    return gm_file_append(&archive->writer, bytes, size, error);
}

/* The fields that a local header and a record of the directory share. */
static void put_fields(uint8_t *bytes, const char *name, const void *data, size_t size)
{
    put_number(bytes, 2, 20); /* version */
    put_number(bytes + 2, 2, UTF8_NAMES);
    uLong crc = crc32(0, NULL, 0);
    const uint8_t *next = data;
    for (size_t left = size; left > 0;) {
        const uInt piece = left < 1 << 30 ? (uInt)left : 1 << 30;
        crc = crc32(crc, next, piece);
        next += piece;
        left -= piece;
    }
    put_number(bytes + 10, 4, crc);
    put_number(bytes + 14, 4, size);
    put_number(bytes + 18, 4, size);
    put_number(bytes + 22, 2, strlen(name));
}

/* One stored entry whose data begin on a multiple of ALIGNMENT, as PyTorch's do: an extra field fills the gap. */
static gm_status append_entry(struct archive *archive, const char *name, const void *data, size_t size, gm_error *error)
{
    uint8_t header[LOCAL_SIZE + MOST_NAME + 4 + ALIGNMENT] = "PK\x03\x04", record[CENTRAL_SIZE] = "PK\x01\x02";
    const size_t length = strlen(name), begin = LOCAL_SIZE + length + 4;
    const size_t padding = (ALIGNMENT - (archive->offset + begin) % ALIGNMENT) % ALIGNMENT;
    if (size >= UINT32_MAX || archive->offset + begin + padding + size >= UINT32_MAX || archive->count == UINT16_MAX)
        return gm_error_set(error, GM_INVALID_ARGUMENT,
                            "%s: a .pth file of 4 GB or more, or of 65535 tensors, cannot be "
                            "written; choose safetensors",
                            archive->path);
    put_fields(header + 4, name, data, size);
    put_number(header + 28, 2, 4 + padding);
    memcpy(header + LOCAL_SIZE, name, length);
    memcpy(header + LOCAL_SIZE + length, "FB", 2);
    put_number(header + LOCAL_SIZE + length + 2, 2, padding);
    put_fields(record + 6, name, data, size);
    put_number(record + 42, 4, archive->offset);
    fwrite(record, 1, sizeof record, archive->directory);
    fputs(name, archive->directory);
    archive->count++;
    const gm_status status = append(archive, header, begin + padding, error);
    return status == GM_OK && size > 0 ? append(archive, data, size, error) : status;
}

static gm_status append_tensors(struct archive *archive, int64_t count, const gm_tensor *tensors, gm_error *error)
{
    gm_status status = GM_OK;
    for (int64_t i = 0; i < count && status == GM_OK; i++) {
        char name[MOST_NAME];
        int64_t elements, bytes = 0;
        gm_tensor_size(&tensors[i], &elements, &bytes); /* pickle() has checked it */
        snprintf(name, sizeof name, "archive/data/%lld", (long long)i);
        status = append_entry(archive, name, tensors[i].data, (size_t)bytes, error);
    }
    return status;
}

static gm_status append_directory(struct archive *archive, char **directory, const size_t *size, gm_error *error)
{
    uint8_t end[END_SIZE] = "PK\x05\x06";
    const bool failed = ferror(archive->directory);
    const bool closed = fclose(archive->directory) == 0;
    archive->directory = NULL;
    if (failed || !closed)
        return gm_file_no_memory(error, archive->path, *size);
    put_number(end + 8, 2, archive->count);
    put_number(end + 10, 2, archive->count);
    put_number(end + 12, 4, *size);
    put_number(end + 16, 4, archive->offset);
    const gm_status status = append(archive, *directory, *size, error);
    return status == GM_OK ? append(archive, end, sizeof end, error) : status;
}

static gm_status write_archive(struct archive *archive, const char *text, size_t size, int64_t count,
                               const gm_tensor *tensors, gm_error *error)
{
    char *directory = NULL;
    size_t directory_size = 0;
    archive->directory = open_memstream(&directory, &directory_size);
    if (!archive->directory)
        return gm_file_no_memory(error, archive->path, 0);
    gm_status status = append_entry(archive, "archive/data.pkl", text, size, error);
    if (status == GM_OK)
        status = append_entry(archive, "archive/byteorder", "little", 6, error);
    if (status == GM_OK)
        status = append_tensors(archive, count, tensors, error);
    if (status == GM_OK)
        status = append_entry(archive, "archive/version", "3\n", 2, error);
    if (status == GM_OK)
        status = append_directory(archive, &directory, &directory_size, error);
    if (archive->directory)
        fclose(archive->directory);
    free(directory);
    return status;
}

gm_status gm_pth_write(const char *path, int64_t count, const gm_tensor *tensors, gm_error *error)
{
    char *text = NULL;
    size_t size = 0;
    struct archive archive = {.path = path};
    gm_status status = pickle(path, count, tensors, &text, &size, error);
    if (status == GM_OK)
        status = gm_file_begin(&archive.writer, path, error);
    if (status != GM_OK)
        goto fail;
    status = write_archive(&archive, text, size, count, tensors, error);
    if (status == GM_OK)
        status = gm_file_commit(&archive.writer, error);
    else
        gm_file_abandon(&archive.writer);
fail:
    free(text);
    return status;
}
