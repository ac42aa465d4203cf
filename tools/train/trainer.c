#include "train/trainer.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "support/parse.h"
#include "train/backbone.h"
#include "train/checkpoint.h"
#include "train/collapse.h"
#include "train/evaluation.h"
#include "train/online.h"
#include "train/run_folder.h"
#include "train/run_log.h"
#include "train/run_state.h"
#include "train/schedule.h"
#include "train/step.h"

enum { VIEWS = GM_LOADER_VIEWS, LIVE_TILES = 32 };

struct gm_trainer {
    gm_context *context;
    const gm_dataset *dataset;
    const gm_train_config *config;
    gm_model_options model_options;
    gm_model *model;
    gm_optimizer *optimizer;
    gm_step stepper;

    int64_t dim, width; /* columns of a sample and of the embedding */
    int64_t steps_per_epoch, steps;
    float *statistics; /* [2, 2, width] means, then variances of the embedding, each per view */
    float live[LIVE_TILES * LIVE_TILES];
    gm_run_history history;

    /* The run. */
    const gm_trainer_run_options *run;
    gm_loader *loader;
    gm_run_log log;
    int64_t epoch, step, saved_step;
    bool stopping; /* before all epochs are done */
    bool warned;   /* of a collapse */
    double start, seconds;
    gm_history_epoch sums; /* of the present epoch */
    int64_t samples;       /* likewise */
    gm_history_point last; /* the latest step */
};

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
}

