/* The state of a run in its folder: checkpoint.safetensors, earlier ones beside it as checkpoint-STEP.safetensors, and
 * backbone.safetensors. Whenever the process ends, checkpoint.safetensors is a whole one, the old or the new. */
#ifndef GEMEL_RUN_STATE_H
#define GEMEL_RUN_STATE_H

#include "train/backbone.h"
#include "train/checkpoint.h"

/* What there is to save. */
typedef struct gm_run_parts {
    gm_model *model;
    gm_optimizer *optimizer;
    const gm_model_options *options; /* of the model */
    const gm_dataset *dataset;       /* whose scale of pixels the backbone remembers */
} gm_run_parts;

/* Saves the run; the checkpoint on disk, of step `saved_step`, stays beside the new one, and all but the `keep` latest
 * of those are removed. There is a backbone from the first step on. Errors: GM_IO_ERROR, GM_OUT_OF_MEMORY. */
gm_status gm_run_state_save(const char *folder, const gm_run_parts *run, const gm_checkpoint_state *state,
                            int64_t saved_step, int64_t keep, gm_error *error);

/* gm_checkpoint_load() from the folder. Where a crash between two names left no checkpoint.safetensors, which can only
 * be on file systems without hard links, the latest of the earlier ones takes its place. Errors: GM_BAD_DATA, with what
 * to do instead, GM_OUT_OF_MEMORY. */
gm_status gm_run_state_load(const char *folder, const gm_run_parts *run, gm_checkpoint_state *state, gm_error *error);

#endif
