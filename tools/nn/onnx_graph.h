/* A model's encoder for ONNX's runtimes. */
#ifndef GEMEL_ONNX_GRAPH_H
#define GEMEL_ONNX_GRAPH_H

#include <gemel/error.h>
#include <gemel/model.h>

#include "formats/safetensors.h"

/* Writes a file whose input "input" is float32 [batch, channels, height, width], normalised pixels, or [batch, size],
 * standardised vectors, and whose output "features" [batch, feature size] is that of gm_model_features_f32(). Any batch
 * goes, and any height and width where the encoder averages over whole maps. Weights have the names of the model's
 * without "encoder.": *tensor_count of them. Errors: those of gm_onnx_write(); GM_INVALID_ARGUMENT for maps of fewer
 * pixels than they are averaged to. */
gm_status gm_model_write_onnx(const gm_model *model, const char *path, int64_t entry_count, const gm_metadata *metadata,
                              int64_t *tensor_count, gm_error *error);

#endif
