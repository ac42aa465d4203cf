/* The encoder of a run alone, as safetensors: backbone.safetensors. Its metadata say all that a reader needs: `arch`
 * ("resnet18"); of images `stem`, `height`, `width`, `channels`, and `mean` and `std`, JSON arrays of a number a
 * channel; of vectors `encoder_dim` and `hidden_size`, and beside the encoder's arrays there are `input.mean` and
 * `input.scale`, float64 [encoder_dim]: the encoder gets (x - mean) scale. It holds neither clock times nor paths, so
 * that equal runs leave equal files. */
#ifndef GEMEL_BACKBONE_H
#define GEMEL_BACKBONE_H

#include <gemel/data.h>
#include <gemel/model.h>

#include "formats/safetensors.h"
#include "formats/tensor_file.h"
#include "train/head.h"

enum { GM_PIXEL_CHANNELS = 3, GM_BACKBONE_ENTRIES = 8, GM_BACKBONE_PATH = 4096 };

/* How bytes become an image's numbers: (byte / 255 - mean) / std. */
typedef struct gm_pixel_scale {
    int32_t channels; /* 0: not known, or vectors */
    float mean[GM_PIXEL_CHANNELS], std[GM_PIXEL_CHANNELS];
} gm_pixel_scale;

/* Of the pixels that the data set gives; no channels for vectors. */
gm_pixel_scale gm_pixel_scale_of(const gm_dataset *dataset);

/* Makes the data set give its images by this scale; nothing happens where it is not known or of other channels. */
void gm_pixel_scale_use(const gm_pixel_scale *scale, gm_dataset *dataset);

/* How vectors are standardised: (x - mean) scale, column by column. */
typedef struct gm_column_scale {
    int64_t columns;      /* 0: not known, or images */
    double *mean, *scale; /* [columns] each, in one block that begins at mean */
} gm_column_scale;

void gm_column_scale_free(gm_column_scale *scale);

typedef struct gm_backbone_metadata {
    int32_t count;
    gm_metadata entries[GM_BACKBONE_ENTRIES];
    char text[GM_BACKBONE_ENTRIES][64];
} gm_backbone_metadata;

/* What it takes to build the encoder again; options: those that the model was made with, but sizes of images that are 0
 * are left out. */
void gm_backbone_describe(const gm_model *model, const gm_model_options *options, const gm_pixel_scale *scale,
                          gm_backbone_metadata *metadata);

/* Writes the encoder's arrays with these metadata. The file is replaced atomically. dataset: what the model was trained
 * on; head: a classifier to stand beside it (train/head.h); NULL is allowed for both. Errors: GM_BAD_DATA (names of
 * classes that are not UTF-8), GM_IO_ERROR, GM_OUT_OF_MEMORY. */
gm_status gm_backbone_save(const gm_model *model, const gm_model_options *options, const gm_dataset *dataset,
                           const gm_head *head, const char *path, gm_error *error);

/* Options of the encoder in a file, from its tensors, with which its metadata must agree; height and width are 0 where
 * the file does not say, and scale->channels likewise. Errors: GM_BAD_DATA. */
gm_status gm_backbone_options(const gm_tensor_file *file, gm_model_options *options, gm_pixel_scale *scale,
                              gm_error *error);

/* What the file says of vectors' columns; free it with gm_column_scale_free(). Errors: GM_BAD_DATA (malformed),
 * GM_IO_ERROR, GM_OUT_OF_MEMORY; nothing to free then. */
gm_status gm_backbone_columns(gm_tensor_file *file, gm_column_scale *scale, gm_error *error);

/* Builds the model and reads it. Errors: GM_BAD_DATA, GM_IO_ERROR, GM_OUT_OF_MEMORY, GM_INVALID_ARGUMENT; *model may be
 * there also then, to be destroyed. */
gm_status gm_backbone_read(gm_context *context, gm_tensor_file *file, const gm_model_options *options, gm_model **model,
                           gm_error *error);

/* The backbone of a run's folder, which `inside` has memory for; any other path as it is. */
const char *gm_backbone_path(const char *path, char inside[GM_BACKBONE_PATH]);

/* What the file that gm_backbone_load() would read says of its input: gm_backbone_columns(), and the height and width
 * of images, 0 where it says none or if they differ. Errors: GM_BAD_DATA (also where there is no file),
 * GM_OUT_OF_MEMORY. */
gm_status gm_backbone_load_input(const char *path, gm_column_scale *scale, int64_t *image_size, gm_error *error);

/* Builds a model for inference (batch: most rows that it plans memory for at a time) from a backbone file, or from the
 * one in a run folder, or from another file of weights whose tensors tell its architecture (train/weights_arch.h).
 * height and width: of the images that it will get, where the file does not say; 0 for vectors. Only the encoder is
 * loaded, and frozen: gm_model_features_f32() is what it is for. *scale is what the file says of pixels. Errors:
 * GM_BAD_DATA (missing, malformed or of another shape), GM_OUT_OF_MEMORY, GM_INVALID_ARGUMENT (weights for images, and
 * no size of them); *model is NULL then. */
gm_status gm_backbone_load(gm_context *context, const char *path, int64_t height, int64_t width, int64_t batch,
                           gm_model **model, gm_pixel_scale *scale, gm_error *error);

/* The same to train it further, with a linear layer of `outputs` behind the encoder in the projector's place
 * ("projector.0.weight", "projector.0.bias"). batch: rows of a forward call, one view each; accumulation: as
 * gm_model_options. Errors: likewise. */
gm_status gm_backbone_load_training(gm_context *context, const char *path, int64_t height, int64_t width, int64_t batch,
                                    int64_t outputs, bool accumulation, gm_model **model, gm_pixel_scale *scale,
                                    gm_error *error);

#endif
