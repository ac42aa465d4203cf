/* Names and shapes of weights from elsewhere against those that a model expects, in both formats. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "formats/pth.h"
#include "formats/safetensors.h"
#include "support/files.h"
#include "support/support.h"
#include "train/backbone.h"
#include "train/weights.h"
#include "train/weights_arch.h"

enum { MOST_ARRAYS = 400, MOST_NAME = 96, FORMATS = 2 };

static const char *const suffixes[FORMATS] = {"safetensors", "pth"};
static float numbers[4096];
static test_folder folder;

static void enter(void)
{
    folder = test_folder_create();
    test_random random = test_random_create(1);
    test_fill_normal(&random, numbers, sizeof numbers / sizeof *numbers, 0, 1);
}

static void leave(void)
{
    test_folder_remove(&folder);
}

/* Names and shapes. */
typedef struct list {
    int32_t count;
    char names[MOST_ARRAYS][MOST_NAME];
    gm_tensor tensors[MOST_ARRAYS];
} list;

static gm_tensor *add(list *l, const char *prefix, const char *name, gm_tensor_type type, int32_t dimensions,
                      const int64_t *shape)
{
    ck_assert_int_lt(l->count, MOST_ARRAYS);
    gm_tensor *tensor = &l->tensors[l->count];
    snprintf(l->names[l->count], MOST_NAME, "%s%s", prefix, name);
    *tensor = (gm_tensor){.name = l->names[l->count++], .type = type, .dimensions = dimensions, .data = numbers};
    memcpy(tensor->shape, shape, (size_t)dimensions * sizeof *shape);
    return tensor;
}

/* torchvision's names with smaller sizes, from tests/data/make_weights.py; without fc if asked. */
static void read_list(list *l, const char *arch, const char *prefix, bool fc)
{
    char path[512], line[256];
    snprintf(path, sizeof path, TEST_DATA "/weights/%s.txt", arch);
    FILE *file = fopen(path, "r");
    ck_assert_ptr_nonnull(file);
    while (fgets(line, sizeof line, file)) {
        int64_t shape[GM_TENSOR_MOST_DIMENSIONS];
        int32_t dimensions = 0;
        char *rest, *name = strtok_r(line, " \n", &rest);
        for (char *size; (size = strtok_r(NULL, " \n", &rest)); dimensions++)
            shape[dimensions] = atoi(size) > 7 ? (atoi(size) + 127) / 128 : atoi(size);
        const bool counter = strstr(name, "num_batches_tracked");
        if (fc || strncmp(name, "fc.", 3) != 0)
            add(l, prefix, name, counter ? GM_TENSOR_I64 : GM_TENSOR_F32, dimensions, shape);
    }
    fclose(file);
}

static void add_vector(list *l, const char *name, int64_t size)
{
    add(l, "", name, GM_TENSOR_F32, 1, &size);
}

/* What a model expects: its own names, no counters. */
static int32_t wanted_arrays(const list *l, gm_parameter arrays[MOST_ARRAYS])
{
    int32_t count = 0;
    for (int32_t i = 0; i < l->count; i++) {
        const gm_tensor *tensor = &l->tensors[i];
        if (tensor->type != GM_TENSOR_F32)
            continue;
        gm_parameter *array = &arrays[count++];
        *array = (gm_parameter){.name = tensor->name, .dimensions = tensor->dimensions, .count = 1};
        memcpy(array->shape, tensor->shape, sizeof array->shape);
        for (int32_t d = 0; d < array->dimensions; d++)
            array->count *= array->shape[d];
    }
    return count;
}

static gm_tensor_file *write_file(const list *l, int format)
{
    char name[32];
    gm_error error = {GM_OK, ""};
    gm_tensor_file *file;
    snprintf(name, sizeof name, "weights.%s", suffixes[format]);
    const char *path = test_path(&folder, name);
    const gm_status status = format ? gm_pth_write(path, l->count, l->tensors, &error)
                                    : gm_safetensors_write(path, l->count, l->tensors, 0, NULL, &error);
    ck_assert_msg(status == GM_OK, "%s", error.message);
    ck_assert_msg(gm_tensor_file_open(path, &file, &error) == GM_OK, "%s", error.message);
    return file;
}

