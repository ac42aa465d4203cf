#include <argp.h>
#include <stdio.h>

#include "command.h"
#include "train/backbone.h"
#include "train/convert.h"

static const char doc[] =
    "Write weights in another format: safetensors, what PyTorch's torch.load() reads, or a model for ONNX's runtimes."
    "\vWEIGHTS is a run's folder (its backbone.safetensors), a safetensors file or a checkpoint of PyTorch's. OUTPUT "
    "ends in .safetensors, .pth or .onnx. The parts module., model., state_dict., backbone. and encoder. in front of "
    "names are left out, so that an encoder's arrays have the names that torchvision or a Sequential gives them. "
    "Metadata, as the names of classes, go into .safetensors only. An "
    ".onnx file holds the encoder alone: \"input\" is float32 [batch, channels, height, width], pixels normalised by "
    "the mean and std in its metadata, or [batch, size], vectors, which a run's model standardises itself; "
    "\"features\" is [batch, size].";

typedef struct convert_arguments {
    const char *weights, *output;
} convert_arguments;

static error_t parse_convert(int key, char *argument, struct argp_state *state)
{
    convert_arguments *a = state->input;
    switch (key) {
    case ARGP_KEY_ARG:
        if (state->arg_num > 1)
            argp_error(state, "%s is too much after WEIGHTS and OUTPUT", argument);
        *(state->arg_num ? &a->output : &a->weights) = argument;
        return 0;
    case ARGP_KEY_END:
        if (!a->output)
            argp_error(state, "%s is missing; for example: %s runs/fashion-mnist-1 backbone.pth",
                       a->weights ? "the file to write" : "the run folder or weights file", state->name);
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

gm_status gm_command_convert(int argc, char **argv, gm_error *error)
{
    const struct argp parser = {0, parse_convert, "WEIGHTS OUTPUT", doc, 0, 0, 0};
    convert_arguments a = {NULL, NULL};
    char inside[GM_BACKBONE_PATH];
    int64_t count;
    const gm_status parsed = gm_command_parse(&parser, argc, argv, &a, error);
    if (parsed != GM_OK)
        return parsed;
    const gm_status status = gm_weights_convert(gm_backbone_path(a.weights, inside), a.output, &count, error);
    if (status == GM_OK)
        printf("%s: %lld tensors\n", a.output, (long long)count);
    return status;
}