static int64_t min_i64(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static size_t max_size(size_t a, size_t b)
{
    return a > b ? a : b;
}

static void set_options(gm_trainer *t)
{
    const gm_train_config *config = t->config;
    t->model_options = gm_model_default_options(t->dim, config->micro_batch);
    t->model_options.arch = (gm_arch)config->arch;
    t->model_options.hidden_size = config->hidden_size;
    t->model_options.conv_width = config->conv_width;
    t->model_options.projection_dim = config->projection_dim;
    if (gm_arch_takes_images(t->model_options.arch)) {
        t->model_options.height = t->dataset->height;
        t->model_options.width = t->dataset->width;
        t->model_options.channels = t->dim / (t->dataset->height * t->dataset->width);
        t->model_options.stem = (gm_stem)config->stem;
        t->model_options.zero_init_residual = config->zero_init_residual;
    }
    t->model_options.projector_bias = config->projector_bias && config->arch != GM_ARCH_AXON;
    if (config->projector.count > 0 && config->arch != GM_ARCH_AXON) {
        t->model_options.projector = config->projector.width;
        t->model_options.projector_layers = config->projector.count;
    }
    t->model_options.views = VIEWS;
    t->model_options.accumulation = config->micro_batch < config->batch_size;
    t->model_options.recomputation = config->recompute;
    t->model_options.seed = (uint64_t)config->seed;
}

static gm_status create_model(gm_trainer *t, gm_error *error)
{
    gm_status status = gm_model_create(t->context, &t->model_options, &t->model);
    if (status != GM_OK)
        return gm_error_set(error, status,
                            "cannot build the model: %s; choose a smaller batch-size, micro-batch, hidden-size or "
                            "projection-dim",
                            gm_status_string(status));
    gm_optimizer_options options = gm_optimizer_default_options((gm_optimizer_kind)t->config->optimizer);
    options.weight_decay = (float)t->config->weight_decay;
    status = gm_optimizer_create(t->model, &options, &t->optimizer);
    if (status != GM_OK)
        return gm_error_set(error, status, "cannot build the optimiser: %s", gm_status_string(status));
    t->width = gm_model_output_size(t->model);
    return GM_OK;
}

/* Of what is computed of the embeddings beside the loss. */
static size_t workspace_needed(const gm_trainer *t, int64_t rows)
{
    const size_t tiles =
        gm_cross_correlation_tiles_f32_workspace(t->context, rows, t->width, min_i64(t->width, GM_HISTORY_MOST_TILES));
    const size_t live =
        gm_cross_correlation_tiles_f32_workspace(t->context, rows, t->width, min_i64(t->width, LIVE_TILES));
    return max_size(max_size(tiles, live), gm_collapse_workspace(t->context, rows, t->width));
}

/* Of a run that ends after step `last`. */
static gm_loader_options loader_options(const gm_trainer *t, int32_t workers, int64_t last)
{
    gm_loader_options options = gm_step_data(t->config, t->dataset, t->context);
    options.first = t->step;
    options.last = last;
    options.workers = workers;
    return options;
}

static size_t buffer_bytes(const gm_trainer *t, int32_t workers)
{
    const gm_loader_options loader = loader_options(t, workers, t->steps);
    return gm_step_bytes(&t->stepper) + sizeof(float) * (size_t)(2 * VIEWS * t->width) +
           sizeof(int64_t) * (size_t)gm_loader_rows(&loader) + gm_loader_memory(&loader);
}

static gm_status create_buffers(gm_trainer *t, gm_error *error)
{
    const gm_loader_options data = loader_options(t, 0, t->steps);
    const size_t workspace =
        max_size(workspace_needed(t, t->config->batch_size), workspace_needed(t, gm_loader_last_rows(&data)));
    t->statistics = calloc(2 * VIEWS * (size_t)t->width, sizeof *t->statistics);
    if (!t->statistics)
        return gm_error_set(error, GM_OUT_OF_MEMORY, "no memory for the statistics of %lld columns",
                            (long long)t->width);
    const gm_status status = gm_context_reserve(t->context, workspace);
    if (status != GM_OK)
        return gm_error_set(error, status,
                            "no memory for the cross-correlation (%zu bytes); choose a smaller batch-size", workspace);
    return gm_history_reserve_tiles(&t->history, min_i64(t->width, GM_HISTORY_MOST_TILES), error);
}

gm_status gm_trainer_create(gm_context *context, const gm_dataset *dataset, const gm_train_config *config,
                            gm_trainer **trainer, gm_error *error)
{
    *trainer = NULL;
    gm_trainer *t = calloc(1, sizeof *t);
    if (!t)
        return gm_error_set(error, GM_OUT_OF_MEMORY, "no memory for the trainer");
    gm_history_init(&t->history);
    t->context = context;
    t->dataset = dataset;
    t->config = config;
    t->dim = dataset->dim;
    const gm_loader_options data = gm_step_data(config, dataset, context);
    t->steps_per_epoch = gm_loader_batches(&data);
    t->steps = t->steps_per_epoch * config->epochs;
    set_options(t);
    gm_status status = create_model(t, error);
    if (status == GM_OK)
        status = gm_step_create(&t->stepper, context, dataset, config, t->model, t->optimizer, error);
    if (status == GM_OK)
        status = create_buffers(t, error);
    if (status != GM_OK)
        goto fail;
    *trainer = t;
    return GM_OK;
fail:
    gm_trainer_destroy(t);
    return status;
}

void gm_trainer_destroy(gm_trainer *t)
{
    if (!t)
        return;
    gm_loader_destroy(t->loader);
    gm_step_destroy(&t->stepper);
    gm_optimizer_destroy(t->optimizer);
    gm_model_destroy(t->model);
    gm_history_free(&t->history);
    free(t->statistics);
    free(t);
}

/* What a checkpoint says beside the arrays. */
static gm_checkpoint_state run_state(gm_trainer *t)
{
    return (gm_checkpoint_state){.epoch = t->epoch,
                                 .step = t->step,
                                 .isa = gm_context_isa(t->context),
                                 .rows = t->dataset->train.rows,
                                 .tiles = t->history.tiles,
                                 .first_tiles = t->history.first_tiles,
                                 .last_tiles = t->history.last_tiles};
}

static gm_run_parts run_parts(const gm_trainer *t)
{
    return (gm_run_parts){t->model, t->optimizer, &t->model_options, t->dataset};
}

gm_status gm_trainer_resume(gm_trainer *t, const char *folder, gm_checkpoint_state *was, gm_error *error)
{
    *was = run_state(t);
    const gm_run_parts parts = run_parts(t);
    const gm_status status = gm_run_state_load(folder, &parts, was, error);
    if (status != GM_OK)
        return status;
    t->epoch = was->epoch;
    t->step = t->saved_step = was->step;
    if (t->step / t->steps_per_epoch != t->epoch)
        return gm_error_set(error, GM_BAD_DATA,
                            "%s: its step %lld does not lie in epoch %lld of this configuration and data, which has "
                            "%lld training rows; give the data that it was trained on",
                            folder, (long long)t->step, (long long)t->epoch, (long long)t->dataset->train.rows);
    if (t->step > t->steps)
        return gm_error_set(error, GM_BAD_USAGE, "%s: %lld epochs are done already; pass more with --epochs", folder,
                            (long long)t->epoch);
    return gm_run_log_restore(folder, t->step, &t->history, error);
}

bool gm_trainer_is_done(const gm_trainer *t)
{
    return t->step == t->steps;
}

gm_model *gm_trainer_model(gm_trainer *t)
{
    return t->model;
}

const gm_run_history *gm_trainer_history(const gm_trainer *t)
{
    return &t->history;
}

double gm_trainer_seconds(const gm_trainer *t)
{
    return t->seconds;
}

static size_t data_bytes(const gm_dataset *dataset)
{
    const gm_split *train = &dataset->train;
    const size_t number = train->pixels ? sizeof(uint8_t) : train->features ? sizeof(float) : 0;
    const size_t label = dataset->classes > 0 ? sizeof(int32_t) : 0;
    return (size_t)(train->rows + dataset->test.rows) * ((size_t)dataset->dim * number + label);
}

static double loss_flops(const gm_trainer *t)
{
    const double n = (double)t->config->batch_size, d = (double)t->width;
    return 6 * n * d * fmin(n, d);
}

/* All micro-batches but the last go forward twice; forward is a third of forward and backward. */
static double step_flops(const gm_trainer *t)
{
    const int64_t batch = t->config->batch_size, last = (batch - 1) % t->config->micro_batch + 1;
    const double again = (double)(batch - last) / (double)batch / 3;
    return (double)gm_model_flops(t->model, VIEWS * batch) * (1 + again) + loss_flops(t);
}

void gm_trainer_describe(const gm_trainer *t, int32_t workers, FILE *out)
{
    int64_t trained = 0;
    fprintf(out, "data: %s, %lld training rows of %lld numbers\n", t->dataset->name, (long long)t->dataset->train.rows,
            (long long)t->dim);
    fprintf(out, "model: %s, %lld -> %lld features -> %lld\n", gm_arch_name(t->model_options.arch), (long long)t->dim,
            (long long)gm_model_feature_size(t->model), (long long)t->width);
    for (int32_t i = 0; i < gm_model_parameter_count(t->model); i++) {
        const gm_parameter parameter = gm_model_parameter(t->model, i);
        fprintf(out, "  %-28s", parameter.name);
        for (int32_t d = 0; d < parameter.dimensions; d++)
            fprintf(out, "%s%lld", d ? " x " : " ", (long long)parameter.shape[d]);
        fprintf(out, "%s\n", parameter.gradient ? "" : " (running statistics)");
        trained += parameter.gradient ? parameter.count : 0;
    }
    const double mib = 1 << 20, step = step_flops(t);
    int64_t states = 0;
    for (int32_t i = 0; i < gm_optimizer_state_count(t->optimizer); i++)
        states += gm_optimizer_state(t->optimizer, i).count;
    const double model = (double)gm_model_memory(t->model), optimizer = (double)states * sizeof(float);
    const double buffers = (double)buffer_bytes(t, workers), workspace = (double)gm_context_workspace(t->context);
    const double data = (double)data_bytes(t->dataset), all = model + optimizer + buffers + workspace + data;
    const double features = (double)gm_evaluation_memory(t->dataset, gm_model_feature_size(t->model));
    fprintf(out, "parameters: %lld\n", (long long)trained);
    fprintf(out, "memory: model %.1f MiB, optimiser %.1f MiB, batch %.1f MiB, workspace %.1f MiB, data %.1f MiB\n",
            model / mib, optimizer / mib, buffers / mib, workspace / mib, data / mib);
    fprintf(out, "memory: %.1f MiB in all, %.1f MiB with the features that are evaluated\n", all / mib,
            (all + features) / mib);
    fprintf(out, "steps: %lld epochs x %lld = %lld, batch %lld", (long long)t->config->epochs,
            (long long)t->steps_per_epoch, (long long)t->steps, (long long)t->config->batch_size);
    if (t->config->micro_batch < t->config->batch_size)
        fprintf(out, " in micro-batches of %lld", (long long)t->config->micro_batch);
    fprintf(out, "\noperations: %.4g GFLOP a step (loss %.2g), %.4g TFLOP in all\n", 1e-9 * step, 1e-9 * loss_flops(t),
            1e-12 * step * (double)t->steps);
}

/* Adds to what diverged where it was and what is left. */
static gm_status locate_divergence(const gm_trainer *t, gm_error *error)
{
    char path[GM_RUN_PATH + 64];
    const gm_error cause = *error;
    if (!t->run) /* an estimate */
        return gm_error_set(error, GM_DIVERGED, "step %lld: %s", (long long)t->step, cause.message);
    gm_run_path(t->run->folder, "checkpoint.safetensors", path);
    return gm_error_set(error, GM_DIVERGED, "step %lld (epoch %lld): %s; the last good checkpoint is %s (step %lld)",
                        (long long)t->step, (long long)t->epoch, cause.message, path, (long long)t->saved_step);
}

static gm_status save(gm_trainer *t, gm_error *error)
{
    for (int32_t i = 0; i < gm_model_parameter_count(t->model); i++) {
        const gm_parameter parameter = gm_model_parameter(t->model, i);
        if (!gm_step_all_finite(parameter.value, parameter.count)) {
            gm_step_diverged("a weight is", error);
            return locate_divergence(t, error);
        }
    }
    const gm_checkpoint_state state = run_state(t);
    const gm_run_parts parts = run_parts(t);
    const gm_status status = gm_run_state_save(t->run->folder, &parts, &state, t->saved_step, t->run->keep, error);
    t->saved_step = status == GM_OK ? t->step : t->saved_step;
    return status;
}

static gm_status internal(gm_status status, const char *what, gm_error *error)
{
    return gm_error_set(error, status, "%s: %s", what, gm_status_string(status));
}

static gm_status correlation_tiles(const gm_trainer *t, int64_t tiles, float *c, gm_error *error)
{
    const gm_status status = gm_cross_correlation_tiles_f32(
        t->context, t->stepper.rows, t->width, gm_step_embedding(&t->stepper, 0), t->width,
        gm_step_embedding(&t->stepper, 1), t->width, &t->stepper.loss, tiles, c, tiles);
    return status == GM_OK ? GM_OK : internal(status, "cross-correlation", error);
}

static gm_status train_step(gm_trainer *t, gm_error *error)
{
    const double begin = now();
    const gm_rates rates = gm_rates_at(t->config, t->steps_per_epoch, t->step);
    gm_step_result result;
    const gm_status status = gm_step_run(&t->stepper, t->loader, rates.weights, rates.biases, &result, error);
    if (status != GM_OK)
        return status == GM_DIVERGED ? locate_divergence(t, error) : status;
    const double seconds = now() - begin;
    t->last = (gm_history_point){.step = (double)t->step,
                                 .loss = result.loss,
                                 .invariance = result.invariance,
                                 .redundancy = result.redundancy,
                                 .lr_weights = rates.weights,
                                 .lr_biases = rates.biases,
                                 .images_per_second = (double)t->stepper.rows / seconds};
    gm_history_add_step(&t->history, &t->last);
    t->samples += t->stepper.rows;
    t->sums.steps++;
    t->sums.loss += result.loss;
    t->sums.invariance += result.invariance;
    t->sums.redundancy += result.redundancy;
    t->sums.seconds += seconds;
    t->sums.data_wait += result.data_wait;
    t->sums.constant_columns = result.constant_columns;
    return GM_OK;
}

static int ascending(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

gm_status gm_trainer_estimate(gm_trainer *t, int32_t workers, FILE *out, gm_error *error)
{
    enum { MOST = 99 };
    static const double long_enough = 1; /* seconds */
    double seconds[MOST];
    int steps = 0;
    const gm_loader_options data = loader_options(t, workers, t->step + MOST + 1);
    gm_status status = gm_loader_create(&data, &t->loader, error);
    if (status == GM_OK)
        status = train_step(t, error); /* warms the caches up and touches all memory */
    for (const double begin = now(); status == GM_OK && steps < MOST && (!steps || now() - begin < long_enough);) {
        const double before = now();
        status = train_step(t, error);
        seconds[steps++] = now() - before;
    }
    if (status != GM_OK)
        return status;
    qsort(seconds, (size_t)steps, sizeof *seconds, ascending);
    const double a_step = seconds[steps / 2];
    char all[64];
    gm_format_duration(all, sizeof all, a_step * (double)t->steps);
    fprintf(out, "time: %.1f ms a step (the median of %d), %s in all, without the evaluation\n", 1e3 * a_step, steps,
            all);
    return GM_OK;
}

static bool ending(const gm_trainer *t)
{
    return *t->run->stop || (t->run->max_time > 0 && now() - t->start >= t->run->max_time);
}

/* The progress after t->step steps; loss terms are those given. */
static gm_progress_state progress_state(const gm_trainer *t, double loss, double invariance, double redundancy)
{
    const double a_step = t->sums.seconds / (double)t->sums.steps;
    const gm_progress_state state = {
        .epoch = t->epoch,
        .epochs = t->config->epochs,
        .step = t->step,
        .steps = t->steps,
        .loss = loss,
        .invariance = invariance,
        .redundancy = redundancy,
        .images_per_second = (double)t->samples / t->sums.seconds,
        .lr = t->last.lr_weights,
        .data_share = t->sums.data_wait / t->sums.seconds,
        .remaining = a_step * (double)(t->steps - t->step),
        .width = t->width,
    };
    return state;
}

static gm_status add_picture(gm_trainer *t, gm_progress_state *state, gm_error *error)
{
    const int64_t tiles = min_i64(min_i64(t->run->progress->tiles, LIVE_TILES), t->width);
    if (tiles == 0)
        return GM_OK;
    state->tiles = tiles;
    state->c = t->live;
    return correlation_tiles(t, tiles, t->live, error);
}

static gm_status show_step(gm_trainer *t, gm_error *error)
{
    const double time = now();
    if (!gm_progress_due(t->run->progress, time))
        return GM_OK;
    gm_progress_state state = progress_state(t, t->last.loss, t->last.invariance, t->last.redundancy);
    const gm_status status = add_picture(t, &state, error);
    if (status == GM_OK)
        gm_progress_draw(t->run->progress, &state, time);
    return status;
}

/* Steps to the end of the epoch, or until the run is to end. */
static gm_status run_epoch(gm_trainer *t, gm_error *error)
{
    memset(&t->sums, 0, sizeof t->sums);
    t->samples = 0;
    for (int64_t i = t->step % t->steps_per_epoch; i < t->steps_per_epoch; i++) {
        gm_status status = train_step(t, error);
        if (status == GM_OK && t->step == 0)
            status = correlation_tiles(t, t->history.tiles, t->history.first_tiles, error);
        if (status == GM_OK && t->step % t->run->print_freq == 0)
            status = gm_run_log_step(&t->log, t->epoch, &t->last, now() - t->start, error);
        if (status != GM_OK)
            return status;
        t->step++;
        status = show_step(t, error);
        t->stopping = ending(t);
        if (status != GM_OK || t->stopping)
            return status;
    }
    return GM_OK;
}

/* The gradients are no longer needed and lend their memory. */
static gm_status watch_for_collapse(gm_trainer *t, gm_history_epoch *epoch, gm_error *error)
{
    const int64_t rows = t->stepper.rows;
    gm_status status = gm_collapse_measure(t->context, rows, t->width, gm_step_embedding(&t->stepper, 0), t->statistics,
                                           t->stepper.dz, epoch, error);
    if (status == GM_OK)
        status = correlation_tiles(t, t->history.tiles, t->history.last_tiles, error);
    if (status != GM_OK)
        return status;
    double diagonal, eps = t->config->normalization == GM_BARLOW_BATCHNORM ? t->config->eps : 0;
    char sign[GM_PROGRESS_WARNING];
    gm_matrix_means(t->history.last_tiles, t->history.tiles, &diagonal, &epoch->mean_off_diagonal);
    if (!t->warned && gm_collapse_sign(epoch, rows, t->width, eps, sign, sizeof sign)) {
        gm_progress_warn(t->run->progress, epoch->epoch, sign);
        t->warned = true;
    }
    return GM_OK;
}

/* Behind every so many whole epochs, whatever the run's end, so that it does not matter where it stopped. */
static bool evaluation_due(const gm_trainer *t)
{
    const int64_t every = t->run->eval_every;
    return every > 0 && t->step % t->steps_per_epoch == 0 && t->step / t->steps_per_epoch % every == 0;
}

static gm_status evaluate_epoch(gm_trainer *t, gm_history_epoch *epoch, gm_error *error)
{
    const gm_status status = gm_online_evaluate(t->context, t->dataset, t->model, (uint64_t)t->config->seed,
                                                &epoch->knn, &epoch->linear, error);
    if (status != GM_OK)
        return status;
    epoch->evaluated = true;
    double best = epoch->linear;
    for (int64_t i = 0; i < t->history.epoch_count; i++)
        best = fmax(best, t->history.epochs[i].linear);
    return gm_run_log_accuracies(&t->log, epoch, best, error);
}

static gm_status finish_epoch(gm_trainer *t, gm_error *error)
{
    const double steps = (double)t->sums.steps;
    gm_history_epoch epoch = t->sums;
    epoch.epoch = t->epoch;
    epoch.steps = t->step;
    epoch.loss /= steps;
    epoch.invariance /= steps;
    epoch.redundancy /= steps;
    epoch.images_per_second = (double)t->samples / epoch.seconds;
    gm_status status = watch_for_collapse(t, &epoch, error);
    if (status == GM_OK && evaluation_due(t))
        status = evaluate_epoch(t, &epoch, error);
    if (status == GM_OK)
        status = gm_history_add_epoch(&t->history, &epoch, error);
    if (status == GM_OK)
        status = gm_run_log_epoch(&t->log, &epoch, error);
    gm_progress_state state = progress_state(t, epoch.loss, epoch.invariance, epoch.redundancy);
    state.evaluated = epoch.evaluated;
    state.knn = epoch.knn;
    state.linear = epoch.linear;
    if (status == GM_OK)
        status = add_picture(t, &state, error);
    if (status != GM_OK)
        return status;
    t->epoch = t->step / t->steps_per_epoch; /* the same one if the run ends within it */
    const bool last = t->step == t->steps || t->stopping;
    gm_progress_epoch(t->run->progress, &state, last, now());
    return last || t->epoch % t->run->save_every == 0 ? save(t, error) : GM_OK;
}

gm_status gm_trainer_run(gm_trainer *t, const gm_trainer_run_options *options, gm_error *error)
{
    t->run = options;
    t->start = now();
    gm_status status = gm_run_log_open(&t->log, options->folder, options->command_line, t->step > 0, error);
    if (status != GM_OK)
        return status;
    const gm_loader_options data = loader_options(t, options->workers, t->steps);
    status = gm_loader_create(&data, &t->loader, error);
    if (status == GM_OK && t->step == 0)
        status = save(t, error);
    while (status == GM_OK && t->step < t->steps && !t->stopping) {
        status = run_epoch(t, error);
        if (status == GM_OK)
            status = finish_epoch(t, error);
    }
    gm_loader_destroy(t->loader);
    t->loader = NULL;
    gm_run_log_close(&t->log);
    t->seconds = now() - t->start;
    if (status != GM_OK)
        gm_progress_clear(options->progress);
    if (status == GM_OK && t->stopping && *options->stop)
        return gm_error_set(
            error, GM_INTERRUPTED,
            "stopped after step %lld; everything up to there is saved in %s; go on with: gemel train %s "
            "--resume",
            (long long)t->step, options->folder, options->folder);
    return status;
}
