/* The folder that a run writes into. */
#ifndef GEMEL_RUN_FOLDER_H
#define GEMEL_RUN_FOLDER_H

#include <stdbool.h>
#include <stddef.h>

#include <gemel/error.h>

enum { GM_RUN_PATH = 2048 };

/* Makes the folder `wanted`, or the first free one of runs/NAME-1, runs/NAME-2 … if wanted is NULL, and puts its path
 * into folder[GM_RUN_PATH]. A folder that holds something is refused unless `overwrite`, which removes what an earlier
 * run left there, and nothing else. Errors: GM_BAD_USAGE (occupied), GM_IO_ERROR. */
gm_status gm_run_folder_create(const char *wanted, const char *name, bool overwrite, char *folder, gm_error *error);

/* FOLDER/NAME; both come from this program and fit. */
void gm_run_path(const char *folder, const char *name, char path[GM_RUN_PATH + 64]);

#endif
