/* The page that a run leaves behind: one HTML file with nothing outside itself. */
#ifndef GEMEL_REPORT_H
#define GEMEL_REPORT_H

#include "train/config.h"
#include "train/evaluation.h"
#include "train/run_history.h"

typedef struct gm_report {
    const char *name;              /* of the run */
    const char *command_line;      /* NULL: not shown */
    const gm_context *context;     /* for the machine's line; NULL: not shown */
    const gm_train_config *config; /* resolved */
    const gm_dataset *dataset;
    const gm_run_history *history;
    const gm_evaluation *evaluation; /* NULL: no accuracies and no neighbours */
} gm_report;

/* Charts of the loss terms, the learning rate, the speed and the collapse monitor; the cross-correlation matrix at the
 * first step and at the last; images with their nearest neighbours; the features in the plane;
 * accuracies beside their baselines; configuration.
 * Parts without data are left out. The file is replaced atomically. Errors: GM_IO_ERROR, GM_OUT_OF_MEMORY. */
gm_status gm_report_write(const gm_report *report, const char *path, gm_error *error);

/* The matrix at the first and at the last step side by side as a PNG file with a transparent ground. Nothing is written
 * while the history has no matrix. Errors: GM_IO_ERROR, GM_OUT_OF_MEMORY. */
gm_status gm_report_write_matrices(const gm_run_history *history, const char *path, gm_error *error);

#endif
