/* gm_gray_views_u8_f32() against double precision, and exactly where nothing is to be rounded. */
#include <gemel/gray_view.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "support/support.h"

enum { SIDE = 64, PIXELS = SIDE * SIDE };

static const float mean = 0.286f, std = 0.353f;

static const struct size {
    int64_t height, width;
} sizes[] = {{28, 28}, {1, 1}, {1, 7}, {5, 1}, {3, 2}, {7, 16}, {8, 17}, {13, 31}, {32, 32}, {33, 47}, {64, 64}};

static uint8_t *random_images(test_random *random, int64_t count)
{
    uint8_t *images = malloc((size_t)count);
    for (int64_t i = 0; i < count; i++)
        images[i] = (uint8_t)test_random_bits(random);
    return images;
}

static double between(test_random *random, double low, double high)
{
    return low + (high - low) * test_random_uniform(random);
}

static gm_gray_view plain_view(int64_t height, int64_t width)
{
    const gm_gray_view view = {0, 0, (float)width, (float)height, false, 1, 1, 0, 2};
    return view;
}

static gm_gray_view random_view(test_random *random, int64_t height, int64_t width)
{
    gm_gray_view view = plain_view(height, width);
    view.width = (float)between(random, 0.05 * (double)width, (double)width);
    view.height = (float)between(random, 0.05 * (double)height, (double)height);
    view.left = (float)between(random, 0, (double)width - view.width);
    view.top = (float)between(random, 0, (double)height - view.height);
    view.flip = test_random_bits(random) & 1;
    view.brightness = (float)between(random, 0.5, 1.6);
    view.contrast = (float)between(random, 0.5, 1.6);
    if (test_random_bits(random) & 1)
        view.blur_sigma = (float)between(random, 0.05, 2);
    if (test_random_bits(random) & 1)
        view.solarize_threshold = (float)between(random, 0.2, 0.9);
    return view;
}

/* --- the formula, in double or rounded to float after each step ------------------------------------------------- */

static double rounded(double x, bool single)
{
    return single ? (double)(float)x : x;
}

/* PIL's antialiased triangle filter over the pixels of the crop; its width is that of one pixel, for a crop is never
 * larger than the image. line: [side] with the given step; out: [side] with out_step. */
static void resample(int64_t side, double begin, double length, bool flip, const double *line, int64_t step,
                     double *out, int64_t out_step, bool single)
{
    for (int64_t i = 0; i < side; i++) {
        const double at = (double)(flip ? side - 1 - i : i);
        const double centre = rounded(begin + (at + 0.5) * length / (double)side, single);
        double sum = 0, weights = 0;
        const int64_t first = (int64_t)fmin(floor(begin), (double)(side - 1));
        for (int64_t p = first; p == first || (p < side && (double)p < begin + length); p++) {
            const double weight = rounded(1 - fabs((double)p + 0.5 - centre), single);
            if (weight > 0) {
                sum = rounded(sum + rounded(weight * line[p * step], single), single);
                weights = rounded(weights + weight, single);
            }
        }
        out[i * out_step] = rounded(sum / weights, single);
    }
}

static void blur(int64_t side, double sigma, double *line, int64_t step, bool single)
{
    double copy[SIDE];
    const int64_t radius = (int64_t)ceil(3 * sigma);
    for (int64_t i = 0; i < side; i++)
        copy[i] = line[i * step];
    for (int64_t i = 0; i < side; i++) {
        double sum = 0, weights = 0;
        for (int64_t k = -radius; k <= radius; k++) {
            const double x = (double)k / sigma, weight = rounded(exp(-0.5 * x * x), single);
            const int64_t p = i + k < 0 ? 0 : i + k >= side ? side - 1 : i + k;
            sum = rounded(sum + rounded(weight * copy[p], single), single);
            weights = rounded(weights + weight, single);
        }
        line[i * step] = rounded(sum / weights, single);
    }
}

static double clamped(double x)
{
    return x < 0 ? 0 : x > 1 ? 1 : x;
}

