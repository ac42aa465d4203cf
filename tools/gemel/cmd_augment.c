#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "command.h"
#include "config_flags.h"
#include "formats/png.h"
#include "support/file.h"
#include "support/parse.h"
#include "train/config.h"

static const char doc[] =
    "Show what gemel train makes of the samples: their random views as a picture, or the parameters behind them."
    "\vDATA is what gemel train takes. Each row of the picture shows an image without augmentation, then pairs of its "
    "views: those of the first epochs of a run with the same --seed. Without --preview the parameters are "
    "printed, presets resolved.";

enum { KEY_PREVIEW = 0x100, KEY_SAMPLES, KEY_PAIRS, MOST_SAMPLES = 256, MOST_PAIRS = 32 };

static const struct argp_option own_options[] = {
    {0, 0, 0, 0, "The picture:", 1},
    {"preview", KEY_PREVIEW, "FILE.png", 0, "Write the picture; a file that is there is replaced", 0},
    {"samples", KEY_SAMPLES, "N", 0, "Rows of the picture: training images chosen by the seed (8)", 0},
    {"pairs", KEY_PAIRS, "N", 0, "Pairs of views of each (3)", 0},
};

enum { OWN_OPTIONS = sizeof own_options / sizeof own_options[0] };

typedef struct augment_arguments {
    gm_common_options common;
    gm_train_config config;
    const char *preview;
    int64_t samples, pairs;
} augment_arguments;

/* Whether a field of the configuration says something about views or about the data that they are of. */
static bool matters(const gm_field *field)
{
    return (field->parent && !strcmp(field->parent, "data")) || !strcmp(field->name, "seed") ||
           !strcmp(field->name, "augmentation") || field->kind == GM_FIELD_FLOAT;
}

static void set_number(const char *flag, const char *text, int64_t most, int64_t *value, struct argp_state *state)
{
    if (!gm_parse_int64(text, 1, most, value))
        argp_error(state, "--%s %s: expected a whole number from 1 to %lld", flag, text, (long long)most);
}

static error_t parse_augment(int key, char *argument, struct argp_state *state)
{
    augment_arguments *a = state->input;
    switch (key) {
    case ARGP_KEY_INIT:
        state->child_inputs[0] = &a->common;
        return 0;
    case KEY_PREVIEW:
        a->preview = argument;
        return 0;
    case KEY_SAMPLES:
        set_number("samples", argument, MOST_SAMPLES, &a->samples, state);
        return 0;
    case KEY_PAIRS:
        set_number("pairs", argument, MOST_PAIRS, &a->pairs, state);
        return 0;
    case ARGP_KEY_END:
        if (!a->config.set[gm_config_find("data")])
            argp_error(state, "the data set is missing; for example: %s fashion-mnist --preview views.png",
                       state->name);
        return 0;
    default:
        return gm_config_flag_parse(&a->config, key, argument, state);
    }
}

static gm_status parse_arguments(int argc, char **argv, augment_arguments *a, gm_error *error)
{
    struct argp_option options[OWN_OPTIONS + GM_CONFIG_MOST_FIELDS + 2] = {{0}};
    memcpy(options, own_options, sizeof own_options);
    struct argp_option *end = options + OWN_OPTIONS;
    *end++ = (struct argp_option){0, 0, 0, 0, "Data and augmentation, as for gemel train:", 2};
    for (int32_t i = 0; i < gm_config_field_count(); i++)
        if (matters(gm_config_field(i)))
            *end++ = gm_config_flag(i);
    const struct argp_child children[] = {{&gm_common_argp, 0, 0, 0}, {0}};
    const struct argp parser = {options, parse_augment, "DATA", doc, children, 0, 0};
    return gm_command_parse(&parser, argc, argv, a, error);
}

/* --- the picture -------------------------------------------------------------------------------------------------- */

enum { VIEWS = 2, GAP = 4, SMALL = 64 };

/* Images are placed on a white sheet, those that are small enlarged by whole factors. */
typedef struct contact_sheet {
    const gm_dataset *dataset;
    gm_picture picture;
    int32_t zoom;
} contact_sheet;

static gm_status create_sheet(const gm_dataset *dataset, int64_t samples, int64_t pairs, contact_sheet *sheet,
                              gm_error *error)
{
    const int64_t side = dataset->height > dataset->width ? dataset->height : dataset->width;
    sheet->dataset = dataset;
    sheet->zoom = side < SMALL ? (int32_t)(SMALL / side) : 1;
    const int64_t columns = 1 + VIEWS * pairs;
    const int64_t width = columns * (dataset->width * sheet->zoom + GAP) + pairs * GAP + GAP;
    const int64_t height = samples * (dataset->height * sheet->zoom + GAP) + GAP;
    const int32_t channels = dataset->kind == GM_DATA_COLOR_IMAGES ? 3 : 1;
    const gm_status status = gm_picture_create((int32_t)width, (int32_t)height, channels, &sheet->picture, error);
    if (status == GM_OK)
        memset(sheet->picture.pixels, 255, (size_t)(width * height * channels));
    return status;
}

