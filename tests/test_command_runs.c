/* The built command on runs that go on: what may change between, what is kept, what is said. GEMEL_COMMAND as in
 * support/command.h. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "formats/npy.h"
#include "support/command.h"
#include "support/files.h"
#include "support/support.h"

enum { ROWS = 96, DIM = 24 };

#define SMALL "--batch-size=32 --hidden-size=32 --projection-dim=48 "
#define NEW "train good.npy " SMALL "--checkpoint-dir=run --no-evaluation --quiet "
#define GO_ON "train run --resume --no-evaluation --quiet "

static void put_rows(const char *path, int64_t rows, bool on_a_line)
{
    static float x[ROWS * DIM];
    gm_error error;
    test_random random = test_random_create(4);
    test_fill_normal(&random, x, ROWS * DIM, 0, 1);
    for (int i = 0; on_a_line && i < ROWS * DIM; i++)
        x[i] = x[i / DIM * DIM] * (float)(i % DIM + 1);
    ck_assert_int_eq(gm_npy_write_f32(path, rows, DIM, x, DIM, &error), GM_OK);
}

static void enter(void)
{
    command_enter();
    put_rows("good.npy", ROWS, false);
}

static void shell(const char *command)
{
    ck_assert_msg(system(command) == 0, "%s", command);
}

static bool exists(const char *path)
{
    return access(path, F_OK) == 0;
}

START_TEST(changed_epochs_are_said)
{
    enter();
    command_expect(NEW "--epochs=2", 0, "");
    command_expect(GO_ON "--epochs=3", 0, "run: epochs 3 instead of 2 from here on");
    command_expect(GO_ON "--epochs=3", 2, "all 3 epochs are done");
    command_expect(GO_ON "--epochs=2", 2, "run: 3 epochs are done already; pass more with --epochs");
    command_expect(GO_ON "--epochs=4 --seed=2", 2, "--seed: a resumed run keeps its settings");
    command_leave();
}
END_TEST

START_TEST(earlier_checkpoints_are_kept)
{
    enter();
    command_expect(NEW "--epochs=5 --keep=3", 0, "");
    ck_assert(!exists("run/checkpoint-3.safetensors") && exists("run/checkpoint-6.safetensors") &&
              exists("run/checkpoint-9.safetensors") && exists("run/checkpoint-12.safetensors"));
    command_expect(GO_ON "--epochs=6", 0, "");
    ck_assert(!exists("run/checkpoint-12.safetensors") && exists("run/checkpoint-15.safetensors"));
    command_expect(GO_ON "--epochs=7 --keep=0", 0, "");
    ck_assert(!exists("run/checkpoint-15.safetensors") && !exists("run/checkpoint-18.safetensors"));
    command_expect(NEW "--epochs=1 --keep=2 --overwrite", 0, "");
    shell("cp run/checkpoint.safetensors run/checkpoint-77.safetensors");
    command_expect(NEW "--epochs=1 --overwrite", 0, "");
    ck_assert(!exists("run/checkpoint-77.safetensors"));
    command_leave();
}
END_TEST

START_TEST(a_spoiled_checkpoint_has_an_earlier_one)
{
    enter();
    command_expect(NEW "--epochs=2", 0, "");
    shell("cp run/checkpoint.safetensors whole");
    shell("truncate -s 100 run/checkpoint.safetensors");
    command_expect(GO_ON, 3, "run/checkpoint-3.safetensors is an earlier one: copy it over");
    shell("rm run/checkpoint.safetensors");
    command_expect(GO_ON, 0, "");
    shell("cmp whole run/checkpoint.safetensors");
    shell("rm run/checkpoint*");
    command_expect(GO_ON, 3,
                   "run: no checkpoint; begin anew: gemel train --config run/config.json --checkpoint-dir run");
    command_expect("train --config run/config.json --checkpoint-dir run --overwrite --quiet --no-evaluation", 0, "");
    shell("cmp whole run/checkpoint.safetensors");
    command_leave();
}
END_TEST

START_TEST(moved_data_are_said_and_used)
{
    enter();
    shell("mkdir a && mv good.npy a/good.npy");
    command_expect("train a/good.npy " SMALL "--checkpoint-dir=run --no-evaluation --quiet --epochs=1", 0, "");
    shell("mkdir elsewhere");
    command_expect("info", 0, "");
    ck_assert_int_eq(chdir("elsewhere"), 0);
    command_expect("train ../run --resume --no-evaluation --quiet --epochs=2", 0, "");
    ck_assert_int_eq(chdir(".."), 0);
    shell("mv a b");
    command_expect(GO_ON "--epochs=3", 3, "if the data have moved: gemel train DATA --checkpoint-dir run --resume");
    command_expect("train b/good.npy --checkpoint-dir=run --resume --no-evaluation --quiet --epochs=3", 0,
                   "b/good.npy instead of");
    command_expect(GO_ON "--epochs=4", 0, "");
    put_rows("b/good.npy", ROWS - 1, false);
    command_expect(GO_ON "--epochs=5", 3, "does not lie in epoch 4 of this configuration and data, which has 95");
    command_leave();
}
END_TEST

/* What is beyond the checkpoint is taken anew, and must not stand in the logs twice. */
START_TEST(logs_go_on_at_the_checkpoint)
{
    enter();
    command_expect(NEW "--epochs=4 --print-freq=2", 0, "");
    shell("cp run/metrics.csv metrics && cp run/stats.txt stats");
    shell("cp run/checkpoint-9.safetensors run/checkpoint.safetensors");
    shell("printf '{\"epoch\": 9, \"st' >>run/stats.txt");
    command_expect(GO_ON "--print-freq=2", 0, "");
    shell("cut -d, -f1-5,9- metrics >a; cut -d, -f1-5,9- run/metrics.csv >b; cmp a b");
    shell("test $(grep -c '^{' run/stats.txt) = 6 && test $(grep -c '^gemel train' run/stats.txt) = 2");
    command_leave();
}
END_TEST

