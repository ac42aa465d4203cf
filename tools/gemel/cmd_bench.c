#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <gemel/barlow.h>

#include "bench_model.h"
#include "command.h"
#include "nn/timing.h"
#include "support/parse.h"
#include "support/random.h"
#include "train/matrix_loss.h"

static const char doc[] = "Time what the kernels save on this machine.\v"
                          "loss compares the Barlow Twins loss and its gradients with and without the "
                          "cross-correlation matrix in memory. conv, resnet18, resnet34 and resnet50 time a training "
                          "step and inference of that model, layer kind by layer kind.\n";

enum { KEY_BATCH_SIZE = 1, KEY_DIM, KEY_SIZE, KEY_CHANNELS, KEY_CONV_WIDTH, KEY_EXACT };

static const struct argp_option options[] = {
    {"batch-size", KEY_BATCH_SIZE, "N", 0, "Rows of each view (256), or images (64)", 0},
    {"dim", KEY_DIM, "D", 0, "Columns: the width of the embedding (8192)", 0},
    {"size", KEY_SIZE, "PIXELS", 0, "Height and width of the images (32)", 0},
    {"channels", KEY_CHANNELS, "N", 0, "Channels of the images (3)", 0},
    {"conv-width", KEY_CONV_WIDTH, "N", 0, "Channels of conv's first layer, as train's (32)", 0},
    {"exact", KEY_EXACT, 0, 0, "Convolutions by their definition alone, without Winograd's algorithm", 0},
    {0},
};

typedef struct bench_arguments {
    gm_common_options common;
    int64_t n, d; /* n: 0 unless given */
    bool loss, model;
    bench_model_options images;
} bench_arguments;

static void set_size(const char *flag, const char *text, int64_t least, int64_t *value, struct argp_state *state)
{
    if (!gm_parse_int64(text, least, 1 << 20, value))
        argp_error(state, "--%s %s: expected a number from %d to %d", flag, text, (int)least, 1 << 20);
}

static void set_subject(const char *name, bench_arguments *a, struct argp_state *state)
{
    a->loss = !strcmp(name, "loss");
    a->model = gm_arch_from_name(name, &a->images.arch) == GM_OK && gm_arch_takes_images(a->images.arch);
    if (!a->loss && !a->model)
        argp_error(state, "%s: nothing to time by that name; there are: loss, conv, resnet18, resnet34, resnet50",
                   name);
}

