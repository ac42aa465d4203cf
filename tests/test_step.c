/* gm_step: a batch in micro-batches against the batch in one piece, and compat fb against several processes that each
 * take their share of it. */
#include "train/step.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "support/barlow_reference.h"
#include "support/files.h"
#include "support/support.h"

enum { ROWS = 110, DIM = 13, HIDDEN = 17, OUT = 11, VIEWS = GM_LOADER_VIEWS, BATCH = 48 };

/* Everything around a step. */
typedef struct bench {
    gm_context *context;
    gm_dataset dataset;
    float features[ROWS * DIM];
    gm_train_config config;
    gm_model *model;
    gm_optimizer *optimizer;
    gm_step step;
    gm_loader *loader;
} bench;

static gm_model *create_model(const bench *b, int64_t rows, int32_t views, bool accumulation)
{
    gm_model_options options = gm_model_default_options(DIM, rows);
    options.arch = (gm_arch)b->config.arch;
    options.hidden_size = HIDDEN;
    options.projection_dim = OUT;
    options.views = views;
    options.accumulation = accumulation;
    gm_model *model;
    ck_assert_int_eq(gm_model_create(b->context, &options, &model), GM_OK);
    return model;
}

static void set(gm_train_config *config, const char *words)
{
    char copy[256], *rest;
    snprintf(copy, sizeof copy, "%s", words);
    for (char *word = strtok_r(copy, " ", &rest); word; word = strtok_r(NULL, " ", &rest)) {
        char *value = strchr(word, '=');
        gm_error error;
        *value++ = '\0';
        ck_assert_msg(gm_config_set(config, gm_config_find(word), value, &error) == GM_OK, "%s", error.message);
    }
}

/* words: fields of the configuration, "arch=mlp micro-batch=16". */
static bench *bench_create(gm_isa isa, int32_t threads, const char *words)
{
    bench *b = calloc(1, sizeof *b);
    gm_error error;
    test_random random = test_random_create(3);
    test_fill_normal(&random, b->features, ROWS * DIM, 0, 1);
    b->context = test_context(isa, threads);
    b->dataset = (gm_dataset){.kind = GM_DATA_VECTORS, .dim = DIM, .std = 1};
    b->dataset.train = (gm_split){.rows = ROWS, .features = b->features};
    gm_config_init(&b->config);
    set(&b->config, "batch-size=48 optimizer=sgd seed=4");
    set(&b->config, words);
    ck_assert_msg(gm_config_resolve(&b->config, &b->dataset, &error) == GM_OK, "%s", error.message);
    ck_assert_msg(gm_config_check_rows(&b->config, ROWS, &error) == GM_OK, "%s", error.message);
    b->model = create_model(b, b->config.micro_batch, VIEWS, true);
    gm_optimizer_options options = gm_optimizer_default_options((gm_optimizer_kind)b->config.optimizer);
    ck_assert_int_eq(gm_optimizer_create(b->model, &options, &b->optimizer), GM_OK);
    ck_assert_int_eq(gm_step_create(&b->step, b->context, &b->dataset, &b->config, b->model, b->optimizer, &error),
                     GM_OK);
    return b;
}

static void bench_load(bench *b, int64_t first, int32_t workers)
{
    gm_error error;
    gm_loader_options options = gm_step_data(&b->config, &b->dataset, b->context);
    options.first = first;
    options.last = INT64_MAX / 1024;
    options.workers = workers;
    ck_assert_int_eq(gm_loader_create(&options, &b->loader, &error), GM_OK);
}

static void bench_free(bench *b)
{
    gm_loader_destroy(b->loader);
    gm_step_destroy(&b->step);
    gm_optimizer_destroy(b->optimizer);
    gm_model_destroy(b->model);
    gm_context_destroy(b->context);
    free(b);
}

static gm_step_result run(bench *b, double rate, double rate_biases)
{
    gm_step_result result;
    gm_error error;
    ck_assert_msg(gm_step_run(&b->step, b->loader, rate, rate_biases, &result, &error) == GM_OK, "%s", error.message);
    return result;
}

static void copy_parameters(const gm_model *from, gm_model *to)
{
    for (int32_t i = 0; i < gm_model_parameter_count(from); i++) {
        const gm_parameter p = gm_model_parameter(from, i), q = gm_model_parameter(to, i);
        memcpy(q.value, p.value, (size_t)p.count * sizeof(float));
    }
}

