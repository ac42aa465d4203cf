/* gemel evaluate from a run to a classifier, and what is wrong with its flags. GEMEL_COMMAND as in support/command.h.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "support/command.h"
#include "support/files.h"
#include "support/support.h"

#define SMALL "--arch=mlp --hidden-size=24 --projection-dim=16 --batch-size=256 --epochs=1 --no-evaluation --quiet "

static void enter(void)
{
    command_enter();
    command_expect("train synthetic " SMALL "--checkpoint-dir=run", 0, "");
}

static double number_behind(const char *text, const char *key)
{
    const char *at = strstr(text, key);
    ck_assert_msg(at != NULL, "no \"%s\" in: %s", key, text);
    return atof(at + strlen(key));
}

START_TEST(a_run_gets_its_classifier)
{
    char stats[COMMAND_OUTPUT], first[COMMAND_OUTPUT];
    test_read("run/stats.txt", stats, sizeof stats);
    ck_assert_ptr_null(strstr(stats, "acc1"));
    command_expect("evaluate synthetic run --weights finetune --train-percent 10 --epochs 3 --lr-classifier 0.1", 0,
                   "(raw features, linear probe ");
    ck_assert_ptr_nonnull(
        strstr(command_output, "finetune: 410 of 4096 training samples of synthetic with labels, 10 classes"));
    ck_assert_ptr_nonnull(strstr(command_output, "classifier: run/classifier.safetensors\n"));
    ck_assert_double_gt(number_behind(command_output, "\nfinetune "), 0.3); /* of 10 classes */
    strcpy(first, strstr(command_output, "\nfinetune "));
    test_read("run/stats.txt", stats, sizeof stats);
    const char *const lines[] = {
        "gemel evaluate synthetic run --weights finetune --train-percent 10 --epochs 3 --lr-classifier 0.1\n",
        "{\"epoch\": 0, \"acc1\": ", "{\"epoch\": 2, \"acc1\": ", ", \"best_acc5\": "};
    for (int i = 0; i < 4; i++)
        ck_assert_msg(strstr(stats, lines[i]) != NULL, "no %s in: %s", lines[i], stats);
    ck_assert_double_gt(number_behind(stats, "\"best_acc1\": "), 10.0); /* percent */
    command_expect(
        "evaluate synthetic run --weights finetune --train-percent 10 --epochs 3 --lr-classifier 0.1 --threads 3", 0,
        first);
    command_expect("knn synthetic run/classifier.safetensors", 0, "\nknn ");
    command_expect("train synthetic --resume --checkpoint-dir=run --epochs=2 --quiet --no-evaluation", 0, "");
    test_read("run/stats.txt", stats, sizeof stats);
    ck_assert_ptr_nonnull(strstr(stats, "\"acc1\"")); /* stays when a run goes on */
}
END_TEST

static int occurrences(const char *text, const char *part)
{
    int count = 0;
    for (; (text = strstr(text, part)); text += strlen(part))
        count++;
    return count;
}

/* 41 samples forward and backward are less than an eighth of 1024 in a test. */
START_TEST(few_labels_are_tested_on_less_often)
{
    const char *const finetune = "evaluate synthetic run --weights finetune --train-percent 1 --epochs 10 ";
    char words[256], stats[COMMAND_OUTPUT];
    command_expect(finetune, 0, "epoch 7/10  loss ");
    ck_assert_int_eq(occurrences(command_output, "  top 1 "), 2);
    ck_assert_ptr_nonnull(strstr(strstr(command_output, "epoch 9/10"), "  top 1 "));
    ck_assert_ptr_nonnull(strstr(strstr(command_output, "epoch 10/10"), "  top 1 "));
    test_read("run/stats.txt", stats, sizeof stats);
    ck_assert_int_eq(occurrences(stats, "\"acc1\""), 2);
    snprintf(words, sizeof words, "%s--eval-every 1", finetune);
    command_expect(words, 0, "\nfinetune ");
    ck_assert_int_eq(occurrences(command_output, "  top 1 "), 10);
}
END_TEST

