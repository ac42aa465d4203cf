/* The built command on weights with a classifier: predictions of photos, single images, pixels and vectors, and what is
 * wrong with any of them. GEMEL_COMMAND as in support/command.h. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "formats/npy.h"
#include "support/command.h"
#include "support/files.h"
#include "support/photo.h"
#include "support/support.h"
#include "train/backbone.h"
#include "train/evaluation.h"
#include "train/head.h"

enum { CLASSES = 2, ROWS = 12 /* of a class */, SIZE = 32, DIM = 8, VECTORS = 16, MNIST = 12 };

static const char *const colours[CLASSES] = {"blue", "red"};
/* --- data ------------------------------------------------------------------------------------------------------ */

/* Noise around the colour of a class. */
static void put_image(const char *path, int label, int number)
{
    test_write_photo(path, 50 - number, 40 + number, (uint64_t)(100 * label + number + 1), label ? 0 : 2, 100);
}

static void put_photos(const char *folder)
{
    mkdir(folder, 0777);
    for (int c = 0; c < CLASSES; c++)
        for (int i = 0; i < ROWS; i++) {
            char path[128];
            snprintf(path, sizeof path, "%s/%s", folder, colours[c]);
            mkdir(path, 0777);
            snprintf(path, sizeof path, "%s/%s/%02d.png", folder, colours[c], i);
            put_image(path, c, i);
        }
}

/* The four files of MNIST, 8 x 8, black and white. */
static void put_mnist(const char *folder)
{
    static const char *const names[] = {"train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte",
                                        "t10k-labels-idx1-ubyte"};
    unsigned char images[16 + 64 * MNIST] = {0, 0, 8, 3, 0, 0, 0, MNIST, 0, 0, 0, 8, 0, 0, 0, 8};
    unsigned char labels[8 + MNIST] = {0, 0, 8, 1, 0, 0, 0, MNIST};
    test_random random = test_random_create(2);
    for (int i = 0; i < 64 * MNIST; i++)
        images[16 + i] = (unsigned char)(100 * test_random_uniform(&random) + 150 * (i / 64 % 2));
    for (int i = 0; i < MNIST; i++)
        labels[8 + i] = (unsigned char)(i % 2);
    mkdir(folder, 0777);
    for (int i = 0; i < 4; i++) {
        char path[64];
        snprintf(path, sizeof path, "%s/%s", folder, names[i]);
        test_write(path, i % 2 ? labels : images, i % 2 ? sizeof labels : sizeof images);
    }
}

/* Two clusters, and their labels. */
static void put_vectors(void)
{
    static float x[VECTORS * DIM];
    char header[96];
    int32_t labels[VECTORS];
    test_random random = test_random_create(3);
    gm_error error;
    for (int i = 0; i < VECTORS; i++) {
        labels[i] = i % 2;
        test_fill_normal(&random, x + i * DIM, DIM, i % 2 ? 3 : -3, 1);
    }
    ck_assert_int_eq(gm_npy_write_f32("vectors.npy", VECTORS, DIM, x, DIM, &error), GM_OK);
    char bytes[128 + sizeof labels];
    snprintf(header, sizeof header, "{'descr': '<i4', 'fortran_order': False, 'shape': (%d,), }", VECTORS);
    memcpy(bytes, "\x93NUMPY\x01\x00\x76\x00", 10);
    snprintf(bytes + 10, 119, "%-117s\n", header);
    memcpy(bytes + 128, labels, sizeof labels);
    test_write("labels.npy", bytes, sizeof bytes);
    x[5] = 1.0f / 0.0f;
    ck_assert_int_eq(gm_npy_write_f32("endless.npy", VECTORS, DIM, x, DIM, &error), GM_OK);
}

/* --- the command ----------------------------------------------------------------------------------------------- */

static int count_of(const char *text, const char *part)
{
    int count = 0;
    for (const char *at = text; (at = strstr(at, part)); at += strlen(part))
        count++;
    return count;
}

/* --- a classifier ---------------------------------------------------------------------------------------------- */

/* The nearest of the classes' mean features: |f - m|² is smallest where f m - |m|²/2 is greatest; scaled, so that it is
 * sure of itself. */
