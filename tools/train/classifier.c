#include "train/classifier.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <gemel/gemm.h>
#include <gemel/optimizer.h>

#include "support/random.h"
#include "train/backbone.h"
#include "train/evaluation.h"
#include "train/softmax.h"

/* --- defaults -------------------------------------------------------------------------------------------------- */

/* Facebook's: 100 epochs for a classifier alone, 20 for the encoder with 1 and 10 % of ImageNet's labels. */
static const struct protocol {
    bool finetune, small; /* small: everything but photographs */
    double lr_classifier, lr_backbone, weight_decay;
    int32_t epochs;
    int64_t batch;
} protocols[] = {
    {false, false, 0.3, 0.0, 1e-6, 100, 256},
    {false, true, 0.3, 0.0, 1e-6, 100, 256},
    {true, false, 0.5, 0.005, 0.0, 20, 256},
    {true, true, 0.05, 0.01, 1e-4, 30, 64},
};

/* With fewer labels than this ImageNet's batch would make a handful of steps: this one makes enough, at rates in
 * proportion. */
enum { FEW_LABELS = 10000, FEW_LABELS_BATCH = 32 };

/* Small images stand as they are tested: crops as small as a run's take accuracy. */
static const float least_small_crop = 0.8f;

/* Images up to this size are no photographs. */
enum { MOST_SMALL_SIDE = 64, PROTOCOLS = sizeof protocols / sizeof *protocols };

/* Samples in the network at a time: the batch of one of Facebook's GPUs, and more where samples are small. */
static int64_t usual_micro_batch(const gm_dataset *dataset)
{
    enum { FEWEST = 32, MOST_NUMBERS = 1 << 20 };
    return MOST_NUMBERS / dataset->dim < FEWEST ? FEWEST : MOST_NUMBERS / dataset->dim;
}

/* An encoder in training gives the test samples other features after each epoch: a test that takes longer than the
 * epoch, whose samples go forward and, at twice the price, backward, waits for others. */
static int64_t usual_test_every(const gm_dataset *dataset, int64_t rows, bool finetune)
{
    enum { PASSES = 3 };
    return finetune ? 1 + (dataset->test.rows - 1) / (PASSES * rows) : 1;
}

static gm_augmentation usual_augmentation(const gm_dataset *dataset, bool small)
{
    gm_augmentation augmentation;
    gm_augmentation_preset(dataset->kind == GM_DATA_GRAY_IMAGES ? "fashion"
                           : small                              ? "cifar"
                                                                : "imagenet",
                           &augmentation, NULL);
    return augmentation;
}

void gm_classifier_defaults(const gm_dataset *dataset, int64_t rows, bool finetune, const gm_augmentation *own,
                            gm_classifier_options *options)
{
    const bool small = dataset->height <= MOST_SMALL_SIDE && dataset->width <= MOST_SMALL_SIDE;
    int i = 0;
    while (i < PROTOCOLS - 1 && (protocols[i].finetune != finetune || protocols[i].small != small))
        i++;
    const struct protocol *p = &protocols[i];
    const int64_t batch = finetune && !small && rows < FEW_LABELS ? FEW_LABELS_BATCH : p->batch;
    const double share = (double)batch / (double)p->batch;
    const gm_augmentation from = own ? *own : usual_augmentation(dataset, small);
    *options = (gm_classifier_options){
        .finetune = finetune,
        .augmented = dataset->kind != GM_DATA_VECTORS,
        .lr_classifier = p->lr_classifier * share,
        .lr_backbone = p->lr_backbone * share,
        .momentum = 0.9,
        .weight_decay = p->weight_decay,
        .epochs = p->epochs,
        .test_every = (int32_t)usual_test_every(dataset, rows, finetune),
        .batch = batch,
        .micro_batch = usual_micro_batch(dataset),
    };
    gm_augmentation_preset("none", &options->augmentation, NULL);
    options->augmentation.crop_probability = from.crop_probability;
    options->augmentation.crop_scale_min = small ? fmaxf(from.crop_scale_min, least_small_crop) : from.crop_scale_min;
    options->augmentation.crop_scale_max = from.crop_scale_max;
    options->augmentation.crop_ratio_min = from.crop_ratio_min;
    options->augmentation.crop_ratio_max = from.crop_ratio_max;
    options->augmentation.flip_probability = from.flip_probability;
}

