/* Models written as ONNX, read again by a small reader of Protocol Buffers that shares nothing with the writer. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "formats/onnx.h"
#include "formats/protobuf.h"
#include "nn/onnx_graph.h"
#include "support/file.h"
#include "support/files.h"
#include "support/support.h"

enum { VARINT = 0, LENGTH = 2, FIXED32 = 5 };

static test_folder folder;

static void enter(void)
{
    folder = test_folder_create();
}

static void leave(void)
{
    test_folder_remove(&folder);
}

/* --- the reader ------------------------------------------------------------------------------------------------ */

typedef struct field {
    int number, type;
    uint64_t value; /* of VARINT and FIXED32 */
    const uint8_t *bytes;
    size_t size; /* of LENGTH */
} field;

typedef struct message {
    const uint8_t *at, *end;
} message;

static uint64_t read_varint(message *m)
{
    uint64_t value = 0;
    for (int shift = 0;; shift += 7) {
        if (m->at == m->end || shift >= 70) /* not ck_assert(), which writes a record each time */
            ck_abort_msg("a number without an end");
        value |= (uint64_t)(*m->at & 0x7f) << shift;
        if (*m->at++ < 0x80)
            return value;
    }
}

/* The next field; false at the end. */
static bool next(message *m, field *f)
{
    if (m->at == m->end)
        return false;
    const uint64_t front = read_varint(m);
    *f = (field){.number = (int)(front >> 3), .type = (int)(front & 7)};
    switch (f->type) {
    case VARINT:
        f->value = read_varint(m);
        break;
    case FIXED32:
        if (m->end - m->at < 4)
            ck_abort_msg("field %d reaches beyond its message", f->number);
        for (int i = 0; i < 4; i++)
            f->value |= (uint64_t)*m->at++ << 8 * i;
        break;
    case LENGTH:
        f->size = read_varint(m);
        if (f->size > (uint64_t)(m->end - m->at))
            ck_abort_msg("field %d reaches beyond its message", f->number);
        f->bytes = m->at;
        m->at += f->size;
        break;
    default:
        ck_abort_msg("wire type %d", f->type);
    }
    return true;
}

static message inside(const field *f)
{
    if (f->type != LENGTH)
        ck_abort_msg("field %d is no message", f->number);
    return (message){f->bytes, f->bytes + f->size};
}

/* The field of this number, the first after `skipped` others of it; false without. */
static bool find(message m, int number, int skipped, field *f)
{
    while (next(&m, f))
        if (f->number == number && skipped-- == 0)
            return true;
    return false;
}

static field at(message m, int number, int skipped)
{
    field f;
    if (!find(m, number, skipped, &f))
        ck_abort_msg("no field %d, number %d", number, skipped);
    return f;
}

static int count(message m, int number)
{
    field f;
    int total = 0;
    while (next(&m, &f))
        total += f.number == number;
    return total;
}

static bool is_text(const field *f, const char *text)
{
    return f->type == LENGTH && f->size == strlen(text) && memcmp(f->bytes, text, f->size) == 0;
}

static bool same_text(const field *a, const field *b)
{
    return a->size == b->size && memcmp(a->bytes, b->bytes, a->size) == 0;
}

/* --- Protocol Buffers ------------------------------------------------------------------------------------------ */

/* Lengths around those that take a byte more; numbers of all lengths. */
START_TEST(messages_read_as_written)
{
    static const size_t lengths[] = {0, 1, 123, 124, 125, 126, 127, 128, 129, 16379, 16380, 16383, 16384, 70000};
    static const int64_t numbers[] = {0, 1, 127, 128, 300, INT32_MAX, INT64_MAX, -1, INT64_MIN};
    static char text[70001];
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        gm_protobuf p = {0};
        memset(text, 'a', sizeof text - 1);
        text[lengths[i]] = '\0';
        gm_protobuf_integer(&p, 20, 7);
        const size_t outer = gm_protobuf_begin(&p, 14), inner = gm_protobuf_begin(&p, 1);
        gm_protobuf_text(&p, 2, text);
        for (size_t j = 0; j < sizeof numbers / sizeof *numbers; j++)
            gm_protobuf_integer(&p, 3, numbers[j]);
        gm_protobuf_float(&p, 4, -0.5f);
        gm_protobuf_end(&p, inner, 0);
        gm_protobuf_end(&p, outer, 0);
        gm_protobuf_integer(&p, 15, 8);
        ck_assert(!p.failed);
        const message whole = {p.bytes, p.bytes + p.size};
        const field first = at(whole, 20, 0), middle = at(whole, 14, 0), last = at(whole, 15, 0);
        ck_assert(first.value == 7 && last.value == 8);
        const field inner_field = at(inside(&middle), 1, 0);
        const message innermost = inside(&inner_field);
        const field words = at(innermost, 2, 0), real = at(innermost, 4, 0);
        ck_assert(is_text(&words, text));
        ck_assert_uint_eq(real.value, 0xbf000000);
        for (size_t j = 0; j < sizeof numbers / sizeof *numbers; j++)
            ck_assert_int_eq((int64_t)at(innermost, 3, (int)j).value, numbers[j]);
        gm_protobuf_free(&p);
    }
}
END_TEST

