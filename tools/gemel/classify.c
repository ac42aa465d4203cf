#include "classify.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "support/file.h"
#include "train/classifier.h"
#include "train/run_folder.h"
#include "train/softmax.h"

typedef struct classify_job {
    const gm_evaluate_arguments *data;
    const gm_classify_arguments *arguments;
    gm_evaluate_inputs inputs;
    gm_classifier_options options;
    int64_t *rows, count; /* training samples with labels */
    char folder[GM_RUN_PATH], classifier[GM_RUN_PATH + 64], stats_path[GM_RUN_PATH + 64]; /* empty: none */
    FILE *stats;
    int lock; /* on the folder; -1: none */
    gm_classifier_epoch last;
} classify_job;

static const char *mode_name(const classify_job *job)
{
    return job->options.finetune ? "finetune" : "freeze";
}

static void settle_options(classify_job *job)
{
    const gm_classify_arguments *a = job->arguments;
    const gm_evaluate_inputs *inputs = &job->inputs;
    gm_classifier_options *o = &job->options;
    gm_classifier_defaults(inputs->dataset, job->count, a->finetune,
                           inputs->has_augmentation ? &inputs->augmentation : NULL, o);
    o->lr_classifier = isnan(a->lr_classifier) ? o->lr_classifier : a->lr_classifier;
    o->lr_backbone = isnan(a->lr_backbone) ? o->lr_backbone : a->lr_backbone;
    o->weight_decay = isnan(a->weight_decay) ? o->weight_decay : a->weight_decay;
    o->epochs = a->epochs > 0 ? a->epochs : o->epochs;
    o->batch = a->batch_size > 0 ? a->batch_size : o->batch;
    o->test_every = a->eval_every > 0 ? a->eval_every : o->test_every;
    o->augmented = a->augment >= 0 ? a->augment : o->augmented;
    o->seed = job->data->options.probe.seed;
}

static gm_status draw_rows(classify_job *job, gm_error *error)
{
    const gm_dataset *dataset = job->inputs.dataset;
    const gm_split *train = &dataset->train;
    const bool all = job->arguments->labels_per_class == 0 && job->arguments->percent >= 100.0;
    if (dataset->classes < 1 || !train->labels || dataset->test.rows < 1)
        return gm_error_set(error, GM_BAD_DATA, "%s has no %s", dataset->name,
                            train->labels ? "test samples; set some apart with --val-split 0.2"
                                          : "labels; give them with --labels FILE");
    job->rows = malloc(sizeof *job->rows * (size_t)train->rows);
    if (!job->rows)
        return gm_error_set(error, GM_OUT_OF_MEMORY, "no memory for the numbers of %lld samples",
                            (long long)train->rows);
    job->count = train->rows;
    for (int64_t i = 0; i < train->rows && all; i++)
        job->rows[i] = i;
    return all ? GM_OK
               : gm_draw_rows(train->rows, train->labels, dataset->classes, job->arguments->labels_per_class,
                              job->arguments->percent, job->data->options.probe.seed, job->rows, &job->count, error);
}

/* The folder that is named, or the run's, to which another process may be writing. */
static gm_status open_folder(classify_job *job, gm_error *error)
{
    const gm_classify_arguments *a = job->arguments;
    const char *folder = a->folder ? a->folder : job->data->weights;
    struct stat about;
    gm_status status = GM_OK;
    if (a->folder)
        status = gm_run_folder_make(folder, error);
    else if (stat(folder, &about) || !S_ISDIR(about.st_mode))
        folder = NULL;
    if (status == GM_OK && folder)
        status = gm_run_folder_lock(folder, &job->lock, error);
    if (status == GM_OK && folder) {
        snprintf(job->folder, sizeof job->folder, "%s", folder);
        gm_run_path(folder, "stats.txt", job->stats_path);
        gm_run_path(folder, "classifier.safetensors", job->classifier);
        job->stats = fopen(job->stats_path, "a");
        if (!job->stats)
            return gm_file_error(error, job->stats_path, "write", errno);
        fprintf(job->stats, "%s\n", a->command_line);
    }
    if (a->save_head)
        snprintf(job->classifier, sizeof job->classifier, "%s", a->save_head);
    return status;
}

