#include "support/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *remedy(int code)
{
    switch (code) {
    case ENOSPC:
    case EDQUOT:
        return "free some space or choose another folder";
    case EACCES:
    case EPERM:
    case EROFS:
        return "choose a place that you may use, or change its permissions";
    case ENOENT:
    case ENOTDIR:
        return "check the path";
    case EISDIR:
        return "name a file";
    case EMFILE:
    case ENFILE:
        return "close some files or raise ulimit -n";
    case EFBIG:
        return "raise ulimit -f or choose another file system";
    default:
        return "check the disk";
    }
}

gm_status gm_file_error(gm_error *error, const char *path, const char *action, int code)
{
    if (code == ENOMEM)
        return gm_error_set(error, GM_OUT_OF_MEMORY, "%s: cannot %s: out of memory", path, action);
    return gm_error_set(error, GM_IO_ERROR, "%s: cannot %s: %s; %s", path, action, strerror(code), remedy(code));
}

gm_status gm_file_no_memory(gm_error *error, const char *path, size_t bytes)
{
    return gm_error_set(error, GM_OUT_OF_MEMORY, "%s: no memory for %.1f MB", path, (double)bytes / 1e6);
}

gm_status gm_file_open(const char *path, gm_file *file, gm_error *error)
{
    struct stat about;
    *file = (gm_file){0};
    const int descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a pipe must not wait for a writer */
    if (descriptor < 0)
        return gm_file_error(error, path, "open", errno);
    gm_status status = GM_OK;
    if (fstat(descriptor, &about) != 0)
        status = gm_file_error(error, path, "read", errno);
    else if (S_ISDIR(about.st_mode))
        status = gm_file_error(error, path, "read", EISDIR);
    else if (!S_ISREG(about.st_mode))
        status = gm_error_set(error, GM_IO_ERROR, "%s: not a regular file", path);
    char *copy = status == GM_OK ? strdup(path) : NULL;
    if (status == GM_OK && !copy)
        status = gm_file_no_memory(error, path, strlen(path));
    if (status == GM_OK)
        *file = (gm_file){copy, descriptor, about.st_size};
    else
        close(descriptor);
    return status;
}

void gm_file_close(gm_file *file)
{
    if (file->path)
        close(file->descriptor);
    free(file->path);
    *file = (gm_file){0};
}

gm_status gm_file_read_at(const gm_file *file, int64_t offset, void *bytes, size_t size, gm_error *error)
{
    char *next = bytes;
    while (size > 0) {
        const ssize_t got = pread(file->descriptor, next, size, offset);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return gm_file_error(error, file->path, "read", errno);
        if (got == 0)
            return gm_error_set(error, GM_BAD_DATA, "%s: ends at byte %lld, %zu bytes early", file->path,
                                (long long)offset, size);
        next += got;
        offset += got;
        size -= (size_t)got;
    }
    return GM_OK;
}

gm_status gm_file_read(const char *path, size_t most, char **bytes, size_t *size, gm_error *error)
{
    gm_file file;
    char *memory = NULL;
    *bytes = NULL;
    *size = 0;
    gm_status status = gm_file_open(path, &file, error);
    if (status != GM_OK)
        return status;
    const size_t length = (size_t)file.size;
    if (length > most)
        status = gm_error_set(error, GM_BAD_DATA, "%s: has %zu bytes; at most %zu are expected", path, length, most);
    else if (!(memory = malloc(length + 1)))
        status = gm_file_no_memory(error, path, length + 1);
    else
        status = gm_file_read_at(&file, 0, memory, length, error);
    gm_file_close(&file);
    if (status != GM_OK) {
        free(memory);
        return status;
    }
    memory[length] = '\0';
    *bytes = memory;
    *size = length;
    return GM_OK;
}

static void forget(gm_file_writer *writer)
{
    free(writer->path);
    free(writer->temporary);
    *writer = (gm_file_writer){-1, NULL, NULL};
}

