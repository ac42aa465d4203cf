#include "formats/onnx.h"

#include <gemel/version.h>

#include "formats/protobuf.h"
#include "support/file.h"

/* The numbers of the fields, by message. */
enum { MODEL_IR_VERSION = 1, MODEL_PRODUCER = 2, MODEL_PRODUCER_VERSION = 3, MODEL_GRAPH = 7, MODEL_OPSET = 8 };
enum { MODEL_METADATA = 14, OPSET_VERSION = 2, ENTRY_KEY = 1, ENTRY_VALUE = 2 };
enum { GRAPH_NODE = 1, GRAPH_NAME = 2, GRAPH_TENSOR = 5, GRAPH_INPUT = 11, GRAPH_OUTPUT = 12 };
enum { NODE_INPUT = 1, NODE_OUTPUT = 2, NODE_NAME = 3, NODE_OP = 4, NODE_ATTRIBUTE = 5 };
enum { ATTRIBUTE_NAME = 1, ATTRIBUTE_REAL = 2, ATTRIBUTE_INTEGER = 3, ATTRIBUTE_INTEGERS = 8, ATTRIBUTE_TYPE = 20 };
enum { TENSOR_DIMENSION = 1, TENSOR_TYPE = 2, TENSOR_NAME = 8, TENSOR_BYTES = 9 };
enum { VALUE_NAME = 1, VALUE_TYPE = 2, VALUE_DESCRIPTION = 3, TYPE_TENSOR = 1 };
enum { TENSOR_TYPE_ELEMENT = 1, TENSOR_TYPE_SHAPE = 2, SHAPE_DIMENSION = 1, DIMENSION_SIZE = 1, DIMENSION_NAME = 2 };

/* And what some of them hold. The representation's version is the one that came with the opset. */
enum { IR_VERSION = 8, OPSET = 17, TYPE_REAL = 1, TYPE_INTEGER = 2, TYPE_INTEGERS = 7, ELEMENT_FLOAT = 1 };

/* Protocol Buffers' limit for a message, a megabyte of which the rest of the model gets. */
enum { MOST_BYTES = INT32_MAX - (1 << 20) };

static void put_attribute(gm_protobuf *graph, const gm_onnx_attribute *attribute)
{
    const size_t begin = gm_protobuf_begin(graph, NODE_ATTRIBUTE);
    gm_protobuf_text(graph, ATTRIBUTE_NAME, attribute->name);
    if (attribute->is_real)
        gm_protobuf_float(graph, ATTRIBUTE_REAL, attribute->real);
    else if (attribute->count == 0)
        gm_protobuf_integer(graph, ATTRIBUTE_INTEGER, attribute->integers[0]);
    for (int i = 0; i < attribute->count; i++)
        gm_protobuf_integer(graph, ATTRIBUTE_INTEGERS, attribute->integers[i]);
    gm_protobuf_integer(graph, ATTRIBUTE_TYPE,
                        attribute->is_real ? TYPE_REAL
                        : attribute->count ? TYPE_INTEGERS
                                           : TYPE_INTEGER);
    gm_protobuf_end(graph, begin, 0);
}

static void put_node(gm_protobuf *graph, const gm_onnx_node *node)
{
    const size_t begin = gm_protobuf_begin(graph, GRAPH_NODE);
    for (int i = 0; i < GM_ONNX_INPUTS && node->inputs[i]; i++)
        gm_protobuf_text(graph, NODE_INPUT, node->inputs[i]);
    gm_protobuf_text(graph, NODE_OUTPUT, node->name);
    gm_protobuf_text(graph, NODE_NAME, node->name);
    gm_protobuf_text(graph, NODE_OP, node->op);
    for (int i = 0; i < GM_ONNX_ATTRIBUTES && node->attributes[i].name; i++)
        put_attribute(graph, &node->attributes[i]);
    gm_protobuf_end(graph, begin, 0);
}

static void put_shape(gm_protobuf *graph, const gm_onnx_value *value)
{
    const size_t shape = gm_protobuf_begin(graph, TENSOR_TYPE_SHAPE);
    for (int i = 0; i < value->dimensions; i++) {
        const size_t dimension = gm_protobuf_begin(graph, SHAPE_DIMENSION);
        if (value->dimension_name[i])
            gm_protobuf_text(graph, DIMENSION_NAME, value->dimension_name[i]);
        else
            gm_protobuf_integer(graph, DIMENSION_SIZE, value->size[i]);
        gm_protobuf_end(graph, dimension, 0);
    }
    gm_protobuf_end(graph, shape, 0);
}

static void put_value(gm_protobuf *graph, int field, const gm_onnx_value *value)
{
    const size_t begin = gm_protobuf_begin(graph, field);
    gm_protobuf_text(graph, VALUE_NAME, value->name);
    const size_t type = gm_protobuf_begin(graph, VALUE_TYPE), tensor = gm_protobuf_begin(graph, TYPE_TENSOR);
    gm_protobuf_integer(graph, TENSOR_TYPE_ELEMENT, ELEMENT_FLOAT);
    put_shape(graph, value);
    gm_protobuf_end(graph, tensor, 0);
    gm_protobuf_end(graph, type, 0);
    gm_protobuf_text(graph, VALUE_DESCRIPTION, value->description);
    gm_protobuf_end(graph, begin, 0);
}

