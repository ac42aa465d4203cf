/* Classifiers by Facebook's protocol: the loss and its gradient, what is learned with and without the encoder, and what
 * it stands on. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "support/support.h"
#include "train/classifier.h"
#include "train/samples.h"
#include "train/softmax.h"

/* torch.nn.functional.cross_entropy of three rows, summed, and its gradient for the mean. */
START_TEST(loss_and_gradient_are_pytorch_s)
{
    enum { ROWS = 3, CLASSES = 3 };
    static const float expected[ROWS * CLASSES] = {0.243559688f,  0.019992596f,  -0.263552308f,
                                                   -0.174863756f, 0.123416238f,  0.051447541f,
                                                   0.060431629f,  -0.205399573f, 0.144967943f};
    float logits[ROWS * CLASSES] = {1.75f, -0.75f, 0.5f, 0.5f, 0.25f, -0.625f, -0.125f, 0.625f, 0.75f};
    const int32_t labels[ROWS] = {2, 0, 1};
    double losses[ROWS];
    gm_context *context = test_context(GM_ISA_AUTO, 1);
    gm_softmax_cross_entropy(context, ROWS, CLASSES, labels, ROWS, logits, losses);
    ck_assert_double_eq_tol(losses[0] + losses[1] + losses[2], 3.264991879, 1e-6);
    for (int i = 0; i < ROWS * CLASSES; i++)
        ck_assert_float_eq_tol(logits[i], expected[i], 1e-7f);
    gm_context_destroy(context);
}
END_TEST

static double loss_of(int32_t classes, const double *logits, int32_t label)
{
    double sum = 0.0;
    for (int32_t c = 0; c < classes; c++)
        sum += exp(logits[c]);
    return log(sum) - logits[label];
}

START_TEST(gradient_is_that_of_finite_differences)
{
    enum { ROWS = 70, CLASSES = 7, DIVISOR = 100 };
    static const double h = 1e-5;
    test_random random = test_random_create(3);
    float logits[ROWS * CLASSES];
    double exact[ROWS * CLASSES], losses[ROWS];
    int32_t labels[ROWS];
    gm_context *context = test_context(GM_ISA_AUTO, 3);
    test_fill_normal(&random, logits, ROWS * CLASSES, 0.0, 2.0);
    for (int i = 0; i < ROWS * CLASSES; i++)
        exact[i] = (double)logits[i];
    for (int i = 0; i < ROWS; i++)
        labels[i] = i % CLASSES;
    gm_softmax_cross_entropy(context, ROWS, CLASSES, labels, DIVISOR, logits, losses);
    for (int i = 0; i < ROWS * CLASSES; i++) {
        double *row = exact + i / CLASSES * CLASSES;
        const double kept = exact[i];
        exact[i] = kept + h;
        const double above = loss_of(CLASSES, row, labels[i / CLASSES]);
        exact[i] = kept - h;
        const double below = loss_of(CLASSES, row, labels[i / CLASSES]);
        exact[i] = kept;
        ck_assert_double_eq_tol((double)logits[i], (above - below) / (2.0 * h * DIVISOR), 1e-8);
    }
    gm_context_destroy(context);
}
END_TEST

START_TEST(ranks)
{
    static const float logits[] = {1.0f, 3.0f, 3.0f, -2.0f};
    static const int32_t expected[] = {2, 0, 1, 3};
    for (int32_t label = 0; label < 4; label++)
        ck_assert_int_eq(gm_label_rank(logits, 4, label), expected[label]);
    const float broken[] = {NAN, 1.0f, 0.0f};
    for (int32_t label = 0; label < 3; label++)
        ck_assert_int_ge(gm_label_rank(broken, 3, label), 1);
    ck_assert_double_eq(gm_cosine_rate(0.3, 0, 10), 0.3);
    ck_assert_double_eq_tol(gm_cosine_rate(0.3, 5, 10), 0.15, 1e-15);
}
END_TEST