/* The report of a resumed run tells of the whole run. */
START_TEST(a_report_remembers_what_was_before)
{
    enter();
    command_expect(NEW "--epochs=2", 0, "");
    command_expect("train run --resume --quiet --epochs=3", 0, "report: run/report.html");
    shell("grep -q '3 epochs, 9 steps' run/report.html");
    shell("test $(grep -c '^<tr><td>[123]</td>' run/report.html) = 3");
    command_expect(NEW "--epochs=3 --overwrite", 0, "");
    ck_assert(!exists("run/report.html"));
    command_expect("train run --resume --quiet", 0, "report: run/report.html"); /* only that was left to do */
    shell("grep -q '3 epochs, 9 steps' run/report.html");
    command_expect("train run --resume --quiet", 2, "all 3 epochs are done");
    command_leave();
}
END_TEST

static int count(const char *what)
{
    int found = 0;
    for (const char *at = command_output; (at = strstr(at, what)); at += strlen(what))
        found++;
    return found;
}

/* Samples on a line cannot fill a space: said once, also with --quiet. */
START_TEST(a_collapse_is_said_once)
{
    enter();
    command_expect(NEW "--epochs=3", 0, "");
    ck_assert_ptr_null(strstr(command_output, "WARNING"));
    put_rows("line.npy", ROWS, true);
    command_expect(
        "train line.npy --batch-size=96 --projection-dim=48 --augmentation=none --checkpoint-dir=line --no-evaluation "
        "--epochs=3 --quiet",
        0, "gemel train: WARNING: epoch 1: the embedding fills 1.");
    ck_assert_int_eq(count("WARNING"), 1);
    command_expect(
        "train good.npy --batch-size=96 --arch=mlp --projection-dim=4 --learning-rate=0 --eps=1 --checkpoint-dir=dead "
        "--no-evaluation --epochs=2 --quiet",
        0, "WARNING: epoch 1: a feature of the embedding hardly differs between samples (smallest deviation 0.");
    command_leave();
}
END_TEST

START_TEST(two_processes_do_not_share_a_folder)
{
    enter();
    command_expect(NEW "--epochs=1", 0, "");
    const int folder = open("run", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    ck_assert_int_eq(flock(folder, LOCK_EX), 0);
    command_expect(GO_ON "--epochs=2", 2, "run: another process is training in this folder");
    command_expect(NEW "--epochs=1 --overwrite", 2, "another process");
    ck_assert(exists("run/checkpoint.safetensors"));
    close(folder);
    command_expect(GO_ON "--epochs=2", 0, "");
    command_leave();
}
END_TEST

START_TEST(a_recipe_is_a_configuration)
{
    enter();
    command_expect(
        "train good.npy --recipe=imagenet-fb --arch=mlp --batch-size=32 --projector=32-16 --hidden-size=8 --epochs=20 "
        "--augmentation=vectors "
        "--max-time=0.01s --checkpoint-dir=run --no-evaluation --quiet",
        0, "");
    shell("grep -q '\"optimizer\": \"lars\"' run/config.json && grep -q '\"learning_rate_biases\": 0.0048' "
          "run/config.json");
    command_leave();
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("command on runs");
    TCase *tests = tcase_create("command on runs");
    tcase_add_test(tests, changed_epochs_are_said);
    tcase_add_test(tests, earlier_checkpoints_are_kept);
    tcase_add_test(tests, a_spoiled_checkpoint_has_an_earlier_one);
    tcase_add_test(tests, moved_data_are_said_and_used);
    tcase_add_test(tests, logs_go_on_at_the_checkpoint);
    tcase_add_test(tests, a_report_remembers_what_was_before);
    tcase_add_test(tests, a_collapse_is_said_once);
    tcase_add_test(tests, two_processes_do_not_share_a_folder);
    tcase_add_test(tests, a_recipe_is_a_configuration);
    suite_add_tcase(suite, tests);
    return test_run(suite);
}