/* Undoes the normalisation of x, [height, width, channels]; column 0 is the image itself, then come the pairs. */
static void place(const contact_sheet *sheet, int64_t row, int64_t column, const float *x)
{
    const gm_dataset *dataset = sheet->dataset;
    const int32_t channels = sheet->picture.channels;
    const int64_t zoom = sheet->zoom, width = dataset->width * zoom, height = dataset->height * zoom;
    const int64_t left = GAP + column * (width + GAP) + (column + 1) / VIEWS * GAP, top = GAP + row * (height + GAP);
    for (int64_t i = 0; i < height; i++)
        for (int64_t j = 0; j < width; j++)
            for (int32_t c = 0; c < channels; c++) {
                const float mean = channels == 3 ? dataset->channel_mean[c] : dataset->mean;
                const float std = channels == 3 ? dataset->channel_std[c] : dataset->std;
                const float level = x[(i / zoom * dataset->width + j / zoom) * channels + c] * std + mean;
                sheet->picture.pixels[((top + i) * sheet->picture.width + left + j) * channels + c] =
                    (uint8_t)lrintf(255.0f * fminf(fmaxf(level, 0.0f), 1.0f));
            }
}

static gm_status fill_sheet(const augment_arguments *a, const gm_dataset *dataset, gm_context *context,
                            const contact_sheet *sheet, const int64_t *rows, float *x, gm_error *error)
{
    const gm_train_config *config = &a->config;
    gm_status status =
        gm_dataset_plain_f32(dataset, &dataset->train, context, rows, a->samples, x, dataset->dim, error);
    for (int64_t i = 0; i < a->samples && status == GM_OK; i++)
        place(sheet, i, 0, x + i * dataset->dim);
    for (int64_t pair = 0; pair < a->pairs && status == GM_OK; pair++) {
        status = gm_dataset_views_f32(dataset, &dataset->train, context, &config->augmentation, (uint64_t)config->seed,
                                      pair, VIEWS, rows, a->samples, x, dataset->dim, error);
        for (int64_t i = 0; i < VIEWS * a->samples && status == GM_OK; i++)
            place(sheet, i % a->samples, 1 + VIEWS * pair + i / a->samples, x + i * dataset->dim);
    }
    return status;
}

static gm_status write_sheet(const contact_sheet *sheet, const char *path, gm_error *error)
{
    uint8_t *bytes;
    size_t size;
    gm_status status = gm_png_encode(&sheet->picture, &bytes, &size, error);
    if (status == GM_OK)
        status = gm_file_write(path, bytes, size, error);
    free(bytes);
    return status;
}

static gm_status preview(augment_arguments *a, const gm_dataset *dataset, gm_context *context, gm_error *error)
{
    if (dataset->kind == GM_DATA_VECTORS)
        return gm_error_set(error, GM_BAD_USAGE, "%s: holds vectors, and --preview shows images; leave it out",
                            a->config.data);
    if (a->samples > dataset->train.rows)
        a->samples = dataset->train.rows;
    contact_sheet sheet = {0};
    int64_t *rows = malloc(sizeof *rows * (size_t)dataset->train.rows);
    float *x = malloc(sizeof *x * (size_t)(VIEWS * a->samples * dataset->dim));
    gm_status status = GM_OUT_OF_MEMORY;
    if (!rows || !x)
        gm_error_set(error, status, "no memory for %lld samples; pass a smaller --samples", (long long)a->samples);
    else
        status = create_sheet(dataset, a->samples, a->pairs, &sheet, error);
    if (status == GM_OK) {
        gm_shuffle((uint64_t)a->config.seed, 0, rows, dataset->train.rows);
        status = fill_sheet(a, dataset, context, &sheet, rows, x, error);
    }
    if (status == GM_OK)
        status = write_sheet(&sheet, a->preview, error);
    if (status == GM_OK && !a->common.quiet)
        printf("%s: %lld images, %lld pairs of views of each\n", a->preview, (long long)a->samples,
               (long long)a->pairs);
    gm_picture_free(&sheet.picture);
    free(rows);
    free(x);
    return status;
}

static void print_parameters(const gm_train_config *config)
{
    for (int32_t i = 0; i < gm_config_field_count(); i++) {
        const gm_field *field = gm_config_field(i);
        char text[GM_CONFIG_PATH];
        gm_config_get(config, i, text, sizeof text);
        if (field->kind == GM_FIELD_FLOAT || !strcmp(field->name, "augmentation"))
            printf("%s: %s\n", field->name, text);
    }
}

gm_status gm_command_augment(int argc, char **argv, gm_error *error)
{
    augment_arguments arguments = {.common = gm_common_defaults(), .samples = 8, .pairs = 3};
    gm_config_init(&arguments.config);
    gm_status status = parse_arguments(argc, argv, &arguments, error);
    if (status != GM_OK)
        return status;
    gm_context *context = NULL;
    gm_dataset *dataset = NULL;
    gm_dataset_options options;
    gm_config_data_options(&arguments.config, &options);
    status = gm_command_context(&arguments.common, &context, error);
    options.context = context;
    if (status == GM_OK)
        status = gm_command_dataset(arguments.config.data, &options, &dataset, error);
    if (status == GM_OK)
        status = gm_config_resolve(&arguments.config, dataset, error);
    if (status == GM_OK && arguments.preview)
        status = preview(&arguments, dataset, context, error);
    else if (status == GM_OK)
        print_parameters(&arguments.config);
    gm_dataset_close(dataset);
    gm_context_destroy(context);
    return status;
}
