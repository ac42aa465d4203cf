/* Classifiers in files of weights: written, read, refused, applied. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "formats/pth.h"
#include "formats/safetensors.h"
#include "support/files.h"
#include "support/support.h"
#include "train/backbone.h"
#include "train/convert.h"
#include "train/head.h"
#include "train/weights.h"

enum { CLASSES = 3, DIM = 7 };

static float weight[CLASSES * DIM], bias[CLASSES];
static const char *const names[CLASSES] = {"cat, big", "\"dog\"", "Vögel"};
static test_folder folder;

static void enter(void)
{
    folder = test_folder_create();
    test_random random = test_random_create(1);
    test_fill_normal(&random, weight, CLASSES * DIM, 0, 1);
    test_fill_normal(&random, bias, CLASSES, 0, 1);
}

static void leave(void)
{
    test_folder_remove(&folder);
}

static gm_model *make_model(gm_context *context, uint64_t seed)
{
    gm_model *model;
    gm_model_options options = gm_model_default_options(5, 4);
    options.hidden_size = DIM;
    options.training = false;
    options.seed = seed;
    ck_assert_int_eq(gm_model_create(context, &options, &model), GM_OK);
    return model;
}

static void check_head(const gm_head *head, bool named)
{
    ck_assert_int_eq(head->classes, CLASSES);
    ck_assert_int_eq(head->dim, DIM);
    ck_assert(test_same_bits(head->weight, weight, sizeof weight));
    ck_assert(test_same_bits(head->bias, bias, sizeof bias));
    ck_assert(named == (head->class_names != NULL));
    for (int i = 0; i < CLASSES && named; i++)
        ck_assert_str_eq(head->class_names[i], names[i]);
}

static void check_encoder(const gm_model *a, const gm_model *b)
{
    for (int32_t i = 0; i < gm_model_parameter_count(a); i++) {
        const gm_parameter x = gm_model_parameter(a, i), y = gm_model_parameter(b, i);
        ck_assert(strncmp(x.name, "encoder.", 8) != 0 ||
                  test_same_bits(x.value, y.value, (size_t)x.count * sizeof(float)));
    }
}

/* The head goes around, and readers of the encoder alone find it in the same file; so they do after a conversion. */
START_TEST(a_head_lies_beside_its_encoder)
{
    const double means[5] = {0.1, -1e30, 3, 0, 5}, scales[5] = {1, 0, 0.1, 1e30, 7};
    const gm_dataset vectors = {.kind = GM_DATA_VECTORS,
                                .dim = 5,
                                .classes = CLASSES,
                                .class_names = names,
                                .column_mean = means,
                                .column_scale = scales};
    const gm_head written = {.classes = CLASSES, .dim = DIM, .weight = weight, .bias = bias};
    gm_context *context = test_context(GM_ISA_AUTO, 1);
    gm_model *model = make_model(context, 1), *loaded;
    gm_model_options options = gm_model_default_options(5, 4);
    options.hidden_size = DIM;
    gm_error error = {GM_OK, ""};
    gm_pixel_scale ignored;
    gm_column_scale columns;
    gm_head head;
    int64_t image_size, count;
    char backbone[512], classifier[512], converted[512];
    snprintf(backbone, sizeof backbone, "%s", test_path(&folder, "backbone.safetensors"));
    snprintf(classifier, sizeof classifier, "%s", test_path(&folder, "classifier.safetensors"));
    snprintf(converted, sizeof converted, "%s", test_path(&folder, "classifier.pth"));
    ck_assert_int_eq(gm_backbone_save(model, &options, &vectors, NULL, backbone, &error), GM_OK);
    ck_assert_int_eq(gm_head_load(backbone, &head, &error), GM_OK);
    ck_assert_int_eq(head.classes, 0);

    ck_assert_msg(gm_head_save(&written, backbone, model, &vectors, classifier, &error) == GM_OK, "%s", error.message);
    ck_assert_msg(gm_head_load(classifier, &head, &error) == GM_OK, "%s", error.message);
    check_head(&head, true);
    gm_head_free(&head);
    ck_assert_ptr_null(head.weight);
    ck_assert_msg(gm_head_load(folder.path, &head, &error) == GM_OK, "%s", error.message);
    check_head(&head, true);
    gm_head_free(&head);
    ck_assert_msg(gm_backbone_load(context, classifier, 0, 0, 4, &loaded, &ignored, &error) == GM_OK, "%s",
                  error.message);
    check_encoder(model, loaded);
    gm_model_destroy(loaded);
    ck_assert_int_eq(gm_backbone_load_input(classifier, &columns, &image_size, &error), GM_OK);
    ck_assert(columns.columns == 5 && test_same_bits(columns.scale, scales, sizeof scales));
    gm_column_scale_free(&columns);

    ck_assert_msg(gm_weights_convert(classifier, converted, &count, &error) == GM_OK, "%s", error.message);
    ck_assert_msg(gm_head_load(converted, &head, &error) == GM_OK, "%s", error.message);
    check_head(&head, false);
    gm_head_free(&head);
    ck_assert_int_eq(gm_backbone_load(context, converted, 0, 0, 4, &loaded, &ignored, &error), GM_OK);
    check_encoder(model, loaded);
    gm_model_destroy(loaded);
    gm_model_destroy(model);
    gm_context_destroy(context);
}
END_TEST

