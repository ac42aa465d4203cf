/* The text files of a run: stats.txt, one JSON object a line under Facebook's names, and metrics.csv, one row an epoch.
 */
#ifndef GEMEL_RUN_LOG_H
#define GEMEL_RUN_LOG_H

#include <stdio.h>

#include "train/run_history.h"

typedef struct gm_run_log {
    FILE *stats, *metrics;
    const char *folder; /* lives as long as the log */
} gm_run_log;

/* Begins both files, or goes on in those that are there; the command line becomes a line of stats.txt.
 * Errors: GM_IO_ERROR. */
gm_status gm_run_log_open(gm_run_log *log, const char *folder, const char *command_line, bool resume, gm_error *error);

/* What a resumed run has behind it: adds the steps and epochs of both files up to `step` to the history, and removes
 * from the files what is beyond, which the run takes anew, and lines that a crash cut short. Files that are missing are
 * empty. Errors: GM_IO_ERROR, GM_OUT_OF_MEMORY. */
gm_status gm_run_log_restore(const char *folder, int64_t step, gm_run_history *history, gm_error *error);

/* Losses and rates of one step; seconds: since the run began. Errors of these: GM_IO_ERROR. */
gm_status gm_run_log_step(gm_run_log *log, int64_t epoch, const gm_history_point *step, double seconds,
                          gm_error *error);
gm_status gm_run_log_epoch(gm_run_log *log, const gm_history_epoch *epoch, gm_error *error);

/* The accuracies of an epoch in percent, for stats.txt; best: of the linear probe so far. */
gm_status gm_run_log_accuracies(gm_run_log *log, const gm_history_epoch *epoch, double best, gm_error *error);

void gm_run_log_close(gm_run_log *log);

#endif
