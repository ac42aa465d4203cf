/* Presets, the distribution of the draws behind views, and that nothing but the key decides them. */
#include <gemel/data.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "data/augmentation.h"
#include "support/files.h"
#include "support/support.h"

enum { DRAWS = 20000, SIDE = 28 };

/* Five standard deviations of a mean of DRAWS: by chance beyond it once in two million, and seeds are fixed. */
static double tolerance(double deviation)
{
    return 5 * deviation / sqrt(DRAWS);
}

static void check_share(int64_t count, double expected, const char *what)
{
    const double share = (double)count / DRAWS, bound = tolerance(sqrt(expected * (1 - expected)));
    ck_assert_msg(fabs(share - expected) <= bound, "%s: share %g instead of %g +- %g", what, share, expected, bound);
}

/* A uniform number in [low, high], sorted into ten bins: chi square below 27.9 with 9 degrees of freedom (p .001). */
struct uniform {
    const char *what;
    double low, high;
    int64_t count, bins[10];
};

static void add(struct uniform *u, double x)
{
    const double place = (x - u->low) / (u->high - u->low);
    ck_assert_msg(place > -1e-5 && place < 1 + 1e-5, "%s: %g is not in [%g, %g]", u->what, x, u->low, u->high);
    u->bins[(int)fmin(fmax(place * 10, 0), 9)]++;
    u->count++;
}

static void check_uniform(const struct uniform *u)
{
    double chi_square = 0;
    const double expected = (double)u->count / 10;
    for (int i = 0; i < 10; i++)
        chi_square += ((double)u->bins[i] - expected) * ((double)u->bins[i] - expected) / expected;
    ck_assert_msg(u->count > DRAWS / 10 && chi_square < 27.9, "%s: chi square %g of %ld", u->what, chi_square,
                  (long)u->count);
}

static gm_augmentation busy_augmentation(void)
{
    gm_augmentation a;
    ck_assert_int_eq(gm_augmentation_preset("fashion", &a, NULL), GM_OK);
    a.crop_probability = 0.9f;
    a.crop_scale_min = 0.2f;
    a.crop_scale_max = 0.5f; /* always fits, so that nothing is cut */
    a.flip_probability = 0.3f;
    a.jitter_probability = 0.8f;
    a.brightness = 0.4f;
    a.contrast = 0.2f;
    a.blur_probability = 0.6f;
    a.blur_probability_2 = 0.25f;
    a.blur_sigma_min = 0.5f;
    a.blur_sigma_max = 1.5f;
    a.solarize_probability = 0.1f;
    a.solarize_probability_2 = 0.2f;
    a.solarize_threshold = 0.6f;
    return a;
}

START_TEST(each_step_fires_with_its_probability)
{
    const gm_augmentation a = busy_augmentation();
    int64_t crops = 0, flips = 0, jitters = 0, blurs = 0, solarized = 0, flips_and_blurs = 0;
    struct uniform area = {"area", 0.2, 0.5, 0, {0}}, ratio = {"log ratio", log(0.75), log(4.0 / 3), 0, {0}},
                   left = {"left", 0, 1, 0, {0}}, top = {"top", 0, 1, 0, {0}},
                   brightness = {"brightness", 0.6, 1.4, 0, {0}}, contrast = {"contrast", 0.8, 1.2, 0, {0}},
                   sigma = {"sigma", 0.5, 1.5, 0, {0}};
    for (int64_t i = 0; i < DRAWS; i++) {
        const struct gm_view_key key = {7, i / 1000, i % 1000, 1};
        const gm_gray_view v = gm_augmentation_draw(&a, key, SIDE, SIDE);
        ck_assert(v.left >= 0 && v.top >= 0 && v.left + v.width <= SIDE && v.top + v.height <= SIDE);
        if (v.width < SIDE) {
            crops++;
            add(&area, v.width * v.height / (SIDE * SIDE));
            add(&ratio, log(v.width / v.height));
            add(&left, v.left / (SIDE - v.width));
            add(&top, v.top / (SIDE - v.height));
        }
        flips += v.flip;
        if (v.brightness != 1.0f) {
            jitters++;
            add(&brightness, v.brightness);
            add(&contrast, v.contrast);
        } else {
            ck_assert(v.contrast == 1.0f);
        }
        if (v.blur_sigma > 0) {
            blurs++;
            flips_and_blurs += v.flip;
            add(&sigma, v.blur_sigma);
        }
        solarized += v.solarize_threshold == 0.6f;
        ck_assert(v.solarize_threshold == 0.6f || v.solarize_threshold > 1.0f);
    }
    check_share(crops, 0.9, "crop");
    check_share(flips, 0.3, "flip");
    check_share(jitters, 0.8, "jitter");
    check_share(blurs, 0.25, "blur");
    check_share(solarized, 0.2, "solarize");
    check_share(flips_and_blurs, 0.3 * 0.25, "flip and blur together");
    const struct uniform *const all[] = {&area, &ratio, &left, &top, &brightness, &contrast, &sigma};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        check_uniform(all[i]);
}
END_TEST

