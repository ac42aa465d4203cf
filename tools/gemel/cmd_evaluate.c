#include <float.h>
#include <stdlib.h>
#include <string.h>

#include "classify.h"
#include "support/parse.h"

static const char doc[] =
    "Measure a run's features by a linear classifier and by nearest neighbours, with all labels and with few, beside "
    "the same protocols on the raw samples; or, with --weights, train a classifier as Facebook's evaluate.py does."
    "\vDATA is what gemel train takes. WEIGHTS is a run's folder or backbone.safetensors, or weights from elsewhere "
    "(safetensors, or PyTorch's .pth) whose tensors are those of an architecture that gemel train has.\n\n"
    "Without --weights the encoder stays as it is, and a classifier is trained on its standardised features, in "
    "seconds. With --weights freeze the classifier alone is trained, with --weights finetune the encoder, too, both on "
    "random crops and flips of images; accuracies on the test samples are shown as training goes on, and written to "
    "stats.txt (in percent) in the run's folder or --checkpoint-dir, with the encoder and the classifier beside it as "
    "classifier.safetensors, which gemel predict and all other commands take.\n\n"
    "  gemel evaluate fashion-mnist runs/fashion-mnist-1 --weights finetune --train-percent 1";

enum {
    KEY_EPOCHS = 0x4000,
    KEY_LR_CLASSIFIER,
    KEY_WEIGHT_DECAY,
    KEY_BATCH_SIZE,
    KEY_LABELS_PER_CLASS,
    KEY_WEIGHTS,
    KEY_TRAIN_PERCENT,
    KEY_LR_BACKBONE,
    KEY_EVAL_EVERY,
    KEY_AUGMENT,
    KEY_CHECKPOINT_DIR,
    KEY_SAVE_HEAD,
};

static const struct argp_option linear_options[] = {
    {0, 0, 0, 0,
     "Classifier (defaults in brackets: without --weights; freeze; finetune of small samples, of photographs):", 3},
    {"weights", KEY_WEIGHTS, "freeze|finetune", 0, "Train as Facebook's evaluate.py: the classifier alone, or all", 0},
    {"train-percent", KEY_TRAIN_PERCENT, "P", 0, "Use the labels of P % of each class's training samples (100)", 0},
    {"labels-per-class", KEY_LABELS_PER_CLASS, "N", 0,
     "Measure also with N labels a class, mean of 5 draws; 0: do not (10). With --weights: use N labels a class", 0},
    {"epochs", KEY_EPOCHS, "N", 0, "Passes over the training samples (20; 100; 30, 20)", 0},
    {"lr-classifier", KEY_LR_CLASSIFIER, "RATE", 0, "Learning rate of the first epoch (0.1; 0.3; 0.05, 0.5)", 0},
    {"lr-backbone", KEY_LR_BACKBONE, "RATE", 0, "The encoder's (0; 0; 0.01, 0.005)", 0},
    {"weight-decay", KEY_WEIGHT_DECAY, "W", 0, "Weight decay (1e-6; 1e-6; 1e-4, 0)", 0},
    {"batch-size", KEY_BATCH_SIZE, "N", 0, "Samples a step (256; 256; 64, 256)", 0},
    {"eval-every", KEY_EVAL_EVERY, "N", 0,
     "With --weights: test after every N epochs and the last (1; finetune with few labels: as often as takes no longer "
     "than the training)",
     0},
    {"augment", KEY_AUGMENT, "no|yes", 0,
     "With --weights: train on random crops and flips, the run's on its own data (yes; vectors: no)", 0},
    {"checkpoint-dir", KEY_CHECKPOINT_DIR, "FOLDER", 0, "With --weights: folder of the results (the run's)", 0},
    {"save-head", KEY_SAVE_HEAD, "FILE", 0, "Write encoder and classifier to this file, for gemel predict", 0},
    {0},
};

typedef struct evaluate_command {
    gm_evaluate_arguments data;
    gm_classify_arguments classify;
    const char *weights;
    int32_t labels_per_class; /* -1: usual */
} evaluate_command;

static double real(struct argp_state *state, const char *flag, const char *text, double low, double high)
{
    double value = low;
    if (!gm_parse_double(text, low, high, &value) && high < DBL_MAX)
        argp_error(state, "--%s %s: expected a number above 0, up to %g", flag, text, high);
    if (!gm_parse_double(text, low, high, &value))
        argp_error(state, "--%s %s: expected a number %s 0", flag, text, low > 0.0 ? "above" : "from");
    return value;
}

static void set_mode(const char *text, evaluate_command *c, struct argp_state *state)
{
    if (strcmp(text, "freeze") && strcmp(text, "finetune"))
        argp_error(state, "--weights %s: expected freeze or finetune", text);
    c->weights = text;
    c->classify.finetune = !strcmp(text, "finetune");
}

static void set_augment(const char *text, int32_t *augment, struct argp_state *state)
{
    if (strcmp(text, "no") && strcmp(text, "yes"))
        argp_error(state, "--augment %s: expected no or yes", text);
    *augment = !strcmp(text, "yes");
}

