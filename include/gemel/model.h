/* Models, their gradients and their optimisers (libgemel-train). */
#ifndef GEMEL_MODEL_H
#define GEMEL_MODEL_H

#include <gemel/api.h>
#include <gemel/context.h>
#include <gemel/error.h>
#include <gemel/status.h>

GM_BEGIN_DECLS

/* An encoder, whose output is used downstream, and a projector, whose output goes into the loss. */
typedef struct gm_model gm_model;

typedef enum gm_arch {
    GM_ARCH_MLP = 0, /* encoder 2 x (dense without bias, batch norm, ReLU); projector dense without bias, batch norm and
                      * ReLU between its layers, nothing behind the last, as Facebook's */
    GM_ARCH_AXON,    /* encoder 2 x (dense, ReLU, layer norm); projector dense, ReLU, layer norm, dense, ReLU, dense */
    /* Encoders of images; their projector is that of GM_ARCH_MLP. */
    GM_ARCH_CONV,     /* 3 x (3x3 convolution to w, 2 w, 4 w channels, batch norm, ReLU; max pooling between them), then
                       * averages of a 2x2 grid in the order channel, cell: 16 w features; w is conv_width */
    GM_ARCH_RESNET18, /* torchvision's, without fc */
    GM_ARCH_RESNET34,
    GM_ARCH_RESNET50, /* stride in the 3x3 convolution */
    GM_ARCH_COUNT,
} gm_arch;

/* "mlp", "axon", "conv", "resnet18", "resnet34", "resnet50"; NULL for anything else. */
GM_API const char *gm_arch_name(gm_arch arch);
GM_API gm_status gm_arch_from_name(const char *name, gm_arch *arch);
GM_API bool gm_arch_takes_images(gm_arch arch);

/* How a ResNet begins. */
typedef enum gm_stem {
    GM_STEM_AUTO = 0, /* small for images up to 64 x 64 */
    GM_STEM_IMAGENET, /* 7x7 convolution with stride 2, 3x3 max pooling with stride 2 */
    GM_STEM_SMALL,    /* 3x3 convolution with stride 1, no pooling */
    GM_STEM_COUNT,
} gm_stem;

/* "auto", "imagenet", "small"; NULL for anything else. */
GM_API const char *gm_stem_name(gm_stem stem);
GM_API gm_status gm_stem_from_name(const char *name, gm_stem *stem);

GM_API int64_t gm_default_hidden_size(void);    /* 512 */
GM_API int64_t gm_default_projection_dim(void); /* 256 */
GM_API int64_t gm_default_conv_width(void);     /* 32 */
GM_API float gm_default_lambda(void);           /* 0.005 */

typedef struct gm_model_options {
    size_t size; /* sizeof(gm_model_options) */
    gm_arch arch;
    int64_t encoder_dim;      /* width of a row of the input; required but for images */
    int64_t hidden_size;      /* 0: gm_default_hidden_size() */
    int64_t projection_dim;   /* width of the output; 0: gm_default_projection_dim() */
    const int64_t *projector; /* widths of the projector's layers, of GM_ARCH_AXON just one, copied; the last one
                               * overrides projection_dim; one layer with a bias is a linear classifier; NULL: three
                               * layers of projection_dim, or the projector of GM_ARCH_AXON */
    int32_t projector_layers; /* 1 … 64, with projector */
    int64_t batch;            /* most rows of one view in a forward call */
    int32_t views;            /* most views in a forward call; 0: 2 */
    bool training; /* plan memory for backward calls; without it only gm_model_features_f32() and inference work */
    uint64_t seed; /* of the initial weights */
    int64_t height, width, channels; /* of images; a row of the input is [height, width, channels] */
    gm_stem stem;                    /* of ResNets */
    bool zero_init_residual;         /* ResNets: the last batch norm of each block starts with weight 0 */
    bool projector_bias;             /* the projector's dense layers have biases; they start at 0 */
    bool exact;                      /* convolutions by their definition alone, as gm_conv_options */
    bool accumulation;               /* plan memory for gm_model_accumulate_f32() */
    bool recomputation; /* of images: the largest outputs of cheap convolutions are forgotten, too, and computed a
                         * second time when they are read again; the same bits, less memory */
    int64_t conv_width; /* of GM_ARCH_CONV; 0: gm_default_conv_width() */
} gm_model_options;

