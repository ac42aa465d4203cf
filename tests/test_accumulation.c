/* Gradients of a batch that goes through gm_model in pieces, against the same batch in one piece whose batch norms have
 * a group for each view of each piece. */
#include <gemel/model.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "support/support.h"

enum { VIEWS = 2, PIECES = 3, OUT = 12 };

typedef struct network {
    const char *name;
    gm_arch arch;
    gm_stem stem;
    int64_t rows, height, width, channels; /* rows of a view of a piece */
    bool biases;
} network;

static const network networks[] = {
    {"mlp", GM_ARCH_MLP, GM_STEM_AUTO, 7, 1, 1, 40, true},
    {"axon", GM_ARCH_AXON, GM_STEM_AUTO, 5, 1, 1, 33, false},
    {"conv", GM_ARCH_CONV, GM_STEM_AUTO, 4, 13, 11, 1, true},
    {"resnet18", GM_ARCH_RESNET18, GM_STEM_SMALL, 5, 9, 8, 2, false},
    {"resnet50", GM_ARCH_RESNET50, GM_STEM_IMAGENET, 3, 33, 33, 3, false},
};

enum { NETWORKS = sizeof networks / sizeof *networks };

static gm_model_options options_of(const network *n, int64_t rows, int32_t views, bool accumulation)
{
    const bool images = gm_arch_takes_images(n->arch);
    gm_model_options options = images ? gm_model_image_options(n->arch, n->height, n->width, n->channels, rows)
                                      : gm_model_default_options(n->channels, rows);
    options.arch = n->arch;
    options.stem = n->stem;
    options.hidden_size = 37;
    options.projection_dim = OUT;
    options.views = views;
    options.projector_bias = n->biases;
    options.exact = true; /* Winograd's rounding turns more activations near 0 */
    options.accumulation = accumulation;
    return options;
}

static gm_model *create_from(gm_context *context, const network *n, const gm_model_options *options)
{
    gm_model *model;
    const gm_status status = gm_model_create(context, options, &model);
    ck_assert_msg(status == GM_OK, "%s: %s", n->name, gm_status_string(status));
    return model;
}

static gm_model *create(gm_context *context, const network *n, int64_t rows, int32_t views, bool accumulation)
{
    const gm_model_options options = options_of(n, rows, views, accumulation);
    return create_from(context, n, &options);
}

static float *numbers(uint64_t seed, int64_t count)
{
    test_random random = test_random_create(seed);
    float *x = malloc((size_t)count * sizeof *x);
    test_fill_normal(&random, x, count, 0, 1);
    return x;
}

/* A step in pieces as gm_model_accumulate_f32() describes it; z and dz: [PIECES, VIEWS rows, OUT]. */
static void step_in_pieces(gm_model *model, const network *n, const float *x, float *z, float *dz)
{
    const int64_t size = gm_model_input_size(model), rows = VIEWS * n->rows;
    const size_t bytes = (size_t)(rows * OUT) * sizeof(float);
    float *again = malloc(bytes);
    for (int i = 0; i < PIECES; i++)
        ck_assert_int_eq(
            gm_model_forward_f32(model, VIEWS, n->rows, x + i * rows * size, size, z + i * rows * OUT, OUT), GM_OK);
    for (int i = PIECES - 1; i >= 0; i--) {
        float *piece = dz + i * rows * OUT;
        if (i == PIECES - 1) {
            ck_assert_int_eq(gm_model_backward_f32(model, piece, OUT), GM_OK);
            continue;
        }
        ck_assert_int_eq(gm_model_recompute_f32(model, VIEWS, n->rows, x + i * rows * size, size, again, OUT), GM_OK);
        ck_assert(test_same_bits(again, z + i * rows * OUT, bytes));
        ck_assert_int_eq(gm_model_accumulate_f32(model, piece, OUT), GM_OK);
    }
    free(again);
}

static double difference(const float *x, const float *expected, int64_t count)
{
    double *wide = malloc((size_t)count * sizeof *wide);
    for (int64_t i = 0; i < count; i++)
        wide[i] = (double)expected[i];
    const double error = test_relative_error(x, wide, count);
    free(wide);
    return error;
}

/* That of a bias before a normalisation is 0, and what is left of it rounding. */
static bool vanishes(const float *gradient, int64_t count)
{
    float most = 0;
    for (int64_t i = 0; i < count; i++)
        most = fmaxf(most, fabsf(gradient[i]));
    return most < 1e-4f;
}

static void check_parameters(const network *n, const gm_model *pieces, const gm_model *whole)
{
    for (int32_t i = 0; i < gm_model_parameter_count(whole); i++) {
        const gm_parameter p = gm_model_parameter(pieces, i), q = gm_model_parameter(whole, i);
        const double value = difference(p.value, q.value, p.count);
        ck_assert_msg(value < 1e-5, "%s: %s is off by %.2g", n->name, p.name, value);
        if (!p.gradient || (vanishes(p.gradient, p.count) && vanishes(q.gradient, q.count)))
            continue;
        const double gradient = difference(p.gradient, q.gradient, p.count);
        ck_assert_msg(gradient < 1e-4, "%s: gradient of %s is off by %.2g", n->name, p.name, gradient);
    }
}

