#include "evaluate.h"

#include <float.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "config_flags.h"
#include "support/parse.h"
#include "train/backbone.h"
#include "train/config.h"
#include "train/head.h"
#include "train/run_folder.h"

/* Share of data with labels and without test samples that is tested on. */
static const double USUAL_VAL_SPLIT = 0.2;

enum { MOST = 1 << 30, MOST_BATCH = 4096, MOST_NUMBERS = 1 << 22 };

/* Samples that the encoder takes at once, 16 MB where one is not larger: its memory grows with them. */
static int64_t feature_batch(const gm_dataset *dataset)
{
    const int64_t fitting = MOST_NUMBERS / dataset->dim;
    return fitting < 1 ? 1 : fitting < MOST_BATCH ? fitting : MOST_BATCH;
}

enum { KEY_DATA = 0x3000, KEY_SEED = 0x3100, KEY_K, KEY_TEMPERATURE };

/* Fields of the configuration, in the order of the options below. */
static const char *const data_fields[] = {"labels", "val-split", "train-list", "skip-bad-images", "image-size"};

static const struct argp_option data_options[] = {
    {0, 0, 0, 0, "Data (default: as for the run, on its own data):", 1},
    {"labels", KEY_DATA, "FILE", 0, "Labels of a .npy or of a folder of images, as for gemel train", 0},
    {"val-split", KEY_DATA + 1, "SHARE", 0,
     "Share of a .npy's rows or of a folder's images that is set apart; knn and evaluate test on it (0.2 of data with "
     "labels and without a part for tests)",
     0},
    {"train-list", KEY_DATA + 2, "FILE", 0, "Only those of a folder's training images that a text names", 0},
    {"skip-bad-images", KEY_DATA + 3, "no|yes", OPTION_ARG_OPTIONAL, "Leave out images that cannot be decoded", 0},
    {"image-size", KEY_DATA + 4, "N", 0,
     "Height and width of a folder's images as the encoder takes them (as its run, else 224)", 0},
    {"seed", KEY_SEED, "N", 0, "Seed of the split, of the classifier and of the few labels (0)", 0},
    {0},
};

static error_t parse_data(int key, char *argument, struct argp_state *state)
{
    gm_evaluate_arguments *a = state->input;
    const int index = key - KEY_DATA;
    if (key == KEY_SEED) {
        gm_config_flag_set(&a->flags, gm_config_find("seed"), argument, state);
        a->options.probe.seed = (uint64_t)a->flags.seed;
        return 0;
    }
    if (index < 0 || index >= (int)(sizeof data_fields / sizeof *data_fields))
        return ARGP_ERR_UNKNOWN;
    gm_config_flag_set(&a->flags, gm_config_find(data_fields[index]), argument, state);
    return 0;
}

const struct argp gm_data_argp = {data_options, parse_data, 0, 0, 0, 0, 0};

