#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "config_flags.h"
#include "predict.h"
#include "support/file.h"
#include "train/backbone.h"

enum { USUAL_BATCH = 32 };

static const char doc[] =
    "Name the class of every sample, by weights that have a classifier."
    "\vDATA is an image, a folder of images, in subfolders or not, a .npy file with a sample a row, or anything else "
    "that "
    "gemel train takes. WEIGHTS is what gemel evaluate --save-head writes, a run's folder that holds "
    "classifier.safetensors, or a ResNet of torchvision's with its fc. Images are resized so that the shorter side is "
    "256/224 of the size that the weights say, else of 224, cut to the middle and normalised.\n\n"
    "A line of CSV is path,label,probability, with further labels and probabilities behind it for --top; samples that "
    "are not image files have their row's number, from 0, instead of a path. JSON is an array of {\"path\": \u2026, "
    "\"predictions\": [{\"class\": 3, \"label\": \"cat\", \"probability\": 0.9}, \u2026]}. Where DATA has labels, the "
    "last line, on standard error, tells the accuracy.\n\n"
    "  gemel evaluate photos runs/photos-1 --save-head classifier.safetensors\n"
    "  gemel predict new-photos classifier.safetensors -o predictions.csv\n"
    "  gemel predict cat.jpg resnet50.pth --label-names imagenet.txt --top 5";

enum { KEY_FORMAT = 0x5000, KEY_TOP, KEY_LABEL_NAMES, KEY_BATCH_SIZE, KEY_FIELD = 0x5100 };

/* Fields of the configuration, in the order of the options below. */
static const char *const fields[] = {"labels", "skip-bad-images", "image-size"};

static const struct argp_option options[] = {
    {"output", 'o', "FILE", 0, "Write to this file instead of standard output; one that is there is replaced", 0},
    {"format", KEY_FORMAT, "csv|json", 0, "Format (json for a FILE that ends in .json, else csv)", 0},
    {"top", KEY_TOP, "K", 0, "The K most probable classes of each sample (1)", 0},
    {"label-names", KEY_LABEL_NAMES, "FILE", 0,
     "Names of the classes: one a line, a JSON array, or a JSON object {\"0\": \"name\", \u2026} (default: those in "
     "the "
     "weights, else numbers from 0)",
     0},
    {"batch-size", KEY_BATCH_SIZE, "N", 0, "Samples at a time (32)", 0},
    {0, 0, 0, 0, "Data:", 1},
    {"labels", KEY_FIELD, "FILE", 0, "True labels of a .npy or of a folder of images, as for gemel train", 0},
    {"skip-bad-images", KEY_FIELD + 1, "no|yes", OPTION_ARG_OPTIONAL,
     "Leave out images that cannot be decoded, instead of stopping at the first one", 0},
    {"image-size", KEY_FIELD + 2, "N", 0, "Height and width of images as the encoder takes them (as its run, else 224)",
     0},
    {0},
};

typedef struct predict_arguments {
    gm_evaluate_arguments inputs;
    const char *output, *label_names, *format;
    int32_t top;
} predict_arguments;

/* --- the command line ------------------------------------------------------------------------------------------ */

static error_t parse_words(predict_arguments *a, int key, char *argument, struct argp_state *state)
{
    if (key == ARGP_KEY_ARG) {
        if (state->arg_num > 1)
            argp_error(state, "%s is too much after DATA and WEIGHTS", argument);
        *(state->arg_num ? &a->inputs.weights : &a->inputs.data) = argument;
        return 0;
    }
    if (!a->inputs.weights)
        argp_error(state, "%s is missing; for example: %s photos classifier.safetensors -o predictions.csv",
                   a->inputs.data ? "the file of weights" : "the data set", state->name);
    return 0;
}

static error_t parse_predict(int key, char *argument, struct argp_state *state)
{
    predict_arguments *a = state->input;
    switch (key) {
    case ARGP_KEY_INIT:
        state->child_inputs[0] = &a->inputs.common;
        return 0;
    case 'o':
        a->output = strcmp(argument, "-") ? argument : NULL;
        return 0;
    case KEY_FORMAT:
        if (strcmp(argument, "csv") && strcmp(argument, "json"))
            argp_error(state, "--format %s: expected csv or json", argument);
        a->format = argument;
        return 0;
    case KEY_TOP:
        gm_evaluate_set_count(state, "top", argument, 1, &a->top);
        return 0;
    case KEY_LABEL_NAMES:
        a->label_names = argument;
        return 0;
    case KEY_BATCH_SIZE:
        gm_evaluate_set_count(state, "batch-size", argument, 1, &a->inputs.batch);
        return 0;
    case ARGP_KEY_ARG:
    case ARGP_KEY_END:
        return parse_words(a, key, argument, state);
    default:
        if (key < KEY_FIELD || key >= KEY_FIELD + (int)(sizeof fields / sizeof *fields))
            return ARGP_ERR_UNKNOWN;
        gm_config_flag_set(&a->inputs.flags, gm_config_find(fields[key - KEY_FIELD]), argument, state);
        return 0;
    }
}

