/* gm_dataset_open(), gm_dataset_plain_f32(), gm_shuffle() and the folder of idx files. */
#include <gemel/data.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "formats/npy.h"
#include "support/files.h"
#include "support/support.h"

enum { TRAIN = 6, TEST = 4, HEIGHT = 3, WIDTH = 5, PIXELS = HEIGHT * WIDTH };

static const char *const mnist_files[] = {"train-images-idx3-ubyte", "train-labels-idx1-ubyte",
                                          "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"};

static uint8_t pixel_of(int row, int i)
{
    return (uint8_t)(row * 31 + i * 7);
}

static size_t images_file(uint8_t *bytes, int rows)
{
    const uint8_t header[] = {0, 0, 8, 3, 0, 0, 0, (uint8_t)rows, 0, 0, 0, HEIGHT, 0, 0, 0, WIDTH};
    memcpy(bytes, header, sizeof header);
    for (int i = 0; i < rows * PIXELS; i++)
        bytes[sizeof header + (size_t)i] = pixel_of(i / PIXELS, i % PIXELS);
    return sizeof header + (size_t)(rows * PIXELS);
}

static size_t labels_file(uint8_t *bytes, int rows)
{
    const uint8_t header[] = {0, 0, 8, 1, 0, 0, 0, (uint8_t)rows};
    memcpy(bytes, header, sizeof header);
    for (int i = 0; i < rows; i++)
        bytes[sizeof header + (size_t)i] = (uint8_t)(i % 3);
    return sizeof header + (size_t)rows;
}

static void write_mnist(const test_folder *folder, bool compressed)
{
    for (int i = 0; i < 4; i++) {
        uint8_t bytes[256];
        char name[64];
        const int rows = i < 2 ? TRAIN : TEST;
        const size_t size = i % 2 ? labels_file(bytes, rows) : images_file(bytes, rows);
        snprintf(name, sizeof name, "%s%s", mnist_files[i], compressed ? ".gz" : "");
        (compressed ? test_write_gzip : test_write)(test_path(folder, name), bytes, size);
    }
}

static gm_dataset *open_ok(const char *what, const gm_dataset_options *options)
{
    gm_error error;
    gm_dataset *dataset;
    const gm_status status = gm_dataset_open(what, options, &dataset, &error);
    ck_assert_msg(status == GM_OK, "%s", error.message);
    return dataset;
}

START_TEST(folder_of_idx_files)
{
    for (int compressed = 0; compressed < 2; compressed++) {
        const test_folder folder = test_folder_create();
        write_mnist(&folder, compressed);
        gm_dataset *dataset = open_ok(folder.path, NULL);
        ck_assert_int_eq(dataset->kind, GM_DATA_GRAY_IMAGES);
        ck_assert_ptr_nonnull(strstr(dataset->name, "gemel-test-"));
        ck_assert_int_eq(dataset->dim, PIXELS);
        ck_assert_int_eq(dataset->height, HEIGHT);
        ck_assert_int_eq(dataset->width, WIDTH);
        ck_assert_int_eq(dataset->classes, 3);
        ck_assert_int_eq(dataset->train.rows, TRAIN);
        ck_assert_int_eq(dataset->test.rows, TEST);
        double sum = 0, squares = 0;
        for (int i = 0; i < TRAIN * PIXELS; i++) {
            ck_assert_int_eq(dataset->train.pixels[i], pixel_of(i / PIXELS, i % PIXELS));
            sum += dataset->train.pixels[i] / 255.0;
            squares += dataset->train.pixels[i] / 255.0 * dataset->train.pixels[i] / 255.0;
        }
        const double mean = sum / (TRAIN * PIXELS);
        ck_assert_float_eq_tol(dataset->mean, (float)mean, 1e-6f);
        ck_assert_float_eq_tol(dataset->std, (float)sqrt(squares / (TRAIN * PIXELS) - mean * mean), 1e-6f);
        for (int i = 0; i < TEST; i++)
            ck_assert_int_eq(dataset->test.labels[i], i % 3);
        gm_dataset_close(dataset);
        test_folder_remove(&folder);
    }
}
END_TEST