static void set_means(gm_head *head, const gm_split *split, const float *features)
{
    int64_t members[CLASSES] = {0};
    for (int64_t i = 0; i < split->rows; i++) {
        members[split->labels[i]]++;
        for (int64_t j = 0; j < head->dim; j++)
            head->weight[split->labels[i] * head->dim + j] += features[i * head->dim + j];
    }
    for (int64_t c = 0; c < CLASSES; c++)
        for (int64_t j = 0; j < head->dim; j++) {
            float *w = &head->weight[c * head->dim + j];
            *w /= (float)members[c];
            head->bias[c] -= *w * *w / 2;
        }
    float square = 0;
    for (int64_t j = 0; j < head->dim; j++)
        square += (head->weight[j] - head->weight[head->dim + j]) * (head->weight[j] - head->weight[head->dim + j]);
    for (int64_t i = 0; i < CLASSES * head->dim; i++)
        head->weight[i] *= 10 / square;
    for (int64_t c = 0; c < CLASSES; c++)
        head->bias[c] *= 10 / square;
}

/* FILE = the encoder of a run, and such a classifier on its features. */
static void put_classifier(const char *run, const char *data, const char *labels, const char *file)
{
    gm_context *context = test_context(GM_ISA_AUTO, 1);
    gm_dataset_options options = gm_dataset_default_options();
    gm_dataset *dataset;
    gm_column_scale columns;
    gm_pixel_scale pixels;
    gm_model *model;
    gm_error error = {GM_OK, ""};
    ck_assert_int_eq(gm_backbone_load_input(run, &columns, &options.usual_image_size, &error), GM_OK);
    options.labels = labels;
    options.columns = columns.columns;
    options.column_mean = columns.mean;
    options.column_scale = columns.scale;
    ck_assert_msg(gm_dataset_open(data, &options, &dataset, &error) == GM_OK, "%s", error.message);
    ck_assert_msg(gm_backbone_load(context, run, dataset->height, dataset->width, 16, &model, &pixels, &error) == GM_OK,
                  "%s", error.message);
    gm_pixel_scale_use(&pixels, dataset);
    const int64_t dim = gm_model_feature_size(model);
    gm_head head = {.classes = CLASSES,
                    .dim = dim,
                    .weight = calloc((size_t)(CLASSES * dim), sizeof(float)),
                    .bias = calloc(CLASSES, sizeof(float))};
    float *features = malloc(sizeof(float) * (size_t)(dataset->train.rows * dim));
    ck_assert(head.weight && head.bias && features);
    ck_assert_int_eq(gm_split_features(context, dataset, &dataset->train, model, features, &error), GM_OK);
    set_means(&head, &dataset->train, features);
    ck_assert_msg(gm_head_save(&head, run, model, dataset, file, &error) == GM_OK, "%s", error.message);
    free(features);
    gm_head_free(&head);
    gm_model_destroy(model);
    gm_dataset_close(dataset);
    gm_column_scale_free(&columns);
    gm_context_destroy(context);
}

static void put_photo_run(void)
{
    put_photos("photos");
    command_expect(
        "train photos --arch=conv --projection-dim=16 --batch-size=8 --epochs=1 --image-size=32 --no-evaluation "
        "--quiet --checkpoint-dir=run",
        0, "");
    put_classifier("run", "photos", NULL, "classifier.safetensors");
}

static void put_vector_run(void)
{
    put_vectors();
    command_expect(
        "train vectors.npy --batch-size=8 --hidden-size=8 --projection-dim=8 --epochs=1 --no-evaluation --quiet "
        "--checkpoint-dir=run",
        0, "");
    put_classifier("run", "vectors.npy", "labels.npy", "classifier.safetensors");
}

/* --- tests ----------------------------------------------------------------------------------------------------- */

START_TEST(photos_get_their_class)
{
    char csv[COMMAND_OUTPUT], json[COMMAND_OUTPUT];
    put_photo_run();
    command_expect("predict photos classifier.safetensors -o p.csv", 0,
                   "accuracy on 24 samples of photos: top-1 1.0000\n");
    ck_assert_ptr_nonnull(strstr(command_output, "p.csv: 24 predictions\n"));
    test_read("p.csv", csv, sizeof csv);
    ck_assert_ptr_eq(strstr(csv, "path,label,probability\nphotos/blue/00.png,blue,0.9"), csv);
    ck_assert_int_eq(count_of(csv, "\n"), 1 + CLASSES * ROWS);
    ck_assert_int_eq(count_of(csv, ".png,blue,"), ROWS);
    ck_assert_int_eq(command_run("predict photos classifier.safetensors --batch-size=24", "errors"), 0);
    ck_assert_int_eq(count_of(command_output, ".png,red,"), ROWS);
    command_expect("predict photos classifier.safetensors --top=9 --output=p.json --quiet", 0, "accuracy on 24");
    ck_assert_ptr_null(strstr(command_output, "predictions"));
    test_read("p.json", json, sizeof json);
    ck_assert_ptr_eq(
        strstr(json, "[\n{\"path\": \"photos/blue/00.png\", \"predictions\": [{\"class\": 0, \"label\": \"blue\", "),
        json);
    ck_assert_int_eq(count_of(json, "\"class\": 0"), CLASSES * ROWS);
    ck_assert_int_eq(count_of(json, "\"class\": 1"), CLASSES * ROWS);
    ck_assert(strcmp(json + strlen(json) - 4, "}\n]\n") == 0);
    command_expect("predict photos classifier.safetensors --format=json -o p.csv --quiet --top=2", 0, "");
    ck_assert(test_same_files("p.csv", "p.json"));
    ck_assert_int_eq(rename("classifier.safetensors", "run/classifier.safetensors"), 0);
    command_expect("predict photos run -o p.json --top=2", 0, "");
    ck_assert(test_same_files("p.csv", "p.json"));
}
END_TEST

