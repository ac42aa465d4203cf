#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <gemel/optimizer.h>

#include "nn/model_internal.h"
#include "nn/plan.h"

enum { MOST_ARRAYS = 2, NAME_SIZE = 64 };

/* The arrays of state that each kind keeps for a parameter, named as PyTorch's optimisers name them. */
static const struct {
    const char *name;
    int arrays;
    const char *array_names[MOST_ARRAYS];
} kinds[GM_OPTIMIZER_COUNT] = {
    [GM_OPTIMIZER_SGD] = {"sgd", 1, {"momentum"}},
    [GM_OPTIMIZER_ADAM] = {"adam", 2, {"exp_avg", "exp_avg_sq"}},
    [GM_OPTIMIZER_LARS] = {"lars", 1, {"momentum"}},
};

struct gm_optimizer {
    gm_context *context;
    gm_optimizer_options options;
    int64_t steps;
    gm_parameter *parameters; /* of the model, those with a gradient */
    int32_t count;
    gm_parameter *states; /* arrays of parameter i from [arrays * i] on; gradient is NULL */
    char *names;          /* [arrays * count, NAME_SIZE] */
    float *memory;
};

const char *gm_optimizer_name(gm_optimizer_kind kind)
{
    return (unsigned)kind < GM_OPTIMIZER_COUNT ? kinds[kind].name : NULL;
}

gm_status gm_optimizer_from_name(const char *name, gm_optimizer_kind *kind)
{
    if (!name || !kind)
        return GM_INVALID_ARGUMENT;
    for (int i = 0; i < GM_OPTIMIZER_COUNT; i++)
        if (strcmp(name, kinds[i].name) == 0) {
            *kind = (gm_optimizer_kind)i;
            return GM_OK;
        }
    return GM_INVALID_ARGUMENT;
}

static int arrays(const gm_optimizer *optimizer)
{
    return kinds[optimizer->options.kind].arrays;
}

static gm_status set_up_states(gm_optimizer *optimizer)
{
    int64_t bytes = 0;
    for (int32_t i = 0; i < optimizer->count; i++)
        bytes += arrays(optimizer) * gm_size_align(optimizer->parameters[i].count * (int64_t)sizeof(float));
    char *memory = gm_block_allocate(bytes);
    optimizer->memory = (float *)memory;
    if (!memory)
        return GM_OUT_OF_MEMORY;
    memset(memory, 0, (size_t)bytes);
    for (int32_t i = 0; i < gm_optimizer_state_count(optimizer); i++) {
        const gm_parameter *of = &optimizer->parameters[i / arrays(optimizer)];
        char *name = optimizer->names + (size_t)i * NAME_SIZE;
        snprintf(name, NAME_SIZE, "%s.%s", kinds[optimizer->options.kind].array_names[i % arrays(optimizer)], of->name);
        optimizer->states[i] = *of;
        optimizer->states[i].name = name;
        optimizer->states[i].value = (float *)memory;
        optimizer->states[i].gradient = NULL;
        memory += gm_size_align(of->count * (int64_t)sizeof(float));
    }
    return GM_OK;
}

static gm_status set_up(gm_optimizer *optimizer, const gm_model *model)
{
    const gm_network *network = &model->network;
    const size_t most = (size_t)network->parameter_count, most_states = most * (size_t)arrays(optimizer);
    optimizer->parameters = calloc(most, sizeof *optimizer->parameters);
    optimizer->states = calloc(most_states, sizeof *optimizer->states);
    optimizer->names = calloc(most_states, NAME_SIZE);
    if (!optimizer->parameters || !optimizer->states || !optimizer->names)
        return GM_OUT_OF_MEMORY;
    size_t workspace = 0;
    for (int32_t i = 0; i < network->parameter_count; i++) {
        const gm_parameter *parameter = &network->parameters[i];
        if (!parameter->gradient)
            continue;
        optimizer->parameters[optimizer->count++] = *parameter;
        const size_t needed = gm_lars_f32_workspace(model->context, parameter->count);
        workspace = needed > workspace ? needed : workspace;
    }
    const gm_status status = gm_context_reserve(model->context, workspace);
    return status == GM_OK ? set_up_states(optimizer) : status;
}