gm_status gm_file_begin(gm_file_writer *writer, const char *path, gm_error *error)
{
    *writer = (gm_file_writer){-1, strdup(path), NULL};
    if (!writer->path || asprintf(&writer->temporary, "%s.tmp", path) < 0) {
        writer->temporary = NULL;
        forget(writer);
        return gm_file_no_memory(error, path, 2 * strlen(path));
    }
    writer->descriptor = open(writer->temporary, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0666);
    if (writer->descriptor < 0) {
        const int code = errno;
        forget(writer);
        return gm_file_error(error, path, "write", code);
    }
    return GM_OK;
}

gm_status gm_file_append(gm_file_writer *writer, const void *bytes, size_t size, gm_error *error)
{
    const char *next = bytes;
    while (size > 0) {
        const ssize_t put = write(writer->descriptor, next, size);
        if (put < 0 && errno == EINTR)
            continue;
        if (put < 0)
            return gm_file_error(error, writer->path, "write", errno);
        next += put;
        size -= (size_t)put;
    }
    return GM_OK;
}

void gm_file_abandon(gm_file_writer *writer)
{
    if (writer->descriptor >= 0)
        close(writer->descriptor);
    unlink(writer->temporary);
    forget(writer);
}

/* A rename is on disk only when its folder is. Some file systems cannot sync a folder and say EINVAL. */
static int sync_folder(const char *path)
{
    const char *slash = strrchr(path, '/');
    char *folder = slash ? strndup(path, slash == path ? 1 : (size_t)(slash - path)) : strdup(".");
    if (!folder)
        return ENOMEM;
    const int descriptor = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int code = descriptor < 0 ? errno : 0;
    if (descriptor >= 0) {
        if (fsync(descriptor) != 0 && errno != EINVAL)
            code = errno;
        close(descriptor);
    }
    free(folder);
    return code == EACCES ? 0 : code; /* a folder may be writable without being readable */
}

gm_status gm_file_commit(gm_file_writer *writer, gm_error *error)
{
    int code = fsync(writer->descriptor) == 0 ? 0 : errno;
    if (close(writer->descriptor) != 0 && code == 0)
        code = errno;
    writer->descriptor = -1;
    if (code == 0 && rename(writer->temporary, writer->path) != 0)
        code = errno;
    if (code != 0) {
        const gm_status status = gm_file_error(error, writer->path, "write", code);
        gm_file_abandon(writer);
        return status;
    }
    code = sync_folder(writer->path);
    const gm_status status = code == 0 ? GM_OK : gm_file_error(error, writer->path, "write", code);
    forget(writer);
    return status;
}

gm_status gm_file_write(const char *path, const void *bytes, size_t size, gm_error *error)
{
    gm_file_writer writer;
    gm_status status = gm_file_begin(&writer, path, error);
    if (status != GM_OK)
        return status;
    status = gm_file_append(&writer, bytes, size, error);
    if (status != GM_OK) {
        gm_file_abandon(&writer);
        return status;
    }
    return gm_file_commit(&writer, error);
}

gm_status gm_file_keep(const char *path, const char *previous, gm_error *error)
{
    char *temporary;
    if (asprintf(&temporary, "%s.tmp", previous) < 0)
        return gm_file_no_memory(error, previous, strlen(previous));
    unlink(temporary);
    int code = 0;
    if (link(path, temporary) == 0) {
        if (rename(temporary, previous) != 0)
            code = errno;
        unlink(temporary); /* still there if both names were one file already: rename does nothing then */
    } else if (errno == EPERM || errno == EOPNOTSUPP || errno == EMLINK) {
        /* No hard links here. The contents stay on disk throughout, under one name or the other. */
        if (rename(path, previous) != 0)
            code = errno;
    } else if (errno != ENOENT) {
        code = errno;
    }
    free(temporary);
    return code == 0 ? GM_OK : gm_file_error(error, previous, "write", code);
}
