/* The built command on weights: runs that start from a file, features, conversion. GEMEL_COMMAND as in
 * support/command.h.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "formats/npy.h"
#include "formats/safetensors.h"
#include "support/command.h"
#include "support/files.h"
#include "support/support.h"

enum { ROWS = 96, PAIRS = ROWS / 2, DIM = 24, HIDDEN = 32 };

#define SMALL "--batch-size=32 --hidden-size=32 --projection-dim=48 --no-evaluation --epochs=1 "

/* Rows in pairs: one in the upper half of the file, its copy in the lower. */
static void enter(void)
{
    static float x[ROWS * DIM];
    gm_error error;
    command_enter();
    test_random random = test_random_create(3);
    test_fill_normal(&random, x, PAIRS * DIM, 0, 1);
    memcpy(x + PAIRS * DIM, x, sizeof x / 2);
    ck_assert_int_eq(gm_npy_write_f32("pairs.npy", ROWS, DIM, x, DIM, &error), GM_OK);
}

static double distance(const float *a, const float *b)
{
    double squares = 0;
    for (int j = 0; j < HIDDEN; j++)
        squares += ((double)a[j] - (double)b[j]) * ((double)a[j] - (double)b[j]);
    return sqrt(squares);
}

/* Features stay in pairs, although the run holds some rows back and moves them. */
START_TEST(features_are_written_in_the_order_of_the_data)
{
    gm_error error;
    int64_t rows, cols;
    float *f;
    command_expect("train pairs.npy " SMALL "--val-split=0.25 --checkpoint-dir=run", 0, "");
    command_expect("embed pairs.npy run -o features.npy", 0, "features.npy: 96 rows of 32 features\n");
    ck_assert_int_eq(gm_npy_read_f32("features.npy", &rows, &cols, &f, &error), GM_OK);
    ck_assert_int_eq(rows, ROWS);
    ck_assert_int_eq(cols, HIDDEN);
    for (int i = 0; i < PAIRS; i++) {
        const double near = distance(f + i * HIDDEN, f + (i + PAIRS) * HIDDEN);
        const double far = distance(f + i * HIDDEN, f + (i + 1) * HIDDEN);
        ck_assert_msg(near < 1e-4 && far > 1e-2, "row %d: %g to its pair, %g to its neighbour", i, near, far);
    }
    free(f);
    command_expect("embed absent.npy run -o other.npy", 3, "absent.npy: cannot open");
    command_expect("embed synthetic run -o other.npy", 3,
                   "run takes samples of 24 numbers, but those of synthetic have");
    ck_assert_int_eq(access("other.npy", F_OK), -1);
}
END_TEST

/* With a rate of 0 a run ends with the weights that it began with. */
START_TEST(a_run_starts_from_given_weights)
{
    command_expect("train pairs.npy " SMALL "--checkpoint-dir=first", 0, "");
    command_expect("train pairs.npy " SMALL
                   "--seed=9 --optimizer=sgd --learning-rate=0 --init=first/backbone.safetensors "
                   "--checkpoint-dir=second",
                   0, "init: 8 of 16 arrays from first/backbone.safetensors; 2 of its tensors have no use\n");
    ck_assert(test_same_files("first/backbone.safetensors", "second/backbone.safetensors"));
    ck_assert_int_eq(system("grep -q '\"init\": \".*/first/backbone.safetensors\"' second/config.json"), 0);
    command_expect("train pairs.npy " SMALL "--dry-run --init=first/backbone.safetensors", 0, "init: 8 of 16 arrays");
    command_expect("train pairs.npy " SMALL "--dry-run --init=first/checkpoint.safetensors", 0,
                   "init: 16 of 16 arrays");
    command_expect("train pairs.npy " SMALL "--hidden-size=33 --init=first/backbone.safetensors", 3,
                   "tensor 'encoder.0.weight' is F32 [32, 24] where F32 [33, 24] is needed");
    ck_assert_int_eq(rename("first", "gone"), 0);
    command_expect("train second --resume --epochs=2 --no-evaluation", 0, "checkpoint: ");
}
END_TEST

