#include "train/config.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "support/parse.h"

static const char *arch_choice(int64_t value)
{
    return gm_arch_name((gm_arch)value);
}

static const char *stem_choice(int64_t value)
{
    return gm_stem_name((gm_stem)value);
}

static const char *no_or_yes(int64_t value)
{
    static const char *const names[] = {"no", "yes"};
    return value == 0 || value == 1 ? names[value] : NULL;
}

static const char *optimizer_choice(int64_t value)
{
    return gm_optimizer_name((gm_optimizer_kind)value);
}

static const char *compat_choice(int64_t value)
{
    static const char *const names[] = {[GM_COMPAT_NONE] = "none", [GM_COMPAT_FB] = "fb"};
    return value == GM_COMPAT_NONE || value == GM_COMPAT_FB ? names[value] : NULL;
}

static const char *normalization_choice(int64_t value)
{
    static const char *const names[] = {
        [GM_BARLOW_BATCHNORM] = "batchnorm", [GM_BARLOW_UNBIASED] = "unbiased", [GM_BARLOW_COSINE] = "cosine"};
    return value >= 0 && value < (int64_t)(sizeof names / sizeof names[0]) ? names[value] : NULL;
}

#define FIELD(member) offsetof(gm_train_config, member)

static const gm_field fields[] = {
    {"data", GM_FIELD_TEXT, FIELD(data), 0, 0, 0, 0, "DATA", "Data set"},
    {"labels", GM_FIELD_TEXT, FIELD(labels), 0, 0, 0, "data", "FILE",
     "Labels of a .npy of features: a .npy of integers, one a row; of a folder of images: a text of lines PATH,LABEL"},
    {"val-split", GM_FIELD_REAL, FIELD(val_split), 0, 0.95, 0, "data", "SHARE",
     "Share of a .npy's rows or of a folder's images kept for evaluation (0)"},
    {"train-list", GM_FIELD_TEXT, FIELD(train_list), 0, 0, 0, "data", "FILE",
     "Train on those of a folder's images that a text names, one a line"},
    {"skip-bad-images", GM_FIELD_SWITCH, FIELD(skip_bad_images), 0, 0, no_or_yes, "data", "no|yes",
     "Decode all of a folder's images first and leave out those that cannot be"},
    {"image-size", GM_FIELD_INTEGER, FIELD(image_size), 16, 1024, 0, "data", "N",
     "Height and width of the views of a folder's images (224)"},
    {"arch", GM_FIELD_CHOICE, FIELD(arch), 0, 0, arch_choice, 0, "NAME",
     "Architecture: mlp or axon; of images also conv, resnet18, resnet34 or resnet50"},
    {"hidden-size", GM_FIELD_INTEGER, FIELD(hidden_size), 1, 1 << 20, 0, "arch", "N",
     "Width of the encoder (mlp, axon)"},
    {"conv-width", GM_FIELD_INTEGER, FIELD(conv_width), 1, 1 << 16, 0, 0, "N",
     "Channels of the first layer of conv; the others have twice and four times as many (32)"},
    {"projection-dim", GM_FIELD_INTEGER, FIELD(projection_dim), 1, 1 << 20, 0, "arch", "N", "Width of the embedding"},
    {"projector", GM_FIELD_WIDTHS, FIELD(projector), 1, 1 << 20, 0, "projection-dim", "A-B-C",
     "Widths of the projector's layers (not axon)"},
    {"projector-bias", GM_FIELD_CHOICE, FIELD(projector_bias), 0, 0, no_or_yes, 0, "no|yes",
     "Biases in the projector's layers (no; axon's has them always)"},
    {"stem", GM_FIELD_CHOICE, FIELD(stem), 0, 0, stem_choice, 0, "NAME",
     "How a ResNet begins: imagenet, small (3x3, no pooling) or auto, which is small up to 64 x 64 pixels (auto)"},
    {"zero-init-residual", GM_FIELD_CHOICE, FIELD(zero_init_residual), 0, 0, no_or_yes, 0, "no|yes",
     "Residual blocks of a ResNet start as the identity (yes)"},
    {"recompute", GM_FIELD_CHOICE, FIELD(recompute), 0, 0, no_or_yes, 0, "no|yes",
     "Compute large outputs of cheap convolutions twice: less memory, some percent more time, the same weights (no)"},
    {"init", GM_FIELD_TEXT, FIELD(init), 0, 0, 0, 0, "FILE",
     "Weights to start from: a run's backbone.safetensors or a .pth file of PyTorch's"},
    {"normalization", GM_FIELD_CHOICE, FIELD(normalization), 0, 0, normalization_choice, 0, "NAME",
     "Normalisation of the embedding over the batch: batchnorm (default), unbiased or cosine"},
    {"eps", GM_FIELD_REAL, FIELD(eps), 0, 1, 0, "arch", "X", "Added to the variance by normalisation batchnorm"},
    {"lambd", GM_FIELD_REAL, FIELD(lambd), 0, 1e6, 0, "arch", "X", "Weight of the off-diagonal terms of the loss"},
    {"scale-loss", GM_FIELD_REAL, FIELD(scale_loss), 1e-12, 1e12, 0, 0, "X", "Factor of the whole loss (1)"},
    {"optimizer", GM_FIELD_CHOICE, FIELD(optimizer), 0, 0, optimizer_choice, 0, "NAME", "Optimiser: lars, sgd or adam"},
    {"learning-rate", GM_FIELD_REAL, FIELD(learning_rate), 0, 1e6, 0, "optimizer", "X",
     "Base learning rate of weights and biases alike"},
    {"learning-rate-weights", GM_FIELD_REAL, FIELD(learning_rate_weights), 0, 1e6, 0, "learning-rate", "X",
     "The same of weights alone"},
    {"learning-rate-biases", GM_FIELD_REAL, FIELD(learning_rate_biases), 0, 1e6, 0, "learning-rate", "X",
     "The same of biases and normalisation parameters alone"},
    {"weight-decay", GM_FIELD_REAL, FIELD(weight_decay), 0, 1, 0, "optimizer", "X", "Weight decay"},
    {"epochs", GM_FIELD_INTEGER, FIELD(epochs), 1, 1 << 23, 0, 0, "N", "Epochs"},
    {"batch-size", GM_FIELD_INTEGER, FIELD(batch_size), 2, 1 << 24, 0, 0, "N", "Samples a step, two views each"},
    {"micro-batch", GM_FIELD_INTEGER, FIELD(micro_batch), 2, 1 << 24, 0, "batch-size", "N",
     "Most samples in the network at a time: less memory, up to a third more time (batch-size)"},
    {"compat", GM_FIELD_CHOICE, FIELD(compat), 0, 0, compat_choice, 0, "none|fb",
     "fb: gradients, and the last batch of an epoch, as in Facebook's code on --world-size GPUs (none)"},
    {"world-size", GM_FIELD_INTEGER, FIELD(world_size), 1, 1 << 16, 0, "compat", "N", "Number of these GPUs (16)"},
    {"warmup-epochs", GM_FIELD_REAL, FIELD(warmup_epochs), 0, 1 << 23, 0, "epochs", "X",
     "Epochs of linear warm-up (default: a tenth of the epochs, at most 10)"},
    {"seed", GM_FIELD_INTEGER, FIELD(seed), 0, 0x1p53, 0, 0, "N", "Seed of weights, order and augmentation (0)"},
    {"augmentation", GM_FIELD_TEXT, FIELD(preset), 0, 0, 0, 0, "PRESET",
     "Values for all that follow: imagenet, cifar, fashion, vectors or none"},
#define AUGMENTATION(name, member, high, help)                                                                         \
    {                                                                                                                  \
        name, GM_FIELD_FLOAT, FIELD(augmentation.member), 0, high, 0, "augmentation", "X", help                        \
    }
#define SECOND_VIEW(name, member, parent)                                                                              \
    {                                                                                                                  \
        name, GM_FIELD_FLOAT, FIELD(augmentation.member), 0, 1, 0, parent, "X",                                        \
            "The same of the second view, where it is another one"                                                     \
    }
    AUGMENTATION("crop-probability", crop_probability, 1, "Probability of a random resized crop"),
    AUGMENTATION("crop-scale-min", crop_scale_min, 1, "Smallest share of the image's area that a crop keeps"),
    AUGMENTATION("crop-scale-max", crop_scale_max, 1, "Largest share of the image's area that a crop keeps"),
    AUGMENTATION("crop-ratio-min", crop_ratio_min, 100, "Smallest ratio of a crop's width to its height"),
    AUGMENTATION("crop-ratio-max", crop_ratio_max, 100, "Largest ratio of a crop's width to its height"),
    AUGMENTATION("flip-probability", flip_probability, 1, "Probability of a horizontal flip"),
    AUGMENTATION("jitter-probability", jitter_probability, 1,
                 "Probability of jitter of brightness, contrast and colours"),
    AUGMENTATION("brightness", brightness, 1, "Brightness changes by a factor in 1 -+ X"),
    AUGMENTATION("contrast", contrast, 1, "Contrast changes by a factor in 1 -+ X"),
    AUGMENTATION("saturation", saturation, 1, "Colours: saturation changes by a factor in 1 -+ X"),
    AUGMENTATION("hue", hue, 0.5, "Colours: the hue turns by up to this share of the circle"),
    AUGMENTATION("gray-probability", gray_probability, 1, "Colours: probability of taking them away"),
    AUGMENTATION("blur-probability", blur_probability, 1, "Probability of a Gaussian blur"),
    SECOND_VIEW("blur-probability-2", blur_probability_2, "blur-probability"),
    AUGMENTATION("blur-sigma-min", blur_sigma_min, 64, "Smallest sigma of the blur in pixels"),
    AUGMENTATION("blur-sigma-max", blur_sigma_max, 64, "Largest sigma of the blur in pixels"),
    AUGMENTATION("solarize-probability", solarize_probability, 1, "Probability of inverting bright pixels"),
    SECOND_VIEW("solarize-probability-2", solarize_probability_2, "solarize-probability"),
    AUGMENTATION("solarize-threshold", solarize_threshold, 1, "Pixels from this level in [0, 1] on are inverted"),
    AUGMENTATION("noise-probability", noise_probability, 1, "Vectors: probability of added Gaussian noise"),
    AUGMENTATION("noise-std", noise_std, 1e6, "Vectors: standard deviation of that noise"),
    AUGMENTATION("dropout-probability", dropout_probability, 1, "Vectors: probability of dropping features"),
    AUGMENTATION("dropout-share", dropout_share, 1, "Vectors: share of the features that are dropped"),
#undef SECOND_VIEW
#undef AUGMENTATION
};