/* --- models ---------------------------------------------------------------------------------------------------- */

typedef struct encoder {
    gm_arch arch;
    gm_stem stem;
    int64_t height, width, channels; /* of vectors the last one alone */
    const char *input;               /* its shape */
    int64_t features;
    const char *operators; /* how many of each */
} encoder;

static const encoder encoders[] = {
    {GM_ARCH_MLP, GM_STEM_AUTO, 0, 0, 6, "batch 6", 10, "Gemm 2 BatchNormalization 2 Relu 2"},
    {GM_ARCH_AXON, GM_STEM_AUTO, 0, 0, 6, "batch 6", 10, "Gemm 2 LayerNormalization 2 Relu 2"},
    {GM_ARCH_CONV, GM_STEM_AUTO, 28, 13, 3, "batch 3 28 13", 512,
     "Conv 3 BatchNormalization 3 Relu 3 MaxPool 2 AveragePool 1 Flatten 1"},
    {GM_ARCH_RESNET18, GM_STEM_SMALL, 16, 16, 1, "batch 1 height width", 512,
     "Conv 20 BatchNormalization 20 Relu 17 Add 8 GlobalAveragePool 1 Flatten 1"},
    {GM_ARCH_RESNET18, GM_STEM_IMAGENET, 40, 33, 3, "batch 3 height width", 512,
     "Conv 20 BatchNormalization 20 Relu 17 Add 8 MaxPool 1 GlobalAveragePool 1 Flatten 1"},
    {GM_ARCH_RESNET34, GM_STEM_IMAGENET, 32, 32, 3, "batch 3 height width", 512,
     "Conv 36 BatchNormalization 36 Relu 33 Add 16 MaxPool 1 GlobalAveragePool 1 Flatten 1"},
    {GM_ARCH_RESNET50, GM_STEM_SMALL, 8, 8, 3, "batch 3 height width", 2048,
     "Conv 53 BatchNormalization 53 Relu 49 Add 16 GlobalAveragePool 1 Flatten 1"},
};

enum { ENCODERS = sizeof encoders / sizeof *encoders };

static gm_model *create(gm_context *context, const encoder *e)
{
    const int64_t projector[] = {4};
    gm_model_options options = gm_model_image_options(e->arch, e->height, e->width, e->channels, 1);
    gm_model *model;
    if (!gm_arch_takes_images(e->arch))
        options = gm_model_default_options(e->channels, 1);
    options.arch = e->arch;
    options.stem = e->stem;
    options.hidden_size = 10;
    options.projection_dim = 4;
    options.training = false;
    if (e->arch != GM_ARCH_AXON) {
        options.projector = projector;
        options.projector_layers = 1;
    }
    ck_assert_int_eq(gm_model_create(context, &options, &model), GM_OK);
    return model;
}

/* The whole file; the caller frees it. */
static message written(const char *path, void **memory)
{
    size_t size;
    gm_error error;
    ck_assert_int_eq(gm_file_read(path, 1 << 30, (char **)memory, &size, &error), GM_OK);
    return (message){*memory, (const uint8_t *)*memory + size};
}

