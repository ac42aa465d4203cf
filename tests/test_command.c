/* The built command, as people run it: exit codes, messages, files. GEMEL_COMMAND as in support/command.h. */
#include <dirent.h>
#include <fcntl.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "formats/safetensors.h"
#include "support/command.h"
#include "support/files.h"
#include "support/support.h"

enum { ROWS = 96, DIM = 24, OUTPUT = 16384 };

static void put_npy(const char *path, const char *type, const char *shape, const void *data, size_t size)
{
    char bytes[128 + sizeof(float) * ROWS * DIM], fields[96];
    snprintf(fields, sizeof fields, "{'descr': '%s', 'fortran_order': False, 'shape': %s, }", type, shape);
    memcpy(bytes, "\x93NUMPY\x01\x00\x76\x00", 10);
    snprintf(bytes + 10, 119, "%-117s\n", fields);
    memcpy(bytes + 128, data, size);
    test_write(path, bytes, 128 + size);
}

/* A small MNIST: images of 8 x 8 noise in two classes, files plain or as .gz. */
static void put_images(const char *folder, unsigned char kind_of_magic)
{
    test_random random = test_random_create(2);
    unsigned char images[16 + 64 * ROWS] = {0, 0, 8, kind_of_magic, 0, 0, 0, ROWS, 0, 0, 0, 8, 0, 0, 0, 8};
    unsigned char labels[8 + ROWS] = {0, 0, 8, 1, 0, 0, 0, ROWS};
    for (int i = 0; i < 64 * ROWS; i++)
        images[16 + i] = (unsigned char)(128 * test_random_uniform(&random) + 100 * (i / 64 % 2));
    for (int i = 0; i < ROWS; i++)
        labels[8 + i] = (unsigned char)(i % 2);
    static const char *const names[] = {"train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte",
                                        "t10k-labels-idx1-ubyte"};
    mkdir(folder, 0777);
    for (int i = 0; i < 4; i++) {
        char path[128];
        snprintf(path, sizeof path, "%s/%s.gz", folder, names[i]);
        test_write_gzip(path, i % 2 ? labels : images, i % 2 ? sizeof labels : sizeof images);
    }
}

static void cut_in_half(const char *path)
{
    struct stat about;
    ck_assert_int_eq(stat(path, &about), 0);
    ck_assert_int_eq(truncate(path, about.st_size / 2), 0);
}

static void enter(void)
{
    command_enter();
    test_random random = test_random_create(1);
    float x[ROWS * DIM];
    test_fill_normal(&random, x, ROWS * DIM, 0, 1);
    put_npy("good.npy", "<f4", "(96, 24)", x, sizeof x);
    put_npy("one.npy", "<f4", "(1, 24)", x, sizeof(float) * DIM);
    put_npy("flat.npy", "<f4", "(2304,)", x, sizeof x);
    put_npy("objects.npy", "|O", "(96, 24)", x, sizeof x);
    put_npy("short.npy", "<f4", "(96, 24)", x, sizeof x / 2);
    x[40 * DIM + 3] = NAN;
    put_npy("nan.npy", "<f4", "(96, 24)", x, sizeof x);
    put_images("images", 3);
    put_images("magic", 4);
    put_images("cut", 3);
    cut_in_half("cut/train-images-idx3-ubyte.gz");
    mkdir("empty", 0777);
    mkdir("occupied", 0777);
    test_write("occupied/letter.txt", "mine", 4);
    test_write("broken.json", "{\"epochs\": ", 11);
    test_write("unknown.json", "{\"epochs\": 2, \"momentums\": 1}", 29);
    test_write("far.json", "{\"data\": \"good.npy\", \"batch_size\": 4096}", 40);
}

static int gemel(const char *words, char output[OUTPUT])
{
    return command_wait(command_spawn(words, NULL, NULL), output, OUTPUT);
}

