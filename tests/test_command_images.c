/* The built command on CIFAR and on folders of images: from training to features, and what is wrong with data.
 * GEMEL_COMMAND as in support/command.h. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "formats/npy.h"
#include "support/command.h"
#include "support/files.h"
#include "support/photo.h"
#include "support/support.h"

enum { CLASSES = 2, ROWS = 12 /* of a class */, CIFAR_RECORD = 1 + 3 * 32 * 32 };

#define SMALL "--arch=conv --projection-dim=16 --batch-size=8 --epochs=1 "

/* Noise around the colour of a class. */
static void put_image(const char *path, int label, int number)
{
    test_write_photo(path, 50 - number, 40 + number, (uint64_t)(100 * label + number + 1), label, 60);
}

static void put_photos(const char *folder)
{
    static const char *const names[CLASSES] = {"blue", "red"};
    mkdir(folder, 0777);
    for (int c = 0; c < CLASSES; c++)
        for (int i = 0; i < ROWS; i++) {
            char path[128];
            snprintf(path, sizeof path, "%s/%s", folder, names[c]);
            mkdir(path, 0777);
            snprintf(path, sizeof path, "%s/%s/%02d.png", folder, names[c], i);
            put_image(path, c, i);
        }
}

static void put_cifar(const char *folder)
{
    static uint8_t bytes[ROWS * CIFAR_RECORD];
    test_random random = test_random_create(7);
    mkdir(folder, 0777);
    for (int file = 0; file < 6; file++) {
        char path[128];
        for (int i = 0; i < ROWS * CIFAR_RECORD; i++)
            bytes[i] = i % CIFAR_RECORD == 0 ? (uint8_t)(i / CIFAR_RECORD % 10) : (uint8_t)test_random_bits(&random);
        if (file < 5)
            snprintf(path, sizeof path, "%s/data_batch_%d.bin", folder, file + 1);
        else
            snprintf(path, sizeof path, "%s/test_batch.bin", folder);
        test_write(path, bytes, sizeof bytes);
    }
}

static void enter(void)
{
    command_enter();
    put_photos("photos");
    put_cifar("cifar");
}

START_TEST(photos_from_training_to_features)
{
    char text[COMMAND_OUTPUT];
    command_expect("train photos " SMALL "--image-size=32 --val-split=0.25 --checkpoint-dir=run", 0, "\nknn ");
    ck_assert_ptr_null(strstr(command_output, "raw pixels"));
    test_read("run/config.json", text, sizeof text);
    ck_assert_ptr_nonnull(strstr(text, "\"image_size\": 32"));
    ck_assert_ptr_nonnull(strstr(text, "\"augmentation\": \"cifar\""));
    command_expect("knn photos run", 0, "on 6 test samples of photos");
    command_expect("evaluate photos run --epochs=1 --labels-per-class=2", 0, "\nlinear ");
    command_expect("embed photos run -o f.npy", 0, "f.npy: 24 rows of 512 features");
    ck_assert_uint_gt(test_read("f.txt", text, sizeof text), 0);
    int lines = 0;
    for (const char *c = text; *c; c++)
        lines += *c == '\n';
    ck_assert_int_eq(lines, CLASSES * ROWS);
    ck_assert_ptr_nonnull(strstr(text, "photos/red/11.png\n"));
}
END_TEST

/* Without a word on splits and sizes: all classes' images are trained on, a fifth is tested on afterwards, and weights
 * know the size of their images. */
START_TEST(photos_by_default)
{
    command_expect("train photos " SMALL "--image-size=32 --checkpoint-dir=run", 0,
                   "No accuracies: photos has no test split; hold one back with --val-split");
    command_expect("evaluate photos run --epochs=1 --labels-per-class=2", 0, "on 5 test samples of photos");
    command_expect("knn photos run/backbone.safetensors", 0, "from 19 training samples");
    command_expect("embed photos run/backbone.safetensors -o f.npy", 0, "f.npy: 24 rows of 512 features");
    command_expect("embed photos run -o f.npy --image-size=48", 3, "takes images of 32 x 32 pixels");
    command_expect("knn photos/red run", 0, "No accuracies: red has no labels");
    const char labels[] = "00.png,7\n01.png,9\n02.png,9\n03.png,7\n04.png,7\n05.png,9\n06.png,7\n07.png,9\n"
                          "08.png,7\n09.png,9\n10.png,9\n11.png,7\n";
    test_write("labels.txt", labels, sizeof labels - 1);
    command_expect("knn photos/red run --labels=labels.txt", 0, "on 2 test samples of red");
}
END_TEST