/* Forth and back. */
START_TEST(weights_change_their_format)
{
    command_expect("train pairs.npy " SMALL "--checkpoint-dir=run", 0, "");
    command_expect("convert run one.pth", 0, "one.pth: 10 tensors\n");
    command_expect("convert one.pth two.safetensors", 0, "two.safetensors: 10 tensors\n");
    command_expect("convert two.safetensors three.pth", 0, "three.pth: 10 tensors\n");
    ck_assert(test_same_files("one.pth", "three.pth"));
    command_expect("train pairs.npy " SMALL
                   "--seed=9 --optimizer=sgd --learning-rate=0 --init=one.pth --checkpoint-dir=other",
                   0, "init: 8 of 16 arrays from one.pth");
    ck_assert(test_same_files("run/backbone.safetensors", "other/backbone.safetensors"));
    command_expect("embed pairs.npy run -o one.npy", 0, "one.npy: 96 rows of 32 features");
    command_expect("embed pairs.npy one.pth -o two.npy", 0, "two.npy: 96 rows of 32 features");
    ck_assert(test_same_files("one.npy", "two.npy"));
    command_expect("convert " TEST_DATA "/weights/nested.legacy.pth nested.safetensors", 0,
                   "nested.safetensors: 11 tensors");
    command_expect("convert run model.onnx", 0, "model.onnx: 10 tensors\n");
    command_expect("convert one.pth other.onnx", 0, "other.onnx: 10 tensors\n");
    ck_assert(test_same_files("model.onnx", "other.onnx"));
    command_expect("convert run /proc/a.pth", 1, "/proc/a.pth");
    command_expect("convert run /proc/a.onnx", 1, "/proc/a.onnx");
    command_expect("convert run model.txt", 2, "model.txt: the name must end in .safetensors, .pth or .onnx");
    command_expect("convert " TEST_DATA "/weights/nested.zip.pth a.onnx", 3, "no encoder that is known");
    ck_assert_int_eq(access("a.onnx", F_OK), -1);
}
END_TEST

/* A model is built only after the file has shown that it is not much larger than that. */
START_TEST(files_that_ask_for_large_models_are_refused)
{
    enum { WIDE = 1 << 20 };
    static float numbers[WIDE];
    gm_error error;
    const gm_metadata metadata[] = {{"arch", "mlp"}, {"encoder_dim", "1"}, {"hidden_size", "1048576"}};
    const gm_tensor wide[] = {{"encoder.0.weight", GM_TENSOR_F32, 2, {WIDE, 1}, numbers},
                              {"encoder.3.weight", GM_TENSOR_F32, 2, {1, 1}, numbers}};
    const gm_tensor narrow[] = {{"encoder.0.weight", GM_TENSOR_F32, 2, {1, 1}, numbers},
                                {"encoder.3.weight", GM_TENSOR_F32, 2, {1, 1}, numbers}};
    ck_assert_int_eq(gm_safetensors_write("wide.safetensors", 2, wide, 3, metadata, &error), GM_OK);
    ck_assert_int_eq(gm_safetensors_write("narrow.safetensors", 2, narrow, 3, metadata, &error), GM_OK);
    command_expect("embed pairs.npy " TEST_DATA "/weights/nested.zip.pth -o a.npy", 3, "no encoder that is known");
    command_expect("embed pairs.npy wide.safetensors -o a.npy", 3, "no encoder that is known");
    command_expect("embed pairs.npy narrow.safetensors -o a.npy", 3, "say something else than its tensors");
}
END_TEST

/* The four files of MNIST, 8 x 8 noise. */
static void put_images(const char *folder)
{
    static const char *const names[] = {"train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte",
                                        "t10k-labels-idx1-ubyte"};
    unsigned char images[16 + 64 * ROWS] = {0, 0, 8, 3, 0, 0, 0, ROWS, 0, 0, 0, 8, 0, 0, 0, 8};
    unsigned char labels[8 + ROWS] = {0, 0, 8, 1, 0, 0, 0, ROWS};
    test_random random = test_random_create(2);
    for (int i = 0; i < 64 * ROWS; i++)
        images[16 + i] = (unsigned char)(255 * test_random_uniform(&random));
    mkdir(folder, 0777);
    for (int i = 0; i < 4; i++) {
        char path[64];
        snprintf(path, sizeof path, "%s/%s", folder, names[i]);
        test_write(path, i % 2 ? labels : images, i % 2 ? sizeof labels : sizeof images);
    }
}

/* What PyTorch's file does not say, its tensors and the data tell. */
START_TEST(encoders_of_images_are_told_by_their_tensors)
{
    static const char *const archs[] = {"conv", "resnet18"};
    char words[256];
    put_images("images");
    snprintf(words, sizeof words, "train images " SMALL "--max-time=1s --arch=%s --checkpoint-dir=run", archs[_i]);
    command_expect(words, 0, "");
    command_expect("convert run run.pth", 0, "run.pth: ");
    command_expect("convert run run.onnx", 0, "run.onnx: ");
    command_expect("convert run.pth run.onnx", _i == 0 ? 3 : 0,
                   _i == 0 ? "run.pth: does not say how large its images are" : "run.onnx: ");
    command_expect("embed images run -o one.npy", 0, "one.npy: 192 rows of 512 features");
    command_expect("embed images run.pth -o two.npy", 0, "two.npy: 192 rows of 512 features");
    ck_assert(test_same_files("one.npy", "two.npy"));
    command_expect("embed pairs.npy run -o a.npy", 3, "takes images, not vectors");
    command_expect("embed pairs.npy run.pth -o a.npy", 3, "takes images, not vectors");
}
END_TEST

