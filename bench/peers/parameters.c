#include "parameters.h"

#include "support/operands.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static uint32_t hash_of(const char *name)
{
    uint32_t hash = 2166136261u; /* FNV-1a */
    for (; *name; name++)
        hash = (hash ^ (uint8_t)*name) * 16777619u;
    return hash;
}

static bool ends(const char *name, const char *end)
{
    const size_t length = strlen(name), tail = strlen(end);
    return length >= tail && !strcmp(name + length - tail, end);
}

static void fill(const gm_parameter *p, uint32_t seed)
{
    float *random = bench_floats(p->count, hash_of(p->name) ^ seed);
    const bool shift = ends(p->name, "bias") || ends(p->name, "running_mean");
    const float scale = p->dimensions > 1 ? sqrtf(6.0f / (float)(p->count / p->shape[0])) : shift ? 0.1f : 0.25f;
    const float offset = p->dimensions > 1 || shift ? 0.0f : 1.0f;
    for (int64_t i = 0; i < p->count; i++)
        p->value[i] = offset + scale * random[i];
    free(random);
}

void parameters_fill(gm_model *model, uint32_t seed)
{
    for (int32_t i = 0; i < gm_model_parameter_count(model); i++) {
        const gm_parameter p = gm_model_parameter(model, i);
        fill(&p, seed);
    }
}