START_TEST(probabilities_0_and_1_are_certain)
{
    gm_augmentation always = busy_augmentation(), never;
    ck_assert_int_eq(gm_augmentation_preset("none", &never, NULL), GM_OK);
    always.crop_probability = always.flip_probability = always.jitter_probability = always.blur_probability =
        always.solarize_probability = 1.0f;
    for (int64_t i = 0; i < DRAWS; i++) {
        const struct gm_view_key key = {1, 0, i, 0};
        const gm_gray_view a = gm_augmentation_draw(&always, key, SIDE, SIDE),
                           n = gm_augmentation_draw(&never, key, SIDE, SIDE);
        ck_assert(a.width < SIDE && a.flip && a.brightness != 1 && a.blur_sigma > 0 && a.solarize_threshold < 1);
        ck_assert(n.left == 0 && n.top == 0 && n.width == SIDE && n.height == SIDE && !n.flip && n.brightness == 1 &&
                  n.contrast == 1 && n.blur_sigma == 0 && n.solarize_threshold > 1);
    }
}
END_TEST

/* The draws for one of the two views of colour images. */
static void check_color_view(const gm_augmentation *a, int32_t view, double blurred, double inverted)
{
    enum { BIG = 500, ORDERS = 24 };
    int64_t flips = 0, jitters = 0, grays = 0, blurs = 0, solarized = 0, orders[256] = {0};
    struct uniform area = {"area", 0.08, 0.5, 0, {0}}, ratio = {"log ratio", log(0.75), log(4.0 / 3), 0, {0}},
                   left = {"left", 0, 1, 0, {0}}, top = {"top", 0, 1, 0, {0}},
                   brightness = {"brightness", 0.6, 1.4, 0, {0}}, contrast = {"contrast", 0.6, 1.4, 0, {0}},
                   saturation = {"saturation", 0.8, 1.2, 0, {0}}, hue = {"hue", -0.1, 0.1, 0, {0}},
                   sigma = {"sigma", 0.1, 2.0, 0, {0}};
    for (int64_t i = 0; i < DRAWS; i++) {
        const struct gm_view_key key = {7, i / 1000, i % 1000, view};
        const gm_color_view v = gm_augmentation_draw_color(a, key, BIG, BIG);
        ck_assert(v.crop && v.left >= 0 && v.top >= 0 && v.left + v.width <= BIG && v.top + v.height <= BIG);
        add(&area, fmin(fmax((double)(v.width * v.height) / (BIG * BIG), 0.08), 0.5)); /* sides are rounded */
        add(&ratio, fmin(fmax(log((double)v.width / (double)v.height), log(0.75)), log(4.0 / 3)));
        add(&left, ((double)v.left + 0.5) / (double)(BIG - v.width + 1));
        add(&top, ((double)v.top + 0.5) / (double)(BIG - v.height + 1));
        flips += v.flip;
        grays += v.gray;
        if (v.jitter) {
            jitters++;
            add(&brightness, v.brightness);
            add(&contrast, v.contrast);
            add(&saturation, v.saturation);
            add(&hue, v.hue);
            orders[v.order[0] << 6 | v.order[1] << 4 | v.order[2] << 2 | v.order[3]]++;
        }
        blurs += v.blur_sigma > 0;
        if (v.blur_sigma > 0)
            add(&sigma, v.blur_sigma);
        solarized += v.solarize_threshold == 128;
        ck_assert(v.solarize_threshold == 128 || v.solarize_threshold == 256);
    }
    check_share(flips, 0.5, "flip");
    check_share(jitters, 0.8, "jitter");
    check_share(grays, 0.2, "gray");
    check_share(blurs, blurred, "blur");
    check_share(solarized, inverted, "solarize");
    const struct uniform *const all[] = {&area, &ratio, &left, &top, &brightness, &contrast, &saturation, &hue, &sigma};
    for (size_t i = 0; i < sizeof all / sizeof *all - (blurred < 0.2); i++)
        check_uniform(all[i]);
    double chi_square = 0;
    int distinct = 0;
    const double expected = (double)jitters / ORDERS;
    for (int i = 0; i < 256; i++) {
        distinct += orders[i] > 0;
        chi_square += orders[i] > 0 ? ((double)orders[i] - expected) * ((double)orders[i] - expected) / expected : 0;
    }
    ck_assert_msg(distinct == ORDERS && chi_square < 49.7, "%d orders, chi square %g", distinct, chi_square);
}

