#include "formats/gzip.h"

#include <stdlib.h>
#include <string.h>

#include <zlib.h>

#include "support/file.h"

enum { GM_GZIP_INPUT = 1 << 16, GM_GZIP_FORMAT = 16 + MAX_WBITS };

struct gm_gzip_reader {
    gm_file source;
    int64_t position;       /* how much of it is in the stream already */
    bool compressed, ended; /* ended: the compressed stream is complete and its checksum right */
    z_stream stream;
    uint8_t input[GM_GZIP_INPUT];
};

static bool out_of_input(const gm_gzip_reader *reader)
{
    return reader->stream.avail_in == 0 && reader->position == reader->source.size;
}

static gm_status fill_input(gm_gzip_reader *reader, gm_error *error)
{
    if (reader->stream.avail_in > 0 || out_of_input(reader))
        return GM_OK;
    const int64_t left = reader->source.size - reader->position;
    const size_t piece = left < GM_GZIP_INPUT ? (size_t)left : (size_t)GM_GZIP_INPUT;
    const gm_status status = gm_file_read_at(&reader->source, reader->position, reader->input, piece, error);
    if (status != GM_OK)
        return status;
    reader->stream.next_in = reader->input;
    reader->stream.avail_in = (uInt)piece;
    reader->position += (int64_t)piece;
    return GM_OK;
}

static gm_status begin_stream(gm_gzip_reader *reader, gm_error *error)
{
    const gm_status status = fill_input(reader, error);
    if (status != GM_OK || reader->stream.avail_in < 2 || reader->input[0] != 0x1f || reader->input[1] != 0x8b)
        return status;
    if (inflateInit2(&reader->stream, GM_GZIP_FORMAT) != Z_OK)
        return gm_file_no_memory(error, reader->source.path, 1 << MAX_WBITS);
    reader->compressed = true;
    return GM_OK;
}

gm_status gm_gzip_open(const char *path, gm_gzip_reader **reader, gm_error *error)
{
    *reader = NULL;
    gm_gzip_reader *opened = calloc(1, sizeof *opened);
    if (!opened)
        return gm_file_no_memory(error, path, sizeof *opened);
    gm_status status = gm_file_open(path, &opened->source, error);
    if (status == GM_OK)
        status = begin_stream(opened, error);
    if (status == GM_OK)
        *reader = opened;
    else
        gm_gzip_close(opened);
    return status;
}

void gm_gzip_close(gm_gzip_reader *reader)
{
    if (!reader)
        return;
    if (reader->compressed)
        inflateEnd(&reader->stream);
    gm_file_close(&reader->source);
    free(reader);
}

bool gm_gzip_compressed(const gm_gzip_reader *reader)
{
    return reader->compressed;
}

int64_t gm_gzip_file_size(const gm_gzip_reader *reader)
{
    return reader->source.size;
}

static gm_status ends_early(const gm_gzip_reader *reader, gm_error *error)
{
    return gm_error_set(error, GM_BAD_DATA, "%s: cut short after %lld bytes; fetch it again", reader->source.path,
                        (long long)reader->source.size);
}

/* One call of inflate on what input there is; the caller looks at avail_out and ended. */
static gm_status inflate_some(gm_gzip_reader *reader, gm_error *error)
{
    gm_status status = fill_input(reader, error);
    if (status != GM_OK)
        return status;
    if (out_of_input(reader))
        return ends_early(reader, error);
    const int result = inflate(&reader->stream, Z_NO_FLUSH);
    if (result == Z_STREAM_END)
        reader->ended = true;
    else if (result == Z_MEM_ERROR)
        return gm_file_no_memory(error, reader->source.path, 1 << MAX_WBITS);
    else if (result != Z_OK)
        return gm_error_set(error, GM_BAD_DATA, "%s: damaged gzip file (%s); fetch it again", reader->source.path,
                            reader->stream.msg ? reader->stream.msg : "cannot be unpacked");
    return GM_OK;
}

static gm_status read_plain(gm_gzip_reader *reader, uint8_t *bytes, size_t size, gm_error *error)
{
    while (size > 0) {
        const gm_status status = fill_input(reader, error);
        if (status != GM_OK)
            return status;
        if (out_of_input(reader))
            return ends_early(reader, error);
        const size_t piece = size < reader->stream.avail_in ? size : reader->stream.avail_in;
        memcpy(bytes, reader->stream.next_in, piece);
        reader->stream.next_in += piece;
        reader->stream.avail_in -= (uInt)piece;
        bytes += piece;
        size -= piece;
    }
    return GM_OK;
}

gm_status gm_gzip_read(gm_gzip_reader *reader, void *bytes, size_t size, gm_error *error)
{
    if (!reader->compressed)
        return read_plain(reader, bytes, size, error);
    uint8_t *next = bytes;
    while (size > 0) {
        const uInt piece = size < 1 << 30 ? (uInt)size : 1 << 30; /* zlib counts in 32 bits */
        reader->stream.next_out = next;
        reader->stream.avail_out = piece;
        while (reader->stream.avail_out > 0) {
            if (reader->ended)
                return gm_error_set(error, GM_BAD_DATA, "%s: unpacks to %zu bytes less than its header says",
                                    reader->source.path, size - piece + reader->stream.avail_out);
            const gm_status status = inflate_some(reader, error);
            if (status != GM_OK)
                return status;
        }
        next += piece;
        size -= piece;
    }
    return GM_OK;
}

gm_status gm_gzip_finish(gm_gzip_reader *reader, gm_error *error)
{
    uint8_t extra;
    while (reader->compressed && !reader->ended) {
        reader->stream.next_out = &extra;
        reader->stream.avail_out = 1;
        const gm_status status = inflate_some(reader, error);
        if (status != GM_OK)
            return status;
        if (reader->stream.avail_out == 0)
            return gm_error_set(error, GM_BAD_DATA, "%s: unpacks to more bytes than its header says",
                                reader->source.path);
    }
    if (!out_of_input(reader))
        return gm_error_set(error, GM_BAD_DATA, "%s: %lld bytes follow the end of the data", reader->source.path,
                            (long long)(reader->source.size - reader->position + reader->stream.avail_in));
    return GM_OK;
}
