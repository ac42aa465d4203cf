#include "evaluate.h"

#include <float.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "support/parse.h"
#include "train/backbone.h"
#include "train/config.h"
#include "train/run_folder.h"

enum { MOST = 1 << 30, FEATURE_BATCH = 4096 };

enum { KEY_LABELS = 0x3000, KEY_VAL_SPLIT, KEY_SEED, KEY_K, KEY_TEMPERATURE };

static const struct argp_option shared_options[] = {
    {0, 0, 0, 0, "Data:", 1},
    {"labels", KEY_LABELS, "FILE", 0, "Integers, one a row of a .npy of features (default: the run's)", 0},
    {"val-split", KEY_VAL_SPLIT, "SHARE", 0, "Share of a .npy's rows that are tested on (default: the run's)", 0},
    {"seed", KEY_SEED, "N", 0, "Seed of the split (default: the run's), of the classifier and of the few labels (0)",
     0},
    {0, 0, 0, 0, "Nearest neighbours:", 2},
    {"k", KEY_K, "N", 0, "Neighbours that vote (20)", 0},
    {"temperature", KEY_TEMPERATURE, "T", 0, "A vote weighs exp(cosine / T) (0.1)", 0},
    {0},
};

void gm_evaluate_set_count(struct argp_state *state, const char *flag, const char *text, int32_t low, int32_t *value)
{
    int64_t count = low;
    if (!gm_parse_int64(text, low, MOST, &count))
        argp_error(state, "--%s %s: expected a whole number from %d to %d", flag, text, low, MOST);
    *value = (int32_t)count;
}

void gm_evaluate_set_real(struct argp_state *state, const char *flag, const char *text, bool zero, float *value)
{
    double real = 1.0;
    if (!gm_parse_double(text, zero ? 0.0 : FLT_MIN, FLT_MAX, &real))
        argp_error(state, "--%s %s: expected a number %s 0", flag, text, zero ? "from" : "above");
    *value = (float)real;
}

static error_t set_argument(gm_evaluate_arguments *a, char *argument, struct argp_state *state)
{
    if (state->arg_num > 1)
        argp_error(state, "%s is too much after DATA and WEIGHTS", argument);
    *(state->arg_num ? &a->weights : &a->data) = argument;
    return 0;
}

static error_t parse_shared(int key, char *argument, struct argp_state *state)
{
    gm_evaluate_arguments *a = state->input;
    switch (key) {
    case KEY_LABELS:
        a->labels = argument;
        return 0;
    case KEY_VAL_SPLIT:
        if (!gm_parse_double(argument, 0.0, 1.0, &a->val_split))
            argp_error(state, "--val-split %s: expected a share from 0 to 1", argument);
        return 0;
    case KEY_SEED:
        a->seed_set = gm_parse_uint64(argument, &a->options.probe.seed);
        if (!a->seed_set)
            argp_error(state, "--seed %s: expected a whole number from 0 on", argument);
        return 0;
    case KEY_K:
        gm_evaluate_set_count(state, "k", argument, 1, &a->options.knn.k);
        return 0;
    case KEY_TEMPERATURE:
        gm_evaluate_set_real(state, "temperature", argument, false, &a->options.knn.temperature);
        return 0;
    case ARGP_KEY_ARG:
        return set_argument(a, argument, state);
    case ARGP_KEY_END:
        if (!a->weights)
            argp_error(state, "%s is missing; for example: %s fashion-mnist runs/fashion-mnist-1",
                       a->data ? "the run folder or weights file" : "the data set", state->name);
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

const struct argp gm_evaluate_argp = {shared_options, parse_shared, 0, 0, 0, 0, 0};

/* Rows that the run trained on must not be tested on: on the run's own data its labels and its split apply. */
static gm_status follow_run(const gm_evaluate_arguments *a, gm_train_config *config, gm_dataset_options *options,
                            gm_error *error)
{
    char path[GM_RUN_PATH + 64];
    struct stat exists;
    gm_config_init(config);
    gm_run_path(a->weights, "config.json", path);
    if (stat(path, &exists))
        return GM_OK;
    const gm_status status = gm_config_read(path, config, error);
    if (status != GM_OK || !config->set[gm_config_find("data")] || strcmp(config->data, a->data))
        return status;
    if (config->set[gm_config_find("labels")])
        options->labels = config->labels;
    if (config->set[gm_config_find("val-split")])
        options->val_split = config->val_split;
    if (config->set[gm_config_find("seed")])
        options->seed = (uint64_t)config->seed;
    return GM_OK;
}

static gm_status open_data(const gm_evaluate_arguments *a, gm_dataset **dataset, gm_error *error)
{
    gm_train_config config; /* holds the path of the labels until the data are open */
    gm_dataset_options options = gm_dataset_default_options();
    const gm_status status = follow_run(a, &config, &options, error);
    if (status != GM_OK)
        return status;
    if (a->labels)
        options.labels = a->labels;
    if (a->val_split >= 0.0)
        options.val_split = a->val_split;
    if (a->seed_set)
        options.seed = a->options.probe.seed;
    return gm_command_dataset(a->data, &options, dataset, error);
}

static gm_status evaluate(const gm_evaluate_arguments *a, gm_context *context, const gm_dataset *dataset,
                          gm_model *model, gm_error *error)
{
    gm_evaluation evaluation;
    const gm_status status = gm_evaluate(context, dataset, model, &a->options, &evaluation, error);
    if (status != GM_OK)
        return status;
    if (!a->common.quiet || !evaluation.measured)
        gm_evaluation_print_table(&evaluation, dataset, stdout);
    gm_evaluation_print_results(&evaluation, dataset, stdout);
    return GM_OK;
}

gm_status gm_evaluate_open(const gm_evaluate_arguments *a, gm_evaluate_inputs *inputs, gm_error *error)
{
    *inputs = (gm_evaluate_inputs){NULL, NULL, NULL};
    gm_status status = gm_command_context(&a->common, &inputs->context, error);
    if (status == GM_OK)
        status = open_data(a, &inputs->dataset, error);
    gm_pixel_scale scale;
    if (status == GM_OK)
        status = gm_backbone_load(inputs->context, a->weights, inputs->dataset->height, inputs->dataset->width,
                                  FEATURE_BATCH, &inputs->model, &scale, error);
    if (status == GM_OK && gm_model_input_size(inputs->model) != inputs->dataset->dim)
        status = gm_error_set(error, GM_BAD_DATA, "%s takes samples of %lld numbers, but those of %s have %lld",
                              a->weights, (long long)gm_model_input_size(inputs->model), inputs->dataset->name,
                              (long long)inputs->dataset->dim);
    if (status == GM_OK)
        gm_pixel_scale_use(&scale, inputs->dataset);
    else
        gm_evaluate_close(inputs);
    return status;
}

void gm_evaluate_close(gm_evaluate_inputs *inputs)
{
    gm_model_destroy(inputs->model);
    gm_dataset_close(inputs->dataset);
    gm_context_destroy(inputs->context);
    *inputs = (gm_evaluate_inputs){NULL, NULL, NULL};
}

gm_status gm_evaluate_run(const gm_evaluate_arguments *a, gm_error *error)
{
    gm_evaluate_inputs inputs;
    gm_status status = gm_evaluate_open(a, &inputs, error);
    if (status != GM_OK)
        return status;
    status = evaluate(a, inputs.context, inputs.dataset, inputs.model, error);
    gm_evaluate_close(&inputs);
    return status;
}
