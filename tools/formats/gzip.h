/* Reading a file that is plain or gzip-compressed, as a stream. */
#ifndef GEMEL_GZIP_H
#define GEMEL_GZIP_H

#include <gemel/error.h>

typedef struct gm_gzip_reader gm_gzip_reader;

/* Errors: GM_IO_ERROR, GM_OUT_OF_MEMORY; *reader is NULL then. */
gm_status gm_gzip_open(const char *path, gm_gzip_reader **reader, gm_error *error);
void gm_gzip_close(gm_gzip_reader *reader); /* NULL is allowed */

bool gm_gzip_compressed(const gm_gzip_reader *reader);
int64_t gm_gzip_file_size(const gm_gzip_reader *reader); /* on disk */

/* The next `size` bytes. Errors: GM_BAD_DATA (the file ends early or is damaged), GM_IO_ERROR. */
gm_status gm_gzip_read(gm_gzip_reader *reader, void *bytes, size_t size, gm_error *error);

/* Checks that nothing follows, and the checksum and length that end a compressed file. Errors: GM_BAD_DATA,
 * GM_IO_ERROR. */
gm_status gm_gzip_finish(gm_gzip_reader *reader, gm_error *error);

#endif