static inline gm_model_options gm_model_default_options(int64_t encoder_dim, int64_t batch)
{
    gm_model_options options = {sizeof(gm_model_options),
                                GM_ARCH_MLP,
                                encoder_dim,
                                0,
                                0,
                                NULL,
                                0,
                                batch,
                                2,
                                true,
                                0,
                                0,
                                0,
                                0,
                                GM_STEM_AUTO,
                                false,
                                false,
                                false,
                                false,
                                false,
                                0};
    return options;
}

/* The model uses the context's threads and reserves the workspace it needs there; the context must outlive it.
 * Errors: GM_INVALID_ARGUMENT, GM_SIZE_OVERFLOW, GM_OUT_OF_MEMORY. */
GM_API gm_status gm_model_create(gm_context *context, const gm_model_options *options, gm_model **model);
GM_API void gm_model_destroy(gm_model *model);

/* The same for images: encoder_dim is 0. */
static inline gm_model_options gm_model_image_options(gm_arch arch, int64_t height, int64_t width, int64_t channels,
                                                      int64_t batch)
{
    gm_model_options options = gm_model_default_options(0, batch);
    options.arch = arch;
    options.height = height;
    options.width = width;
    options.channels = channels;
    return options;
}

GM_API int64_t gm_model_input_size(const gm_model *model);   /* columns of the encoder's input */
GM_API int64_t gm_model_feature_size(const gm_model *model); /* columns of the encoder's output */
GM_API int64_t gm_model_output_size(const gm_model *model);  /* columns of the projector's output */
GM_API size_t gm_model_memory(const gm_model *model); /* bytes of parameters, gradients, activations, packed weights */
GM_API int64_t gm_model_flops(const gm_model *model, int64_t rows); /* of a forward and backward call of so many rows */

/* Training: z = projector(encoder(x)) for `views` blocks of `rows` rows, normalised each by itself.
 * x: [views * rows, input size], images without room between them (ldx = input size, here and below); z: [views * rows,
 * output]. Keeps x, which must stay as it is, for the next backward call. Errors: GM_INVALID_ARGUMENT, GM_NOT_FINITE (z
 * written). */
GM_API gm_status gm_model_forward_f32(gm_model *model, int32_t views, int64_t rows, const float *x, int64_t ldx,
                                      float *z, int64_t ldz);

/* The same once more, to have the activations back after another forward call: with the input of an earlier call and
 * the same parameters it gives the z of that call, bit for bit. Running statistics stay as they are. */
GM_API gm_status gm_model_recompute_f32(gm_model *model, int32_t views, int64_t rows, const float *x, int64_t ldx,
                                        float *z, int64_t ldz);

/* Gradients of all parameters (overwritten) from dz = dL/dz of the latest forward call. dz: like z, and overwritten.
 * One backward call for each forward call or recomputation, for it writes over the activations. The gradients lie where
 * these were, so the next forward call writes over them; but not in models created with `accumulation`. Errors:
 * GM_INVALID_ARGUMENT (also without a forward call before), GM_NOT_FINITE. */
GM_API gm_status gm_model_backward_f32(gm_model *model, float *dz, int64_t lddz);

/* The same, added to the gradients that are there. Large batches go through the network in pieces that way: forward
 * calls of all pieces, the loss of all outputs, then for each piece its recomputation, which the last one to go forward
 * does without, and its gradients. Only for models created with `accumulation`. */
GM_API gm_status gm_model_accumulate_f32(gm_model *model, float *dz, int64_t lddz);

/* Makes the inference calls below faster from now on, for parameters that no longer change: batch norms are folded into
 * the convolutions before them, whose weights are packed once. Results differ by rounding. Changes of parameters take
 * effect with the next call of it; the memory of the packed weights is among gm_model_memory(). Only for models created
 * without training. Errors: GM_INVALID_ARGUMENT, GM_OUT_OF_MEMORY (then as before any call of it). */
