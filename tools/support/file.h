/* Files that are read whole, and files that a reader finds either old or new, never half written. */
#ifndef GEMEL_FILE_H
#define GEMEL_FILE_H

#include <stddef.h>
#include <stdint.h>

#include <gemel/error.h>

/* Fills *error with "PATH: cannot ACTION: what the system said; what to do", for errno `code`, and returns GM_IO_ERROR
 * (GM_OUT_OF_MEMORY for ENOMEM). */
gm_status gm_file_error(gm_error *error, const char *path, const char *action, int code);

/* Fills *error with the bytes that could not be allocated for path, and returns GM_OUT_OF_MEMORY. */
gm_status gm_file_no_memory(gm_error *error, const char *path, size_t bytes);

/* A regular file that is being read. */
typedef struct gm_file {
    char *path; /* a copy; NULL while the file is closed */
    int descriptor;
    int64_t size;
} gm_file;

/* Errors: GM_IO_ERROR, GM_OUT_OF_MEMORY; *file is closed then. */
gm_status gm_file_open(const char *path, gm_file *file, gm_error *error);
void gm_file_close(gm_file *file); /* one that is closed, or all zero, is allowed */

/* Reads `size` bytes at `offset`; fewer there are an error: GM_BAD_DATA. Errors also: GM_IO_ERROR. */
gm_status gm_file_read_at(const gm_file *file, int64_t offset, void *bytes, size_t size, gm_error *error);

/* Reads the whole of a regular file of at most `most` bytes. *bytes ends in a zero byte that *size does not count; the
 * caller frees it. Errors: GM_IO_ERROR, GM_BAD_DATA (longer), GM_OUT_OF_MEMORY. */
gm_status gm_file_read(const char *path, size_t most, char **bytes, size_t *size, gm_error *error);

/* A file that is being written as PATH.tmp. Commit makes it PATH, safely on disk, and abandon removes it; one of them
 * ends every begin that returned GM_OK. A PATH.tmp that a killed process left is overwritten. */
typedef struct gm_file_writer {
    int descriptor;
    char *path, *temporary;
} gm_file_writer;

/* Errors of these: GM_IO_ERROR, GM_OUT_OF_MEMORY; a failed commit has abandoned the file. */
gm_status gm_file_begin(gm_file_writer *writer, const char *path, gm_error *error);
gm_status gm_file_append(gm_file_writer *writer, const void *bytes, size_t size, gm_error *error);
gm_status gm_file_commit(gm_file_writer *writer, gm_error *error);
void gm_file_abandon(gm_file_writer *writer);

/* begin, append and commit in one. */
gm_status gm_file_write(const char *path, const void *bytes, size_t size, gm_error *error);

/* Makes `previous` another name of the file `path`, replacing what had that name, so that the next write of path leaves
 * the present contents there. Nothing happens where there is no file `path`. Errors: GM_IO_ERROR, GM_OUT_OF_MEMORY. */
gm_status gm_file_keep(const char *path, const char *previous, gm_error *error);

#endif
