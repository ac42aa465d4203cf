/* Accuracies of a model beside the raw samples, for data sets with and without labels and test split. */
#include <stdlib.h>
#include <string.h>

#include "support/support.h"
#include "train/evaluation.h"

enum { SIDE = 6, DIM = SIDE * SIDE, CLASSES = 4, TRAIN = 400, TEST = 120 };

/* Images of four classes: one bright quarter each, with noise. */
static void fill_images(uint64_t seed, int64_t rows, uint8_t *pixels, int32_t *labels)
{
    test_random random = test_random_create(seed);
    for (int64_t i = 0; i < rows; i++) {
        labels[i] = (int32_t)(i % CLASSES);
        for (int y = 0; y < SIDE; y++)
            for (int x = 0; x < SIDE; x++) {
                const bool bright = labels[i] == 2 * (y / (SIDE / 2)) + x / (SIDE / 2);
                pixels[i * DIM + y * SIDE + x] = (uint8_t)(test_random_bits(&random) % 80 + (bright ? 120 : 0));
            }
    }
}

static uint8_t train_pixels[TRAIN * DIM], test_pixels[TEST * DIM];
static float train_vectors[TRAIN * DIM], test_vectors[TEST * DIM];
static int32_t train_labels[TRAIN], test_labels[TEST];

static gm_dataset quarters(gm_data_kind kind)
{
    fill_images(1, TRAIN, train_pixels, train_labels);
    fill_images(2, TEST, test_pixels, test_labels);
    for (int i = 0; i < TRAIN * DIM; i++)
        train_vectors[i] = (float)train_pixels[i] / 100.0f;
    for (int i = 0; i < TEST * DIM; i++)
        test_vectors[i] = (float)test_pixels[i] / 100.0f;
    gm_dataset dataset = {.kind = kind,
                          .name = "quarters",
                          .dim = DIM,
                          .classes = CLASSES,
                          .std = 1.0f,
                          .train = {.rows = TRAIN, .labels = train_labels},
                          .test = {.rows = TEST, .labels = test_labels}};
    if (kind == GM_DATA_GRAY_IMAGES) {
        dataset.width = dataset.height = SIDE;
        dataset.mean = 0.3f;
        dataset.train.pixels = train_pixels;
        dataset.test.pixels = test_pixels;
    } else {
        dataset.train.features = train_vectors;
        dataset.test.features = test_vectors;
    }
    return dataset;
}

/* An untrained encoder: random features keep such classes apart. */
static gm_model *random_model(gm_context *context)
{
    gm_model_options options = gm_model_default_options(DIM, 128);
    options.hidden_size = 32;
    options.projection_dim = 16;
    options.training = false;
    options.seed = 3;
    gm_model *model;
    ck_assert_int_eq(gm_model_create(context, &options, &model), GM_OK);
    return model;
}

static gm_evaluation evaluate(const gm_dataset *dataset, const gm_evaluation_options *options, char **text)
{
    gm_context *context = test_context(GM_ISA_AUTO, 1);
    gm_model *model = random_model(context);
    gm_evaluation evaluation;
    gm_error error = {GM_OK, ""};
    ck_assert_msg(gm_evaluate(context, dataset, model, options, &evaluation, &error) == GM_OK, "%s", error.message);
    size_t size;
    FILE *out = open_memstream(text, &size);
    gm_evaluation_print_table(&evaluation, dataset, out);
    gm_evaluation_print_results(&evaluation, dataset, out);
    fclose(out);
    gm_model_destroy(model);
    gm_context_destroy(context);
    return evaluation;
}

/* The last line of a text that ends in a newline, and the one before it. */
static const char *last_lines(const char *text, int lines)
{
    const char *at = text + strlen(text) - 1;
    for (; at > text; at--)
        if (at[-1] == '\n' && --lines == 0)
            break;
    return at;
}

