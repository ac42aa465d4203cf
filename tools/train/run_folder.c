#include "train/run_folder.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "support/file.h"

static const char *const run_files[] = {"config.json",
                                        "stats.txt",
                                        "metrics.csv",
                                        "checkpoint.safetensors",
                                        "checkpoint.previous.safetensors",
                                        "backbone.safetensors",
                                        "report.html",
                                        "correlation.png",
                                        "results.txt"};

void gm_run_path(const char *folder, const char *name, char path[GM_RUN_PATH + 64])
{
    snprintf(path, GM_RUN_PATH + 64, "%s/%s", folder, name);
}

/* mkdir -p; a folder that exists is fine. */
static gm_status make_folders(const char *path, gm_error *error)
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
                            "%s: this folder is not empty; name another one with --checkpoint-dir or "
                            "pass --overwrite",
                            path);
    return GM_OK;
}

static gm_status remove_run(const char *folder, gm_error *error)
{
    for (size_t i = 0; i < sizeof run_files / sizeof run_files[0]; i++) {
        char path[GM_RUN_PATH + 64];
        gm_run_path(folder, run_files[i], path);
        if (unlink(path) && errno != ENOENT)
            return gm_file_error(error, path, "remove this file of an earlier run", errno);
    }
    return GM_OK;
}

static gm_status create_numbered(const char *name, char *folder, gm_error *error)
{
    const gm_status status = make_folders("runs", error);
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
    const gm_status status = make_folders(folder, error);
    if (status != GM_OK)
        return status;
    return overwrite ? remove_run(folder, error) : check_empty(folder, error);
}
