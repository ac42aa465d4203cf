#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "command.h"
#include "config_flags.h"
#include "data/loader.h"
#include "signals.h"
#include "support/parse.h"
#include "train/evaluation.h"
#include "train/online.h"
#include "train/report.h"
#include "train/run_folder.h"
#include "train/trainer.h"
#include "train/weights.h"
#include "train_settings.h"

static const char doc[] =
    "Train an encoder on two views of every sample, without labels, and measure what it learned."
    "\vDATA is fashion-mnist (Debian's package dataset-fashion-mnist), mnist, a folder with the four "
    "idx files, a folder with the binary files of CIFAR-10 or CIFAR-100, a folder of JPEG and PNG images, a .npy file "
    "of "
    "float32, float16 or uint8 rows, or synthetic.\n\n"
    "A run leaves config.json, stats.txt, metrics.csv, checkpoint.safetensors, "
    "backbone.safetensors, report.html, correlation.png and results.txt in its folder. Ctrl-C saves and stops; a "
    "second one stops at once.\n";

enum {
    KEY_CONFIG = 0x100,
    KEY_RECIPE,
    KEY_CHECKPOINT_DIR,
    KEY_OVERWRITE,
    KEY_RESUME,
    KEY_PRINT_FREQ,
    KEY_SAVE_EVERY,
    KEY_EVAL_EVERY,
    KEY_KEEP,
    KEY_MAX_TIME,
    KEY_WORKERS,
    KEY_MATRIX,
    KEY_DRY_RUN,
    KEY_NO_EVALUATION,
};

static const struct argp_option run_options[] = {
    {0, 0, 0, 0, "The run:", 1},
    {"config", KEY_CONFIG, "FILE", 0, "Take settings from a run's config.json; flags and DATA override it", 0},
    {"recipe", KEY_RECIPE, "NAME", 0, "Take settings from a recipe, as fashion-mnist-hour; a wrong name lists them", 0},
    {"checkpoint-dir", KEY_CHECKPOINT_DIR, "FOLDER", 0, "Folder of the run (default: runs/NAME-N)", 0},
    {"overwrite", KEY_OVERWRITE, 0, 0, "Replace the run that is in the folder", 0},
    {"resume", KEY_RESUME, 0, 0,
     "Go on with the run in the folder that DATA or --checkpoint-dir names; of the settings only "
     "--epochs may change, and with --checkpoint-dir the place of the data",
     0},
    {"print-freq", KEY_PRINT_FREQ, "N", 0, "Steps between two lines of stats.txt (100)", 0},
    {"eval-every", KEY_EVAL_EVERY, "N", 0,
     "Measure nearest neighbours and linear probe every N epochs, on 10,000 training and 2,000 test samples; 0: only "
     "at the end (0)",
     0},
    {"save-every", KEY_SAVE_EVERY, "N", 0, "Epochs between two checkpoints (1)", 0},
    {"keep", KEY_KEEP, "N", 0, "Earlier checkpoints that stay beside the newest, as checkpoint-STEP.safetensors (1)",
     0},
    {"max-time", KEY_MAX_TIME, "TIME", 0, "End training after a time as 90s, 15m or 8h", 0},
    {"workers", KEY_WORKERS, "N", 0,
     "Load and augment data ahead with N threads beside those of --threads; 0: with the latter, between the steps (0)",
     0},
    {"matrix", KEY_MATRIX, "auto|on|off", 0,
     "Show the cross-correlation matrix: live on a terminal (auto), also as text "
     "after every epoch elsewhere (on), or never (off)",
     0},
    {"dry-run", KEY_DRY_RUN, 0, 0,
     "Print shapes, memory, operations and, by a second of steps, the time of the run; write nothing", 0},
    {"no-evaluation", KEY_NO_EVALUATION, 0, 0, "End after training, without accuracies and report", 0},
};

/* Headings of the help, each before the field that it begins with. */
static const struct {
    const char *field, *heading;
} sections[] = {
    {"labels", "Data:"},
    {"arch", "Model:"},
    {"normalization", "Loss:"},
    {"optimizer", "Optimisation:"},
    {"augmentation", "Augmentation, drawn anew for each view:"},
};

enum {
    RUN_OPTIONS = sizeof run_options / sizeof run_options[0],
    SECTIONS = sizeof sections / sizeof sections[0],
};