/* The package is there, with its published sizes; or it is not, and the error says how to get it. */
START_TEST(fashion_mnist_by_name)
{
    gm_error error;
    gm_dataset *dataset;
    const gm_status status = gm_dataset_open("fashion-mnist", NULL, &dataset, &error);
    if (access("/usr/share/datasets/fashion-mnist", F_OK) != 0) {
        test_expect(status, &error, GM_BAD_DATA, "dataset-fashion-mnist");
        return;
    }
    test_expect(status, &error, GM_OK, "");
    ck_assert_str_eq(dataset->name, "fashion-mnist");
    ck_assert_int_eq(dataset->train.rows, 60000);
    ck_assert_int_eq(dataset->test.rows, 10000);
    ck_assert_int_eq(dataset->dim, 784);
    ck_assert_int_eq(dataset->classes, 10);
    ck_assert_str_eq(dataset->class_names[9], "Ankle boot");
    ck_assert_float_eq_tol(dataset->mean, 0.28604f, 1e-5f);
    ck_assert_float_eq_tol(dataset->std, 0.35302f, 1e-5f);
    int64_t count[10] = {0};
    for (int64_t i = 0; i < dataset->train.rows; i++)
        count[dataset->train.labels[i]]++;
    for (int c = 0; c < 10; c++)
        ck_assert_int_eq(count[c], 6000);
    gm_dataset_close(dataset);
}
END_TEST

START_TEST(plain_samples_are_normalised_pixels)
{
    const test_folder folder = test_folder_create();
    write_mnist(&folder, false);
    gm_dataset *dataset = open_ok(folder.path, NULL);
    gm_context *context = test_context(GM_ISA_AUTO, 2);
    const int64_t rows[] = {3, 0, 3};
    float y[3][PIXELS + 2];
    test_fill_nan(y[0], 3 * (PIXELS + 2));
    ck_assert_int_eq(gm_dataset_plain_f32(dataset, &dataset->test, context, rows, 3, y[0], PIXELS + 2, NULL), GM_OK);
    for (int i = 0; i < 3; i++) {
        for (int j = 0; j < PIXELS; j++)
            ck_assert(y[i][j] == ((float)pixel_of((int)rows[i], j) / 255.0f - dataset->mean) / dataset->std);
        ck_assert(isnan(y[i][PIXELS]));
    }
    gm_context_destroy(context);
    gm_dataset_close(dataset);
    test_folder_remove(&folder);
}
END_TEST

/* More samples than one call of the kernel takes, so that the pieces must meet. */
START_TEST(plain_samples_of_a_large_batch)
{
    enum { ROWS = 1300 };
    gm_dataset *dataset = open_ok("synthetic", NULL);
    uint8_t *pixels = malloc(ROWS * PIXELS);
    float *y = malloc(ROWS * PIXELS * sizeof *y);
    for (int i = 0; i < ROWS * PIXELS; i++)
        pixels[i] = (uint8_t)(i * 7 + i / 251);
    gm_dataset images = {.kind = GM_DATA_GRAY_IMAGES,
                         .dim = PIXELS,
                         .height = HEIGHT,
                         .width = WIDTH,
                         .std = 1.0f,
                         .train = {.rows = ROWS, .pixels = pixels}};
    gm_context *context = test_context(GM_ISA_AUTO, 2);
    ck_assert_int_eq(gm_dataset_plain_f32(&images, &images.train, context, NULL, ROWS, y, PIXELS, NULL), GM_OK);
    int wrong = 0;
    for (int i = 0; i < ROWS * PIXELS; i++)
        wrong += y[i] != (float)pixels[i] / 255.0f;
    ck_assert_int_eq(wrong, 0);
    gm_context_destroy(context);
    gm_dataset_close(dataset);
    free(pixels);
    free(y);
}
END_TEST