START_TEST(names_that_are_no_text_are_not_written)
{
    const char *const bad[CLASSES] = {"a", "b\xff", "c"};
    const gm_head head = {.classes = CLASSES, .dim = DIM, .weight = weight, .bias = bias, .class_names = bad};
    gm_context *context = test_context(GM_ISA_AUTO, 1);
    gm_model *model = make_model(context, 1);
    const gm_model_options options = gm_model_default_options(5, 4);
    const char *path = test_path(&folder, "classifier.safetensors");
    gm_error error = {GM_OK, ""};
    gm_head read;
    test_expect(gm_backbone_save(model, &options, NULL, &head, path, &error), &error, GM_BAD_DATA, "class 1 is not");
    ck_assert_int_eq(gm_head_load(path, &read, &error), GM_BAD_DATA);
    gm_model_destroy(model);
    gm_context_destroy(context);
}
END_TEST

START_TEST(heads_that_are_wrong_are_refused)
{
    static float endless[CLASSES * DIM] = {INFINITY};
    static const int64_t integers[CLASSES] = {1, 2, 3};
    enum { MOST = 3 };
    const gm_tensor good = {"fc.weight", GM_TENSOR_F32, 2, {CLASSES, DIM}, weight};
    const gm_tensor good_bias = {"fc.bias", GM_TENSOR_F32, 1, {CLASSES}, bias};
    const gm_tensor other = {"encoder.0.weight", GM_TENSOR_F32, 1, {CLASSES}, bias};
    const struct {
        gm_tensor tensors[MOST];
        const char *class_names, *pattern; /* NULL: a head */
    } cases[] = {
        {{good, good_bias, other}, NULL, NULL},
        {{good, good_bias, other}, "[\"a\", \"a\", \"\"]", NULL},
        {{good, other, other}, NULL, "has fc.weight, but no fc.bias"},
        {{other, good_bias, other}, NULL, "has fc.bias, but no fc.weight"},
        {{good, good_bias, {"module.fc.weight", GM_TENSOR_F32, 1, {1}, bias}}, NULL, "both stand for fc.weight"},
        {{good, good_bias, {"module.fc.bias", GM_TENSOR_F32, 1, {1}, bias}}, NULL, "both stand for fc.bias"},
        {{good, {"fc.bias", GM_TENSOR_F32, 1, {2}, bias}, other}, NULL, "'fc.bias' is F32 [2]"},
        {{good, {"fc.bias", GM_TENSOR_F32, 2, {CLASSES, 1}, bias}, other}, NULL, "'fc.bias' is F32 [3, 1]"},
        {{good, {"fc.bias", GM_TENSOR_F32, 0, {0}, bias}, other}, NULL, "'fc.bias' is F32 []"},
        {{good, {"fc.bias", GM_TENSOR_I64, 1, {CLASSES}, (void *)integers}, other}, NULL, "'fc.bias' is I64 [3]"},
        {{{"fc.weight", GM_TENSOR_F32, 1, {DIM}, weight}, good_bias, other}, NULL, "'fc.weight' is F32 [7]"},
        {{{"fc.weight", GM_TENSOR_F32, 3, {CLASSES, DIM, 1}, weight}, good_bias, other}, NULL, "F32 [3, 7, 1]"},
        {{{"fc.weight", GM_TENSOR_F32, 2, {CLASSES, 0}, weight}, good_bias, other}, NULL, "F32 [3, 0]"},
        {{{"fc.weight", GM_TENSOR_F32, 2, {0, DIM}, weight}, {"fc.bias", GM_TENSOR_F32, 1, {0}, bias}, other},
         NULL,
         "F32 [0, 7]"},
        {{{"fc.weight", GM_TENSOR_F32, 2, {CLASSES, DIM}, endless}, good_bias, other}, NULL, "NaN or infinity"},
        {{good, good_bias, other}, "[\"a\", \"b\"]", "has names of 2 classes where 3 are"},
        {{good, good_bias, other}, "[\"a\", \"b\", \"c\", \"d\"]", "has names of 4 classes"},
        {{good, good_bias, other}, "", "class_names: line 1: "},
        {{good, good_bias, other}, "7", "class_names: line 1: "},
        {{good, good_bias, other}, "[\"a\", 1, \"c\"]", "class 1 has no name"},
        {{good, good_bias, other}, "[\"a\", \"b\", \"\\u001b[2J\"]", "class 2 has no name"},
        {{good, good_bias, other}, "[\"a\", \"b\", \"\\u0000\"]", "class_names: line 1: "},
    };
    const char *path = test_path(&folder, "weights.safetensors");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        gm_tensor tensors[MOST];
        const gm_metadata metadata = {"class_names", cases[i].class_names};
        gm_error error = {GM_OK, ""};
        gm_head head;
        int64_t count = 0;
        for (int j = 0; j < MOST; j++) /* a name is there once */
            if (count == 0 || strcmp(tensors[count - 1].name, cases[i].tensors[j].name) != 0)
                tensors[count++] = cases[i].tensors[j];
        if (count == MOST && strcmp(tensors[0].name, tensors[2].name) == 0)
            count--;
        const bool named = cases[i].class_names;
        ck_assert_msg(gm_safetensors_write(path, count, tensors, named, &metadata, &error) == GM_OK, "%zu: %s", i,
                      error.message);
        const gm_status status = gm_head_load(path, &head, &error);
        ck_assert_msg(cases[i].pattern || status == GM_OK, "%zu: %s", i, error.message);
        if (cases[i].pattern)
            test_expect(status, &error, GM_BAD_DATA, cases[i].pattern);
        ck_assert_int_eq(head.classes, cases[i].pattern ? 0 : CLASSES);
        gm_head_free(&head);
    }
}
END_TEST