enum { FIELDS = sizeof fields / sizeof fields[0] };
_Static_assert((int)FIELDS <= (int)GM_CONFIG_MOST_FIELDS, "gm_train_config.set is too small");

int32_t gm_config_field_count(void)
{
    return FIELDS;
}

const gm_field *gm_config_field(int32_t index)
{
    return &fields[index];
}

int32_t gm_config_find(const char *name)
{
    for (int32_t i = 0; i < FIELDS; i++)
        if (!strcmp(fields[i].name, name))
            return i;
    return -1;
}

static bool is_set(const gm_train_config *config, const char *name)
{
    return config->set[gm_config_find(name)];
}

void gm_config_data_options(const gm_train_config *config, gm_dataset_options *options)
{
    *options = gm_dataset_default_options();
    options->labels = is_set(config, "labels") ? config->labels : NULL;
    options->train_list = is_set(config, "train-list") ? config->train_list : NULL;
    options->val_split = is_set(config, "val-split") ? config->val_split : 0.0;
    options->skip_bad_images = is_set(config, "skip-bad-images") && config->skip_bad_images;
    options->image_size = is_set(config, "image-size") ? config->image_size : 0;
    options->seed = is_set(config, "seed") ? (uint64_t)config->seed : 0;
}

void gm_config_init(gm_train_config *config)
{
    memset(config, 0, sizeof *config);
    config->augmentation.size = sizeof config->augmentation;
}