/* Every tensor in its place: the names end alike, the shapes are equal. */
static void check_match(const gm_tensor_file *file, int32_t count, const gm_parameter *arrays, const int64_t *index)
{
    for (int32_t i = 0; i < count; i++) {
        if (index[i] < 0)
            continue;
        const gm_tensor tensor = gm_tensor_file_tensor(file, index[i]);
        const char *own = strncmp(arrays[i].name, "encoder.", 8) == 0 ? arrays[i].name + 8 : arrays[i].name;
        const size_t length = strlen(tensor.name), end = strlen(own);
        ck_assert_msg(length >= end && strcmp(tensor.name + length - end, own) == 0, "%s for %s", tensor.name,
                      arrays[i].name);
        ck_assert_int_eq(tensor.dimensions, arrays[i].dimensions);
    }
}

static const struct {
    const char *arch, *file_prefix, *model_prefix;
    bool file_fc, model_fc;
} published[] = {
    {"resnet18", "", "encoder.", true, false},                        /* torchvision */
    {"resnet50", "", "encoder.", true, false},                        /* torchvision */
    {"resnet50", "", "encoder.", false, false},                       /* Facebook's resnet50.pth */
    {"resnet50", "model.module.backbone.", "encoder.", false, false}, /* Facebook's checkpoint.pth */
    {"resnet50", "module.backbone.", "encoder.", false, false},
    {"resnet18", "state_dict.model.encoder.", "encoder.", false, false},
    {"resnet18", "backbone.", "", true, true},
    {"resnet18", "model_state_dict.", "encoder.", false, true},
};

START_TEST(published_names_match)
{
    for (size_t i = 0; i < sizeof published / sizeof *published; i++)
        for (int format = 0; format < FORMATS; format++) {
            static list wanted, stored;
            static gm_parameter arrays[MOST_ARRAYS];
            int64_t index[MOST_ARRAYS];
            gm_weights_report report;
            gm_error error = {GM_OK, ""};
            wanted.count = stored.count = 0;
            read_list(&wanted, published[i].arch, published[i].model_prefix, published[i].model_fc);
            read_list(&stored, published[i].arch, published[i].file_prefix, published[i].file_fc);
            add_vector(&stored, "model.module.bn.running_mean", 3);
            add_vector(&stored, "model.module.projector.0.weight", 3);
            add_vector(&stored, "optimizer.state.0.mu", 3);
            const int32_t count = wanted_arrays(&wanted, arrays);
            gm_tensor_file *file = write_file(&stored, format);
            ck_assert_msg(gm_weights_match(file, count, arrays, index, &report, &error) == GM_OK, "case %zu: %s", i,
                          error.message);
            check_match(file, count, arrays, index);
            const int32_t kept = published[i].model_fc && !published[i].file_fc ? 2 : 0;
            ck_assert_int_eq(report.kept, kept);
            ck_assert_int_eq(report.loaded, count - kept);
            ck_assert_int_eq(report.unused, stored.count - report.loaded);
            gm_tensor_file_close(file);
        }
}
END_TEST