/* Files of names as they are published. */
START_TEST(classes_get_names_from_a_file)
{
    const struct {
        const char *text, *pattern; /* NULL: "a b", "c", "d" */
    } cases[] = {
        {"a b\nc\nd\n", NULL},
        {"\na b\r\nc\r\n\r\nd", NULL},
        {" [\"a b\", \"c\", \"d\"]\n", NULL},
        {"{\"2\": \"d\", \"0\": \"a b\", \"1\": \"c\"}", NULL},
        {"{\"0\": [\"n01\", \"a b\"], \"1\": [\"n02\", \"c\"], \"2\": [\"d\"]}", NULL},
        {"a\nb\n", "names.txt: has names of 2 classes where 3 are needed"},
        {"", "has names of 0 classes"},
        {"[\"a\", \"b\"]", "has names of 2 classes"},
        {"[\"a\", \"b\", []]", "class 2 has no name"},
        {"{\"1\": \"a\", \"2\": \"b\", \"3\": \"c\"}", "class 0 has no name"},
        {"{\"0\": \"a\", \"1\": \"b\", \"2\": {\"x\": \"c\"}}", "class 2 has no name"},
        {"{\"0\": \"a\", \"0\": \"b\", \"2\": \"c\"}", "names.txt: line 1: duplicate"},
        {"{0: 'a', 1: 'b', 2: 'c'}", "names.txt: line 1: "},
        {"a\nb\x1b[2J\nc\n", "line 2 has control characters"},
    };
    char path[512];
    snprintf(path, sizeof path, "%s", test_path(&folder, "names.txt"));
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        gm_head head = {.classes = CLASSES, .dim = DIM, .class_names = names};
        gm_error error = {GM_OK, ""};
        test_write(path, cases[i].text, strlen(cases[i].text));
        const gm_status status = gm_head_read_names(&head, path, &error);
        ck_assert_msg(cases[i].pattern || status == GM_OK, "%zu: %s", i, error.message);
        if (cases[i].pattern)
            test_expect(status, &error, GM_BAD_DATA, cases[i].pattern);
        ck_assert_str_eq(head.class_names[0], cases[i].pattern ? names[0] : "a b");
        ck_assert_str_eq(head.class_names[2], cases[i].pattern ? names[2] : "d");
        gm_head_free(&head);
    }
}
END_TEST