static int64_t piece_rows(const gm_classifier_options *o)
{
    return o->micro_batch < o->batch ? o->micro_batch : o->batch;
}

/* --- the network ----------------------------------------------------------------------------------------------- */

gm_status gm_classifier_load(gm_context *context, const char *weights, gm_dataset *dataset,
                             const gm_classifier_options *o, gm_model **model, gm_error *error)
{
    gm_pixel_scale scale;
    gm_status status;
    *model = NULL;
    if (dataset->classes < 1)
        return gm_error_set(error, GM_BAD_DATA, "%s has no labels; give them with --labels FILE", dataset->name);
    if (o->finetune)
        status = gm_backbone_load_training(context, weights, dataset->height, dataset->width, piece_rows(o),
                                           dataset->classes, o->micro_batch < o->batch, model, &scale, error);
    else
        status =
            gm_backbone_load(context, weights, dataset->height, dataset->width, piece_rows(o), model, &scale, error);
    if (status == GM_OK && gm_model_input_size(*model) != dataset->dim) {
        status = gm_error_set(error, GM_BAD_DATA, "%s takes samples of %lld numbers, but those of %s have %lld",
                              weights, (long long)gm_model_input_size(*model), dataset->name, (long long)dataset->dim);
        gm_model_destroy(*model);
        *model = NULL;
    }
    if (status == GM_OK)
        gm_pixel_scale_use(&scale, dataset);
    return status;
}

/* What a step changes. */
struct trained {
    float *value, *gradient, *velocity; /* [count] */
    int64_t count;
    bool of_classifier;
};

struct classifier {
    gm_context *context;
    const gm_dataset *dataset;
    gm_model *model;
    const gm_classifier_options *o;
    int64_t dim; /* of the features */
    int32_t classes;

    struct trained *trained;
    int32_t trained_count;
    float *velocities;
    float *own;           /* weight, bias and their gradients; without finetune, where the model has none */
    float *weight, *bias; /* [classes, dim], [classes] */

    /* A piece of a batch. */
    float *x, *features; /* [micro batch, dim of a sample], [micro batch, dim] */
    float *logits;       /* [most rows, classes] */
    double *losses;      /* likewise: [most rows] */
    int32_t *labels;

    int64_t *order, *rows;                 /* [count] an epoch's order, and the training samples in it */
    float *train_features, *test_features; /* the former only where no epoch changes them */
    bool tested;                           /* test_features are there and do not change */
};

static gm_status no_memory(gm_error *error, const char *what)
{
    return gm_error_set(error, GM_OUT_OF_MEMORY, "no memory for %s; choose a smaller --batch-size", what);
}

static bool keeps_features(const gm_classifier_options *o)
{
    return !o->finetune && !o->augmented;
}

/* The model's parameters, the classifier's in the projector's place. */
static bool list_model(struct classifier *c)
{
    const int32_t most = gm_model_parameter_count(c->model);
    int64_t floats = 0;
    c->trained = calloc((size_t)most, sizeof *c->trained);
    for (int32_t i = 0; i < most && c->trained; i++) {
        const gm_parameter p = gm_model_parameter(c->model, i);
        const bool own = strncmp(p.name, "projector.", 10) == 0;
        if (!p.gradient)
            continue;
        if (own)
            *(p.dimensions == 1 ? &c->bias : &c->weight) = p.value;
        c->trained[c->trained_count++] = (struct trained){p.value, p.gradient, NULL, p.count, own};
        floats += p.count;
    }
    c->velocities = calloc((size_t)floats, sizeof *c->velocities);
    for (int32_t i = 0, at = 0; i < c->trained_count && c->velocities; at += c->trained[i++].count)
        c->trained[i].velocity = c->velocities + at;
    return c->trained && c->velocities;
}

