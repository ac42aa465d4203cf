/* The whole state of a run on disk, as safetensors: checkpoint.safetensors. It holds neither a clock time nor a path,
 * so that equal runs leave equal files. */
#ifndef GEMEL_CHECKPOINT_H
#define GEMEL_CHECKPOINT_H

#include <gemel/cpu.h>
#include <gemel/model.h>

/* Where a run stands. */
typedef struct gm_checkpoint_state {
    int64_t epoch, step;             /* `step` steps taken, in epoch `epoch` */
    gm_isa isa;                      /* of the latest steps; GM_ISA_AUTO: the checkpoint does not say */
    int64_t rows;                    /* of the training data; 0: the checkpoint does not say */
    int64_t tiles;                   /* the matrix of the first step and of the latest epoch, for the report: */
    float *first_tiles, *last_tiles; /* [tiles, tiles], owned by the caller */
} gm_checkpoint_state;

/* Writes all arrays of the model and of the optimiser and where the run stands. The file is replaced atomically.
 * Errors: GM_IO_ERROR, GM_OUT_OF_MEMORY. */
gm_status gm_checkpoint_save(const gm_model *model, const gm_optimizer *optimizer, const gm_model_options *options,
                             const gm_checkpoint_state *state, const char *path, gm_error *error);

/* Reads what gm_checkpoint_save() wrote into a model and an optimiser of the same options, and into state->first_tiles
 * and last_tiles if state->tiles, which the caller sets, is not 0. Errors: GM_BAD_DATA (missing, malformed or of
 * another shape), GM_OUT_OF_MEMORY: the arrays are in an unknown state then. */
gm_status gm_checkpoint_load(gm_model *model, gm_optimizer *optimizer, const char *path, gm_checkpoint_state *state,
                             gm_error *error);

#endif