START_TEST(a_frozen_encoder_stays_as_it_is)
{
    char before[COMMAND_OUTPUT], after[COMMAND_OUTPUT];
    command_expect(
        "evaluate synthetic run/backbone.safetensors --weights freeze --epochs 5 --labels-per-class 7 --quiet "
        "--checkpoint-dir there/head",
        0, "freeze ");
    ck_assert_ptr_null(strstr(command_output, "epoch 1/5"));
    ck_assert_int_eq(access("there/head/stats.txt", F_OK), 0);
    ck_assert_int_eq(access("run/classifier.safetensors", F_OK), -1);
    command_expect("embed synthetic run -o a.npy --quiet", 0, "");
    command_expect("embed synthetic there/head/classifier.safetensors -o b.npy --quiet", 0, "");
    test_read("a.npy", before, sizeof before);
    test_read("b.npy", after, sizeof after);
    ck_assert_int_eq(memcmp(before, after, sizeof before), 0);
}
END_TEST

START_TEST(the_probe_can_be_kept)
{
    command_expect("evaluate synthetic run --epochs=2 --labels-per-class=0 --save-head=probe.safetensors", 0,
                   "classifier: probe.safetensors\n");
    command_expect("evaluate synthetic run --train-percent=5 --epochs=2", 0,
                   "from 4096 training samples, 206 with labels:\n");
    ck_assert_int_eq(access("probe.safetensors", F_OK), 0);
    ck_assert_int_eq(access("run/classifier.safetensors", F_OK), -1); /* nobody asked for it */
}
END_TEST

static void shell(const char *line)
{
    ck_assert_msg(system(line) == 0, "%s", line);
}

/* They change nothing of the training, and a run that stopped goes on with them. */
START_TEST(accuracies_while_training)
{
    char text[COMMAND_OUTPUT];
    command_expect("train synthetic " SMALL "--epochs=4 --checkpoint-dir=unseen", 0, "");
    command_expect("train synthetic " SMALL "--epochs=4 --eval-every=2 --keep=9 --checkpoint-dir=seen", 0, "");
    shell("cmp unseen/checkpoint.safetensors seen/checkpoint.safetensors");
    test_read("seen/metrics.csv", text, sizeof text);
    double knn[2], linear[2];
    for (int i = 0; i < 4; i++) { /* the last two of a row's 14 columns are empty but for every second epoch */
        char row[8];
        snprintf(row, sizeof row, "\n%d,", i);
        const char *column = strstr(text, row);
        for (int commas = 0; commas < 12; commas++)
            column = strchr(column, ',') + 1;
        const int read = sscanf(column, "%lf,%lf", &knn[i / 2], &linear[i / 2]);
        ck_assert_int_eq(read == 2, i % 2);
        ck_assert(i % 2 == 0 || (knn[i / 2] > 0.2 && linear[i / 2] > 0.2)); /* of 10 classes */
    }
    test_read("seen/stats.txt", text, sizeof text);
    ck_assert_ptr_nonnull(strstr(text, "{\"epoch\": 1, \"step\": 32, \"knn\": "));
    ck_assert_double_eq_tol(number_behind(strstr(text, "\"step\": 64, \"knn\""), "\"acc1\": "), 100 * linear[1], 1e-3);

    shell("mkdir part && cp seen/config.json seen/stats.txt seen/metrics.csv part/");
    shell("cp seen/checkpoint-48.safetensors part/checkpoint.safetensors");
    command_expect("train part --resume --eval-every=2 --no-evaluation --quiet", 0, "");
    shell("cmp part/checkpoint.safetensors seen/checkpoint.safetensors");
    shell("cut -d, -f13,14 seen/metrics.csv >a; cut -d, -f13,14 part/metrics.csv >b; cmp a b");
    shell("grep acc1 seen/stats.txt >a; grep acc1 part/stats.txt >b; cmp a b; test $(wc -l <a) = 2");
    command_expect("train synthetic " SMALL "--eval-every=-1", 2, "--eval-every -1: expected a whole number from 0");
    command_expect("embed synthetic run -o bare.npy --quiet", 0, "");
    command_expect("train bare.npy " SMALL "--eval-every=1", 2,
                   "--eval-every: bare has no labels; give them with --labels FILE");
}
END_TEST