/* The asymmetric pair of the method's authors. */
START_TEST(colour_steps_fire_with_the_probabilities_of_their_view)
{
    gm_augmentation a;
    ck_assert_int_eq(gm_augmentation_preset("imagenet", &a, NULL), GM_OK);
    a.crop_scale_max = 0.5f; /* fits at once, so that no draw is refused */
    check_color_view(&a, 0, 1.0, 0.0);
    check_color_view(&a, 1, 0.1, 0.2);
    check_color_view(&a, 2, 1.0, 0.0);
    ck_assert_int_eq(gm_augmentation_preset("cifar", &a, NULL), GM_OK);
    a.crop_scale_max = 0.5f;
    a.saturation = 0.2f;
    check_color_view(&a, 1, 0.0, 0.0);
}
END_TEST

/* Where no box of an allowed ratio and area fits, the largest one of such a ratio in the middle. */
START_TEST(boxes_that_do_not_fit_are_centred)
{
    const struct {
        int64_t height, width;
        gm_color_view box;
    } cases[] = {
        {10, 1000, {.left = 493, .top = 0, .width = 13, .height = 10}},
        {1000, 10, {.left = 0, .top = 493, .width = 10, .height = 13}},
    };
    gm_augmentation a;
    ck_assert_int_eq(gm_augmentation_preset("imagenet", &a, NULL), GM_OK);
    for (int i = 0; i < 2; i++) {
        const struct gm_view_key key = {2, 0, i, 0};
        const gm_color_view v = gm_augmentation_draw_color(&a, key, cases[i].height, cases[i].width);
        ck_assert(v.crop && v.left == cases[i].box.left && v.top == cases[i].box.top && v.width == cases[i].box.width &&
                  v.height == cases[i].box.height);
    }
    a.crop_scale_min = a.crop_scale_max = 1.0f;
    a.crop_ratio_min = 1.5f;
    a.crop_ratio_max = 3.0f;
    const struct gm_view_key key = {2, 0, 0, 0};
    const gm_color_view all = gm_augmentation_draw_color(&a, key, 50, 100); /* of any ratio but 2, too large */
    ck_assert(all.left == 0 && all.top == 0 && all.width == 100 && all.height == 50);
    a.crop_probability = 0.0f;
    ck_assert(!gm_augmentation_draw_color(&a, key, 50, 100).crop);
}
END_TEST

/* Crops that are too wide or too high are cut at the image. */
START_TEST(crops_stay_inside)
{
    gm_augmentation a;
    ck_assert_int_eq(gm_augmentation_preset("fashion", &a, NULL), GM_OK);
    a.crop_scale_min = 0.9f;
    a.crop_ratio_min = 0.2f;
    a.crop_ratio_max = 5.0f;
    for (int64_t i = 0; i < DRAWS; i++) {
        const struct gm_view_key key = {2, 0, i, 0};
        const gm_gray_view v = gm_augmentation_draw(&a, key, 13, 37);
        ck_assert(v.left >= 0 && v.top >= 0 && v.width > 0 && v.height > 0 && v.left + v.width <= 37.0f &&
                  v.top + v.height <= 13.0f);
    }
}
END_TEST

static bool same_view(gm_gray_view a, gm_gray_view b)
{
    return a.left == b.left && a.top == b.top && a.width == b.width && a.height == b.height && a.flip == b.flip &&
           a.brightness == b.brightness && a.contrast == b.contrast;
}