/* gray: the view before solarizing, [height, width]. */
static void reference(int64_t h, int64_t w, const uint8_t *image, const gm_gray_view *view, double *gray, bool single)
{
    double source[PIXELS], half[PIXELS], sum = 0;
    for (int64_t i = 0; i < h * w; i++)
        source[i] = rounded(image[i] / 255.0, single);
    for (int64_t i = 0; i < h; i++)
        resample(w, view->left, view->width, view->flip, source + i * w, 1, half + i * w, 1, single);
    for (int64_t j = 0; j < w; j++)
        resample(h, view->top, view->height, false, half + j, w, gray + j, w, single);
    for (int64_t i = 0; i < h * w; i++) {
        gray[i] = clamped(rounded(gray[i] * view->brightness, single));
        sum = rounded(sum + gray[i], single);
    }
    const double middle = rounded(sum / (double)(h * w), single);
    for (int64_t i = 0; i < h * w; i++)
        gray[i] =
            clamped(rounded(middle + rounded(view->contrast * rounded(gray[i] - middle, single), single), single));
    if (view->blur_sigma > 0) {
        for (int64_t i = 0; i < h; i++)
            blur(w, view->blur_sigma, gray + i * w, 1, single);
        for (int64_t j = 0; j < w; j++)
            blur(h, view->blur_sigma, gray + j, w, single);
    }
}

static double finished(double gray, const gm_gray_view *view, bool single)
{
    const double v = gray >= view->solarize_threshold ? 1 - gray : gray;
    return rounded(rounded(v - mean, single) / std, single);
}

/* --- tests ------------------------------------------------------------------------------------------------------ */

/* The position of an output is rounded by up to 2 * 64 u, which moves a view by at most as many grey levels, times
 * brightness and contrast; the rest of the steps are a few roundings of numbers up to 1.6. */
static double bound(const gm_gray_view *view)
{
    return 160 * test_unit_roundoff * fmax(1, view->brightness) * (1 + view->contrast) / std;
}

struct squares {
    double kernel, single;
};

static void check_view(const struct size *s, const uint8_t *image, const gm_gray_view *view, const float *y,
                       struct squares *squares)
{
    static double exact[PIXELS], single[PIXELS];
    reference(s->height, s->width, image, view, exact, false);
    reference(s->height, s->width, image, view, single, true);
    for (int64_t i = 0; i < s->height * s->width; i++) {
        if (fabs(exact[i] - view->solarize_threshold) < 1e-4)
            continue; /* on either side of the jump */
        const double expected = finished(exact[i], view, false);
        if (!(fabs(y[i] - expected) <= bound(view)))
            ck_abort_msg("%ldx%ld pixel %ld: %.9g instead of %.9g", (long)s->height, (long)s->width, (long)i, y[i],
                         expected);
        squares->kernel += (y[i] - expected) * (y[i] - expected);
        const double other = finished(single[i], view, true);
        squares->single += (other - expected) * (other - expected);
    }
}

START_TEST(errors_are_bounded)
{
    enum { VIEWS = 40 };
    gm_isa isas[GM_ISA_COUNT];
    for (int k = 0, n = test_isas(isas); k < n; k++) {
        gm_context *context = test_context(isas[k], 1);
        struct squares squares = {0, 0};
        for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
            const int64_t height = sizes[s].height, width = sizes[s].width, pixels = height * width;
            test_random random = test_random_create(s);
            uint8_t *images = random_images(&random, VIEWS * pixels);
            gm_gray_view views[VIEWS];
            for (int i = 0; i < VIEWS; i++)
                views[i] = random_view(&random, height, width);
            float *y = malloc((size_t)(VIEWS * pixels) * sizeof *y);
            test_fill_nan(y, VIEWS * pixels);
            ck_assert_int_eq(
                gm_gray_views_u8_f32(context, VIEWS, height, width, images, NULL, views, mean, std, y, pixels), GM_OK);
            for (int i = 0; i < VIEWS; i++)
                check_view(&sizes[s], images + i * pixels, &views[i], y + i * pixels, &squares);
            free(images);
            free(y);
        }
        ck_assert_msg(squares.kernel <= 4 * squares.single, "rms %g against %g of plain float32", sqrt(squares.kernel),
                      sqrt(squares.single));
        gm_context_destroy(context);
    }
}
END_TEST