START_TEST(any_place_of_images_will_do)
{
    put_photo_run();
    ck_assert_int_eq(command_run("predict photos/red/03.png classifier.safetensors", "&1"), 0);
    ck_assert_msg(strstr(command_output, "path,label,probability\nphotos/red/03.png,red,0.9") == command_output, "%s",
                  command_output);
    command_expect("predict photos/blue classifier.safetensors", 0, "photos/blue/11.png,blue,");
    ck_assert_ptr_null(strstr(command_output, "accuracy"));
    test_write("names.txt", "a \"b\"\nc,d\n", 10);
    command_expect("predict photos/blue/00.png classifier.safetensors --label-names=names.txt", 0,
                   "00.png,\"a \"\"b\"\"\",0.9");
    command_expect("predict photos/red/00.png classifier.safetensors --label-names=names.txt", 0, "00.png,\"c,d\",0.9");
    command_expect("predict photos classifier.safetensors --label-names=names.txt", 0,
                   "top-1 1.0000 (classes in their order: their names differ)\n");
    command_expect("predict photos/red/00.png classifier.safetensors --label-names=names.txt --format=json", 0,
                   "\"label\": \"c,d\", \"probability\": 0.9");
    test_write("labels.csv", "00.png,red\n", 11);
    command_expect("predict photos/red/00.png classifier.safetensors --labels=labels.csv", 0,
                   "accuracy on 1 samples of 00.png");
    /* A tree of some of the classes, and one of others. */
    ck_assert_int_eq(rename("photos/blue", "blue"), 0);
    command_expect("predict photos classifier.safetensors", 0, "accuracy on 12 samples of photos: top-1 1.0000\n");
    ck_assert_int_eq(rename("blue", "photos/green"), 0);
    command_expect("predict photos classifier.safetensors", 0, "no accuracy: class 'green' of photos is none of the 2");
}
END_TEST

START_TEST(bad_images_and_earlier_files)
{
    char text[COMMAND_OUTPUT];
    put_photo_run();
    test_write("photos/red/broken.jpg", "\xff\xd8\xff", 3);
    test_write("p.csv", "mine", 4);
    command_expect("predict photos classifier.safetensors -o p.csv", 3, "broken.jpg: a JPEG file that is cut short");
    test_read("p.csv", text, sizeof text);
    ck_assert_str_eq(text, "mine");
    ck_assert_int_eq(access("p.csv.tmp", F_OK), -1);
    command_expect("predict photos classifier.safetensors -o p.csv --skip-bad-images", 0, "1 of 25 images skipped");
    test_read("p.csv", text, sizeof text);
    ck_assert_int_eq(count_of(text, "\n"), 1 + CLASSES * ROWS);
    command_expect("predict photos/red/broken.jpg classifier.safetensors", 3, "cut short");
    command_expect("predict photos classifier.safetensors -o absent/p.csv", 1, "absent/p.csv");
}
END_TEST

START_TEST(a_full_disk_is_named)
{
    const struct rlimit limit = {64, 64};
    put_photo_run();
    test_write("p.csv", "mine", 4);
    command_expect("predict photos classifier.safetensors > /dev/full", 1, "standard output: cannot write: No space");
    signal(SIGXFSZ, SIG_IGN);
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
    command_expect("predict photos classifier.safetensors -o p.csv", 1, "p.csv: cannot write: File too large; raise");
    test_read("p.csv", command_output, sizeof command_output);
    ck_assert_str_eq(command_output, "mine");
    ck_assert_int_eq(access("p.csv.tmp", F_OK), -1);
}
END_TEST