static void set_number(const char *flag, const char *text, int64_t low, int64_t *value, struct argp_state *state)
{
    if (!gm_parse_int64(text, low, INT64_MAX, value))
        argp_error(state, "--%s %s: expected a whole number from %lld on", flag, text, (long long)low);
}

static void set_matrix(const char *text, gm_matrix_mode *mode, struct argp_state *state)
{
    static const char *const names[] = {[GM_MATRIX_AUTO] = "auto", [GM_MATRIX_ON] = "on", [GM_MATRIX_OFF] = "off"};
    for (int i = 0; i <= GM_MATRIX_OFF; i++)
        if (!strcmp(text, names[i])) {
            *mode = (gm_matrix_mode)i;
            return;
        }
    argp_error(state, "--matrix %s: expected auto, on or off", text);
}

static error_t parse_train(int key, char *argument, struct argp_state *state)
{
    gm_train_arguments *a = state->input;
    switch (key) {
    case ARGP_KEY_INIT:
        state->child_inputs[0] = &a->common;
        return 0;
    case KEY_CONFIG:
        a->config = argument;
        return 0;
    case KEY_RECIPE:
        a->recipe = argument;
        return 0;
    case KEY_CHECKPOINT_DIR:
        a->checkpoint_dir = argument;
        return 0;
    case KEY_OVERWRITE:
        a->overwrite = true;
        return 0;
    case KEY_RESUME:
        a->resume = true;
        return 0;
    case KEY_PRINT_FREQ:
        set_number("print-freq", argument, 1, &a->print_freq, state);
        return 0;
    case KEY_EVAL_EVERY:
        set_number("eval-every", argument, 0, &a->eval_every, state);
        return 0;
    case KEY_SAVE_EVERY:
        set_number("save-every", argument, 1, &a->save_every, state);
        return 0;
    case KEY_KEEP:
        set_number("keep", argument, 0, &a->keep, state);
        return 0;
    case KEY_MAX_TIME:
        if (!gm_parse_duration(argument, &a->max_time))
            argp_error(state, "--max-time %s: expected a time as 90s, 15m or 8h", argument);
        return 0;
    case KEY_WORKERS:
        if (!gm_parse_int64(argument, 0, GM_LOADER_MOST_WORKERS, &a->workers))
            argp_error(state, "--workers %s: expected a whole number from 0 to %d", argument, GM_LOADER_MOST_WORKERS);
        return 0;
    case KEY_MATRIX:
        set_matrix(argument, &a->matrix, state);
        return 0;
    case KEY_DRY_RUN:
        a->dry_run = true;
        return 0;
    case KEY_NO_EVALUATION:
        a->no_evaluation = true;
        return 0;
    default:
        return gm_config_flag_parse(&a->flags, key, argument, state);
    }
}

/* Appends the table of defaults to the help. */
static char *filter_help(int key, const char *text, void *input)
{
    (void)input;
    if (key != ARGP_KEY_HELP_POST_DOC)
        return (char *)text;
    char *extended = NULL;
    size_t size;
    FILE *out = open_memstream(&extended, &size);
    if (!out)
        return (char *)text;
    fprintf(out, "%s\n", text);
    gm_config_print_defaults(out);
    return fclose(out) ? (char *)text : extended;
}

/* Appends the flags of the configuration, which come from its table; DATA is an argument, not a flag. */
static void list_fields(struct argp_option *options)
{
    int group = 1; /* that of run_options */
    for (int32_t i = 0; i < gm_config_field_count(); i++) {
        const gm_field *field = gm_config_field(i);
        for (int j = 0; j < SECTIONS; j++)
            if (!strcmp(sections[j].field, field->name))
                *options++ = (struct argp_option){0, 0, 0, 0, sections[j].heading, ++group};
        if (i != gm_config_find("data"))
            *options++ = gm_config_flag(i);
    }
}

static gm_status parse_arguments(int argc, char **argv, gm_train_arguments *a, gm_error *error)
{
    struct argp_option options[RUN_OPTIONS + SECTIONS + GM_CONFIG_MOST_FIELDS + 1] = {{0}};
    memcpy(options, run_options, sizeof run_options);
    list_fields(options + RUN_OPTIONS);
    const struct argp_child children[] = {{&gm_common_argp, 0, 0, 0}, {0}};
    const struct argp parser = {options, parse_train, "[DATA]", doc, children, filter_help, 0};
    return gm_command_parse(&parser, argc, argv, a, error);
}

