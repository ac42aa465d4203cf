#include "train/checkpoint.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "formats/safetensors.h"
#include "formats/tensor_file.h"
#include "support/file.h"
#include "support/parse.h"
#include "train/weights.h"
#include "train/weights_arch.h"

static const char encoder_prefix[] = "encoder.";

static bool in_encoder(const gm_parameter *parameter)
{
    return !strncmp(parameter->name, encoder_prefix, strlen(encoder_prefix));
}

static gm_tensor as_tensor(const gm_parameter *parameter)
{
    gm_tensor tensor = {
        .name = parameter->name, .type = GM_TENSOR_F32, .dimensions = parameter->dimensions, .data = parameter->value};
    memcpy(tensor.shape, parameter->shape, sizeof parameter->shape);
    return tensor;
}

/* What it takes to build the encoder again: numbers, the architecture's name and, of a ResNet, how it begins. */
typedef struct encoder_number {
    const char *key;
    size_t offset; /* of an int64_t in gm_model_options */
    bool of_images;
} encoder_number;

static const encoder_number encoder_numbers[] = {
    {"encoder_dim", offsetof(gm_model_options, encoder_dim), false},
    {"hidden_size", offsetof(gm_model_options, hidden_size), false},
    {"height", offsetof(gm_model_options, height), true},
    {"width", offsetof(gm_model_options, width), true},
    {"channels", offsetof(gm_model_options, channels), true},
};

enum { NUMBERS = sizeof encoder_numbers / sizeof *encoder_numbers, ENCODER_ENTRIES = NUMBERS + 2 };

typedef struct encoder_text {
    char numbers[NUMBERS][24];
} encoder_text;

static void describe_encoder(const gm_model_options *options, encoder_text *text, gm_metadata entries[ENCODER_ENTRIES])
{
    gm_model_options all = *options;
    all.hidden_size = options->hidden_size ? options->hidden_size : gm_default_hidden_size();
    for (int i = 0; i < NUMBERS; i++) {
        const int64_t *number = (const void *)((const char *)&all + encoder_numbers[i].offset);
        snprintf(text->numbers[i], sizeof text->numbers[i], "%lld", (long long)*number);
        entries[i] = (gm_metadata){encoder_numbers[i].key, text->numbers[i]};
    }
    entries[NUMBERS] = (gm_metadata){"arch", gm_arch_name(options->arch)};
    entries[NUMBERS + 1] = (gm_metadata){"stem", gm_stem_name(options->stem)};
}

/* Files of vectors' encoders may lack what belongs to images. */
static bool read_encoder(const gm_tensor_file *file, gm_model_options *options)
{
    const char *arch = gm_tensor_file_metadata(file, "arch");
    if (!arch || gm_arch_from_name(arch, &options->arch) != GM_OK)
        return false;
    const bool images = gm_arch_takes_images(options->arch);
    for (int i = 0; i < NUMBERS; i++) {
        if (encoder_numbers[i].of_images && !images)
            continue;
        const char *text = gm_tensor_file_metadata(file, encoder_numbers[i].key);
        if (!text || !gm_parse_int64(text, 1, INT32_MAX, (void *)((char *)options + encoder_numbers[i].offset)))
            return false;
    }
    return !images || gm_stem_from_name(gm_tensor_file_metadata(file, "stem"), &options->stem) == GM_OK;
}

gm_status gm_backbone_save(const gm_model *model, const gm_model_options *options, const char *path, gm_error *error)
{
    const int32_t most = gm_model_parameter_count(model);
    gm_tensor *tensors = calloc((size_t)most, sizeof *tensors);
    if (!tensors)
        return gm_error_set(error, GM_OUT_OF_MEMORY, "%s: no memory to list the arrays", path);
    int64_t count = 0;
    for (int32_t i = 0; i < most; i++) {
        const gm_parameter parameter = gm_model_parameter(model, i);
        if (in_encoder(&parameter))
            tensors[count++] = as_tensor(&parameter);
    }
    encoder_text text;
    gm_metadata metadata[ENCODER_ENTRIES];
    describe_encoder(options, &text, metadata);
    const gm_status status = gm_safetensors_write(path, count, tensors, ENCODER_ENTRIES, metadata, error);
    free(tensors);
    return status;
}

/* From the tensors; the metadata of a run's file must say the same, and how large the images are. */
static gm_status read_options(const gm_tensor_file *file, gm_model_options *options, gm_error *error)
{
    const char *path = gm_tensor_file_path(file);
    const int64_t height = options->height, width = options->width;
    gm_status status = gm_weights_find_arch(file, options, error);
    if (status != GM_OK)
        return status;
    gm_model_options said = *options;
    if (gm_tensor_file_metadata(file, "arch") &&
        (!read_encoder(file, &said) || said.arch != options->arch || said.channels != options->channels ||
         (!gm_arch_takes_images(said.arch) &&
          (said.encoder_dim != options->encoder_dim || said.hidden_size != options->hidden_size))))
        return gm_error_set(error, GM_BAD_DATA,
                            "%s: its metadata (arch, encoder_dim, hidden_size …) say something else than its tensors",
                            path);
    if (gm_arch_takes_images(said.arch)) {
        if (height == 0 || said.height != height || said.width != width)
            return gm_error_set(error, GM_BAD_DATA, "%s: takes images%s", path,
                                height == 0 ? ", not vectors" : " of another size");
        said.encoder_dim = 0;
        said.stem = options->stem;
    }
    *options = said;
    options->training = false;
    return GM_OK;
}

