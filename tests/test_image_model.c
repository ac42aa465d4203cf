/* gm_model's encoders of images against PyTorch and torchvision, in float64, with the same weights. */
#include <gemel/model.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/support.h"

/* As in data/make_image_models.py, which writes the files and describes their order. */
enum { VIEWS = 2, PROJECTIONS = 8, SAMPLE = 2, MOST_WIDTHS = 3, MOST_VALUES = 1 << 15 };
enum { IMAGES = 1 << 20, OUTPUT_GRADIENT, SIGNS = 1 << 21 };

typedef struct network {
    const char *name;
    gm_arch arch;
    gm_stem stem;
    int64_t images, height, width, channels;
    int64_t projector[MOST_WIDTHS];
    bool biases;
} network;

static const network networks[] = {
    {"conv", GM_ARCH_CONV, GM_STEM_AUTO, 5, 13, 11, 1, {20, 12}, true},
    {"resnet18", GM_ARCH_RESNET18, GM_STEM_AUTO, 5, 9, 7, 2, {16, 12}, false},
    {"resnet18_imagenet", GM_ARCH_RESNET18, GM_STEM_IMAGENET, 6, 33, 40, 1, {12}, true},
    {"resnet34", GM_ARCH_RESNET34, GM_STEM_SMALL, 4, 8, 8, 1, {12}, false},
    {"resnet50", GM_ARCH_RESNET50, GM_STEM_IMAGENET, 4, 44, 40, 3, {16, 12}, false},
};

enum { NETWORKS = sizeof networks / sizeof *networks };

static uint64_t hash(uint64_t array, int64_t element)
{
    uint64_t x = ((uint64_t)element + 1) * 0x9E3779B97F4A7C15u + array * 0xD1342543DE82EF95u;
    for (int i = 0; i < 2; i++) {
        x ^= x >> 32;
        x *= 0xD6E8FEB86659FD93u;
    }
    return x;
}

static float hashed(uint64_t array, int64_t element)
{
    return (float)(hash(array, element) >> 40) / (float)(1 << 23) - 1;
}

static float *hashed_array(uint64_t array, int64_t count)
{
    float *x = malloc((size_t)count * sizeof *x);
    for (int64_t i = 0; i < count; i++)
        x[i] = hashed(array, i);
    return x;
}

static bool ends_with(const char *name, const char *end)
{
    const size_t length = strlen(name), most = strlen(end);
    return length >= most && !strcmp(name + length - most, end);
}

static void fill(gm_model *model, const char *last_norm)
{
    for (int32_t i = 0; i < gm_model_parameter_count(model); i++) {
        const gm_parameter p = gm_model_parameter(model, i);
        const bool variance = strstr(p.name, "running_var"), weight = strstr(p.name, "weight");
        float scale = 0.25f, offset = 0;
        if (p.dimensions > 1)
            scale = sqrtf((float)(6.0 / ((double)p.count / (double)p.shape[0])));
        else if (variance)
            scale = 0.5f;
        if (p.dimensions == 1 && (variance || weight))
            offset = ends_with(p.name, last_norm) ? 0.25f : 1;
        for (int64_t j = 0; j < p.count; j++)
            p.value[j] = offset + scale * hashed((uint64_t)i, j);
    }
}

static gm_model *create_for(gm_context *context, const network *n, bool exact, bool training)
{
    gm_model_options options = gm_model_image_options(n->arch, n->height, n->width, n->channels, n->images);
    options.stem = n->stem;
    options.projector = n->projector;
    while (options.projector_layers < MOST_WIDTHS && n->projector[options.projector_layers])
        options.projector_layers++;
    options.projector_bias = n->biases;
    options.exact = exact;
    options.training = training;
    gm_model *model;
    const gm_status status = gm_model_create(context, &options, &model);
    ck_assert_msg(status == GM_OK, "%s: %s", n->name, gm_status_string(status));
    return model;
}

static gm_model *create(gm_context *context, const network *n, bool exact)
{
    return create_for(context, n, exact, true);
}

typedef struct values {
    float *all;
    size_t count, read;
} values;

