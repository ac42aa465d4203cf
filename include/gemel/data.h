/* Data sets in memory and random views of them (libgemel-train). */
#ifndef GEMEL_DATA_H
#define GEMEL_DATA_H

#include <gemel/api.h>
#include <gemel/context.h>
#include <gemel/error.h>
#include <gemel/status.h>

GM_BEGIN_DECLS

typedef enum gm_data_kind {
    GM_DATA_GRAY_IMAGES = 0, /* one byte a pixel */
    GM_DATA_VECTORS,         /* float32 features */
    GM_DATA_COLOR_IMAGES, /* RGB, one byte a channel, in memory or in files that are decoded whenever they are read */
} gm_data_kind;

typedef struct gm_split {
    int64_t rows;
    const uint8_t *pixels;    /* [rows, height, width, channels] of images in memory, else NULL */
    const float *features;    /* [rows, dim] of GM_DATA_VECTORS, standardised by the training rows; else NULL */
    const int32_t *labels;    /* [rows], in [0, classes); NULL without labels */
    const char *const *paths; /* [rows] of images in files, which have any size; else NULL */
} gm_split;

/* Read-only once opened. */
typedef struct gm_dataset {
    gm_data_kind kind;
    char name[128]; /* "fashion-mnist", "synthetic", or the file's name without its folder and extension */
    int64_t dim;    /* numbers in one sample: height * width * channels, or the width of the features */
    int64_t height, width, channels;          /* of an image as a network sees it; 0 for vectors */
    int32_t classes;                          /* 0 without labels */
    const char *const *class_names;           /* [classes] or NULL */
    float mean, std;                          /* of the training pixels in [0, 1], grey images; else 0 and 1 */
    float channel_mean[3], channel_std[3];    /* the same of colour images in memory; of files, ImageNet's */
    const double *column_mean, *column_scale; /* [dim] of vectors: a feature is (x - mean) scale; else NULL */
    gm_split train, test;                     /* test.rows is 0 where there is none */
    int64_t skipped;                          /* bad images that options.skip_bad_images left out … */
    const char *const *skipped_messages;      /* … and what was wrong with each: [skipped] */
} gm_dataset;

typedef struct gm_dataset_options {
    size_t size; /* sizeof(gm_dataset_options) */
    const char
        *labels;      /* .npy of integers, one a row, for a .npy of features; for image files a text of lines PATH,LABEL
                       * with paths inside the folder and labels that are names or all integers; NULL: none */
    double val_split; /* share of the rows of a .npy or of image files that become the test split, chosen by seed */
    uint64_t seed;
    const char *train_list; /* image files: a text that names the training images, one a line, by their path inside the
                             * folder or by a file name that only one has; the other ones are left out. NULL: all */
    bool skip_bad_images; /* image files: decode each once now, and leave out those that cannot be; else the first such
                           * image is an error when it is read */
    int64_t image_size;   /* image files: height and width that the network sees; 0: 224 */
    gm_context *context;  /* its threads decode for skip_bad_images; NULL: the caller's alone */
    int64_t columns; /* vectors that have so many: standardise them by these [columns] numbers of another data set's,
                      * which are copied, instead of by their own training rows; 0: by these */
    const double *column_mean, *column_scale;
    int64_t usual_image_size; /* image_size where that is 0; 0: 224 */
    double usual_val_split;   /* val_split where that is 0 and there are labels, but no test samples */
} gm_dataset_options;

static inline gm_dataset_options gm_dataset_default_options(void)
{
    gm_dataset_options options = {
        sizeof(gm_dataset_options), NULL, 0.0, 0, NULL, false, 0, NULL, 0, NULL, NULL, 0, 0.0};
    return options;
}

/* what: "fashion-mnist" (Debian's package dataset-fashion-mnist), "mnist" or a folder with the four idx files, plain or
 * gzip; a folder with the binary files of CIFAR-10 or CIFAR-100; a folder of JPEG and PNG images, or one such image; a
 * .npy file [rows, dim] of float32, float16 or uint8 in C order; or "synthetic". Errors: GM_IO_ERROR, GM_BAD_DATA,
 * GM_OUT_OF_MEMORY, GM_BAD_USAGE; *dataset is NULL then. */
