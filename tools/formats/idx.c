#include "formats/idx.h"

#include <stdlib.h>

#include "formats/gzip.h"
#include "support/file.h"

static const int64_t unpacking_allowance = 64 << 20;

static uint32_t big_endian_u32(const uint8_t bytes[4])
{
    return (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 | bytes[3];
}

static gm_status read_shape(gm_gzip_reader *reader, const char *path, int32_t rank, gm_idx *idx, int64_t *count,
                            gm_error *error)
{
    uint8_t magic[4], size[4];
    gm_status status = gm_gzip_read(reader, magic, sizeof magic, error);
    if (status != GM_OK)
        return status;
    if (magic[0] != 0 || magic[1] != 0 || magic[2] != 8 || magic[3] != rank)
        return gm_error_set(error, GM_BAD_DATA,
                            "%s: begins with %02x %02x %02x %02x, not 00 00 08 %02x as an idx file of %s does", path,
                            magic[0], magic[1], magic[2], magic[3], (unsigned)rank, rank == 1 ? "labels" : "images");
    *count = 1;
    for (int32_t i = 0; i < GM_IDX_MOST_RANK; i++) {
        idx->shape[i] = 1;
        if (i >= rank)
            continue;
        status = gm_gzip_read(reader, size, sizeof size, error);
        if (status != GM_OK)
            return status;
        idx->shape[i] = big_endian_u32(size);
        if (__builtin_mul_overflow(*count, idx->shape[i], count))
            return gm_error_set(error, GM_BAD_DATA, "%s: its header names an impossible size", path);
    }
    return GM_OK;
}

/* Refuses before allocating what the file cannot hold. */
static gm_status check_count(const gm_gzip_reader *reader, const char *path, int32_t rank, int64_t count,
                             gm_error *error)
{
    const int64_t size = gm_gzip_file_size(reader), header = 4 + 4 * (int64_t)rank;
    if (count == 0)
        return gm_error_set(error, GM_BAD_DATA, "%s: holds nothing", path);
    if (!gm_gzip_compressed(reader) && count != size - header)
        return gm_error_set(error, GM_BAD_DATA, "%s: has %lld bytes where its header says %lld; fetch it again", path,
                            (long long)size, (long long)(count + header));
    if (gm_gzip_compressed(reader) && count > 2 * size + unpacking_allowance)
        return gm_error_set(error, GM_BAD_DATA,
                            "%s: says that its %lld bytes unpack to %lld; if that is right, unpack it with gunzip",
                            path, (long long)size, (long long)count);
    return GM_OK;
}

gm_status gm_idx_read(const char *path, int32_t rank, gm_idx *idx, gm_error *error)
{
    gm_gzip_reader *reader;
    int64_t count = 0;
    idx->bytes = NULL;
    gm_status status = gm_gzip_open(path, &reader, error);
    if (status != GM_OK)
        return status;
    status = read_shape(reader, path, rank, idx, &count, error);
    if (status != GM_OK)
        goto fail;
    status = check_count(reader, path, rank, count, error);
    if (status != GM_OK)
        goto fail;
    idx->bytes = malloc((size_t)count);
    if (!idx->bytes) {
        status = gm_file_no_memory(error, path, (size_t)count);
        goto fail;
    }
    status = gm_gzip_read(reader, idx->bytes, (size_t)count, error);
    if (status != GM_OK)
        goto fail;
    status = gm_gzip_finish(reader, error);
    if (status != GM_OK)
        goto fail;
    gm_gzip_close(reader);
    return GM_OK;
fail:
    gm_gzip_close(reader);
    free(idx->bytes);
    idx->bytes = NULL;
    return status;
}
