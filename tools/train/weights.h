/* Weights from elsewhere into a model: a run's, torchvision's, Facebook's or the reader's own, in any format of
 * formats/tensor_file.h.
 *
 * Names are compared without the parts module, model, model_state_dict, state_dict, backbone and encoder in front:
 * "module.backbone.conv1.weight" is "encoder.conv1.weight". The encoder must be there whole. A projector
 * ("projector.…") or classifier ("fc.…") of the model is taken if the file has all of it in the right shapes, else it
 * keeps its values. What else a file may have without use: a classifier, a projector, Facebook's last normalisation
 * ("bn.…"), the scale of vectors ("input.…"), counters
 * ("….num_batches_tracked") and the state of an optimiser. */
#ifndef GEMEL_WEIGHTS_H
#define GEMEL_WEIGHTS_H

#include <gemel/model.h>

#include "formats/tensor_file.h"

/* The name without these parts in front: a place in it. */
const char *gm_weights_bare_name(const char *name);

/* Whether a tensor of this bare name can be an encoder's only: nothing that a reader of encoders leaves unused. */
bool gm_weights_is_encoder(const char *bare_name);

/* An array of a model as a tensor of a file. */
gm_tensor gm_weights_tensor(const gm_parameter *array);

typedef struct gm_weights_report {
    int32_t loaded, kept; /* of the model's arrays: from the file, and as they were */
    int64_t unused;       /* of the file's tensors */
} gm_weights_report;

/* Finds the file's tensor for each of `count` named arrays: index[i], or -1 for those that keep their values.
 * Errors: GM_BAD_DATA with the tensor's name: missing; there twice; without a place; of another shape; not of real
 * numbers. GM_OUT_OF_MEMORY. */
gm_status gm_weights_match(const gm_tensor_file *file, int32_t count, const gm_parameter *arrays, int64_t *index,
                           gm_weights_report *report, gm_error *error);

/* Matches the file with all arrays of a model and reads them, converted to float32. Errors: those of
 * gm_weights_match(), with the model as it was; GM_BAD_DATA (damaged; NaN or infinity), GM_IO_ERROR, GM_OUT_OF_MEMORY,
 * with the model in an unknown state. */
gm_status gm_weights_read(gm_tensor_file *file, gm_model *model, gm_weights_report *report, gm_error *error);

/* array->value = the tensor of this index, which has as many elements, converted to float32. Errors: GM_BAD_DATA
 * (damaged; NaN or infinity), GM_IO_ERROR, GM_OUT_OF_MEMORY. */
gm_status gm_weights_read_array(gm_tensor_file *file, int64_t index, const gm_parameter *array, gm_error *error);

/* The same as gm_weights_read() from the file of this path. */
gm_status gm_weights_load(const char *path, gm_model *model, gm_weights_report *report, gm_error *error);

#endif
