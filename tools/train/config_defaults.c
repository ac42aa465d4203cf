#include "train/config.h"

#include <string.h>

/* What a run gets that says nothing, by the kind of its data. Chosen for two minutes on two cores where there are
 * 60,000 grey images, a few minutes where there are as many vectors of 784, and hours for colour images. */
static const struct kind_defaults {
    gm_data_kind kind;
    const char *name;
    gm_arch arch;
    gm_optimizer_kind optimizer;
    int64_t hidden_size, projection_dim, batch_size, epochs;
    const char *augmentation;
} by_kind[] = {
    {GM_DATA_GRAY_IMAGES, "grey images", GM_ARCH_CONV, GM_OPTIMIZER_ADAM, 1024, 512, 256, 4, "fashion"},
    {GM_DATA_COLOR_IMAGES, "photographs", GM_ARCH_RESNET18, GM_OPTIMIZER_ADAM, 1024, 512, 64, 20, "imagenet"},
    {GM_DATA_COLOR_IMAGES, "small colours", GM_ARCH_RESNET18, GM_OPTIMIZER_ADAM, 1024, 512, 256, 20, "cifar"},
    {GM_DATA_VECTORS, "vectors", GM_ARCH_AXON, GM_OPTIMIZER_ADAM, 1024, 1024, 256, 10, "vectors"},
};

/* Published values for LARS; those of the others are this project's own. */
static const struct optimizer_defaults {
    gm_optimizer_kind kind;
    double weights, biases; /* base rates */
    bool scaled;            /* multiplied by batch / 256 */
    double weight_decay;
} by_optimizer[] = {
    {GM_OPTIMIZER_LARS, 0.2, 0.0048, true, 1e-6},
    {GM_OPTIMIZER_SGD, 0.01, 0.01, true, 1e-6},
    {GM_OPTIMIZER_ADAM, 0.001, 0.001, false, 1e-6},
};

/* The loss as each architecture's authors use it. */
static const struct arch_defaults {
    gm_arch arch;
    double lambd, eps;
} by_arch[] = {
    {GM_ARCH_MLP, 0.0051, 1e-5},      {GM_ARCH_AXON, 0.005, 1e-4},      {GM_ARCH_CONV, 0.0051, 1e-5},
    {GM_ARCH_RESNET18, 0.0051, 1e-5}, {GM_ARCH_RESNET34, 0.0051, 1e-5}, {GM_ARCH_RESNET50, 0.0051, 1e-5},
};

enum {
    KINDS = sizeof by_kind / sizeof by_kind[0],
    OPTIMIZERS = sizeof by_optimizer / sizeof by_optimizer[0],
    ARCHES = sizeof by_arch / sizeof by_arch[0],
};

/* Colour images are small up to the size of a ResNet's small stem, and have the second row of their kind then. */
static const struct kind_defaults *find_kind(const gm_dataset *dataset)
{
    enum { SMALL = 64 };
    int i = 0;
    while (i < KINDS - 1 && by_kind[i].kind != dataset->kind)
        i++;
    const bool small = dataset->kind == GM_DATA_COLOR_IMAGES && dataset->height <= SMALL && dataset->width <= SMALL;
    return &by_kind[small ? i + 1 : i];
}

static const struct optimizer_defaults *find_optimizer(int64_t kind)
{
    int i = 0;
    while (i < OPTIMIZERS - 1 && by_optimizer[i].kind != (gm_optimizer_kind)kind)
        i++;
    return &by_optimizer[i];
}

static const struct arch_defaults *find_arch(int64_t arch)
{
    int i = 0;
    while (i < ARCHES - 1 && by_arch[i].arch != (gm_arch)arch)
        i++;
    return &by_arch[i];
}

/* Marks the field as set; whether it was not before, so that it needs its default. */
static bool lacks(gm_train_config *config, const char *name)
{
    bool *set = &config->set[gm_config_find(name)];
    const bool lacked = !*set;
    *set = true;
    return lacked;
}

static void integer_default(gm_train_config *config, const char *name, int64_t *place, int64_t value)
{
    if (lacks(config, name))
        *place = value;
}

static void real_default(gm_train_config *config, const char *name, double *place, double value)
{
    if (lacks(config, name))
        *place = value;
}

static void resolve_rates(gm_train_config *config)
{
    const struct optimizer_defaults *defaults = find_optimizer(config->optimizer);
    bool *single = &config->set[gm_config_find("learning-rate")];
    real_default(config, "learning-rate-weights", &config->learning_rate_weights,
                 *single ? config->learning_rate : defaults->weights);
    real_default(config, "learning-rate-biases", &config->learning_rate_biases,
                 *single ? config->learning_rate : defaults->biases);
    real_default(config, "weight-decay", &config->weight_decay, defaults->weight_decay);
    *single = false; /* the two others say it all */
}

