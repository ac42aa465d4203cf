/* Layers as forward and backward pairs on matrices of images * pixels rows and one column a channel. */
#ifndef GEMEL_LAYERS_H
#define GEMEL_LAYERS_H

#include <gemel/context.h>
#include <gemel/conv.h>
#include <gemel/model.h>

typedef enum gm_layer_kind {
    GM_LAYER_DENSE,          /* y = x W^T, W: [out, in] */
    GM_LAYER_BIAS,           /* y = x + bias, then ReLU if asked */
    GM_LAYER_BATCHNORM,      /* over the rows of each group, then ReLU if asked */
    GM_LAYER_BATCHNORM_LINE, /* the same as a line, which convolutions and pools apply where they read y: y is x */
    GM_LAYER_BATCHNORM_ADD,  /* the same with the residual added before ReLU */
    GM_LAYER_LAYERNORM,      /* over the columns of each row */
    GM_LAYER_CONV,           /* W: [out, in, kernel, kernel] */
    GM_LAYER_MAX_POOL,
    GM_LAYER_AVERAGE_POOL, /* to a grid of cells; a row of y lies as [channel, cell] */
} gm_layer_kind;

/* What one image is between two layers; a vector has one pixel. */
typedef struct gm_map {
    int64_t height, width, channels;
} gm_map;

static inline int64_t gm_map_pixels(const gm_map *map)
{
    return map->height * map->width;
}

/* In the place of a layer's number: the input of the network, and nothing. */
enum { GM_NETWORK_INPUT = -1, GM_NO_LAYER = -2 };

typedef struct gm_layer {
    gm_layer_kind kind;
    int32_t x, residual; /* numbers of the layers whose outputs it reads */
    gm_map in, out;
    bool relu;
    int64_t kernel, stride, padding;                               /* of convolution and max pooling */
    int64_t grid;                                                  /* of average pooling */
    gm_parameter *weight, *bias, *running_mean, *running_variance; /* NULL where the kind has none */
} gm_layer;

/* What a layer reads and writes in one pass. Every call below returns the status of its kernel. */
typedef struct gm_pass {
    int64_t images;
    int32_t groups; /* equal ranges of images that batch norm normalises each by itself */
    bool update;    /* running statistics; training only */
    bool again;     /* training only: `saved` is there from an earlier call with the same x; not with update */
    const float *x;
    int64_t ldx;
    gm_conv_input line;    /* how x is to be read; by convolutions and pools only */
    const float *residual; /* its leading dimension is its width */
    float *y;              /* x itself only where gm_layer_in_place() says so */
    int64_t ldy;
    void *saved;            /* gm_layer_saved_bytes(), from the forward to the backward call */
    gm_conv_plan *plan;     /* of a convolution, for so many images and groups */
    gm_conv_packed *packed; /* memory for the packed weights of any pass of it */
} gm_pass;

static inline bool gm_layer_normalizes_batch(const gm_layer *layer)
{
    return layer->kind == GM_LAYER_BATCHNORM || layer->kind == GM_LAYER_BATCHNORM_LINE ||
           layer->kind == GM_LAYER_BATCHNORM_ADD;
}

/* Whether dx takes the place of dy. */
static inline bool gm_layer_gradient_in_place(const gm_layer *layer)
{
    return gm_layer_normalizes_batch(layer) || layer->kind == GM_LAYER_BIAS || layer->kind == GM_LAYER_LAYERNORM;
}

/* Whether y takes the place of x. */
static inline bool gm_layer_in_place(const gm_layer *layer, bool training)
{
    return training ? layer->kind == GM_LAYER_BIAS || layer->kind == GM_LAYER_BATCHNORM_LINE
                    : gm_layer_gradient_in_place(layer);
}

/* Whether the backward call has read x before it writes dx, which then may lie there. */
static inline bool gm_layer_reads_first(const gm_layer *layer)
{
    return layer->kind == GM_LAYER_DENSE || layer->kind == GM_LAYER_CONV;
}

/* Which of its matrices the backward call reads again. */
static inline bool gm_layer_keeps_input(const gm_layer *layer)
{
    return gm_layer_reads_first(layer) || gm_layer_normalizes_batch(layer) || layer->kind == GM_LAYER_LAYERNORM;
}

static inline bool gm_layer_keeps_output(const gm_layer *layer)
{
    return layer->kind == GM_LAYER_BIAS && layer->relu;
}

int64_t gm_layer_saved_bytes(const gm_layer *layer, int64_t images, int32_t groups, bool training);

/* The line that the readers of the layer's output apply; empty unless it is a GM_LAYER_BATCHNORM_LINE. pass: of the
 * layer. */
gm_conv_input gm_layer_line(const gm_layer *layer, const gm_pass *pass);

/* Bytes of workspace that suffice for every call with up to so many images, forward and, in training, backward; plan:
 * of a convolution. */
size_t gm_layer_workspace(const gm_context *context, const gm_layer *layer, int64_t images, int32_t groups,
                          const gm_conv_plan *plan, bool training);

/* Multiplications and additions of the forward call; the backward call takes as many for each of its two gradients.
 * Only dense layers and convolutions are counted. */
int64_t gm_layer_flops(const gm_layer *layer, int64_t images);

gm_status gm_layer_forward(gm_context *context, const gm_layer *layer, const gm_pass *pass);

/* Forward with running statistics. */
gm_status gm_layer_infer(gm_context *context, const gm_layer *layer, const gm_pass *pass);

/* Gradients of a layer's output, its input and its residual; dx and dresidual are NULL where they are not wanted. Only
 * dy and dx of the network's own input and output have leading dimensions other than their widths. */
typedef struct gm_gradients {
    const float *dy;
    int64_t lddy;
    float *dx; /* dy where gm_layer_gradient_in_place() */
    int64_t lddx;
    bool add; /* to what is in dx; by layers that read first only */
    float *dresidual;
    float *dweight, *dbias; /* of its parameters */
    bool accumulate;        /* to what is in dweight; only where gm_layer_accumulates() */
} gm_gradients;

/* Whether the backward call can add to the gradients of the parameters. */
static inline bool gm_layer_accumulates(const gm_layer *layer)
{
    return layer->kind == GM_LAYER_DENSE;
}

/* Overwrites dx, dresidual, dweight and dbias, but for what is to be added. */
gm_status gm_layer_backward(gm_context *context, const gm_layer *layer, const gm_pass *pass,
                            const gm_gradients *gradients);

#endif
