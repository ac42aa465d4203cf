#include "train/run_folder.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "support/file.h"
#include "support/parse.h"

static const char *const run_files[] = {
    "config.json", "stats.txt",       "metrics.csv", "checkpoint.safetensors", "backbone.safetensors",
    "report.html", "correlation.png", "results.txt", "classifier.safetensors"};

void gm_run_path(const char *folder, const char *name, char path[GM_RUN_PATH + 64])
{
    snprintf(path, GM_RUN_PATH + 64, "%s/%s", folder, name);
}

void gm_run_kept_path(const char *folder, int64_t step, char path[GM_RUN_PATH + 64])
{
    snprintf(path, GM_RUN_PATH + 64, "%s/checkpoint-%lld.safetensors", folder, (long long)step);
}

static bool kept_step(const char *name, int64_t *step)
{
    static const char begin[] = "checkpoint-", end[] = ".safetensors";
    char digits[32];
    const size_t length = strlen(name), around = sizeof begin - 1 + sizeof end - 1;
    if (length <= around || length - around >= sizeof digits || strncmp(name, begin, sizeof begin - 1) ||
        strcmp(name + length - (sizeof end - 1), end))
        return false;
    snprintf(digits, sizeof digits, "%.*s", (int)(length - around), name + sizeof begin - 1);
    return gm_parse_int64(digits, 0, INT64_MAX, step);
}

/* The first, the last and the number of the kept checkpoints; nothing is there where the folder cannot be read. */
static int64_t count_kept(const char *path, int64_t *first, int64_t *last)
{
    DIR *folder = opendir(path);
    int64_t count = 0, step;
    for (struct dirent *entry = folder ? readdir(folder) : NULL; entry; entry = readdir(folder))
        if (kept_step(entry->d_name, &step)) {
            *first = count == 0 || step < *first ? step : *first;
            *last = count == 0 || step > *last ? step : *last;
            count++;
        }
    if (folder)
        closedir(folder);
    return count;
}

bool gm_run_latest_kept(const char *folder, int64_t *step)
{
    int64_t first;
    return count_kept(folder, &first, step) > 0;
}

gm_status gm_run_remove_kept(const char *folder, int64_t keep, gm_error *error)
{
    int64_t first, last;
    while (count_kept(folder, &first, &last) > keep) {
        char path[GM_RUN_PATH + 64];
        gm_run_kept_path(folder, first, path);
        if (unlink(path))
            return gm_file_error(error, path, "remove this checkpoint", errno);
    }
    return GM_OK;
}

gm_status gm_run_folder_make(const char *path, gm_error *error)
{
    char part[GM_RUN_PATH];
    snprintf(part, sizeof part, "%s", path);
    for (char *slash = strchr(part + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        if (mkdir(part, 0777) && errno != EEXIST)
            return gm_file_error(error, part, "make this folder", errno);
        *slash = '/';
    }
    if (mkdir(path, 0777) && errno != EEXIST)
        return gm_file_error(error, path, "make this folder", errno);
    return GM_OK;
}

static gm_status check_empty(const char *path, gm_error *error)
{
    DIR *folder = opendir(path);
    if (!folder)
        return gm_file_error(error, path, "use this as a folder", errno);
    bool occupied = false;
    for (struct dirent *entry = readdir(folder); entry && !occupied; entry = readdir(folder))
        occupied = strcmp(entry->d_name, ".") && strcmp(entry->d_name, "..");
    closedir(folder);
    if (occupied)
        return gm_error_set(error, GM_BAD_USAGE,
                            "%s: this folder is not empty; name another one with --checkpoint-dir, or pass "
                            "--resume to go on with its run or --overwrite to replace it",
                            path);
    return GM_OK;
}

gm_status gm_run_folder_lock(const char *folder, int *lock, gm_error *error)
{
    *lock = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (*lock < 0)
        return errno == EACCES ? GM_OK : gm_file_error(error, folder, "use this as a folder", errno);
    if (!flock(*lock, LOCK_EX | LOCK_NB) || errno != EWOULDBLOCK)
        return GM_OK;
    close(*lock);
    *lock = -1;
    return gm_error_set(error, GM_BAD_USAGE,
                        "%s: another process is training in this folder; wait for it, or name another folder with "
                        "--checkpoint-dir",
                        folder);
}

static gm_status remove_files(const char *folder, gm_error *error)
{
    for (size_t i = 0; i < sizeof run_files / sizeof run_files[0]; i++) {
        char path[GM_RUN_PATH + 64];
        gm_run_path(folder, run_files[i], path);
        if (unlink(path) && errno != ENOENT)
            return gm_file_error(error, path, "remove this file of an earlier run", errno);
    }
    return gm_run_remove_kept(folder, 0, error);
}

static gm_status remove_run(const char *folder, gm_error *error)
{
    int lock;
    gm_status status = gm_run_folder_lock(folder, &lock, error);
    if (status == GM_OK)
        status = remove_files(folder, error);
    if (lock >= 0)
        close(lock);
    return status;
}

static gm_status create_numbered(const char *name, char *folder, gm_error *error)
{
    const gm_status status = gm_run_folder_make("runs", error);
    if (status != GM_OK)
        return status;
    for (int number = 1;; number++) {
        snprintf(folder, GM_RUN_PATH, "runs/%s-%d", name, number);
        if (!mkdir(folder, 0777))
            return GM_OK;
        if (errno != EEXIST)
            return gm_file_error(error, folder, "make this folder", errno);
    }
}

gm_status gm_run_folder_create(const char *wanted, const char *name, bool overwrite, char *folder, gm_error *error)
{
    if (!wanted)
        return create_numbered(name, folder, error);
    if (!*wanted || strlen(wanted) >= GM_RUN_PATH)
        return gm_error_set(error, GM_BAD_USAGE, "--checkpoint-dir: a path of 1 to %d bytes is needed",
                            GM_RUN_PATH - 1);
    strcpy(folder, wanted);
    const gm_status status = gm_run_folder_make(folder, error);
    if (status != GM_OK)
        return status;
    return overwrite ? remove_run(folder, error) : check_empty(folder, error);
}
