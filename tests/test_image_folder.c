/* Folders of image files: their layouts, labels, splits, and bad images. */
#include <gemel/data.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <turbojpeg.h>
#include <unistd.h>

#include "data/image.h"
#include "formats/png.h"
#include "support/files.h"
#include "support/support.h"

enum { HEIGHT = 11, WIDTH = 7 };

/* Makes the folders on the way to a file. */
static const char *place(const test_folder *folder, const char *name)
{
    const char *path = test_path(folder, name);
    char part[TEST_PATH];
    for (const char *slash = strchr(path + strlen(folder->path) + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        snprintf(part, sizeof part, "%.*s", (int)(slash - path), path);
        mkdir(part, 0777);
    }
    return path;
}

/* An image of one colour: (number, 2 number, 100), or near it in a JPEG file. */
static void put_image(const test_folder *folder, const char *name, int number)
{
    const uint8_t colour[] = {(uint8_t)number, (uint8_t)(2 * number), 100};
    gm_picture picture;
    gm_error error;
    uint8_t *bytes;
    size_t size;
    test_expect(gm_picture_create(WIDTH, HEIGHT, 3, &picture, &error), &error, GM_OK, "");
    for (int i = 0; i < 3 * HEIGHT * WIDTH; i++)
        picture.pixels[i] = colour[i % 3];
    if (strstr(name, ".png")) {
        test_expect(gm_png_encode(&picture, &bytes, &size, &error), &error, GM_OK, "");
        test_write(place(folder, name), bytes, size);
        free(bytes);
    } else {
        unsigned long length = 0;
        bytes = NULL;
        tjhandle encoder = tjInitCompress();
        ck_assert_int_eq(tjCompress2(encoder, picture.pixels, WIDTH, 0, HEIGHT, TJPF_RGB, &bytes, &length, TJSAMP_444,
                                     95, TJFLAG_ACCURATEDCT),
                         0);
        test_write(place(folder, name), bytes, length);
        tjFree(bytes);
        tjDestroy(encoder);
    }
    gm_picture_free(&picture);
}

/* Images from names separated by spaces, numbered from 1. */
static test_folder make_folder(const char *names)
{
    const test_folder folder = test_folder_create();
    char copy[1024], *rest;
    int number = 0;
    snprintf(copy, sizeof copy, "%s", names);
    for (char *name = strtok_r(copy, " ", &rest); name; name = strtok_r(NULL, " ", &rest))
        if (strstr(name, ".txt"))
            test_write(place(&folder, name), "x", 1);
        else
            put_image(&folder, name, ++number);
    return folder;
}

static gm_dataset *open_ok(const test_folder *folder, const gm_dataset_options *options)
{
    gm_error error;
    gm_dataset *dataset;
    const gm_status status = gm_dataset_open(folder->path, options, &dataset, &error);
    ck_assert_msg(status == GM_OK, "%s", error.message);
    return dataset;
}

/* "path=class path path=class …" with the folder's name removed. */
static void describe(const test_folder *folder, const gm_dataset *dataset, const gm_split *split, char *text,
                     size_t size)
{
    size_t used = 0;
    text[0] = '\0';
    for (int64_t i = 0; i < split->rows; i++) {
        used += (size_t)snprintf(text + used, size - used, "%s%s", i ? " " : "",
                                 split->paths[i] + strlen(folder->path) + 1);
        if (split->labels && dataset->class_names)
            used += (size_t)snprintf(text + used, size - used, "=%s", dataset->class_names[split->labels[i]]);
        else if (split->labels)
            used += (size_t)snprintf(text + used, size - used, "=%d", split->labels[i]);
    }
}

START_TEST(layouts)
{
    static const struct {
        const char *files, *train, *test;
        int classes;
    } cases[] = {
        {"b.png a.jpg c.jpeg", "a.jpg b.png c.jpeg", "", 0},
        {"a.png .hidden.png notes.txt z/1.png z/y/2.png", "a.png z/1.png z/y/2.png", "", 0},
        {"dog/2.png cat/b.png cat/a.png dog/1.png .git/3.png",
         "cat/a.png=cat cat/b.png=cat dog/1.png=dog dog/2.png=dog", "", 2},
        {"x/b/1.png x/2.png x/a/9.png y/1.png", "x/2.png=x x/a/9.png=x x/b/1.png=x y/1.png=y", "", 2},
        {"train/a/1.png train/b/2.png val/b/3.png val/a/4.png", "train/a/1.png=a train/b/2.png=b",
         "val/a/4.png=a val/b/3.png=b", 2},
        {"train/a/1.png train/b/2.png test/b/3.png", "train/a/1.png=a train/b/2.png=b", "test/b/3.png=b", 2},
        {"train/a/1.png val/a/2.png test/a/3.png", "train/a/1.png=a", "val/a/2.png=a", 1},
        {"train/1.png train/2.png val/3.png", "train/1.png train/2.png", "val/3.png", 0},
        {"train/a/1.png train/b/1.png", "train/a/1.png=a train/b/1.png=b", "", 2},
        {"train/1.png bus/2.png", "bus/2.png=bus train/1.png=train", "", 2},
        {"A/1.PNG a/2.Png B/3.JPG", "A/1.PNG=A B/3.JPG=B a/2.Png=a", "", 3},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[1024];
        const test_folder folder = make_folder(cases[i].files);
        gm_dataset *dataset = open_ok(&folder, NULL);
        ck_assert_int_eq(dataset->kind, GM_DATA_COLOR_IMAGES);
        ck_assert_int_eq(dataset->height, 224);
        ck_assert_int_eq(dataset->dim, 3 * 224 * 224);
        ck_assert_int_eq(dataset->classes, cases[i].classes);
        describe(&folder, dataset, &dataset->train, text, sizeof text);
        ck_assert_str_eq(text, cases[i].train);
        describe(&folder, dataset, &dataset->test, text, sizeof text);
        ck_assert_str_eq(text, cases[i].test);
        ck_assert_int_eq(dataset->test.labels != NULL, cases[i].classes > 0 && *cases[i].test);
        gm_dataset_close(dataset);
        test_folder_remove(&folder);
    }
}
END_TEST

START_TEST(images_are_decoded_when_read)
{
    const test_folder folder = make_folder("a/1.png a/2.jpg b/3.png");
    gm_dataset *dataset = open_ok(&folder, NULL);
    gm_image image = {0};
    gm_error error;
    for (int row = 0; row < 3; row++) {
        test_expect(gm_dataset_read_image(dataset, &dataset->train, row, &image, &error), &error, GM_OK, "");
        ck_assert_int_eq(image.height, HEIGHT);
        ck_assert_int_eq(image.width, WIDTH);
        ck_assert_int_le(abs(image.pixels[0] - (row + 1)), 2);
    }
    remove(dataset->train.paths[0]);
    test_expect(gm_dataset_read_image(dataset, &dataset->train, 0, &image, &error), &error, GM_BAD_DATA,
                "1.png: cannot open: No such file");
    test_write(dataset->train.paths[2], "not an image", 12);
    test_expect(gm_dataset_read_image(dataset, &dataset->train, 2, &image, &error), &error, GM_BAD_DATA,
                "3.png: neither a JPEG nor a PNG file (first bytes 6e 6f 74 20 61 6e 20 69); remove it or pass "
                "--skip-bad-images");
    gm_image_free(&image);
    gm_dataset_close(dataset);
    test_folder_remove(&folder);
}
END_TEST

START_TEST(labels_from_a_text)
{
    static const struct {
        const char *text, *train;
        int classes;
    } cases[] = {
        {"b.png,1\na.png,0\nc/d.png,7\n", "a.png=0 b.png=1 c/d.png=7", 8},
        {"path,label\r\n./a.png , cat\r\nb.png,dog\r\nc/d.png,cat\r\n", "a.png=cat b.png=dog c/d.png=cat", 2},
        {"a.png,3\nb.png,x\nc/d.png,12\nelsewhere.png,3", "a.png=3 b.png=x c/d.png=12", 3},
    };
    const test_folder folder = make_folder("a.png b.png c/d.png"), texts = test_folder_create();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[1024];
        gm_dataset_options options = gm_dataset_default_options();
        options.labels = test_path(&texts, "labels.csv");
        test_write(options.labels, cases[i].text, strlen(cases[i].text));
        gm_dataset *dataset = open_ok(&folder, &options);
        describe(&folder, dataset, &dataset->train, text, sizeof text);
        ck_assert_str_eq(text, cases[i].train);
        ck_assert_int_eq(dataset->classes, cases[i].classes);
        gm_dataset_close(dataset);
    }
    test_folder_remove(&folder);
    test_folder_remove(&texts);
}
END_TEST

