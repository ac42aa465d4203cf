#include "train/weights_arch.h"

#include <string.h>

#include "train/weights.h"

/* The tensor of this name, whatever stands in front of it. */
static bool find(const gm_tensor_file *file, const char *bare_name, gm_tensor *tensor)
{
    for (int64_t i = 0; i < gm_tensor_file_count(file); i++) {
        *tensor = gm_tensor_file_tensor(file, i);
        if (strcmp(gm_weights_bare_name(tensor->name), bare_name) == 0)
            return true;
    }
    return false;
}

static bool has(const gm_tensor_file *file, const char *bare_name)
{
    gm_tensor ignored;
    return find(file, bare_name, &ignored);
}

/* By the number of blocks and of convolutions in one. */
static bool find_resnet(const gm_tensor_file *file, gm_model_options *options)
{
    gm_tensor stem;
    const bool bottleneck = has(file, "layer1.0.conv3.weight");
    const bool deep = has(file, "layer3.5.conv1.weight"), deeper = has(file, "layer3.6.conv1.weight");
    if (!find(file, "conv1.weight", &stem) || stem.dimensions != 4 || deeper || (bottleneck && !deep))
        return false;
    options->arch = bottleneck ? GM_ARCH_RESNET50 : deep ? GM_ARCH_RESNET34 : GM_ARCH_RESNET18;
    options->stem = stem.shape[2] == 7 ? GM_STEM_IMAGENET : GM_STEM_SMALL;
    options->channels = stem.shape[1];
    return true;
}

static bool has_shape(const gm_tensor_file *file, const char *bare_name, int32_t dimensions, int64_t rows, int64_t cols)
{
    gm_tensor tensor;
    return find(file, bare_name, &tensor) && tensor.dimensions == dimensions && tensor.shape[0] == rows &&
           tensor.shape[1] == cols;
}

/* By the first layer of a Sequential. What the later ones have is checked here, too, so that no file asks for a model
 * much larger than itself; where those of conv disagree, the usual width, so that reading them names a wrong one. */
static bool find_sequential(const gm_tensor_file *file, gm_model_options *options)
{
    gm_tensor first;
    if (!find(file, "0.weight", &first))
        return false;
    const int64_t width = first.shape[0];
    if (first.dimensions == 4) {
        options->arch = GM_ARCH_CONV;
        options->channels = first.shape[1];
        const bool agree = width <= INT32_MAX && has_shape(file, "4.weight", 4, 2 * width, width) &&
                           has_shape(file, "8.weight", 4, 4 * width, 2 * width);
        options->conv_width = agree ? width : gm_default_conv_width();
        return true;
    }
    options->arch = has(file, "0.bias") ? GM_ARCH_AXON : GM_ARCH_MLP;
    options->hidden_size = width;
    options->encoder_dim = first.shape[1];
    return first.dimensions == 2 && has_shape(file, "3.weight", 2, width, width);
}

gm_status gm_weights_find_arch(const gm_tensor_file *file, gm_model_options *options, gm_error *error)
{
    if (has(file, "layer1.0.conv1.weight") ? find_resnet(file, options) : find_sequential(file, options))
        return GM_OK;
    return gm_error_set(error, GM_BAD_DATA,
                        "%s: its tensors are no encoder that is known (ResNet-18, -34 or -50, conv, mlp or axon)",
                        gm_tensor_file_path(file));
}
