/* The steps of <gemel/color.h> against Pillow and torchvision, byte for byte. */
#include <gemel/color.h>

#include <math.h>
#include <stdlib.h>

#include "data/pillow.h"
#include "support/image.h"

enum { CASES = sizeof image_colors / sizeof *image_colors };

static const char *const step_names[] = {"brightness", "contrast", "saturation", "hue",
                                         "grayscale",  "solarize", "flip"};

static gm_status run_step(gm_context *context, int step, const test_image *x, float parameter, test_image *y)
{
    const int64_t c = x->channels, h = x->height, w = x->width;
    switch (step) {
    case STEP_BRIGHTNESS:
        return gm_adjust_brightness_u8(context, c, h, w, x->pixels, x->ld, parameter, y->pixels, y->ld);
    case STEP_CONTRAST:
        return gm_adjust_contrast_u8(context, c, h, w, x->pixels, x->ld, parameter, y->pixels, y->ld);
    case STEP_SATURATION:
        return gm_adjust_saturation_u8(context, c, h, w, x->pixels, x->ld, parameter, y->pixels, y->ld);
    case STEP_HUE:
        return gm_adjust_hue_u8(context, c, h, w, x->pixels, x->ld, parameter, y->pixels, y->ld);
    case STEP_GRAYSCALE:
        return gm_grayscale_u8(context, c, h, w, x->pixels, x->ld, y->pixels, y->ld);
    case STEP_SOLARIZE:
        return gm_solarize_u8(context, c, h, w, x->pixels, x->ld, (int32_t)parameter, y->pixels, y->ld);
    default:
        return gm_flip_u8(context, c, h, w, x->pixels, x->ld, y->pixels, y->ld);
    }
}

START_TEST(images_are_pillows)
{
    const struct image_color *c = &image_colors[_i];
    gm_isa isas[GM_ISA_COUNT];
    for (int k = 0, n = test_isas(isas); k < n; k++)
        for (int in_place = 0; in_place < 2; in_place++) {
            gm_context *context = test_context_with_workspace(isas[k], 1, 1);
            test_image x = test_image_create(c->channels, c->height, c->width, _i % 3 * 5, in_place);
            test_image y = test_image_create(c->channels, c->height, c->width, _i % 2, in_place);
            test_image *result = in_place ? &x : &y;
            test_image_fill(&x, (test_image_kind)c->kind);
            if (!in_place)
                test_guard_protect(&x.guard);
            ck_assert_int_eq(run_step(context, c->step, &x, c->parameter, result), GM_OK);
            test_image_expect(result, c->offset, c->hash, "%s, %s %g, %ld x %ld x %ld", gm_isa_name(isas[k]),
                              step_names[c->step], c->parameter, (long)c->height, (long)c->width, (long)c->channels);
            ck_assert_int_eq(test_image_spilled(result), 0);
            test_image_free(&x);
            test_image_free(&y);
            gm_context_destroy(context);
        }
}
END_TEST

/* All steps on every width of up to four vectors. */
START_TEST(instruction_sets_agree)
{
    enum { WIDTHS = 70 };
    static const float parameters[] = {1.3f, 0.7f, 1.6f, -0.13f, 0, 100, 0};
    gm_isa isas[GM_ISA_COUNT];
    const int n = test_isas(isas);
    gm_context *scalar = test_context_with_workspace(GM_ISA_SCALAR, 1, 1);
    for (int k = 1; k < n; k++) {
        gm_context *context = test_context_with_workspace(isas[k], 1, 1);
        for (int64_t width = 1; width <= WIDTHS; width++)
            for (int64_t channels = 1; channels <= 3; channels += 2)
                for (int step = 0; step <= STEP_FLIP; step++) {
                    test_image x = test_image_create(channels, 3, width, width % 3, false);
                    test_image expected = test_image_create(channels, 3, width, 0, false);
                    test_image y = test_image_create(channels, 3, width, width % 5, width % 2);
                    test_image_fill(&x, TEST_IMAGE_NOISE);
                    ck_assert_int_eq(run_step(scalar, step, &x, parameters[step], &expected), GM_OK);
                    ck_assert_int_eq(run_step(context, step, &x, parameters[step], &y), GM_OK);
                    ck_assert_int_eq(test_image_differences(&y, &expected), 0);
                    ck_assert_int_eq(test_image_spilled(&y), 0);
                    test_image_free(&x);
                    test_image_free(&y);
                    test_image_free(&expected);
                }
        gm_context_destroy(context);
    }
    gm_context_destroy(scalar);
}
END_TEST