START_TEST(lists_of_training_images)
{
    static const struct {
        const char *files, *list, *train, *test;
    } cases[] = {
        {"train/a/a_1.png train/a/a_2.png train/b/b_1.png val/a/3.png", "b_1.png\na_1.png\n",
         "train/a/a_1.png=a train/b/b_1.png=b", "val/a/3.png=a"},
        {"train/a/1.png train/b/1.png val/a/3.png", "a/1.png\n", "train/a/1.png=a", "val/a/3.png=a"},
        {"a/1.png b/1.png b/2.png", "b/1.png\n./a/1.png\n2.png\n2.png", "a/1.png=a b/1.png=b b/2.png=b", ""},
        {"1.png 2.png 3.png", "3.png", "3.png", ""},
    };
    const test_folder texts = test_folder_create();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[1024];
        const test_folder folder = make_folder(cases[i].files);
        gm_dataset_options options = gm_dataset_default_options();
        options.train_list = test_path(&texts, "list.txt");
        test_write(options.train_list, cases[i].list, strlen(cases[i].list));
        gm_dataset *dataset = open_ok(&folder, &options);
        describe(&folder, dataset, &dataset->train, text, sizeof text);
        ck_assert_str_eq(text, cases[i].train);
        describe(&folder, dataset, &dataset->test, text, sizeof text);
        ck_assert_str_eq(text, cases[i].test);
        gm_dataset_close(dataset);
        test_folder_remove(&folder);
    }
    test_folder_remove(&texts);
}
END_TEST

