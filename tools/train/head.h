/* A linear classifier on a backbone's features: logits = features weight^T + bias, with the names of its classes. It
 * lies beside the encoder in a file of weights, as torchvision's `fc`: "fc.weight" [classes, dim] and "fc.bias"
 * [classes], and where names are known, the metadata entry `class_names`, a JSON array of strings. Readers of the
 * encoder look past it. */
#ifndef GEMEL_HEAD_H
#define GEMEL_HEAD_H

#include <gemel/data.h>
#include <gemel/model.h>

#include "data/texts.h"
#include "formats/tensor_file.h"

/* Begin with one that is all zero: no classes, no head. */
typedef struct gm_head {
    int64_t classes, dim;
    float *weight, *bias;           /* [classes, dim], [classes]; each freed by gm_head_free() */
    const char *const *class_names; /* [classes]; NULL: not known */
    struct gm_texts names;          /* those that class_names points to, where a file has told them */
} gm_head;

void gm_head_free(gm_head *head);

/* The head in a file of any format of formats/tensor_file.h, its names without the parts in front that train/weights.h
 * looks past; of no classes where there is none. Errors: GM_BAD_DATA (one of the two tensors alone, or twice; other
 * shapes, types; NaN or infinity; names of another count), GM_IO_ERROR, GM_OUT_OF_MEMORY; *head is empty then. */
gm_status gm_head_read(gm_tensor_file *file, gm_head *head, gm_error *error);

/* Gives the classes the names of a file: one a line; a JSON array; or a JSON object of names by class number, {"0":
 * "tench", …}, or of arrays that end in the name, {"0": ["n01440764", "tench"], …}. Errors: GM_BAD_DATA (no such file;
 * other contents; another number of names; control characters), GM_OUT_OF_MEMORY; the names are as they were then. */
gm_status gm_head_read_names(gm_head *head, const char *path, gm_error *error);

/* The same from a path. Of a run's folder: from classifier.safetensors if that is there, else from its backbone.
 * Errors: as above, with GM_BAD_DATA for a file that is not there. */
gm_status gm_head_load(const char *path, gm_head *head, gm_error *error);

/* Where gm_head_load() looks: `inside`, GM_BACKBONE_PATH bytes, has memory for a file in a run's folder; any other path
 * as it is. */
const char *gm_head_path(const char *path, char *inside);

/* Writes a model's encoder and a head on its features into one file, which is replaced atomically: what gemel predict
 * takes. weights: the file or folder that the model was loaded from, which says its architecture. dataset: what the
 * head was trained on; its sizes and scales, and its names of classes unless the head has some, go into the file.
 * Errors: GM_BAD_DATA (weights; names that are not UTF-8), GM_IO_ERROR, GM_OUT_OF_MEMORY. */
gm_status gm_head_save(const gm_head *head, const char *weights, const gm_model *model, const gm_dataset *dataset,
                       const char *path, gm_error *error);

/* probabilities = softmax(features weight^T + bias), row by row. features: [rows, dim]; probabilities: [rows, classes].
 * Errors: GM_NOT_FINITE, GM_INVALID_ARGUMENT, GM_OUT_OF_MEMORY. */
gm_status gm_head_probabilities(gm_context *context, const gm_head *head, int64_t rows, const float *features,
                                float *probabilities);

/* The k most probable classes of a row, in descending order, of equal ones the smaller first. k <= classes. */
void gm_head_top(const float *probabilities, int64_t classes, int64_t k, int64_t *top);

#endif