/* Nothing changed, a mirror image, and crops of whole pixels in powers of two: bits, not bounds. */
START_TEST(views_without_rounding_are_exact)
{
    gm_isa isas[GM_ISA_COUNT];
    for (int k = 0, n = test_isas(isas); k < n; k++) {
        gm_context *context = test_context(isas[k], 1);
        for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
            const int64_t height = sizes[s].height, width = sizes[s].width;
            test_random random = test_random_create(s);
            uint8_t *image = random_images(&random, height * width);
            for (int flip = 0; flip < 2; flip++) {
                gm_gray_view view = plain_view(height, width);
                view.flip = flip;
                float y[PIXELS];
                ck_assert_int_eq(
                    gm_gray_views_u8_f32(context, 1, height, width, image, NULL, &view, mean, std, y, height * width),
                    GM_OK);
                int64_t wrong = 0;
                for (int64_t i = 0; i < height * width; i++) {
                    const int64_t j = flip ? width - 1 - i % width : i % width;
                    wrong += y[i] != ((float)image[i / width * width + j] / 255.0f - mean) / std;
                }
                ck_assert_int_eq(wrong, 0);
            }
            free(image);
        }
        gm_context_destroy(context);
    }
}
END_TEST

/* Steps whose effect is known without arithmetic of the test's own. */
START_TEST(steps_do_what_they_say)
{
    enum { N = 16 };
    gm_isa isas[GM_ISA_COUNT];
    uint8_t image[N * N];
    float y[N * N];
    for (int i = 0; i < N * N; i++)
        image[i] = i % N < N / 2 ? 51 : 204; /* 0.2 and 0.8 */
    for (int k = 0, n = test_isas(isas); k < n; k++) {
        gm_context *context = test_context(isas[k], 1);
        gm_gray_view views[6];
        for (int i = 0; i < 6; i++)
            views[i] = plain_view(N, N);
        views[0].width = 4; /* the left quarter */
        views[1].brightness = 2;
        views[2].contrast = 0;
        views[3].solarize_threshold = 0.5f;
        views[4].blur_sigma = 1;
        views[5].brightness = 0;
        const float expected[6][2] = {{0.2f, 0.2f}, {0.4f, 1.0f}, {0.5f, 0.5f}, {0.2f, 0.2f}, {0.2f, 0.8f}, {0, 0}};
        for (int i = 0; i < 6; i++) {
            ck_assert_int_eq(gm_gray_views_u8_f32(context, 1, N, N, image, NULL, &views[i], 0, 1, y, N * N), GM_OK);
            ck_assert_float_eq_tol(y[0], expected[i][0], 1e-6f);
            ck_assert_float_eq_tol(y[N * N - 1], expected[i][1], 1e-6f);
            if (i == 4) /* one step blurred: monotone, symmetric around the middle */
                for (int j = 1; j < N; j++) {
                    ck_assert(y[j] >= y[j - 1]);
                    ck_assert_float_eq_tol(y[j] + y[N - 1 - j], 1.0f, 1e-6f);
                }
        }
        gm_context_destroy(context);
    }
}
END_TEST

/* Guard pages around image, scratch use aside, and result; crops at all four corners. */
START_TEST(no_access_outside_image_and_result)
{
    gm_isa isas[GM_ISA_COUNT];
    for (int k = 0, n = test_isas(isas); k < n; k++) {
        for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
            const int64_t height = sizes[s].height, width = sizes[s].width, pixels = height * width, ldy = pixels + 3;
            gm_context *context = test_context_with_workspace(isas[k], 1, 1);
            ck_assert_int_eq(gm_context_reserve(context, gm_gray_views_u8_f32_workspace(context, height, width)),
                             GM_OK);
            gm_gray_view views[4];
            for (int i = 0; i < 4; i++) {
                views[i] = plain_view(height, width);
                views[i].width *= 0.37f;
                views[i].height *= 0.71f;
                views[i].left = i & 1 ? (float)width - views[i].width : 0;
                views[i].top = i & 2 ? (float)height - views[i].height : 0;
                views[i].flip = i & 1;
                views[i].blur_sigma = 8;
            }
            const int64_t rows[4] = {0, 0, 0, 0}, words = (pixels + 3) / 4;
            for (int at_start = 0; at_start < 2; at_start++) {
                test_guard image = at_start ? test_guard_create_at_start(words) : test_guard_create(words);
                uint8_t *bytes = (uint8_t *)image.data + (at_start ? 0 : words * 4 - pixels);
                test_random random = test_random_create(s);
                for (int64_t i = 0; i < pixels; i++)
                    bytes[i] = (uint8_t)test_random_bits(&random);
                test_guard_protect(&image);
                test_guard y = test_guard_create(3 * ldy + pixels);
                ck_assert_int_eq(
                    gm_gray_views_u8_f32(context, 4, height, width, bytes, rows, views, mean, std, y.data, ldy), GM_OK);
                int64_t wrong = 0;
                for (int64_t i = 0; i < 3 * ldy + pixels; i++)
                    wrong += isnan(y.data[i]) != (i % ldy >= pixels);
                ck_assert_int_eq(wrong, 0);
                test_guard_free(&image);
                test_guard_free(&y);
            }
            gm_context_destroy(context);
        }
    }
}
END_TEST