/* Which images are tested on depends on the seed and the files alone: not on a list, nor on which ones are bad. */
START_TEST(a_share_is_kept_for_evaluation)
{
    const test_folder folder =
        make_folder("a/0.png a/1.png a/2.png a/3.png a/4.png b/5.png b/6.png b/7.png b/8.png b/9.png");
    char first[1024], other[1024], train[1024];
    gm_dataset_options options = gm_dataset_default_options();
    options.val_split = 0.3;
    gm_dataset *dataset = open_ok(&folder, &options);
    ck_assert_int_eq(dataset->train.rows, 7);
    ck_assert_int_eq(dataset->test.rows, 3);
    describe(&folder, dataset, &dataset->test, first, sizeof first);
    describe(&folder, dataset, &dataset->train, train, sizeof train);
    for (int i = 0; i < 10; i++) {
        const char name[] = {(char)('0' + i), '.', 'p', 'n', 'g', '\0'};
        ck_assert((strstr(first, name) != NULL) != (strstr(train, name) != NULL));
    }
    char bad[TEST_PATH];
    snprintf(bad, sizeof bad, "%s", dataset->train.paths[2]);
    gm_dataset_close(dataset);
    test_write(bad, "x", 1);
    options.skip_bad_images = true;
    dataset = open_ok(&folder, &options);
    ck_assert_int_eq(dataset->train.rows, 6);
    describe(&folder, dataset, &dataset->test, other, sizeof other);
    ck_assert_str_eq(first, other);
    gm_dataset_close(dataset);
    int changed = 0;
    for (options.seed = 1; options.seed < 5; options.seed++) {
        dataset = open_ok(&folder, &options);
        describe(&folder, dataset, &dataset->test, other, sizeof other);
        changed += strcmp(first, other) != 0;
        gm_dataset_close(dataset);
    }
    ck_assert_int_gt(changed, 0);
    test_folder_remove(&folder);
}
END_TEST