START_TEST(bad_flags_and_data)
{
    static const struct {
        const char *words;
        int code;
        const char *pattern;
    } cases[] = {
        {"--weights thaw", 2, "--weights thaw: expected freeze or finetune"},
        {"--weights", 2, "requires an argument"},
        {"--weights freeze --train-percent 0", 2, "--train-percent 0: expected a number above 0, up to 100"},
        {"--weights freeze --train-percent 101", 2, "--train-percent 101: expected a number above 0, up to 100"},
        {"--weights freeze --lr-classifier 0", 2, "--lr-classifier 0: expected a number above 0"},
        {"--weights freeze --lr-classifier fast", 2, "--lr-classifier fast: expected a number above 0"},
        {"--weights freeze --lr-backbone 0.1", 2, "the encoder is trained with --weights finetune only"},
        {"--lr-backbone 0.1", 2, "the encoder is trained with --weights finetune only"},
        {"--weights finetune --lr-backbone -1", 2, "--lr-backbone -1: expected a number from 0"},
        {"--weights finetune --weight-decay x", 2, "--weight-decay x: expected a number from 0"},
        {"--weights finetune --epochs 0", 2, "--epochs 0: expected a whole number from 1"},
        {"--weights finetune --batch-size 1", 2, "batch norm needs two samples"},
        {"--weights finetune --augment maybe", 2, "--augment maybe: expected no or yes"},
        {"--weights finetune --labels-per-class 3 --train-percent 1", 2, "give one of them"},
        {"--checkpoint-dir there", 2, "--checkpoint-dir needs --weights"},
        {"--augment no", 2, "--augment needs --weights"},
        {"--eval-every 2", 2, "--eval-every needs --weights"},
        {"--weights finetune --eval-every 0", 2, "--eval-every 0: expected a whole number from 1"},
        {"--weights finetune --lr-classifier 1e30 --epochs 2 --train-percent 5", 4, "lower --lr-classifier"},
        {"--weights freeze --epochs 1 --checkpoint-dir run/config.json", 1, "run/config.json"},
        {"--weights freeze --epochs 1 --save-head no/where.safetensors --train-percent 1", 1, "no/where.safetensors"},
        {"--save-head no/where.safetensors --epochs 1", 1, "no/where.safetensors"},
        {"--k 0", 2, "--k 0: expected a whole number from 1"},
        {"--temperature 0", 2, "--temperature 0: expected a number above 0"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char words[256];
        snprintf(words, sizeof words, "evaluate synthetic run %s", cases[i].words);
        command_expect(words, cases[i].code, cases[i].pattern);
    }
    command_expect("embed synthetic run -o bare.npy --quiet", 0, "");
    command_expect("evaluate bare.npy run --weights freeze", 3, "bare has no labels; give them with --labels FILE");
    command_expect("evaluate synthetic absent --weights freeze", 3, "absent");
    command_expect("evaluate --help", 0, "--train-percent=P");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("command_evaluate");
    TCase *cases = tcase_create("command_evaluate");
    tcase_add_checked_fixture(cases, enter, command_leave);
    tcase_set_timeout(cases, 60);
    tcase_add_test(cases, a_run_gets_its_classifier);
    tcase_add_test(cases, few_labels_are_tested_on_less_often);
    tcase_add_test(cases, a_frozen_encoder_stays_as_it_is);
    tcase_add_test(cases, the_probe_can_be_kept);
    tcase_add_test(cases, accuracies_while_training);
    tcase_add_test(cases, bad_flags_and_data);
    suite_add_tcase(suite, cases);
    return test_run(suite);
}