static const struct {
    const char *words, *variable, *value;
    int code;
    const char *message;
} usage_cases[] = {
    {"", 0, 0, 2, "Usage: gemel COMMAND"},
    {"frobnicate", 0, 0, 2, "no command 'frobnicate'"},
    {"--help", 0, 0, 0, "train an encoder"},
    {"--version", 0, 0, 0, "gemel 0."},
    {"info", 0, 0, 0, "isa: "},
    {"info", "GEMEL_ISA", "scalar", 0, "isa: scalar"},
    {"info", "GEMEL_ISA", "avx9", 2, "available here: scalar"},
    {"info --isa=avx9", 0, 0, 2, "available: scalar"},
    {"info --threads=0", 0, 0, 2, "--threads 0: not a number from 1"},
    {"info", "OMP_NUM_THREADS", "none", 2, "OMP_NUM_THREADS=none"},
    {"info", "GEMEL_THREADING", "pool", 0, "threading: pool"},
    {"info", "GEMEL_THREADING", "serial", 0, "threads: 1 (from: serial)"},
    {"info", "GEMEL_THREADING", "fibres", 2, "GEMEL_THREADING=fibres: no such threading; available here: pool, "},
    {"info now", 0, 0, 3, "now: cannot open: No such file or directory"},
    {"bench resnet9", 0, 0, 2, "resnet9: nothing to time by that name"},
    {"bench conv --size=2", 0, 0, 2, "cannot build conv for 64 images of 2 x 2"},
    {"bench conv --size=8 --channels=1 --batch-size=2", 0, 0, 0, "\n  convolution        3 "},
    {"bench conv --size=8 --channels=1 --batch-size=2 --conv-width=3", 0, 0, 0, "conv of width 3, 2 images"},
    {"bench conv --conv-width=0", 0, 0, 2, "--conv-width 0: expected a number from 1"},
    {"train --help", 0, 0, 0, "photographs    resnet18"},
    {"train", 0, 0, 2, "gemel train fashion-mnist"},
    {"train good.npy --frobnicate", 0, 0, 2, "unrecognized option"},
    {"train good.npy one.npy", 0, 0, 2, "one.npy is too much"},
    {"train good.npy --epochs=many", 0, 0, 2, "--epochs many: expected a whole number"},
    {"train good.npy --batch-size=1", 0, 0, 2, "--batch-size 1: expected a whole number from 2"},
    {"train good.npy --arch=resnet50", 0, 0, 2, "takes images"},
    {"train good.npy --max-time=soon", 0, 0, 2, "--max-time soon"},
    {"train good.npy --matrix=maybe", 0, 0, 2, "auto, on or off"},
    {"augment", 0, 0, 2, "the data set is missing"},
    {"augment good.npy images", 0, 0, 2, "one data set at a time"},
    {"augment good.npy", 0, 0, 0, "augmentation: vectors\n"},
    {"augment images --augmentation=imagenet --blur-probability-2=0.3", 0, 0, 0, "blur-probability-2: 0.3\n"},
    {"augment good.npy --preview=sheet.png", 0, 0, 2, "holds vectors"},
    {"augment images --preview=sheet.png --samples=5 --pairs=2", 0, 0, 0, "5 images, 2 pairs"},
    {"augment images --preview=sheet.png --samples=0", 0, 0, 2, "--samples 0: expected a whole number from 1"},
    {"augment images --preview=absent/sheet.png", 0, 0, 1, "absent/sheet.png"},
    {"augment absent --preview=sheet.png", 0, 0, 3, "absent"},
    {"train good.npy --augmentation=moco --dry-run", 0, 0, 2, "moco"},
    {"train good.npy --threads=0", 0, 0, 2, "--threads 0"},
    {"train good.npy", "GEMEL_ISA", "avx9", 2, "GEMEL_ISA=avx9: no such instruction set; available here: scalar"},
    {"train good.npy --batch-size=32 --micro-batch=33", 0, 0, 2, "micro-batch 33: more than the 32 samples"},
    {"train good.npy --compat=fb --world-size=0", 0, 0, 2, "--world-size 0: expected a whole number from 1"},
    {"train good.npy --batch-size=97", 0, 0, 2, "96 training rows; pass --batch-size 96 or less"},
    {"train --config=far.json", 0, 0, 2, "batch-size 4096: the data set has 96"},
    {"train good.npy --batch-size=32 --checkpoint-dir=occupied", 0, 0, 2, "occupied: this folder is not empty"},
    {"train good.npy --config=broken.json", 0, 0, 3, "broken.json: line 1"},
    {"train good.npy --config=unknown.json", 0, 0, 3, "unknown key \"momentums\""},
    {"train good.npy --config=absent.json", 0, 0, 3, "absent.json: cannot open: No such file or directory; check"},
    {"train absent.npy", 0, 0, 3, "absent.npy"},
    {"train nonsense", 0, 0, 3, "nonsense"},
    {"train one.npy", 0, 0, 3, "one.npy: 1 training row"},
    {"train flat.npy", 0, 0, 3, "flat.npy: has shape"},
    {"train objects.npy", 0, 0, 3, "objects.npy: holds objects"},
    {"train short.npy", 0, 0, 3, "short.npy"},
    {"train empty", 0, 0, 3, "train-images-idx3-ubyte"},
    {"train cut", 0, 0, 3, "cut/train-images-idx3-ubyte.gz"},
    {"train magic", 0, 0, 3, "magic/train-images-idx3-ubyte.gz"},
    {"train good.npy --batch-size=32 --checkpoint-dir=/proc/run", 0, 0, 1, "/proc/run"},
    {"train good.npy --batch-size=32 --checkpoint-dir=good.npy/run", 0, 0, 1, "good.npy/run"},
    {"train good.npy --workers=-1", 0, 0, 2, "--workers -1: expected a whole number from 0"},
    {"train good.npy --keep=-1", 0, 0, 2, "--keep -1: expected a whole number from 0"},
    {"train good.npy --recipe=imagenet", 0, 0, 2,
     "--recipe imagenet: no recipe of this name; there are: cifar10-resnet18, "},
    {"train good.npy --recipe=imagenet-fb", 0, 0, 2, "arch resnet50: takes images"},
    {"train good.npy --recipe=imagenet-fb --config=far.json", 0, 0, 2, "--config and --recipe: give one of them"},
    {"train images --recipe=imagenet-fb", 0, 0, 2, "batch-size 2048: the data set has 96"},
    {"train --resume", 0, 0, 2, "--resume takes the folder of one run"},
    {"train absent --resume", 0, 0, 3, "absent/config.json: cannot open: No such file or directory; check the path\n"},
    {"train good.npy --warmup-epochs=50", 0, 0, 2, "more than the 10 epochs; lower it or raise epochs"},
    {"train good.npy --batch-size=32 --init=absent.pth", 0, 0, 3, "absent.pth"},
    {"train good.npy --batch-size=32 --init=good.npy", 0, 0, 3, "good.npy: neither a safetensors file"},
    {"train good.npy --batch-size=32 --init=images", 0, 0, 3, "images"},
    {"embed", 0, 0, 2, "the data set is missing"},
    {"embed good.npy", 0, 0, 2, "the run folder or weights file is missing"},
    {"embed good.npy run", 0, 0, 2, "--output is missing"},
    {"embed good.npy absent -o x.npy", 0, 0, 3, "absent"},
    {"convert", 0, 0, 2, "the run folder or weights file is missing"},
    {"convert absent", 0, 0, 2, "the file to write is missing"},
    {"convert good.npy a.tflite", 0, 0, 2, "a.tflite: the name must end in .safetensors, .pth or .onnx"},
    {"convert absent a.pth", 0, 0, 3, "absent"},
    {"convert good.npy a.pth", 0, 0, 3, "good.npy: neither a safetensors file"},
    {"evaluate", 0, 0, 2, "the data set is missing"},
    {"knn good.npy", 0, 0, 2, "the run folder or weights file is missing"},
    {"knn good.npy run more", 0, 0, 2, "more is too much"},
    {"knn good.npy absent", 0, 0, 3, "absent"},
    {"knn good.npy objects.npy", 0, 0, 3, "objects.npy"},
    {"knn absent.npy absent", 0, 0, 3, "absent: cannot open"},
    {"knn good.npy absent --k=0", 0, 0, 2, "--k 0: expected a whole number from 1"},
    {"knn good.npy absent --epochs=3", 0, 0, 2, "unrecognized option"},
    {"evaluate good.npy absent --temperature=0", 0, 0, 2, "--temperature 0: expected a number above 0"},
    {"evaluate good.npy absent --labels-per-class=-1", 0, 0, 2, "--labels-per-class -1"},
    {"evaluate good.npy absent --lr-classifier=nan", 0, 0, 2, "--lr-classifier nan"},
    {"evaluate good.npy absent --val-split=2", 0, 0, 2, "--val-split 2: expected a number from 0 to 0.95"},
    {"train good.npy --batch-size=32 --dry-run", 0, 0, 0, "parameters: "},
};

