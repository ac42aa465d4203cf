/* What the parts of gm_model and gm_optimizer share. */
#ifndef GEMEL_MODEL_INTERNAL_H
#define GEMEL_MODEL_INTERNAL_H

#include "nn/frozen.h"
#include "nn/timing.h"

/* What the layers read and write in training or in inference; arrays of one a layer. */
typedef struct gm_arena {
    bool training, accumulation, recomputation;
    int64_t images; /* most of a call */
    int32_t groups;
    float **values;    /* NULL where the output lies in another layer's, or is the caller's */
    float **again;     /* of the outputs that are made a second time, NULL for others; training only */
    bool *made;        /* whether the latest backward call has made it again */
    float **gradients; /* of the outputs, likewise; training only */
    float **terms;     /* of a layer's parameters, to be added to their gradients; NULL where the layer adds itself */
    gm_conv_packed **packed;      /* memory for the weights of convolutions on the way forward */
    gm_conv_packed **packed_back; /* and back; training only */
    gm_pass *passes;              /* the matrices of the latest forward call; their plans are made for: */
    int64_t planned_images;
    int32_t planned_groups;
} gm_arena;

struct gm_model {
    gm_context *context;
    gm_network network;
    bool training, exact;

    char *memory; /* parameters, gradients, then the two arenas */
    int64_t memory_size;
    gm_arena inference, trained; /* without training the latter has no memory */
    gm_frozen_layer *frozen;     /* NULL unless gm_model_freeze() was called */

    bool pending;              /* a forward call waits for its backward call */
    gm_layer_seconds *seconds; /* of each layer, NULL unless somebody asks */
};

/* Provides the memory and points the parameters and the arenas into it; the parameters are zero. images and groups of
 * the arenas are set. Errors: GM_SIZE_OVERFLOW, GM_OUT_OF_MEMORY. */
gm_status gm_model_allocate(gm_model *model);

/* Plans an arena's convolutions for a call of so many images and groups, at most those of the arena, and reserves the
 * workspace of all layers; nothing happens if that is how it is. Errors: as gm_conv_plan_create(). */
gm_status gm_model_prepare(gm_model *model, gm_arena *arena, int64_t images, int32_t groups);

void gm_arena_destroy(gm_arena *arena, int32_t layers);

#endif