START_TEST(synthetic_is_a_function_of_the_seed)
{
    gm_dataset_options options = gm_dataset_default_options();
    gm_dataset *a = open_ok("synthetic", &options), *b = open_ok("synthetic", &options);
    options.seed = 1;
    gm_dataset *c = open_ok("synthetic", &options);
    const size_t bytes = (size_t)(a->train.rows * a->dim) * sizeof(float);
    ck_assert_int_eq(a->kind, GM_DATA_VECTORS);
    ck_assert_int_gt(a->test.rows, 0);
    ck_assert(test_same_bits(a->train.features, b->train.features, bytes));
    ck_assert(!test_same_bits(a->train.features, c->train.features, bytes));
    /* The nearest class mean tells most test rows' labels, but not all. */
    double *means = calloc((size_t)(a->classes * a->dim), sizeof *means);
    for (int64_t i = 0; i < a->train.rows; i++)
        for (int64_t j = 0; j < a->dim; j++)
            means[a->train.labels[i] * a->dim + j] +=
                (double)a->train.features[i * a->dim + j] * a->classes / (double)a->train.rows;
    int64_t right = 0;
    for (int64_t i = 0; i < a->test.rows; i++) {
        int32_t best = 0;
        double least = INFINITY;
        for (int32_t k = 0; k < a->classes; k++) {
            double distance = 0;
            for (int64_t j = 0; j < a->dim; j++)
                distance += pow((double)a->test.features[i * a->dim + j] - means[k * a->dim + j], 2);
            if (distance < least) {
                least = distance;
                best = k;
            }
        }
        right += best == a->test.labels[i];
    }
    ck_assert_int_gt(right, a->test.rows * 9 / 10);
    ck_assert_int_lt(right, a->test.rows);
    free(means);
    gm_dataset_close(a);
    gm_dataset_close(b);
    gm_dataset_close(c);
}
END_TEST

enum { ROWS = 50, DIM = 4 };

/* Column 0 counts the rows, column 1 is the same far away, column 2 is constant, column 3 has a NaN in row 7. */
static const char *write_features(const test_folder *folder)
{
    float x[ROWS][DIM];
    for (int i = 0; i < ROWS; i++) {
        x[i][0] = (float)i;
        x[i][1] = 1e6f + (float)i;
        x[i][2] = 0.1f;
        x[i][3] = i == 7 ? NAN : (float)(i % 2);
    }
    gm_error error;
    const char *path = test_path(folder, "features.npy");
    ck_assert_int_eq(gm_npy_write_f32(path, ROWS, DIM, x[0], DIM, &error), GM_OK);
    return path;
}

static const char *write_labels(const test_folder *folder, int rows, int8_t bad)
{
    char bytes[128 + ROWS + 1];
    memset(bytes, ' ', 128);
    memcpy(bytes, "\x93NUMPY\x01\x00\x76\x00", 10);
    char text[96];
    const int length = snprintf(text, sizeof text, "{'descr': '|i1', 'fortran_order': False, 'shape': (%d,), }", rows);
    memcpy(bytes + 10, text, (size_t)length);
    for (int i = 0; i < rows; i++)
        bytes[128 + i] = (char)(i % 5);
    bytes[128 + rows - 1] = (char)bad;
    const char *path = test_path(folder, "labels.npy");
    test_write(path, bytes, 128 + (size_t)rows);
    return path;
}

START_TEST(vectors_are_standardised_by_the_training_rows)
{
    const test_folder folder = test_folder_create();
    gm_dataset *dataset = open_ok(write_features(&folder), NULL);
    ck_assert_int_eq(dataset->kind, GM_DATA_VECTORS);
    ck_assert_str_eq(dataset->name, "features");
    ck_assert_int_eq(dataset->train.rows, ROWS);
    ck_assert_int_eq(dataset->test.rows, 0);
    ck_assert_int_eq(dataset->classes, 0);
    ck_assert_ptr_null(dataset->train.labels);
    const double deviation = sqrt((ROWS * ROWS - 1) / 12.0);
    for (int i = 0; i < ROWS; i++) {
        const float *x = dataset->train.features + i * DIM, expected = (float)((i - (ROWS - 1) / 2.0) / deviation);
        ck_assert_float_eq_tol(x[0], expected, 1e-6f);
        ck_assert_float_eq_tol(x[1], expected, 1e-6f);
        ck_assert(x[2] == 0.0f);
        ck_assert(i == 7 ? isnan(x[3]) : fabsf(x[3]) > 0.9f && fabsf(x[3]) < 1.1f);
    }
    gm_dataset_close(dataset);
    test_folder_remove(&folder);
}
END_TEST