/* One change to a file that matches. */
static const struct {
    const char *drop, *add; /* a tensor's name; "" for none */
    gm_tensor_type type;
    int32_t dimensions;
    int64_t shape[4];
    const char *pattern; /* NULL: it still matches, and `kept` arrays of the model keep their values */
    int32_t kept;
} changes[] = {
    {"", "", GM_TENSOR_F32, 0, {0}, NULL, 0},
    {"0.weight", "", GM_TENSOR_F32, 0, {0}, "tensor 'encoder.0.weight' is missing", 0},
    {"0.weight", "0.weight", GM_TENSOR_F32, 2, {2, 4}, "tensor '0.weight' is F32 [2, 4] where F32 [2, 3] is needed", 0},
    {"0.weight", "0.weight", GM_TENSOR_F32, 1, {6}, "tensor '0.weight' is F32 [6] where F32 [2, 3] is needed", 0},
    {"0.weight", "0.weight", GM_TENSOR_I64, 2, {2, 3}, "tensor '0.weight' is I64 [2, 3] where F32 [2, 3] is needed", 0},
    {"0.weight", "0.weights", GM_TENSOR_F32, 2, {2, 3}, "tensor 'encoder.0.weight' is missing", 0},
    {"0.weight", "module.0.weight", GM_TENSOR_F32, 2, {2, 3}, NULL, 0},
    {"0.weight", "ema.0.weight", GM_TENSOR_F32, 2, {2, 3}, "tensor 'encoder.0.weight' is missing", 0},
    {"0.weight", "0.weight", GM_TENSOR_F16, 2, {2, 3}, NULL, 0},
    {"0.weight", "0.weight", GM_TENSOR_F64, 2, {2, 3}, NULL, 0},
    {"",
     "module.0.weight",
     GM_TENSOR_F32,
     2,
     {2, 3},
     "tensor '0.weight' and tensor 'module.0.weight' both stand for",
     0},
    {"", "1.weight", GM_TENSOR_F32, 1, {2}, "tensor '1.weight' has no place", 0},
    {"", "encoder", GM_TENSOR_F32, 1, {2}, "tensor 'encoder' has no place", 0},
    {"", "1.num_batches_tracked", GM_TENSOR_I64, 0, {0}, NULL, 0},
    {"", "fc.weight", GM_TENSOR_F32, 2, {10, 3}, NULL, 0},
    {"", "fcx.weight", GM_TENSOR_F32, 2, {10, 3}, "tensor 'fcx.weight' has no place", 0},
    {"", "exp_avg.encoder.0.weight", GM_TENSOR_F32, 2, {2, 3}, NULL, 0},
    {"projector.0.weight", "", GM_TENSOR_F32, 0, {0}, NULL, 2},
    {"projector.0.bias", "projector.0.bias", GM_TENSOR_F32, 1, {7}, NULL, 2},
    {"projector.0.bias", "projector.1.bias", GM_TENSOR_F32, 1, {2}, NULL, 2},
};

static void make_small(list *l, const char *prefix, const char *dropped)
{
    static const struct {
        const char *name;
        int32_t dimensions;
        int64_t shape[2];
    } arrays[] = {
        {"0.weight", 2, {2, 3}}, {"0.bias", 1, {2}}, {"projector.0.weight", 2, {2, 2}}, {"projector.0.bias", 1, {2}}};
    l->count = 0;
    for (size_t i = 0; i < sizeof arrays / sizeof *arrays; i++)
        if (strcmp(arrays[i].name, dropped) != 0)
            add(l, i < 2 ? prefix : "", arrays[i].name, GM_TENSOR_F32, arrays[i].dimensions, arrays[i].shape);
}

START_TEST(other_names_and_shapes_are_refused)
{
    for (size_t i = 0; i < sizeof changes / sizeof *changes; i++)
        for (int format = 0; format < FORMATS; format++) {
            static list wanted, stored;
            static gm_parameter arrays[MOST_ARRAYS];
            int64_t index[MOST_ARRAYS];
            gm_weights_report report;
            gm_error error = {GM_OK, ""};
            make_small(&wanted, "encoder.", "");
            make_small(&stored, "", changes[i].drop);
            if (*changes[i].add)
                add(&stored, "", changes[i].add, changes[i].type, changes[i].dimensions, changes[i].shape);
            const int32_t count = wanted_arrays(&wanted, arrays);
            gm_tensor_file *file = write_file(&stored, format);
            const gm_status status = gm_weights_match(file, count, arrays, index, &report, &error);
            if (changes[i].pattern) {
                ck_assert_msg(status != GM_OK, "case %zu, '%s', was accepted", i, changes[i].pattern);
                test_expect(status, &error, GM_BAD_DATA, changes[i].pattern);
            } else {
                ck_assert_msg(status == GM_OK, "case %zu: %s", i, error.message);
                ck_assert_int_eq(report.kept, changes[i].kept);
                ck_assert_int_eq(report.loaded, count - changes[i].kept);
            }
            gm_tensor_file_close(file);
        }
}
END_TEST