static values open_values(const char *name)
{
    char path[4096];
    values v = {malloc(MOST_VALUES * sizeof(float)), 0, 0};
    snprintf(path, sizeof path, "%s/image_model_%s.f32", TEST_DATA, name);
    FILE *file = fopen(path, "rb");
    ck_assert_msg(file, "%s cannot be opened", path);
    v.count = fread(v.all, sizeof(float), MOST_VALUES, file);
    fclose(file);
    return v;
}

static const float *next(values *v, int64_t count)
{
    ck_assert_uint_le(v->read + (size_t)count, v->count);
    v->read += (size_t)count;
    return v->all + v->read - count;
}

static void check_next(values *v, const char *what, const float *x, int64_t count, double most)
{
    const float *expected = next(v, count);
    double error = 0, norm = 0;
    for (int64_t i = 0; i < count; i++) {
        error += pow((double)x[i] - (double)expected[i], 2);
        norm += pow((double)expected[i], 2);
    }
    ck_assert_msg(sqrt(error) <= most * sqrt(norm), "%s is off by %.2g of %.2g", what, sqrt(error), sqrt(norm));
}

/* The products of the error with random signs have the error's norm for a deviation. Where the gradient is 0, as is
 * that of a bias before a normalisation, `zero` bounds its norm. */
static double gradient_error(values *v, const gm_parameter *p, int64_t index)
{
    const double norm = *next(v, 1), zero = 1e-4;
    double squares = 0;
    double products[PROJECTIONS] = {0};
    for (int64_t j = 0; j < p->count; j++) {
        const uint64_t bits = hash((uint64_t)(SIGNS + index), j) >> 56;
        for (int k = 0; k < PROJECTIONS; k++)
            products[k] += (double)(bits >> k & 1 ? p->gradient[j] : -p->gradient[j]);
    }
    for (int k = 0; k < PROJECTIONS; k++)
        squares += pow(products[k] - (double)*next(v, 1), 2) / PROJECTIONS;
    return norm < zero ? sqrt(squares) / zero * 1e-3 : sqrt(squares) / norm;
}

static void check_gradients(values *v, const gm_model *model, const char *name, double most)
{
    int64_t index = 0;
    for (int32_t i = 0; i < gm_model_parameter_count(model); i++) {
        const gm_parameter p = gm_model_parameter(model, i);
        if (!p.gradient)
            continue;
        const double error = gradient_error(v, &p, index++);
        ck_assert_msg(error <= most, "%s: gradient of %s is off by %.2g", name, p.name, error);
    }
}

static void check_network(gm_isa isa, const network *n, bool exact)
{
    gm_context *context = test_context(isa, 2);
    gm_model *model = create(context, n, exact);
    const int64_t size = gm_model_input_size(model), features = gm_model_feature_size(model);
    const int64_t rows = VIEWS * n->images, out = gm_model_output_size(model);
    float *x = hashed_array(IMAGES, rows * size), *dz = hashed_array(OUTPUT_GRADIENT, rows * out);
    float *z = malloc((size_t)(rows * out) * sizeof *z), *y = malloc((size_t)(SAMPLE * features) * sizeof *y);
    values v = open_values(n->name);
    fill(model, n->arch == GM_ARCH_RESNET50 ? "bn3.weight" : "bn2.weight");
    ck_assert_int_eq(gm_model_forward_f32(model, VIEWS, n->images, x, size, z, out), GM_OK);
    check_next(&v, "output", z, rows * out, 1e-4);
    ck_assert_int_eq(gm_model_backward_f32(model, dz, out), GM_OK);
    /* Winograd's rounding more often turns an activation near 0, which changes gradients by a percent. */
    check_gradients(&v, model, n->name, exact ? 1e-3 : 1e-2);
    ck_assert_int_eq(gm_model_features_f32(model, SAMPLE, x, size, y, features), GM_OK);
    check_next(&v, "features", y, SAMPLE * features, 1e-4);
    ck_assert_int_eq(gm_model_infer_f32(model, rows, x, size, z, out), GM_OK);
    check_next(&v, "inference", z, rows * out, 1e-4);
    ck_assert_uint_eq(v.read, v.count);
    free(v.all);
    free(x);
    free(dz);
    free(z);
    free(y);
    gm_model_destroy(model);
    gm_context_destroy(context);
}