START_TEST(bad_images_are_skipped_on_demand)
{
    const test_folder folder = make_folder("a/1.png a/2.png b/3.png b/4.jpg");
    char text[1024];
    test_write(place(&folder, "a/2.png"), "\x89PNG\r\n\x1a\n", 8);
    test_write(place(&folder, "b/0.bmp"), "BM", 2);
    test_write(place(&folder, "b/5.jpg"), "", 0);
    for (int threads = 0; threads <= 3; threads++) {
        gm_dataset_options options = gm_dataset_default_options();
        options.skip_bad_images = true;
        options.context = threads ? test_context(GM_ISA_AUTO, threads) : NULL;
        gm_dataset *dataset = open_ok(&folder, &options);
        describe(&folder, dataset, &dataset->train, text, sizeof text);
        ck_assert_str_eq(text, "a/1.png=a b/3.png=b b/4.jpg=b");
        ck_assert_int_eq(dataset->skipped, 3);
        ck_assert_ptr_nonnull(strstr(dataset->skipped_messages[0], "0.bmp: only JPEG and PNG files are decoded"));
        ck_assert_ptr_nonnull(strstr(dataset->skipped_messages[1], "a/2.png: a damaged PNG file"));
        ck_assert_ptr_nonnull(strstr(dataset->skipped_messages[2], "b/5.jpg: an empty file"));
        gm_dataset_close(dataset);
        gm_context_destroy(options.context);
    }
    test_folder_remove(&folder);
}
END_TEST

/* What a case does to a folder "a/1.png b/2.png train.csv" before it is opened. */
START_TEST(bad_folders_and_options)
{
    static const struct {
        const char *files, *labels, *list;
        double val_split;
        bool skip;
        int64_t image_size;
        gm_status status;
        const char *pattern;
    } cases[] = {
        {"notes.txt", NULL, NULL, 0, false, 0, GM_BAD_DATA, "holds no images (.jpg, .jpeg, .png)"},
        {"a/1.png b/x.txt", NULL, NULL, 0, false, 0, GM_BAD_DATA, "/b: a class without images; remove it"},
        {"train/a/1.png val/b/1.png", NULL, NULL, 0, false, 0, GM_BAD_DATA, "val/b: a class that has no training"},
        {"train/a/1.png val/x.txt", NULL, NULL, 0, false, 0, GM_BAD_DATA, "/val: holds no images"},
        {"a/1.png a/2.webp.png a/3.bmp", NULL, NULL, 0, false, 0, GM_BAD_DATA,
         "3.bmp: only JPEG and PNG files are decoded; convert or remove it, or pass --skip-bad-images"},
        {"a/1.png", NULL, NULL, 1.5, false, 0, GM_BAD_USAGE, "validation split must be in [0, 1)"},
        {"a/1.png", NULL, NULL, 0.5, false, 0, GM_BAD_USAGE, "leaves none of 1 rows"},
        {"train/a/1.png val/a/2.png", NULL, NULL, 0.5, false, 0, GM_BAD_USAGE, "leave --val-split out"},
        {"a/1.png", NULL, NULL, 0, false, 5000, GM_BAD_USAGE, "image-size 5000: expected 1 to 1024"},
        {"a/1.png", "a/1.png", NULL, 0, false, 0, GM_BAD_DATA, "labels.csv: line 1 is not PATH,LABEL"},
        {"a/1.png", "a/1.png,", NULL, 0, false, 0, GM_BAD_DATA, "labels.csv: line 1 is not PATH,LABEL"},
        {"a/1.png a/2.png", "a/1.png,3", NULL, 0, false, 0, GM_BAD_DATA, "has no line for a/2.png; add it as"},
        {"a/1.png", "a/1.png,3\na/1.png,4", NULL, 0, false, 0, GM_BAD_DATA, "labels a/1.png twice"},
        {"a/1.png", NULL, "a/1.png\na/5.png", 0, false, 0, GM_BAD_DATA, "list.txt: line 2: "},
        {"a/1.png b/1.png", NULL, "1.png", 0, false, 0, GM_BAD_DATA, "1.png may be a/1.png or b/1.png; give its path"},
        {"a/1.bmp", NULL, NULL, 0, true, 0, GM_BAD_DATA, "no training image is left; 1 bad ones were skipped"},
    };
    const test_folder texts = test_folder_create();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const test_folder folder = make_folder(cases[i].files);
        gm_dataset_options options = gm_dataset_default_options();
        gm_dataset *dataset;
        gm_error error;
        options.val_split = cases[i].val_split;
        options.skip_bad_images = cases[i].skip;
        options.image_size = cases[i].image_size;
        options.labels = cases[i].labels ? test_path(&texts, "labels.csv") : NULL;
        options.train_list = cases[i].list ? test_path(&texts, "list.txt") : NULL;
        if (options.labels)
            test_write(options.labels, cases[i].labels, strlen(cases[i].labels));
        if (options.train_list)
            test_write(options.train_list, cases[i].list, strlen(cases[i].list));
        test_expect(gm_dataset_open(folder.path, &options, &dataset, &error), &error, cases[i].status,
                    cases[i].pattern);
        ck_assert_ptr_null(dataset);
        test_folder_remove(&folder);
    }
    test_folder_remove(&texts);
}
END_TEST

