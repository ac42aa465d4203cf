/* gemel evaluate --weights: a classifier trained by the protocol of Facebook's evaluate.py, and what it leaves. */
#ifndef GEMEL_CLASSIFY_H
#define GEMEL_CLASSIFY_H

#include <math.h>

#include "evaluate.h"

/* NAN, 0 and -1 stand for what is usual for the data. */
typedef struct gm_classify_arguments {
    bool finetune;
    double lr_classifier, lr_backbone, weight_decay;
    int32_t epochs, batch_size, eval_every;
    int32_t augment;          /* or 0, 1 */
    int32_t labels_per_class; /* of the training samples; 0: `percent` of them */
    double percent;
    const char *folder;    /* gets stats.txt and classifier.safetensors; NULL: the run's, if WEIGHTS is one */
    const char *save_head; /* the classifier's file, if it is to be another one */
    const char *command_line;
} gm_classify_arguments;

static inline gm_classify_arguments gm_classify_defaults(void)
{
    return (gm_classify_arguments){
        .lr_classifier = NAN, .lr_backbone = NAN, .weight_decay = NAN, .augment = -1, .percent = 100.0};
}

/* Trains and tests, a line an epoch without --quiet, then the results. */
gm_status gm_classify_run(const gm_evaluate_arguments *data, const gm_classify_arguments *arguments, gm_error *error);

#endif