static const struct argp_option shared_options[] = {
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

/* A configuration has paths from the root on. */
static bool same_place(const char *a, const char *b)
{
    struct stat about_a, about_b;
    return !strcmp(a, b) || (!stat(a, &about_a) && !stat(b, &about_b) && about_a.st_dev == about_b.st_dev &&
                             about_a.st_ino == about_b.st_ino);
}

/* Rows that the run trained on must not be tested on: on the run's own data its labels and its split apply, else
 * *config is empty. */
static gm_status follow_run(const gm_evaluate_arguments *a, gm_train_config *config, gm_error *error)
{
    char path[GM_RUN_PATH + 64];
    struct stat exists;
    gm_config_init(config);
    gm_run_path(a->weights, "config.json", path);
    if (stat(path, &exists))
        return GM_OK;
    const gm_status status = gm_config_read(path, config, error);
    if (status == GM_OK && (!config->set[gm_config_find("data")] || !same_place(config->data, a->data)))
        gm_config_init(config);
    return status;
}

static gm_status open_data(const gm_evaluate_arguments *a, gm_evaluate_inputs *inputs, gm_error *error)
{
    gm_train_config config; /* holds the paths until the data are open */
    gm_column_scale scale;
    int64_t image_size;
    gm_status status = follow_run(a, &config, error);
    if (status == GM_OK)
        status = gm_backbone_load_input(a->weights, &scale, &image_size, error);
    if (status != GM_OK)
        return status;
    inputs->has_augmentation = config.set[gm_config_find("crop-probability")];
    inputs->augmentation = config.augmentation;
    if (a->all_images)
        config.set[gm_config_find("train-list")] = false;
    gm_config_overlay(&config, &a->flags);
    gm_dataset_options options;
    gm_config_data_options(&config, &options);
    options.context = inputs->context;
    options.columns = scale.columns;
    options.column_mean = scale.mean;
    options.column_scale = scale.scale;
    options.usual_image_size = image_size;
    options.usual_val_split = a->all_images ? 0.0 : USUAL_VAL_SPLIT;
    status = gm_command_dataset(a->data, &options, &inputs->dataset, error);
    gm_column_scale_free(&scale);
    return status;
}

/* Room for the probe of the model's features. */
static gm_status head_create(int32_t classes, int64_t dim, gm_head *head, gm_error *error)
{
    *head = (gm_head){.classes = classes,
                      .dim = dim,
                      .weight = malloc(sizeof(float) * (size_t)(classes * dim)),
                      .bias = malloc(sizeof(float) * (size_t)classes)};
    return head->weight && head->bias
               ? GM_OK
               : gm_error_set(error, GM_OUT_OF_MEMORY, "no memory for a classifier of %lld features", (long long)dim);
}

static gm_status evaluate(const gm_evaluate_arguments *a, const gm_evaluate_inputs *inputs, const char *save_head,
                          gm_error *error)
{
    gm_evaluation evaluation;
    gm_evaluation_options options = a->options;
    gm_head head = {0};
    gm_status status = GM_OK;
    if (save_head)
        status = head_create(inputs->dataset->classes, gm_model_feature_size(inputs->model), &head, error);
    options.classifier = (gm_probe_classifier){head.weight, head.bias};
    if (status == GM_OK)
        status = gm_evaluate(inputs->context, inputs->dataset, inputs->model, &options, &evaluation, error);
    if (status == GM_OK && save_head && !evaluation.measured)
        status = gm_error_set(error, GM_BAD_DATA, "%s has no labels or no test samples: there is no classifier to save",
                              inputs->dataset->name);
    if (status == GM_OK && save_head)
        status = gm_head_save(&head, a->weights, inputs->model, inputs->dataset, save_head, error);
    gm_head_free(&head);
    if (status != GM_OK)
        return status;
    if (!a->common.quiet || !evaluation.measured)
        gm_evaluation_print_table(&evaluation, inputs->dataset, stdout);
    if (save_head)
        printf("classifier: %s\n", save_head);
    gm_evaluation_print_results(&evaluation, inputs->dataset, stdout);
    return GM_OK;
}

gm_status gm_evaluate_open_data(const gm_evaluate_arguments *a, gm_evaluate_inputs *inputs, gm_error *error)
{
    *inputs = (gm_evaluate_inputs){.context = NULL};
    gm_status status = gm_command_context(&a->common, &inputs->context, error);
    if (status == GM_OK)
        status = open_data(a, inputs, error);
    if (status != GM_OK)
        gm_evaluate_close(inputs);
    return status;
}

gm_status gm_evaluate_open(const gm_evaluate_arguments *a, gm_evaluate_inputs *inputs, gm_error *error)
{
    gm_status status = gm_evaluate_open_data(a, inputs, error);
    if (status != GM_OK)
        return status;
    gm_pixel_scale scale;
    status = gm_backbone_load(inputs->context, a->weights, inputs->dataset->height, inputs->dataset->width,
                              a->batch ? a->batch : feature_batch(inputs->dataset), &inputs->model, &scale, error);
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
    *inputs = (gm_evaluate_inputs){.context = NULL};
}

gm_status gm_evaluate_run(const gm_evaluate_arguments *a, const char *save_head, gm_error *error)
{
    gm_evaluate_inputs inputs;
    gm_status status = gm_evaluate_open(a, &inputs, error);
    if (status != GM_OK)
        return status;
    status = evaluate(a, &inputs, save_head, error);
    gm_evaluate_close(&inputs);
    return status;
}
