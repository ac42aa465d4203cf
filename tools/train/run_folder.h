/* The folder that a run writes into. */
#ifndef GEMEL_RUN_FOLDER_H
#define GEMEL_RUN_FOLDER_H

#include <stdbool.h>
#include <stdint.h>

#include <gemel/error.h>

enum { GM_RUN_PATH = 2048 };

/* Makes the folder `wanted`, or the first free one of runs/NAME-1, runs/NAME-2 … if wanted is NULL, and puts its path
 * into folder[GM_RUN_PATH]. A folder that holds something is refused unless `overwrite`, which removes what an earlier
 * run left there, and nothing else. Errors: GM_BAD_USAGE (occupied), GM_IO_ERROR. */
gm_status gm_run_folder_create(const char *wanted, const char *name, bool overwrite, char *folder, gm_error *error);

/* Makes a folder and those above it; one that exists is fine. Errors: GM_IO_ERROR. */
gm_status gm_run_folder_make(const char *path, gm_error *error);

/* Claims the folder for this process, since two that write into one folder spoil it, until the process ends in whatever
 * way or close(*lock). File systems without locks are taken as they are. Errors: GM_BAD_USAGE (another process trains
 * there), GM_IO_ERROR; *lock is -1 then. */
gm_status gm_run_folder_lock(const char *folder, int *lock, gm_error *error);

/* FOLDER/NAME; both come from this program and fit. */
void gm_run_path(const char *folder, const char *name, char path[GM_RUN_PATH + 64]);

/* FOLDER/checkpoint-STEP.safetensors, an earlier checkpoint that is kept. */
void gm_run_kept_path(const char *folder, int64_t step, char path[GM_RUN_PATH + 64]);

/* Whether there is such a file, and the step of the latest one. */
bool gm_run_latest_kept(const char *folder, int64_t *step);

/* Removes all but the `keep` latest ones. Errors: GM_IO_ERROR. */
gm_status gm_run_remove_kept(const char *folder, int64_t keep, gm_error *error);

#endif