START_TEST(every_part_of_the_key_counts)
{
    const gm_augmentation a = busy_augmentation();
    const struct gm_view_key keys[] = {{3, 4, 5, 0},
                                       {4, 4, 5, 0},
                                       {3, 5, 5, 0},
                                       {3, 4, 6, 0},
                                       {3, 4, 5, 1},
                                       {3, 4, 5, 2},
                                       {5, 4, 3, 0},
                                       {3, 5, 4, 0},
                                       {3 + (1ull << 32), 4, 5, 0},
                                       {3, 4, 5 + (1ll << 32), 0}};
    enum { KEYS = sizeof keys / sizeof *keys };
    gm_gray_view views[KEYS];
    for (int i = 0; i < KEYS; i++) {
        views[i] = gm_augmentation_draw(&a, keys[i], SIDE, SIDE);
        ck_assert(same_view(views[i], gm_augmentation_draw(&a, keys[i], SIDE, SIDE)));
        for (int j = 0; j < i; j++)
            ck_assert(!same_view(views[i], views[j]));
    }
}
END_TEST

START_TEST(vectors_get_noise_and_dropout)
{
    enum { DIM = 100, ROWS = DRAWS / DIM };
    gm_augmentation a;
    ck_assert_int_eq(gm_augmentation_preset("vectors", &a, NULL), GM_OK);
    a.noise_probability = 1.0f;
    a.noise_std = 0.5f;
    a.dropout_share = 0.3f;
    float x[DIM], y[DIM];
    for (int j = 0; j < DIM; j++)
        x[j] = 10.0f + (float)j;
    int64_t dropped = 0;
    double sum = 0, squares = 0, kept = 0;
    for (int64_t i = 0; i < ROWS; i++) {
        const struct gm_view_key key = {1, 0, i, 0};
        gm_augmentation_apply_f32(&a, key, DIM, x, y);
        for (int j = 0; j < DIM; j++) {
            dropped += y[j] == 0.0f;
            if (y[j] != 0.0f) {
                const double d = (double)y[j] - x[j];
                kept++;
                sum += d;
                squares += d * d;
            }
        }
    }
    check_share(dropped, 0.3, "dropout");
    ck_assert_double_eq_tol(sum / kept, 0, 2 * tolerance(0.5));
    ck_assert_double_eq_tol(sqrt(squares / kept), 0.5, 2 * tolerance(0.5));

    a.noise_probability = 0.4f;
    a.dropout_probability = 0.0f;
    int64_t changed = 0;
    for (int64_t i = 0; i < DRAWS; i++) {
        const struct gm_view_key key = {1, 1, i, 0};
        gm_augmentation_apply_f32(&a, key, 1, x, y);
        changed += y[0] != x[0];
    }
    check_share(changed, 0.4, "noise");
    a.dropout_probability = 0.4f;
    a.dropout_share = 1.0f;
    a.noise_probability = 0.0f;
    int64_t zeros = 0;
    for (int64_t i = 0; i < DRAWS; i++) {
        const struct gm_view_key key = {1, 2, i, 0};
        gm_augmentation_apply_f32(&a, key, 1, x, y);
        zeros += y[0] == 0.0f;
    }
    check_share(zeros, 0.4, "dropout as a whole");
}
END_TEST

/* --- whole batches ---------------------------------------------------------------------------------------------- */

enum { ROWS = 700, HEIGHT = 9, WIDTH = 12, DIM = HEIGHT * WIDTH };

static void fill_dataset(gm_dataset *dataset, uint8_t *pixels, float *features, bool images)
{
    test_random random = test_random_create(4);
    for (int i = 0; i < ROWS * DIM; i++)
        pixels[i] = (uint8_t)test_random_bits(&random);
    test_fill_normal(&random, features, ROWS * DIM, 0, 1);
    *dataset =
        (gm_dataset){.kind = images ? GM_DATA_GRAY_IMAGES : GM_DATA_VECTORS,
                     .dim = DIM,
                     .height = HEIGHT,
                     .width = WIDTH,
                     .mean = 0.5f,
                     .std = 0.3f,
                     .train = {.rows = ROWS, .pixels = images ? pixels : NULL, .features = images ? NULL : features}};
}

