#include "command.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/parse.h"

enum { MOST_THREADS = 1024 };
enum { KEY_THREADS = 0x2000, KEY_ISA, KEY_QUIET };

static const struct argp_option common_options[] = {
    {0, 0, 0, 0, "The machine:", 90},
    {"threads", KEY_THREADS, "N", 0, "Use N threads (default: OMP_NUM_THREADS, else the physical cores)", 0},
    {"isa", KEY_ISA, "NAME", 0, "Use the kernels of scalar, neon, avx2 or avx512 (default: GEMEL_ISA, else the best)",
     0},
    {"quiet", KEY_QUIET, 0, 0, "Print results and errors only", 0},
    {0},
};

static void list_available(char *names, size_t size)
{
    size_t used = 0;
    names[0] = '\0';
    for (int isa = 0; isa < GM_ISA_COUNT; isa++)
        if (gm_isa_available((gm_isa)isa))
            used += (size_t)snprintf(names + used, size - used, "%s%s", used ? ", " : "", gm_isa_name((gm_isa)isa));
}

static error_t parse_common(int key, char *argument, struct argp_state *state)
{
    gm_common_options *common = state->input;
    int64_t threads;
    char available[64];
    switch (key) {
    case KEY_THREADS:
        if (!gm_parse_int64(argument, 1, MOST_THREADS, &threads))
            argp_error(state, "--threads %s: not a number from 1 to %d", argument, MOST_THREADS);
        else
            common->threads = (int32_t)threads;
        return 0;
    case KEY_ISA:
        list_available(available, sizeof available);
        if (gm_isa_from_name(argument, &common->isa) != GM_OK || !gm_isa_available(common->isa))
            argp_error(state, "--isa %s: not available here; available: %s", argument, available);
        return 0;
    case KEY_QUIET:
        common->quiet = true;
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

const struct argp gm_common_argp = {common_options, parse_common, 0, 0, 0, 0, 0};

gm_status gm_command_parse(const struct argp *parser, int argc, char **argv, void *input, gm_error *error)
{
    return argp_parse(parser, argc, argv, 0, 0, input) == 0
               ? GM_OK
               : gm_error_set(error, GM_OUT_OF_MEMORY, "no memory to read the command line");
}

gm_status gm_command_context(const gm_common_options *common, gm_context **context, gm_error *error)
{
    gm_context_options options = gm_context_default_options();
    options.threads = common->threads;
    options.isa = common->isa;
    const gm_status status = gm_context_create(&options, context);
    char available[64];
    list_available(available, sizeof available);
    switch (status) {
    case GM_OK:
        return GM_OK;
    case GM_UNKNOWN_ISA:
        return gm_error_set(error, status, "GEMEL_ISA=%s: no such instruction set; available here: %s",
                            getenv("GEMEL_ISA"), available);
    case GM_UNAVAILABLE_ISA:
        return gm_error_set(error, status, "GEMEL_ISA=%s: this machine or build does not have it; available here: %s",
                            getenv("GEMEL_ISA"), available);
    case GM_INVALID_ENVIRONMENT:
        return gm_error_set(error, status, "OMP_NUM_THREADS=%s: not a positive number; correct or unset it",
                            getenv("OMP_NUM_THREADS"));
    case GM_UNKNOWN_THREADING:
        return gm_error_set(error, status, "GEMEL_THREADING=%s: no such threading; available here: pool, %sserial",
                            getenv("GEMEL_THREADING"), gm_threading_available(GM_THREADING_OPENMP) ? "openmp, " : "");
    default:
        return gm_error_set(error, status, "cannot start the threads and their workspace: %s",
                            gm_status_string(status));
    }
}

gm_status gm_command_dataset(const char *what, const gm_dataset_options *options, gm_dataset **dataset, gm_error *error)
{
    const gm_status status = gm_dataset_open(what, options, dataset, error);
    if (status != GM_OK)
        return status == GM_IO_ERROR ? GM_BAD_DATA : status;
    const gm_dataset *opened = *dataset;
    for (int64_t i = 0; i < opened->skipped; i++)
        fprintf(stderr, "gemel: skipped %s\n", opened->skipped_messages[i]);
    if (opened->skipped > 0)
        fprintf(stderr, "gemel: %s: %lld of %lld images skipped\n", opened->name, (long long)opened->skipped,
                (long long)(opened->skipped + opened->train.rows + opened->test.rows));
    return GM_OK;
}

char *gm_command_line(int argc, char **argv)
{
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    if (!out)
        return NULL;
    for (int i = 0; i < argc; i++)
        fprintf(out, "%s%s", i ? " " : "", argv[i]);
    return fclose(out) ? NULL : text;
}
