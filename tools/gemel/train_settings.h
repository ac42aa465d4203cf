/* What the words of `gemel train` mean: the settings of a new run or of one that is resumed, and its folder. */
#ifndef GEMEL_TRAIN_SETTINGS_H
#define GEMEL_TRAIN_SETTINGS_H

#include "command.h"
#include "train/config.h"
#include "train/progress.h"

typedef struct gm_train_arguments {
    gm_common_options common;
    gm_train_config flags; /* what the command line sets */
    const char *config, *recipe, *checkpoint_dir;
    bool overwrite, resume, dry_run, no_evaluation;
    int64_t print_freq, save_every, eval_every, keep, workers;
    double max_time;
    gm_matrix_mode matrix;
} gm_train_arguments;

/* The settings, not resolved yet: from --config or --recipe with the flags over them, or from the folder of the run
 * that goes on. What may change there and does (epochs, the place of the data) is said on standard error. Errors:
 * GM_BAD_USAGE, GM_BAD_DATA. */
gm_status gm_train_settings(const gm_train_arguments *arguments, gm_train_config *config, gm_error *error);

/* The folder of the run to resume; NULL where the arguments do not name one. */
const char *gm_train_resumed_folder(const gm_train_arguments *arguments);

/* Writes config.json. Paths are written from the root on, so that the run can be resumed from any folder.
 * Errors: GM_BAD_USAGE (a path that JSON cannot hold), GM_IO_ERROR. */
gm_status gm_train_write_config(const gm_train_config *config, const char *folder, gm_error *error);

#endif