/* ToTensor and Normalize, in their order of float operations. */
START_TEST(normalization_is_exact)
{
    static const float mean[3] = {0.485f, 0.456f, 0.406f}, std[3] = {0.229f, 0.224f, 0.225f};
    gm_isa isas[GM_ISA_COUNT];
    for (int k = 0, n = test_isas(isas); k < n; k++) {
        gm_context *context = test_context_with_workspace(isas[k], 1, 1);
        for (int64_t channels = 1; channels <= 3; channels += 2)
            for (int64_t width = 1; width <= 130; width++) {
                const int64_t height = 3, row = width * channels, pad = width % 3;
                test_image x = test_image_create(channels, height, width, width % 2, false);
                test_image_fill(&x, TEST_IMAGE_NOISE);
                test_guard_protect(&x.guard);
                test_guard y = test_guard_create((height - 1) * (row + pad) + row);
                ck_assert_int_eq(
                    gm_normalize_u8_f32(context, channels, height, width, x.pixels, x.ld, mean, std, y.data, row + pad),
                    GM_OK);
                int64_t wrong = 0;
                for (int64_t i = 0; i < y.count; i++) {
                    const int64_t j = i % (row + pad);
                    const float v = j < row ? (float)x.pixels[i / (row + pad) * x.ld + j] : NAN;
                    const float expected = (v / 255.0f - mean[j % channels]) / std[j % channels];
                    wrong += j < row ? y.data[i] != expected : !isnan(y.data[i]);
                }
                ck_assert_int_eq(wrong, 0);
                test_image_free(&x);
                test_guard_free(&y);
            }
        gm_context_destroy(context);
    }
}
END_TEST

/* Sums of grey levels beyond what a float holds exactly. */
START_TEST(mean_of_a_large_image_is_exact)
{
    gm_isa isas[GM_ISA_COUNT];
    test_image x = test_image_create(1, 2, 2200001, 0, false), y = test_image_create(1, 2, 2200001, 0, false);
    for (int64_t j = 0; j < 2 * x.width; j++)
        x.pixels[j] = j < x.width + 1 ? 255 : 254; /* just above 254.5 */
    for (int k = 0, n = test_isas(isas); k < n; k++) {
        gm_context *context = test_context_with_workspace(isas[k], 1, 1);
        ck_assert_int_eq(run_step(context, STEP_CONTRAST, &x, 0, &y), GM_OK);
        ck_assert_int_eq(y.pixels[0], 255);
        gm_context_destroy(context);
    }
    test_image_free(&x);
    test_image_free(&y);
}
END_TEST