static double *widened(const float *x, int64_t count)
{
    double *wide = malloc((size_t)count * sizeof *wide);
    for (int64_t i = 0; i < count; i++)
        wide[i] = (double)x[i];
    return wide;
}

static void check_close(const char *what, const float *x, const double *expected, int64_t count, double most)
{
    double norm = test_norm(expected, count), error = 0;
    for (int64_t i = 0; i < count; i++)
        error += ((double)x[i] - expected[i]) * ((double)x[i] - expected[i]);
    /* The gradient of a bias before a normalisation is 0, and what there is of it rounding. */
    ck_assert_msg(sqrt(error) <= most * norm + 5e-7, "%s is off by %.2g of %.2g", what, sqrt(error), norm);
}

/* The views of `rows` samples of the epoch, from `first` on: [VIEWS, rows, DIM], to be freed. */
static float *make_views(const bench *b, int64_t first, int64_t rows)
{
    int64_t order[2 * ROWS];
    float *x = malloc((size_t)(VIEWS * rows * DIM) * sizeof *x);
    gm_shuffle((uint64_t)b->config.seed, 0, order, ROWS);
    memcpy(order + ROWS, order, sizeof order / 2);
    for (int32_t view = 0; view < VIEWS; view++)
        ck_assert_int_eq(gm_dataset_view_f32(&b->dataset, &b->dataset.train, b->context, &b->config.augmentation,
                                             (uint64_t)b->config.seed, 0, view, order + first, rows,
                                             x + view * rows * DIM, DIM, NULL),
                         GM_OK);
    return x;
}

/* Rows between [VIEWS, rows, cols] and [pieces, VIEWS, rows / pieces, cols]. */
static void regroup(const float *from, float *to, int64_t rows, int64_t pieces, int64_t cols, bool into_pieces)
{
    const int64_t each = rows / pieces;
    for (int64_t view = 0; view < VIEWS; view++)
        for (int64_t row = 0; row < rows; row++) {
            const int64_t whole = view * rows + row, piece = (row / each * VIEWS + view) * each + row % each;
            memcpy(to + (into_pieces ? piece : whole) * cols, from + (into_pieces ? whole : piece) * cols,
                   (size_t)cols * sizeof *to);
        }
}

/* The same step with a model whose batch norms have a group for each view of each micro-batch. */
static void check_against_one_piece(bench *b, gm_model *whole, const gm_step_result *result, int64_t pieces)
{
    static float grouped[VIEWS * BATCH * DIM], z[VIEWS * BATCH * OUT], parts[VIEWS * BATCH * OUT],
        dz[VIEWS * BATCH * OUT];
    const int64_t half = BATCH * OUT;
    float *x = make_views(b, 0, BATCH);
    gm_barlow_result loss = {.size = sizeof loss};
    regroup(x, grouped, BATCH, pieces, DIM, true);
    ck_assert_int_eq(gm_model_forward_f32(whole, (int32_t)(VIEWS * pieces), BATCH / pieces, grouped, DIM, parts, OUT),
                     GM_OK);
    regroup(parts, z, BATCH, pieces, OUT, false);
    ck_assert_int_eq(gm_barlow_loss_f32(b->context, BATCH, OUT, z, OUT, z + half, OUT, &b->step.loss, &loss, dz, OUT,
                                        dz + half, OUT),
                     GM_OK);
    regroup(dz, parts, BATCH, pieces, OUT, true);
    ck_assert_int_eq(gm_model_backward_f32(whole, parts, OUT), GM_OK);
    ck_assert_double_eq_tol(result->loss, loss.loss, 1e-5 * loss.loss);
    ck_assert_double_eq_tol(result->invariance, loss.invariance, 1e-5 * loss.loss);
    for (int32_t i = 0; i < gm_model_parameter_count(whole); i++) {
        const gm_parameter p = gm_model_parameter(b->model, i), q = gm_model_parameter(whole, i);
        double *expected = widened(q.gradient ? q.gradient : q.value, q.count);
        check_close(q.name, q.gradient ? p.gradient : p.value, expected, q.count, 2e-5);
        free(expected);
    }
    free(x);
}

