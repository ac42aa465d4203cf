/* What gemel knn, gemel evaluate and gemel embed share: DATA and WEIGHTS, the flags of data and neighbours, and the
 * run. */
#ifndef GEMEL_EVALUATE_H
#define GEMEL_EVALUATE_H

#include "command.h"
#include "train/config.h"
#include "train/evaluation.h"

typedef struct gm_evaluate_arguments {
    gm_common_options common;
    const char *data, *weights;
    gm_train_config flags; /* of the data; what is not set is as in the run's configuration … */
    int32_t batch;         /* samples that the encoder takes at once; 0: as fit 16 MB */
    bool all_images;       /* … but for its list of training images; and nothing is set apart unasked for */
    gm_evaluation_options options;
} gm_evaluate_arguments;

static inline gm_evaluate_arguments gm_evaluate_defaults(void)
{
    gm_evaluate_arguments arguments = {.common = gm_common_defaults()};
    gm_config_init(&arguments.flags);
    arguments.options = gm_evaluation_default_options();
    return arguments;
}

/* Include these parsers, of the data's flags and of the neighbours' flags, and gm_common_argp among the children of the
 * command's argp; their inputs are the whole structure and, for the last, its common part. */
extern const struct argp gm_data_argp, gm_evaluate_argp;

/* Whole numbers from `low` on, and numbers above 0, or from 0 on if `zero`; anything else ends in argp's message. */
void gm_evaluate_set_count(struct argp_state *state, const char *flag, const char *text, int32_t low, int32_t *value);
void gm_evaluate_set_real(struct argp_state *state, const char *flag, const char *text, bool zero, float *value);

typedef struct gm_evaluate_inputs {
    gm_context *context;
    gm_dataset *dataset;
    gm_model *model; /* takes the data set's samples */
    bool has_augmentation;
    gm_augmentation augmentation; /* of the run, where the data are its own */
} gm_evaluate_inputs;

/* Loads the data; on a run's own data its labels and its split apply, and images come in the size that the weights say.
 * After an error nothing is open. */
gm_status gm_evaluate_open_data(const gm_evaluate_arguments *arguments, gm_evaluate_inputs *inputs, gm_error *error);

/* The same, and the model for inference. */
gm_status gm_evaluate_open(const gm_evaluate_arguments *arguments, gm_evaluate_inputs *inputs, gm_error *error);
void gm_evaluate_close(gm_evaluate_inputs *inputs);

/* Loads data and weights, evaluates, and prints the table (without --quiet) and the results. save_head: the file for
 * the linear probe, or NULL. */
gm_status gm_evaluate_run(const gm_evaluate_arguments *arguments, const char *save_head, gm_error *error);

#endif
