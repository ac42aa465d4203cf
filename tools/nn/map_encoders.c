/* Encoders of images. ResNets: K. He, X. Zhang, S. Ren, J. Sun: Deep Residual Learning for Image Recognition, CVPR
 * 2016, with torchvision's names and its stride in the 3x3 convolution of a bottleneck. */
#include <stdio.h>

#include "nn/builder.h"

enum { STAGES = 4, BOTTLENECK_EXPANSION = 4 };

struct resnet {
    int blocks[STAGES];
    bool bottleneck;
};

static struct resnet resnet_of(gm_arch arch)
{
    switch (arch) {
    case GM_ARCH_RESNET18:
        return (struct resnet){{2, 2, 2, 2}, false};
    case GM_ARCH_RESNET34:
        return (struct resnet){{3, 4, 6, 3}, false};
    default:
        return (struct resnet){{3, 4, 6, 3}, true};
    }
}

struct name {
    char text[GM_NAME_SIZE];
};

static struct name inside(const char *block, const char *module)
{
    struct name name;
    snprintf(name.text, sizeof name.text, "%.32s.%.24s", block, module);
    return name;
}

static void conv(gm_builder *b, const char *block, const char *module, int64_t out, int64_t kernel, int64_t stride)
{
    gm_build_conv(b, inside(block, module).text, out, kernel, stride, kernel / 2);
}

static void norm(gm_builder *b, gm_layer_kind kind, const char *block, const char *module, bool relu)
{
    gm_build_batchnorm(b, kind, inside(block, module).text, relu);
}

/* Adds relu(norm(last) + shortcut(input)); the shortcut is a 1x1 convolution where shapes differ. */
static void end_block(gm_builder *b, const char *block, const char *last_norm, int32_t input, int64_t stride)
{
    const gm_map out = gm_build_shape(b);
    const gm_norm own = gm_build_norm(b, inside(block, last_norm).text, out.channels);
    const int32_t residual = b->last;
    b->last = input;
    if (stride != 1 || gm_build_shape(b).channels != out.channels) {
        conv(b, block, "downsample.0", out.channels, 1, stride);
        norm(b, GM_LAYER_BATCHNORM, block, "downsample.1", false);
    }
    const int32_t shortcut = b->last;
    b->last = residual;
    gm_build_batchnorm_add(b, &own, shortcut);
}

static void basic_block(gm_builder *b, const char *block, int64_t width, int64_t stride)
{
    const int32_t input = b->last;
    conv(b, block, "conv1", width, 3, stride);
    norm(b, GM_LAYER_BATCHNORM_LINE, block, "bn1", true);
    conv(b, block, "conv2", width, 3, 1);
    end_block(b, block, "bn2", input, stride);
}

static void bottleneck(gm_builder *b, const char *block, int64_t width, int64_t stride)
{
    const int32_t input = b->last;
    conv(b, block, "conv1", width, 1, 1);
    norm(b, GM_LAYER_BATCHNORM_LINE, block, "bn1", true);
    conv(b, block, "conv2", width, 3, stride);
    norm(b, GM_LAYER_BATCHNORM_LINE, block, "bn2", true);
    conv(b, block, "conv3", BOTTLENECK_EXPANSION * width, 1, 1);
    end_block(b, block, "bn3", input, stride);
}

/* The small stem's output is also a residual, which must be written; max pooling reads a line. */
static void stem(gm_builder *b, bool small)
{
    conv(b, "encoder", "conv1", 64, small ? 3 : 7, small ? 1 : 2);
    norm(b, small ? GM_LAYER_BATCHNORM : GM_LAYER_BATCHNORM_LINE, "encoder", "bn1", true);
    if (!small)
        gm_build_max_pool(b, 3, 2, 1);
}

void gm_build_resnet(gm_builder *b, gm_arch arch, bool small_stem)
{
    const struct resnet net = resnet_of(arch);
    stem(b, small_stem);
    for (int stage = 0; stage < STAGES; stage++)
        for (int i = 0; i < net.blocks[stage]; i++) {
            char block[GM_NAME_SIZE];
            const int64_t width = 64 << stage, stride = stage > 0 && i == 0 ? 2 : 1;
            snprintf(block, sizeof block, "encoder.layer%d.%d", stage + 1, i);
            if (net.bottleneck)
                bottleneck(b, block, width, stride);
            else
                basic_block(b, block, width, stride);
        }
    gm_build_average_pool(b, 1);
}

/* A Sequential of convolution to twice the channels of the one before, batch norm, ReLU and, but for the last,
 * MaxPool2d(2); then AdaptiveAvgPool2d(2) and Flatten. */
void gm_build_conv_encoder(gm_builder *b, int64_t width)
{
    enum { LAYERS = 3, MODULES_A_LAYER = 4, CELLS = 2 };
    for (int i = 0; i < LAYERS; i++) {
        char module[2][16];
        for (int j = 0; j < 2; j++)
            snprintf(module[j], sizeof module[j], "%d", MODULES_A_LAYER * i + j);
        conv(b, "encoder", module[0], width << i, 3, 1);
        norm(b, GM_LAYER_BATCHNORM_LINE, "encoder", module[1], true);
        if (i < LAYERS - 1)
            gm_build_max_pool(b, 2, 2, 0);
    }
    gm_build_average_pool(b, CELLS);
}