START_TEST(micro_batches_take_the_step_of_the_batch)
{
    static const char *const archs[] = {"mlp", "axon"};
    static const int64_t pieces[] = {1, 2, 3, 24};
    gm_isa isas[GM_ISA_COUNT];
    for (int i = 0, n = test_isas(isas); i < n; i++)
        for (int arch = 0; arch < 2; arch++) {
            char words[64];
            snprintf(words, sizeof words, "arch=%s micro-batch=%d", archs[arch], (int)(BATCH / pieces[_i]));
            bench *b = bench_create(isas[i], 2, words);
            gm_model *whole = create_model(b, BATCH / pieces[_i], (int32_t)(VIEWS * pieces[_i]), false);
            copy_parameters(b->model, whole);
            bench_load(b, 0, _i % 2);
            const gm_step_result result = run(b, 0, 0);
            check_against_one_piece(b, whole, &result, pieces[_i]);
            gm_model_destroy(whole);
            bench_free(b);
        }
}
END_TEST

/* Also where the last micro-batch is smaller, and the last batch of an epoch, which compat fb keeps. */
START_TEST(bits_do_not_depend_on_threads_and_workers)
{
    static const char *const words[] = {"arch=mlp micro-batch=20", "arch=axon micro-batch=7 optimizer=lars",
                                        "arch=mlp micro-batch=9 compat=fb world-size=4"};
    static const int32_t threads[] = {1, 2, 3, 7};
    bench *first = NULL;
    for (int t = 0; t < 4; t++) {
        bench *b = bench_create(GM_ISA_AUTO, threads[t], words[_i]);
        bench_load(b, 0, t);
        gm_step_result result;
        for (int step = 0; step < 6; step++)
            result = run(b, 0.01, 0.01);
        for (int32_t i = 0; first && i < gm_model_parameter_count(b->model); i++) {
            const gm_parameter p = gm_model_parameter(first->model, i), q = gm_model_parameter(b->model, i);
            ck_assert_msg(test_same_bits(p.value, q.value, (size_t)p.count * sizeof(float)), "%s differs", p.name);
        }
        ck_assert(isfinite(result.loss));
        if (first)
            bench_free(b);
        else
            first = b;
    }
    bench_free(first);
}
END_TEST

/* Facebook's code on `world` GPUs, as far as it differs from one process: each has the gradient of the whole loss with
 * respect to its own samples' embeddings, lets it go back through the network, and the means of what comes out there
 * are the gradients. Layer norm, so that no sample's way through the network depends on the others. */
static void emulate_processes(const bench *b, gm_model *network, int64_t first, int64_t rows, int64_t world,
                              const double *dz, double **gradients)
{
    static float own[VIEWS * BATCH * OUT], z[VIEWS * BATCH * OUT];
    float *x = make_views(b, first, rows);
    for (int64_t rank = 0; rank < world; rank++) {
        for (int64_t i = 0; i < VIEWS * rows; i++)
            for (int64_t j = 0; j < OUT; j++)
                own[i * OUT + j] = i % rows % world == rank ? (float)dz[i * OUT + j] : 0;
        ck_assert_int_eq(gm_model_forward_f32(network, VIEWS, rows, x, DIM, z, OUT), GM_OK);
        ck_assert_int_eq(gm_model_backward_f32(network, own, OUT), GM_OK);
        for (int32_t i = 0; i < gm_model_parameter_count(network); i++) {
            const gm_parameter p = gm_model_parameter(network, i);
            for (int64_t j = 0; j < p.count; j++)
                gradients[i][j] += (double)p.gradient[j] / (double)world;
        }
    }
    free(x);
}

/* LARS in double, from no velocity. */
static void check_update(const gm_parameter *before, const gm_parameter *after, const double *gradient, double rate,
                         double rate_biases)
{
    const bool matrix = before->dimensions > 1;
    const double decay = matrix ? 1e-6 : 0;
    double *g = malloc((size_t)before->count * sizeof *g), *p = widened(before->value, before->count), q = 1;
    for (int64_t j = 0; j < before->count; j++)
        g[j] = gradient[j] + decay * p[j];
    if (matrix)
        q = 0.001 * test_norm(p, before->count) / test_norm(g, before->count);
    for (int64_t j = 0; j < before->count; j++) {
        const double change = (double)after->value[j] - p[j], expected = -(matrix ? rate : rate_biases) * q * g[j];
        ck_assert_msg(fabs(change - expected) <= 1e-6 * fabs(p[j]) + 1e-4 * fabs(expected) + 1e-7,
                      "%s[%lld] changes by %g instead of %g", before->name, (long long)j, change, expected);
    }
    free(g), free(p);
}

