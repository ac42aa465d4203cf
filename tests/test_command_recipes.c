/* The recipes that come with the program, each dry on data of its kind. GEMEL_COMMAND as in test_command.c. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/files.h"
#include "support/support.h"

enum { ROWS = 64, SIDE = 8, CIFAR_RECORD = 1 + 3 * 32 * 32, OUTPUT = 16384 };

static test_folder home;
static char output[OUTPUT];

/* A small MNIST of noise, whose labels are all 0. */
static void put_gray(const char *folder)
{
    static const char *const names[] = {"train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte",
                                        "t10k-labels-idx1-ubyte"};
    uint8_t images[16 + SIDE * SIDE * ROWS] = {0, 0, 8, 3, 0, 0, 0, ROWS, 0, 0, 0, SIDE, 0, 0, 0, SIDE};
    const uint8_t labels[8 + ROWS] = {0, 0, 8, 1, 0, 0, 0, ROWS};
    test_random random = test_random_create(1);
    for (size_t i = 16; i < sizeof images; i++)
        images[i] = (uint8_t)test_random_bits(&random);
    mkdir(folder, 0777);
    for (int i = 0; i < 4; i++) {
        char path[128];
        snprintf(path, sizeof path, "%s/%s", folder, names[i]);
        test_write(path, i % 2 ? labels : images, i % 2 ? sizeof labels : sizeof images);
    }
}

/* CIFAR-10's files, of black images in class 0. */
static void put_cifar(const char *folder)
{
    static const char *const names[] = {"data_batch_1", "data_batch_2", "data_batch_3",
                                        "data_batch_4", "data_batch_5", "test_batch"};
    static const uint8_t bytes[ROWS / 4 * CIFAR_RECORD];
    mkdir(folder, 0777);
    for (int i = 0; i < 6; i++) {
        char path[128];
        snprintf(path, sizeof path, "%s/%s.bin", folder, names[i]);
        test_write(path, bytes, sizeof bytes);
    }
}

static void expect(const char *words, int code, const char *pattern)
{
    char command[512];
    snprintf(command, sizeof command, "%s %s 2>&1", getenv("GEMEL_COMMAND"), words);
    FILE *pipe = popen(command, "r");
    ck_assert_ptr_nonnull(pipe);
    output[fread(output, 1, sizeof output - 1, pipe)] = '\0';
    const int actual = WEXITSTATUS(pclose(pipe));
    ck_assert_msg(actual == code && strstr(output, pattern),
                  "gemel %s: exit code %d instead of %d, or no \"%s\" in: %s", words, actual, code, pattern, output);
}

START_TEST(every_recipe_runs_dry)
{
    static const struct {
        const char *name, *flags, *model, *steps;
    } cases[] = {
        {"cifar10-resnet18", "cifar --batch-size=4", "model: resnet18, 3072 -> 512 features -> 2048",
         "steps: 200 epochs"},
        {"fashion-mnist", "gray --batch-size=8", "model: conv, 64 -> 512 features -> 512", "steps: 4 epochs"},
        {"fashion-mnist-batch-128", "gray --batch-size=8", "model: conv, 64 -> 512 features -> 512", "steps: 4 epochs"},
        {"fashion-mnist-batch-32", "gray", "model: conv, 64 -> 512 features -> 512",
         "steps: 4 epochs x 2 = 8, batch 32"},
        {"fashion-mnist-hour", "gray --batch-size=8", "model: conv, 64 -> 512 features -> 1024", "steps: 24 epochs"},
        {"imagenet-fb", "cifar --batch-size=16 --projector=64", "model: resnet50, 3072 -> 2048 features -> 64",
         "steps: 1000 epochs"},
    };
    home = test_folder_create();
    ck_assert_int_eq(chdir(home.path), 0);
    put_gray("gray");
    put_cifar("cifar");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char words[256];
        snprintf(words, sizeof words, "train %s --recipe=%s --dry-run", cases[i].flags, cases[i].name);
        expect(words, 0, cases[i].model);
        ck_assert_msg(strstr(output, cases[i].steps), "no \"%s\" in: %s", cases[i].steps, output);
    }
    expect("train gray --recipe=absent", 2,
           "there are: cifar10-resnet18, fashion-mnist, fashion-mnist-batch-128, fashion-mnist-batch-32, "
           "fashion-mnist-hour, imagenet-fb\n");
    ck_assert_int_eq(chdir("/"), 0);
    test_folder_remove(&home);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("recipes");
    TCase *tests = tcase_create("all");
    tcase_add_test(tests, every_recipe_runs_dry);
    suite_add_tcase(suite, tests);
    return test_run(suite);
}
