/* The configuration: texts, JSON, layers and defaults. */
#include "train/config.h"

#include <stdlib.h>
#include <string.h>

#include "support/files.h"
#include "support/support.h"

static void set(gm_train_config *config, const char *name, const char *text)
{
    gm_error error = {GM_OK, ""};
    ck_assert_msg(gm_config_set(config, gm_config_find(name), text, &error) == GM_OK, "%s", error.message);
}

static bool is_set(const gm_train_config *config, const char *name)
{
    return config->set[gm_config_find(name)];
}

static void resolve(gm_train_config *config, gm_data_kind kind)
{
    const gm_dataset dataset = {.kind = kind};
    gm_error error = {GM_OK, ""};
    ck_assert_msg(gm_config_resolve(config, &dataset, &error) == GM_OK, "%s", error.message);
}

START_TEST(wrong_values_are_refused)
{
    const struct {
        const char *name, *text, *message;
    } cases[] = {
        {"epochs", "0", "whole number from 1"},
        {"epochs", "ten", "whole number"},
        {"epochs", "1.5", "whole number"},
        {"epochs", " 3", "whole number"},
        {"epochs", "99999999999999999999", "whole number"},
        {"batch-size", "1", "from 2"},
        {"micro-batch", "1", "from 2"},
        {"micro-batch", "all", "whole number from 2"},
        {"compat", "facebook", "one of none, fb"},
        {"world-size", "0", "whole number from 1"},
        {"learning-rate", "-1", "number from 0"},
        {"learning-rate", "nan", "number from 0"},
        {"learning-rate", "1e-3x", "number from 0"},
        {"lambd", "", "number from 0"},
        {"arch", "resnet", "one of mlp, axon"},
        {"optimizer", "LARS", "one of sgd, adam, lars"},
        {"normalization", "none", "batchnorm, unbiased, cosine"},
        {"projector", "512-", "widths"},
        {"projector", "512-0", "widths"},
        {"projector", "1-1-1-1-1-1-1-1-1-1-1-1-1-1-1-1-1", "at most 16"},
        {"flip-probability", "1.01", "from 0 to 1"},
        {"data", "", "a text"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        gm_train_config config;
        gm_config_init(&config);
        gm_error error = {GM_OK, ""};
        ck_assert_int_eq(gm_config_set(&config, gm_config_find(cases[i].name), cases[i].text, &error), GM_BAD_USAGE);
        ck_assert_msg(strstr(error.message, cases[i].message) && strstr(error.message, cases[i].name), "%s",
                      error.message);
        ck_assert(!is_set(&config, cases[i].name));
    }
}
END_TEST

START_TEST(choices_are_the_library_s_names)
{
    for (int32_t i = 0; i < gm_config_field_count(); i++)
        if (gm_config_field(i)->kind == GM_FIELD_CHOICE)
            ck_assert_ptr_nonnull(gm_config_field(i)->choice(0));
    const gm_field *arch = gm_config_field(gm_config_find("arch"));
    ck_assert_str_eq(arch->choice(GM_ARCH_AXON), gm_arch_name(GM_ARCH_AXON));
    ck_assert_ptr_null(arch->choice(GM_ARCH_COUNT));
}
END_TEST

START_TEST(parents_exist)
{
    for (int32_t i = 0; i < gm_config_field_count(); i++) {
        const gm_field *field = gm_config_field(i);
        ck_assert_int_eq(gm_config_find(field->name), i);
        ck_assert(!field->parent || gm_config_find(field->parent) >= 0);
    }
    ck_assert_int_eq(gm_config_find("no-such-field"), -1);
}
END_TEST

/* A resolved configuration, written and read back, is the same one. */
START_TEST(json_keeps_everything)
{
    gm_train_config config, back;
    gm_config_init(&config);
    set(&config, "data", "dir with \"quotes\"/\xc3\xbc.npy");
    set(&config, "lambd", "0.1");
    set(&config, "crop-scale-min", "0.3");
    set(&config, "seed", "9007199254740992");
    set(&config, "learning-rate-biases", "0.333333333333333314829616256247");
    resolve(&config, GM_DATA_GRAY_IMAGES);
    char *text = gm_config_json(&config);
    ck_assert_ptr_nonnull(text);
    ck_assert_ptr_nonnull(strstr(text, "\"lambd\": 0.1,"));
    ck_assert_ptr_nonnull(strstr(text, "\"crop_scale_min\": 0.3,"));
    const test_folder folder = test_folder_create();
    const char *path = test_path(&folder, "config.json");
    test_write(path, text, strlen(text));
    gm_config_init(&back);
    gm_error error = {GM_OK, ""};
    ck_assert_msg(gm_config_read(path, &back, &error) == GM_OK, "%s", error.message);
    resolve(&back, GM_DATA_GRAY_IMAGES);
    char *again = gm_config_json(&back);
    ck_assert_str_eq(again, text);
    ck_assert(test_same_bits(&back.augmentation, &config.augmentation, sizeof config.augmentation));
    ck_assert(back.learning_rate_biases == 1.0 / 3 && back.seed == config.seed);
    test_folder_remove(&folder);
    free(text);
    free(again);
}
END_TEST

START_TEST(bad_files_are_refused)
{
    const struct {
        const char *text, *message;
    } cases[] = {
        {"{\"epochs\": 3", "line 1"},
        {"[1, 2]", "not a JSON object"},
        {"{\"epochs\": 3, \"epochs\": 4}", "duplicate"},
        {"{\"epoch\": 3}", "unknown key \"epoch\""},
        {"{\"batch-size\": 64}", "unknown key"},
        {"{\"epochs\": \"3\"}", "takes a number"},
        {"{\"epochs\": 3.5}", "whole number"},
        {"{\"epochs\": null}", "takes a number"},
        {"{\"arch\": 1}", "takes a string"},
        {"{\"arch\": \"vit\"}", "one of mlp, axon"},
        {"{\"lambd\": -1}", "from 0"},
        {"", "line"},
    };
    const test_folder folder = test_folder_create();
    const char *path = test_path(&folder, "config.json");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        test_write(path, cases[i].text, strlen(cases[i].text));
        gm_train_config config;
        gm_config_init(&config);
        gm_error error = {GM_OK, ""};
        ck_assert_int_eq(gm_config_read(path, &config, &error), GM_BAD_DATA);
        ck_assert_msg(strstr(error.message, cases[i].message) && strstr(error.message, path), "%s", error.message);
    }
    test_folder_remove(&folder);
    gm_train_config config;
    gm_error error = {GM_OK, ""};
    gm_config_init(&config);
    ck_assert_int_eq(gm_config_read("/nonexistent/config.json", &config, &error), GM_BAD_DATA);
    ck_assert_ptr_nonnull(strstr(error.message, "/nonexistent/config.json"));
}
END_TEST