START_TEST(architectures_are_told_by_their_tensors)
{
    static const struct {
        const char *list, *added;
        bool known;
        gm_arch arch;
    } cases[] = {
        {"resnet18", "fc.x", true, GM_ARCH_RESNET18},
        {"resnet50", "fc.x", true, GM_ARCH_RESNET50},
        {"resnet18", "model.module.backbone.layer3.5.conv1.weight", true, GM_ARCH_RESNET34},
        {"resnet18", "model.module.backbone.layer3.6.conv1.weight", false, 0},
        {"resnet50", "model.module.backbone.layer3.6.conv1.weight", false, 0},
        {"resnet18", "model.module.backbone.layer1.0.conv3.weight", false, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        static list stored;
        gm_error error = {GM_OK, ""};
        gm_model_options options = gm_model_default_options(0, 1);
        stored.count = 0;
        read_list(&stored, cases[i].list, "model.module.backbone.", true);
        add_vector(&stored, cases[i].added, 1);
        gm_tensor_file *file = write_file(&stored, 1);
        const gm_status status = gm_weights_find_arch(file, &options, &error);
        if (cases[i].known) {
            ck_assert_msg(status == GM_OK, "case %zu: %s", i, error.message);
            ck_assert_int_eq(options.arch, cases[i].arch);
            ck_assert_int_eq(options.stem, GM_STEM_IMAGENET);
            ck_assert_int_eq(options.channels, 3);
        } else {
            test_expect(status, &error, GM_BAD_DATA, "no encoder that is known");
        }
        gm_tensor_file_close(file);
    }
}
END_TEST

static gm_model *make_model(gm_context *context, uint64_t seed)
{
    gm_model *model;
    gm_model_options options = gm_model_default_options(5, 4);
    options.hidden_size = 7;
    options.projection_dim = 6;
    options.seed = seed;
    ck_assert_int_eq(gm_model_create(context, &options, &model), GM_OK);
    return model;
}

static bool same_array(const gm_model *a, const gm_model *b, int32_t i)
{
    const gm_parameter x = gm_model_parameter(a, i), y = gm_model_parameter(b, i);
    return test_same_bits(x.value, y.value, (size_t)x.count * sizeof(float));
}

START_TEST(a_model_gets_what_another_one_had)
{
    gm_context *context = test_context(GM_ISA_AUTO, 1);
    gm_model *one = make_model(context, 1), *two = make_model(context, 2), *untouched = make_model(context, 2);
    const int32_t count = gm_model_parameter_count(one);
    gm_model_options options = gm_model_default_options(5, 4);
    gm_error error = {GM_OK, ""};
    gm_weights_report report;
    options.hidden_size = 7;
    const char *path = test_path(&folder, "backbone.safetensors");
    ck_assert_int_eq(gm_backbone_save(one, &options, NULL, NULL, path, &error), GM_OK);
    ck_assert_msg(gm_weights_load(path, two, &report, &error) == GM_OK, "%s", error.message);
    ck_assert_int_eq(report.loaded + report.kept, count);
    ck_assert_int_gt(report.kept, 0);
    ck_assert_int_eq(report.unused, 0);
    for (int32_t i = 0; i < count; i++) {
        const bool encoder = strncmp(gm_model_parameter(two, i).name, "encoder.", 8) == 0;
        ck_assert_msg(same_array(two, encoder ? one : untouched, i), "%s", gm_model_parameter(two, i).name);
    }
    gm_model_destroy(one);
    gm_model_destroy(two);
    gm_model_destroy(untouched);
    gm_context_destroy(context);
}
END_TEST

/* What a reader without the run's configuration needs. */
START_TEST(a_backbone_says_what_it_is)
{
    const struct {
        gm_arch arch;
        gm_stem stem, told;
        int64_t height, width, channels, conv_width;
    } cases[] = {
        {GM_ARCH_MLP, GM_STEM_AUTO, GM_STEM_AUTO, 0, 0, 0, 0},
        {GM_ARCH_AXON, GM_STEM_AUTO, GM_STEM_AUTO, 0, 0, 0, 0},
        {GM_ARCH_CONV, GM_STEM_AUTO, GM_STEM_AUTO, 28, 20, 1, 32},
        {GM_ARCH_CONV, GM_STEM_AUTO, GM_STEM_AUTO, 13, 12, 1, 5},
        {GM_ARCH_RESNET18, GM_STEM_AUTO, GM_STEM_SMALL, 8, 9, 3, 0},
        {GM_ARCH_RESNET18, GM_STEM_AUTO, GM_STEM_IMAGENET, 65, 9, 3, 0},
        {GM_ARCH_RESNET18, GM_STEM_IMAGENET, GM_STEM_IMAGENET, 32, 32, 1, 0},
    };
    const double means[5] = {0.1, -1e30, 3, 0, 5}, scales[5] = {1, 0, 0.1, 1e30, 7};
    const gm_pixel_scale scale = {3, {0.485f, 0.456f, 0.406f}, {0.229f, 0.224f, 0.225f}};
    const char *path = test_path(&folder, "backbone.safetensors");
    gm_context *context = test_context(GM_ISA_AUTO, 1);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const bool images = gm_arch_takes_images(cases[i].arch);
        gm_model_options options = gm_model_image_options(cases[i].arch, cases[i].height, cases[i].width,
                                                          cases[i].channels, 1),
                         read;
        gm_pixel_scale told;
        gm_column_scale columns;
        gm_error error = {GM_OK, ""};
        gm_model *model;
        gm_tensor_file *file;
        gm_dataset data = {.kind = cases[i].channels == 3   ? GM_DATA_COLOR_IMAGES
                                   : cases[i].channels == 1 ? GM_DATA_GRAY_IMAGES
                                                            : GM_DATA_VECTORS,
                           .dim = 5,
                           .mean = scale.mean[0],
                           .std = scale.std[0],
                           .column_mean = images ? NULL : means,
                           .column_scale = scales};
        memcpy(data.channel_mean, scale.mean, sizeof scale.mean);
        memcpy(data.channel_std, scale.std, sizeof scale.std);
        options.encoder_dim = images ? 0 : 5;
        options.hidden_size = 7;
        options.conv_width = cases[i].conv_width;
        options.stem = cases[i].stem;
        options.training = false;
        ck_assert_int_eq(gm_model_create(context, &options, &model), GM_OK);
        ck_assert_int_eq(gm_backbone_save(model, &options, &data, NULL, path, &error), GM_OK);
        ck_assert_int_eq(gm_tensor_file_open(path, &file, &error), GM_OK);
        ck_assert_msg(gm_backbone_options(file, &read, &told, &error) == GM_OK, "%s", error.message);
        ck_assert(read.arch == cases[i].arch && read.height == cases[i].height && read.width == cases[i].width);
        ck_assert(images ? read.channels == cases[i].channels && read.encoder_dim == 0
                         : read.encoder_dim == 5 && read.hidden_size == 7);
        ck_assert(cases[i].told == GM_STEM_AUTO || read.stem == cases[i].told);
        ck_assert_int_eq(read.conv_width, cases[i].conv_width);
        ck_assert_int_eq(told.channels, cases[i].channels);
        ck_assert(test_same_bits(told.mean, scale.mean, (size_t)told.channels * sizeof(float)));
        ck_assert(test_same_bits(told.std, scale.std, (size_t)told.channels * sizeof(float)));
        ck_assert_int_eq(gm_backbone_columns(file, &columns, &error), GM_OK);
        ck_assert_int_eq(columns.columns, images ? 0 : 5);
        ck_assert(images || test_same_bits(columns.mean, means, sizeof means));
        ck_assert(images || test_same_bits(columns.scale, scales, sizeof scales));
        gm_column_scale_free(&columns);
        gm_tensor_file_close(file);
        gm_model_destroy(model);
        ck_assert_int_eq(gm_backbone_load(context, path, cases[i].height, cases[i].width, 1, &model, &told, &error),
                         GM_OK);
        gm_model_destroy(model);
    }
    gm_context_destroy(context);
}
END_TEST

