/* Models for ONNX's runtimes, written: https://github.com/onnx/onnx/blob/main/onnx/onnx.proto, operators of opset 17.
 */
#ifndef GEMEL_ONNX_H
#define GEMEL_ONNX_H

#include <gemel/error.h>

#include "formats/safetensors.h"
#include "formats/tensor.h"

enum { GM_ONNX_INPUTS = 5, GM_ONNX_ATTRIBUTES = 4, GM_ONNX_INTEGERS = 4, GM_ONNX_DIMENSIONS = 4, GM_ONNX_NAME = 80 };

/* A setting of a node: `count` integers, the first one by itself if count is 0, or the real number if `real`. */
typedef struct gm_onnx_attribute {
    const char *name; /* NULL ends a node's attributes */
    bool is_real;
    float real;
    int count;
    int64_t integers[GM_ONNX_INTEGERS];
} gm_onnx_attribute;

/* One operator: output = op(inputs). Its output has its own name. */
typedef struct gm_onnx_node {
    char name[GM_ONNX_NAME];
    const char *op;
    const char *inputs[GM_ONNX_INPUTS]; /* outputs of nodes before, tensors, or the graph's input; NULL ends them */
    gm_onnx_attribute attributes[GM_ONNX_ATTRIBUTES];
} gm_onnx_node;

/* float32 numbers that go in or come out; a dimension has a size, or a name where any size goes. */
typedef struct gm_onnx_value {
    const char *name, *description;
    int dimensions;
    int64_t size[GM_ONNX_DIMENSIONS];
    const char *dimension_name[GM_ONNX_DIMENSIONS]; /* NULL: by size */
} gm_onnx_value;

typedef struct gm_onnx_graph {
    const char *name;
    gm_onnx_value input, output;
    int64_t node_count, tensor_count;
    const gm_onnx_node *nodes; /* in the order of execution */
    const gm_tensor *tensors;  /* float32 */
} gm_onnx_graph;

/* Replaces the file atomically (support/file.h); equal arguments give equal files. Errors: GM_INVALID_ARGUMENT (2 GB or
 * more, which the format does not hold; an impossible tensor), GM_IO_ERROR, GM_OUT_OF_MEMORY. */
gm_status gm_onnx_write(const char *path, const gm_onnx_graph *graph, int64_t entry_count, const gm_metadata *metadata,
                        gm_error *error);

#endif