/* Those of another data set are taken for as many columns, and left alone for others. */
START_TEST(vectors_are_standardised_as_others_were)
{
    const test_folder folder = test_folder_create();
    const char *path = write_features(&folder);
    double mean[DIM], scale[DIM];
    gm_dataset *own = open_ok(path, NULL);
    for (int j = 0; j < DIM; j++) {
        mean[j] = own->column_mean[j] + 3;
        scale[j] = own->column_scale[j] / 2;
    }
    for (int64_t columns = DIM - 1; columns <= DIM; columns++) {
        gm_dataset_options options = gm_dataset_default_options();
        options.columns = columns;
        options.column_mean = mean;
        options.column_scale = scale;
        gm_dataset *other = open_ok(path, &options);
        for (int j = 0; j < 2; j++) {
            const bool given = columns == DIM;
            const double shift = 3 * own->column_scale[j];
            ck_assert_double_eq(other->column_mean[j], given ? mean[j] : own->column_mean[j]);
            ck_assert_double_eq(other->column_scale[j], given ? scale[j] : own->column_scale[j]);
            for (int i = 0; i < ROWS; i++) {
                const double x = (double)own->train.features[i * DIM + j];
                ck_assert_double_eq_tol((double)other->train.features[i * DIM + j], given ? (x - shift) / 2 : x, 1e-6);
            }
        }
        gm_dataset_close(other);
    }
    gm_dataset_close(own);
    test_folder_remove(&folder);
}
END_TEST

/* [low, high] with the first column of a split. */
static void widen(const gm_split *split, float *low, float *high)
{
    for (int64_t i = 0; i < split->rows; i++) {
        *low = fminf(*low, split->features[i * DIM]);
        *high = fmaxf(*high, split->features[i * DIM]);
    }
}

START_TEST(validation_rows_are_drawn_by_the_seed)
{
    const test_folder folder = test_folder_create();
    gm_dataset_options options = gm_dataset_default_options();
    options.val_split = 0.2;
    options.labels = write_labels(&folder, ROWS, 4);
    const char *path = write_features(&folder);
    bool first[ROWS];
    for (uint64_t seed = 0; seed < 3; seed++) {
        options.seed = seed / 2; /* 0, 0, 1 */
        gm_dataset *dataset = open_ok(path, &options);
        ck_assert_int_eq(dataset->train.rows, 40);
        ck_assert_int_eq(dataset->test.rows, 10);
        ck_assert_int_eq(dataset->classes, 5);
        /* What was the row before standardising, from the training rows' mean and deviation. */
        bool test_row[ROWS] = {false}, met[ROWS] = {false};
        double total = 0;
        float low = INFINITY, high = -INFINITY;
        const gm_split *splits[] = {&dataset->train, &dataset->test};
        for (int s = 0; s < 2; s++)
            widen(splits[s], &low, &high);
        for (int s = 0; s < 2; s++)
            for (int64_t i = 0; i < splits[s]->rows; i++) {
                const int row = (int)lround((splits[s]->features[i * DIM] - low) / (high - low) * (ROWS - 1));
                ck_assert(!met[row]);
                met[row] = true;
                test_row[row] = s == 1;
                ck_assert_int_eq(splits[s]->labels[i], row == ROWS - 1 ? 4 : row % 5);
                total += s == 0 ? (double)splits[s]->features[i * DIM] : 0;
            }
        ck_assert_double_eq_tol(total, 0, 1e-5);
        if (seed == 0)
            memcpy(first, test_row, sizeof first);
        else
            ck_assert((memcmp(first, test_row, sizeof first) == 0) == (seed == 1));
        gm_dataset_close(dataset);
    }
    test_folder_remove(&folder);
}
END_TEST

START_TEST(shuffles_are_permutations)
{
    enum { N = 1000 };
    int64_t a[N], b[N];
    bool met[N] = {false};
    gm_shuffle(5, 2, a, N);
    gm_shuffle(5, 2, b, N);
    ck_assert(memcmp(a, b, sizeof a) == 0);
    gm_shuffle(5, 3, b, N);
    int same = 0, fixed = 0;
    for (int i = 0; i < N; i++) {
        ck_assert(a[i] >= 0 && a[i] < N && !met[a[i]]);
        met[a[i]] = true;
        same += a[i] == b[i];
        fixed += a[i] == i;
    }
    ck_assert_int_lt(same, 10); /* one is expected of each */
    ck_assert_int_lt(fixed, 10);
    gm_shuffle(5, 2, a, 1);
    ck_assert_int_eq(a[0], 0);
    gm_shuffle(5, 2, a, 0);

    /* Each of the six orders of three equally often: chi square below 20.5 with 5 degrees of freedom (p .001). */
    int count[27] = {0};
    for (int epoch = 0; epoch < 6000; epoch++) {
        gm_shuffle(1, epoch, a, 3);
        count[a[0] * 9 + a[1] * 3 + a[2]]++;
    }
    double chi_square = 0;
    for (int i = 0; i < 27; i++)
        chi_square += count[i] ? (count[i] - 1000.0) * (count[i] - 1000.0) / 1000.0 : 0;
    ck_assert_msg(chi_square < 20.5, "chi square %g", chi_square);
}
END_TEST