/* Tensors of conv for images of one channel, with these metadata. */
START_TEST(metadata_that_are_wrong_are_refused)
{
    enum { MOST_ENTRIES = 7 };
    const struct {
        const char *key, *value, *pattern; /* one that is changed, or left out if NULL */
    } cases[] = {
        {"arch", "conv", ""},
        {"arch", "resnet18", "say something else"},
        {"height", NULL, "say something else"},
        {"height", "0", "say something else"},
        {"width", "-8", "say something else"},
        {"channels", "3", "say something else"},
        {"stem", "long", "say something else"},
        {"mean", NULL, "mean and std"},
        {"std", NULL, "mean and std"},
        {"mean", "0.5", "mean and std"},
        {"mean", "[0.5", "mean and std"},
        {"mean", "[0.5, 0.5]", "mean and std"},
        {"mean", "[\"0.5\"]", "mean and std"},
        {"std", "[]", "mean and std"},
        {"std", "[0]", "mean and std"},
        {"std", "[1e99]", "mean and std"},
    };
    const gm_metadata good[MOST_ENTRIES] = {{"arch", "conv"}, {"height", "8"},   {"width", "8"},   {"channels", "1"},
                                            {"stem", "auto"}, {"mean", "[0.5]"}, {"std", "[0.25]"}};
    const gm_tensor first = {"encoder.0.weight", GM_TENSOR_F32, 4, {32, 1, 3, 3}, numbers};
    const char *path = test_path(&folder, "backbone.safetensors");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        gm_metadata metadata[MOST_ENTRIES];
        int64_t count = 0;
        gm_error error = {GM_OK, ""};
        gm_tensor_file *file;
        gm_model_options options;
        gm_pixel_scale scale;
        for (int j = 0; j < MOST_ENTRIES; j++) {
            const bool changed = strcmp(good[j].key, cases[i].key) == 0;
            if (!changed || cases[i].value)
                metadata[count++] = (gm_metadata){good[j].key, changed ? cases[i].value : good[j].value};
        }
        ck_assert_int_eq(gm_safetensors_write(path, 1, &first, count, metadata, &error), GM_OK);
        ck_assert_int_eq(gm_tensor_file_open(path, &file, &error), GM_OK);
        test_expect(gm_backbone_options(file, &options, &scale, &error), &error, i ? GM_BAD_DATA : GM_OK,
                    cases[i].pattern);
        gm_tensor_file_close(file);
    }
}
END_TEST