START_TEST(usage_and_bad_input)
{
    char output[OUTPUT];
    enter();
    if (usage_cases[_i].variable)
        setenv(usage_cases[_i].variable, usage_cases[_i].value, 1);
    const int code = gemel(usage_cases[_i].words, output);
    ck_assert_msg(code == usage_cases[_i].code && strstr(output, usage_cases[_i].message),
                  "gemel %s: exit code %d instead of %d, or no \"%s\" in: %s", usage_cases[_i].words, code,
                  usage_cases[_i].code, usage_cases[_i].message, output);
    ck_assert_msg(access("runs", F_OK) == -1, "gemel %s made a folder", usage_cases[_i].words);
    command_leave();
}
END_TEST

#define SMALL "--batch-size=32 --hidden-size=32 --projection-dim=48 --no-evaluation"

static void train_into(const char *folder, const char *words)
{
    char command[1024], output[OUTPUT];
    snprintf(command, sizeof command, "train %s --checkpoint-dir=%s", words, folder);
    const int code = gemel(command, output);
    ck_assert_msg(code == 0, "gemel %s: exit code %d: %s", command, code, output);
}

/* Same seed and instruction set: same bytes for any number of threads, again, and from the run's own config.json. */
START_TEST(runs_repeat_bit_for_bit)
{
    static const char *const runs[] = {"good.npy --arch=axon", "good.npy --arch=mlp --optimizer=lars",
                                       "images --arch=conv --micro-batch=10", "images --arch=axon --optimizer=sgd"};
    char words[512];
    enter();
    snprintf(words, sizeof words, "%s " SMALL " --epochs=3 --seed=5 --threads=1", runs[_i]);
    train_into("first", words);
    train_into("again", words);
    snprintf(words, sizeof words, "%s " SMALL " --epochs=3 --seed=5 --threads=2", runs[_i]);
    train_into("two", words);
    train_into("copy", "--config=first/config.json --no-evaluation --threads=2");
    snprintf(words, sizeof words, "%s " SMALL " --epochs=3 --seed=6", runs[_i]);
    train_into("other", words);
    static const char *const copies[] = {"again", "two", "copy"};
    for (int i = 0; i < 3; i++) {
        char path[64];
        snprintf(path, sizeof path, "%s/backbone.safetensors", copies[i]);
        ck_assert_msg(test_same_files("first/backbone.safetensors", path), "%s", path);
        snprintf(path, sizeof path, "%s/checkpoint.safetensors", copies[i]);
        ck_assert_msg(test_same_files("first/checkpoint.safetensors", path), "%s", path);
    }
    ck_assert(!test_same_files("first/backbone.safetensors", "other/backbone.safetensors"));
    command_leave();
}
END_TEST

