/* Readers take paths: a file in memory that holds the bytes of one run. */
#ifndef GEMEL_FUZZ_H
#define GEMEL_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

typedef struct fuzz_file {
    int descriptor;
    char path[32];
} fuzz_file;

static inline fuzz_file fuzz_file_create(const uint8_t *bytes, size_t size)
{
    fuzz_file file = {.descriptor = memfd_create("fuzz", MFD_CLOEXEC)};
    if (file.descriptor < 0 || write(file.descriptor, bytes, size) != (ssize_t)size)
        abort();
    snprintf(file.path, sizeof file.path, "/proc/self/fd/%d", file.descriptor);
    return file;
}

static inline void fuzz_file_remove(const fuzz_file *file)
{
    close(file->descriptor);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

#endif
