/* Reading zip archives as PyTorch writes them: entries that are stored or deflated, ZIP64, data descriptors; no
 * encryption, no parts. Every claim of an archive is checked before it is followed.
 * https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT */
#ifndef GEMEL_ZIP_H
#define GEMEL_ZIP_H

#include <gemel/error.h>

#include "support/file.h"

typedef struct gm_zip_entry {
    const char *name;
    int64_t size;         /* of its contents */
    int64_t offset, used; /* of the bytes in the archive that hold them, packed if `deflated` */
    uint32_t crc;
    bool deflated;
} gm_zip_entry;

typedef struct gm_zip {
    const gm_file *file; /* the caller's, who keeps it open */
    char *names;
    gm_zip_entry *entries; /* sorted by name */
    int64_t count;
} gm_zip;

/* Reads the directory: names, sizes, places. Errors: GM_BAD_DATA (damaged; entries that share bytes or a name, have a
 * name that leaves its folder, or use what is not supported), GM_IO_ERROR, GM_OUT_OF_MEMORY; nothing to close then. */
gm_status gm_zip_open(const gm_file *file, gm_zip *zip, gm_error *error);
void gm_zip_close(gm_zip *zip); /* one that is all zero is allowed */

/* The entry of this name; NULL where there is none. */
const gm_zip_entry *gm_zip_find(const gm_zip *zip, const char *name);

/* bytes = the contents, entry->size of them, which the caller has found small enough. Errors: GM_BAD_DATA (damaged, or
 * of another size or checksum than the directory says), GM_IO_ERROR, GM_OUT_OF_MEMORY. */
gm_status gm_zip_read(const gm_zip *zip, const gm_zip_entry *entry, void *bytes, gm_error *error);

#endif
