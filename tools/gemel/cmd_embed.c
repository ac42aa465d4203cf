#include "evaluate.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "formats/npy.h"
#include "support/file.h"

static const char doc[] =
    "Write the features that a run's encoder gives every sample to a .npy file: float32, one row a sample, in the "
    "order of "
    "the data."
    "\vDATA is what gemel train takes. WEIGHTS is a run's folder or backbone.safetensors, or weights from elsewhere "
    "(safetensors, or PyTorch's .pth) whose tensors are those of an architecture that gemel train has. The rows of a "
    ".npy stay in its order; of images the training samples come first, then the test samples, and of image files the "
    "output has a FILE.txt beside it that names each row's. Images and vectors are brought to the scale that the run's "
    "were, which its weights say; weights from elsewhere get vectors standardised by all rows.";

static const struct argp_option options[] = {
    {"output", 'o', "FILE", 0, "The .npy file to write; one that is there is replaced", 0},
    {0},
};

typedef struct embed_arguments {
    gm_evaluate_arguments inputs;
    const char *output;
} embed_arguments;

static error_t parse_embed(int key, char *argument, struct argp_state *state)
{
    embed_arguments *a = state->input;
    switch (key) {
    case ARGP_KEY_INIT:
        state->child_inputs[0] = &a->inputs;
        state->child_inputs[1] = &a->inputs.common;
        return 0;
    case 'o':
        a->output = argument;
        return 0;
    case ARGP_KEY_ARG:
        if (state->arg_num > 1)
            argp_error(state, "%s is too much after DATA and WEIGHTS", argument);
        *(state->arg_num ? &a->inputs.weights : &a->inputs.data) = argument;
        return 0;
    case ARGP_KEY_END:
        if (!a->inputs.weights || !a->output)
            argp_error(state, "%s is missing; for example: %s fashion-mnist runs/fashion-mnist-1 -o features.npy",
                       !a->inputs.data      ? "the data set"
                       : !a->inputs.weights ? "the run folder or weights file"
                                            : "--output",
                       state->name);
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

/* out = features with row i where order[i] says; false where that is where it is already, and out is left alone. */
static bool reorder(const gm_dataset *dataset, const int64_t *order, int64_t dim, const float *features, float *out)
{
    const int64_t rows = dataset->train.rows + dataset->test.rows;
    int64_t moved = 0;
    for (int64_t i = 0; i < rows; i++)
        moved += order[i] != i;
    for (int64_t i = 0; i < rows && moved > 0; i++)
        memcpy(out + order[i] * dim, features + i * dim, (size_t)dim * sizeof *out);
    return moved > 0;
}

static gm_status append_paths(gm_file_writer *writer, const gm_split *split, gm_error *error)
{
    gm_status status = GM_OK;
    for (int64_t i = 0; i < split->rows && status == GM_OK; i++) {
        status = gm_file_append(writer, split->paths[i], strlen(split->paths[i]), error);
        if (status == GM_OK)
            status = gm_file_append(writer, "\n", 1, error);
    }
    return status;
}

/* FILE.npy has FILE.txt beside it. */
static gm_status write_paths(const char *output, const gm_dataset *dataset, gm_error *error)
{
    const size_t length = strlen(output);
    const bool npy = length > 4 && strcmp(output + length - 4, ".npy") == 0;
    char *path;
    if (asprintf(&path, "%.*s.txt", (int)(npy ? length - 4 : length), output) < 0)
        return gm_file_no_memory(error, output, length);
    gm_file_writer writer;
    gm_status status = gm_file_begin(&writer, path, error);
    if (status == GM_OK) {
        status = append_paths(&writer, &dataset->train, error);
        if (status == GM_OK)
            status = append_paths(&writer, &dataset->test, error);
        if (status == GM_OK)
            status = gm_file_commit(&writer, error);
        else
            gm_file_abandon(&writer);
    }
    free(path);
    return status;
}

static gm_status embed(const embed_arguments *a, const gm_evaluate_inputs *inputs, gm_error *error)
{
    const gm_dataset *dataset = inputs->dataset;
    const int64_t rows = dataset->train.rows + dataset->test.rows, dim = gm_model_feature_size(inputs->model);
    const size_t bytes = sizeof(float) * (size_t)rows * (size_t)dim;
    float *features = malloc(bytes), *ordered = malloc(bytes);
    int64_t *order = malloc(sizeof *order * (size_t)rows);
    gm_status status = GM_OUT_OF_MEMORY;
    if (!features || !ordered || !order) {
        gm_error_set(error, status, "no memory for %lld x %lld features", (long long)rows, (long long)dim);
        goto end;
    }
    status = gm_split_features(inputs->context, dataset, &dataset->train, inputs->model, features, error);
    if (status == GM_OK)
        status = gm_split_features(inputs->context, dataset, &dataset->test, inputs->model,
                                   features + dataset->train.rows * dim, error);
    if (status != GM_OK)
        goto end;
    gm_dataset_order(dataset, order);
    const bool moved = reorder(dataset, order, dim, features, ordered);
    status = gm_npy_write_f32(a->output, rows, dim, moved ? ordered : features, dim, error);
    if (status == GM_OK && dataset->train.paths)
        status = write_paths(a->output, dataset, error);
    if (status == GM_OK && !a->inputs.common.quiet)
        printf("%s: %lld rows of %lld features\n", a->output, (long long)rows, (long long)dim);
end:
    free(features);
    free(ordered);
    free(order);
    return status;
}

gm_status gm_command_embed(int argc, char **argv, gm_error *error)
{
    const struct argp_child children[] = {{&gm_data_argp, 0, 0, 0}, {&gm_common_argp, 0, 0, 0}, {0}};
    const struct argp parser = {options, parse_embed, "DATA WEIGHTS", doc, children, 0, 0};
    embed_arguments arguments = {.inputs = gm_evaluate_defaults()};
    arguments.inputs.all_images = true;
    const gm_status parsed = gm_command_parse(&parser, argc, argv, &arguments, error);
    if (parsed != GM_OK)
        return parsed;
    gm_evaluate_inputs inputs;
    gm_status status = gm_evaluate_open(&arguments.inputs, &inputs, error);
    if (status != GM_OK)
        return status;
    status = embed(&arguments, &inputs, error);
    gm_evaluate_close(&inputs);
    return status;
}