/* Root may read everything. */
START_TEST(unreadable_and_endless_folders)
{
    gm_error error;
    gm_dataset *dataset;
    const test_folder folder = make_folder("a/1.png b/2.png");
    if (geteuid() != 0) {
        chmod(test_path(&folder, "b"), 0);
        test_expect(gm_dataset_open(folder.path, NULL, &dataset, &error), &error, GM_IO_ERROR, "/b: cannot open: Perm");
        chmod(test_path(&folder, "b"), 0777);
    }
    ck_assert_int_eq(symlink("..", test_path(&folder, "b/up")), 0);
    test_expect(gm_dataset_open(folder.path, NULL, &dataset, &error), &error, GM_BAD_DATA,
                "folders deep; does a link lead back?");
    test_folder_remove(&folder);
}
END_TEST

enum { SIZE = 32, MIDDLE = 3 * SIZE * SIZE };

static int64_t row_of(const gm_dataset *dataset, const char *name)
{
    for (int64_t i = 0; i < dataset->train.rows; i++)
        if (!strcmp(strrchr(dataset->train.paths[i], '/') + 1, name))
            return i;
    ck_abort_msg("no %s", name);
}

/* Bit for bit what torchvision's Resize, CenterCrop, ToTensor and Normalize make of them. */
START_TEST(plain_samples_are_the_middle)
{
    static const char *const names[] = {"wide", "tall", "line"};
    static const float mean[] = {0.485f, 0.456f, 0.406f}, std[] = {0.229f, 0.224f, 0.225f};
    gm_dataset_options options = gm_dataset_default_options();
    options.image_size = SIZE;
    gm_error error;
    gm_dataset *dataset;
    test_expect(gm_dataset_open(TEST_DATA "/images", &options, &dataset, &error), &error, GM_OK, "");
    const int64_t all = dataset->train.rows;
    float *x = malloc((size_t)(all * MIDDLE) * sizeof *x), *y = malloc((size_t)(all * MIDDLE) * sizeof *y);
    for (int isa = GM_ISA_SCALAR; isa < GM_ISA_COUNT; isa++) {
        if (!gm_isa_available((gm_isa)isa))
            continue;
        for (int threads = 1; threads <= 3; threads++) {
            gm_context *context = test_context((gm_isa)isa, threads);
            test_fill_nan(y, all * MIDDLE);
            test_expect(gm_dataset_plain_f32(dataset, &dataset->train, context, NULL, all, y, MIDDLE, &error), &error,
                        GM_OK, "");
            if (isa == GM_ISA_SCALAR && threads == 1)
                memcpy(x, y, (size_t)(all * MIDDLE) * sizeof *x);
            ck_assert(test_same_bits(x, y, (size_t)(all * MIDDLE) * sizeof *x));
            gm_context_destroy(context);
        }
    }
    for (size_t n = 0; n < sizeof names / sizeof *names; n++) {
        char path[512];
        uint8_t expected[MIDDLE];
        snprintf(path, sizeof path, "%s/images/%s.middle", TEST_DATA, names[n]);
        FILE *file = fopen(path, "rb");
        ck_assert(file && fread(expected, 1, MIDDLE, file) == MIDDLE);
        fclose(file);
        snprintf(path, sizeof path, "%s.png", names[n]);
        const float *plain = x + row_of(dataset, path) * MIDDLE;
        int wrong = 0;
        for (int i = 0; i < MIDDLE; i++)
            wrong += plain[i] != ((float)expected[i] / 255.0f - mean[i % 3]) / std[i % 3];
        ck_assert_msg(wrong == 0, "%s: %d of %d numbers", names[n], wrong, MIDDLE);
    }
    free(x);
    free(y);
    gm_dataset_close(dataset);
}
END_TEST