/* A flag over a file: what follows the flag's field is decided anew, the rest of the file stays. */
START_TEST(an_overlay_forgets_what_followed)
{
    gm_train_config file, flags;
    gm_config_init(&file);
    set(&file, "epochs", "40");
    resolve(&file, GM_DATA_GRAY_IMAGES);
    gm_config_init(&flags);
    set(&flags, "optimizer", "lars");
    set(&flags, "augmentation", "none");
    set(&flags, "flip-probability", "0.25");
    set(&flags, "projection-dim", "64");
    gm_config_overlay(&file, &flags);
    ck_assert(!is_set(&file, "learning-rate-weights") && !is_set(&file, "weight-decay"));
    resolve(&file, GM_DATA_GRAY_IMAGES);
    ck_assert_int_eq(file.epochs, 40);
    ck_assert_double_eq(file.learning_rate_weights, 0.2);
    ck_assert_double_eq(file.learning_rate_biases, 0.0048);
    ck_assert_float_eq(file.augmentation.crop_probability, 0);
    ck_assert_float_eq(file.augmentation.flip_probability, 0.25f);
    ck_assert_int_eq(file.projector.width[0], 64);
    ck_assert_int_eq(file.projector.count, 3);

    gm_config_init(&flags);
    set(&flags, "learning-rate", "0.5");
    set(&flags, "arch", "axon");
    gm_config_overlay(&file, &flags);
    resolve(&file, GM_DATA_GRAY_IMAGES);
    ck_assert_double_eq(file.learning_rate_weights, 0.5);
    ck_assert_double_eq(file.learning_rate_biases, 0.5);
    ck_assert_double_eq(file.eps, 1e-4);
    ck_assert(!is_set(&file, "projector"));
}
END_TEST

