#include "train/run_state.h"

#include <stdio.h>
#include <unistd.h>

#include "support/file.h"
#include "train/run_folder.h"

gm_status gm_run_state_save(const char *folder, const gm_run_parts *run, const gm_checkpoint_state *state,
                            int64_t saved_step, int64_t keep, gm_error *error)
{
    char path[GM_RUN_PATH + 64], earlier[GM_RUN_PATH + 64], backbone[GM_RUN_PATH + 64];
    gm_run_path(folder, "checkpoint.safetensors", path);
    gm_run_path(folder, "backbone.safetensors", backbone);
    gm_run_kept_path(folder, saved_step, earlier);
    /* The backbone first: a checkpoint that says that a run is done means that all of it is there. */
    gm_status status =
        state->step > 0 ? gm_backbone_save(run->model, run->options, run->dataset, NULL, backbone, error) : GM_OK;
    if (status == GM_OK && keep > 0)
        status = gm_file_keep(path, earlier, error);
    if (status == GM_OK)
        status = gm_checkpoint_save(run->model, run->optimizer, run->options, state, path, error);
    return status == GM_OK ? gm_run_remove_kept(folder, keep, error) : status;
}

gm_status gm_run_state_load(const char *folder, const gm_run_parts *run, gm_checkpoint_state *state, gm_error *error)
{
    char path[GM_RUN_PATH + 64], earlier[GM_RUN_PATH + 64];
    gm_run_path(folder, "checkpoint.safetensors", path);
    int64_t step;
    const bool some = gm_run_latest_kept(folder, &step), missing = access(path, F_OK) != 0;
    if (some)
        gm_run_kept_path(folder, step, earlier);
    else if (missing)
        return gm_error_set(error, GM_BAD_DATA,
                            "%s: no checkpoint; begin anew: gemel train --config %s/config.json --checkpoint-dir %s "
                            "--overwrite",
                            folder, folder, folder);
    gm_error reason;
    const gm_status status =
        gm_checkpoint_load(run->model, run->optimizer, some && missing ? earlier : path, state, &reason);
    if (status == GM_BAD_DATA && some && !missing)
        return gm_error_set(error, status, "%s; %s is an earlier one: copy it over this one to go on from there",
                            reason.message, earlier);
    return status == GM_OK ? GM_OK : gm_error_set(error, status, "%s", reason.message);
}