START_TEST(published_heads_are_read)
{
    const char *const fronts[] = {"", "module.", "model.module.", "state_dict.", "module.backbone."};
    const char *path = test_path(&folder, "weights.pth");
    for (size_t i = 0; i < sizeof fronts / sizeof *fronts; i++) {
        char of_weight[64], of_bias[64];
        snprintf(of_weight, sizeof of_weight, "%sfc.weight", fronts[i]);
        snprintf(of_bias, sizeof of_bias, "%sfc.bias", fronts[i]);
        const gm_tensor tensors[] = {{of_weight, GM_TENSOR_F32, 2, {CLASSES, DIM}, weight},
                                     {of_bias, GM_TENSOR_F32, 1, {CLASSES}, bias}};
        gm_error error = {GM_OK, ""};
        gm_head head;
        ck_assert_int_eq(gm_pth_write(path, 2, tensors, &error), GM_OK);
        ck_assert_msg(gm_head_load(path, &head, &error) == GM_OK, "%s", error.message);
        check_head(&head, false);
        gm_head_free(&head);
    }
}
END_TEST

static void check_probabilities(const gm_head *head, int64_t rows, const float *features, const float *probabilities)
{
    for (int64_t i = 0; i < rows; i++) {
        double logits[CLASSES], sum = 0.0, most = -INFINITY;
        for (int64_t c = 0; c < CLASSES; c++) {
            logits[c] = head->bias[c];
            for (int64_t j = 0; j < DIM; j++)
                logits[c] += (double)features[i * DIM + j] * head->weight[c * DIM + j];
            most = fmax(most, logits[c]);
        }
        for (int64_t c = 0; c < CLASSES; c++)
            sum += exp(logits[c] - most);
        for (int64_t c = 0; c < CLASSES; c++)
            ck_assert_double_eq_tol(probabilities[i * CLASSES + c], exp(logits[c] - most) / sum, 1e-5);
    }
}

START_TEST(probabilities_are_those_of_the_softmax)
{
    enum { ROWS = 37 };
    float features[ROWS * DIM], probabilities[ROWS * CLASSES];
    gm_head head = {.classes = CLASSES, .dim = DIM, .weight = weight, .bias = bias};
    test_random random = test_random_create(2);
    test_fill_normal(&random, features, ROWS * DIM, 0, 3);
    for (int j = 0; j < DIM; j++)
        features[j] *= 1e4f; /* no overflow on the way */
    gm_context *context = test_context(GM_ISA_AUTO, 2);
    ck_assert_int_eq(gm_head_probabilities(context, &head, ROWS, features, probabilities), GM_OK);
    check_probabilities(&head, ROWS, features, probabilities);
    bias[1] = 3e38f; /* the other classes' probability underflows to 0 */
    ck_assert_int_eq(gm_head_probabilities(context, &head, ROWS, features, probabilities), GM_OK);
    ck_assert(probabilities[0] == 0.0f && probabilities[1] == 1.0f && probabilities[2] == 0.0f);
    weight[DIM] = 3e38f;
    ck_assert_int_eq(gm_head_probabilities(context, &head, ROWS, features, probabilities), GM_NOT_FINITE);
    gm_context_destroy(context);
}
END_TEST

START_TEST(the_top_classes_are_in_order)
{
    const float rows[][5] = {
        {0.1f, 0.2f, 0.3f, 0.15f, 0.25f}, {0.2f, 0.2f, 0.2f, 0.2f, 0.2f}, {0, 0, 1, 0, 0}, {0.5f, 0, 0.5f, 0, 0}};
    const int64_t orders[][5] = {{2, 4, 1, 3, 0}, {0, 1, 2, 3, 4}, {2, 0, 1, 3, 4}, {0, 2, 1, 3, 4}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        for (int64_t k = 1; k <= 5; k++) {
            int64_t top[6] = {-1, -1, -1, -1, -1, -1};
            gm_head_top(rows[i], 5, k, top);
            for (int64_t j = 0; j < 6; j++)
                ck_assert_int_eq(top[j], j < k ? orders[i][j] : -1);
        }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("head");
    TCase *tests = tcase_create("head");
    tcase_add_checked_fixture(tests, enter, leave);
    suite_add_tcase(suite, tests);
    tcase_add_test(tests, a_head_lies_beside_its_encoder);
    tcase_add_test(tests, names_that_are_no_text_are_not_written);
    tcase_add_test(tests, heads_that_are_wrong_are_refused);
    tcase_add_test(tests, classes_get_names_from_a_file);
    tcase_add_test(tests, published_heads_are_read);
    tcase_add_test(tests, probabilities_are_those_of_the_softmax);
    tcase_add_test(tests, the_top_classes_are_in_order);
    return test_run(suite);
}
