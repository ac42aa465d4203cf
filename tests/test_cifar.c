/* Folders with the binary files of CIFAR-10 and CIFAR-100. */
#include <gemel/data.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "data/image.h"
#include "support/files.h"
#include "support/support.h"

enum { ROWS = 3, PLANE = 32 * 32, PIXELS = 3 * PLANE };

static const char *const ten_files[] = {"data_batch_1.bin", "data_batch_2.bin", "data_batch_3.bin",
                                        "data_batch_4.bin", "data_batch_5.bin", "test_batch.bin"};
static const char *const hundred_files[] = {"train.bin", "test.bin"};

/* The value of a channel at a pixel of the image that is the row-th of all in the order of the files. */
static uint8_t value_of(int row, int c, int p)
{
    return (uint8_t)(row * 37 + c * 91 + p * 3 + p / 32);
}

static int label_of(int row, int classes)
{
    return (row * 29 + 3) % classes;
}

static void write_batch(const char *path, int first, int rows, int classes)
{
    static uint8_t bytes[16 * (PIXELS + 2)];
    uint8_t *next = bytes;
    for (int row = first; row < first + rows; row++) {
        if (classes == 100)
            *next++ = 19;
        *next++ = (uint8_t)label_of(row, classes);
        for (int c = 0; c < 3; c++)
            for (int p = 0; p < PLANE; p++)
                *next++ = value_of(row, c, p);
    }
    test_write(path, bytes, (size_t)(next - bytes));
}

static void write_cifar(const test_folder *folder, int classes)
{
    const char *const *files = classes == 10 ? ten_files : hundred_files;
    for (int i = 0; i < (classes == 10 ? 6 : 2); i++)
        write_batch(test_path(folder, files[i]), i * ROWS, ROWS, classes);
}

static void check_images(const gm_dataset *dataset, const gm_split *split, int first)
{
    gm_image image = {0};
    gm_error error;
    for (int row = 0; row < split->rows; row++) {
        ck_assert_int_eq(split->labels[row], label_of(first + row, dataset->classes));
        ck_assert_int_eq(gm_dataset_read_image(dataset, split, row, &image, &error), GM_OK);
        ck_assert_int_eq(image.height, 32);
        ck_assert_int_eq(image.width, 32);
        int wrong = 0;
        for (int p = 0; p < PLANE; p++)
            for (int c = 0; c < 3; c++)
                wrong += image.pixels[3 * p + c] != value_of(first + row, c, p);
        ck_assert_int_eq(wrong, 0);
    }
    gm_image_free(&image);
}

START_TEST(both_versions)
{
    for (int classes = 10; classes <= 100; classes += 90) {
        const int train_rows = classes == 10 ? 5 * ROWS : ROWS;
        const test_folder folder = test_folder_create();
        gm_dataset *dataset;
        gm_error error;
        write_cifar(&folder, classes);
        test_expect(gm_dataset_open(folder.path, NULL, &dataset, &error), &error, GM_OK, "");
        ck_assert_int_eq(dataset->kind, GM_DATA_COLOR_IMAGES);
        ck_assert_int_eq(dataset->height, 32);
        ck_assert_int_eq(dataset->width, 32);
        ck_assert_int_eq(dataset->channels, 3);
        ck_assert_int_eq(dataset->dim, PIXELS);
        ck_assert_int_eq(dataset->classes, classes);
        ck_assert_ptr_null(dataset->class_names);
        ck_assert_int_eq(dataset->train.rows, train_rows);
        ck_assert_int_eq(dataset->test.rows, ROWS);
        check_images(dataset, &dataset->train, 0);
        check_images(dataset, &dataset->test, train_rows);
        gm_dataset_close(dataset);
        test_folder_remove(&folder);
    }
}
END_TEST

START_TEST(names_of_classes)
{
    const char names[] = "airplane\nautomobile\nbird\ncat\ndeer\ndog\nfrog\nhorse\nship\ntruck\n\n";
    const test_folder folder = test_folder_create();
    gm_dataset *dataset;
    gm_error error;
    write_cifar(&folder, 10);
    test_write(test_path(&folder, "batches.meta.txt"), names, sizeof names - 1);
    test_expect(gm_dataset_open(folder.path, NULL, &dataset, &error), &error, GM_OK, "");
    ck_assert_str_eq(dataset->class_names[0], "airplane");
    ck_assert_str_eq(dataset->class_names[9], "truck");
    gm_dataset_close(dataset);
    test_folder_remove(&folder);
}
END_TEST