static bool valid(const gm_optimizer_options *o)
{
    return o->size >= sizeof *o && gm_optimizer_name(o->kind) && o->weight_decay >= 0.0f && o->momentum >= 0.0f &&
           o->momentum < 1.0f && o->beta1 >= 0.0f && o->beta1 < 1.0f && o->beta2 >= 0.0f && o->beta2 < 1.0f &&
           o->eps >= 0.0f && o->eta >= 0.0f;
}

gm_status gm_optimizer_create(gm_model *model, const gm_optimizer_options *options, gm_optimizer **optimizer)
{
    if (!optimizer)
        return GM_INVALID_ARGUMENT;
    *optimizer = NULL;
    if (!model || !model->training || !options || !valid(options))
        return GM_INVALID_ARGUMENT;
    gm_optimizer *created = calloc(1, sizeof *created);
    if (!created)
        return GM_OUT_OF_MEMORY;
    created->context = model->context;
    created->options = *options;
    const gm_status status = set_up(created, model);
    if (status != GM_OK) {
        gm_optimizer_destroy(created);
        return status;
    }
    *optimizer = created;
    return GM_OK;
}

void gm_optimizer_destroy(gm_optimizer *optimizer)
{
    if (!optimizer)
        return;
    free(optimizer->parameters);
    free(optimizer->states);
    free(optimizer->names);
    free(optimizer->memory);
    free(optimizer);
}

static gm_status update(gm_optimizer *optimizer, const gm_parameter *p, const gm_parameter *state, float rate)
{
    gm_context *context = optimizer->context;
    const gm_optimizer_options *o = &optimizer->options;
    switch (o->kind) {
    case GM_OPTIMIZER_SGD:
        return gm_sgd_f32(context, p->count, p->value, p->gradient, state->value, rate, o->momentum, o->weight_decay);
    case GM_OPTIMIZER_ADAM:
        return gm_adam_f32(context, p->count, p->value, p->gradient, state[0].value, state[1].value, rate, o->beta1,
                           o->beta2, o->eps, o->weight_decay, optimizer->steps);
    case GM_OPTIMIZER_LARS:
        if (p->dimensions == 1)
            return gm_sgd_f32(context, p->count, p->value, p->gradient, state->value, rate, o->momentum, 0.0f);
        return gm_lars_f32(context, p->count, p->value, p->gradient, state->value, rate, o->momentum, o->weight_decay,
                           o->eta);
    case GM_OPTIMIZER_COUNT:
        break;
    }
    return GM_INVALID_ARGUMENT;
}

gm_status gm_optimizer_step(gm_optimizer *optimizer, float rate, float rate_biases)
{
    if (!optimizer)
        return GM_INVALID_ARGUMENT;
    optimizer->steps++;
    gm_status result = GM_OK;
    for (int32_t i = 0; i < optimizer->count; i++) {
        const gm_parameter *p = &optimizer->parameters[i];
        const gm_status status =
            update(optimizer, p, &optimizer->states[arrays(optimizer) * i], p->dimensions > 1 ? rate : rate_biases);
        result = status == GM_OK ? result : status;
    }
    return result;
}

int64_t gm_optimizer_steps(const gm_optimizer *optimizer)
{
    return optimizer->steps;
}

void gm_optimizer_set_steps(gm_optimizer *optimizer, int64_t steps)
{
    optimizer->steps = steps;
}

int32_t gm_optimizer_state_count(const gm_optimizer *optimizer)
{
    return arrays(optimizer) * optimizer->count;
}

gm_parameter gm_optimizer_state(const gm_optimizer *optimizer, int32_t index)
{
    return optimizer->states[index];
}
