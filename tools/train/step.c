#include "train/step.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { VIEWS = GM_LOADER_VIEWS };

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
}

static bool is_fb(const gm_train_config *config)
{
    return config->compat == GM_COMPAT_FB;
}

static bool in_pieces(const gm_train_config *config)
{
    return config->micro_batch < config->batch_size;
}

/* Each of Facebook's processes takes as many samples as any other, and the last batch is not dropped. */
gm_loader_options gm_step_data(const gm_train_config *config, const gm_dataset *dataset, gm_context *context)
{
    const gm_loader_options options = {
        .dataset = dataset,
        .split = &dataset->train,
        .augmentation = &config->augmentation,
        .seed = (uint64_t)config->seed,
        .batch = config->batch_size,
        .chunk = config->micro_batch,
        .again = in_pieces(config),
        .keep_last = is_fb(config),
        .multiple = is_fb(config) ? config->world_size : 1,
        .context = context,
    };
    return options;
}

static gm_barlow_options loss_options(const gm_train_config *config)
{
    gm_barlow_options options = gm_barlow_default_options();
    options.normalization = (gm_barlow_normalization)config->normalization;
    options.eps = (float)config->eps;
    options.lambda = (float)config->lambd;
    options.scale = (float)config->scale_loss;
    if (is_fb(config))
        options.divisor = (double)config->batch_size;
    return options;
}

static gm_status reserve_workspace(const gm_step *s, const gm_dataset *dataset, gm_error *error)
{
    const gm_loader_options data = gm_step_data(s->config, dataset, s->context);
    const int64_t rows[] = {s->config->batch_size, gm_loader_last_rows(&data)};
    gm_status status = GM_OK;
    size_t bytes = 0;
    for (int i = 0; i < 2 && status == GM_OK; i++) {
        bytes = gm_barlow_loss_f32_workspace(s->context, rows[i], s->width, &s->loss, true);
        status = gm_context_reserve(s->context, bytes);
    }
    if (status == GM_OK)
        return GM_OK;
    return gm_error_set(error, status, "no memory for the loss (%zu bytes); choose a smaller batch-size", bytes);
}

size_t gm_step_bytes(const gm_step *s)
{
    const int64_t rows = 2 * s->config->batch_size + (in_pieces(s->config) ? s->config->micro_batch : 0);
    return sizeof(float) * (size_t)(VIEWS * rows * s->width);
}

gm_status gm_step_create(gm_step *s, gm_context *context, const gm_dataset *dataset, const gm_train_config *config,
                         gm_model *model, gm_optimizer *optimizer, gm_error *error)
{
    *s = (gm_step){.context = context,
                   .config = config,
                   .model = model,
                   .optimizer = optimizer,
                   .loss = loss_options(config),
                   .dim = dataset->dim,
                   .width = gm_model_output_size(model)};
    const size_t floats = (size_t)(VIEWS * config->batch_size * s->width);
    const size_t part = (size_t)(VIEWS * config->micro_batch * s->width);
    s->z = calloc(floats, sizeof *s->z);
    s->dz = calloc(floats, sizeof *s->dz);
    s->part = in_pieces(config) ? calloc(part, sizeof *s->part) : NULL;
    gm_status status = GM_OK;
    if (!s->z || !s->dz || (in_pieces(config) && !s->part))
        status =
            gm_error_set(error, GM_OUT_OF_MEMORY,
                         "no memory for the embeddings (%zu bytes); choose a smaller batch-size", gm_step_bytes(s));
    if (status == GM_OK)
        status = reserve_workspace(s, dataset, error);
    if (status != GM_OK)
        gm_step_destroy(s);
    return status;
}

void gm_step_destroy(gm_step *s)
{
    free(s->z);
    free(s->dz);
    free(s->part);
    s->z = s->dz = s->part = NULL;
}

bool gm_step_all_finite(const float *values, int64_t count)
{
    int64_t wrong = 0;
    for (int64_t i = 0; i < count; i++)
        wrong += !isfinite(values[i]);
    return wrong == 0;
}

gm_status gm_step_diverged(const char *what, gm_error *error)
{
    return gm_error_set(error, GM_DIVERGED, "%s NaN or infinity; lower the learning rate or lengthen the warm-up",
                        what);
}

/* Finds out whether a value that is not finite came with the data. */
static gm_status find_cause(const gm_step *s, const char *what, gm_error *error)
{
    const int64_t rows = s->data.end - s->data.begin;
    for (int64_t i = 0; i < VIEWS * rows; i++)
        if (!gm_step_all_finite(s->data.x + i * s->dim, s->dim))
            return gm_error_set(error, GM_DIVERGED, "training row %lld holds NaN or infinity; correct or remove it",
                                (long long)s->data.rows[i % rows]);
    return gm_step_diverged(what, error);
}

static gm_status internal(gm_status status, const char *what, gm_error *error)
{
    return gm_error_set(error, status, "%s: %s", what, gm_status_string(status));
}

static bool is_last(const gm_loader_chunk *chunk)
{
    return chunk->end == chunk->batch_rows;
}