/* "batch 3 height width" of a ValueInfoProto. */
static void check_value(message graph, int number, const char *name, const char *shape)
{
    char text[128] = "";
    ck_assert_int_eq(count(graph, number), 1);
    const field value = at(graph, number, 0), own_name = at(inside(&value), 1, 0), type = at(inside(&value), 2, 0);
    const field tensor = at(inside(&type), 1, 0), element = at(inside(&tensor), 1, 0),
                sizes = at(inside(&tensor), 2, 0);
    ck_assert_msg(is_text(&own_name, name), "not the name %s", name);
    ck_assert_uint_eq(element.value, 1);
    message m = inside(&sizes);
    for (field dimension; next(&m, &dimension);) {
        const size_t used = strlen(text);
        field size;
        ck_assert_int_eq(dimension.number, 1);
        if (find(inside(&dimension), 2, 0, &size))
            snprintf(text + used, sizeof text - used, "%s%.*s", used ? " " : "", (int)size.size,
                     (const char *)size.bytes);
        else
            snprintf(text + used, sizeof text - used, "%s%d", used ? " " : "", (int)at(inside(&dimension), 1, 0).value);
    }
    ck_assert_str_eq(text, shape);
}

/* Names without "encoder.", shapes and bits are those of the model. */
static void check_tensors(message graph, const gm_model *model)
{
    const size_t prefix = strlen("encoder.");
    int seen = 0;
    for (int32_t i = 0; i < gm_model_parameter_count(model); i++) {
        const gm_parameter p = gm_model_parameter(model, i);
        field tensor, size;
        if (strncmp(p.name, "encoder.", prefix) != 0)
            continue;
        bool found = false;
        for (int j = 0; !found && find(graph, 5, j, &tensor); j++) {
            const field name = at(inside(&tensor), 8, 0);
            found = is_text(&name, p.name + prefix);
        }
        ck_assert_msg(found, "%s is missing", p.name);
        for (int32_t d = 0; d < p.dimensions; d++)
            ck_assert_int_eq((int64_t)at(inside(&tensor), 1, d).value, p.shape[d]);
        ck_assert(!find(inside(&tensor), 1, p.dimensions, &size));
        ck_assert_uint_eq(at(inside(&tensor), 2, 0).value, 1);
        const field bytes = at(inside(&tensor), 9, 0);
        ck_assert_uint_eq(bytes.size, (uint64_t)p.count * sizeof(float));
        ck_assert(memcmp(bytes.bytes, p.value, bytes.size) == 0);
        seen++;
    }
    ck_assert_int_eq(count(graph, 5), seen);
}

/* Whether an input of a node is the graph's, a tensor or the output of one of the nodes before. */
static bool is_defined(message graph, const field *input, int nodes_before)
{
    field other;
    if (is_text(input, "input"))
        return true;
    for (int i = 0; i < nodes_before; i++) {
        const field node = at(graph, 1, i), output = at(inside(&node), 2, 0);
        if (same_text(input, &output))
            return true;
    }
    for (int i = 0; find(graph, 5, i, &other); i++) {
        const field name = at(inside(&other), 8, 0);
        if (same_text(input, &name))
            return true;
    }
    return false;
}

static void check_nodes(message graph, const char *operators)
{
    const int nodes = count(graph, 1);
    field input, node;
    for (int i = 0; i < nodes; i++) {
        node = at(graph, 1, i);
        const field output = at(inside(&node), 2, 0), name = at(inside(&node), 3, 0);
        ck_assert_int_eq(count(inside(&node), 2), 1);
        ck_assert(same_text(&output, &name));
        ck_assert_msg(!is_defined(graph, &output, i), "%.*s is there twice", (int)output.size, output.bytes);
        ck_assert(is_text(&output, "features") == (i == nodes - 1));
        for (int j = 0; find(inside(&node), 1, j, &input); j++)
            ck_assert_msg(is_defined(graph, &input, i), "node %d reads %.*s", i, (int)input.size, input.bytes);
    }
    int expected, sum = 0, read;
    for (char op[32]; sscanf(operators, "%31s %d%n", op, &expected, &read) == 2; operators += read) {
        int actual = 0;
        for (int i = 0; i < nodes; i++) {
            node = at(graph, 1, i);
            const field type = at(inside(&node), 4, 0);
            actual += is_text(&type, op);
        }
        ck_assert_msg(actual == expected, "%d of %s instead of %d", actual, op, expected);
        sum += actual;
    }
    ck_assert_int_eq(nodes, sum);
}