static error_t parse_evaluate(int key, char *argument, struct argp_state *state)
{
    evaluate_command *c = state->input;
    gm_classify_arguments *a = &c->classify;
    switch (key) {
    case ARGP_KEY_INIT:
        state->child_inputs[0] = state->child_inputs[1] = &c->data;
        state->child_inputs[2] = &c->data.common;
        return 0;
    case KEY_WEIGHTS:
        set_mode(argument, c, state);
        return 0;
    case KEY_TRAIN_PERCENT:
        a->percent = real(state, "train-percent", argument, 1e-6, 100.0);
        return 0;
    case KEY_LABELS_PER_CLASS:
        gm_evaluate_set_count(state, "labels-per-class", argument, 0, &c->labels_per_class);
        return 0;
    case KEY_EPOCHS:
        gm_evaluate_set_count(state, "epochs", argument, 1, &a->epochs);
        return 0;
    case KEY_LR_CLASSIFIER:
        a->lr_classifier = real(state, "lr-classifier", argument, (double)FLT_MIN, DBL_MAX);
        return 0;
    case KEY_LR_BACKBONE:
        a->lr_backbone = real(state, "lr-backbone", argument, 0.0, DBL_MAX);
        return 0;
    case KEY_WEIGHT_DECAY:
        a->weight_decay = real(state, "weight-decay", argument, 0.0, DBL_MAX);
        return 0;
    case KEY_BATCH_SIZE:
        gm_evaluate_set_count(state, "batch-size", argument, 1, &a->batch_size);
        return 0;
    case KEY_EVAL_EVERY:
        gm_evaluate_set_count(state, "eval-every", argument, 1, &a->eval_every);
        return 0;
    case KEY_AUGMENT:
        set_augment(argument, &a->augment, state);
        return 0;
    case KEY_CHECKPOINT_DIR:
        a->folder = argument;
        return 0;
    case KEY_SAVE_HEAD:
        a->save_head = argument;
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

/* Flags that contradict each other. */
static gm_status check(const evaluate_command *c, gm_error *error)
{
    const gm_classify_arguments *a = &c->classify;
    if (!c->weights && (a->folder || a->eval_every > 0 || a->augment >= 0))
        return gm_error_set(error, GM_BAD_USAGE, "--%s needs --weights freeze or --weights finetune",
                            a->folder           ? "checkpoint-dir"
                            : a->eval_every > 0 ? "eval-every"
                                                : "augment");
    if (!a->finetune && a->lr_backbone > 0.0)
        return gm_error_set(error, GM_BAD_USAGE,
                            "--lr-backbone %g: the encoder is trained with --weights finetune only", a->lr_backbone);
    if (c->weights && c->labels_per_class > 0 && a->percent < 100.0)
        return gm_error_set(error, GM_BAD_USAGE, "--labels-per-class and --train-percent: give one of them");
    if (a->finetune && a->batch_size == 1)
        return gm_error_set(error, GM_BAD_USAGE, "--batch-size 1: batch norm needs two samples at least");
    return GM_OK;
}

/* What was given, for the probe. */
static void settle_probe(evaluate_command *c)
{
    const gm_classify_arguments *a = &c->classify;
    gm_evaluation_options *o = &c->data.options;
    o->probe.learning_rate = isnan(a->lr_classifier) ? o->probe.learning_rate : (float)a->lr_classifier;
    o->probe.weight_decay = isnan(a->weight_decay) ? o->probe.weight_decay : (float)a->weight_decay;
    o->probe.epochs = a->epochs > 0 ? a->epochs : o->probe.epochs;
    o->probe.batch = a->batch_size > 0 ? a->batch_size : o->probe.batch;
    o->labels_per_class = c->labels_per_class >= 0 ? c->labels_per_class : o->labels_per_class;
    o->train_percent = a->percent;
}

static gm_status run(evaluate_command *c, gm_error *error)
{
    const gm_status status = check(c, error);
    if (status != GM_OK)
        return status;
    if (!c->weights) {
        settle_probe(c);
        return gm_evaluate_run(&c->data, c->classify.save_head, error);
    }
    c->classify.labels_per_class = c->labels_per_class > 0 ? c->labels_per_class : 0;
    return gm_classify_run(&c->data, &c->classify, error);
}

gm_status gm_command_evaluate(int argc, char **argv, gm_error *error)
{
    const struct argp_child children[] = {
        {&gm_data_argp, 0, 0, 0}, {&gm_evaluate_argp, 0, 0, 0}, {&gm_common_argp, 0, 0, 0}, {0}};
    const struct argp parser = {linear_options, parse_evaluate, "DATA WEIGHTS", doc, children, 0, 0};
    evaluate_command command = {
        .data = gm_evaluate_defaults(), .classify = gm_classify_defaults(), .labels_per_class = -1};
    char *command_line = gm_command_line(argc, argv); /* before argp changes the order */
    if (!command_line)
        return gm_error_set(error, GM_OUT_OF_MEMORY, "no memory for the command line");
    command.classify.command_line = command_line;
    gm_status status = gm_command_parse(&parser, argc, argv, &command, error);
    if (status == GM_OK)
        status = run(&command, error);
    free(command_line);
    return status;
}