static gm_status resolve_projector(gm_train_config *config, int64_t projection_dim, gm_error *error)
{
    gm_widths *projector = &config->projector;
    const bool given = config->set[gm_config_find("projector")];
    const bool width_given = config->set[gm_config_find("projection-dim")];
    integer_default(config, "projection-dim", &config->projection_dim, projection_dim);
    if (config->arch == GM_ARCH_AXON) {
        if (given)
            return gm_error_set(error, GM_BAD_USAGE,
                                "projector: the projector of arch %s has fixed layers; leave it "
                                "out and set projection-dim, or choose another arch",
                                gm_arch_name((gm_arch)config->arch));
        return GM_OK;
    }
    if (!given) {
        lacks(config, "projector");
        projector->count = 3;
        for (int32_t i = 0; i < projector->count; i++)
            projector->width[i] = config->projection_dim;
    }
    const int64_t last = projector->width[projector->count - 1];
    if (width_given && last != config->projection_dim)
        return gm_error_set(error, GM_BAD_USAGE, "projection-dim %lld: the projector ends with %lld; give one of them",
                            (long long)config->projection_dim, (long long)last);
    config->projection_dim = last;
    return GM_OK;
}

/* Takes the preset's values for all parameters of the augmentation that are not set; the second view's follow the first
 * one's where those are. */
static gm_status resolve_augmentation(gm_train_config *config, const char *preset, gm_error *error)
{
    if (lacks(config, "augmentation"))
        strcpy(config->preset, preset);
    gm_train_config named;
    gm_config_init(&named);
    const gm_status status = gm_augmentation_preset(config->preset, &named.augmentation, error);
    if (status != GM_OK)
        return status;
    bool given[GM_CONFIG_MOST_FIELDS];
    memcpy(given, config->set, sizeof given);
    for (int32_t i = 0; i < gm_config_field_count(); i++) {
        const gm_field *field = gm_config_field(i);
        if (field->kind != GM_FIELD_FLOAT || !lacks(config, field->name))
            continue;
        const int32_t parent = gm_config_find(field->parent);
        const bool follows = gm_config_field(parent)->kind == GM_FIELD_FLOAT && given[parent];
        const size_t from = follows ? gm_config_field(parent)->offset : field->offset;
        memcpy((char *)config + field->offset, (const char *)(follows ? config : &named) + from, sizeof(float));
    }
    const gm_augmentation *chosen = &config->augmentation;
    if (chosen->crop_scale_min > chosen->crop_scale_max || chosen->crop_ratio_min > chosen->crop_ratio_max ||
        chosen->blur_sigma_min > chosen->blur_sigma_max)
        return gm_error_set(error, GM_BAD_USAGE,
                            "augmentation: a smallest value of crop-scale, crop-ratio or "
                            "blur-sigma lies above the largest one");
    if (chosen->crop_probability > 0 && (chosen->crop_scale_min <= 0 || chosen->crop_ratio_min <= 0))
        return gm_error_set(error, GM_BAD_USAGE, "augmentation: crop-scale-min and crop-ratio-min must be above 0");
    return GM_OK;
}

static gm_status resolve_batch(gm_train_config *config, int64_t batch_size, gm_error *error)
{
    enum { FB_GPUS = 16 };
    integer_default(config, "batch-size", &config->batch_size, batch_size);
    integer_default(config, "micro-batch", &config->micro_batch, config->batch_size);
    integer_default(config, "compat", &config->compat, GM_COMPAT_NONE);
    integer_default(config, "world-size", &config->world_size, config->compat == GM_COMPAT_FB ? FB_GPUS : 1);
    if (config->micro_batch > config->batch_size)
        return gm_error_set(error, GM_BAD_USAGE, "micro-batch %lld: more than the %lld samples of a batch",
                            (long long)config->micro_batch, (long long)config->batch_size);
    if (config->compat != GM_COMPAT_FB && config->world_size != 1)
        return gm_error_set(error, GM_BAD_USAGE, "world-size %lld: only with compat fb", (long long)config->world_size);
    if (config->batch_size % config->world_size != 0)
        return gm_error_set(error, GM_BAD_USAGE, "batch-size %lld: not a multiple of world-size %lld",
                            (long long)config->batch_size, (long long)config->world_size);
    if (config->compat == GM_COMPAT_FB && config->normalization != GM_BARLOW_BATCHNORM)
        return gm_error_set(error, GM_BAD_USAGE, "compat fb: takes normalization batchnorm alone");
    return GM_OK;
}