START_TEST(networks_are_pytorchs)
{
    gm_isa isas[GM_ISA_COUNT];
    const int n = test_isas(isas);
    for (int i = 0; i < n; i++)
        check_network(isas[i], &networks[_i], true);
    check_network(isas[n - 1], &networks[_i], false);
}
END_TEST

/* The running statistics are those that one forward call leaves. */
static void check_frozen(gm_isa isa, const network *n, bool exact)
{
    gm_context *context = test_context(isa, 2);
    gm_model *model = create_for(context, n, exact, false), *trained = create(context, n, exact);
    const int64_t size = gm_model_input_size(model), features = gm_model_feature_size(model);
    const int64_t rows = VIEWS * n->images, out = gm_model_output_size(model);
    float *x = hashed_array(IMAGES, rows * size), *z = malloc((size_t)(rows * out) * sizeof *z),
          *y = malloc((size_t)(SAMPLE * features) * sizeof *y);
    values v = open_values(n->name);
    fill(trained, n->arch == GM_ARCH_RESNET50 ? "bn3.weight" : "bn2.weight");
    ck_assert_int_eq(gm_model_forward_f32(trained, VIEWS, n->images, x, size, z, out), GM_OK);
    check_next(&v, "output", z, rows * out, 1e-4);
    for (int32_t i = 0; i < gm_model_parameter_count(model); i++) {
        const gm_parameter from = gm_model_parameter(trained, i), to = gm_model_parameter(model, i);
        memcpy(to.value, from.value, (size_t)to.count * sizeof *to.value);
        if (from.gradient)
            next(&v, 1 + PROJECTIONS);
    }
    ck_assert_int_eq(gm_model_freeze(model), GM_OK);
    ck_assert_int_eq(gm_model_features_f32(model, SAMPLE, x, size, y, features), GM_OK);
    check_next(&v, "frozen features", y, SAMPLE * features, 1e-4);
    ck_assert_int_eq(gm_model_infer_f32(model, rows, x, size, z, out), GM_OK);
    check_next(&v, "frozen inference", z, rows * out, 1e-4);
    ck_assert_uint_eq(v.read, v.count);
    free(v.all);
    free(x);
    free(z);
    free(y);
    gm_model_destroy(model);
    gm_model_destroy(trained);
    gm_context_destroy(context);
}

START_TEST(frozen_networks_are_pytorchs)
{
    gm_isa isas[GM_ISA_COUNT];
    const int n = test_isas(isas);
    for (int i = 0; i < n; i++)
        check_frozen(isas[i], &networks[_i], true);
    check_frozen(isas[n - 1], &networks[_i], false);
}
END_TEST

START_TEST(frozen_parameters_may_change_afterwards)
{
    const network *n = &networks[1];
    gm_context *context = test_context(GM_ISA_AUTO, 1);
    gm_model *model = create_for(context, n, false, false), *trained = create(context, n, false);
    const int64_t size = gm_model_input_size(model), features = gm_model_feature_size(model);
    const size_t bytes = (size_t)features * sizeof(float), memory = gm_model_memory(model);
    float *x = hashed_array(IMAGES, size), *before = malloc(bytes), *after = malloc(bytes);
    fill(model, "bn2.weight");
    ck_assert_int_eq(gm_model_freeze(model), GM_OK);
    ck_assert_uint_gt(gm_model_memory(model), memory);
    ck_assert_int_eq(gm_model_features_f32(model, 1, x, size, before, features), GM_OK);
    const gm_parameter p = gm_model_parameter(model, 0);
    for (int64_t i = 0; i < p.count; i++)
        p.value[i] *= 2;
    ck_assert_int_eq(gm_model_features_f32(model, 1, x, size, after, features), GM_OK);
    ck_assert(test_same_bits(before, after, bytes));
    ck_assert_int_eq(gm_model_freeze(model), GM_OK);
    ck_assert_int_eq(gm_model_features_f32(model, 1, x, size, after, features), GM_OK);
    ck_assert(!test_same_bits(before, after, bytes));
    ck_assert_int_eq(gm_model_freeze(trained), GM_INVALID_ARGUMENT);
    ck_assert_int_eq(gm_model_freeze(NULL), GM_INVALID_ARGUMENT);
    free(x);
    free(before);
    free(after);
    gm_model_destroy(model);
    gm_model_destroy(trained);
    gm_context_destroy(context);
}
END_TEST