static gm_status open_data(gm_context *context, gm_train_config *config, gm_dataset **dataset, gm_error *error)
{
    gm_dataset_options options;
    gm_config_data_options(config, &options);
    options.context = context;
    gm_status status = gm_command_dataset(config->data, &options, dataset, error);
    if (status == GM_OK)
        status = gm_config_resolve(config, *dataset, error);
    if (status == GM_OK)
        status = gm_config_check_rows(config, (*dataset)->train.rows, error);
    return status;
}

typedef struct train_job {
    const gm_train_arguments *arguments;
    const char *command_line;
    gm_train_config config;
    gm_context *context;
    gm_dataset *dataset;
    gm_trainer *trainer;
    char folder[GM_RUN_PATH];
    int lock; /* on the folder; -1: none */
} train_job;

/* Weights that are missing or unreadable count as bad data. */
static gm_status load_weights(const train_job *job, gm_error *error)
{
    gm_weights_report report;
    const char *path = job->config.init;
    const gm_status status = gm_weights_load(path, gm_trainer_model(job->trainer), &report, error);
    if (status == GM_OK && !job->arguments->common.quiet)
        printf("init: %d of %d arrays from %s; %lld of its tensors have no use\n", report.loaded,
               report.loaded + report.kept, path, (long long)report.unused);
    return status == GM_IO_ERROR ? GM_BAD_DATA : status;
}

static gm_status say_where_data_may_be(const train_job *job, gm_error *error)
{
    const gm_error reason = *error;
    return gm_error_set(error, GM_BAD_DATA,
                        "%.700s; if the data have moved: gemel train DATA --checkpoint-dir %.200s --resume",
                        reason.message, gm_train_resumed_folder(job->arguments));
}

/* Everything that a dry run needs, too. */
static gm_status prepare(train_job *job, gm_error *error)
{
    gm_status status = gm_train_settings(job->arguments, &job->config, error);
    if (status == GM_OK)
        status = gm_command_context(&job->arguments->common, &job->context, error);
    if (status != GM_OK)
        return status;
    status = open_data(job->context, &job->config, &job->dataset, error);
    if (status == GM_BAD_DATA && job->arguments->resume)
        return say_where_data_may_be(job, error);
    if (status == GM_OK && job->arguments->eval_every > 0)
        status = gm_online_check(job->dataset, error);
    if (status == GM_OK)
        status = gm_trainer_create(job->context, job->dataset, &job->config, &job->trainer, error);
    if (status == GM_OK && !job->arguments->resume && job->config.set[gm_config_find("init")])
        status = load_weights(job, error);
    return status;
}

static void say_differences(const train_job *job, const gm_checkpoint_state *was)
{
    const gm_isa own = gm_context_isa(job->context);
    if (was->isa != GM_ISA_AUTO && was->isa != own)
        fprintf(stderr,
                "gemel train: %s: its checkpoint was written with %s, this goes on with %s: the same training, but not "
                "the same bits as without the stop\n",
                job->folder, gm_isa_name(was->isa), gm_isa_name(own));
    if (was->rows > 0 && was->rows != job->dataset->train.rows)
        fprintf(stderr,
                "gemel train: %s: %s has %lld training rows, but the run began with %lld: it goes on with these\n",
                job->folder, job->config.data, (long long)job->dataset->train.rows, (long long)was->rows);
}

/* A run that was ended after its last step still has its evaluation before it. */
static gm_status resume(train_job *job, gm_error *error)
{
    gm_checkpoint_state was;
    char page[GM_RUN_PATH + 64];
    gm_status status = gm_trainer_resume(job->trainer, job->folder, &was, error);
    if (status != GM_OK)
        return status;
    gm_run_path(job->folder, "report.html", page);
    if (gm_trainer_is_done(job->trainer) && (job->arguments->no_evaluation || !access(page, F_OK)))
        return gm_error_set(error, GM_BAD_USAGE, "%s: all %lld epochs are done; pass --epochs with more to go on",
                            job->folder, (long long)job->config.epochs);
    say_differences(job, &was);
    return GM_OK;
}

static gm_status enter_folder(train_job *job, gm_error *error)
{
    const gm_train_arguments *a = job->arguments;
    gm_status status = GM_OK;
    if (a->resume)
        snprintf(job->folder, sizeof job->folder, "%s", gm_train_resumed_folder(a));
    else
        status = gm_run_folder_create(a->checkpoint_dir, job->dataset->name, a->overwrite, job->folder, error);
    if (status == GM_OK)
        status = gm_run_folder_lock(job->folder, &job->lock, error);
    if (status == GM_OK && a->resume)
        status = resume(job, error);
    return status == GM_OK ? gm_train_write_config(&job->config, job->folder, error) : status;
}