static bool list_own(struct classifier *c)
{
    enum { ARRAYS = 2, VALUE_AND_GRADIENT = 2 };
    const int64_t weights = c->classes * c->dim, floats = weights + c->classes;
    c->trained = calloc(ARRAYS, sizeof *c->trained);
    c->own = calloc(VALUE_AND_GRADIENT * (size_t)floats, sizeof *c->own);
    c->velocities = calloc((size_t)floats, sizeof *c->velocities);
    if (!c->trained || !c->own || !c->velocities)
        return false;
    c->weight = c->own;
    c->bias = c->own + weights;
    c->trained[0] = (struct trained){c->weight, c->own + floats, c->velocities, weights, true};
    c->trained[1] = (struct trained){c->bias, c->own + floats + weights, c->velocities + weights, c->classes, true};
    c->trained_count = ARRAYS;
    return true;
}

static gm_status allocate(struct classifier *c, int64_t count, gm_error *error)
{
    const int64_t piece = piece_rows(c->o), test = c->dataset->test.rows, most = piece > test ? piece : test;
    const bool kept = keeps_features(c->o);
    if (!(c->o->finetune ? list_model(c) : list_own(c)))
        return no_memory(error, "the classifier");
    c->x = malloc(sizeof(float) * (size_t)(piece * c->dataset->dim));
    c->features = malloc(sizeof(float) * (size_t)(piece * c->dim));
    c->logits = malloc(sizeof(float) * (size_t)(most * c->classes));
    c->losses = malloc(sizeof(double) * (size_t)piece);
    c->labels = malloc(sizeof(int32_t) * (size_t)piece);
    c->order = malloc(sizeof(int64_t) * (size_t)count);
    c->rows = malloc(sizeof(int64_t) * (size_t)count);
    c->test_features = malloc(sizeof(float) * (size_t)(test * c->dim));
    c->train_features = kept ? malloc(sizeof(float) * (size_t)(c->dataset->train.rows * c->dim)) : NULL;
    if (!c->x || !c->features || !c->logits || !c->losses || !c->labels || !c->order || !c->rows || !c->test_features ||
        (kept && !c->train_features))
        return no_memory(error, "features and batches");
    return GM_OK;
}

static void release(struct classifier *c)
{
    free(c->trained);
    free(c->velocities);
    free(c->own);
    free(c->x);
    free(c->features);
    free(c->logits);
    free(c->losses);
    free(c->labels);
    free(c->order);
    free(c->rows);
    free(c->train_features);
    free(c->test_features);
}

static void initialize(struct classifier *c)
{
    static const float deviation = 0.01f;
    gm_random stream = gm_random_stream(c->o->seed, 0, 0, 0, GM_RANDOM_PROBE);
    for (int64_t i = 0; i < c->classes * c->dim; i++)
        c->weight[i] = deviation * gm_random_normal(&stream);
    memset(c->bias, 0, sizeof(float) * (size_t)c->classes);
}

/* --- training -------------------------------------------------------------------------------------------------- */

static gm_status internal(gm_status status, const char *what, gm_error *error)
{
    if (status == GM_OK)
        return GM_OK;
    if (status == GM_NOT_FINITE)
        return gm_error_set(error, GM_DIVERGED,
                            "%s: NaN or infinity; lower --lr-classifier, or --lr-backbone where the encoder is trained",
                            what);
    return gm_error_set(error, status, "%s: %s", what, gm_status_string(status));
}

static gm_status classify(const struct classifier *c, int64_t rows, const float *features, gm_error *error)
{
    gm_gemm_options options = gm_gemm_default_options();
    options.bias = c->bias;
    gm_status status =
        gm_context_reserve(c->context, gm_gemm_fused_f32_workspace(c->context, GM_NO_TRANSPOSE, GM_TRANSPOSE, rows,
                                                                   c->classes, c->dim, &options));
    if (status == GM_OK)
        status = gm_gemm_fused_f32(c->context, GM_NO_TRANSPOSE, GM_TRANSPOSE, rows, c->classes, c->dim, 1.0f, features,
                                   c->dim, c->weight, c->dim, 0.0f, c->logits, c->classes, &options);
    return internal(status, "classifier", error);
}

