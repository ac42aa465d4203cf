/* Layers as forward and backward pairs on matrices [rows, columns]. */
#ifndef GEMEL_LAYERS_H
#define GEMEL_LAYERS_H

#include <gemel/context.h>
#include <gemel/model.h>

typedef enum gm_layer_kind {
    GM_LAYER_DENSE,     /* y = x W^T, W: [out, in] */
    GM_LAYER_BIAS,      /* y = x + bias, then ReLU if asked */
    GM_LAYER_BATCHNORM, /* over the rows of each group, then ReLU if asked */
    GM_LAYER_LAYERNORM, /* over the columns of each row */
} gm_layer_kind;

typedef struct gm_layer {
    gm_layer_kind kind;
    int64_t in, out; /* columns of x and y */
    bool relu;
    gm_parameter *weight, *bias, *running_mean, *running_variance; /* NULL where the kind has none */
} gm_layer;

/* What a layer reads and writes in one pass. Every call below returns the status of its kernel. */
typedef struct gm_pass {
    int64_t rows;
    int32_t groups; /* equal ranges of rows that batch norm normalises each by itself */
    const float *x;
    int64_t ldx;
    float *y; /* x itself only where gm_layer_in_place() says so */
    int64_t ldy;
    float *saved; /* gm_layer_saved_size() floats between forward and backward */
} gm_pass;

/* Whether y may be x in training; in inference it may for every layer but the dense one. */
static inline bool gm_layer_in_place(const gm_layer *layer)
{
    return layer->kind == GM_LAYER_BIAS;
}

/* Which of its matrices the backward call reads again. */
static inline bool gm_layer_keeps_input(const gm_layer *layer)
{
    return layer->kind != GM_LAYER_BIAS;
}

static inline bool gm_layer_keeps_output(const gm_layer *layer)
{
    return layer->kind == GM_LAYER_BIAS && layer->relu;
}

int64_t gm_layer_saved_size(const gm_layer *layer, int64_t rows, int32_t groups);

/* Bytes of workspace that suffice for every call with up to so many rows. */
size_t gm_layer_workspace(const gm_context *context, const gm_layer *layer, int64_t rows, int32_t groups);

/* Multiplications and additions of the forward call; a dense layer's backward call takes as many for each of its two
 * gradients. Only dense layers are counted. */
int64_t gm_layer_flops(const gm_layer *layer, int64_t rows);

gm_status gm_layer_forward(gm_context *context, const gm_layer *layer, const gm_pass *pass);

/* Forward with running statistics. */
gm_status gm_layer_infer(gm_context *context, const gm_layer *layer, const gm_pass *pass);

/* Overwrites the gradients of the layer's parameters, and dx unless it is NULL. For a dense layer dx may lie over x,
 * which is read before; for the others it may be dy. */
gm_status gm_layer_backward(gm_context *context, const gm_layer *layer, const gm_pass *pass, const float *dy,
                            int64_t lddy, float *dx, int64_t lddx);

#endif