/* --- what can be wrong ------------------------------------------------------------------------------------------ */

START_TEST(bad_folders_are_refused)
{
    static const struct {
        int file; /* of mnist_files: missing, or with the bytes below */
        bool missing;
        size_t offset, cut; /* a byte to change; bytes to leave out at the end */
        uint8_t value;
        const char *pattern;
    } cases[] = {
        {0, true, 0, 0, 0, "train-images-idx3-ubyte"},  {3, true, 0, 0, 0, "t10k-labels-idx1-ubyte"},
        {0, false, 3, 0, 1, "begins with 00 00 08 01"}, {2, false, 15, 0, 4, "has 76 bytes"},
        {1, false, 7, 1, 5, "5 labels for 6 images"},   {2, false, 0, 1, 0, "has 75 bytes"},
        {2, false, 7, 0, 0, "holds nothing"},           {0, false, 4, 0, 255, "bytes where its header says"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const test_folder folder = test_folder_create();
        write_mnist(&folder, false);
        const char *path = test_path(&folder, mnist_files[cases[i].file]);
        unlink(path);
        if (!cases[i].missing) {
            uint8_t bytes[256];
            const int rows = cases[i].file < 2 ? TRAIN : TEST;
            const size_t size = cases[i].file % 2 ? labels_file(bytes, rows) : images_file(bytes, rows);
            bytes[cases[i].offset] = cases[i].value;
            test_write(path, bytes, size - cases[i].cut);
        }
        gm_error error;
        gm_dataset *dataset;
        test_expect(gm_dataset_open(folder.path, NULL, &dataset, &error), &error, GM_BAD_DATA, cases[i].pattern);
        ck_assert_ptr_null(dataset);
        test_folder_remove(&folder);
    }
}
END_TEST

START_TEST(images_of_other_sizes_are_refused)
{
    const test_folder folder = test_folder_create();
    gm_error error;
    gm_dataset *dataset;
    write_mnist(&folder, false);
    uint8_t bytes[16 + 65] = {0, 0, 8, 3, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 65};
    test_write(test_path(&folder, mnist_files[2]), bytes, sizeof bytes);
    test_expect(gm_dataset_open(folder.path, NULL, &dataset, &error), &error, GM_BAD_DATA, "at most 64 x 64");
    bytes[15] = 4;
    test_write(test_path(&folder, mnist_files[2]), bytes, 16 + 4);
    test_expect(gm_dataset_open(folder.path, NULL, &dataset, &error), &error, GM_BAD_DATA,
                "training images have 3 x 5");
    test_folder_remove(&folder);
}
END_TEST

START_TEST(bad_options_are_refused)
{
    const test_folder folder = test_folder_create();
    const char *const features = write_features(&folder), *const labels = write_labels(&folder, ROWS, 4);
    const char *const absent = test_path(&folder, "absent.npy");
    gm_dataset_options plain = gm_dataset_default_options(), all = plain, negative = plain, one = plain, small = plain,
                       none = plain, labelled = plain;
    all.val_split = 0.999;
    negative.val_split = -0.5;
    one.val_split = 1.0;
    small.size = 8;
    none.labels = absent;
    labelled.labels = labels;
    const struct {
        const char *what;
        const gm_dataset_options *options;
        gm_status status;
        const char *pattern;
    } cases[] = {
        {"/nowhere/at/all", &plain, GM_BAD_DATA, "/nowhere/at/all"},
        {"fashion", &plain, GM_BAD_DATA, "fashion-mnist"},
        {absent, &plain, GM_IO_ERROR, "No such file"},
        {features, &all, GM_BAD_USAGE, "leaves none of 50 rows"},
        {features, &negative, GM_BAD_USAGE, "[0, 1)"},
        {features, &one, GM_BAD_USAGE, "[0, 1)"},
        {features, &none, GM_IO_ERROR, "absent.npy"},
        {"synthetic", &labelled, GM_BAD_USAGE, "brings its own labels"},
        {"fashion-mnist", &all, GM_BAD_USAGE, "brings its own labels"},
        {features, &small, GM_INVALID_ARGUMENT, "size"},
        {NULL, &plain, GM_INVALID_ARGUMENT, "no data set"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        gm_error error;
        gm_dataset *dataset = (gm_dataset *)&folder;
        test_expect(gm_dataset_open(cases[i].what, cases[i].options, &dataset, &error), &error, cases[i].status,
                    cases[i].pattern);
        ck_assert_ptr_null(dataset);
    }
    gm_error error;
    gm_dataset *dataset;
    write_labels(&folder, ROWS - 1, 4);
    test_expect(gm_dataset_open(features, &labelled, &dataset, &error), &error, GM_BAD_DATA, "49 labels for 50 rows");
    write_labels(&folder, ROWS, -1);
    test_expect(gm_dataset_open(features, &labelled, &dataset, &error), &error, GM_BAD_DATA, "label -1 of row 49");
    test_folder_remove(&folder);
}
END_TEST

START_TEST(bad_arguments_of_views_return_their_status)
{
    gm_dataset *dataset = open_ok("synthetic", NULL);
    gm_context *context = test_context(GM_ISA_SCALAR, 1);
    gm_augmentation augmentation, cut;
    ck_assert_int_eq(gm_augmentation_preset("vectors", &augmentation, NULL), GM_OK);
    cut = augmentation;
    cut.size = 4;
    const int64_t dim = dataset->dim, before = -1, after = dataset->train.rows, last = after - 1;
    float *y = malloc((size_t)dim * sizeof *y);
    const struct {
        const gm_dataset *dataset;
        gm_context *context;
        const gm_augmentation *augmentation;
        const int64_t *rows;
        int64_t count;
        float *y;
        int64_t ldy;
        gm_status status;
    } cases[] = {
        {NULL, context, &augmentation, NULL, 1, y, dim, GM_INVALID_ARGUMENT},
        {dataset, NULL, &augmentation, NULL, 1, y, dim, GM_INVALID_ARGUMENT},
        {dataset, context, NULL, NULL, 1, y, dim, GM_INVALID_ARGUMENT},
        {dataset, context, &cut, NULL, 1, y, dim, GM_INVALID_ARGUMENT},
        {dataset, context, &augmentation, &before, 1, y, dim, GM_INVALID_ARGUMENT},
        {dataset, context, &augmentation, &after, 1, y, dim, GM_INVALID_ARGUMENT},
        {dataset, context, &augmentation, NULL, after + 1, y, dim, GM_INVALID_ARGUMENT},
        {dataset, context, &augmentation, NULL, -1, y, dim, GM_INVALID_ARGUMENT},
        {dataset, context, &augmentation, NULL, 1, NULL, dim, GM_INVALID_ARGUMENT},
        {dataset, context, &augmentation, NULL, 1, y, dim - 1, GM_INVALID_ARGUMENT},
        {dataset, context, &augmentation, &last, INT64_MAX / dim, y, dim, GM_SIZE_OVERFLOW},
        {dataset, context, &augmentation, NULL, 0, NULL, dim, GM_OK},
        {dataset, context, &augmentation, &last, 1, y, dim, GM_OK},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const gm_status status =
            gm_dataset_view_f32(cases[i].dataset, &dataset->train, cases[i].context, cases[i].augmentation, 0, 0, 0,
                                cases[i].rows, cases[i].count, cases[i].y, cases[i].ldy, NULL);
        ck_assert_msg(status == cases[i].status, "case %zu: %s", i, gm_status_string(status));
    }
    free(y);
    gm_context_destroy(context);
    gm_dataset_close(dataset);
    gm_dataset_close(NULL);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("dataset");
    TCase *tests = tcase_create("dataset");
    suite_add_tcase(suite, tests);
    tcase_add_test(tests, folder_of_idx_files);
    tcase_add_test(tests, fashion_mnist_by_name);
    tcase_add_test(tests, plain_samples_are_normalised_pixels);
    tcase_add_test(tests, plain_samples_of_a_large_batch);
    tcase_add_test(tests, synthetic_is_a_function_of_the_seed);
    tcase_add_test(tests, vectors_are_standardised_by_the_training_rows);
    tcase_add_test(tests, vectors_are_standardised_as_others_were);
    tcase_add_test(tests, validation_rows_are_drawn_by_the_seed);
    tcase_add_test(tests, shuffles_are_permutations);
    tcase_add_test(tests, bad_folders_are_refused);
    tcase_add_test(tests, images_of_other_sizes_are_refused);
    tcase_add_test(tests, bad_options_are_refused);
    tcase_add_test(tests, bad_arguments_of_views_return_their_status);
    return test_run(suite);
}