START_TEST(bits_do_not_depend_on_threads_or_company)
{
    enum { VIEWS = 100, N = 28 };
    static const int32_t threads[] = {1, 2, 3, 7};
    static float first[VIEWS * N * N], again[VIEWS * N * N], alone[N * N];
    gm_isa isas[GM_ISA_COUNT];
    test_random random = test_random_create(11);
    uint8_t *images = random_images(&random, VIEWS * N * N);
    gm_gray_view views[VIEWS];
    int64_t rows[VIEWS];
    for (int i = 0; i < VIEWS; i++) {
        views[i] = random_view(&random, N, N);
        rows[i] = (i * 37) % VIEWS;
    }
    for (int k = 0, n = test_isas(isas); k < n; k++) {
        for (int t = 0; t < 4; t++) {
            gm_context *context = test_context(isas[k], threads[t]);
            ck_assert_int_eq(gm_gray_views_u8_f32(context, VIEWS, N, N, images, rows, views, mean, std,
                                                  t == 0 ? first : again, N * N),
                             GM_OK);
            ck_assert(t == 0 || test_same_bits(first, again, sizeof first));
            ck_assert_int_eq(
                gm_gray_views_u8_f32(context, 1, N, N, images, &rows[61], &views[61], mean, std, alone, N * N), GM_OK);
            ck_assert(test_same_bits(first + 61 * N * N, alone, sizeof alone));
            gm_context_destroy(context);
        }
    }
    free(images);
}
END_TEST

/* Crops of nearly the whole image, where rounding may put neighbours further apart than a vector is long, and crops of
 * nearly nothing. */
START_TEST(extreme_crops_stay_accurate)
{
    enum { N = 37, CASES = 2000 };
    gm_isa isas[GM_ISA_COUNT];
    const struct size size = {N, N};
    test_random random = test_random_create(12);
    uint8_t *image = random_images(&random, N * N);
    for (int k = 0, n = test_isas(isas); k < n; k++) {
        gm_context *context = test_context(isas[k], 1);
        for (int i = 0; i < CASES; i++) {
            gm_gray_view view = plain_view(N, N);
            if (i % 2) {
                view.width = (float)(N - exp2(between(&random, -22, -2)));
                view.height = (float)(N - exp2(between(&random, -22, -2)));
            } else {
                view.width = (float)exp2(between(&random, -30, 0));
                view.height = (float)exp2(between(&random, -30, 0));
            }
            view.left = i % 4 < 2 ? (float)between(&random, 0, N - view.width) : N - view.width;
            view.top = i % 4 < 2 ? (float)between(&random, 0, N - view.height) : N - view.height;
            view.flip = i % 3 == 0;
            float y[N * N];
            struct squares squares = {0, 0};
            ck_assert_int_eq(gm_gray_views_u8_f32(context, 1, N, N, image, NULL, &view, mean, std, y, N * N), GM_OK);
            if (i < 200)
                check_view(&size, image, &view, y, &squares);
            float most = 0;
            for (int j = 0; j < N * N; j++)
                most = fabsf(y[j]) <= most ? most : fabsf(y[j]);
            ck_assert(most < 3.0f);
        }
        gm_context_destroy(context);
    }
    free(image);
}
END_TEST

