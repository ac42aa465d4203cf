/* A model's encoder for ONNX's runtimes. */
#ifndef GEMEL_ONNX_GRAPH_H
#define GEMEL_ONNX_GRAPH_H

#include <gemel/error.h>
#include <gemel/model.h>

#include "formats/safetensors.h"

/* What a graph of vectors does to its input first: (x - mean) scale, [size] each; NULL: nothing. */
typedef struct gm_onnx_standardization {
    const double *mean, *scale;
} gm_onnx_standardization;

/* Writes a file whose input "input" is float32 [batch, channels, height, width], normalised pixels, or [batch, size],
 * vectors, and whose output "features" [batch, feature size] is that of gm_model_features_f32(). Any batch goes, and
 * any height and width where the encoder averages over whole maps. Weights have the names of the model's without
 * "encoder.", *tensor_count with those of the standardisation. Errors: those of gm_onnx_write(); GM_INVALID_ARGUMENT
 * for maps of fewer pixels than they are averaged to. */
gm_status gm_model_write_onnx(const gm_model *model, const gm_onnx_standardization *standardization, const char *path,
                              int64_t entry_count, const gm_metadata *metadata, int64_t *tensor_count, gm_error *error);

#endif