static gm_status load_backbone(gm_context *context, gm_tensor_file *file, gm_model_options *options, gm_model **model,
                               gm_error *error)
{
    gm_weights_report report;
    gm_status status = read_options(file, options, error);
    if (status != GM_OK)
        return status;
    status = gm_model_create(context, options, model);
    if (status != GM_OK)
        return gm_error_set(error, status, "%s: cannot build its encoder: %s", gm_tensor_file_path(file),
                            gm_status_string(status));
    status = gm_weights_read(file, *model, &report, error);
    if (status == GM_OK && gm_model_freeze(*model) != GM_OK)
        status =
            gm_error_set(error, GM_OUT_OF_MEMORY, "%s: no memory for its packed weights", gm_tensor_file_path(file));
    return status;
}

gm_status gm_backbone_load(gm_context *context, const char *path, int64_t height, int64_t width, int64_t batch,
                           gm_model **model, gm_error *error)
{
    char inside[4096];
    struct stat about;
    gm_tensor_file *file;
    gm_model_options options = gm_model_default_options(0, batch);
    options.height = height;
    options.width = width;
    *model = NULL;
    if (!stat(path, &about) && S_ISDIR(about.st_mode)) {
        snprintf(inside, sizeof inside, "%s/backbone.safetensors", path);
        path = inside;
    }
    gm_status status = gm_tensor_file_open(path, &file, error);
    if (status == GM_OK)
        status = load_backbone(context, file, &options, model, error);
    gm_tensor_file_close(file);
    if (status != GM_OK) {
        gm_model_destroy(*model);
        *model = NULL;
    }
    return status == GM_IO_ERROR ? GM_BAD_DATA : status;
}

/* The arrays of a checkpoint: the model's, then the optimiser's. */
static int32_t array_count(const gm_model *model, const gm_optimizer *optimizer)
{
    return gm_model_parameter_count(model) + gm_optimizer_state_count(optimizer);
}

static gm_tensor array_tensor(const gm_model *model, const gm_optimizer *optimizer, int32_t index)
{
    const int32_t parameters = gm_model_parameter_count(model);
    const gm_parameter array =
        index < parameters ? gm_model_parameter(model, index) : gm_optimizer_state(optimizer, index - parameters);
    return as_tensor(&array);
}

gm_status gm_checkpoint_save(const gm_model *model, const gm_optimizer *optimizer, const gm_model_options *options,
                             const gm_checkpoint_state *state, const char *path, const char *previous, gm_error *error)
{
    const int32_t count = array_count(model, optimizer);
    gm_tensor *tensors = calloc((size_t)count, sizeof *tensors);
    if (!tensors)
        return gm_error_set(error, GM_OUT_OF_MEMORY, "%s: no memory to list the arrays", path);
    for (int32_t i = 0; i < count; i++)
        tensors[i] = array_tensor(model, optimizer, i);
    encoder_text text;
    char epoch_text[24], step_text[24], updates_text[24];
    snprintf(epoch_text, sizeof epoch_text, "%lld", (long long)state->epoch);
    snprintf(step_text, sizeof step_text, "%lld", (long long)state->step);
    snprintf(updates_text, sizeof updates_text, "%lld", (long long)gm_optimizer_steps(optimizer));
    gm_metadata metadata[] = {[ENCODER_ENTRIES] = {"epoch", epoch_text},
                              {"step", step_text},
                              {"optimizer_steps", updates_text},
                              {"isa", gm_isa_name(state->isa)}};
    describe_encoder(options, &text, metadata);
    gm_status status = gm_file_keep(path, previous, error);
    if (status == GM_OK)
        status = gm_safetensors_write(path, count, tensors, sizeof metadata / sizeof *metadata, metadata, error);
    free(tensors);
    return status;
}

static bool read_count(const gm_safetensors *file, const char *key, int64_t *value)
{
    const char *text = gm_safetensors_metadata(file, key);
    return text && gm_parse_int64(text, 0, INT64_MAX, value);
}

gm_status gm_checkpoint_load(gm_model *model, gm_optimizer *optimizer, const char *path, gm_checkpoint_state *state,
                             gm_error *error)
{
    int64_t updates;
    gm_safetensors *file;
    gm_status status = gm_safetensors_open(path, &file, error);
    if (status != GM_OK)
        goto fail;
    if (!read_count(file, "epoch", &state->epoch) || !read_count(file, "step", &state->step) ||
        !read_count(file, "optimizer_steps", &updates)) {
        status = gm_error_set(error, GM_BAD_DATA,
                              "%s: its metadata do not say how far the run has come; give the "
                              "checkpoint.safetensors of a run",
                              path);
        goto fail;
    }
    const char *isa = gm_safetensors_metadata(file, "isa");
    if (!isa || gm_isa_from_name(isa, &state->isa) != GM_OK)
        state->isa = GM_ISA_AUTO;
    for (int32_t i = 0; i < array_count(model, optimizer) && status == GM_OK; i++) {
        const gm_tensor tensor = array_tensor(model, optimizer, i);
        status = gm_safetensors_read(file, &tensor, error);
    }
    if (status == GM_OK)
        gm_optimizer_set_steps(optimizer, updates);
fail:
    gm_safetensors_close(file);
    return status == GM_IO_ERROR ? GM_BAD_DATA : status;
}