/* In percent, and under Facebook's names. */
static gm_status write_stats(const classify_job *job, const gm_classifier_epoch *e, gm_error *error)
{
    const bool top5 = job->inputs.dataset->classes > GM_TOP;
    if (!job->stats || !e->tested)
        return GM_OK;
    fprintf(job->stats, "{\"epoch\": %d, \"acc1\": %.4f", e->epoch, 100.0 * e->acc1);
    if (top5)
        fprintf(job->stats, ", \"acc5\": %.4f", 100.0 * e->acc5);
    fprintf(job->stats, ", \"best_acc1\": %.4f", 100.0 * e->best1);
    if (top5)
        fprintf(job->stats, ", \"best_acc5\": %.4f", 100.0 * e->best5);
    fprintf(job->stats, "}\n");
    if (fflush(job->stats) || ferror(job->stats))
        return gm_file_error(error, job->stats_path, "write", errno);
    return GM_OK;
}

static gm_status show_epoch(void *arg, const gm_classifier_epoch *e, gm_error *error)
{
    classify_job *job = arg;
    job->last = *e;
    if (!job->data->common.quiet) {
        printf("epoch %d/%d  loss %.4f", e->epoch + 1, job->options.epochs, e->loss);
        if (e->tested)
            printf("  top 1 %.4f", e->acc1);
        if (e->tested && job->inputs.dataset->classes > GM_TOP)
            printf("  top 5 %.4f", e->acc5);
        if (e->tested)
            printf("  best %.4f", e->best1);
        printf("  %.1f s\n", e->seconds);
        fflush(stdout);
    }
    return write_stats(job, e, error);
}

static void say_protocol(const classify_job *job)
{
    const gm_classifier_options *o = &job->options;
    const gm_dataset *dataset = job->inputs.dataset;
    printf("%s: %lld of %lld training samples of %s with labels, %d classes, %lld test samples\n", mode_name(job),
           (long long)job->count, (long long)dataset->train.rows, dataset->name, dataset->classes,
           (long long)dataset->test.rows);
    printf("%d epochs, batch %lld, learning rate %g", o->epochs, (long long)o->batch, o->lr_classifier);
    if (o->finetune)
        printf(" of the classifier, %g of the encoder", o->lr_backbone);
    printf(", weight decay %g, %s\n", o->weight_decay, o->augmented ? "random crops and flips" : "samples as they are");
}

static gm_status show_results(const classify_job *job, gm_error *error)
{
    const gm_dataset *dataset = job->inputs.dataset;
    const char *baseline = gm_evaluation_baseline_name(dataset);
    gm_probe_options probe = gm_probe_default_options();
    gm_probe_result raw;
    probe.seed = job->options.seed;
    if (baseline) {
        const gm_status status =
            gm_evaluate_raw_linear(job->inputs.context, dataset, job->rows, job->count, &probe, &raw, error);
        if (status != GM_OK)
            return status;
    }
    if (*job->classifier)
        printf("classifier: %s\n", job->classifier);
    if (dataset->classes > GM_TOP)
        printf("top 5 %.4f, best %.4f\n", job->last.acc5, job->last.best5);
    printf("%s %.4f, best %.4f", mode_name(job), job->last.acc1, job->last.best1);
    if (baseline)
        printf(" (%s, linear probe %.4f)", baseline, raw.top1);
    printf("\n");
    return GM_OK;
}

static gm_status classify(classify_job *job, gm_error *error)
{
    gm_evaluate_inputs *inputs = &job->inputs;
    const gm_classifier_observer observer = {show_epoch, job};
    gm_head head = {0};
    gm_status status = draw_rows(job, error);
    if (status != GM_OK)
        return status;
    settle_options(job);
    status =
        gm_classifier_load(inputs->context, job->data->weights, inputs->dataset, &job->options, &inputs->model, error);
    if (status == GM_OK)
        status = open_folder(job, error);
    if (status != GM_OK)
        return status;
    if (!job->data->common.quiet)
        say_protocol(job);
    status = gm_classifier_train(inputs->context, inputs->dataset, job->rows, job->count, inputs->model, &job->options,
                                 &observer, &head, error);
    if (status == GM_OK && *job->classifier)
        status = gm_head_save(&head, job->data->weights, inputs->model, inputs->dataset, job->classifier, error);
    gm_head_free(&head);
    return status == GM_OK ? show_results(job, error) : status;
}

gm_status gm_classify_run(const gm_evaluate_arguments *data, const gm_classify_arguments *arguments, gm_error *error)
{
    classify_job job = {.data = data, .arguments = arguments, .lock = -1};
    gm_status status = gm_evaluate_open_data(data, &job.inputs, error);
    if (status != GM_OK)
        return status;
    status = classify(&job, error);
    if (job.stats)
        fclose(job.stats);
    if (job.lock >= 0)
        close(job.lock);
    free(job.rows);
    gm_evaluate_close(&job.inputs);
    return status;
}
