/* Runs whose calls fail one after the other, or that die between two of them, by the library of faults.c: a message, a
 * documented exit code, and a checkpoint from which the run ends with the bytes of one that nothing happened to.
 * GEMEL_COMMAND names the program, GEMEL_FAULTS the library; GEMEL_FAULTS_PART=I/N tries every N-th call from the I-th
 * on, so that 1/1 is all of them, instead of about as many as FEW_FAULTS of each kind. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "formats/npy.h"
#include "support/command.h"
#include "support/files.h"
#include "support/support.h"

enum { ROWS = 24, DIM = 8, OUTPUT = 8192, FEW_FAULTS = 40 };

#define RUN                                                                                                            \
    "train data.npy --checkpoint-dir=run --quiet --threads=1 --batch-size=8 --hidden-size=4 --projection-dim=4 "       \
    "--print-freq=2 --epochs=3 --keep=9 "
#define GO_ON "train run --resume --quiet --threads=1 --print-freq=2 "

static char output[OUTPUT];

static void set(const char *variable, const char *value)
{
    if (value)
        setenv(variable, value, 1);
    else
        unsetenv(variable);
}

static void cause(const void *fault)
{
    set("GEMEL_FAULT", fault);
    set("LD_PRELOAD", fault ? getenv("GEMEL_FAULTS") : NULL);
}

static pid_t start(const char *words, const char *fault)
{
    remove("reached");
    return command_spawn(words, cause, fault);
}

static int finish(pid_t child)
{
    return command_wait(child, output, sizeof output);
}

static void shell(const char *command)
{
    ck_assert_msg(system(command) == 0, "%s", command);
}

static void expect(const char *words, int code)
{
    const int actual = finish(start(words, NULL));
    ck_assert_msg(actual == code, "gemel %s: exit code %d instead of %d: %s", words, actual, code, output);
}

/* whole: a run of three epochs; half: the same behind the first of them. */
static void enter(void)
{
    float x[ROWS * DIM];
    gm_error error;
    command_enter();
    setenv("GEMEL_FAULT_REPORT", "reached", 1);
    test_random random = test_random_create(7);
    test_fill_normal(&random, x, ROWS * DIM, 0, 1);
    ck_assert_int_eq(gm_npy_write_f32("data.npy", ROWS, DIM, x, DIM, &error), GM_OK);
    expect(RUN, 0);
    shell("mv run whole && cp -r whole half && cd half && rm report.html results.txt backbone.safetensors && "
          "mv checkpoint-3.safetensors checkpoint.safetensors && rm checkpoint-?.safetensors");
}

/* After whatever happened: the run can be taken up, and ends as `whole` did. */
static void recover(const char *fault)
{
    int code = finish(start(GO_ON, NULL));
    const bool done = code == 2 && strstr(output, "all 3 epochs are done");
    if (code == 3) { /* it had not begun */
        ck_assert_msg(strstr(output, "run/config.json") || strstr(output, "no checkpoint; begin anew"), "%s: %s", fault,
                      output);
        code = finish(start(RUN "--overwrite", NULL));
    }
    ck_assert_msg(code == 0 || done, "%s: then, resumed: exit code %d: %s", fault, code, output);
    static const char *const files[] = {"checkpoint.safetensors", "backbone.safetensors", "config.json", "results.txt"};
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        char command[128];
        snprintf(command, sizeof command, "cmp whole/%s run/%s", files[i], files[i]);
        ck_assert_msg(system(command) == 0, "%s: %s differs", fault, files[i]);
    }
    ck_assert_int_eq(access("run/report.html", F_OK), 0);
}

typedef struct fault_case {
    const char *action, *calls, *no_links;
    bool from_the_start;
} fault_case;

static const fault_case cases[] = {
    {"fail", "disk", NULL, false}, {"fail", "disk", NULL, true},  {"fail", "memory", NULL, false},
    {"fail", "save", "1", false},  {"kill", "save", NULL, false}, {"kill", "save", NULL, true},
    {"kill", "save", "1", false},
};

/* The exit code of a run to whose call number `call` it happens. */
static int run_with_fault(const fault_case *c, long call, char fault[64])
{
    snprintf(fault, 64, "%s:%s:%ld", c->action, c->calls, call);
    shell(c->from_the_start ? "rm -rf run" : "rm -rf run && cp -r half run");
    return finish(start(c->from_the_start ? RUN : GO_ON, fault));
}

static long count_calls(const fault_case *c)
{
    char fault[64];
    long calls = 0;
    ck_assert_int_eq(run_with_fault(c, 1000000000, fault), 0);
    FILE *file = fopen("reached", "r");
    ck_assert_ptr_nonnull(file);
    ck_assert_int_eq(fscanf(file, "%ld", &calls), 1);
    fclose(file);
    ck_assert_int_gt(calls, 10);
    return calls;
}

static void choose_calls(long calls, long *first, long *stride)
{
    const char *part = getenv("GEMEL_FAULTS_PART");
    *first = 1;
    *stride = (calls + FEW_FAULTS - 1) / FEW_FAULTS;
    ck_assert(!part || (sscanf(part, "%ld/%ld", first, stride) == 2 && *first > 0 && *stride > 0));
}

/* Each call in turn, or every second, third … one. */
START_TEST(a_run_survives)
{
    const fault_case *c = &cases[_i];
    char fault[64];
    long first, stride;
    enter();
    set("GEMEL_FAULT_NO_LINKS", c->no_links);
    const long calls = count_calls(c);
    choose_calls(calls, &first, &stride);
    for (long call = first; call <= calls; call += stride) {
        const int code = run_with_fault(c, call, fault);
        ck_assert_msg(access("reached", F_OK) == 0, "%s: not reached", fault);
        if (c->action[0] == 'k')
            ck_assert_msg(code == 128 + SIGKILL, "%s: exit code %d", fault, code);
        else
            ck_assert_msg(code == 0 || ((code == 1 || code == 3) && strstr(output, "gemel train: ")),
                          "%s: exit code %d: %s", fault, code, output);
        recover(fault);
    }
    command_leave();
}
END_TEST

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

static double seconds(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
}

/* Where a step or a save takes long, the first signal waits for it and the second does not. */
START_TEST(a_second_signal_ends_at_once)
{
    enter();
    shell("cp -r half run");
    const pid_t child = start(GO_ON, "sleep:sync:8");
    ck_assert(wait_for("reached"));
    ck_assert_int_eq(kill(child, SIGINT), 0);
    const struct timespec pause = {0, 200000000};
    nanosleep(&pause, NULL);
    ck_assert_int_eq(waitpid(child, NULL, WNOHANG), 0);
    const double begin = seconds();
    ck_assert_int_eq(kill(child, SIGINT), 0);
    ck_assert_int_eq(finish(child), 130);
    ck_assert(seconds() - begin < 10);
    recover("two signals");
    command_leave();
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("faults");
    TCase *tests = tcase_create("faults");
    tcase_add_loop_test(tests, a_run_survives, 0, sizeof cases / sizeof *cases);
    tcase_add_test(tests, a_second_signal_ends_at_once);
    suite_add_tcase(suite, tests);
    return test_run(suite);
}
