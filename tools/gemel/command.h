/* The subcommands of gemel and what they share. */
#ifndef GEMEL_COMMAND_H
#define GEMEL_COMMAND_H

#include <argp.h>
#include <gemel/context.h>
#include <gemel/data.h>
#include <gemel/error.h>

/* A subcommand gets its own arguments, with "gemel NAME" as argv[0]. It returns a status, which main() turns into the
 * exit code, and the message that main() prints; wrong flags end in argp's own message and exit code 2. */
gm_status gm_command_train(int argc, char **argv, gm_error *error);
gm_status gm_command_augment(int argc, char **argv, gm_error *error);
gm_status gm_command_convert(int argc, char **argv, gm_error *error);
gm_status gm_command_embed(int argc, char **argv, gm_error *error);
gm_status gm_command_bench(int argc, char **argv, gm_error *error);
gm_status gm_command_evaluate(int argc, char **argv, gm_error *error);
gm_status gm_command_info(int argc, char **argv, gm_error *error);
gm_status gm_command_knn(int argc, char **argv, gm_error *error);
gm_status gm_command_predict(int argc, char **argv, gm_error *error);

/* Flags of every subcommand that computes: --threads, --isa, --quiet. Include the parser among the children of the
 * subcommand's argp and hand it a structure at ARGP_KEY_INIT: state->child_inputs[i] = &common. */
typedef struct gm_common_options {
    int32_t threads; /* 0: the context decides */
    gm_isa isa;      /* GM_ISA_AUTO: GEMEL_ISA, else the best */
    bool quiet;      /* neither progress nor tables, only results and errors */
} gm_common_options;

extern const struct argp gm_common_argp;

static inline gm_common_options gm_common_defaults(void)
{
    gm_common_options common = {0, GM_ISA_AUTO, false};
    return common;
}

/* argp_parse(), which ends the process with a message where the words are wrong, but not where there is no memory.
 * Errors: GM_OUT_OF_MEMORY. */
gm_status gm_command_parse(const struct argp *parser, int argc, char **argv, void *input, gm_error *error);

/* gm_context_create() with messages that name the flag or variable, and what may stand there. */
gm_status gm_command_context(const gm_common_options *common, gm_context **context, gm_error *error);

/* gm_dataset_open(); a data set that is missing or unreadable counts as bad data. Lists the images that were skipped on
 * standard error. */
gm_status gm_command_dataset(const char *what, const gm_dataset_options *options, gm_dataset **dataset,
                             gm_error *error);

/* The command's words with blanks between them; free() it. NULL without memory. */
char *gm_command_line(int argc, char **argv);

#endif