/* Images are normalised as in training, whatever else is in the data: the test images of two folders are the same, and
 * the training images of the second are darker. */
START_TEST(features_of_an_image_are_its_own)
{
    enum { IMAGES_BYTES = 16 + 64 * ROWS, FEATURES = 512 };
    unsigned char images[IMAGES_BYTES];
    float *one, *two;
    int64_t rows, cols;
    gm_error error;
    put_images("images");
    put_images("dark");
    FILE *file = fopen("dark/train-images-idx3-ubyte", "r");
    ck_assert_uint_eq(fread(images, 1, sizeof images, file), sizeof images);
    fclose(file);
    for (int i = 16; i < IMAGES_BYTES; i++)
        images[i] /= 3;
    test_write("dark/train-images-idx3-ubyte", images, sizeof images);
    command_expect("train images " SMALL "--arch=conv --checkpoint-dir=run", 0, "");
    command_expect("embed images run -o one.npy", 0, "");
    ck_assert_int_eq(rename("run/backbone.safetensors", "bare.safetensors"), 0);
    command_expect("embed dark bare.safetensors -o two.npy", 0, "");
    ck_assert_int_eq(gm_npy_read_f32("one.npy", &rows, &cols, &one, &error), GM_OK);
    ck_assert_int_eq(gm_npy_read_f32("two.npy", &rows, &cols, &two, &error), GM_OK);
    ck_assert(rows == 2 * ROWS && cols == FEATURES);
    ck_assert(test_same_bits(one + ROWS * FEATURES, two + ROWS * FEATURES, sizeof(float) * ROWS * FEATURES));
    ck_assert(!test_same_bits(one, two, sizeof(float) * ROWS * FEATURES));
    free(one);
    free(two);
}
END_TEST

/* Vectors, too, are standardised as in training: a row has the same features alone as among the others. */
START_TEST(features_of_a_vector_are_its_own)
{
    int64_t rows, cols;
    float *x, *all, *few;
    gm_error error;
    command_expect("train pairs.npy " SMALL "--val-split=0.25 --checkpoint-dir=run", 0, "");
    command_expect("embed pairs.npy run -o all.npy", 0, "");
    ck_assert_int_eq(gm_npy_read_f32("pairs.npy", &rows, &cols, &x, &error), GM_OK);
    ck_assert_int_eq(gm_npy_write_f32("few.npy", 2, DIM, x + 5 * DIM, DIM, &error), GM_OK);
    ck_assert_int_eq(rename("run/backbone.safetensors", "bare.safetensors"), 0);
    command_expect("convert bare.safetensors bare.pth", 0, "");
    static const char *const weights[] = {"bare.safetensors", "bare.pth"};
    ck_assert_int_eq(gm_npy_read_f32("all.npy", &rows, &cols, &all, &error), GM_OK);
    for (int i = 0; i < 2; i++) {
        char words[128];
        snprintf(words, sizeof words, "embed few.npy %s -o few-features.npy", weights[i]);
        command_expect(words, 0, "2 rows of 32 features");
        ck_assert_int_eq(gm_npy_read_f32("few-features.npy", &rows, &cols, &few, &error), GM_OK);
        for (int row = 0; row < 2; row++)
            ck_assert_msg(distance(few + row * HIDDEN, all + (5 + row) * HIDDEN) < 1e-5, "row %d", row);
        free(few);
    }
    free(x);
    free(all);
}
END_TEST

/* A checkpoint of PyTorch's that would run a command. */
static const char hostile[] = "\x80\x02\x8a\nl\xfc\x9c\x46\xf9 j\xa8P\x19.M\xe9\x03.}U\x0dlittle_endian\x88s."
                              "cos\nsystem\n(U\x09touch rantR.";

START_TEST(nothing_in_a_file_is_executed)
{
    test_write("hostile.pth", hostile, sizeof hostile - 1);
    command_expect("train pairs.npy " SMALL "--init=hostile.pth", 3,
                   "hostile.pth: pickle, before byte 11: names os.system");
    ck_assert_int_eq(access("ran", F_OK), -1);
    ck_assert_int_eq(access("runs", F_OK), -1);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("command_weights");
    TCase *tests = tcase_create("command_weights");
    tcase_add_checked_fixture(tests, enter, command_leave);
    suite_add_tcase(suite, tests);
    tcase_add_test(tests, features_are_written_in_the_order_of_the_data);
    tcase_add_test(tests, a_run_starts_from_given_weights);
    tcase_add_test(tests, weights_change_their_format);
    tcase_add_test(tests, files_that_ask_for_large_models_are_refused);
    tcase_add_loop_test(tests, encoders_of_images_are_told_by_their_tensors, 0, 2);
    tcase_add_test(tests, features_of_an_image_are_its_own);
    tcase_add_test(tests, features_of_a_vector_are_its_own);
    tcase_add_test(tests, nothing_in_a_file_is_executed);
    return test_run(suite);
}