START_TEST(a_run_leaves_its_files)
{
    char output[OUTPUT];
    enter();
    ck_assert_int_eq(gemel("train good.npy --batch-size=32 --epochs=4 --print-freq=2 --matrix=on --no-evaluation "
                           "--quiet",
                           output),
                     0);
    ck_assert_str_eq(output, "checkpoint: runs/good-1/checkpoint.safetensors\n"
                             "backbone: runs/good-1/backbone.safetensors\n");
    test_read("runs/good-1/config.json", output, sizeof output);
    ck_assert_ptr_nonnull(strstr(output, "\"arch\": \"axon\""));
    test_read("runs/good-1/stats.txt", output, sizeof output);
    ck_assert(!strncmp(output, "gemel train good.npy --batch-size=32", 36));
    ck_assert_ptr_nonnull(strstr(output, "\n{\"epoch\": 3, \"step\": 10, \"lr_weights\": "));
    test_read("runs/good-1/metrics.csv", output, sizeof output);
    ck_assert_ptr_nonnull(strstr(output, "\n3,12,"));
    double rank = 0;
    sscanf(strstr(output, "\n3,12,"), "\n3,12,%*f,%*f,%*f,%*f,%*f,%*f,%*f,%*f,%*d,%lf,,", &rank);
    ck_assert_msg(rank > 1 && rank <= 31, "effective rank %g of a batch of 32", rank);
    gm_error error = {GM_OK, ""};
    gm_safetensors *file;
    ck_assert_msg(gm_safetensors_open("runs/good-1/checkpoint.safetensors", &file, &error) == GM_OK, "%s",
                  error.message);
    ck_assert_str_eq(gm_safetensors_metadata(file, "step"), "12");
    ck_assert_str_eq(gm_safetensors_metadata(file, "epoch"), "4");
    gm_safetensors_close(file);
    ck_assert_int_eq(gm_safetensors_open("runs/good-1/checkpoint-9.safetensors", &file, &error), GM_OK);
    ck_assert_str_eq(gm_safetensors_metadata(file, "step"), "9");
    gm_safetensors_close(file);
    ck_assert_int_eq(gemel("train good.npy " SMALL " --epochs=1 --matrix=on", output), 0);
    ck_assert_ptr_nonnull(strstr(output, "epoch 1/1  step 3/3 100%  loss "));
    ck_assert_ptr_nonnull(strstr(output, "cross-correlation of the two views"));
    ck_assert_ptr_nonnull(strstr(output, "backbone: runs/good-2/"));
    ck_assert_ptr_null(strchr(output, '\033'));
    command_leave();
}
END_TEST