/* Logits of a piece of a batch. */
static gm_status forward(struct classifier *c, int32_t epoch, const int64_t *rows, int64_t count, gm_error *error)
{
    const gm_split *train = &c->dataset->train;
    const int64_t dim = c->dataset->dim;
    gm_status status = GM_OK;
    for (int64_t i = 0; i < count; i++)
        c->labels[i] = train->labels[rows[i]];
    for (int64_t i = 0; i < count && c->train_features; i++)
        memcpy(c->features + i * c->dim, c->train_features + rows[i] * c->dim, sizeof(float) * (size_t)c->dim);
    if (c->train_features)
        return classify(c, count, c->features, error);
    if (c->o->augmented)
        status = gm_dataset_view_f32(c->dataset, train, c->context, &c->o->augmentation, c->o->seed, epoch, 0, rows,
                                     count, c->x, dim, error);
    else
        status = gm_dataset_plain_f32(c->dataset, train, c->context, rows, count, c->x, dim, error);
    if (status != GM_OK)
        return status;
    if (c->o->finetune)
        return internal(gm_model_forward_f32(c->model, 1, count, c->x, dim, c->logits, c->classes), "forward pass",
                        error);
    status = gm_model_features_f32(c->model, count, c->x, dim, c->features, c->dim);
    return status == GM_OK ? classify(c, count, c->features, error) : internal(status, "features", error);
}

/* Gradients of the parameters from those of the logits; added to what is there unless `first`. */
static gm_status backward(struct classifier *c, int64_t count, bool first, gm_error *error)
{
    if (c->o->finetune)
        return internal(first ? gm_model_backward_f32(c->model, c->logits, c->classes)
                              : gm_model_accumulate_f32(c->model, c->logits, c->classes),
                        "backward pass", error);
    float *bias = c->trained[1].gradient;
    for (int32_t k = 0; k < c->classes && first; k++)
        bias[k] = 0.0f;
    for (int64_t i = 0; i < count; i++)
        for (int32_t k = 0; k < c->classes; k++)
            bias[k] += c->logits[i * c->classes + k];
    return internal(gm_gemm_f32(c->context, GM_TRANSPOSE, GM_NO_TRANSPOSE, c->classes, c->dim, count, 1.0f, c->logits,
                                c->classes, c->features, c->dim, first ? 0.0f : 1.0f, c->trained[0].gradient, c->dim),
                    "gradient", error);
}

static gm_status step(struct classifier *c, int32_t epoch, const int64_t *rows, int64_t count, double *loss,
                      gm_error *error)
{
    gm_status status = GM_OK;
    const int64_t most = piece_rows(c->o), pieces = (count + most - 1) / most; /* of equal size, none of just one */
    for (int64_t i = 0; i < pieces && status == GM_OK; i++) {
        const int64_t at = i * count / pieces, piece = (i + 1) * count / pieces - at;
        status = forward(c, epoch, rows + at, piece, error);
        if (status != GM_OK)
            return status;
        gm_softmax_cross_entropy(c->context, piece, c->classes, c->labels, count, c->logits, c->losses);
        for (int64_t j = 0; j < piece; j++)
            *loss += c->losses[j];
        status = isfinite(*loss) ? backward(c, piece, at == 0, error) : internal(GM_NOT_FINITE, "the loss is", error);
    }
    for (int32_t i = 0; i < c->trained_count && status == GM_OK; i++) {
        const struct trained *t = &c->trained[i];
        const double rate =
            gm_cosine_rate(t->of_classifier ? c->o->lr_classifier : c->o->lr_backbone, epoch, c->o->epochs);
        status = internal(gm_sgd_f32(c->context, t->count, t->value, t->gradient, t->velocity, (float)rate,
                                     (float)c->o->momentum, (float)c->o->weight_decay),
                          "optimiser", error);
    }
    return status;
}

static gm_status train_epoch(struct classifier *c, int32_t epoch, const int64_t *rows, int64_t count, double *loss,
                             gm_error *error)
{
    gm_status status = GM_OK;
    int64_t seen = 0;
    gm_shuffle(c->o->seed, epoch, c->order, count);
    for (int64_t i = 0; i < count; i++)
        c->rows[i] = rows[c->order[i]];
    *loss = 0.0;
    for (int64_t at = 0; at < count && status == GM_OK; at += c->o->batch) {
        const int64_t batch = count - at < c->o->batch ? count - at : c->o->batch;
        if (c->o->finetune && batch == 1) /* has no deviation to be normalised by */
            break;
        status = step(c, epoch, c->rows + at, batch, loss, error);
        seen += batch;
    }
    *loss /= (double)seen;
    return status;
}

