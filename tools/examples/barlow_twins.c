/* Barlow Twins in C: the pseudo code of the paper (Zbontar et al., ICML 2021, Algorithm 1), step by step.
 * Usage: barlow_twins [STEPS [DATA]] — by default one epoch of fashion-mnist. */
#include <gemel/barlow.h>
#include <gemel/data.h>
#include <gemel/model.h>

#include <stdio.h>
#include <stdlib.h>

enum { N = 512, D = 256 };
static const uint64_t seed = 1;
static const float rate = 1e-3f;

static void check(gm_status status, const char *what)
{
    if (status == GM_OK)
        return;
    fprintf(stderr, "barlow_twins: %s: %s\n", what, gm_status_string(status));
    exit(EXIT_FAILURE);
}

int main(int argc, char **argv)
{
    gm_error error;
    gm_context *context;
    gm_dataset *data;
    gm_augmentation augmentation;
    gm_model *network;
    gm_optimizer *optimizer;
    check(gm_context_create(NULL, &context), "context");
    if (gm_dataset_open(argc > 2 ? argv[2] : "fashion-mnist", NULL, &data, &error) != GM_OK)
        check(error.code, error.message);
    static const char *const presets[] = {
        [GM_DATA_GRAY_IMAGES] = "fashion", [GM_DATA_VECTORS] = "vectors", [GM_DATA_COLOR_IMAGES] = "imagenet"};
    check(gm_augmentation_preset(presets[data->kind], &augmentation, &error), "augmentation");
    const gm_model_options model_options = gm_model_default_options(data->dim, N);
    check(gm_model_create(context, &model_options, &network), "model");
    const gm_optimizer_options adam = gm_optimizer_default_options(GM_OPTIMIZER_ADAM);
    check(gm_optimizer_create(network, &adam, &optimizer), "optimizer");
    check(gm_context_reserve(context, gm_barlow_loss_f32_workspace(context, N, D, NULL, true)), "workspace");

    const int64_t dim = data->dim, batches = data->train.rows / N, steps = argc > 1 ? atoll(argv[1]) : batches;
    int64_t *order = malloc((size_t)data->train.rows * sizeof *order);
    float *x = malloc((size_t)(2 * N * dim) * sizeof *x);
    float *z = malloc(2 * N * D * sizeof *z), *dz = malloc(2 * N * D * sizeof *dz);
    if (batches < 1 || !order || !x || !z || !dz)
        check(batches < 1 ? GM_BAD_DATA : GM_OUT_OF_MEMORY, "batch");
    gm_barlow_result loss = {.size = sizeof loss};

    for (int64_t step = 0; step < steps; step++) {
        const int64_t epoch = step / batches, *rows = order + step % batches * N;
        if (step % batches == 0)
            gm_shuffle(seed, epoch, order, data->train.rows);

        /* two randomly augmented versions of a batch: x is [2 N, dim] */
        check(gm_dataset_views_f32(data, &data->train, context, &augmentation, seed, epoch, 2, rows, N, x, dim, &error),
              "views");
        /* their embeddings: z is [2 N, D] */
        check(gm_model_forward_f32(network, 2, N, x, dim, z, D), "forward");
        /* normalisation, cross-correlation, loss and its gradient in one call */
        check(gm_barlow_loss_f32(context, N, D, z, D, z + N * D, D, NULL, &loss, dz, D, dz + N * D, D), "loss");
        /* optimisation step */
        check(gm_model_backward_f32(network, dz, D), "backward");
        check(gm_optimizer_step(optimizer, rate, rate), "step");

        if (step % 20 == 0 || step == steps - 1)
            printf("step %lld  loss %.3f\n", (long long)step, loss.loss);
    }
    free(order), free(x), free(z), free(dz);
    gm_optimizer_destroy(optimizer);
    gm_model_destroy(network);
    gm_dataset_close(data);
    gm_context_destroy(context);
    return EXIT_SUCCESS;
}