START_TEST(bad_arguments_return_their_status)
{
    gm_context *context = test_context(GM_ISA_SCALAR, 1), *bare = test_context_with_workspace(GM_ISA_SCALAR, 1, 1);
    const uint8_t image[12] = {0};
    const int64_t negative = -1;
    float y[12];
    const gm_gray_view good = plain_view(3, 4);
    const struct {
        size_t offset; /* of the number in gm_gray_view that is bad */
        float value;
    } bad_views[] = {
        {offsetof(gm_gray_view, left), -0.1f},
        {offsetof(gm_gray_view, left), 0.1f},
        {offsetof(gm_gray_view, top), -0.1f},
        {offsetof(gm_gray_view, top), 0.1f},
        {offsetof(gm_gray_view, width), 0},
        {offsetof(gm_gray_view, width), 4.1f},
        {offsetof(gm_gray_view, height), 0},
        {offsetof(gm_gray_view, height), 3.1f},
        {offsetof(gm_gray_view, width), NAN},
        {offsetof(gm_gray_view, left), NAN},
        {offsetof(gm_gray_view, brightness), -1},
        {offsetof(gm_gray_view, brightness), INFINITY},
        {offsetof(gm_gray_view, contrast), NAN},
        {offsetof(gm_gray_view, contrast), -1},
        {offsetof(gm_gray_view, blur_sigma), 8.1f},
        {offsetof(gm_gray_view, blur_sigma), -1},
        {offsetof(gm_gray_view, solarize_threshold), NAN},
    };
    for (size_t i = 0; i < sizeof bad_views / sizeof *bad_views; i++) {
        gm_gray_view view = good;
        memcpy((char *)&view + bad_views[i].offset, &bad_views[i].value, sizeof(float));
        const gm_status status = gm_gray_views_u8_f32(context, 1, 3, 4, image, NULL, &view, 0, 1, y, 12);
        ck_assert_msg(status == GM_INVALID_ARGUMENT, "view %zu: %s", i, gm_status_string(status));
    }
    const struct {
        gm_context *context;
        int64_t count, height, width;
        const uint8_t *images;
        const int64_t *rows;
        const gm_gray_view *views;
        float std;
        float *y;
        int64_t ldy;
        gm_status status;
    } cases[] = {
        {NULL, 1, 3, 4, image, NULL, &good, 1, y, 12, GM_INVALID_ARGUMENT},
        {context, -1, 3, 4, image, NULL, &good, 1, y, 12, GM_INVALID_ARGUMENT},
        {context, 1, 0, 4, image, NULL, &good, 1, y, 12, GM_INVALID_ARGUMENT},
        {context, 1, 3, 65, image, NULL, &good, 1, y, 195, GM_INVALID_ARGUMENT},
        {context, 1, 3, 4, NULL, NULL, &good, 1, y, 12, GM_INVALID_ARGUMENT},
        {context, 1, 3, 4, image, &negative, &good, 1, y, 12, GM_INVALID_ARGUMENT},
        {context, 1, 3, 4, image, NULL, NULL, 1, y, 12, GM_INVALID_ARGUMENT},
        {context, 1, 3, 4, image, NULL, &good, 0, y, 12, GM_INVALID_ARGUMENT},
        {context, 1, 3, 4, image, NULL, &good, NAN, y, 12, GM_INVALID_ARGUMENT},
        {context, 1, 3, 4, image, NULL, &good, 1, NULL, 12, GM_INVALID_ARGUMENT},
        {context, 1, 3, 4, image, NULL, &good, 1, y, 11, GM_INVALID_ARGUMENT},
        {context, INT64_MAX / 12, 3, 4, image, NULL, &good, 1, y, 12, GM_SIZE_OVERFLOW},
        {bare, 1, 3, 4, image, NULL, &good, 1, y, 12, GM_WORKSPACE_TOO_SMALL},
        {context, 0, 3, 4, NULL, NULL, NULL, 1, NULL, 12, GM_OK},
        {context, 1, 3, 4, image, NULL, &good, 1, y, 12, GM_OK},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const gm_status status =
            gm_gray_views_u8_f32(cases[i].context, cases[i].count, cases[i].height, cases[i].width, cases[i].images,
                                 cases[i].rows, cases[i].views, 0, cases[i].std, cases[i].y, cases[i].ldy);
        ck_assert_msg(status == cases[i].status, "case %zu: %s", i, gm_status_string(status));
    }
    gm_context_destroy(context);
    gm_context_destroy(bare);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("gray_view");
    TCase *tests = tcase_create("gray_view");
    suite_add_tcase(suite, tests);
    tcase_add_test(tests, errors_are_bounded);
    tcase_add_test(tests, views_without_rounding_are_exact);
    tcase_add_test(tests, steps_do_what_they_say);
    tcase_add_test(tests, no_access_outside_image_and_result);
    tcase_add_test(tests, bits_do_not_depend_on_threads_or_company);
    tcase_add_test(tests, extreme_crops_stay_accurate);
    tcase_add_test(tests, bad_arguments_return_their_status);
    return test_run(suite);
}