/* Of several bad files the first one of the rows is reported, whichever thread meets it when. */
START_TEST(a_bad_file_ends_a_batch)
{
    const test_folder folder = make_folder("00.png 01.png 02.png 03.png 04.png 05.png 06.png 07.png 08.png 09.png");
    gm_dataset_options options = gm_dataset_default_options();
    options.image_size = SIZE;
    gm_dataset *dataset = open_ok(&folder, &options);
    const int64_t rows[] = {3, 9, 8, 7, 6, 5, 4, 2, 1, 0};
    float *y = malloc(10 * MIDDLE * sizeof *y);
    remove(dataset->train.paths[7]);
    test_write(dataset->train.paths[1], "x", 1);
    for (int threads = 1; threads <= 7; threads += 2) {
        gm_error error;
        gm_context *context = test_context(GM_ISA_AUTO, threads);
        test_expect(gm_dataset_plain_f32(dataset, &dataset->train, context, rows, 10, y, MIDDLE, &error), &error,
                    GM_BAD_DATA, "07.png: cannot open: No such file");
        test_expect(gm_dataset_plain_f32(dataset, &dataset->train, context, rows + 4, 6, y, MIDDLE, &error), &error,
                    GM_BAD_DATA, "01.png: neither a JPEG nor a PNG file");
        gm_context_destroy(context);
    }
    free(y);
    gm_dataset_close(dataset);
    test_folder_remove(&folder);
}
END_TEST

/* A line of pixels would be resized to gigabytes. */
START_TEST(extreme_proportions)
{
    const test_folder folder = test_folder_create();
    gm_picture picture;
    gm_error error;
    uint8_t *bytes;
    size_t size;
    test_expect(gm_picture_create(60000, 1, 3, &picture, &error), &error, GM_OK, "");
    memset(picture.pixels, 200, 3 * 60000);
    test_expect(gm_png_encode(&picture, &bytes, &size, &error), &error, GM_OK, "");
    test_write(test_path(&folder, "line.png"), bytes, size);
    gm_dataset_options options = gm_dataset_default_options();
    options.image_size = SIZE;
    gm_dataset *dataset = open_ok(&folder, &options);
    gm_context *context = test_context(GM_ISA_AUTO, 1);
    float y[MIDDLE];
    test_expect(gm_dataset_plain_f32(dataset, &dataset->train, context, NULL, 1, y, MIDDLE, &error), &error, GM_OK, "");
    for (int i = 0; i < MIDDLE; i++)
        ck_assert(y[i] == (200 / 255.0f - dataset->channel_mean[i % 3]) / dataset->channel_std[i % 3]);
    free(bytes);
    gm_picture_free(&picture);
    gm_context_destroy(context);
    gm_dataset_close(dataset);
    test_folder_remove(&folder);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("image_folder");
    TCase *cases = tcase_create("image_folder");
    tcase_add_test(cases, layouts);
    tcase_add_test(cases, images_are_decoded_when_read);
    tcase_add_test(cases, labels_from_a_text);
    tcase_add_test(cases, lists_of_training_images);
    tcase_add_test(cases, a_share_is_kept_for_evaluation);
    tcase_add_test(cases, bad_images_are_skipped_on_demand);
    tcase_add_test(cases, bad_folders_and_options);
    tcase_add_test(cases, unreadable_and_endless_folders);
    tcase_add_test(cases, plain_samples_are_the_middle);
    tcase_add_test(cases, a_bad_file_ends_a_batch);
    tcase_add_test(cases, extreme_proportions);
    suite_add_tcase(suite, cases);
    return test_run(suite);
}