/* The text from its last `lines` lines on. */
static const char *last_lines(const char *text, int lines)
{
    const char *at = text + strlen(text);
    while (at > text && (at == text + strlen(text) || at[-1] != '\n' || --lines > 0))
        at--;
    return at;
}

START_TEST(a_run_is_measured_beside_its_pixels)
{
    static const char small[] = "--arch=mlp --batch-size=32 --hidden-size=32 --projection-dim=48 --epochs=2";
    char words[256], output[OUTPUT], again[OUTPUT];
    enter();
    snprintf(words, sizeof words, "train images %s --checkpoint-dir=run", small);
    ck_assert_int_eq(gemel(words, output), 0);
    ck_assert_ptr_nonnull(strstr(output, "\nreport: run/report.html\n"));
    double accuracies[4];
    const char *results = last_lines(output, 2);
    ck_assert_msg(sscanf(results, "knn %lf (raw pixels %lf)\nlinear %lf (raw pixels %lf)", &accuracies[0],
                         &accuracies[1], &accuracies[2], &accuracies[3]) == 4,
                  "%s", output);
    /* Classes of different brightness: their pixels point the same way, so cosine cannot tell them apart. */
    ck_assert_msg(accuracies[0] > 0.9 && accuracies[1] < 0.7 && accuracies[2] > 0.9 && accuracies[3] > 0.9, "%s",
                  results);
    ck_assert(access("run/report.html", R_OK) == 0 && access("run/correlation.png", R_OK) == 0);
    char written[256] = "";
    FILE *file = fopen("run/results.txt", "r");
    ck_assert_ptr_nonnull(file);
    ck_assert_uint_gt(fread(written, 1, sizeof written - 1, file), 0);
    fclose(file);
    ck_assert_str_eq(written, results);

    ck_assert_int_eq(gemel("evaluate images run", again), 0);
    ck_assert_str_eq(last_lines(again, 2), results);
    ck_assert_int_eq(gemel("knn images run/backbone.safetensors --quiet", again), 0);
    ck_assert_msg(!strncmp(again, results, strlen(again)) && !strncmp(again, "knn ", 4), "%s", again);
    ck_assert_int_eq(gemel("knn good.npy run", again), 3);
    ck_assert_ptr_nonnull(strstr(again, "run takes samples of 64 numbers, but those of good have 24"));
    command_leave();
}
END_TEST

