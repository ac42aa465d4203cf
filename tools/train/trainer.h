/* The training loop: two views of a batch, one network, the Barlow Twins loss, one step of the optimiser. */
#ifndef GEMEL_TRAINER_H
#define GEMEL_TRAINER_H

#include <signal.h>
#include <stdio.h>

#include "train/checkpoint.h"
#include "train/config.h"
#include "train/progress.h"
#include "train/run_history.h"

typedef struct gm_trainer gm_trainer;

/* Builds the model, the optimiser and the buffers. config is resolved and checked against the data set; all three
 * arguments outlive the trainer. Errors: GM_OUT_OF_MEMORY, GM_SIZE_OVERFLOW, GM_INVALID_ARGUMENT; *trainer is NULL
 * then. */
gm_status gm_trainer_create(gm_context *context, const gm_dataset *dataset, const gm_train_config *config,
                            gm_trainer **trainer, gm_error *error);
void gm_trainer_destroy(gm_trainer *trainer); /* NULL is allowed */

gm_model *gm_trainer_model(gm_trainer *trainer);
const gm_run_history *gm_trainer_history(const gm_trainer *trainer);
double gm_trainer_seconds(const gm_trainer *trainer); /* that the run took, saving included */

/* Prints shapes, parameters, memory and operations of a run with that many workers. */
void gm_trainer_describe(const gm_trainer *trainer, int32_t workers, FILE *out);

/* Takes steps for about a second and prints how long a run would take. The weights change by these steps: the trainer
 * is only good for gm_trainer_destroy() then. Errors: GM_DIVERGED, as of gm_trainer_run(). */
gm_status gm_trainer_estimate(gm_trainer *trainer, int32_t workers, FILE *out, gm_error *error);

/* Takes weights, optimiser, position and history from the folder of a run with the same configuration;
 * gm_trainer_run() then goes on as if it had not stopped, bit for bit if *was says the same instruction set and rows as
 * the context and the data have. Only the number of epochs may differ, which changes the rates to come; after the last
 * of them nothing is left to run. Errors: GM_BAD_DATA; GM_BAD_USAGE if the run is past the last epoch; GM_IO_ERROR. */
gm_status gm_trainer_resume(gm_trainer *trainer, const char *folder, gm_checkpoint_state *was, gm_error *error);
bool gm_trainer_is_done(const gm_trainer *trainer); /* all steps are taken */

typedef struct gm_trainer_run_options {
    const char *folder;       /* exists; gets the logs, the checkpoint and the backbone */
    const char *command_line; /* first line of stats.txt */
    int32_t workers;          /* threads that load data ahead; 0: between the steps, on the context's threads */
    int64_t print_freq;       /* steps between two lines of stats.txt */
    int64_t save_every;       /* epochs between two checkpoints; one more is written at the end */
    int64_t eval_every;       /* epochs between two evaluations (train/online.h); 0: none */
    int64_t keep;             /* earlier checkpoints that stay beside the newest */
    double max_time;          /* seconds of training after which the run ends early; 0: no limit */
    const volatile sig_atomic_t *stop; /* another value than 0 ends the run after the step */
    gm_progress *progress;
} gm_trainer_run_options;

/* Trains to the end, once for a trainer. A checkpoint is written before the first step of a new run, so that a folder
 * that cannot be written to is noticed early, and later ones after epochs. Errors: GM_IO_ERROR; GM_DIVERGED when the
 * model's output, the loss or a weight is not finite (the message names the step and the last checkpoint, which is
 * kept); GM_INTERRUPTED after *stop, with everything saved. */
gm_status gm_trainer_run(gm_trainer *trainer, const gm_trainer_run_options *options, gm_error *error);

#endif