static void check_fb_step(gm_isa isa, int64_t world, int64_t index)
{
    char words[96];
    snprintf(words, sizeof words, "arch=axon optimizer=lars compat=fb micro-batch=20 world-size=%d", (int)world);
    bench *b = bench_create(isa, 2, words);
    gm_model *network = create_model(b, BATCH, VIEWS, true);
    double *gradients[32];
    copy_parameters(b->model, network);
    for (int32_t i = 0; i < gm_model_parameter_count(network); i++)
        gradients[i] = calloc((size_t)gm_model_parameter(network, i).count, sizeof(double));
    bench_load(b, index, 0);
    const double rate = 2, rate_biases = 0.05;
    const gm_step_result result = run(b, rate, rate_biases);
    const int64_t padded = (ROWS + world - 1) / world * world, rows = index < 2 ? BATCH : padded - 2 * BATCH;
    ck_assert_int_eq(b->step.rows, rows);
    ck_assert_int_eq(rows % world, 0);
    gm_barlow_options options = gm_barlow_default_options();
    options.lambda = (float)b->config.lambd;
    options.eps = (float)b->config.eps;
    options.divisor = BATCH;
    barlow_reference loss =
        barlow_reference_of_floats(&options, rows, OUT, gm_step_embedding(&b->step, 0), gm_step_embedding(&b->step, 1));
    ck_assert_double_eq_tol(result.loss, loss.loss, 1e-5 * loss.loss); /* the whole one */
    double *dz = malloc((size_t)(VIEWS * rows * OUT) * sizeof *dz);
    memcpy(dz, loss.dza, (size_t)(rows * OUT) * sizeof *dz);
    memcpy(dz + rows * OUT, loss.dzb, (size_t)(rows * OUT) * sizeof *dz);
    emulate_processes(b, network, index * BATCH, rows, world, dz, gradients);
    for (int32_t i = 0; i < gm_model_parameter_count(network); i++) {
        const gm_parameter before = gm_model_parameter(network, i), after = gm_model_parameter(b->model, i);
        check_close(after.name, after.gradient, gradients[i], after.count, 5e-5);
        check_update(&before, &after, gradients[i], rate, rate_biases);
        free(gradients[i]);
    }
    free(dz);
    barlow_reference_free(&loss);
    gm_model_destroy(network);
    bench_free(b);
}

START_TEST(compat_fb_is_several_processes)
{
    gm_isa isas[GM_ISA_COUNT];
    for (int i = 0, n = test_isas(isas); i < n; i++) {
        check_fb_step(isas[i], 4, 0);
        check_fb_step(isas[i], 4, 2); /* 112 - 96 = 16 samples, two of them a second time */
        check_fb_step(isas[i], 16, 1);
        check_fb_step(isas[i], 1, 2);
    }
}
END_TEST

START_TEST(wrong_data_are_found_in_any_micro_batch)
{
    for (int64_t at = 0; at < BATCH; at += 15) {
        bench *b = bench_create(GM_ISA_AUTO, 1, _i ? "arch=axon micro-batch=16" : "arch=mlp micro-batch=48");
        int64_t order[ROWS];
        char message[64];
        gm_step_result result;
        gm_error error;
        gm_shuffle((uint64_t)b->config.seed, 0, order, ROWS);
        test_fill_nan(b->features + order[at] * DIM, DIM);
        bench_load(b, 0, 0);
        snprintf(message, sizeof message, "training row %lld holds NaN", (long long)order[at]);
        test_expect(gm_step_run(&b->step, b->loader, 0.1, 0.1, &result, &error), &error, GM_DIVERGED, message);
        bench_free(b);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("step");
    TCase *tests = tcase_create("step");
    suite_add_tcase(suite, tests);
    tcase_add_loop_test(tests, micro_batches_take_the_step_of_the_batch, 0, 4);
    tcase_add_loop_test(tests, bits_do_not_depend_on_threads_and_workers, 0, 3);
    tcase_add_test(tests, compat_fb_is_several_processes);
    tcase_add_loop_test(tests, wrong_data_are_found_in_any_micro_batch, 0, 2);
    return test_run(suite);
}