static gm_status train(train_job *job, gm_error *error)
{
    const gm_train_arguments *a = job->arguments;
    gm_progress progress;
    gm_progress_init(&progress, a->common.quiet ? NULL : stdout, a->matrix);
    const gm_trainer_run_options options = {
        .folder = job->folder,
        .command_line = job->command_line,
        .print_freq = a->print_freq,
        .save_every = a->save_every,
        .eval_every = a->eval_every,
        .keep = a->keep,
        .max_time = a->max_time,
        .workers = (int32_t)a->workers,
        .stop = gm_signals_caught(),
        .progress = &progress,
    };
    gm_signals_catch();
    const gm_status status = gm_trainer_run(job->trainer, &options, error);
    gm_signals_release();
    if (status == GM_OK)
        printf("checkpoint: %s/checkpoint.safetensors\nbackbone: %s/backbone.safetensors\n", job->folder, job->folder);
    return status;
}

/* The accuracies and the report; the results come last, for scripts to find. */
static gm_status judge(train_job *job, gm_error *error)
{
    const bool quiet = job->arguments->common.quiet;
    gm_evaluation_options options = gm_evaluation_default_options();
    options.probe.seed = (uint64_t)job->config.seed;
    gm_evaluation evaluation;
    gm_status status =
        gm_evaluate(job->context, job->dataset, gm_trainer_model(job->trainer), &options, &evaluation, error);
    if (status != GM_OK)
        return status;
    const gm_report report = {
        .name = job->folder,
        .command_line = job->command_line,
        .context = job->context,
        .config = &job->config,
        .dataset = job->dataset,
        .history = gm_trainer_history(job->trainer),
        .evaluation = &evaluation,
    };
    char page[GM_RUN_PATH + 64], picture[GM_RUN_PATH + 64], results[GM_RUN_PATH + 64];
    gm_run_path(job->folder, "report.html", page);
    gm_run_path(job->folder, "correlation.png", picture);
    gm_run_path(job->folder, "results.txt", results);
    status = gm_report_write_matrices(report.history, picture, error);
    if (status == GM_OK)
        status = gm_evaluation_write_results(&evaluation, job->dataset, results, error);
    if (status == GM_OK) /* last: where there is a report, --resume has nothing left to do */
        status = gm_report_write(&report, page, error);
    if (status != GM_OK)
        return status;
    if (!quiet)
        printf("seconds: training %.1f, evaluation %.1f\n", gm_trainer_seconds(job->trainer), evaluation.seconds);
    if (!quiet || !evaluation.measured)
        gm_evaluation_print_table(&evaluation, job->dataset, stdout);
    printf("report: %s\n", page);
    gm_evaluation_print_results(&evaluation, job->dataset, stdout);
    return GM_OK;
}

static gm_status run(train_job *job, gm_error *error)
{
    gm_status status = prepare(job, error);
    if (status == GM_OK && job->arguments->dry_run) {
        const int32_t workers = (int32_t)job->arguments->workers;
        gm_trainer_describe(job->trainer, workers, stdout);
        return gm_trainer_estimate(job->trainer, workers, stdout, error);
    }
    if (status == GM_OK)
        status = enter_folder(job, error);
    if (status == GM_OK && !gm_trainer_is_done(job->trainer))
        status = train(job, error);
    if (status == GM_OK && !job->arguments->no_evaluation)
        status = judge(job, error);
    return status;
}

gm_status gm_command_train(int argc, char **argv, gm_error *error)
{
    gm_train_arguments arguments = {.common = gm_common_defaults(), .print_freq = 100, .save_every = 1, .keep = 1};
    gm_config_init(&arguments.flags);
    char *command_line = gm_command_line(argc, argv); /* before argp changes the order */
    if (!command_line)
        return gm_error_set(error, GM_OUT_OF_MEMORY, "no memory for the command line");
    train_job job = {.arguments = &arguments, .command_line = command_line, .lock = -1};
    gm_status status = parse_arguments(argc, argv, &arguments, error);
    if (status == GM_OK)
        status = run(&job, error);
    gm_trainer_destroy(job.trainer);
    gm_dataset_close(job.dataset);
    gm_context_destroy(job.context);
    if (job.lock >= 0)
        close(job.lock);
    free(command_line);
    return status;
}
