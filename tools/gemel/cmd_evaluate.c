#include "evaluate.h"

static const char doc[] =
    "Measure a run's features by a linear classifier and by nearest neighbours, with all labels and with few, beside "
    "the same protocols on the raw samples."
    "\vDATA is what gemel train takes. WEIGHTS is a run's folder or backbone.safetensors, or weights from elsewhere "
    "(safetensors, or PyTorch's .pth) whose tensors are those of an architecture that gemel train has. The encoder "
    "stays as it "
    "is; only the classifier is trained, by SGD with momentum 0.9 and a cosine schedule.";

enum { KEY_EPOCHS = 0x4000, KEY_LR_CLASSIFIER, KEY_WEIGHT_DECAY, KEY_BATCH_SIZE, KEY_LABELS_PER_CLASS };

static const struct argp_option linear_options[] = {
    {0, 0, 0, 0, "Linear classifier:", 3},
    {"epochs", KEY_EPOCHS, "N", 0, "Passes over the training samples (20)", 0},
    {"lr-classifier", KEY_LR_CLASSIFIER, "RATE", 0, "Learning rate of the first epoch (0.1)", 0},
    {"weight-decay", KEY_WEIGHT_DECAY, "W", 0, "Weight decay (1e-6)", 0},
    {"batch-size", KEY_BATCH_SIZE, "N", 0, "Samples a step (256)", 0},
    {"labels-per-class", KEY_LABELS_PER_CLASS, "N", 0,
     "Measure also with N labels a class, mean of 5 draws; 0: do "
     "not (10)",
     0},
    {0},
};

static error_t parse_evaluate(int key, char *argument, struct argp_state *state)
{
    gm_evaluate_arguments *a = state->input;
    gm_probe_options *probe = &a->options.probe;
    int32_t count;
    switch (key) {
    case ARGP_KEY_INIT:
        state->child_inputs[0] = state->child_inputs[1] = a;
        state->child_inputs[2] = &a->common;
        return 0;
    case KEY_EPOCHS:
        gm_evaluate_set_count(state, "epochs", argument, 1, &probe->epochs);
        return 0;
    case KEY_LR_CLASSIFIER:
        gm_evaluate_set_real(state, "lr-classifier", argument, false, &probe->learning_rate);
        return 0;
    case KEY_WEIGHT_DECAY:
        gm_evaluate_set_real(state, "weight-decay", argument, true, &probe->weight_decay);
        return 0;
    case KEY_BATCH_SIZE:
        gm_evaluate_set_count(state, "batch-size", argument, 1, &count);
        probe->batch = count;
        return 0;
    case KEY_LABELS_PER_CLASS:
        gm_evaluate_set_count(state, "labels-per-class", argument, 0, &a->options.labels_per_class);
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

gm_status gm_command_evaluate(int argc, char **argv, gm_error *error)
{
    const struct argp_child children[] = {
        {&gm_data_argp, 0, 0, 0}, {&gm_evaluate_argp, 0, 0, 0}, {&gm_common_argp, 0, 0, 0}, {0}};
    const struct argp parser = {linear_options, parse_evaluate, "DATA WEIGHTS", doc, children, 0, 0};
    gm_evaluate_arguments arguments = gm_evaluate_defaults();
    const gm_status parsed = gm_command_parse(&parser, argc, argv, &arguments, error);
    if (parsed != GM_OK)
        return parsed;
    return gm_evaluate_run(&arguments, error);
}