GM_API gm_status gm_dataset_open(const char *what, const gm_dataset_options *options, gm_dataset **dataset,
                                 gm_error *error);
GM_API void gm_dataset_close(gm_dataset *dataset);

/* order[i] = where in the file row i stands, the training rows first and then the test rows: i itself but for a .npy
 * with a validation split. order: [train.rows + test.rows] */
GM_API void gm_dataset_order(const gm_dataset *dataset, int64_t *order);

/* How a view is drawn. Each step fires with its probability, independently for each view. */
typedef struct gm_augmentation {
    size_t size;                          /* sizeof(gm_augmentation) */
    float crop_probability;               /* images: random resized crop … */
    float crop_scale_min, crop_scale_max; /* … of this share of the area … */
    float crop_ratio_min, crop_ratio_max; /* … and this width over height, log-uniform */
    float flip_probability;
    float
        jitter_probability; /* brightness, contrast, saturation and hue together, of colour images in random order … */
    float brightness, contrast, saturation; /* … each by a factor uniform in 1 -+ this … */
    float hue;                              /* … but the hue turned by up to this share of the circle, 0 … 0.5 */
    float gray_probability;                 /* colour images: all channels the grey level */
    float blur_probability,
        blur_probability_2;               /* of the first view, and of the second; the same of further ones in turn */
    float blur_sigma_min, blur_sigma_max; /* pixels of the view */
    float solarize_probability, solarize_probability_2;
    float solarize_threshold;                 /* in [0, 1]: levels from here on are inverted */
    float noise_probability, noise_std;       /* vectors: add Gaussian noise */
    float dropout_probability, dropout_share; /* vectors: zero this share of the features, each by itself */
} gm_augmentation;

/* Named presets: "imagenet" (that of the method's authors), "cifar" (small colour images: no blur), "fashion" (28 x 28
 * grey images), "vectors", "none". Errors: GM_BAD_USAGE for another name. */
GM_API gm_status gm_augmentation_preset(const char *name, gm_augmentation *augmentation, gm_error *error);

/* y = the view number `view` of the samples rows[0 … count) in epoch `epoch`: normalised pixels, or features. A
 * function of its arguments alone: the same numbers on any number of threads and in any order. y: [count, dim], ldy >=
 * dim; an image is [height, width, channels]. rows: NULL for 0, 1, 2 … Errors: GM_INVALID_ARGUMENT, GM_SIZE_OVERFLOW,
 * GM_OUT_OF_MEMORY; GM_BAD_DATA for a file that is no image or gone, the first one of `rows`. */
GM_API gm_status gm_dataset_view_f32(const gm_dataset *dataset, const gm_split *split, gm_context *context,
                                     const gm_augmentation *augmentation, uint64_t seed, int64_t epoch, int32_t view,
                                     const int64_t *rows, int64_t count, float *y, int64_t ldy, gm_error *error);

/* The views 0 … views - 1 of the samples, for less than they cost one by one: y: [views, count, dim]. */
GM_API gm_status gm_dataset_views_f32(const gm_dataset *dataset, const gm_split *split, gm_context *context,
                                      const gm_augmentation *augmentation, uint64_t seed, int64_t epoch, int32_t views,
                                      const int64_t *rows, int64_t count, float *y, int64_t ldy, gm_error *error);

/* The same samples as they are, without augmentation; of image files, the centre: the shorter side resized to 256/224
 * of the dataset's size, then cut. */
GM_API gm_status gm_dataset_plain_f32(const gm_dataset *dataset, const gm_split *split, gm_context *context,
                                      const int64_t *rows, int64_t count, float *y, int64_t ldy, gm_error *error);

/* order = a permutation of 0 … count - 1 drawn by (seed, epoch). */
GM_API void gm_shuffle(uint64_t seed, int64_t epoch, int64_t *order, int64_t count);

GM_END_DECLS

#endif