gm_status gm_config_resolve(gm_train_config *config, const gm_dataset *dataset, gm_error *error)
{
    const struct kind_defaults *defaults = find_kind(dataset);
    integer_default(config, "arch", &config->arch, defaults->arch);
    if (dataset->kind == GM_DATA_VECTORS && gm_arch_takes_images((gm_arch)config->arch))
        return gm_error_set(error, GM_BAD_USAGE, "arch %s: takes images, and %s holds vectors; choose arch mlp or axon",
                            gm_arch_name((gm_arch)config->arch), config->data);
    integer_default(config, "hidden-size", &config->hidden_size, defaults->hidden_size);
    integer_default(config, "conv-width", &config->conv_width, gm_default_conv_width());
    gm_status status = resolve_projector(config, defaults->projection_dim, error);
    if (status != GM_OK)
        return status;
    integer_default(config, "projector-bias", &config->projector_bias, 0);
    integer_default(config, "stem", &config->stem, GM_STEM_AUTO);
    integer_default(config, "zero-init-residual", &config->zero_init_residual, 1);
    integer_default(config, "recompute", &config->recompute, 0);
    integer_default(config, "normalization", &config->normalization, GM_BARLOW_BATCHNORM);
    real_default(config, "eps", &config->eps, find_arch(config->arch)->eps);
    real_default(config, "lambd", &config->lambd, find_arch(config->arch)->lambd);
    real_default(config, "scale-loss", &config->scale_loss, 1);
    integer_default(config, "optimizer", &config->optimizer, defaults->optimizer);
    resolve_rates(config);
    integer_default(config, "epochs", &config->epochs, defaults->epochs);
    status = resolve_batch(config, defaults->batch_size, error);
    if (status != GM_OK)
        return status;
    const double tenth = (double)config->epochs / 10;
    real_default(config, "warmup-epochs", &config->warmup_epochs, tenth < 10 ? tenth : 10);
    if (config->warmup_epochs > (double)config->epochs)
        return gm_error_set(error, GM_BAD_USAGE,
                            "warmup-epochs %g: more than the %lld epochs; lower it or raise epochs",
                            config->warmup_epochs, (long long)config->epochs);
    integer_default(config, "seed", &config->seed, 0);
    real_default(config, "val-split", &config->val_split, 0);
    if (dataset->train.paths)
        integer_default(config, "image-size", &config->image_size, dataset->height);
    return resolve_augmentation(config, defaults->augmentation, error);
}

/* Whether every micro-batch of a batch has two samples or more. */
static gm_status check_micro_batches(const gm_train_config *config, int64_t batch, gm_error *error)
{
    if (batch % config->micro_batch != 1)
        return GM_OK;
    return gm_error_set(error, GM_BAD_USAGE,
                        "micro-batch %lld: of a batch of %lld samples one would be left alone, without statistics; "
                        "choose another micro-batch or batch-size",
                        (long long)config->micro_batch, (long long)batch);
}

/* The rows that compat fb keeps as a last batch. */
static int64_t partial_batch(const gm_train_config *config, int64_t rows)
{
    const int64_t world = config->world_size, samples = (rows + world - 1) / world * world;
    return config->compat == GM_COMPAT_FB ? samples % config->batch_size : 0;
}

gm_status gm_config_check_rows(const gm_train_config *config, int64_t rows, gm_error *error)
{
    if (rows < 2)
        return gm_error_set(error, GM_BAD_DATA, "%s: %lld training row; the statistics of a batch need two or more",
                            config->data, (long long)rows);
    if (config->batch_size > rows)
        return gm_error_set(error, GM_BAD_USAGE,
                            "batch-size %lld: the data set has %lld training rows; pass "
                            "--batch-size %lld or less",
                            (long long)config->batch_size, (long long)rows, (long long)rows);
    const gm_status status = check_micro_batches(config, config->batch_size, error);
    return status == GM_OK ? check_micro_batches(config, partial_batch(config, rows), error) : status;
}

double gm_config_rate_scale(const gm_train_config *config)
{
    return find_optimizer(config->optimizer)->scaled ? (double)config->batch_size / 256 : 1;
}

void gm_config_print_defaults(FILE *out)
{
    fprintf(out, "Defaults         arch      hidden projection batch epochs  optimizer  preset\n");
    for (int i = 0; i < KINDS; i++)
        fprintf(out, "  %-13s  %-8s  %6lld %10lld %5lld %6lld  %-9s  %s\n", by_kind[i].name,
                gm_arch_name(by_kind[i].arch), (long long)by_kind[i].hidden_size, (long long)by_kind[i].projection_dim,
                (long long)by_kind[i].batch_size, (long long)by_kind[i].epochs, gm_optimizer_name(by_kind[i].optimizer),
                by_kind[i].augmentation);
    fprintf(out, "by optimizer      weights  biases  times      weight-decay\n");
    for (int i = 0; i < OPTIMIZERS; i++)
        fprintf(out, "  %-14s  %7g  %6g  %-9s  %g\n", gm_optimizer_name(by_optimizer[i].kind), by_optimizer[i].weights,
                by_optimizer[i].biases, by_optimizer[i].scaled ? "batch/256" : "1", by_optimizer[i].weight_decay);
    fprintf(out, "by arch           lambd   eps\n");
    for (int i = 0; i < ARCHES; i++)
        fprintf(out, "  %-14s  %-6g  %g\n", gm_arch_name(by_arch[i].arch), by_arch[i].lambd, by_arch[i].eps);
}
