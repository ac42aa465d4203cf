/* Weights on disk, as safetensors: checkpoint.safetensors holds the whole state of a run, backbone.safetensors the
 * encoder alone. Neither holds a clock time or a path, so that equal runs leave equal files. */
#ifndef GEMEL_CHECKPOINT_H
#define GEMEL_CHECKPOINT_H

#include <gemel/cpu.h>
#include <gemel/model.h>

/* Where a run stands. */
typedef struct gm_checkpoint_state {
    int64_t epoch, step; /* `step` steps taken, in epoch `epoch` */
    gm_isa isa;          /* of the latest steps; GM_ISA_AUTO: the checkpoint does not say */
} gm_checkpoint_state;

/* Writes the encoder's arrays, with architecture and sizes as metadata. The file is replaced atomically.
 * Errors: GM_IO_ERROR, GM_OUT_OF_MEMORY. */
gm_status gm_backbone_save(const gm_model *model, const gm_model_options *options, const char *path, gm_error *error);

/* Builds a model for inference (batch: most rows that it plans memory for at a time) from a backbone file, or from the
 * one in a run folder, or from another file of weights whose tensors tell its architecture (train/weights_arch.h).
 * height and width: of the images that it will get, where the file does not say; 0 for vectors. Only the encoder is
 * loaded: gm_model_features_f32() is what it is for. Errors: GM_BAD_DATA (missing, malformed or of another shape),
 * GM_OUT_OF_MEMORY, GM_INVALID_ARGUMENT (weights for images, and no size of them); *model is NULL then. */
gm_status gm_backbone_load(gm_context *context, const char *path, int64_t height, int64_t width, int64_t batch,
                           gm_model **model, gm_error *error);

/* Writes all arrays of the model and of the optimiser and where the run stands. The previous file becomes `previous`.
 * Errors: GM_IO_ERROR, GM_OUT_OF_MEMORY. */
gm_status gm_checkpoint_save(const gm_model *model, const gm_optimizer *optimizer, const gm_model_options *options,
                             const gm_checkpoint_state *state, const char *path, const char *previous, gm_error *error);

/* Reads what gm_checkpoint_save() wrote into a model and an optimiser of the same options. Errors: GM_BAD_DATA
 * (missing, malformed or of another shape): the arrays are in an unknown state then. */
gm_status gm_checkpoint_load(gm_model *model, gm_optimizer *optimizer, const char *path, gm_checkpoint_state *state,
                             gm_error *error);

#endif