static bool set_widths(const char *text, const gm_field *field, gm_widths *widths)
{
    gm_widths parsed = {.count = 0};
    char copy[256];
    if (strlen(text) >= sizeof copy || !*text || text[strlen(text) - 1] == '-')
        return false;
    strcpy(copy, text);
    char *rest;
    for (char *part = strtok_r(copy, "-", &rest); part; part = strtok_r(NULL, "-", &rest))
        if (parsed.count == GM_CONFIG_WIDTHS ||
            !gm_parse_int64(part, (int64_t)field->low, (int64_t)field->high, &parsed.width[parsed.count++]))
            return false;
    *widths = parsed;
    return parsed.count > 0;
}

static bool set_choice(const char *text, const gm_field *field, int64_t *value)
{
    for (int64_t i = 0; field->choice(i); i++)
        if (!strcmp(text, field->choice(i))) {
            *value = i;
            return true;
        }
    return false;
}

static bool set_text(const char *text, char *value)
{
    if (!*text || strlen(text) >= GM_CONFIG_PATH)
        return false;
    strcpy(value, text);
    return true;
}

/* What may stand in a field, for the error message. */
static void describe(const gm_field *field, char *text, size_t size)
{
    size_t used = 0;
    switch (field->kind) {
    case GM_FIELD_TEXT:
        snprintf(text, size, "a text of 1 to %d bytes", GM_CONFIG_PATH - 1);
        break;
    case GM_FIELD_INTEGER:
        snprintf(text, size, "a whole number from %.0f to %.0f", field->low, field->high);
        break;
    case GM_FIELD_REAL:
    case GM_FIELD_FLOAT:
        snprintf(text, size, "a number from %g to %g", field->low, field->high);
        break;
    case GM_FIELD_CHOICE:
    case GM_FIELD_SWITCH:
        for (int64_t i = 0; field->choice(i) && used < size; i++)
            used += (size_t)snprintf(text + used, size - used, "%s%s", i ? ", " : "one of ", field->choice(i));
        break;
    case GM_FIELD_WIDTHS:
        snprintf(text, size, "widths as 512-512-512, at most %d of them", GM_CONFIG_WIDTHS);
        break;
    }
}

