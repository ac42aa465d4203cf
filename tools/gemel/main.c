/* gemel: trains and evaluates Barlow Twins models on the command line. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <gemel/version.h>

#include "command.h"
#include "signals.h"

static const struct {
    const char *name, *summary;
    gm_status (*run)(int argc, char **argv, gm_error *error);
} commands[] = {
    {"train", "train an encoder on two views of every sample", gm_command_train},
    {"augment", "show the random views of the samples that training sees", gm_command_augment},
    {"evaluate", "measure a run's features by linear classifier and nearest neighbours", gm_command_evaluate},
    {"knn", "measure a run's features by nearest neighbours alone", gm_command_knn},
    {"embed", "write a run's features of every sample to a .npy file", gm_command_embed},
    {"predict", "name the classes of samples by weights with a classifier", gm_command_predict},
    {"convert", "write weights as safetensors or for PyTorch", gm_command_convert},
    {"bench", "time what the kernels save on this machine", gm_command_bench},
    {"info", "show the machine and its kernels, or what is in a run or in weights", gm_command_info},
};

enum { COMMANDS = sizeof commands / sizeof commands[0] };

enum {
    EXIT_OTHER = 1, /* disk, memory, anything else */
    EXIT_USAGE = 2,
    EXIT_DATA = 3,
    EXIT_DIVERGED = 4,
};

static int exit_code(gm_status status)
{
    switch (status) {
    case GM_OK:
        return EXIT_SUCCESS;
    case GM_BAD_USAGE:
    case GM_UNKNOWN_ISA:
    case GM_UNAVAILABLE_ISA:
    case GM_INVALID_ENVIRONMENT:
    case GM_UNKNOWN_THREADING:
        return EXIT_USAGE;
    case GM_BAD_DATA:
        return EXIT_DATA;
    case GM_DIVERGED:
    case GM_NOT_FINITE:
        return EXIT_DIVERGED;
    case GM_INTERRUPTED:
        return 128 + *gm_signals_caught();
    default:
        return EXIT_OTHER;
    }
}

static void print_usage(FILE *out)
{
    fprintf(out, "Usage: gemel COMMAND [OPTION...]\n\nTrains and evaluates Barlow Twins models. Commands:\n\n");
    for (int i = 0; i < COMMANDS; i++)
        fprintf(out, "  %-10s %s\n", commands[i].name, commands[i].summary);
    fprintf(out, "\n'gemel COMMAND --help' describes a command. Exit codes: 0 fine; 1 disk, memory or else; 2 usage;\n"
                 "3 data, weights or configuration files; 4 training diverged; 130, 143 stopped by a signal.\n");
}

static int run_command(int index, int argc, char **argv)
{
    char name[32];
    snprintf(name, sizeof name, "gemel %s", commands[index].name);
    argv[1] = name;
    gm_error error = {GM_OK, ""};
    gm_status status = commands[index].run(argc - 1, argv + 1, &error);
    if (status == GM_OK && (fflush(stdout) || ferror(stdout)))
        status = gm_error_set(&error, GM_IO_ERROR, "standard output: %m");
    if (status != GM_OK)
        fprintf(stderr, "%s: %s\n", name, error.message[0] ? error.message : gm_status_string(status));
    return exit_code(status);
}

int main(int argc, char **argv)
{
    argp_err_exit_status = EXIT_USAGE;
    const char *asked = argc > 1 ? argv[1] : "";
    for (int i = 0; i < COMMANDS; i++)
        if (!strcmp(asked, commands[i].name))
            return run_command(i, argc, argv);
    if (!strcmp(asked, "--version")) {
        printf("gemel %s\n", gm_version());
        return EXIT_SUCCESS;
    }
    if (!strcmp(asked, "--help") || !strcmp(asked, "help")) {
        print_usage(stdout);
        return EXIT_SUCCESS;
    }
    if (*asked)
        fprintf(stderr, "gemel: no command '%s'\n\n", asked);
    print_usage(stderr);
    return EXIT_USAGE;
}
