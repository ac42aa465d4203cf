#include <stdio.h>

#include <gemel/gemel.h>

#include "command.h"
#include "inspect.h"

static const char doc[] =
    "Show the machine, the threads and the kernel chosen for each operation; or what is in a run's folder or in a file "
    "of weights."
    "\vOf a run: its settings, how far it is, its latest losses, its results and files, and its backbone. Of weights "
    "(safetensors, or PyTorch's .pth): their architecture, what they take, their tensors and classes.";

typedef struct info_arguments {
    gm_common_options common;
    const char *path; /* NULL: of the machine */
} info_arguments;

static error_t parse_info(int key, char *argument, struct argp_state *state)
{
    info_arguments *a = state->input;
    switch (key) {
    case ARGP_KEY_INIT:
        state->child_inputs[0] = &a->common;
        return 0;
    case ARGP_KEY_ARG:
        if (state->arg_num > 0)
            argp_error(state, "one run or file at a time: %s is too much", argument);
        a->path = argument;
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static void print_bytes(const char *name, int64_t bytes, const char *separator)
{
    if (bytes >= 1 << 20)
        printf("%s %.4g MiB%s", name, (double)bytes / (1 << 20), separator);
    else
        printf("%s %.4g KiB%s", name, (double)bytes / (1 << 10), separator);
}

static void print_available(void)
{
    printf("available:");
    for (int isa = 0; isa < GM_ISA_COUNT; isa++)
        if (gm_isa_available((gm_isa)isa))
            printf(" %s", gm_isa_name((gm_isa)isa));
    putchar('\n');
}

static gm_status print_machine(const gm_common_options *common, gm_error *error)
{
    gm_context *context;
    const gm_status status = gm_command_context(common, &context, error);
    if (status != GM_OK)
        return status;
    gm_cpu_info cpu = {.size = sizeof cpu};
    gm_cpu_query(&cpu);
    printf("gemel %s\n", gm_version());
    printf("isa: %s\n", gm_isa_name(gm_context_isa(context)));
    print_available();
    printf("cpu: %s\ncore: %s\ncaches: ", cpu.brand, cpu.core);
    print_bytes("L1d", cpu.l1d_bytes, ", ");
    print_bytes("L2", cpu.l2_bytes, ", ");
    print_bytes("L3", cpu.l3_bytes, "\n");
    printf("threading: %s\n", gm_threading_name(gm_context_threading(context)));
    printf("threads: %d (from: %s)\n", gm_context_threads(context), gm_context_threads_source(context));
    printf("cores: %d physical, %d logical", cpu.physical_cores, cpu.logical_cpus);
    if (cpu.quota_cpus > 0)
        printf(", cgroup quota %.3g", cpu.quota_cpus);
    putchar('\n');
    const char *operation, *kernel;
    for (int32_t i = 0; gm_context_kernel(context, i, &operation, &kernel); i++)
        printf("kernel %s: %s\n", operation, kernel);
    gm_context_destroy(context);
    return GM_OK;
}

gm_status gm_command_info(int argc, char **argv, gm_error *error)
{
    const struct argp_child children[] = {{&gm_common_argp, 0, 0, 0}, {0}};
    const struct argp parser = {0, parse_info, "[RUN|WEIGHTS]", doc, children, 0, 0};
    info_arguments arguments = {.common = gm_common_defaults()};
    const gm_status parsed = gm_command_parse(&parser, argc, argv, &arguments, error);
    if (parsed != GM_OK)
        return parsed;
    return arguments.path ? gm_inspect(arguments.path, stdout, error) : print_machine(&arguments.common, error);
}
