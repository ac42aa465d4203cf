/* Zip archives: open, and read every small entry. */
#include "formats/zip.h"

#include "fuzz.h"

enum { MOST_BYTES = 1 << 16 };

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    gm_error error;
    gm_zip zip;
    gm_file source;
    const fuzz_file file = fuzz_file_create(bytes, size);
    if (gm_file_open(file.path, &source, &error) != GM_OK)
        abort();
    if (gm_zip_open(&source, &zip, &error) == GM_OK) {
        for (int64_t i = 0; i < zip.count; i++) {
            const gm_zip_entry *entry = &zip.entries[i];
            if (gm_zip_find(&zip, entry->name) != entry)
                abort();
            if (entry->size > MOST_BYTES)
                continue;
            void *contents = malloc((size_t)entry->size);
            gm_zip_read(&zip, entry, contents, &error);
            free(contents);
        }
        gm_zip_close(&zip);
    }
    gm_file_close(&source);
    fuzz_file_remove(&file);
    return 0;
}