START_TEST(a_file_holds_the_whole_encoder)
{
    const encoder *e = &encoders[_i];
    const gm_metadata metadata[] = {{"arch", "some"}, {"mean", "[0.5]"}};
    const char *path = test_path(&folder, "model.onnx");
    gm_context *context = test_context(GM_ISA_AUTO, 1);
    gm_model *model = create(context, e);
    gm_error error = {GM_OK, ""};
    int64_t tensors;
    void *memory;
    ck_assert_msg(gm_model_write_onnx(model, NULL, path, 2, metadata, &tensors, &error) == GM_OK, "%s", error.message);
    const message whole = written(path, &memory);
    const field producer = at(whole, 2, 0), opset = at(whole, 8, 0), entry = at(whole, 14, 1), graph = at(whole, 7, 0);
    ck_assert_uint_eq(at(whole, 1, 0).value, 8);
    ck_assert(is_text(&producer, "gemel"));
    ck_assert_uint_eq(at(inside(&opset), 2, 0).value, 17);
    ck_assert_int_eq(count(whole, 14), 2);
    const field key = at(inside(&entry), 1, 0), value = at(inside(&entry), 2, 0);
    ck_assert(is_text(&key, "mean") && is_text(&value, "[0.5]"));
    char features[32];
    snprintf(features, sizeof features, "batch %lld", (long long)e->features);
    check_value(inside(&graph), 11, "input", e->input);
    check_value(inside(&graph), 12, "features", features);
    check_tensors(inside(&graph), model);
    ck_assert_int_eq(count(inside(&graph), 5), tensors);
    check_nodes(inside(&graph), e->operators);
    free(memory);
    gm_model_destroy(model);
    gm_context_destroy(context);
}
END_TEST

/* Vectors are brought to scale by the graph, if asked. */
START_TEST(vectors_are_standardised_first)
{
    static const double mean[6] = {1, 2, 3, 4, 5, 6}, scale[6] = {0.5, 0, 1, 2, 4, 8};
    const gm_onnx_standardization standardization = {mean, scale};
    const char *path = test_path(&folder, "model.onnx");
    gm_context *context = test_context(GM_ISA_AUTO, 1);
    gm_model *model = create(context, &encoders[0]);
    gm_error error;
    int64_t tensors;
    void *memory;
    ck_assert_int_eq(gm_model_write_onnx(model, &standardization, path, 0, NULL, &tensors, &error), GM_OK);
    const message whole = written(path, &memory);
    const field graph = at(whole, 7, 0);
    check_value(inside(&graph), 11, "input", "batch 6");
    check_nodes(inside(&graph), "Sub 1 Mul 1 Gemm 2 BatchNormalization 2 Relu 2");
    ck_assert_int_eq(count(inside(&graph), 5), tensors);
    static const struct {
        const char *op, *x, *tensor;
        const double *numbers;
    } steps[] = {{"Sub", "input", "input.mean", mean}, {"Mul", "input.centred", "input.scale", scale}};
    for (int i = 0; i < 2; i++) {
        const field node = at(inside(&graph), 1, i), tensor = at(inside(&graph), 5, i);
        const field op = at(inside(&node), 4, 0), x = at(inside(&node), 1, 0), y = at(inside(&node), 1, 1);
        const field name = at(inside(&tensor), 8, 0), bytes = at(inside(&tensor), 9, 0);
        ck_assert(is_text(&op, steps[i].op) && is_text(&x, steps[i].x) && is_text(&y, steps[i].tensor));
        ck_assert(is_text(&name, steps[i].tensor) && at(inside(&tensor), 1, 0).value == 6);
        ck_assert_uint_eq(bytes.size, 6 * sizeof(float));
        for (int j = 0; j < 6; j++) {
            const float number = (float)steps[i].numbers[j];
            ck_assert(test_same_bits(bytes.bytes + j * (int)sizeof number, &number, sizeof number));
        }
    }
    const field dense = at(inside(&graph), 1, 2), dense_x = at(inside(&dense), 1, 0);
    ck_assert(is_text(&dense_x, "input.scaled"));
    free(memory);
    gm_model_destroy(model);
    gm_context_destroy(context);
}
END_TEST

/* The attribute `name` of the only node of operator `op`. */
static message attribute_of(message graph, const char *op, const char *name)
{
    field node, attribute;
    for (int i = 0; find(graph, 1, i, &node); i++) {
        const field type = at(inside(&node), 4, 0);
        for (int j = 0; is_text(&type, op) && find(inside(&node), 5, j, &attribute); j++) {
            const field own = at(inside(&attribute), 1, 0);
            if (is_text(&own, name))
                return inside(&attribute);
        }
    }
    ck_abort_msg("no %s of a %s", name, op);
}