static error_t parse_bench(int key, char *argument, struct argp_state *state)
{
    bench_arguments *a = state->input;
    switch (key) {
    case ARGP_KEY_INIT:
        state->child_inputs[0] = &a->common;
        return 0;
    case KEY_BATCH_SIZE:
        set_size("batch-size", argument, 2, &a->n, state);
        return 0;
    case KEY_DIM:
        set_size("dim", argument, 1, &a->d, state);
        return 0;
    case KEY_SIZE:
        set_size("size", argument, 1, &a->images.size, state);
        return 0;
    case KEY_CHANNELS:
        set_size("channels", argument, 1, &a->images.channels, state);
        return 0;
    case KEY_CONV_WIDTH:
        set_size("conv-width", argument, 1, &a->images.conv_width, state);
        return 0;
    case KEY_EXACT:
        a->images.exact = true;
        return 0;
    case ARGP_KEY_ARG:
        set_subject(argument, a, state);
        return 0;
    case ARGP_KEY_END:
        if (!a->loss && !a->model)
            argp_error(state, "time what? There are: loss, conv, resnet18, resnet34, resnet50");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

/* Embeddings and gradients, and the two ways to get from one to the other. */
struct comparison {
    gm_context *context;
    int64_t n, d;
    float *za, *zb, *dza, *dzb, *matrix_dza, *matrix_dzb;
    gm_matrix_loss matrix;
    gm_barlow_options options;
    gm_barlow_result result, matrix_result;
};

static gm_status run_fused(struct comparison *c, gm_error *error)
{
    const gm_status status = gm_barlow_loss_f32(c->context, c->n, c->d, c->za, c->d, c->zb, c->d, &c->options,
                                                &c->result, c->dza, c->d, c->dzb, c->d);
    return status == GM_OK ? GM_OK : gm_error_set(error, status, "the loss: %s", gm_status_string(status));
}

static gm_status run_with_matrix(struct comparison *c, gm_error *error)
{
    return gm_matrix_loss_run(&c->matrix, c->za, c->zb, &c->options, &c->matrix_result, c->matrix_dza, c->matrix_dzb,
                              error);
}

static int ascending(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

enum { ROUNDS = 3 };

/* The median of a few calls, after one that touches the memory. */
static gm_status time_calls(gm_status (*call)(struct comparison *, gm_error *), struct comparison *c, double *seconds,
                            gm_error *error)
{
    double rounds[ROUNDS];
    gm_status status = call(c, error);
    for (int i = 0; i < ROUNDS && status == GM_OK; i++) {
        const double start = gm_seconds_now();
        status = call(c, error);
        rounds[i] = gm_seconds_now() - start;
    }
    if (status == GM_OK) {
        qsort(rounds, ROUNDS, sizeof *rounds, ascending);
        *seconds = rounds[ROUNDS / 2];
    }
    return status;
}

/* Two noisy views of the same normal samples. */
static void draw_views(struct comparison *c)
{
    for (int64_t i = 0; i < c->n; i++) {
        gm_random stream = gm_random_stream(0, 0, i, 0, GM_RANDOM_SYNTHETIC);
        for (int64_t j = 0; j < c->d; j++) {
            const float common = gm_random_normal(&stream);
            c->za[i * c->d + j] = common + 0.5f * gm_random_normal(&stream);
            c->zb[i * c->d + j] = common + 0.5f * gm_random_normal(&stream);
        }
    }
}

static double gradient_difference(const struct comparison *c)
{
    double difference = 0.0, norm = 0.0;
    for (int64_t i = 0; i < c->n * c->d; i++) {
        const double da = (double)c->dza[i] - c->matrix_dza[i], db = (double)c->dzb[i] - c->matrix_dzb[i];
        difference += da * da + db * db;
        norm += (double)c->matrix_dza[i] * c->matrix_dza[i] + (double)c->matrix_dzb[i] * c->matrix_dzb[i];
    }
    return norm > 0.0 ? sqrt(difference / norm) : 0.0;
}

/* Decimal digits that a relative difference leaves, as many as a float has at most. */
static double equal_digits(double difference)
{
    return floor(-log10(fmax(difference, 1e-8)));
}

static void report(const struct comparison *c, double matrix_seconds, double seconds)
{
    const double matrix_bytes = (double)c->matrix.bytes;
    const double bytes = (double)gm_barlow_loss_f32_workspace(c->context, c->n, c->d, &c->options, true);
    const double difference = fabs(c->result.loss - c->matrix_result.loss) / fabs(c->matrix_result.loss);
    printf("loss and gradients, N %lld, D %lld, %s, %d threads:\n", (long long)c->n, (long long)c->d,
           gm_isa_name(gm_context_isa(c->context)), gm_context_threads(c->context));
    printf("  with C     %9.2f ms %9.2f MB   loss %.6g\n", 1e3 * matrix_seconds, 1e-6 * matrix_bytes,
           c->matrix_result.loss);
    printf("  without C  %9.2f ms %9.2f MB   loss %.6g\n", 1e3 * seconds, 1e-6 * bytes, c->result.loss);
    printf("  %.1f times the speed, %.1f times less memory; loss equal to %.0f digits, gradients to %.0f\n",
           matrix_seconds / seconds, matrix_bytes / bytes, equal_digits(difference),
           equal_digits(gradient_difference(c)));
}

static gm_status compare_losses(gm_context *context, int64_t n, int64_t d, gm_error *error)
{
    const size_t bytes = (size_t)(n * d) * sizeof(float);
    struct comparison c = {
        .context = context,
        .n = n,
        .d = d,
        .za = malloc(bytes),
        .zb = malloc(bytes),
        .dza = malloc(bytes),
        .dzb = malloc(bytes),
        .matrix_dza = malloc(bytes),
        .matrix_dzb = malloc(bytes),
        .options = gm_barlow_default_options(),
        .result = {.size = sizeof(gm_barlow_result)},
        .matrix_result = {.size = sizeof(gm_barlow_result)},
    };
    double seconds, matrix_seconds;
    gm_status status = GM_OUT_OF_MEMORY;
    if (!c.za || !c.zb || !c.dza || !c.dzb || !c.matrix_dza || !c.matrix_dzb) {
        gm_error_set(error, status, "no memory for embeddings of %lld x %lld numbers", (long long)n, (long long)d);
        goto end;
    }
    draw_views(&c);
    status = gm_matrix_loss_create(context, n, d, &c.matrix, error);
    if (status != GM_OK)
        goto end;
    status = gm_context_reserve(context, gm_barlow_loss_f32_workspace(context, n, d, &c.options, true));
    if (status != GM_OK) {
        gm_error_set(error, status, "no memory for the loss: %s", gm_status_string(status));
        goto end;
    }
    status = time_calls(run_with_matrix, &c, &matrix_seconds, error);
    if (status == GM_OK)
        status = time_calls(run_fused, &c, &seconds, error);
    if (status == GM_OK)
        report(&c, matrix_seconds, seconds);
end:
    gm_matrix_loss_free(&c.matrix);
    free(c.za);
    free(c.zb);
    free(c.dza);
    free(c.dzb);
    free(c.matrix_dza);
    free(c.matrix_dzb);
    return status;
}

gm_status gm_command_bench(int argc, char **argv, gm_error *error)
{
    const struct argp_child children[] = {{&gm_common_argp, 0, 0, 0}, {0}};
    const struct argp parser = {options, parse_bench, "loss|ARCH", doc, children, 0, 0};
    bench_arguments arguments = {.common = gm_common_defaults(),
                                 .d = 8192,
                                 .images = {.size = 32, .channels = 3, .conv_width = gm_default_conv_width()}};
    const gm_status parsed = gm_command_parse(&parser, argc, argv, &arguments, error);
    if (parsed != GM_OK)
        return parsed;

    gm_context *context = NULL;
    gm_status status = gm_command_context(&arguments.common, &context, error);
    arguments.images.batch = arguments.n ? arguments.n : 64;
    if (status == GM_OK)
        status = arguments.model ? bench_model_run(context, &arguments.images, error)
                                 : compare_losses(context, arguments.n ? arguments.n : 256, arguments.d, error);
    gm_context_destroy(context);
    return status;
}