START_TEST(views_do_not_depend_on_threads_or_order)
{
    static const int32_t threads[] = {1, 2, 3, 7};
    static uint8_t pixels[ROWS * DIM];
    static float features[ROWS * DIM], first[ROWS * DIM], again[ROWS * DIM];
    for (int images = 0; images < 2; images++) {
        gm_dataset dataset;
        fill_dataset(&dataset, pixels, features, images);
        gm_augmentation a = busy_augmentation();
        a.noise_probability = a.dropout_probability = 0.7f;
        a.noise_std = a.dropout_share = 0.2f;
        int64_t order[ROWS];
        gm_shuffle(1, 1, order, ROWS);
        for (int t = 0; t < 4; t++) {
            gm_context *context = test_context(GM_ISA_AUTO, threads[t]);
            float *y = t == 0 ? first : again;
            ck_assert_int_eq(
                gm_dataset_view_f32(&dataset, &dataset.train, context, &a, 9, 3, 1, order, ROWS, y, DIM, NULL), GM_OK);
            ck_assert(test_same_bits(first, y, sizeof first));
            /* One by one, in order, and without a list of rows. */
            int64_t wrong = 0;
            for (int64_t i = 0; i < ROWS; i += 13) {
                float one[DIM];
                ck_assert_int_eq(
                    gm_dataset_view_f32(&dataset, &dataset.train, context, &a, 9, 3, 1, &order[i], 1, one, DIM, NULL),
                    GM_OK);
                wrong += !test_same_bits(one, first + i * DIM, sizeof one);
            }
            ck_assert_int_eq(wrong, 0);
            ck_assert_int_eq(
                gm_dataset_view_f32(&dataset, &dataset.train, context, &a, 9, 3, 1, NULL, ROWS, again, DIM, NULL),
                GM_OK);
            for (int64_t i = 0; i < ROWS; i++)
                wrong += !test_same_bits(again + order[i] * DIM, first + i * DIM, DIM * sizeof *first);
            ck_assert_int_eq(wrong, 0);
            ck_assert_int_eq(
                gm_dataset_view_f32(&dataset, &dataset.train, context, &a, 9, 3, 0, order, ROWS, again, DIM, NULL),
                GM_OK);
            ck_assert(!test_same_bits(first, again, sizeof first));
            gm_context_destroy(context);
        }
    }
}
END_TEST

START_TEST(without_augmentation_views_are_the_samples)
{
    static uint8_t pixels[ROWS * DIM];
    static float features[ROWS * DIM], view[ROWS * DIM], plain[ROWS * DIM];
    for (int images = 0; images < 2; images++) {
        gm_dataset dataset;
        fill_dataset(&dataset, pixels, features, images);
        gm_augmentation none;
        ck_assert_int_eq(gm_augmentation_preset("none", &none, NULL), GM_OK);
        gm_context *context = test_context(GM_ISA_AUTO, 2);
        ck_assert_int_eq(
            gm_dataset_view_f32(&dataset, &dataset.train, context, &none, 1, 0, 0, NULL, ROWS, view, DIM, NULL), GM_OK);
        ck_assert_int_eq(gm_dataset_plain_f32(&dataset, &dataset.train, context, NULL, ROWS, plain, DIM, NULL), GM_OK);
        ck_assert(test_same_bits(view, plain, sizeof view));
        gm_context_destroy(context);
    }
}
END_TEST

START_TEST(presets_are_known_by_name)
{
    gm_augmentation a;
    gm_error error;
    static const char *const names[] = {"imagenet", "cifar", "fashion", "vectors", "none"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        ck_assert_int_eq(gm_augmentation_preset(names[i], &a, &error), GM_OK);
        ck_assert_uint_eq(a.size, sizeof a);
    }
    test_expect(gm_augmentation_preset("moco", &a, &error), &error, GM_BAD_USAGE, "fashion, vectors or none");
    test_expect(gm_augmentation_preset(NULL, &a, &error), &error, GM_INVALID_ARGUMENT, "augmentation");
    test_expect(gm_augmentation_preset("none", NULL, &error), &error, GM_INVALID_ARGUMENT, "augmentation");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("augmentation");
    TCase *tests = tcase_create("augmentation");
    suite_add_tcase(suite, tests);
    tcase_add_test(tests, each_step_fires_with_its_probability);
    tcase_add_test(tests, probabilities_0_and_1_are_certain);
    tcase_add_test(tests, crops_stay_inside);
    tcase_add_test(tests, colour_steps_fire_with_the_probabilities_of_their_view);
    tcase_add_test(tests, boxes_that_do_not_fit_are_centred);
    tcase_add_test(tests, every_part_of_the_key_counts);
    tcase_add_test(tests, vectors_get_noise_and_dropout);
    tcase_add_test(tests, views_do_not_depend_on_threads_or_order);
    tcase_add_test(tests, without_augmentation_views_are_the_samples);
    tcase_add_test(tests, presets_are_known_by_name);
    return test_run(suite);
}