START_TEST(bad_images_return_their_status)
{
    gm_context *context = test_context(GM_ISA_SCALAR, 1);
    uint8_t x[36] = {0}, y[36];
    const struct {
        gm_context *context;
        int64_t channels, height, width;
        uint8_t *x;
        int64_t ldx;
        uint8_t *y;
        int64_t ldy;
        gm_status status;
    } cases[] = {
        {NULL, 3, 3, 4, x, 12, y, 12, GM_INVALID_ARGUMENT},
        {context, 2, 3, 4, x, 12, y, 12, GM_INVALID_ARGUMENT},
        {context, 3, -1, 4, x, 12, y, 12, GM_INVALID_ARGUMENT},
        {context, 3, 3, -4, x, 12, y, 12, GM_INVALID_ARGUMENT},
        {context, 3, 3, 4, NULL, 12, y, 12, GM_INVALID_ARGUMENT},
        {context, 3, 3, 4, x, 11, y, 12, GM_INVALID_ARGUMENT},
        {context, 3, 3, 4, x, 12, NULL, 12, GM_INVALID_ARGUMENT},
        {context, 3, 3, 4, x, 12, y, 11, GM_INVALID_ARGUMENT},
        {context, 3, 3, INT64_MAX / 2, x, INT64_MAX, y, INT64_MAX, GM_SIZE_OVERFLOW},
        {context, 3, 3, 4, x, INT64_MAX / 2, y, 12, GM_SIZE_OVERFLOW},
        {context, 3, 3, 4, x, 12, y, INT64_MAX / 2, GM_SIZE_OVERFLOW},
        {context, 3, 0, 4, NULL, 12, NULL, 12, GM_OK},
        {context, 3, 3, 0, NULL, 1, NULL, 1, GM_OK},
        {context, 3, 3, 4, x, 12, y, 12, GM_OK},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        for (int step = 0; step <= STEP_FLIP; step++) {
            const test_image from = {cases[i].channels, cases[i].height, cases[i].width, cases[i].ldx, cases[i].x, {0}};
            test_image to = {cases[i].channels, cases[i].height, cases[i].width, cases[i].ldy, cases[i].y, {0}};
            const gm_status status = run_step(cases[i].context, step, &from, 0, &to);
            ck_assert_msg(status == cases[i].status, "case %zu, %s: %s", i, step_names[step], gm_status_string(status));
        }
    gm_context_destroy(context);
}
END_TEST

START_TEST(bad_parameters_return_their_status)
{
    gm_context *context = test_context(GM_ISA_SCALAR, 1);
    uint8_t x[3] = {0}, y[3];
    float z[3];
    const test_image from = {3, 1, 1, 3, x, {0}};
    test_image to = {3, 1, 1, 3, y, {0}};
    const struct {
        int step;
        float parameter;
    } cases[] = {
        {STEP_BRIGHTNESS, -1}, {STEP_BRIGHTNESS, INFINITY}, {STEP_CONTRAST, -1},  {STEP_CONTRAST, NAN},
        {STEP_SATURATION, -1}, {STEP_SATURATION, NAN},      {STEP_HUE, 0.51f},    {STEP_HUE, -0.51f},
        {STEP_HUE, NAN},       {STEP_SOLARIZE, -1},         {STEP_SOLARIZE, 257},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const gm_status status = run_step(context, cases[i].step, &from, cases[i].parameter, &to);
        ck_assert_msg(status == GM_INVALID_ARGUMENT, "case %zu: %s", i, gm_status_string(status));
    }
    const float good[3] = {0.5f, 0.5f, 0.5f}, zero[3] = {1, 1, 0}, nan[3] = {1, NAN, 1};
    const struct {
        const float *mean, *std;
        int64_t ldy;
        float *y;
        gm_status status;
    } normalizations[] = {
        {NULL, good, 3, z, GM_INVALID_ARGUMENT},    {good, NULL, 3, z, GM_INVALID_ARGUMENT},
        {nan, good, 3, z, GM_INVALID_ARGUMENT},     {good, zero, 3, z, GM_INVALID_ARGUMENT},
        {good, nan, 3, z, GM_INVALID_ARGUMENT},     {good, good, 2, z, GM_INVALID_ARGUMENT},
        {good, good, 3, NULL, GM_INVALID_ARGUMENT}, {good, good, 3, z, GM_OK},
    };
    for (size_t i = 0; i < sizeof normalizations / sizeof *normalizations; i++) {
        const gm_status status = gm_normalize_u8_f32(context, 3, 1, 1, x, 3, normalizations[i].mean,
                                                     normalizations[i].std, normalizations[i].y, normalizations[i].ldy);
        ck_assert_msg(status == normalizations[i].status, "normalization %zu: %s", i, gm_status_string(status));
    }
    gm_context_destroy(context);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("color");
    TCase *tests = tcase_create("color");
    suite_add_tcase(suite, tests);
    tcase_add_loop_test(tests, images_are_pillows, 0, CASES);
    tcase_add_test(tests, instruction_sets_agree);
    tcase_add_test(tests, normalization_is_exact);
    tcase_add_test(tests, mean_of_a_large_image_is_exact);
    tcase_add_test(tests, bad_images_return_their_status);
    tcase_add_test(tests, bad_parameters_return_their_status);
    return test_run(suite);
}