START_TEST(vectors_without_labels_get_a_report)
{
    char output[OUTPUT];
    enter();
    ck_assert_int_eq(gemel("train good.npy --batch-size=32 --epochs=1 --checkpoint-dir=run", output), 0);
    ck_assert_ptr_nonnull(strstr(output, "No accuracies: good has no labels; give them with --labels"));
    ck_assert_str_eq(last_lines(output, 1), "report: run/report.html\n");
    ck_assert_int_eq(access("run/report.html", R_OK), 0);
    command_leave();
}
END_TEST

/* The split of the run holds for its evaluation, so that no row that was trained on is tested on. */
START_TEST(vectors_are_measured_on_the_split_of_their_run)
{
    char output[OUTPUT], again[OUTPUT];
    int64_t labels[ROWS];
    enter();
    for (int i = 0; i < ROWS; i++)
        labels[i] = i % 3;
    put_npy("labels.npy", "<i8", "(96,)", labels, sizeof labels);
    ck_assert_int_eq(gemel("train good.npy --labels=labels.npy --val-split=0.25 --seed=4 --batch-size=32 --epochs=1 "
                           "--checkpoint-dir=run",
                           output),
                     0);
    ck_assert_ptr_nonnull(strstr(output, "Accuracies on 24 test samples of good, features of "));
    ck_assert_int_eq(gemel("knn good.npy run", again), 0);
    ck_assert_ptr_nonnull(strstr(again, "Accuracies on 24 test samples"));
    ck_assert_int_eq(strncmp(last_lines(output, 2), last_lines(again, 1), strlen(last_lines(again, 1))), 0);
    ck_assert_ptr_nonnull(strstr(last_lines(again, 1), "(raw features 0."));
    command_leave();
}
END_TEST

START_TEST(nan_in_the_input_ends_the_run_and_keeps_the_checkpoint)
{
    char output[OUTPUT];
    enter();
    ck_assert_int_eq(gemel("train nan.npy " SMALL " --epochs=9 --checkpoint-dir=run", output), 4);
    ck_assert_ptr_nonnull(strstr(output, "training row 40 holds NaN"));
    ck_assert_ptr_nonnull(strstr(output, "the last good checkpoint is run/checkpoint.safetensors (step 0)"));
    gm_error error = {GM_OK, ""};
    gm_safetensors *file;
    ck_assert_int_eq(gm_safetensors_open("run/checkpoint.safetensors", &file, &error), GM_OK);
    gm_safetensors_close(file);
    command_leave();
}
END_TEST

START_TEST(a_rate_too_high_ends_the_run)
{
    char output[OUTPUT];
    enter();
    ck_assert_int_eq(gemel("train good.npy " SMALL
                           " --optimizer=sgd --learning-rate=1e6 --scale-loss=1e12 --epochs=50 --warmup-epochs=0 "
                           "--checkpoint-dir=run",
                           output),
                     4);
    ck_assert_ptr_nonnull(strstr(output, "NaN or infinity; lower the learning rate"));
    command_leave();
}
END_TEST

static bool ends_with(const char *text, const char *end)
{
    return strlen(text) >= strlen(end) && !strcmp(text + strlen(text) - strlen(end), end);
}

static bool wait_for(const char *path)
{
    for (int i = 0; i < 1000; i++) {
        if (!access(path, F_OK))
            return true;
        const struct timespec pause = {0, 10000000};
        nanosleep(&pause, NULL);
    }
    return false;
}

/* A file that may not grow is what a full disk looks like from here. */
static void fill_disk(const void *most_bytes)
{
    const rlim_t most = *(const rlim_t *)most_bytes;
    const struct rlimit limit = {most, most};
    signal(SIGXFSZ, SIG_IGN);
    setrlimit(RLIMIT_FSIZE, &limit);
}

static void print_to(const void *path)
{
    dup2(open(path, O_WRONLY), STDOUT_FILENO);
}

START_TEST(a_full_disk_is_reported)
{
    const rlim_t most_bytes = 8192;
    char output[OUTPUT];
    enter();
    const pid_t child = command_spawn("train good.npy " SMALL " --checkpoint-dir=run", fill_disk, &most_bytes);
    ck_assert_int_eq(command_wait(child, output, OUTPUT), 1);
    ck_assert_ptr_nonnull(strstr(output, "run/checkpoint.safetensors"));
    DIR *folder = opendir("run");
    for (struct dirent *entry = readdir(folder); entry; entry = readdir(folder))
        ck_assert_msg(!ends_with(entry->d_name, ".safetensors") && !ends_with(entry->d_name, ".tmp"), "%s",
                      entry->d_name);
    closedir(folder);
    ck_assert_int_eq(command_wait(command_spawn("info", print_to, "/dev/full"), output, OUTPUT), 1);
    ck_assert_ptr_nonnull(strstr(output, "standard output"));
    command_leave();
}
END_TEST