/* front = what stands before a tensor's bytes. */
static void set_tensor_front(gm_protobuf *front, const gm_tensor *tensor, size_t bytes)
{
    front->size = 0;
    const size_t begin = gm_protobuf_begin(front, GRAPH_TENSOR);
    for (int32_t i = 0; i < tensor->dimensions; i++)
        gm_protobuf_integer(front, TENSOR_DIMENSION, tensor->shape[i]);
    gm_protobuf_integer(front, TENSOR_TYPE, ELEMENT_FLOAT);
    gm_protobuf_text(front, TENSOR_NAME, tensor->name);
    gm_protobuf_announce(front, TENSOR_BYTES, bytes);
    gm_protobuf_end(front, begin, bytes);
}

/* *size: of all tensors with their fronts. Errors: GM_INVALID_ARGUMENT. */
static gm_status measure_tensors(const char *path, const gm_onnx_graph *graph, gm_protobuf *front, size_t *size,
                                 gm_error *error)
{
    *size = 0;
    for (int64_t i = 0; i < graph->tensor_count; i++) {
        const gm_tensor *tensor = &graph->tensors[i];
        int64_t elements, bytes;
        if (tensor->type != GM_TENSOR_F32 || !tensor->data || !gm_tensor_size(tensor, &elements, &bytes))
            return gm_error_set(error, GM_INVALID_ARGUMENT, "%s: tensor '%s' has no data or an impossible shape", path,
                                tensor->name);
        set_tensor_front(front, tensor, (size_t)bytes);
        if (bytes > MOST_BYTES || *size + front->size + (size_t)bytes > MOST_BYTES)
            return gm_error_set(error, GM_INVALID_ARGUMENT,
                                "%s: an .onnx file of 2 GB or more cannot be written; choose safetensors", path);
        *size += front->size + (size_t)bytes;
    }
    return GM_OK;
}

static void put_model(gm_protobuf *model, const gm_onnx_graph *graph, size_t tensors, int64_t entry_count,
                      const gm_metadata *metadata)
{
    gm_protobuf_integer(model, MODEL_IR_VERSION, IR_VERSION);
    gm_protobuf_text(model, MODEL_PRODUCER, "gemel");
    gm_protobuf_text(model, MODEL_PRODUCER_VERSION, gm_version());
    const size_t opset = gm_protobuf_begin(model, MODEL_OPSET);
    gm_protobuf_integer(model, OPSET_VERSION, OPSET);
    gm_protobuf_end(model, opset, 0);
    for (int64_t i = 0; i < entry_count; i++) {
        const size_t entry = gm_protobuf_begin(model, MODEL_METADATA);
        gm_protobuf_text(model, ENTRY_KEY, metadata[i].key);
        gm_protobuf_text(model, ENTRY_VALUE, metadata[i].value);
        gm_protobuf_end(model, entry, 0);
    }
    const size_t begin = gm_protobuf_begin(model, MODEL_GRAPH);
    for (int64_t i = 0; i < graph->node_count; i++)
        put_node(model, &graph->nodes[i]);
    gm_protobuf_text(model, GRAPH_NAME, graph->name);
    put_value(model, GRAPH_INPUT, &graph->input);
    put_value(model, GRAPH_OUTPUT, &graph->output);
    gm_protobuf_end(model, begin, tensors);
}

/* The tensors come last, from where they lie. */
static gm_status append_all(gm_file_writer *writer, const gm_protobuf *model, const gm_onnx_graph *graph,
                            gm_protobuf *front, gm_error *error)
{
    gm_status status = gm_file_append(writer, model->bytes, model->size, error);
    for (int64_t i = 0; i < graph->tensor_count && status == GM_OK; i++) {
        int64_t elements, bytes = 0;
        gm_tensor_size(&graph->tensors[i], &elements, &bytes);
        set_tensor_front(front, &graph->tensors[i], (size_t)bytes);
        status = gm_file_append(writer, front->bytes, front->size, error);
        if (status == GM_OK)
            status = gm_file_append(writer, graph->tensors[i].data, (size_t)bytes, error);
    }
    return status;
}

gm_status gm_onnx_write(const char *path, const gm_onnx_graph *graph, int64_t entry_count, const gm_metadata *metadata,
                        gm_error *error)
{
    gm_file_writer writer;
    gm_protobuf model = {0}, front = {0};
    size_t tensors;
    gm_status status = measure_tensors(path, graph, &front, &tensors, error);
    if (status != GM_OK)
        goto fail;
    put_model(&model, graph, tensors, entry_count, metadata);
    if (model.failed || front.failed) {
        status = gm_file_no_memory(error, path, model.capacity);
        goto fail;
    }
    status = gm_file_begin(&writer, path, error);
    if (status != GM_OK)
        goto fail;
    status = append_all(&writer, &model, graph, &front, error);
    if (status == GM_OK)
        status = gm_file_commit(&writer, error);
    else
        gm_file_abandon(&writer);
fail:
    gm_protobuf_free(&front);
    gm_protobuf_free(&model);
    return status;
}
