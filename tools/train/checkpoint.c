#include "train/checkpoint.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "formats/safetensors.h"
#include "support/file.h"
#include "support/parse.h"
#include "train/backbone.h"
#include "train/weights.h"

enum { OWN_ENTRIES = 5 };

/* The arrays of a checkpoint: the model's, the optimiser's, and two pictures of the cross-correlation matrix. */
static int32_t array_count(const gm_model *model, const gm_optimizer *optimizer, const gm_checkpoint_state *state)
{
    return gm_model_parameter_count(model) + gm_optimizer_state_count(optimizer) + (state->tiles > 0 ? 2 : 0);
}

static gm_tensor array_tensor(const gm_model *model, const gm_optimizer *optimizer, const gm_checkpoint_state *state,
                              int32_t index)
{
    const int32_t parameters = gm_model_parameter_count(model), states = gm_optimizer_state_count(optimizer);
    if (index < parameters + states) {
        const gm_parameter array =
            index < parameters ? gm_model_parameter(model, index) : gm_optimizer_state(optimizer, index - parameters);
        return gm_weights_tensor(&array);
    }
    const bool first = index == parameters + states;
    const gm_tensor tensor = {.name = first ? "correlation.first" : "correlation.last",
                              .type = GM_TENSOR_F32,
                              .dimensions = 2,
                              .shape = {state->tiles, state->tiles},
                              .data = first ? state->first_tiles : state->last_tiles};
    return tensor;
}

gm_status gm_checkpoint_save(const gm_model *model, const gm_optimizer *optimizer, const gm_model_options *options,
                             const gm_checkpoint_state *state, const char *path, gm_error *error)
{
    const int32_t count = array_count(model, optimizer, state);
    gm_tensor *tensors = calloc((size_t)count, sizeof *tensors);
    if (!tensors)
        return gm_error_set(error, GM_OUT_OF_MEMORY, "%s: no memory to list the arrays", path);
    for (int32_t i = 0; i < count; i++)
        tensors[i] = array_tensor(model, optimizer, state, i);
    char epoch_text[24], step_text[24], updates_text[24], rows_text[24];
    snprintf(epoch_text, sizeof epoch_text, "%lld", (long long)state->epoch);
    snprintf(step_text, sizeof step_text, "%lld", (long long)state->step);
    snprintf(updates_text, sizeof updates_text, "%lld", (long long)gm_optimizer_steps(optimizer));
    snprintf(rows_text, sizeof rows_text, "%lld", (long long)state->rows);
    gm_backbone_metadata encoder;
    gm_backbone_describe(model, options, NULL, &encoder);
    gm_metadata metadata[OWN_ENTRIES + GM_BACKBONE_ENTRIES] = {{"epoch", epoch_text},
                                                               {"step", step_text},
                                                               {"optimizer_steps", updates_text},
                                                               {"rows", rows_text},
                                                               {"isa", gm_isa_name(state->isa)}};
    memcpy(metadata + OWN_ENTRIES, encoder.entries, (size_t)encoder.count * sizeof *metadata);
    const gm_status status = gm_safetensors_write(path, count, tensors, OWN_ENTRIES + encoder.count, metadata, error);
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
    if (!read_count(file, "rows", &state->rows))
        state->rows = 0;
    const char *isa = gm_safetensors_metadata(file, "isa");
    if (!isa || gm_isa_from_name(isa, &state->isa) != GM_OK)
        state->isa = GM_ISA_AUTO;
    for (int32_t i = 0; i < array_count(model, optimizer, state) && status == GM_OK; i++) {
        const gm_tensor tensor = array_tensor(model, optimizer, state, i);
        status = gm_safetensors_read(file, &tensor, error);
    }
    if (status == GM_OK)
        gm_optimizer_set_steps(optimizer, updates);
fail:
    gm_safetensors_close(file);
    return status == GM_IO_ERROR ? GM_BAD_DATA : status;
}