START_TEST(a_disk_that_fills_up_keeps_the_last_checkpoint)
{
    const struct rlimit limit = {8192, 8192};
    const rlim_t not_yet = RLIM_INFINITY;
    char output[OUTPUT];
    enter();
    const pid_t child =
        command_spawn("train good.npy " SMALL " --epochs=8000000 --quiet --checkpoint-dir=run", fill_disk, &not_yet);
    ck_assert(wait_for("run/backbone.safetensors"));
    ck_assert_int_eq(prlimit(child, RLIMIT_FSIZE, &limit, NULL), 0);
    ck_assert_int_eq(command_wait(child, output, OUTPUT), 1);
    ck_assert_ptr_nonnull(strstr(output, "gemel train: run/"));
    gm_error error = {GM_OK, ""};
    gm_safetensors *file;
    ck_assert_msg(gm_safetensors_open("run/checkpoint.safetensors", &file, &error) == GM_OK, "%s", error.message);
    gm_safetensors_close(file);
    command_leave();
}
END_TEST

START_TEST(signals_save_and_stop)
{
    const struct {
        int number, code;
    } cases[] = {{SIGINT, 130}, {SIGTERM, 143}};
    char output[OUTPUT];
    enter();
    const pid_t child = command_spawn(
        "train good.npy " SMALL " --epochs=8000000 --save-every=1000000 --quiet --checkpoint-dir=run", NULL, NULL);
    ck_assert(wait_for("run/checkpoint.safetensors"));
    ck_assert_int_eq(kill(child, cases[_i].number), 0);
    ck_assert_int_eq(command_wait(child, output, OUTPUT), cases[_i].code);
    ck_assert_ptr_nonnull(strstr(output, "everything up to there is saved in run"));
    ck_assert_int_eq(access("run/backbone.safetensors", F_OK), 0);
    command_leave();
}
END_TEST

/* Stopped wherever the time runs out, resumed with another number of threads: the same bytes at the end. */
START_TEST(a_resumed_run_ends_as_if_never_stopped)
{
    static const char *const runs[] = {"good.npy --arch=axon --optimizer=adam",
                                       "images --arch=mlp --optimizer=lars --micro-batch=12 "
                                       "--compat=fb --world-size=8"};
    char words[512], output[OUTPUT];
    enter();
    snprintf(words, sizeof words, "%s " SMALL " --epochs=40 --save-every=100 --quiet", runs[_i]);
    train_into("whole", words);
    train_into("run", strcat(words, " --threads=1 --max-time=0.001s"));
    ck_assert(!test_same_files("whole/checkpoint.safetensors", "run/checkpoint.safetensors"));
    ck_assert_int_eq(gemel("train run --resume --no-evaluation --seed=3", output), 2);
    ck_assert_ptr_nonnull(strstr(output, "--seed: a resumed run keeps its settings"));
    while (gemel("train run --resume --no-evaluation --quiet --save-every=100 --threads=2 --workers=2 --max-time=0.05s",
                 output) == 0)
        continue;
    ck_assert_msg(strstr(output, "all 40 epochs are done; pass --epochs"), "%s", output);
    ck_assert(test_same_files("whole/checkpoint.safetensors", "run/checkpoint.safetensors"));
    ck_assert(test_same_files("whole/backbone.safetensors", "run/backbone.safetensors"));
    ck_assert(test_same_files("whole/config.json", "run/config.json"));
    ck_assert_int_eq(gemel("train run --resume --no-evaluation --quiet --epochs=42", output), 0);
    command_leave();
}
END_TEST

