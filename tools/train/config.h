/* The configuration of a training run: one table of fields serves the command line, config.json and the defaults. */
#ifndef GEMEL_CONFIG_H
#define GEMEL_CONFIG_H

#include <stdio.h>

#include <gemel/barlow.h>
#include <gemel/data.h>
#include <gemel/model.h>

enum { GM_CONFIG_PATH = 1024, GM_CONFIG_WIDTHS = 16, GM_CONFIG_MOST_FIELDS = 64 };

/* Widths of successive layers, "8192-8192-8192" as text. */
typedef struct gm_widths {
    int64_t width[GM_CONFIG_WIDTHS];
    int32_t count;
} gm_widths;

/* Whose arithmetic a step repeats where it is not the formula's. */
typedef enum gm_compat {
    GM_COMPAT_NONE = 0,
    GM_COMPAT_FB, /* Facebook's: gradients are the loss's over world_size; an epoch's last, partial batch is kept and
                   * its C divided by batch_size */
} gm_compat;

typedef struct gm_train_config {
    char data[GM_CONFIG_PATH], labels[GM_CONFIG_PATH], train_list[GM_CONFIG_PATH];
    double val_split;
    int64_t image_size, skip_bad_images; /* 0: as the data; 0 or 1 */

    int64_t arch; /* gm_arch */
    int64_t hidden_size, conv_width, projection_dim;
    gm_widths projector;
    int64_t stem;                               /* gm_stem */
    int64_t zero_init_residual, projector_bias; /* 0 or 1 */
    int64_t recompute;                          /* likewise: gm_model_options.recomputation */
    char init[GM_CONFIG_PATH];                  /* weights to start from */

    int64_t normalization; /* gm_barlow_normalization */
    double eps, lambd, scale_loss;

    int64_t optimizer;    /* gm_optimizer_kind */
    double learning_rate; /* of weights and biases alike, unless their own are set */
    double learning_rate_weights, learning_rate_biases;
    double weight_decay;

    int64_t epochs, batch_size, micro_batch;
    int64_t compat, world_size; /* gm_compat; 1 unless GM_COMPAT_FB */
    double warmup_epochs;
    int64_t seed;

    char preset[GM_CONFIG_PATH]; /* of the augmentation */
    gm_augmentation augmentation;

    bool set[GM_CONFIG_MOST_FIELDS]; /* which fields hold a value */
} gm_train_config;

typedef enum gm_field_kind {
    GM_FIELD_TEXT,
    GM_FIELD_INTEGER, /* int64_t */
    GM_FIELD_REAL,    /* double */
    GM_FIELD_FLOAT,
    GM_FIELD_CHOICE, /* int64_t, written as the name of an enum's value */
    GM_FIELD_SWITCH, /* int64_t, 0 or 1, written as no or yes; on the command line, yes where nothing is written */
    GM_FIELD_WIDTHS,
} gm_field_kind;

typedef struct gm_field {
    const char *name; /* of the flag; '-' becomes '_' in JSON */
    gm_field_kind kind;
    size_t offset;                        /* in gm_train_config */
    double low, high;                     /* of a number */
    const char *(*choice)(int64_t value); /* name of a choice or switch, NULL behind the last one */
    const char *parent;                   /* the field that this one follows while it is not set, or NULL */
    const char *argument, *help;
} gm_field;

int32_t gm_config_field_count(void);
const gm_field *gm_config_field(int32_t index);
int32_t gm_config_find(const char *name); /* -1: none of this name */

/* The options with which the configuration's data are opened. They point into it. */
void gm_config_data_options(const gm_train_config *config, gm_dataset_options *options);

/* Nothing set. */
void gm_config_init(gm_train_config *config);

/* Sets a field from text. Errors: GM_BAD_USAGE, with what may stand there. */
gm_status gm_config_set(gm_train_config *config, int32_t field, const char *text, gm_error *error);

/* Writes a field's value in the form that gm_config_set() takes. */
void gm_config_get(const gm_train_config *config, int32_t field, char *text, size_t size);

/* to's value of a field becomes from's. */
void gm_config_copy_field(gm_train_config *to, const gm_train_config *from, int32_t field);

/* What `top` sets replaces what `base` says. Fields of `base` that follow one set by `top` (the learning rates an
 * optimiser, the probabilities an augmentation preset …) are forgotten. */
void gm_config_overlay(gm_train_config *base, const gm_train_config *top);

/* Gives every field its value: those not set follow their parents and the defaults for the kind of data.
 * Errors: GM_BAD_USAGE for fields that contradict each other. */
gm_status gm_config_resolve(gm_train_config *config, const gm_dataset *dataset, gm_error *error);

/* Whether this many training rows suffice. Errors: GM_BAD_USAGE. */
gm_status gm_config_check_rows(const gm_train_config *config, int64_t rows, gm_error *error);

/* Learning rates of the optimiser are per 256 samples where this is not 1: batch/256 for LARS and SGD, 1 for Adam. */
double gm_config_rate_scale(const gm_train_config *config);

/* Prints the defaults as a table. */
void gm_config_print_defaults(FILE *out);

/* Reads fields from a JSON object. Errors: GM_BAD_DATA: missing file, syntax, unknown or repeated key, wrong value. */
gm_status gm_config_read(const char *path, gm_train_config *config, gm_error *error);

/* The JSON object of all set fields; free() it. NULL without memory (errno is ENOMEM), or where a text is no UTF-8. */
char *gm_config_json(const gm_train_config *config);

#endif