START_TEST(pieces_add_up_to_a_grouped_batch)
{
    const network *n = &networks[_i];
    const int64_t rows = PIECES * VIEWS * n->rows;
    gm_isa isas[GM_ISA_COUNT];
    const int count = test_isas(isas);
    for (int k = n->arch == GM_ARCH_RESNET50 ? count - 1 : 0; k < count; k++) { /* 25 million weights: once */
        gm_context *context = test_context(isas[k], 2);
        gm_model *pieces = create(context, n, n->rows, VIEWS, true),
                 *whole = create(context, n, n->rows, PIECES * VIEWS, false);
        const int64_t size = gm_model_input_size(whole);
        float *x = numbers(1, rows * size), *dz = numbers(2, rows * OUT), *same = numbers(2, rows * OUT);
        float *z = numbers(3, rows * OUT), *expected = numbers(4, rows * OUT);
        step_in_pieces(pieces, n, x, z, dz);
        ck_assert_int_eq(gm_model_forward_f32(whole, PIECES * VIEWS, n->rows, x, size, expected, OUT), GM_OK);
        ck_assert_double_lt(difference(z, expected, rows * OUT), 1e-5);
        ck_assert_int_eq(gm_model_backward_f32(whole, same, OUT), GM_OK);
        check_parameters(n, pieces, whole);
        free(x), free(dz), free(same), free(z), free(expected);
        gm_model_destroy(pieces);
        gm_model_destroy(whole);
        gm_context_destroy(context);
    }
}
END_TEST

static void check_same(const network *n, const gm_model *a, const gm_model *b)
{
    for (int32_t i = 0; i < gm_model_parameter_count(a); i++) {
        const gm_parameter p = gm_model_parameter(a, i), q = gm_model_parameter(b, i);
        const size_t bytes = (size_t)p.count * sizeof(float);
        ck_assert_msg(test_same_bits(p.value, q.value, bytes), "%s: %s differs", n->name, p.name);
        ck_assert_msg(!p.gradient || test_same_bits(p.gradient, q.gradient, bytes), "%s: gradient of %s differs",
                      n->name, p.name);
    }
}

/* Nor on whether the memory was planned for larger pieces. */
START_TEST(bits_do_not_depend_on_threads)
{
    static const int32_t threads[] = {1, 2, 3, 7};
    const network *n = &networks[_i];
    const int64_t rows = PIECES * VIEWS * n->rows;
    gm_context *contexts[4];
    gm_model *models[4];
    for (int t = 0; t < 4; t++) {
        contexts[t] = test_context(GM_ISA_AUTO, threads[t]);
        models[t] = create(contexts[t], n, n->rows + t, VIEWS, true);
        float *x = numbers(1, rows * gm_model_input_size(models[t])), *dz = numbers(2, rows * OUT);
        float *z = numbers(3, rows * OUT);
        step_in_pieces(models[t], n, x, z, dz);
        check_same(n, models[0], models[t]);
        free(x), free(dz), free(z);
    }
    for (int t = 0; t < 4; t++) {
        gm_model_destroy(models[t]);
        gm_context_destroy(contexts[t]);
    }
}
END_TEST

/* The activations of one piece, all gradients, which lie among the activations otherwise, and once more those of one
 * layer that cannot add to what is there. */
START_TEST(pieces_take_the_memory_of_one)
{
    const network *n = &networks[_i];
    gm_context *context = test_context(GM_ISA_AUTO, 1);
    gm_model *piece = create(context, n, 16, VIEWS, false), *pieces = create(context, n, 16, VIEWS, true),
             *whole = create(context, n, 16 * PIECES, VIEWS, false);
    size_t largest = 0, gradients = 0;
    for (int32_t i = 0; i < gm_model_parameter_count(piece); i++) {
        const gm_parameter p = gm_model_parameter(piece, i);
        if (p.dimensions != 2 && (size_t)p.count * sizeof(float) > largest)
            largest = (size_t)p.count * sizeof(float);
        gradients += p.gradient ? ((size_t)p.count * sizeof(float) + 63) / 64 * 64 : 0;
    }
    const size_t one = gm_model_memory(piece), added = gm_model_memory(pieces), all = gm_model_memory(whole);
    ck_assert_msg(added >= one && added <= one + gradients + 2 * largest + 64, "%s: %zu, %zu bytes", n->name, one,
                  added);
    ck_assert_msg(added < all + gradients, "%s: %zu bytes in pieces, %zu in one", n->name, added, all);
    gm_model_destroy(piece);
    gm_model_destroy(pieces);
    gm_model_destroy(whole);
    gm_context_destroy(context);
}
END_TEST

/* Outputs that are made twice: less memory, the same bits, also in pieces. A ResNet-18's only cheap convolution of the
 * largest size is the first one, which is forgotten in any case. */