START_TEST(another_instruction_set_is_told_when_a_run_goes_on)
{
    char output[OUTPUT];
    gm_isa isas[GM_ISA_COUNT];
    const char *newest = gm_isa_name(isas[test_isas(isas) - 1]);
    enter();
    train_into("run", "good.npy " SMALL " --epochs=1 --quiet --isa=scalar");
    ck_assert_int_eq(gemel("train run --resume --no-evaluation --quiet --epochs=2 --isa=scalar", output), 0);
    ck_assert_ptr_null(strstr(output, "written with"));
    char words[128];
    snprintf(words, sizeof words, "train run --resume --no-evaluation --quiet --epochs=3 --isa=%s", newest);
    ck_assert_int_eq(gemel(words, output), 0);
    ck_assert(!strstr(output, "written with scalar") == !strcmp(newest, "scalar"));
    command_leave();
}
END_TEST

static const char *behind(const char *text, const char *words)
{
    const char *found = strstr(text, words);
    ck_assert_msg(found != NULL, "no \"%s\" in: %s", words, text);
    return found + strlen(words);
}

START_TEST(a_dry_run_estimates_memory_and_time)
{
    char output[OUTPUT];
    enter();
    ck_assert_int_eq(gemel("train good.npy --batch-size=32 --epochs=50 --dry-run", output), 0);
    double model, optimizer, batch, workspace, data, all, evaluated, step, seconds;
    ck_assert_int_eq(sscanf(behind(output, "memory: model"),
                            "%lf MiB, optimiser %lf MiB, batch %lf MiB, workspace %lf MiB, data %lf MiB\n"
                            "memory: %lf MiB in all, %lf",
                            &model, &optimizer, &batch, &workspace, &data, &all, &evaluated),
                     7);
    ck_assert(fabs(model + optimizer + batch + workspace + data - all) <= 0.3);
    ck_assert(evaluated > all);
    ck_assert_ptr_nonnull(strstr(output, "steps: 50 epochs x 3 = 150"));
    ck_assert_int_eq(sscanf(behind(output, "time:"), "%lf ms a step (the median of %*d), %lf", &step, &seconds), 2);
    ck_assert(step > 0);
    ck_assert_msg(strstr(output, " min ") ||
                      fabs(seconds - 0.15 * step) <= (seconds < 10 ? 0.05 : 0.5) + 0.02 * seconds,
                  "%s", output);
    ck_assert_int_eq(gemel("train nan.npy --batch-size=96 --dry-run", output), 4); /* in its first step */
    ck_assert_ptr_nonnull(strstr(output, "correct or remove it"));
    command_leave();
}
END_TEST

START_TEST(time_can_be_limited)
{
    enter();
    train_into("run", "good.npy " SMALL " --epochs=8000000 --max-time=0.3s --save-every=1000000 --quiet");
    ck_assert_int_eq(access("run/backbone.safetensors", F_OK), 0);
    command_leave();
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("command");
    TCase *tests = tcase_create("command");
    tcase_add_loop_test(tests, usage_and_bad_input, 0, sizeof usage_cases / sizeof *usage_cases);
    tcase_add_loop_test(tests, runs_repeat_bit_for_bit, 0, 4);
    tcase_add_test(tests, a_run_leaves_its_files);
    tcase_add_test(tests, a_run_is_measured_beside_its_pixels);
    tcase_add_test(tests, vectors_without_labels_get_a_report);
    tcase_add_test(tests, vectors_are_measured_on_the_split_of_their_run);
    tcase_add_test(tests, nan_in_the_input_ends_the_run_and_keeps_the_checkpoint);
    tcase_add_test(tests, a_rate_too_high_ends_the_run);
    tcase_add_test(tests, a_full_disk_is_reported);
    tcase_add_test(tests, a_disk_that_fills_up_keeps_the_last_checkpoint);
    tcase_add_loop_test(tests, signals_save_and_stop, 0, 2);
    tcase_add_loop_test(tests, a_resumed_run_ends_as_if_never_stopped, 0, 2);
    tcase_add_test(tests, another_instruction_set_is_told_when_a_run_goes_on);
    tcase_add_test(tests, a_dry_run_estimates_memory_and_time);
    tcase_add_test(tests, time_can_be_limited);
    suite_add_tcase(suite, tests);
    return test_run(suite);
}
