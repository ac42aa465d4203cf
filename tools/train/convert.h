/* Weights from one file format to another. */
#ifndef GEMEL_CONVERT_H
#define GEMEL_CONVERT_H

#include <gemel/error.h>

/* Writes all tensors of a file of formats/tensor_file.h to `output`, as its name ends in .safetensors or .pth, in their
 * types, without the parts in front of their names that train/weights.h looks past; *count of them. Metadata of
 * a safetensors file, as the names of classes, go into another one; a .pth has no place for them. Where `output` ends
 * in .onnx, the encoder is written as a model (nn/onnx_graph.h), in float32, with the metadata of train/backbone.h.
 * Errors: GM_BAD_USAGE (another ending), GM_BAD_DATA (missing or malformed; two names that become one; tensors that
 * share so much that they take twice the file and 64 MB; no encoder that is known), GM_INVALID_ARGUMENT (more than the
 * format holds), GM_IO_ERROR, GM_OUT_OF_MEMORY. */
gm_status gm_weights_convert(const char *input, const char *output, int64_t *count, gm_error *error);

#endif