/* The training pixels of each channel get mean 0 and deviation 1. */
START_TEST(plain_samples_are_normalised_by_channel)
{
    const test_folder folder = test_folder_create();
    gm_dataset *dataset;
    gm_error error;
    write_cifar(&folder, 10);
    test_expect(gm_dataset_open(folder.path, NULL, &dataset, &error), &error, GM_OK, "");
    gm_context *context = test_context(GM_ISA_AUTO, 2);
    const int64_t rows = dataset->train.rows, ldy = PIXELS + 5;
    float *y = malloc((size_t)(rows * ldy) * sizeof *y);
    test_fill_nan(y, rows * ldy);
    test_expect(gm_dataset_plain_f32(dataset, &dataset->train, context, NULL, rows, y, ldy, &error), &error, GM_OK, "");
    for (int c = 0; c < 3; c++) {
        double sum = 0, squares = 0;
        for (int64_t i = 0; i < rows; i++)
            for (int p = 0; p < PLANE; p++) {
                const double value = (double)y[i * ldy + 3 * p + c];
                const float expected = ((float)value_of((int)i, c, p) / 255.0f - dataset->channel_mean[c]);
                ck_assert_float_eq_tol((float)value, expected / dataset->channel_std[c], 1e-5f);
                sum += value;
                squares += value * value;
            }
        const double count = (double)(rows * PLANE);
        ck_assert_double_eq_tol(sum / count, 0.0, 1e-5);
        ck_assert_double_eq_tol(squares / count, 1.0, 1e-5);
    }
    for (int64_t i = 0; i < rows; i++)
        ck_assert(isnan(y[i * ldy + PIXELS]));
    free(y);
    gm_context_destroy(context);
    gm_dataset_close(dataset);
    test_folder_remove(&folder);
}
END_TEST

START_TEST(bad_files)
{
    static const struct {
        const char *name; /* of the file */
        int64_t size;     /* written as so many bytes of `fill`; -1: removed */
        uint8_t fill;
        const char *pattern;
    } cases[] = {
        {"data_batch_3.bin", -1, 0, "no file data_batch_3.bin; unpack the whole archive of CIFAR-10"},
        {"test_batch.bin", -1, 0, "no file test_batch.bin"},
        {"data_batch_2.bin", 0, 0, "data_batch_2.bin: has 0 bytes, which is no whole number"},
        {"data_batch_2.bin", PIXELS, 0, "data_batch_2.bin: has 3072 bytes"},
        {"test_batch.bin", 2 * (PIXELS + 1) - 1, 0, "test_batch.bin: has 6145 bytes"},
        {"data_batch_5.bin", PIXELS + 1, 10, "data_batch_5.bin: record 0 has label 10, but there are 10 classes"},
        {"batches.meta.txt", 30, 'x', "batches.meta.txt: has 1 names of classes, not 10"},
        {"batches.meta.txt", 30, 0, "not a text file"},
    };
    static uint8_t bytes[2 * (PIXELS + 1)];
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const test_folder folder = test_folder_create();
        gm_dataset *dataset;
        gm_error error;
        write_cifar(&folder, 10);
        memset(bytes, cases[i].fill, sizeof bytes);
        const char *path = test_path(&folder, cases[i].name);
        if (cases[i].size < 0)
            remove(path);
        else
            test_write(path, bytes, (size_t)cases[i].size);
        test_expect(gm_dataset_open(folder.path, NULL, &dataset, &error), &error, GM_BAD_DATA, cases[i].pattern);
        ck_assert_ptr_null(dataset);
        test_folder_remove(&folder);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("cifar");
    TCase *cases = tcase_create("cifar");
    tcase_add_test(cases, both_versions);
    tcase_add_test(cases, names_of_classes);
    tcase_add_test(cases, plain_samples_are_normalised_by_channel);
    tcase_add_test(cases, bad_files);
    suite_add_tcase(suite, cases);
    return test_run(suite);
}