START_TEST(shares_of_classes_are_drawn)
{
    enum { ROWS = 330, CLASSES = 3 };
    int32_t labels[ROWS], counts[CLASSES] = {0};
    int64_t drawn[ROWS], again[ROWS], count;
    gm_error error;
    for (int i = 0; i < ROWS; i++)
        labels[i] = i < 300 ? i % 2 : 2; /* 150, 150, 30 */
    ck_assert_int_eq(gm_draw_rows(ROWS, labels, CLASSES, 0, 3.0, 7, drawn, &count, &error), GM_OK);
    ck_assert_int_eq(count, 5 + 5 + 1);
    for (int i = 0; i < count; i++) {
        counts[labels[drawn[i]]]++;
        for (int j = 0; j < i; j++)
            ck_assert_int_ne(drawn[i], drawn[j]);
    }
    ck_assert(counts[0] == 5 && counts[1] == 5 && counts[2] == 1);
    gm_draw_rows(ROWS, labels, CLASSES, 0, 3.0, 8, again, &count, &error);
    ck_assert_int_ne(memcmp(drawn, again, sizeof *drawn * (size_t)count), 0);
    gm_draw_rows(ROWS, labels, CLASSES, 0, 100.0, 7, drawn, &count, &error);
    ck_assert_int_eq(count, ROWS);
    gm_draw_rows(ROWS, labels, CLASSES, 40, 0.0, 7, drawn, &count, &error);
    ck_assert_int_eq(count, 40 + 40 + 30);
}
END_TEST

enum { SIDE = 12, DIM = SIDE * SIDE, CLASSES = 4, TRAIN = 121, TEST = 80 };

static uint8_t train_pixels[TRAIN * DIM], test_pixels[TEST * DIM];
static int32_t train_labels[TRAIN], test_labels[TEST];
static int64_t all_rows[TRAIN];

/* Images of four classes: stripes and squares at random places, in noise; no pixel tells them apart. */
static void fill_images(uint64_t seed, int64_t rows, uint8_t *pixels, int32_t *labels)
{
    test_random random = test_random_create(seed);
    for (int64_t i = 0; i < rows; i++) {
        const int32_t label = labels[i] = (int32_t)(i % CLASSES);
        const int shift = (int)(test_random_bits(&random) % 4);
        for (int y = 0; y < SIDE; y++)
            for (int x = 0; x < SIDE; x++) {
                const int along = label < 2 ? (label ? x : y) + shift : x + (label == 2 ? y : SIDE - y) + shift;
                const bool bright = along % 4 < 2;
                pixels[i * DIM + y * SIDE + x] = (uint8_t)(test_random_bits(&random) % 100 + (bright ? 150 : 0));
            }
    }
}

static gm_dataset stripes(void)
{
    fill_images(1, TRAIN, train_pixels, train_labels);
    fill_images(2, TEST, test_pixels, test_labels);
    for (int i = 0; i < TRAIN; i++)
        all_rows[i] = i;
    return (gm_dataset){.kind = GM_DATA_GRAY_IMAGES,
                        .name = "stripes",
                        .dim = DIM,
                        .height = SIDE,
                        .width = SIDE,
                        .channels = 1,
                        .classes = CLASSES,
                        .mean = 0.5f,
                        .std = 0.3f,
                        .train = {.rows = TRAIN, .labels = train_labels, .pixels = train_pixels},
                        .test = {.rows = TEST, .labels = test_labels, .pixels = test_pixels}};
}

static gm_model *random_model(gm_context *context, gm_arch arch, const gm_classifier_options *o)
{
    const int64_t outputs = CLASSES;
    gm_model_options options = gm_model_default_options(DIM, o->micro_batch);
    if (gm_arch_takes_images(arch))
        options = gm_model_image_options(arch, SIDE, SIDE, 1, o->micro_batch);
    options.arch = arch;
    options.hidden_size = 48;
    options.views = 1;
    options.training = o->finetune;
    options.projector = &outputs;
    options.projector_layers = 1;
    options.projector_bias = true;
    options.accumulation = o->finetune && o->micro_batch < o->batch;
    options.seed = 3;
    gm_model *model;
    ck_assert_int_eq(gm_model_create(context, &options, &model), GM_OK);
    return model;
}

