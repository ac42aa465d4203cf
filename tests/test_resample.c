/* gm_resample_u8() against Pillow, byte for byte. */
#include <gemel/resample.h>

#include "data/pillow.h"
#include "support/image.h"

enum { CASES = sizeof image_resamples / sizeof *image_resamples };

/* y = the case's image resampled, with exactly the workspace that the operation asks for. */
static void resample(gm_isa isa, const struct image_resample *c, const test_image *x, test_image *y)
{
    const gm_resample_filter filter = (gm_resample_filter)c->filter;
    gm_context *context = test_context_with_workspace(isa, 1, 1);
    const size_t bytes =
        gm_resample_u8_workspace(context, filter, c->channels, c->height, c->width, c->out_height, c->out_width);
    ck_assert_int_eq(gm_context_reserve(context, bytes), GM_OK);
    ck_assert_int_eq(gm_resample_u8(context, filter, c->channels, c->height, c->width, x->pixels, x->ld, c->out_height,
                                    c->out_width, y->pixels, y->ld),
                     GM_OK);
    gm_context_destroy(context);
}

START_TEST(images_are_pillows)
{
    const struct image_resample *c = &image_resamples[_i];
    gm_isa isas[GM_ISA_COUNT];
    for (int k = 0, n = test_isas(isas); k < n; k++)
        for (int at_start = 0; at_start < 2; at_start++) {
            const int64_t pad = at_start ? 0 : _i % 3 * 5;
            test_image x = test_image_create(c->channels, c->height, c->width, pad, at_start);
            test_image y = test_image_create(c->channels, c->out_height, c->out_width, pad, at_start);
            test_image_fill(&x, (test_image_kind)c->kind);
            test_guard_protect(&x.guard);
            resample(isas[k], c, &x, &y);
            test_image_expect(&y, c->offset, c->hash, "%s, filter %d, %ld x %ld x %ld to %ld x %ld",
                              gm_isa_name(isas[k]), c->filter, (long)c->height, (long)c->width, (long)c->channels,
                              (long)c->out_height, (long)c->out_width);
            ck_assert_int_eq(test_image_spilled(&y), 0);
            test_image_free(&x);
            test_image_free(&y);
        }
}
END_TEST

/* Every width and height of up to two vectors, and random ones. */
START_TEST(instruction_sets_agree)
{
    enum { SIZES = 70, RANDOM = 100 };
    gm_isa isas[GM_ISA_COUNT];
    const int n = test_isas(isas);
    test_random random = test_random_create(1);
    for (int i = 1; i <= SIZES + RANDOM; i++) {
        struct image_resample c = {i % 2, i % 4 < 2 ? 1 : 3, i, i, i, i, 0, 0, 0};
        int64_t *sides[] = {&c.height, &c.width, &c.out_height, &c.out_width};
        for (int s = i <= SIZES ? i % 4 : 0; s < 4; s += i <= SIZES ? 4 : 1)
            *sides[s] = 1 + (int64_t)(test_random_bits(&random) % 90);
        test_image x = test_image_create(c.channels, c.height, c.width, i % 3, false);
        test_image expected = test_image_create(c.channels, c.out_height, c.out_width, 0, false);
        test_image_fill(&x, TEST_IMAGE_NOISE);
        resample(GM_ISA_SCALAR, &c, &x, &expected);
        for (int k = 1; k < n; k++) {
            test_image y = test_image_create(c.channels, c.out_height, c.out_width, i % 5, i % 2);
            resample(isas[k], &c, &x, &y);
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
    const gm_resample_filter cubic = GM_RESAMPLE_BICUBIC;
    const struct {
        gm_context *context;
        gm_resample_filter filter;
        int64_t channels, height, width;
        const uint8_t *x;
        int64_t ldx, out_height, out_width;
        uint8_t *y;
        int64_t ldy;
        gm_status status;
    } cases[] = {
        {NULL, cubic, 3, 3, 4, x, 12, 2, 5, y, 15, GM_INVALID_ARGUMENT},
        {context, GM_RESAMPLE_FILTER_COUNT, 3, 3, 4, x, 12, 2, 5, y, 15, GM_INVALID_ARGUMENT},
        {context, cubic, 2, 3, 4, x, 12, 2, 5, y, 15, GM_INVALID_ARGUMENT},
        {context, cubic, 0, 3, 4, x, 12, 2, 5, y, 15, GM_INVALID_ARGUMENT},
        {context, cubic, 3, 0, 4, x, 12, 2, 5, y, 15, GM_INVALID_ARGUMENT},
        {context, cubic, 3, 3, -1, x, 12, 2, 5, y, 15, GM_INVALID_ARGUMENT},
        {context, cubic, 3, 65536, 4, x, 12, 2, 5, y, 15, GM_INVALID_ARGUMENT},
        {context, cubic, 3, 3, 4, x, 12, 0, 5, y, 15, GM_INVALID_ARGUMENT},
        {context, cubic, 3, 3, 4, x, 12, 2, 65536, y, 3 * 65536, GM_INVALID_ARGUMENT},
        {context, cubic, 3, 3, 4, NULL, 12, 2, 5, y, 15, GM_INVALID_ARGUMENT},
        {context, cubic, 3, 3, 4, x, 11, 2, 5, y, 15, GM_INVALID_ARGUMENT},
        {context, cubic, 3, 3, 4, x, 12, 2, 5, NULL, 15, GM_INVALID_ARGUMENT},
        {context, cubic, 3, 3, 4, x, 12, 2, 5, y, 14, GM_INVALID_ARGUMENT},
        {context, cubic, 3, 3, 4, x, INT64_MAX, 2, 5, y, 15, GM_SIZE_OVERFLOW},
        {context, cubic, 3, 3, 4, x, 12, 2, 5, y, INT64_MAX / 2, GM_SIZE_OVERFLOW},
        {bare, cubic, 3, 3, 4, x, 12, 2, 5, y, 15, GM_WORKSPACE_TOO_SMALL},
        {context, cubic, 3, 3, 4, x, 12, 2, 5, y, 15, GM_OK},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const gm_status status =
            gm_resample_u8(cases[i].context, cases[i].filter, cases[i].channels, cases[i].height, cases[i].width,
                           cases[i].x, cases[i].ldx, cases[i].out_height, cases[i].out_width, cases[i].y, cases[i].ldy);
        ck_assert_msg(status == cases[i].status, "case %zu: %s", i, gm_status_string(status));
    }
    ck_assert_uint_eq(gm_resample_u8_workspace(context, cubic, 3, 0, 4, 2, 5), 0);
    gm_context_destroy(context);
    gm_context_destroy(bare);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("resample");
    TCase *tests = tcase_create("resample");
    suite_add_tcase(suite, tests);
    tcase_add_loop_test(tests, images_are_pillows, 0, CASES);
    tcase_add_test(tests, instruction_sets_agree);
    tcase_add_test(tests, bad_arguments_return_their_status);
    return test_run(suite);
}