/* One step of a model, whose gradients then are in its parameters. Returns z, to be freed. */
static float *step(gm_model *model, const network *n, bool infer_between)
{
    const int64_t size = gm_model_input_size(model), out = gm_model_output_size(model), rows = VIEWS * n->images;
    float *x = hashed_array(IMAGES, rows * size), *dz = hashed_array(OUTPUT_GRADIENT, rows * out);
    float *z = malloc((size_t)(rows * out) * sizeof *z), *other = malloc((size_t)(rows * out) * sizeof *z);
    ck_assert_int_eq(gm_model_forward_f32(model, VIEWS, n->images, x, size, z, out), GM_OK);
    if (infer_between)
        ck_assert_int_eq(gm_model_infer_f32(model, rows - 1, x, size, other, out), GM_OK);
    ck_assert_int_eq(gm_model_backward_f32(model, dz, out), GM_OK);
    free(x);
    free(dz);
    free(other);
    return z;
}

static void check_same(const network *n, const gm_model *a, const float *za, const gm_model *b, const float *zb)
{
    ck_assert(test_same_bits(za, zb, (size_t)(VIEWS * n->images * gm_model_output_size(a)) * sizeof *za));
    for (int32_t i = 0; i < gm_model_parameter_count(a); i++) {
        const gm_parameter p = gm_model_parameter(a, i), q = gm_model_parameter(b, i);
        const size_t bytes = (size_t)p.count * sizeof(float);
        ck_assert_msg(test_same_bits(p.value, q.value, bytes), "%s differs", p.name);
        ck_assert_msg(!p.gradient || test_same_bits(p.gradient, q.gradient, bytes), "gradient of %s differs", p.name);
    }
}

START_TEST(bits_do_not_depend_on_threads)
{
    static const int32_t threads[] = {2, 3, 7};
    const network *n = &networks[_i];
    gm_context *one = test_context(GM_ISA_AUTO, 1);
    gm_model *first = create(one, n, false);
    float *expected = step(first, n, false);
    for (int t = 0; t < 3; t++) {
        gm_context *context = test_context(GM_ISA_AUTO, threads[t]);
        gm_model *model = create(context, n, false);
        float *z = step(model, n, false);
        check_same(n, first, expected, model, z);
        free(z);
        gm_model_destroy(model);
        gm_context_destroy(context);
    }
    free(expected);
    gm_model_destroy(first);
    gm_context_destroy(one);
}
END_TEST

/* A model that was made for more images and views, with an inference call in the middle, gives the same numbers. */
START_TEST(larger_plans_and_inference_change_nothing)
{
    const network *n = &networks[_i];
    network more = *n;
    more.images += 3;
    gm_context *context = test_context(GM_ISA_AUTO, 2);
    gm_model *exact = create(context, n, false), *larger = create(context, &more, false);
    float *z = step(exact, n, false), *other = step(larger, n, true);
    check_same(n, exact, z, larger, other);
    free(z);
    free(other);
    gm_model_destroy(exact);
    gm_model_destroy(larger);
    gm_context_destroy(context);
}
END_TEST

START_TEST(inference_does_not_depend_on_blocks)
{
    enum { MANY = 700 };
    const network *n = &networks[0];
    gm_context *context = test_context(GM_ISA_AUTO, 2);
    gm_model *model = create(context, n, true);
    const int64_t size = gm_model_input_size(model), features = gm_model_feature_size(model);
    float *x = hashed_array(IMAGES, MANY * size), *all = malloc((size_t)(MANY * features) * sizeof *all),
          *one = malloc((size_t)features * sizeof *one);
    fill(model, "bn2.weight");
    ck_assert_int_eq(gm_model_features_f32(model, MANY, x, size, all, features), GM_OK);
    for (int64_t i = 0; i < MANY; i += 233) {
        ck_assert_int_eq(gm_model_features_f32(model, 1, x + i * size, size, one, features), GM_OK);
        for (int64_t j = 0; j < features; j++)
            ck_assert_float_eq_tol(one[j], all[i * features + j], 1e-5f);
    }
    free(x);
    free(all);
    free(one);
    gm_model_destroy(model);
    gm_context_destroy(context);
}
END_TEST