START_TEST(images_are_measured_beside_their_pixels)
{
    const gm_dataset dataset = quarters(GM_DATA_GRAY_IMAGES);
    char *text;
    const gm_evaluation e = evaluate(&dataset, NULL, &text);
    ck_assert(e.measured);
    ck_assert_int_eq(e.feature_size, 32);
    const double accuracies[] = {e.model.knn, e.model.linear, e.model.linear_top5, e.model.few_knn, e.model.few_linear,
                                 e.raw.knn,   e.raw.linear,   e.raw.linear_top5,   e.raw.few_knn,   e.raw.few_linear};
    for (size_t i = 0; i < sizeof accuracies / sizeof *accuracies; i++)
        ck_assert_msg(accuracies[i] > 0.9 && accuracies[i] <= 1.0 + 1e-12, "accuracy %zu is %g", i, accuracies[i]);
    char expected[128];
    snprintf(expected, sizeof expected, "knn %.4f (raw pixels %.4f)\nlinear %.4f (raw pixels %.4f)\n", e.model.knn,
             e.raw.knn, e.model.linear, e.raw.linear);
    ck_assert_str_eq(last_lines(text, 2), expected);
    free(text);
}
END_TEST

START_TEST(vectors_are_measured_as_they_are)
{
    const gm_dataset dataset = quarters(GM_DATA_VECTORS);
    gm_evaluation_options options = gm_evaluation_default_options();
    options.linear = false;
    options.labels_per_class = 0;
    char *text;
    const gm_evaluation e = evaluate(&dataset, &options, &text);
    ck_assert(e.measured && e.raw.knn > 0.9 && e.model.knn > 0.9);
    ck_assert(e.model.linear == 0.0 && e.model.few_knn == 0.0);
    ck_assert_ptr_nonnull(strstr(last_lines(text, 1), "(raw features "));
    ck_assert_ptr_null(strstr(text, "linear"));
    free(text);
}
END_TEST

START_TEST(neighbours_are_of_the_same_class)
{
    const gm_dataset dataset = quarters(GM_DATA_GRAY_IMAGES);
    char *text;
    const gm_neighbours n = evaluate(&dataset, NULL, &text).neighbours;
    ck_assert_int_eq(n.queries, CLASSES);
    ck_assert_int_eq(n.k, GM_SHEET_NEIGHBOURS);
    ck_assert(!n.of_training);
    for (int32_t q = 0; q < n.queries; q++) {
        ck_assert_int_eq(test_labels[n.query[q]], q);
        for (int32_t i = 0; i < n.k; i++) {
            ck_assert_int_eq(train_labels[n.index[q][i]], q);
            ck_assert(i == 0 || n.similarity[q][i] <= n.similarity[q][i - 1]);
        }
    }
    free(text);
}
END_TEST

START_TEST(what_is_missing_is_named)
{
    gm_dataset unlabelled = quarters(GM_DATA_GRAY_IMAGES), undivided = unlabelled;
    unlabelled.classes = 0;
    unlabelled.train.labels = unlabelled.test.labels = NULL;
    undivided.test = (gm_split){0};
    char *text;
    gm_evaluation e = evaluate(&unlabelled, NULL, &text);
    ck_assert(!e.measured && !e.neighbours.of_training);
    ck_assert_int_eq(e.neighbours.queries, GM_SHEET_QUERIES);
    ck_assert_str_eq(text, "No accuracies: quarters has no labels; give them with --labels FILE.\n");
    free(text);

    e = evaluate(&undivided, NULL, &text);
    ck_assert(!e.measured && e.neighbours.of_training);
    ck_assert_int_eq(e.neighbours.k, GM_SHEET_NEIGHBOURS);
    for (int32_t q = 0; q < e.neighbours.queries; q++)
        for (int32_t i = 0; i < e.neighbours.k; i++)
            ck_assert_int_ne(e.neighbours.index[q][i], e.neighbours.query[q]);
    ck_assert_ptr_nonnull(strstr(text, "no test split; hold one back with --val-split"));
    free(text);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("evaluation");
    TCase *tests = tcase_create("evaluation");
    tcase_add_test(tests, images_are_measured_beside_their_pixels);
    tcase_add_test(tests, vectors_are_measured_as_they_are);
    tcase_add_test(tests, neighbours_are_of_the_same_class);
    tcase_add_test(tests, what_is_missing_is_named);
    suite_add_tcase(suite, tests);
    return test_run(suite);
}