/* The rows of the features are those that the text beside them names. */
START_TEST(features_belong_to_their_paths)
{
    char names[COMMAND_OUTPUT];
    float *all, *one;
    int64_t rows, cols;
    gm_error error;
    command_expect("train photos " SMALL "--image-size=32 --checkpoint-dir=run --no-evaluation --quiet", 0, "");
    command_expect("embed photos run -o all.npy --image-size=32 --val-split=0.4 --quiet", 0, "");
    test_expect(gm_npy_read_f32("all.npy", &rows, &cols, &all, &error), &error, GM_OK, "");
    test_read("all.txt", names, sizeof names);
    char *last = strrchr(names, '/'); /* of the last line: a test image */
    int64_t number = atoll(last + 1);
    char path[64];
    mkdir("alone", 0777);
    snprintf(path, sizeof path, "alone/%02lld.png", (long long)number);
    put_image(path, last[-1] == 'd', (int)number);
    command_expect("embed alone run -o one.npy --image-size=32 --quiet", 0, "");
    int64_t one_row;
    test_expect(gm_npy_read_f32("one.npy", &one_row, &cols, &one, &error), &error, GM_OK, "");
    ck_assert_int_eq(one_row, 1);
    for (int64_t j = 0; j < cols; j++)
        ck_assert_float_eq_tol(one[j], all[(rows - 1) * cols + j], 1e-4f);
    free(all);
    free(one);
}
END_TEST

/* A run on a list of images is judged on these, but all images have features. */
START_TEST(lists_of_images_stay_with_their_run)
{
    char text[COMMAND_OUTPUT];
    const char list[] =
        "red/00.png\nred/01.png\nred/02.png\nred/03.png\nblue/00.png\nblue/01.png\nblue/02.png\nblue/03.png\n";
    test_write("list.txt", list, sizeof list - 1);
    command_expect("train photos " SMALL "--image-size=32 --val-split=0.25 --train-list=list.txt --checkpoint-dir=run "
                   "--no-evaluation --quiet --batch-size=4",
                   0, "");
    test_read("run/config.json", text, sizeof text);
    ck_assert_ptr_nonnull(strstr(text, "/list.txt\""));
    command_expect("knn photos run --k=3", 0, "on 6 test samples of photos");
    ck_assert_ptr_null(strstr(command_output, "from 18 training samples"));
    command_expect("embed photos run -o f.npy", 0, "f.npy: 24 rows of 512 features");
    command_expect("embed photos run -o f.npy --train-list=list.txt --val-split=0", 0, "f.npy: 8 rows of 512 features");
}
END_TEST

START_TEST(cifar_from_training_to_features)
{
    command_expect("train cifar " SMALL "--checkpoint-dir=run", 0, "(raw pixels ");
    command_expect("knn cifar run --labels=x.csv", 2, "brings its own labels and test images");
    command_expect("embed cifar run -o f.npy", 0, "f.npy: 72 rows of 512 features");
    ck_assert_int_ne(access("f.txt", F_OK), 0);
}
END_TEST

START_TEST(bad_images)
{
    test_write("photos/red/broken.jpg", "\xff\xd8\xff", 3);
    command_expect(
        "train photos " SMALL "--image-size=32 --batch-size=25 --checkpoint-dir=run", 3,
        "photos/red/broken.jpg: a JPEG file that is cut short after 3 bytes; remove it or pass --skip-bad-images");
    command_expect(
        "train photos " SMALL "--image-size=32 --batch-size=25 --checkpoint-dir=run --overwrite --workers=2", 3,
        "photos/red/broken.jpg: a JPEG file that is cut short after 3 bytes; remove it or pass --skip-bad-images");
    command_expect("train photos " SMALL
                   "--image-size=32 --batch-size=24 --checkpoint-dir=run --overwrite --skip-bad-images",
                   0, "gemel: photos: 1 of 25 images skipped");
    ck_assert_ptr_nonnull(
        strstr(command_output, "gemel: skipped photos/red/broken.jpg: a JPEG file that is cut short"));
    char text[COMMAND_OUTPUT];
    test_read("run/config.json", text, sizeof text);
    ck_assert_ptr_nonnull(strstr(text, "\"skip_bad_images\": \"yes\""));
    command_expect("knn photos run", 0, "1 of 25 images skipped");
    command_expect("knn photos run --skip-bad-images=no", 3, "remove it or pass --skip-bad-images");
    test_write("photos/red/old.bmp", "BM", 2);
    command_expect("embed photos run -o f.npy --skip-bad-images=no", 3, "old.bmp: only JPEG and PNG files are decoded");
}
END_TEST