/* --- measuring ------------------------------------------------------------------------------------------------- */

static gm_status test(struct classifier *c, gm_classifier_epoch *result, gm_error *error)
{
    const gm_split *split = &c->dataset->test;
    gm_status status = GM_OK;
    if (!c->tested)
        status = gm_split_features(c->context, c->dataset, split, c->model, c->test_features, error);
    c->tested = !c->o->finetune;
    if (status == GM_OK)
        status = classify(c, split->rows, c->test_features, error);
    if (status != GM_OK)
        return status;
    int64_t top1 = 0, top5 = 0;
    for (int64_t i = 0; i < split->rows; i++) {
        const int32_t rank = gm_label_rank(c->logits + i * c->classes, c->classes, split->labels[i]);
        top1 += rank < 1;
        top5 += rank < GM_TOP;
    }
    result->acc1 = (double)top1 / (double)split->rows;
    result->acc5 = (double)top5 / (double)split->rows;
    result->best1 = fmax(result->best1, result->acc1);
    result->best5 = fmax(result->best5, result->acc5);
    return GM_OK;
}

static gm_status hand_over(const struct classifier *c, gm_head *head, gm_error *error)
{
    const size_t weights = sizeof(float) * (size_t)(c->classes * c->dim), biases = sizeof(float) * (size_t)c->classes;
    head->weight = malloc(weights);
    head->bias = malloc(biases);
    if (!head->weight || !head->bias) {
        gm_head_free(head);
        return no_memory(error, "the trained classifier");
    }
    head->classes = c->classes;
    head->dim = c->dim;
    memcpy(head->weight, c->weight, weights);
    memcpy(head->bias, c->bias, biases);
    return GM_OK;
}

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
}

static gm_status check(const gm_dataset *dataset, int64_t count, const gm_classifier_options *o, gm_error *error)
{
    if (dataset->classes < 1 || !dataset->train.labels || !dataset->test.labels || dataset->test.rows < 1)
        return gm_error_set(error, GM_INVALID_ARGUMENT, "a classifier needs labels and test samples");
    if (count < (o->finetune ? 2 : 1) || o->epochs < 1 || o->test_every < 1 || o->batch < (o->finetune ? 2 : 1) ||
        o->micro_batch < 1)
        return gm_error_set(
            error, GM_INVALID_ARGUMENT,
            "a classifier needs samples, an epoch and a batch; two of each where the encoder is trained");
    return GM_OK;
}

gm_status gm_classifier_train(gm_context *context, const gm_dataset *dataset, const int64_t *rows, int64_t count,
                              gm_model *model, const gm_classifier_options *options,
                              const gm_classifier_observer *observer, gm_head *head, gm_error *error)
{
    struct classifier c = {.context = context,
                           .dataset = dataset,
                           .model = model,
                           .o = options,
                           .dim = gm_model_feature_size(model),
                           .classes = dataset->classes};
    gm_classifier_epoch epoch = {.epoch = 0};
    *head = (gm_head){0};
    gm_status status = check(dataset, count, options, error);
    if (status != GM_OK)
        return status;
    status = allocate(&c, count, error);
    if (status != GM_OK)
        goto fail;
    initialize(&c);
    if (c.train_features)
        status = gm_split_features(context, dataset, &dataset->train, model, c.train_features, error);
    for (int32_t i = 0; i < options->epochs && status == GM_OK; i++) {
        const double start = now();
        epoch.epoch = i;
        status = train_epoch(&c, i, rows, count, &epoch.loss, error);
        epoch.tested = (i + 1) % options->test_every == 0 || i + 1 == options->epochs;
        if (status == GM_OK && epoch.tested)
            status = test(&c, &epoch, error);
        epoch.seconds = now() - start;
        if (status == GM_OK && observer)
            status = observer->epoch(observer->arg, &epoch, error);
    }
    if (status == GM_OK)
        status = hand_over(&c, head, error);
fail:
    release(&c);
    return status;
}