/* PyTorch's AdaptiveAvgPool2d(2) on maps of 7 x 3: rows 0-3 and 3-6, columns 0-1 and 1-2. */
START_TEST(cells_of_odd_maps_overlap)
{
    const char *path = test_path(&folder, "model.onnx");
    gm_context *context = test_context(GM_ISA_AUTO, 1);
    gm_model *model = create(context, &encoders[2]);
    gm_error error;
    int64_t tensors;
    void *memory;
    ck_assert_int_eq(gm_model_write_onnx(model, NULL, path, 0, NULL, &tensors, &error), GM_OK);
    const message whole = written(path, &memory);
    const field graph = at(whole, 7, 0);
    const message kernel = attribute_of(inside(&graph), "AveragePool", "kernel_shape");
    const message strides = attribute_of(inside(&graph), "AveragePool", "strides");
    ck_assert(at(kernel, 8, 0).value == 4 && at(kernel, 8, 1).value == 2 && at(kernel, 20, 0).value == 7);
    ck_assert(at(strides, 8, 0).value == 3 && at(strides, 8, 1).value == 1);
    const message window = attribute_of(inside(&graph), "MaxPool", "kernel_shape");
    ck_assert(at(window, 8, 0).value == 2 && at(window, 8, 1).value == 2);
    const message eps = attribute_of(inside(&graph), "BatchNormalization", "epsilon");
    ck_assert(at(eps, 2, 0).value == 0x3727c5ac && at(eps, 20, 0).value == 1); /* 1e-5 */
    free(memory);
    gm_model_destroy(model);
    const encoder small = {.arch = GM_ARCH_CONV, .height = 7, .width = 8, .channels = 1};
    model = create(context, &small);
    test_expect(gm_model_write_onnx(model, NULL, path, 0, NULL, &tensors, &error), &error, GM_INVALID_ARGUMENT,
                "images of 7 x 8 pixels end as a map of 1 x 2");
    gm_model_destroy(model);
    gm_context_destroy(context);
}
END_TEST

START_TEST(models_that_cannot_be_written_are_refused)
{
    float number = 1;
    const struct {
        gm_tensor tensors[2];
        const char *pattern;
    } cases[] = {
        {{{"a", GM_TENSOR_F32, 1, {1}, NULL}}, "tensor 'a'"},
        {{{"a", GM_TENSOR_F16, 1, {1}, &number}}, "tensor 'a'"},
        {{{"a", GM_TENSOR_F32, 1, {-1}, &number}}, "tensor 'a'"},
        {{{"a", GM_TENSOR_F32, 2, {1 << 20, 512}, &number}}, "2 GB or more"},
        {{{"a", GM_TENSOR_F32, 2, {1 << 19, 512}, &number}, {"b", GM_TENSOR_F32, 2, {1 << 19, 512}, &number}},
         "2 GB or more"},
        {{{"a", GM_TENSOR_F32, 2, {INT32_MAX, INT32_MAX}, &number}}, "impossible shape"},
        {{{"a", GM_TENSOR_F32, 2, {1 << 20, 1 << 20}, &number}}, "2 GB or more"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        gm_error error;
        gm_onnx_graph graph = {.name = "encoder",
                               .input = {"input", "", 1, {1}, {NULL}},
                               .output = {"features", "", 1, {1}, {NULL}},
                               .tensors = cases[i].tensors,
                               .tensor_count = cases[i].tensors[1].name ? 2 : 1};
        test_expect(gm_onnx_write(test_path(&folder, "a.onnx"), &graph, 0, NULL, &error), &error, GM_INVALID_ARGUMENT,
                    cases[i].pattern);
    }
    gm_error error;
    const gm_onnx_graph empty = {
        .name = "", .input = {"input", "", 1, {1}, {NULL}}, .output = {"features", "", 1, {1}, {NULL}}};
    test_expect(gm_onnx_write(test_path(&folder, "none/a.onnx"), &empty, 0, NULL, &error), &error, GM_IO_ERROR,
                "none/a.onnx");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("onnx");
    TCase *tests = tcase_create("onnx");
    tcase_add_checked_fixture(tests, enter, leave);
    suite_add_tcase(suite, tests);
    tcase_add_test(tests, messages_read_as_written);
    tcase_add_loop_test(tests, a_file_holds_the_whole_encoder, 0, ENCODERS);
    tcase_add_test(tests, vectors_are_standardised_first);
    tcase_add_test(tests, cells_of_odd_maps_overlap);
    tcase_add_test(tests, models_that_cannot_be_written_are_refused);
    return test_run(suite);
}
