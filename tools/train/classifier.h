/* A linear classifier on a model's features, by the protocol of Facebook's evaluate.py: on a frozen encoder, or with
 * the encoder trained, too. */
#ifndef GEMEL_CLASSIFIER_H
#define GEMEL_CLASSIFIER_H

#include <gemel/data.h>
#include <gemel/model.h>

#include "train/head.h"

typedef struct gm_classifier_options {
    bool finetune;  /* the encoder is trained, its batch norms in training mode; else it stays as it is */
    bool augmented; /* train on views drawn by `augmentation`; else on the samples as they are */
    gm_augmentation augmentation;
    double lr_classifier, lr_backbone; /* of the first epoch; they fall by gm_cosine_rate() */
    double momentum, weight_decay;     /* of all parameters alike */
    int32_t epochs;
    int32_t test_every;  /* tests come after so many epochs, and after the last */
    int64_t batch;       /* samples a step; an epoch's last step takes what remains, unless that is a single one */
    int64_t micro_batch; /* most samples in the network at a time; batch norm normalises each such piece by itself */
    uint64_t seed;       /* of the initial weights, the order and the views */
} gm_classifier_options;

/* What is usual for the kind of data and so many labels. Crops and flips are those of `own` (a run's
 * augmentation), or of the kind's preset if that is NULL; all else of it is left out. */
void gm_classifier_defaults(const gm_dataset *dataset, int64_t rows, bool finetune, const gm_augmentation *own,
                            gm_classifier_options *options);

typedef struct gm_classifier_epoch {
    int32_t epoch;       /* from 0 */
    double loss;         /* mean cross-entropy over the epoch's steps */
    bool tested;         /* else the accuracies are those of the last test, 0 before the first */
    double acc1, acc5;   /* shares of the test samples … */
    double best1, best5; /* … and the greatest ones so far */
    double seconds;
} gm_classifier_epoch;

typedef struct gm_classifier_observer {
    gm_status (*epoch)(void *arg, const gm_classifier_epoch *epoch, gm_error *error); /* anything but GM_OK ends it */
    void *arg;
} gm_classifier_observer;

/* Loads the encoder of `weights` (train/backbone.h) for gm_classifier_train() with these options. The data set then
 * gives its images by the file's scale of pixels. Errors: as of gm_backbone_load(). */
gm_status gm_classifier_load(gm_context *context, const char *weights, gm_dataset *dataset,
                             const gm_classifier_options *options, gm_model **model, gm_error *error);

/* Trains on the training samples rows[0 ... count) and tests on all test samples, as they are. Weights start with
 * deviation 0.01, biases at 0; a step is that of gm_sgd_f32(). *head is the classifier behind the last epoch, to be
 * freed. Errors: GM_INVALID_ARGUMENT (no labels or test samples, no rows), GM_OUT_OF_MEMORY, GM_DIVERGED, GM_BAD_DATA
 * (an image), the observer's; *head is empty then. */
gm_status gm_classifier_train(gm_context *context, const gm_dataset *dataset, const int64_t *rows, int64_t count,
                              gm_model *model, const gm_classifier_options *options,
                              const gm_classifier_observer *observer, gm_head *head, gm_error *error);

#endif