START_TEST(parameters_are_named_as_torchvisions)
{
    static const struct {
        int network, index;
        const char *name;
    } names[] = {
        {0, 0, "encoder.0.weight"},
        {0, 4, "encoder.1.running_var"},
        {0, 5, "encoder.4.weight"},
        {0, 14, "encoder.9.running_var"},
        {0, 15, "projector.0.weight"},
        {0, 16, "projector.0.bias"},
        {0, 17, "projector.1.weight"},
        {1, 0, "encoder.conv1.weight"},
        {1, 1, "encoder.bn1.weight"},
        {1, 5, "encoder.layer1.0.conv1.weight"},
        {1, 35, "encoder.layer2.0.downsample.0.weight"},
        {1, 36, "encoder.layer2.0.downsample.1.weight"},
        {1, 99, "encoder.layer4.1.bn2.running_var"},
        {1, 100, "projector.0.weight"},
        {4, 15, "encoder.layer1.0.conv3.weight"},
        {4, 20, "encoder.layer1.0.downsample.0.weight"},
        {4, 264, "encoder.layer4.2.bn3.running_var"},
    };
    gm_context *context = test_context(GM_ISA_AUTO, 1);
    for (int n = 0; n < NETWORKS; n++) {
        gm_model *model = create(context, &networks[n], false);
        for (size_t i = 0; i < sizeof names / sizeof *names; i++)
            if (names[i].network == n)
                ck_assert_str_eq(gm_model_parameter(model, names[i].index).name, names[i].name);
        gm_model_destroy(model);
    }
    gm_context_destroy(context);
}
END_TEST

/* Beside weights, their gradients and a block for inference: what lives at once when the second max pooling passes its
 * gradient on, which is the outputs up to there, two gradients, and a byte for each window. */
START_TEST(the_backward_pass_takes_little_memory)
{
    enum { SIDE = 32, BATCH = 256, ROWS = VIEWS * BATCH };
    gm_context *context = test_context(GM_ISA_AUTO, 1);
    gm_model_options options = gm_model_image_options(GM_ARCH_CONV, SIDE, SIDE, 1, BATCH);
    gm_model *model;
    ck_assert_int_eq(gm_model_create(context, &options, &model), GM_OK);
    const double training = (double)gm_model_memory(model);
    gm_model_destroy(model);
    options.training = false;
    ck_assert_int_eq(gm_model_create(context, &options, &model), GM_OK);
    const double inference = (double)gm_model_memory(model);
    const double pixel = 4 * (32 + 32 / 4 + 64 / 4) + 4 * (64 / 4 + 64 / 16) + 32 / 4 + 64 / 16;
    const double live = ROWS * SIDE * SIDE * pixel;
    ck_assert_msg(training - inference < 1.02 * live, "%g instead of %g bytes", training - inference, live);
    gm_model_destroy(model);
    gm_context_destroy(context);
}
END_TEST

START_TEST(initial_weights_have_their_distribution)
{
    gm_context *context = test_context(GM_ISA_AUTO, 1);
    gm_model_options options = gm_model_image_options(GM_ARCH_RESNET18, 8, 8, 3, 2);
    options.zero_init_residual = true;
    gm_model *model;
    ck_assert_int_eq(gm_model_create(context, &options, &model), GM_OK);
    for (int32_t i = 0; i < gm_model_parameter_count(model); i++) {
        const gm_parameter p = gm_model_parameter(model, i);
        if (p.dimensions == 4) {
            double squares = 0;
            for (int64_t j = 0; j < p.count; j++)
                squares += (double)p.value[j] * (double)p.value[j];
            const double variance = 2.0 / (double)(p.shape[0] * p.shape[2] * p.shape[3]);
            ck_assert_double_eq_tol(squares / (double)p.count / variance, 1, 0.1);
        } else if (ends_with(p.name, "weight") && p.dimensions == 1) {
            const bool last = strstr(p.name, "layer") && ends_with(p.name, "bn2.weight");
            ck_assert(p.value[0] == (last ? 0 : 1));
        }
    }
    gm_model_destroy(model);
    gm_context_destroy(context);
}
END_TEST