/* The width of conv is what all its layers say; a first layer alone asks for nothing. */
START_TEST(the_first_layer_of_conv_does_not_decide_alone)
{
    enum { HUGE_WIDTH = 1 << 20, LAYERS = 3 };
    static const struct {
        int64_t first, channels, second, third, width;
    } cases[] = {{3, 1, 6, 12, 3},
                 {3, 1, 6, 13, 32},
                 {3, 1, 5, 12, 32},
                 {HUGE_WIDTH, 1, 6, 12, 32},
                 {INT64_MAX, 0, 6, 12, 32}}; /* without channels it has no numbers */
    float *zeros = calloc((size_t)HUGE_WIDTH * 9, sizeof *zeros);
    const char *path = test_path(&folder, "backbone.safetensors");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const gm_tensor tensors[LAYERS] = {{"encoder.0.weight",
                                            cases[i].channels ? GM_TENSOR_F32 : GM_TENSOR_U8,
                                            4,
                                            {cases[i].first, cases[i].channels, 3, 3},
                                            zeros},
                                           {"encoder.4.weight", GM_TENSOR_F32, 4, {cases[i].second, 3, 3, 3}, zeros},
                                           {"encoder.8.weight", GM_TENSOR_F32, 4, {cases[i].third, 6, 3, 3}, zeros}};
        gm_error error = {GM_OK, ""};
        gm_tensor_file *file;
        gm_model_options options;
        ck_assert_int_eq(gm_safetensors_write(path, LAYERS, tensors, 0, NULL, &error), GM_OK);
        ck_assert_int_eq(gm_tensor_file_open(path, &file, &error), GM_OK);
        ck_assert_int_eq(gm_weights_find_arch(file, &options, &error), GM_OK);
        ck_assert(options.arch == GM_ARCH_CONV && options.conv_width == cases[i].width);
        gm_tensor_file_close(file);
    }
    free(zeros);
}
END_TEST