GM_API gm_status gm_model_freeze(gm_model *model);

/* Inference: the encoder's output with running statistics, any number of rows. y: [rows, feature_size]. */
GM_API gm_status gm_model_features_f32(gm_model *model, int64_t rows, const float *x, int64_t ldx, float *y,
                                       int64_t ldy);

/* Inference: the projector's output with running statistics, any number of rows. z: [rows, output]. */
GM_API gm_status gm_model_infer_f32(gm_model *model, int64_t rows, const float *x, int64_t ldx, float *z, int64_t ldz);

/* One named array of a model. Dense weights are [out, in], convolutions' [out, in, height, width]. */
typedef struct gm_parameter {
    const char *name; /* "encoder.0.weight" … as PyTorch's Sequential would number them, "encoder.layer1.0.conv1.weight"
                       * … as torchvision does; lives as long as the model */
    int32_t dimensions;
    int64_t shape[4];
    int64_t count;   /* product of shape */
    float *value;    /* written by the optimiser and by loaders */
    float *gradient; /* NULL for running statistics and without training */
} gm_parameter;

GM_API int32_t gm_model_parameter_count(const gm_model *model);
/* 0 <= index < gm_model_parameter_count(); running statistics are among them. */
GM_API gm_parameter gm_model_parameter(const gm_model *model, int32_t index);

typedef enum gm_optimizer_kind {
    GM_OPTIMIZER_SGD = 0,
    GM_OPTIMIZER_ADAM,
    GM_OPTIMIZER_LARS,
    GM_OPTIMIZER_COUNT
} gm_optimizer_kind;

/* "sgd", "adam", "lars"; NULL for anything else. */
GM_API const char *gm_optimizer_name(gm_optimizer_kind kind);
GM_API gm_status gm_optimizer_from_name(const char *name, gm_optimizer_kind *kind);

typedef struct gm_optimizer gm_optimizer;

typedef struct gm_optimizer_options {
    size_t size; /* sizeof(gm_optimizer_options) */
    gm_optimizer_kind kind;
    float weight_decay; /* 1e-6; LARS skips parameters of one dimension */
    float momentum;     /* 0.9: SGD and LARS */
    float beta1, beta2; /* 0.9, 0.999: Adam */
    float eps;          /* 1e-8: Adam */
    float eta;          /* 0.001: LARS */
} gm_optimizer_options;

static inline gm_optimizer_options gm_optimizer_default_options(gm_optimizer_kind kind)
{
    gm_optimizer_options options = {sizeof(gm_optimizer_options), kind, 1e-6f, 0.9f, 0.9f, 0.999f, 1e-8f, 0.001f};
    return options;
}

/* The model must outlive it and have been created for training. Errors: GM_INVALID_ARGUMENT, GM_OUT_OF_MEMORY. */
GM_API gm_status gm_optimizer_create(gm_model *model, const gm_optimizer_options *options, gm_optimizer **optimizer);
GM_API void gm_optimizer_destroy(gm_optimizer *optimizer);

/* Updates every parameter by its gradient: with rate those of two and more dimensions, with rate_biases the others. */
GM_API gm_status gm_optimizer_step(gm_optimizer *optimizer, float rate, float rate_biases);

/* State for checkpoints: steps taken, and for each parameter with a gradient "momentum.encoder.0.weight" … (SGD, LARS)
 * or "exp_avg.encoder.0.weight", "exp_avg_sq.encoder.0.weight" … (Adam). Reads and writes go through value. */
GM_API int64_t gm_optimizer_steps(const gm_optimizer *optimizer);
GM_API void gm_optimizer_set_steps(gm_optimizer *optimizer, int64_t steps);
GM_API int32_t gm_optimizer_state_count(const gm_optimizer *optimizer);
GM_API gm_parameter gm_optimizer_state(const gm_optimizer *optimizer, int32_t index);

GM_END_DECLS

#endif