typedef struct record {
    int epochs;
    gm_classifier_epoch first, last;
    int stop_at; /* the epoch after which the observer refuses; 0: never */
} record;

static gm_status note(void *arg, const gm_classifier_epoch *epoch, gm_error *error)
{
    record *r = arg;
    if (r->epochs++ == 0)
        r->first = *epoch;
    r->last = *epoch;
    ck_assert_int_eq(epoch->epoch, r->epochs - 1);
    ck_assert(epoch->best1 >= epoch->acc1 && epoch->acc5 >= epoch->acc1);
    return r->stop_at == r->epochs ? gm_error_set(error, GM_IO_ERROR, "enough") : GM_OK;
}

/* The head is the caller's. */
static record train(gm_arch arch, int threads, const gm_classifier_options *options, gm_head *head)
{
    const gm_dataset dataset = stripes();
    record r = {.epochs = 0};
    const gm_classifier_observer observer = {note, &r};
    gm_context *context = test_context(GM_ISA_AUTO, threads);
    gm_model *model = random_model(context, arch, options);
    gm_error error = {GM_OK, ""};
    const gm_status status =
        gm_classifier_train(context, &dataset, all_rows, TRAIN, model, options, &observer, head, &error);
    ck_assert_msg(status == GM_OK, "%s", error.message);
    gm_model_destroy(model);
    gm_context_destroy(context);
    return r;
}

static gm_classifier_options usual(bool finetune)
{
    const gm_dataset dataset = stripes();
    gm_classifier_options options;
    gm_classifier_defaults(&dataset, TRAIN, finetune, NULL, &options);
    options.augmented = false;
    options.epochs = 12;
    options.batch = 20; /* 121 samples leave one over */
    return options;
}

START_TEST(frozen_features_are_classified)
{
    gm_classifier_options options = usual(false);
    gm_head head, with_views;
    options.epochs = 40;
    const record r = train(GM_ARCH_CONV, 1, &options, &head);
    ck_assert_int_eq(r.epochs, 40);
    ck_assert_double_gt(r.last.acc1, 0.8);
    ck_assert_double_lt(r.last.loss, r.first.loss);
    ck_assert(head.classes == CLASSES && head.dim == 512 && !head.class_names);
    options.augmented = true; /* other samples, so another classifier */
    train(GM_ARCH_CONV, 1, &options, &with_views);
    ck_assert(!test_same_bits(head.weight, with_views.weight, sizeof(float) * 512 * CLASSES));
    gm_head_free(&head);
    gm_head_free(&with_views);
}
END_TEST

START_TEST(finetuning_learns_what_features_lack)
{
    static const gm_arch arches[] = {GM_ARCH_MLP, GM_ARCH_AXON, GM_ARCH_CONV};
    for (int i = 0; i < 3; i++) {
        gm_classifier_options options = usual(true);
        gm_head head;
        const record tuned = train(arches[i], 1, &options, &head);
        gm_head_free(&head);
        ck_assert_msg(tuned.last.loss < 0.5 * tuned.first.loss, "%s: loss from %g to %g", gm_arch_name(arches[i]),
                      tuned.first.loss, tuned.last.loss);
        ck_assert_msg(tuned.last.best1 > 0.5, "%s: accuracy %g", gm_arch_name(arches[i]), tuned.last.best1);
    }
}
END_TEST

/* Pieces of a batch give the whole gradient
 * where nothing is normalised over the batch. */
START_TEST(pieces_of_a_batch_make_the_whole)
{
    gm_classifier_options options = usual(true);
    gm_head whole, pieces;
    options.epochs = 2;
    train(GM_ARCH_AXON, 1, &options, &whole);
    options.micro_batch = 7;
    train(GM_ARCH_AXON, 1, &options, &pieces);
    for (int64_t i = 0; i < whole.classes * whole.dim; i++)
        ck_assert_float_eq_tol(whole.weight[i], pieces.weight[i], 1e-5f);
    gm_head_free(&whole);
    gm_head_free(&pieces);
}
END_TEST