START_TEST(columns_that_are_wrong_are_refused)
{
    static double good[2] = {1, 2}, bad[2] = {1, NAN};
    const struct {
        gm_tensor tensors[2];
        int64_t count;
        const char *pattern;
    } cases[] = {
        {{{"input.mean", GM_TENSOR_F64, 1, {2}, good}, {"input.scale", GM_TENSOR_F64, 1, {2}, good}}, 2, ""},
        {{{"input.mean", GM_TENSOR_F64, 1, {2}, good}}, 1, "not both F64 [2]"},
        {{{"input.scale", GM_TENSOR_F64, 1, {2}, good}}, 1, "not both F64 [2]"},
        {{{"input.mean", GM_TENSOR_F64, 1, {2}, good}, {"input.scale", GM_TENSOR_F64, 1, {1}, good}}, 2, "not both"},
        {{{"input.mean", GM_TENSOR_F64, 1, {1}, good}, {"input.scale", GM_TENSOR_F64, 1, {2}, good}}, 2, "not both"},
        {{{"input.mean", GM_TENSOR_F32, 1, {2}, good}, {"input.scale", GM_TENSOR_F64, 1, {2}, good}}, 2, "not both"},
        {{{"input.mean", GM_TENSOR_F64, 2, {1, 2}, good}, {"input.scale", GM_TENSOR_F64, 2, {1, 2}, good}},
         2,
         "not both"},
        {{{"input.mean", GM_TENSOR_F64, 0, {0}, good}, {"input.scale", GM_TENSOR_F64, 0, {0}, good}}, 2, "not both"},
        {{{"input.mean", GM_TENSOR_F64, 1, {2}, bad}, {"input.scale", GM_TENSOR_F64, 1, {2}, good}}, 2, "input.mean"},
        {{{"input.mean", GM_TENSOR_F64, 1, {2}, good}, {"input.scale", GM_TENSOR_F64, 1, {2}, bad}}, 2, "input.scale"},
    };
    const char *path = test_path(&folder, "columns.safetensors");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        gm_error error = {GM_OK, ""};
        gm_column_scale scale;
        int64_t image_size;
        ck_assert_int_eq(gm_safetensors_write(path, cases[i].count, cases[i].tensors, 0, NULL, &error), GM_OK);
        test_expect(gm_backbone_load_input(path, &scale, &image_size, &error), &error, i ? GM_BAD_DATA : GM_OK,
                    cases[i].pattern);
        ck_assert_int_eq(scale.columns, i ? 0 : 2);
        gm_column_scale_free(&scale);
    }
}
END_TEST