gm_status gm_config_set(gm_train_config *config, int32_t index, const char *text, gm_error *error)
{
    const gm_field *field = &fields[index];
    void *place = (char *)config + field->offset;
    double number = 0;
    bool valid = false;
    switch (field->kind) {
    case GM_FIELD_TEXT:
        valid = set_text(text, place);
        break;
    case GM_FIELD_INTEGER:
        valid = gm_parse_int64(text, (int64_t)field->low, (int64_t)field->high, place);
        break;
    case GM_FIELD_REAL:
        valid = gm_parse_double(text, field->low, field->high, place);
        break;
    case GM_FIELD_FLOAT:
        valid = gm_parse_double(text, field->low, field->high, &number);
        if (valid)
            *(float *)place = (float)number;
        break;
    case GM_FIELD_CHOICE:
    case GM_FIELD_SWITCH:
        valid = set_choice(text, field, place);
        break;
    case GM_FIELD_WIDTHS:
        valid = set_widths(text, field, place);
        break;
    }
    if (!valid) {
        char allowed[160];
        describe(field, allowed, sizeof allowed);
        return gm_error_set(error, GM_BAD_USAGE, "%s %.80s: expected %s", field->name, text, allowed);
    }
    config->set[index] = true;
    return GM_OK;
}

/* The fewest digits that read back as the same number. */
static void shortest(double value, bool single, char *text, size_t size)
{
    for (int digits = 1; digits <= DBL_DECIMAL_DIG; digits++) {
        snprintf(text, size, "%.*g", digits, value);
        const double back = strtod(text, NULL);
        if (single ? (float)back == (float)value : back == value)
            return;
    }
}

void gm_config_get(const gm_train_config *config, int32_t index, char *text, size_t size)
{
    const gm_field *field = &fields[index];
    const void *place = (const char *)config + field->offset;
    const gm_widths *widths = place;
    size_t used = 0;
    switch (field->kind) {
    case GM_FIELD_TEXT:
        snprintf(text, size, "%s", (const char *)place);
        break;
    case GM_FIELD_INTEGER:
        snprintf(text, size, "%lld", (long long)*(const int64_t *)place);
        break;
    case GM_FIELD_REAL:
        shortest(*(const double *)place, false, text, size);
        break;
    case GM_FIELD_FLOAT:
        shortest(*(const float *)place, true, text, size);
        break;
    case GM_FIELD_CHOICE:
    case GM_FIELD_SWITCH:
        snprintf(text, size, "%s", field->choice(*(const int64_t *)place));
        break;
    case GM_FIELD_WIDTHS:
        for (int32_t i = 0; i < widths->count && used < size; i++)
            used += (size_t)snprintf(text + used, size - used, "%s%lld", i ? "-" : "", (long long)widths->width[i]);
        break;
    }
}

static size_t value_size(const gm_field *field)
{
    switch (field->kind) {
    case GM_FIELD_TEXT:
        return GM_CONFIG_PATH;
    case GM_FIELD_FLOAT:
        return sizeof(float);
    case GM_FIELD_WIDTHS:
        return sizeof(gm_widths);
    default:
        return sizeof(int64_t);
    }
}
_Static_assert(sizeof(double) == sizeof(int64_t), "value_size() takes them as one");

void gm_config_copy_field(gm_train_config *to, const gm_train_config *from, int32_t field)
{
    const size_t offset = fields[field].offset;
    memcpy((char *)to + offset, (const char *)from + offset, value_size(&fields[field]));
    to->set[field] = from->set[field];
}

static bool ancestor_set(const gm_train_config *config, const gm_field *field)
{
    for (const char *parent = field->parent; parent; parent = fields[gm_config_find(parent)].parent)
        if (config->set[gm_config_find(parent)])
            return true;
    return false;
}

void gm_config_overlay(gm_train_config *base, const gm_train_config *top)
{
    for (int32_t i = 0; i < FIELDS; i++) {
        if (top->set[i])
            memcpy((char *)base + fields[i].offset, (const char *)top + fields[i].offset, value_size(&fields[i]));
        base->set[i] = top->set[i] || (base->set[i] && !ancestor_set(top, &fields[i]));
    }
}
