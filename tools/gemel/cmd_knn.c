#include "evaluate.h"

static const char doc[] =
    "Measure a run's features by a weighted vote of nearest neighbours among the training samples, beside the same "
    "vote on the raw samples."
    "\vDATA is what gemel train takes. WEIGHTS is a run's folder or backbone.safetensors, or weights from elsewhere "
    "(safetensors, or PyTorch's .pth) whose tensors are those of an architecture that gemel train has.";

static error_t parse_knn(int key, char *argument, struct argp_state *state)
{
    (void)argument;
    gm_evaluate_arguments *a = state->input;
    if (key != ARGP_KEY_INIT)
        return ARGP_ERR_UNKNOWN;
    state->child_inputs[0] = state->child_inputs[1] = a;
    state->child_inputs[2] = &a->common;
    return 0;
}

gm_status gm_command_knn(int argc, char **argv, gm_error *error)
{
    const struct argp_child children[] = {
        {&gm_data_argp, 0, 0, 0}, {&gm_evaluate_argp, 0, 0, 0}, {&gm_common_argp, 0, 0, 0}, {0}};
    const struct argp parser = {0, parse_knn, "DATA WEIGHTS", doc, children, 0, 0};
    gm_evaluate_arguments arguments = gm_evaluate_defaults();
    arguments.options.linear = false;
    arguments.options.labels_per_class = 0;
    const gm_status parsed = gm_command_parse(&parser, argc, argv, &arguments, error);
    if (parsed != GM_OK)
        return parsed;
    return gm_evaluate_run(&arguments, NULL, error);
}