START_TEST(each_layer_of_conv_has_twice_the_channels_of_the_one_before)
{
    static const int64_t widths[] = {0, 5};
    gm_context *context = test_context(GM_ISA_AUTO, 1);
    for (int i = 0; i < 2; i++) {
        const int64_t width = widths[i] ? widths[i] : gm_default_conv_width();
        gm_model_options options = gm_model_image_options(GM_ARCH_CONV, 8, 8, 1, 2);
        options.conv_width = widths[i];
        gm_model *model;
        ck_assert_int_eq(gm_model_create(context, &options, &model), GM_OK);
        ck_assert_int_eq(gm_model_feature_size(model), 16 * width);
        int64_t in = 1, out = width;
        for (int32_t j = 0; j < gm_model_parameter_count(model); j++) {
            const gm_parameter p = gm_model_parameter(model, j);
            if (p.dimensions != 4)
                continue;
            ck_assert(p.shape[0] == out && p.shape[1] == in);
            in = out;
            out *= 2;
        }
        ck_assert_int_eq(in, 4 * width);
        gm_model_destroy(model);
    }
    gm_context_destroy(context);
}
END_TEST

START_TEST(bad_options_and_calls_return_their_status)
{
    gm_context *context = test_context(GM_ISA_SCALAR, 1);
    enum { CASES = 8, TOO_LARGE = 2 };
    gm_model_options cases[CASES];
    for (int i = 0; i < CASES; i++)
        cases[i] = gm_model_image_options(GM_ARCH_CONV, 8, 8, 1, 2);
    cases[0].height = 0;
    cases[1].channels = -1;
    cases[2].encoder_dim = 63;
    cases[3].width = 3; /* nothing is left to pool */
    cases[4].stem = GM_STEM_COUNT;
    cases[5].conv_width = -1;
    cases[6].height = cases[6].width = 1 << 16;
    cases[7].conv_width = INT32_MAX / 16 + 1;
    gm_model *model;
    for (int i = 0; i < CASES; i++)
        ck_assert_int_eq(gm_model_create(context, &cases[i], &model),
                         i < CASES - TOO_LARGE ? GM_INVALID_ARGUMENT : GM_SIZE_OVERFLOW);
    const gm_model_options good = gm_model_image_options(GM_ARCH_CONV, 8, 8, 1, 2);
    ck_assert_int_eq(gm_model_create(context, &good, &model), GM_OK);
    float x[4 * 64] = {0}, z[4 * 256];
    ck_assert_int_eq(gm_model_forward_f32(model, 2, 1, x, 65, z, 256), GM_INVALID_ARGUMENT);
    ck_assert_int_eq(gm_model_infer_f32(model, 2, x, 65, z, 256), GM_INVALID_ARGUMENT);
    ck_assert_int_eq(gm_model_infer_f32(model, 2, x, 64, z, 256), GM_OK);
    ck_assert(!gm_arch_takes_images(GM_ARCH_AXON) && gm_arch_takes_images(GM_ARCH_RESNET50));
    gm_model_destroy(model);
    gm_context_destroy(context);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("image_model");
    TCase *tests = tcase_create("image_model");
    suite_add_tcase(suite, tests);
    tcase_add_loop_test(tests, networks_are_pytorchs, 0, NETWORKS);
    tcase_add_loop_test(tests, frozen_networks_are_pytorchs, 0, NETWORKS);
    tcase_add_test(tests, frozen_parameters_may_change_afterwards);
    tcase_add_loop_test(tests, bits_do_not_depend_on_threads, 0, 2); /* conv, resnet18 */
    tcase_add_loop_test(tests, larger_plans_and_inference_change_nothing, 0, NETWORKS);
    tcase_add_test(tests, inference_does_not_depend_on_blocks);
    tcase_add_test(tests, parameters_are_named_as_torchvisions);
    tcase_add_test(tests, the_backward_pass_takes_little_memory);
    tcase_add_test(tests, initial_weights_have_their_distribution);
    tcase_add_test(tests, each_layer_of_conv_has_twice_the_channels_of_the_one_before);
    tcase_add_test(tests, bad_options_and_calls_return_their_status);
    return test_run(suite);
}