/* What the second view has of its own follows the first one's where that is set, else the preset. */
START_TEST(the_second_view_follows_the_first)
{
    gm_train_config config;
    gm_config_init(&config);
    set(&config, "augmentation", "imagenet");
    set(&config, "solarize-probability", "0.4");
    resolve(&config, GM_DATA_GRAY_IMAGES);
    ck_assert(config.augmentation.blur_probability == 1.0f && config.augmentation.blur_probability_2 == 0.1f);
    ck_assert(config.augmentation.solarize_probability == 0.4f && config.augmentation.solarize_probability_2 == 0.4f);
    gm_train_config flags;
    gm_config_init(&flags);
    set(&flags, "blur-probability", "0.3");
    set(&flags, "solarize-probability-2", "0.7");
    gm_config_overlay(&config, &flags);
    resolve(&config, GM_DATA_GRAY_IMAGES);
    ck_assert(config.augmentation.blur_probability == 0.3f && config.augmentation.blur_probability_2 == 0.3f);
    ck_assert(config.augmentation.solarize_probability == 0.4f && config.augmentation.solarize_probability_2 == 0.7f);
}
END_TEST

START_TEST(colours_have_defaults_by_size)
{
    const struct {
        int64_t side;
        const char *preset;
    } cases[] = {{32, "cifar"}, {64, "cifar"}, {65, "imagenet"}, {224, "imagenet"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const gm_dataset dataset = {.kind = GM_DATA_COLOR_IMAGES, .height = cases[i].side, .width = cases[i].side};
        gm_train_config config;
        gm_config_init(&config);
        ck_assert_int_eq(gm_config_resolve(&config, &dataset, NULL), GM_OK);
        ck_assert_int_eq(config.arch, GM_ARCH_RESNET18);
        ck_assert_str_eq(config.preset, cases[i].preset);
    }
}
END_TEST

START_TEST(defaults_follow_the_data)
{
    gm_train_config images, vectors;
    gm_config_init(&images);
    gm_config_init(&vectors);
    set(&images, "epochs", "5");
    resolve(&images, GM_DATA_GRAY_IMAGES);
    resolve(&vectors, GM_DATA_VECTORS);
    ck_assert_int_eq(images.arch, GM_ARCH_CONV);
    ck_assert(images.stem == GM_STEM_AUTO && images.zero_init_residual && !images.projector_bias);
    ck_assert_int_eq(vectors.arch, GM_ARCH_AXON);
    ck_assert_str_eq(images.preset, "fashion");
    ck_assert_str_eq(vectors.preset, "vectors");
    ck_assert_float_eq(vectors.augmentation.noise_probability, 0); /* which costs features more than it teaches */
    ck_assert_float_eq(vectors.augmentation.dropout_share, 0.1f);
    ck_assert_double_eq(images.warmup_epochs, 0.5);
    ck_assert_double_eq(images.lambd, 0.0051);
    ck_assert_double_eq(vectors.lambd, 0.005);
}
END_TEST

START_TEST(rates_grow_with_the_batch_where_the_optimizer_wants_it)
{
    const struct {
        const char *optimizer;
        double scale;
    } cases[] = {{"lars", 2}, {"sgd", 2}, {"adam", 1}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        gm_train_config config;
        gm_config_init(&config);
        set(&config, "optimizer", cases[i].optimizer);
        set(&config, "batch-size", "512");
        resolve(&config, GM_DATA_GRAY_IMAGES);
        ck_assert_double_eq(gm_config_rate_scale(&config), cases[i].scale);
    }
}
END_TEST

START_TEST(contradictions_are_refused)
{
    const struct {
        const char *name[2], *text[2], *message;
    } cases[] = {
        {{"arch", "projector"}, {"axon", "64-64"}, "fixed layers"},
        {{"projection-dim", "projector"}, {"32", "64-64"}, "ends with 64"},
        {{"epochs", "warmup-epochs"}, {"3", "4"}, "more than the 3 epochs"},
        {{"batch-size", "micro-batch"}, {"64", "65"}, "more than the 64 samples of a batch"},
        {{"world-size", "seed"}, {"16", "1"}, "only with compat fb"},
        {{"compat", "batch-size"}, {"fb", "100"}, "not a multiple of world-size 16"},
        {{"compat", "normalization"}, {"fb", "cosine"}, "batchnorm alone"},
        {{"crop-scale-min", "crop-scale-max"}, {"0.8", "0.5"}, "above the largest"},
        {{"augmentation", "seed"}, {"moco", "1"}, "unknown augmentation 'moco'"},
        {{"crop-scale-min", "seed"}, {"0", "1"}, "above 0"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        gm_train_config config;
        gm_config_init(&config);
        set(&config, cases[i].name[0], cases[i].text[0]);
        set(&config, cases[i].name[1], cases[i].text[1]);
        gm_error error = {GM_OK, ""};
        const gm_dataset dataset = {.kind = GM_DATA_GRAY_IMAGES};
        ck_assert_int_eq(gm_config_resolve(&config, &dataset, &error), GM_BAD_USAGE);
        ck_assert_msg(strstr(error.message, cases[i].message), "%s", error.message);
    }
}
END_TEST

START_TEST(samples_left_alone_are_refused)
{
    const struct {
        const char *batch, *micro_batch, *compat;
        int64_t rows;
        gm_status status;
    } cases[] = {
        {"64", "32", "none", 640, GM_OK},     {"64", "21", "none", 640, GM_BAD_USAGE}, /* 21 + 21 + 21 + 1 */
        {"64", "22", "none", 640, GM_OK},     {"64", "64", "none", 641, GM_OK},        /* dropped */
        {"64", "30", "fb", 640, GM_OK},       {"64", "15", "fb", 641, GM_BAD_USAGE},   /* the last batch: 16 */
        {"64", "5", "fb", 656, GM_BAD_USAGE}, {"64", "64", "fb", 641, GM_OK},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        gm_train_config config;
        gm_error error = {GM_OK, ""};
        gm_config_init(&config);
        set(&config, "batch-size", cases[i].batch);
        set(&config, "micro-batch", cases[i].micro_batch);
        set(&config, "compat", cases[i].compat);
        resolve(&config, GM_DATA_VECTORS);
        const gm_status status = gm_config_check_rows(&config, cases[i].rows, &error);
        ck_assert_msg(status == cases[i].status, "case %zu: %s", i, error.message);
        ck_assert(status == GM_OK || strstr(error.message, "would be left alone"));
    }
}
END_TEST

START_TEST(too_few_rows_are_refused)
{
    gm_train_config config;
    gm_config_init(&config);
    set(&config, "data", "few.npy");
    set(&config, "batch-size", "64");
    resolve(&config, GM_DATA_VECTORS);
    gm_error error = {GM_OK, ""};
    ck_assert_int_eq(gm_config_check_rows(&config, 64, &error), GM_OK);
    ck_assert_int_eq(gm_config_check_rows(&config, 63, &error), GM_BAD_USAGE);
    ck_assert(strstr(error.message, "64") && strstr(error.message, "63"));
    ck_assert_int_eq(gm_config_check_rows(&config, 1, &error), GM_BAD_DATA);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("config");
    TCase *tests = tcase_create("config");
    tcase_add_test(tests, wrong_values_are_refused);
    tcase_add_test(tests, choices_are_the_library_s_names);
    tcase_add_test(tests, parents_exist);
    tcase_add_test(tests, json_keeps_everything);
    tcase_add_test(tests, bad_files_are_refused);
    tcase_add_test(tests, an_overlay_forgets_what_followed);
    tcase_add_test(tests, the_second_view_follows_the_first);
    tcase_add_test(tests, colours_have_defaults_by_size);
    tcase_add_test(tests, defaults_follow_the_data);
    tcase_add_test(tests, rates_grow_with_the_batch_where_the_optimizer_wants_it);
    tcase_add_test(tests, contradictions_are_refused);
    tcase_add_test(tests, samples_left_alone_are_refused);
    tcase_add_test(tests, too_few_rows_are_refused);
    suite_add_tcase(suite, tests);
    return test_run(suite);
}