START_TEST(bad_data_and_flags)
{
    static const struct {
        const char *words;
        int code;
        const char *pattern;
    } cases[] = {
        {"train photos --image-size=8", 2, "--image-size 8: expected a whole number from 16 to 1024"},
        {"train photos --skip-bad-images=perhaps", 2, "expected one of no, yes"},
        {"augment photos --preview=sheet.png --samples=4 --pairs=2 --workers=2", 2, "unrecognized option"},
        {"augment photos --preview=sheet.png --samples=4 --pairs=2", 0, "4 images, 2 pairs"},
        {"augment cifar --preview=sheet.png", 0, "8 images, 3 pairs"},
        {"augment cifar", 0, "augmentation: cifar\n"},
        {"train photos --labels=absent.csv", 3, "absent.csv: cannot open"},
        {"train photos --train-list=absent.txt", 3, "absent.txt: cannot open"},
        {"train cifar --image-size=64", 2, "leave --image-size out"},
        {"train cifar --skip-bad-images", 2, "leave --skip-bad-images out"},
        {"train cifar --train-list=x.txt", 2, "leave --train-list out"},
        {"train photos/red " SMALL "--batch-size=13", 2, "12 training rows; pass --batch-size 12 or less"},
        {"train photos/red/00.txt", 3, "no such data; give fashion-mnist"},
        {"train photos/red/00.png " SMALL, 3, "1 training row;"},
        {"train photos --help", 0, "--skip-bad-images[=no|yes]"},
        {"knn photos absent --train-list", 2, "requires an argument"},
        {"train photos --batch-size=8 --dry-run --image-size=64", 0, "24 training rows of 12288 numbers"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        command_expect(cases[i].words, cases[i].code, cases[i].pattern);
    mkdir("photos/green", 0777);
    command_expect("train photos", 3, "photos/green: a class without images; remove it or add some");
    rmdir("photos/green");
    truncate("cifar/data_batch_4.bin", 5000);
    command_expect("train cifar", 3, "data_batch_4.bin: has 5000 bytes, which is no whole number");
}
END_TEST

/* The run stops with what is missing, and what it saved is still there. */
START_TEST(a_folder_that_vanishes)
{
    static const char words[] =
        "train photos --arch=conv --projection-dim=16 --batch-size=8 --epochs=100000 --image-size=32 "
        "--checkpoint-dir=run --quiet";
    FILE *pipe = command_start(words, "&1");
    for (int i = 0; i < 3000 && access("run/backbone.safetensors", F_OK) != 0; i++)
        usleep(10000);
    ck_assert_int_eq(rename("photos", "gone"), 0);
    command_finish(pipe, words, 3, "cannot open: No such file or directory");
    ck_assert_int_eq(access("run/checkpoint.safetensors", F_OK), 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("command_images");
    TCase *cases = tcase_create("command_images");
    tcase_add_checked_fixture(cases, enter, command_leave);
    tcase_set_timeout(cases, 60);
    tcase_add_test(cases, photos_from_training_to_features);
    tcase_add_test(cases, photos_by_default);
    tcase_add_test(cases, features_belong_to_their_paths);
    tcase_add_test(cases, lists_of_images_stay_with_their_run);
    tcase_add_test(cases, cifar_from_training_to_features);
    tcase_add_test(cases, bad_images);
    tcase_add_test(cases, bad_data_and_flags);
    tcase_add_test(cases, a_folder_that_vanishes);
    suite_add_tcase(suite, cases);
    return test_run(suite);
}