/* What the tensors do not tell is the file's metadata: means and deviations of pixels, names of classes. */
START_TEST(a_converted_file_predicts_the_same)
{
    put_photo_run();
    command_expect("convert classifier.safetensors same.safetensors", 0, "same.safetensors: ");
    command_expect("predict photos classifier.safetensors -o one.csv --quiet", 0, "");
    command_expect("predict photos same.safetensors -o two.csv --quiet", 0, "");
    ck_assert(test_same_files("one.csv", "two.csv"));
    command_expect("info same.safetensors", 0, "blue");
}
END_TEST

START_TEST(rows_of_pixels_and_vectors)
{
    put_vector_run();
    command_expect("predict vectors.npy classifier.safetensors --labels=labels.npy", 0,
                   "accuracy on 16 samples of vectors: top-1 1.0000\n");
    ck_assert_ptr_nonnull(strstr(command_output, "row,label,probability\n0,0,0.9"));
    ck_assert_ptr_nonnull(strstr(command_output, "\n15,1,0.9"));
    command_expect("predict vectors.npy classifier.safetensors --format=json", 0,
                   "\n{\"row\": 15, \"predictions\": [{\"class\": 1,");
    command_expect("predict endless.npy classifier.safetensors", 3, "NaN or infinity among samples 0 to 15");
    put_mnist("pixels");
    command_expect("train pixels --arch=conv --projection-dim=16 --batch-size=8 --epochs=1 --no-evaluation --quiet "
                   "--checkpoint-dir=digits",
                   0, "");
    put_classifier("digits", "pixels", NULL, "digits/classifier.safetensors");
    command_expect("predict pixels digits", 0, "accuracy on 12 training samples of pixels: top-1 1.0000\n");
    ck_assert_ptr_nonnull(strstr(command_output, "accuracy on 12 test samples of pixels: top-1 1.0000\n"));
    ck_assert_ptr_nonnull(strstr(command_output, "\n23,1,0.9"));
    command_expect("predict vectors.npy digits", 3, "takes images, not vectors");
    command_expect("predict pixels classifier.safetensors", 3,
                   "takes samples of 8 numbers, but those of pixels have 64");
}
END_TEST

/* Who wants the encoder looks past the classifier. */
START_TEST(others_take_such_weights)
{
    put_vector_run();
    command_expect("embed vectors.npy run -o one.npy", 0, "");
    command_expect("embed vectors.npy classifier.safetensors -o two.npy", 0, "two.npy: 16 rows of 8 features");
    ck_assert(test_same_files("one.npy", "two.npy"));
    command_expect("knn vectors.npy classifier.safetensors --labels=labels.npy --k=3", 0, "\nknn ");
    command_expect("evaluate vectors.npy classifier.safetensors --labels=labels.npy --epochs=1 --labels-per-class=2", 0,
                   "\nlinear ");
    command_expect("train vectors.npy --batch-size=8 --hidden-size=8 --projection-dim=8 --dry-run "
                   "--init=classifier.safetensors",
                   0, "init: 8 of 16 arrays");
    command_expect("convert classifier.safetensors c.pth", 0, "c.pth: 12 tensors");
    command_expect("predict vectors.npy classifier.safetensors -o one.csv", 0, "");
    command_expect("predict vectors.npy c.pth -o two.csv", 0, "");
    ck_assert(test_same_files("one.csv", "two.csv"));
    command_expect("convert classifier.safetensors c.onnx", 0, "c.onnx: ");
}
END_TEST