START_TEST(threads_do_not_change_bits_but_seeds_do)
{
    static const int threads[] = {2, 3, 7};
    for (int finetune = 0; finetune < 2; finetune++) {
        gm_classifier_options options = usual(finetune);
        gm_head one, many;
        options.augmented = true;
        options.epochs = 2;
        train(GM_ARCH_CONV, 1, &options, &one);
        const size_t bytes = sizeof(float) * (size_t)(one.classes * one.dim);
        for (int i = 0; i < 3; i++) {
            train(GM_ARCH_CONV, threads[i], &options, &many);
            ck_assert(test_same_bits(one.weight, many.weight, bytes));
            ck_assert(test_same_bits(one.bias, many.bias, sizeof(float) * CLASSES));
            gm_head_free(&many);
        }
        options.seed = 1;
        train(GM_ARCH_CONV, 1, &options, &many);
        ck_assert(!test_same_bits(one.weight, many.weight, bytes));
        gm_head_free(&one);
        gm_head_free(&many);
    }
}
END_TEST

START_TEST(bad_arguments_and_divergence_are_reported)
{
    const gm_dataset good = stripes();
    gm_dataset unlabelled = good, untested = good;
    unlabelled.classes = 0;
    untested.test.rows = 0;
    gm_classifier_options options[5];
    for (int i = 0; i < 5; i++)
        options[i] = usual(i != 4);
    options[1].epochs = 0;
    options[2].batch = 1;
    options[3].lr_classifier = 1e30;
    const struct {
        const gm_dataset *dataset;
        int64_t count;
        const gm_classifier_options *options;
        int stop_at;
        gm_status status;
    } cases[] = {
        {&unlabelled, TRAIN, &options[0], 0, GM_INVALID_ARGUMENT},
        {&untested, TRAIN, &options[0], 0, GM_INVALID_ARGUMENT},
        {&good, 1, &options[0], 0, GM_INVALID_ARGUMENT},
        {&good, 0, &options[4], 0, GM_INVALID_ARGUMENT},
        {&good, TRAIN, &options[1], 0, GM_INVALID_ARGUMENT},
        {&good, TRAIN, &options[2], 0, GM_INVALID_ARGUMENT},
        {&good, TRAIN, &options[3], 0, GM_DIVERGED},
        {&good, TRAIN, &options[0], 2, GM_IO_ERROR},
        {&good, 2, &options[0], 0, GM_OK},
        {&good, 1, &options[4], 0, GM_OK},
    };
    gm_context *context = test_context(GM_ISA_AUTO, 1);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        record r = {.stop_at = cases[i].stop_at};
        const gm_classifier_observer observer = {note, &r};
        gm_model *model = random_model(context, GM_ARCH_MLP, cases[i].options);
        gm_error error = {GM_OK, ""};
        gm_head head;
        const gm_status status = gm_classifier_train(context, cases[i].dataset, all_rows, cases[i].count, model,
                                                     cases[i].options, &observer, &head, &error);
        ck_assert_msg(status == cases[i].status, "case %zu: %s: %s", i, gm_status_string(status), error.message);
        ck_assert_int_eq(error.code, status);
        ck_assert((head.weight != NULL) == (status == GM_OK));
        gm_head_free(&head);
        gm_model_destroy(model);
    }
    gm_context_destroy(context);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("classifier");
    TCase *tests = tcase_create("classifier");
    tcase_add_test(tests, loss_and_gradient_are_pytorch_s);
    tcase_add_test(tests, gradient_is_that_of_finite_differences);
    tcase_add_test(tests, ranks);
    tcase_add_test(tests, shares_of_classes_are_drawn);
    tcase_add_test(tests, frozen_features_are_classified);
    tcase_add_test(tests, finetuning_learns_what_features_lack);
    tcase_add_test(tests, pieces_of_a_batch_make_the_whole);
    tcase_add_test(tests, threads_do_not_change_bits_but_seeds_do);
    tcase_add_test(tests, bad_arguments_and_divergence_are_reported);
    suite_add_tcase(suite, tests);
    return test_run(suite);
}