static bool is_whole(const gm_loader_chunk *chunk)
{
    return chunk->begin == 0 && is_last(chunk);
}

/* Between the rows of a micro-batch and its rows among all: views lie one below the other in both. */
static void copy_part(const gm_step *s, float *all, bool to_all)
{
    const int64_t rows = s->data.end - s->data.begin;
    const size_t bytes = (size_t)(rows * s->width) * sizeof(float);
    for (int32_t view = 0; view < VIEWS; view++) {
        float *of_all = all + (view * s->rows + s->data.begin) * s->width;
        float *of_part = s->part + view * rows * s->width;
        memcpy(to_all ? of_all : of_part, to_all ? of_part : of_all, bytes);
    }
}

static gm_status next_data(gm_step *s, gm_loader *loader, gm_step_result *result, gm_error *error)
{
    const double begin = now();
    const gm_status status = gm_loader_next(loader, &s->data, error);
    result->data_wait += now() - begin;
    s->rows = s->data.batch_rows;
    return status;
}

/* A micro-batch's way through the network; its embeddings are kept the first time. */
static gm_status forward(gm_step *s, gm_error *error)
{
    const int64_t rows = s->data.end - s->data.begin;
    const bool whole = is_whole(&s->data);
    float *z = whole ? s->z : s->part;
    gm_status status;
    if (s->data.pass == 0)
        status = gm_model_forward_f32(s->model, VIEWS, rows, s->data.x, s->dim, z, s->width);
    else
        status = gm_model_recompute_f32(s->model, VIEWS, rows, s->data.x, s->dim, z, s->width);
    if (status == GM_OK && !whole && !gm_step_all_finite(z, VIEWS * rows * s->width))
        status = GM_NOT_FINITE; /* as long as its data are here */
    if (status == GM_NOT_FINITE)
        return find_cause(s, "the model's output holds", error);
    if (status != GM_OK)
        return internal(status, "forward pass", error);
    if (!whole && s->data.pass == 0)
        copy_part(s, s->z, true);
    return GM_OK;
}

/* Each of Facebook's processes has the gradient of the whole loss with respect to its own samples. Where the sum of
 * them is wanted they take the mean: gradients, not the loss, are divided by the number of processes. */
static gm_status compute_loss(gm_step *s, gm_step_result *result, gm_error *error)
{
    const int64_t half = s->rows * s->width;
    const double world = is_fb(s->config) ? (double)s->config->world_size : 1;
    gm_barlow_options options = s->loss;
    options.scale = (float)((double)options.scale / world);
    gm_barlow_result loss = {.size = sizeof loss};
    const gm_status status = gm_barlow_loss_f32(s->context, s->rows, s->width, s->z, s->width, s->z + half, s->width,
                                                &options, &loss, s->dz, s->width, s->dz + half, s->width);
    if (status == GM_NOT_FINITE || (status == GM_OK && !isfinite(loss.loss)))
        return find_cause(s, "the loss is", error);
    if (status != GM_OK)
        return internal(status, "loss", error);
    result->loss = world * loss.loss;
    result->invariance = world * loss.invariance;
    result->redundancy = world * loss.redundancy;
    result->constant_columns = loss.constant_columns;
    return GM_OK;
}

static gm_status backward(gm_step *s, gm_error *error)
{
    float *dz = is_whole(&s->data) ? s->dz : s->part;
    if (dz == s->part)
        copy_part(s, s->dz, false);
    const gm_status status = s->data.pass == 0 ? gm_model_backward_f32(s->model, dz, s->width)
                                               : gm_model_accumulate_f32(s->model, dz, s->width);
    if (status == GM_NOT_FINITE)
        return gm_step_diverged("a gradient is", error);
    return status == GM_OK ? GM_OK : internal(status, "backward pass", error);
}

/* All micro-batches go forward; the last one, whose activations are there, goes backward; then each of the others goes
 * forward again and backward. */
gm_status gm_step_run(gm_step *s, gm_loader *loader, double rate_weights, double rate_biases, gm_step_result *result,
                      gm_error *error)
{
    gm_status status;
    *result = (gm_step_result){.data_wait = 0};
    do {
        status = next_data(s, loader, result, error);
        if (status == GM_OK)
            status = forward(s, error);
    } while (status == GM_OK && !is_last(&s->data));
    if (status == GM_OK)
        status = compute_loss(s, result, error);
    if (status == GM_OK)
        status = backward(s, error);
    const int64_t others = s->data.begin; /* rows in micro-batches before the last one */
    for (int64_t done = 0; status == GM_OK && done < others; done = s->data.end) {
        status = next_data(s, loader, result, error);
        if (status == GM_OK)
            status = forward(s, error);
        if (status == GM_OK)
            status = backward(s, error);
    }
    if (status != GM_OK)
        return status;
    status = gm_optimizer_step(s->optimizer, (float)rate_weights, (float)rate_biases);
    if (status == GM_NOT_FINITE)
        return gm_step_diverged("a gradient is", error);
    return status == GM_OK ? GM_OK : internal(status, "optimiser", error);
}