static gm_prediction_format format_of(const predict_arguments *a)
{
    const size_t length = a->output ? strlen(a->output) : 0;
    const bool named = length > 5 && strcmp(a->output + length - 5, ".json") == 0;
    return (a->format ? strcmp(a->format, "json") == 0 : named) ? GM_PREDICTION_JSON : GM_PREDICTION_CSV;
}

/* --- the file -------------------------------------------------------------------------------------------------- */

/* The writer's file as a stream of its own. */
static gm_status write_stream(const predict_arguments *a, const gm_evaluate_inputs *inputs, const gm_head *head,
                              const gm_predict_options *predict, int descriptor, gm_error *error)
{
    const int copy = dup(descriptor);
    FILE *out = copy >= 0 ? fdopen(copy, "w") : NULL;
    if (!out) {
        const int code = errno;
        if (copy >= 0)
            close(copy);
        return gm_file_error(error, a->output, "write", code);
    }
    const gm_status status = gm_predict(inputs, head, predict, out, error);
    const bool written = !ferror(out);
    if ((fclose(out) || !written) && status == GM_OK)
        return gm_file_error(error, a->output, "write", errno);
    return status;
}

static gm_status write_file(const predict_arguments *a, const gm_evaluate_inputs *inputs, const gm_head *head,
                            const gm_predict_options *predict, gm_error *error)
{
    gm_file_writer writer;
    gm_status status = gm_file_begin(&writer, a->output, error);
    if (status != GM_OK)
        return status;
    status = write_stream(a, inputs, head, predict, writer.descriptor, error);
    if (status != GM_OK) {
        gm_file_abandon(&writer);
        return status;
    }
    status = gm_file_commit(&writer, error);
    if (status == GM_OK && !a->inputs.common.quiet)
        printf("%s: %lld predictions\n", a->output,
               (long long)(inputs->dataset->train.rows + inputs->dataset->test.rows));
    return status;
}

static gm_status predict(const predict_arguments *a, const gm_head *head, gm_error *error)
{
    gm_evaluate_inputs inputs;
    gm_status status = gm_evaluate_open(&a->inputs, &inputs, error);
    if (status != GM_OK)
        return status;
    const gm_predict_options predict = {.format = format_of(a),
                                        .output = a->output ? a->output : "standard output",
                                        .top = a->top < head->classes ? a->top : head->classes,
                                        .batch = a->inputs.batch,
                                        .progress = !a->inputs.common.quiet && (a->output || !isatty(STDOUT_FILENO))};
    if (head->dim != gm_model_feature_size(inputs.model))
        status = gm_error_set(error, GM_BAD_DATA, "%s: its classifier takes %lld features, but its encoder has %lld",
                              a->inputs.weights, (long long)head->dim, (long long)gm_model_feature_size(inputs.model));
    else if (a->output)
        status = write_file(a, &inputs, head, &predict, error);
    else
        status = gm_predict(&inputs, head, &predict, stdout, error);
    gm_evaluate_close(&inputs);
    return status;
}

static gm_status read_head(const predict_arguments *a, gm_head *head, gm_error *error)
{
    gm_status status = gm_head_load(a->inputs.weights, head, error);
    if (status == GM_OK && head->classes == 0)
        status = gm_error_set(error, GM_BAD_DATA,
                              "%s: has no classifier (fc.weight and fc.bias); gemel evaluate LABELLED-DATA WEIGHTS "
                              "--save-head classifier.safetensors trains one",
                              a->inputs.weights);
    if (status == GM_OK && a->label_names)
        status = gm_head_read_names(head, a->label_names, error);
    if (status != GM_OK)
        gm_head_free(head);
    return status;
}

gm_status gm_command_predict(int argc, char **argv, gm_error *error)
{
    const struct argp_child children[] = {{&gm_common_argp, 0, 0, 0}, {0}};
    const struct argp parser = {options, parse_predict, "DATA WEIGHTS", doc, children, 0, 0};
    predict_arguments arguments = {.inputs = gm_evaluate_defaults(), .top = 1};
    arguments.inputs.all_images = true;
    arguments.inputs.batch = USUAL_BATCH;
    gm_status status = gm_command_parse(&parser, argc, argv, &arguments, error);
    if (status != GM_OK)
        return status;
    char inside[GM_BACKBONE_PATH];
    gm_head head;
    arguments.inputs.weights = gm_head_path(arguments.inputs.weights, inside);
    status = read_head(&arguments, &head, error);
    if (status != GM_OK)
        return status;
    status = predict(&arguments, &head, error);
    gm_head_free(&head);
    return status;
}