START_TEST(forgotten_outputs_come_back_bit_for_bit)
{
    const network *n = &networks[_i];
    const int64_t rows = PIECES * VIEWS * n->rows;
    gm_context *context = test_context(GM_ISA_AUTO, 2);
    gm_model_options options = options_of(n, n->rows, VIEWS, true);
    gm_model *kept = create_from(context, n, &options);
    options.recomputation = true;
    gm_model *again = create_from(context, n, &options);
    const int64_t size = gm_model_input_size(kept);
    float *x = numbers(1, rows * size), *z = numbers(3, rows * OUT), *expected = numbers(4, rows * OUT);
    for (int step = 0; step < 2; step++) {
        float *dz = numbers(2, rows * OUT), *same = numbers(2, rows * OUT);
        step_in_pieces(kept, n, x, expected, same);
        step_in_pieces(again, n, x, z, dz);
        ck_assert(test_same_bits(z, expected, (size_t)(rows * OUT) * sizeof *z));
        check_same(n, kept, again);
        free(dz), free(same);
    }
    const bool more = n->arch == GM_ARCH_CONV || n->arch == GM_ARCH_RESNET50;
    ck_assert(more ? gm_model_memory(again) < gm_model_memory(kept) : gm_model_memory(again) == gm_model_memory(kept));
    free(x), free(z), free(expected);
    gm_model_destroy(kept);
    gm_model_destroy(again);
    gm_context_destroy(context);
}
END_TEST

START_TEST(recomputation_leaves_the_running_statistics)
{
    const network *n = &networks[0];
    gm_context *context = test_context(GM_ISA_AUTO, 1);
    gm_model *model = create(context, n, n->rows, VIEWS, true), *other = create(context, n, n->rows, VIEWS, true);
    const int64_t rows = VIEWS * n->rows, size = gm_model_input_size(model);
    float *x = numbers(1, rows * size), *z = numbers(3, rows * OUT);
    ck_assert_int_eq(gm_model_recompute_f32(model, VIEWS, n->rows, x, size, z, OUT), GM_OK);
    for (int32_t i = 0; i < gm_model_parameter_count(model); i++) {
        const gm_parameter p = gm_model_parameter(model, i), fresh = gm_model_parameter(other, i);
        ck_assert_msg(test_same_bits(p.value, fresh.value, (size_t)p.count * sizeof(float)), "%s changed", p.name);
    }
    free(x), free(z);
    gm_model_destroy(model);
    gm_model_destroy(other);
    gm_context_destroy(context);
}
END_TEST

START_TEST(bad_calls_return_their_status)
{
    const network *n = &networks[0];
    gm_context *context = test_context(GM_ISA_SCALAR, 1);
    gm_model *without = create(context, n, n->rows, VIEWS, false), *with = create(context, n, n->rows, VIEWS, true);
    const int64_t rows = VIEWS * n->rows, size = gm_model_input_size(with);
    float *x = numbers(1, rows * size), *z = numbers(3, rows * OUT);
    const gm_status bad = GM_INVALID_ARGUMENT;
    ck_assert_int_eq(gm_model_accumulate_f32(NULL, z, OUT), bad);
    ck_assert_int_eq(gm_model_accumulate_f32(with, z, OUT), bad); /* nothing went forward */
    ck_assert_int_eq(gm_model_recompute_f32(NULL, VIEWS, n->rows, x, size, z, OUT), bad);
    ck_assert_int_eq(gm_model_recompute_f32(with, VIEWS, n->rows + 1, x, size, z, OUT), bad);
    ck_assert_int_eq(gm_model_recompute_f32(with, VIEWS, n->rows, x, size, z, OUT), GM_OK);
    ck_assert_int_eq(gm_model_accumulate_f32(with, NULL, OUT), bad);
    ck_assert_int_eq(gm_model_accumulate_f32(with, z, OUT - 1), bad);
    ck_assert_int_eq(gm_model_accumulate_f32(with, z, OUT), GM_OK);
    ck_assert_int_eq(gm_model_accumulate_f32(with, z, OUT), bad); /* its activations are gone */
    ck_assert_int_eq(gm_model_recompute_f32(without, VIEWS, n->rows, x, size, z, OUT), GM_OK);
    ck_assert_int_eq(gm_model_accumulate_f32(without, z, OUT), bad);
    ck_assert_int_eq(gm_model_backward_f32(without, z, OUT), GM_OK);
    free(x), free(z);
    gm_model_destroy(without);
    gm_model_destroy(with);
    gm_context_destroy(context);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("accumulation");
    TCase *tests = tcase_create("accumulation");
    suite_add_tcase(suite, tests);
    tcase_add_loop_test(tests, pieces_add_up_to_a_grouped_batch, 0, NETWORKS);
    tcase_add_loop_test(tests, bits_do_not_depend_on_threads, 0, NETWORKS);
    tcase_add_loop_test(tests, pieces_take_the_memory_of_one, 0, NETWORKS);
    tcase_add_loop_test(tests, forgotten_outputs_come_back_bit_for_bit, 0, NETWORKS);
    tcase_add_test(tests, recomputation_leaves_the_running_statistics);
    tcase_add_test(tests, bad_calls_return_their_status);
    return test_run(suite);
}