START_TEST(wrong_words_and_weights)
{
    static const struct {
        const char *words;
        int code;
        const char *pattern;
    } cases[] = {
        {"predict", 2, "the data set is missing; for example: gemel predict photos classifier.safetensors"},
        {"predict vectors.npy", 2, "the file of weights is missing"},
        {"predict vectors.npy run more", 2, "more is too much after DATA and WEIGHTS"},
        {"predict vectors.npy classifier.safetensors --top=0", 2, "--top 0: expected a whole number from 1"},
        {"predict vectors.npy classifier.safetensors --batch-size=none", 2, "--batch-size none: expected"},
        {"predict vectors.npy classifier.safetensors --format=xml", 2, "--format xml: expected csv or json"},
        {"predict vectors.npy classifier.safetensors --image-size=64", 2, "leave --image-size out"},
        {"predict vectors.npy classifier.safetensors --val-split=0.5", 2, "unrecognized option"},
        {"predict vectors.npy classifier.safetensors --label-names=absent.txt", 3, "absent.txt: cannot open"},
        {"predict vectors.npy classifier.safetensors --label-names=three.txt", 3,
         "three.txt: has names of 3 classes where 2 are needed"},
        {"predict vectors.npy classifier.safetensors --labels=absent.npy", 3, "absent.npy: cannot open"},
        {"predict absent.npy classifier.safetensors", 3, "absent.npy: cannot open"},
        {"predict absent.png classifier.safetensors", 3, "absent.png: no such data"},
        {"predict vectors.npy absent.safetensors", 3, "absent.safetensors: cannot open"},
        {"predict vectors.npy vectors.npy", 3, "vectors.npy: "},
        {"predict vectors.npy run", 3, "gemel evaluate LABELLED-DATA WEIGHTS --save-head classifier.safetensors"},
        {"predict vectors.npy run/backbone.safetensors", 3, "run/backbone.safetensors: has no classifier"},
        {"predict vectors.npy run/checkpoint.safetensors", 3, "run/checkpoint.safetensors: has no classifier"},
        {"predict vectors.npy narrow.safetensors", 3, "its classifier takes 1 features, but its encoder has 8"},
        {"predict --help", 0, "--label-names=FILE"},
        {"--help", 0, "  predict "},
    };
    put_vector_run();
    test_write("three.txt", "a\nb\nc\n", 6);
    /* Another file's encoder with a classifier of one feature. */
    gm_context *context = test_context(GM_ISA_AUTO, 1);
    gm_model_options options = gm_model_default_options(DIM, 1);
    gm_model *model;
    gm_error error;
    float weight[CLASSES] = {1, 2}, bias[CLASSES] = {0};
    const gm_head narrow = {.classes = CLASSES, .dim = 1, .weight = weight, .bias = bias};
    options.hidden_size = DIM;
    ck_assert_int_eq(gm_model_create(context, &options, &model), GM_OK);
    ck_assert_int_eq(gm_backbone_save(model, &options, NULL, &narrow, "narrow.safetensors", &error), GM_OK);
    gm_model_destroy(model);
    gm_context_destroy(context);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        command_expect(cases[i].words, cases[i].code, cases[i].pattern);
}
END_TEST

START_TEST(runs_and_weights_tell_what_they_are)
{
    static const struct {
        const char *words;
        int code;
        const char *pattern;
    } cases[] = {
        {"info run", 0, "data: "},
        {"info run", 0, "\narch: conv\n"},
        {"info run", 0, "\nepoch: 1 of 1, 3 steps\nloss: "},
        {"info run", 0, "\nfile metrics.csv: "},
        {"info run", 0, "\nweights: run/backbone.safetensors\nformat: safetensors, "},
        {"info run", 0, "\nclasses: none; gemel evaluate --save-head"},
        {"info classifier.safetensors", 0,
         "\ninput: images of 32 x 32 pixels, 3 channels, mean 0.485 0.456 0.406, std"},
        {"info classifier.safetensors", 0,
         "\nclassifier: 2 tensors, 1026 parameters\nclasses: 2 of 512 features: blue, red\n"},
        {"info c.pth", 0, "\nformat: PyTorch, "},
        {"info c.pth", 0, "\nclasses: 2 of 512 features, without names\n"},
        {"info " TEST_DATA "/weights/nested.zip.pth", 0, "\narchitecture: none that gemel knows\n"},
        {"info broken", 3, "broken/config.json: "},
        {"info photos", 3, "photos: no run, since it has no config.json"},
        {"info photos/red/00.png", 3, "neither a safetensors file nor a checkpoint"},
        {"info absent", 3, "absent: cannot open: No such file or directory; give a run's folder or a file of weights"},
        {"info run run", 2, "one run or file at a time"},
        {"info --threads=2", 0, "threads: 2"},
    };
    put_photo_run();
    mkdir("broken", 0777);
    test_write("broken/config.json", "{", 1);
    command_expect("convert classifier.safetensors c.pth", 0, "");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        command_expect(cases[i].words, cases[i].code, cases[i].pattern);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("command_predict");
    TCase *tests = tcase_create("command_predict");
    tcase_add_checked_fixture(tests, command_enter, command_leave);
    tcase_set_timeout(tests, 60);
    suite_add_tcase(suite, tests);
    tcase_add_test(tests, photos_get_their_class);
    tcase_add_test(tests, any_place_of_images_will_do);
    tcase_add_test(tests, bad_images_and_earlier_files);
    tcase_add_test(tests, a_full_disk_is_named);
    tcase_add_test(tests, a_converted_file_predicts_the_same);
    tcase_add_test(tests, rows_of_pixels_and_vectors);
    tcase_add_test(tests, others_take_such_weights);
    tcase_add_test(tests, wrong_words_and_weights);
    tcase_add_test(tests, runs_and_weights_tell_what_they_are);
    return test_run(suite);
}
