/* Loaded before the C library (LD_PRELOAD), makes one call of a process fail, the process die there, or the call take
 * long. GEMEL_FAULT=ACTION:CALLS:N: ACTION is fail, kill or sleep; CALLS one of the groups below; N the call that it
 * happens to, from 1 on. GEMEL_FAULT_REPORT names a file that then appears and, when the process ends by itself, gets
 * the number of calls. GEMEL_FAULT_NO_LINKS=1: the file system has no hard links. */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { OPEN = 1, READ = 2, WRITE = 4, SYNC = 8, NAME = 16, MEMORY = 32 };

static const struct {
    const char *name;
    int calls;
} groups[] = {
    {"open", OPEN},
    {"read", READ},
    {"write", WRITE},
    {"sync", SYNC},
    {"name", NAME},
    {"disk", OPEN | READ | WRITE | SYNC | NAME},
    {"save", OPEN | WRITE | SYNC | NAME},
    {"memory", MEMORY},
};

static char action; /* the first letter; 0: none */
static int group;
static long at;
static atomic_long count;
static char report[4096];
static bool no_links;

__attribute__((constructor)) static void read_environment(void)
{
    char what[16], calls[16];
    const char *fault = getenv("GEMEL_FAULT"), *file = getenv("GEMEL_FAULT_REPORT");
    no_links = getenv("GEMEL_FAULT_NO_LINKS") != NULL;
    if (!fault || !file || sscanf(fault, "%15[a-z]:%15[a-z]:%ld", what, calls, &at) != 3)
        return;
    snprintf(report, sizeof report, "%s", file);
    for (size_t i = 0; i < sizeof groups / sizeof *groups; i++)
        if (!strcmp(groups[i].name, calls))
            group = groups[i].calls;
    atomic_store(&count, 0);
    action = what[0];
}

static void *real(const char *name)
{
    return dlsym(RTLD_NEXT, name);
}

__attribute__((destructor)) static void write_count(void)
{
    if (!action)
        return;
    action = 0;
    FILE *file = fopen(report, "w");
    if (file) {
        fprintf(file, "%ld\n", atomic_load(&count));
        fclose(file);
    }
}

/* Without the functions below. */
static void say_reached(void)
{
    int (*const open_real)(const char *, int, ...) = real("open");
    close(open_real(report, O_WRONLY | O_CREAT, 0666));
}

static void sleep_long(void)
{
    struct timespec left = {60, 0};
    while (nanosleep(&left, &left) && errno == EINTR)
        continue;
}

/* Whether a call of this kind fails now. */
static bool fails(int calls, int code)
{
    if (!action || !(group & calls) || atomic_fetch_add(&count, 1) + 1 != at)
        return false;
    say_reached();
    if (action == 'k')
        raise(SIGKILL);
    if (action == 's')
        sleep_long();
    errno = code;
    return action == 'f';
}

static int open_mode(int flags, va_list rest)
{
    return flags & (O_CREAT | O_TMPFILE) ? va_arg(rest, int) : 0;
}

int open(const char *path, int flags, ...)
{
    va_list rest;
    va_start(rest, flags);
    const int mode = open_mode(flags, rest);
    va_end(rest);
    int (*const next)(const char *, int, ...) = real("open");
    return fails(OPEN, EIO) ? -1 : next(path, flags, mode);
}

FILE *fopen(const char *path, const char *mode)
{
    FILE *(*const next)(const char *, const char *) = real("fopen");
    return fails(OPEN, EIO) ? NULL : next(path, mode);
}

ssize_t read(int file, void *bytes, size_t size)
{
    ssize_t (*const next)(int, void *, size_t) = real("read");
    return fails(READ, EIO) ? -1 : next(file, bytes, size);
}

ssize_t pread(int file, void *bytes, size_t size, off_t offset)
{
    ssize_t (*const next)(int, void *, size_t, off_t) = real("pread");
    return fails(READ, EIO) ? -1 : next(file, bytes, size, offset);
}

/* The names that these have where files of any length are asked for. */
int open64(const char *path, int flags, ...) __attribute__((alias("open")));
FILE *fopen64(const char *path, const char *mode) __attribute__((alias("fopen")));
ssize_t pread64(int file, void *bytes, size_t size, off64_t offset) __attribute__((alias("pread")));

/* Half of the bytes are there before it fails or the process dies. */
ssize_t write(int file, const void *bytes, size_t size)
{
    ssize_t (*const next)(int, const void *, size_t) = real("write");
    if (action && (group & WRITE) && atomic_load(&count) + 1 == at && size > 1)
        next(file, bytes, size / 2);
    return fails(WRITE, ENOSPC) ? -1 : next(file, bytes, size);
}

int fflush(FILE *file)
{
    int (*const next)(FILE *) = real("fflush");
    return fails(WRITE, ENOSPC) ? EOF : next(file);
}

int fsync(int file)
{
    int (*const next)(int) = real("fsync");
    return fails(SYNC, EIO) ? -1 : next(file);
}

int rename(const char *from, const char *to)
{
    int (*const next)(const char *, const char *) = real("rename");
    return fails(NAME, ENOSPC) ? -1 : next(from, to);
}

int link(const char *from, const char *to)
{
    int (*const next)(const char *, const char *) = real("link");
    if (no_links) {
        errno = EPERM;
        return -1;
    }
    return fails(NAME, ENOSPC) ? -1 : next(from, to);
}

int unlink(const char *path)
{
    int (*const next)(const char *) = real("unlink");
    return fails(NAME, EIO) ? -1 : next(path);
}

int mkdir(const char *path, mode_t mode)
{
    int (*const next)(const char *, mode_t) = real("mkdir");
    return fails(NAME, ENOSPC) ? -1 : next(path, mode);
}

/* dlsym() itself allocates: the C library's own names. */
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t members, size_t size);
void *__libc_realloc(void *memory, size_t size);
void *__libc_memalign(size_t alignment, size_t size);

void *malloc(size_t size)
{
    return fails(MEMORY, ENOMEM) ? NULL : __libc_malloc(size);
}

void *calloc(size_t members, size_t size)
{
    return fails(MEMORY, ENOMEM) ? NULL : __libc_calloc(members, size);
}

void *realloc(void *memory, size_t size)
{
    return fails(MEMORY, ENOMEM) ? NULL : __libc_realloc(memory, size);
}

void *aligned_alloc(size_t alignment, size_t size)
{
    return fails(MEMORY, ENOMEM) ? NULL : __libc_memalign(alignment, size);
}

int posix_memalign(void **memory, size_t alignment, size_t size)
{
    if (fails(MEMORY, ENOMEM))
        return ENOMEM;
    *memory = __libc_memalign(alignment, size);
    return *memory ? 0 : ENOMEM;
}

void *mmap(void *address, size_t size, int protection, int flags, int file, off_t offset)
{
    void *(*const next)(void *, size_t, int, int, int, off_t) = real("mmap");
    return fails(MEMORY, ENOMEM) ? MAP_FAILED : next(address, size, protection, flags, file, offset);
}