START_TEST(all_real_types_become_float32)
{
    const struct {
        gm_tensor_type type;
        const void *data;
    } cases[] = {
        {GM_TENSOR_F32, (const float[]){1, -2, 0.5f}},
        {GM_TENSOR_F64, (const double[]){1, -2, 0.5}},
        {GM_TENSOR_F16, (const uint16_t[]){0x3c00, 0xc000, 0x3800}},
        {GM_TENSOR_BF16, (const uint16_t[]){0x3f80, 0xc000, 0x3f00}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        float values[3];
        gm_tensor_to_f32(cases[i].type, 3, cases[i].data, values);
        ck_assert(test_same_bits(values, cases[0].data, sizeof values));
    }
    float limits[4];
    const uint16_t halves[4] = {0x7c00, 0x7bff, 0x0001, 0x8400};
    gm_tensor_to_f32(GM_TENSOR_F16, 4, halves, limits);
    ck_assert(isinf(limits[0]) && limits[1] == 65504.0f && limits[2] == 0x1p-24f && limits[3] == -0x1p-14f);
}
END_TEST

START_TEST(weights_that_are_not_finite_are_refused)
{
    gm_context *context = test_context(GM_ISA_AUTO, 1);
    gm_model *model = make_model(context, 1);
    gm_model_options options = gm_model_default_options(5, 4);
    gm_error error = {GM_OK, ""};
    gm_weights_report report;
    options.hidden_size = 7;
    const char *path = test_path(&folder, "backbone.safetensors");
    gm_model_parameter(model, 3).value[2] = NAN;
    ck_assert_int_eq(gm_backbone_save(model, &options, NULL, NULL, path, &error), GM_OK);
    test_expect(gm_weights_load(path, model, &report, &error), &error, GM_BAD_DATA, "holds NaN or infinity");
    ck_assert(strstr(error.message, gm_model_parameter(model, 3).name));
    test_expect(gm_weights_load(test_path(&folder, "absent.pth"), model, &report, &error), &error, GM_IO_ERROR,
                "absent.pth");
    gm_model_destroy(model);
    gm_context_destroy(context);
}
END_TEST

START_TEST(checkpoints_that_cannot_be_written_are_refused)
{
    const char *path = test_path(&folder, "weights.pth");
    const gm_tensor cases[] = {
        {"", GM_TENSOR_F32, 1, {6}, numbers},
        {NULL, GM_TENSOR_F32, 1, {6}, numbers},
        {"b", GM_TENSOR_F32, 1, {-6}, numbers},
        {"b", GM_TENSOR_F32, 3, {1 << 30, 1 << 30, 1 << 30}, numbers},
        {"b", GM_TENSOR_F32, 2, {1 << 16, 1 << 16}, numbers},
        {"b", GM_TENSOR_F32, 1, {6}, NULL},
        {"b", GM_TENSOR_TYPE_COUNT, 1, {6}, numbers},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        gm_error error;
        gm_tensor_file *file;
        test_expect(gm_pth_write(path, 1, &cases[i], &error), &error, GM_INVALID_ARGUMENT, "weights.pth: ");
        ck_assert_int_eq(gm_tensor_file_open(path, &file, &error), GM_IO_ERROR);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("weights");
    TCase *tests = tcase_create("weights");
    tcase_add_checked_fixture(tests, enter, leave);
    suite_add_tcase(suite, tests);
    tcase_add_test(tests, published_names_match);
    tcase_add_test(tests, other_names_and_shapes_are_refused);
    tcase_add_test(tests, architectures_are_told_by_their_tensors);
    tcase_add_test(tests, a_model_gets_what_another_one_had);
    tcase_add_test(tests, a_backbone_says_what_it_is);
    tcase_add_test(tests, metadata_that_are_wrong_are_refused);
    tcase_add_test(tests, the_first_layer_of_conv_does_not_decide_alone);
    tcase_add_test(tests, columns_that_are_wrong_are_refused);
    tcase_add_test(tests, all_real_types_become_float32);
    tcase_add_test(tests, weights_that_are_not_finite_are_refused);
    tcase_add_test(tests, checkpoints_that_cannot_be_written_are_refused);
    return test_run(suite);
}
