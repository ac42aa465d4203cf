/* gm_gaussian_blur_u8() against Pillow, byte for byte. */
#include <gemel/blur.h>

#include <math.h>

#include "data/pillow.h"
#include "support/image.h"

enum { CASES = sizeof image_blurs / sizeof *image_blurs };

/* y = x blurred, with exactly the workspace that the operation asks for. */
static void blur(gm_isa isa, const test_image *x, float sigma, test_image *y)
{
    gm_context *context = test_context_with_workspace(isa, 1, 1);
    ck_assert_int_eq(
        gm_context_reserve(context, gm_gaussian_blur_u8_workspace(context, x->channels, x->height, x->width)), GM_OK);
    ck_assert_int_eq(
        gm_gaussian_blur_u8(context, x->channels, x->height, x->width, x->pixels, x->ld, sigma, y->pixels, y->ld),
        GM_OK);
    gm_context_destroy(context);
}

START_TEST(images_are_pillows)
{
    const struct image_blur *c = &image_blurs[_i];
    gm_isa isas[GM_ISA_COUNT];
    for (int k = 0, n = test_isas(isas); k < n; k++)
        for (int in_place = 0; in_place < 2; in_place++) {
            test_image x = test_image_create(c->channels, c->height, c->width, _i % 3 * 5, in_place);
            test_image y = test_image_create(c->channels, c->height, c->width, _i % 2, in_place);
            test_image *result = in_place ? &x : &y;
            test_image_fill(&x, (test_image_kind)c->kind);
            if (!in_place)
                test_guard_protect(&x.guard);
            blur(isas[k], &x, c->sigma, result);
            test_image_expect(result, c->offset, c->hash, "%s, sigma %g, %ld x %ld x %ld", gm_isa_name(isas[k]),
                              c->sigma, (long)c->height, (long)c->width, (long)c->channels);
            ck_assert_int_eq(test_image_spilled(result), 0);
            test_image_free(&x);
            test_image_free(&y);
        }
}
END_TEST

/* Every width and height of up to two vectors, and random ones. */
START_TEST(instruction_sets_agree)
{
    enum { SIZES = 140 };
    gm_isa isas[GM_ISA_COUNT];
    const int n = test_isas(isas);
    test_random random = test_random_create(1);
    for (int i = 1; i <= SIZES; i++) {
        const int64_t other = 1 + (int64_t)(test_random_bits(&random) % 90), channels = i % 4 < 2 ? 1 : 3;
        const int64_t height = i % 2 ? i / 2 + 1 : other, width = i % 2 ? other : i / 2;
        const float sigma = (float)(test_random_uniform(&random) * (i % 5 ? 2.5 : 40.0));
        test_image x = test_image_create(channels, height, width, i % 3, false);
        test_image expected = test_image_create(channels, height, width, 0, false);
        test_image_fill(&x, TEST_IMAGE_NOISE);
        blur(GM_ISA_SCALAR, &x, sigma, &expected);
        for (int k = 1; k < n; k++) {
            test_image y = test_image_create(channels, height, width, i % 5, i % 2);
            blur(isas[k], &x, sigma, &y);
            ck_assert_int_eq(test_image_differences(&y, &expected), 0);
            ck_assert_int_eq(test_image_spilled(&y), 0);
            test_image_free(&y);
        }
        test_image_free(&x);
        test_image_free(&expected);
    }
}
END_TEST

START_TEST(bad_arguments_return_their_status)
{
    gm_context *context = test_context(GM_ISA_SCALAR, 1), *bare = test_context_with_workspace(GM_ISA_SCALAR, 1, 1);
    const uint8_t x[36] = {0};
    uint8_t y[36];
    const struct {
        gm_context *context;
        int64_t channels, height, width;
        const uint8_t *x;
        int64_t ldx;
        float sigma;
        uint8_t *y;
        int64_t ldy;
        gm_status status;
    } cases[] = {
        {NULL, 3, 3, 4, x, 12, 1, y, 12, GM_INVALID_ARGUMENT},
        {context, 4, 3, 3, x, 12, 1, y, 12, GM_INVALID_ARGUMENT},
        {context, 3, -1, 4, x, 12, 1, y, 12, GM_INVALID_ARGUMENT},
        {context, 3, 3, -1, x, 12, 1, y, 12, GM_INVALID_ARGUMENT},
        {context, 1, 65536, 1, x, 1, 1, y, 1, GM_INVALID_ARGUMENT},
        {context, 1, 1, 65536, x, 65536, 1, y, 65536, GM_INVALID_ARGUMENT},
        {context, 3, 3, 4, NULL, 12, 1, y, 12, GM_INVALID_ARGUMENT},
        {context, 3, 3, 4, x, 11, 1, y, 12, GM_INVALID_ARGUMENT},
        {context, 3, 3, 4, x, 12, -0.1f, y, 12, GM_INVALID_ARGUMENT},
        {context, 3, 3, 4, x, 12, 1001, y, 12, GM_INVALID_ARGUMENT},
        {context, 3, 3, 4, x, 12, NAN, y, 12, GM_INVALID_ARGUMENT},
        {context, 3, 3, 4, x, 12, 1, NULL, 12, GM_INVALID_ARGUMENT},
        {context, 3, 3, 4, x, 12, 1, y, 11, GM_INVALID_ARGUMENT},
        {context, 3, 3, 4, x, INT64_MAX / 2, 1, y, 12, GM_SIZE_OVERFLOW},
        {context, 3, 3, 4, x, 12, 1, y, INT64_MAX / 2, GM_SIZE_OVERFLOW},
        {bare, 3, 3, 4, x, 12, 1, y, 12, GM_WORKSPACE_TOO_SMALL},
        {context, 3, 0, 4, NULL, 12, 1, NULL, 12, GM_OK},
        {context, 3, 3, 0, NULL, 1, 1, NULL, 1, GM_OK},
        {context, 3, 3, 4, x, 12, 1, y, 12, GM_OK},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const gm_status status =
            gm_gaussian_blur_u8(cases[i].context, cases[i].channels, cases[i].height, cases[i].width, cases[i].x,
                                cases[i].ldx, cases[i].sigma, cases[i].y, cases[i].ldy);
        ck_assert_msg(status == cases[i].status, "case %zu: %s", i, gm_status_string(status));
    }
    ck_assert_uint_eq(gm_gaussian_blur_u8_workspace(context, 2, 3, 4), 0);
    gm_context_destroy(context);
    gm_context_destroy(bare);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("blur");
    TCase *tests = tcase_create("blur");
    suite_add_tcase(suite, tests);
    tcase_add_loop_test(tests, images_are_pillows, 0, CASES);
    tcase_add_test(tests, instruction_sets_agree);
    tcase_add_test(tests, bad_arguments_return_their_status);
    return test_run(suite);
}
