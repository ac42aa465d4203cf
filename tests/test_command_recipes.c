/* The recipes that come with the program, each dry on data of its kind. GEMEL_COMMAND as in support/command.h. */
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "support/command.h"
#include "support/files.h"
#include "support/support.h"

enum { ROWS = 64, SIDE = 8, CIFAR_RECORD = 1 + 3 * 32 * 32 };

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
        {"fashion-mnist-hour", "gray --batch-size=8", "model: conv, 64 -> 1536 features -> 1024", "steps: 6 epochs"},
        {"imagenet-fb", "cifar --batch-size=16 --projector=64", "model: resnet50, 3072 -> 2048 features -> 64",
         "steps: 1000 epochs"},
    };
    command_enter();
    put_gray("gray");
    put_cifar("cifar");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char words[256];
        snprintf(words, sizeof words, "train %s --recipe=%s --dry-run", cases[i].flags, cases[i].name);
        command_expect(words, 0, cases[i].model);
        ck_assert_msg(strstr(command_output, cases[i].steps), "no \"%s\" in: %s", cases[i].steps, command_output);
    }
    command_expect("train gray --recipe=absent", 2,
                   "there are: cifar10-resnet18, fashion-mnist, fashion-mnist-batch-128, fashion-mnist-batch-32, "
                   "fashion-mnist-hour, imagenet-fb\n");
    command_leave();
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
