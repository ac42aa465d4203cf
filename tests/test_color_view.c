/* Views of colour images: whole pipelines against torchvision and Pillow, and what a batch of them depends on. */
#include "data/color_view.h"

#include <gemel/color.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "data/loader.h"
#include "support/files.h"
#include "support/support.h"

#include "data/views.h"

enum { CASES = sizeof views_cases / sizeof *views_cases, BYTES = 3 * VIEWS_HEIGHT * VIEWS_WIDTH };

/* The image, and the result of each case behind it. */
static uint8_t *read_views(void)
{
    size_t size = BYTES;
    for (int i = 0; i < CASES; i++)
        size += (size_t)(3 * views_cases[i].height * views_cases[i].width);
    uint8_t *bytes = malloc(size);
    FILE *file = fopen(TEST_DATA "/views.u8", "rb");
    ck_assert(bytes && file && fread(bytes, 1, size, file) == size && fgetc(file) == EOF);
    fclose(file);
    return bytes;
}

START_TEST(pipelines_are_those_of_torchvision)
{
    uint8_t *bytes = read_views();
    const gm_image image = {VIEWS_HEIGHT, VIEWS_WIDTH, bytes, BYTES};
    gm_isa isas[GM_ISA_COUNT];
    for (int k = 0, n = test_isas(isas); k < n; k++) {
        gm_context *context = test_context(isas[k], 1);
        gm_image buffer = {0};
        const uint8_t *expected = bytes + BYTES;
        for (int i = 0; i < CASES; i++) {
            const struct views_case *c = &views_cases[i];
            const size_t size = (size_t)(3 * c->height * c->width);
            uint8_t *y = malloc(size);
            ck_assert_int_eq(
                gm_color_view_apply(&c->view, context, &image, true, c->height, c->width, &buffer, y, NULL), GM_OK);
            int furthest = 0;
            for (size_t p = 0; p < size; p++)
                furthest = abs(y[p] - expected[p]) > furthest ? abs(y[p] - expected[p]) : furthest;
            ck_assert_msg(furthest == 0, "%s, case %d: off by %d levels", gm_isa_name(isas[k]), i, furthest);
            expected += size;
            free(y);
        }
        gm_image_free(&buffer);
        gm_context_destroy(context);
    }
    free(bytes);
}
END_TEST

/* Very long images cost no more than others, and are framed about their middle. */
START_TEST(long_images_are_framed_too)
{
    static const int64_t sides[][2] = {{1, 3000}, {3000, 1}, {2, 31}, {1, 1}};
    gm_context *context = test_context(GM_ISA_AUTO, 1);
    const gm_color_view plain = {.solarize_threshold = 256};
    gm_image image = {0}, buffer = {0};
    for (size_t i = 0; i < sizeof sides / sizeof *sides; i++) {
        uint8_t y[3 * 32 * 32];
        ck_assert_int_eq(gm_image_resize(&image, sides[i][0], sides[i][1], "", NULL), GM_OK);
        const int64_t pixels = sides[i][0] * sides[i][1];
        for (int64_t p = 0; p < 3 * pixels; p++)
            image.pixels[p] = p / 3 >= pixels / 2 - 30 && p / 3 < pixels / 2 + 30 ? 90 : 200;
        ck_assert_int_eq(gm_color_view_apply(&plain, context, &image, true, 32, 32, &buffer, y, NULL), GM_OK);
        for (size_t p = 0; p < sizeof y; p++)
            ck_assert_int_eq(y[p], 90);
    }
    ck_assert_uint_le(buffer.capacity, 3 * 37 * 37 * 16);
    gm_image_free(&image);
    gm_image_free(&buffer);
    gm_context_destroy(context);
}
END_TEST

/* --- batches ------------------------------------------------------------------------------------------------------ */

enum { SIDE = 20, DIM = 3 * SIDE * SIDE, ROWS = 30 };

/* Image files of the tests, or images in memory. */
static const char *const files[] = {
    TEST_DATA "/images/ycc420.jpg", TEST_DATA "/images/rgb8.png",     TEST_DATA "/images/grey.jpg",
    TEST_DATA "/images/rgba8.png",  TEST_DATA "/images/palette8.png", TEST_DATA "/images/cmyk.jpg",
};
enum { FILES = sizeof files / sizeof *files };

struct data {
    gm_dataset dataset;
    gm_augmentation augmentation;
    uint8_t pixels[ROWS * DIM];
    const char *paths[ROWS];
};

static void fill(struct data *data, bool in_files)
{
    test_random random = test_random_create(6);
    for (int i = 0; i < ROWS * DIM; i++)
        data->pixels[i] = (uint8_t)test_random_bits(&random);
    for (int i = 0; i < ROWS; i++)
        data->paths[i] = files[i % FILES];
    data->dataset = (gm_dataset){.kind = GM_DATA_COLOR_IMAGES,
                                 .name = "images",
                                 .dim = DIM,
                                 .height = SIDE,
                                 .width = SIDE,
                                 .channels = 3,
                                 .channel_mean = {0.5f, 0.4f, 0.3f},
                                 .channel_std = {0.2f, 0.25f, 0.3f}};
    data->dataset.train = (gm_split){.rows = ROWS, .pixels = in_files ? NULL : data->pixels};
    data->dataset.train.paths = in_files ? data->paths : NULL;
    ck_assert_int_eq(gm_augmentation_preset("imagenet", &data->augmentation, NULL), GM_OK);
}

/* One view made by hand: read, drawn, applied, normalised. */
static void expect_view(const struct data *data, gm_context *context, bool augmented, struct gm_view_key key, float *y)
{
    const gm_dataset *dataset = &data->dataset;
    gm_image image = {0}, buffer = {0};
    uint8_t bytes[DIM];
    if (dataset->train.paths)
        ck_assert_int_eq(gm_image_read(data->paths[key.sample], &image, NULL), GM_OK);
    else
        ck_assert_int_eq(gm_image_resize(&image, SIDE, SIDE, "", NULL), GM_OK);
    if (!dataset->train.paths)
        memcpy(image.pixels, data->pixels + key.sample * DIM, DIM);
    gm_color_view view = {.solarize_threshold = 256};
    if (augmented)
        view = gm_augmentation_draw_color(&data->augmentation, key, image.height, image.width);
    ck_assert_int_eq(
        gm_color_view_apply(&view, context, &image, dataset->train.paths != NULL, SIDE, SIDE, &buffer, bytes, NULL),
        GM_OK);
    ck_assert_int_eq(gm_normalize_u8_f32(context, 3, SIDE, SIDE, bytes, 3 * SIDE, dataset->channel_mean,
                                         dataset->channel_std, y, 3 * SIDE),
                     GM_OK);
    gm_image_free(&image);
    gm_image_free(&buffer);
}

START_TEST(views_depend_on_nothing_but_their_key)
{
    static const int32_t threads[] = {1, 2, 3, 7};
    static struct data data;
    static float y[2 * ROWS * DIM], one[DIM];
    fill(&data, _i == 1);
    gm_context *serial = test_context(GM_ISA_AUTO, 1);
    int64_t order[ROWS];
    gm_shuffle(1, 1, order, ROWS);
    for (int t = 0; t < 4; t++) {
        gm_context *context = test_context(GM_ISA_AUTO, threads[t]);
        test_fill_nan(y, 2 * ROWS * DIM);
        ck_assert_int_eq(gm_dataset_views_f32(&data.dataset, &data.dataset.train, context, &data.augmentation, 9, 3, 2,
                                              order, ROWS, y, DIM, NULL),
                         GM_OK);
        for (int i = 0; i < 2 * ROWS; i++) {
            const struct gm_view_key key = {9, 3, order[i % ROWS], i / ROWS};
            expect_view(&data, serial, true, key, one);
            ck_assert(test_same_bits(y + i * DIM, one, sizeof one));
            if (i % 7 > 0)
                continue;
            ck_assert_int_eq(gm_dataset_view_f32(&data.dataset, &data.dataset.train, context, &data.augmentation, 9, 3,
                                                 i / ROWS, &order[i % ROWS], 1, one, DIM, NULL),
                             GM_OK);
            ck_assert(test_same_bits(y + i * DIM, one, sizeof one));
        }
        ck_assert_int_eq(gm_dataset_plain_f32(&data.dataset, &data.dataset.train, context, NULL, ROWS, y, DIM, NULL),
                         GM_OK);
        for (int i = 0; i < ROWS; i++) {
            const struct gm_view_key key = {.sample = i};
            expect_view(&data, serial, false, key, one);
            ck_assert(test_same_bits(y + i * DIM, one, sizeof one));
        }
        gm_context_destroy(context);
    }
    gm_context_destroy(serial);
}
END_TEST

/* Of several bad images the first one is named, by whomever it was met. */
START_TEST(the_first_bad_image_is_the_error)
{
    static struct data data;
    static float y[2 * ROWS * DIM];
    fill(&data, true);
    data.paths[5] = TEST_DATA "/images/absent-1.jpg";
    data.paths[14] = TEST_DATA "/images/absent-2.jpg";
    data.paths[23] = TEST_DATA "/images/absent-3.jpg";
    int64_t rows[ROWS];
    for (int i = 0; i < ROWS; i++)
        rows[i] = ROWS - 1 - i;
    gm_error error;
    for (int32_t threads = 1; threads <= 3; threads++) {
        gm_context *context = test_context(GM_ISA_AUTO, threads);
        test_expect(gm_dataset_views_f32(&data.dataset, &data.dataset.train, context, &data.augmentation, 9, 3, 2, rows,
                                         ROWS, y, DIM, &error),
                    &error, GM_BAD_DATA, "absent-3.jpg");
        test_expect(gm_dataset_plain_f32(&data.dataset, &data.dataset.train, context, NULL, ROWS, y, DIM, &error),
                    &error, GM_BAD_DATA, "absent-1.jpg");
        gm_context_destroy(context);
    }
}
END_TEST

/* The message reaches the one who trains, after the batches before it. */
START_TEST(a_loader_hands_the_error_on)
{
    static struct data data;
    fill(&data, true);
    int64_t order[ROWS];
    gm_shuffle(4, 0, order, ROWS);
    data.paths[order[17]] = TEST_DATA "/images/absent-1.jpg";
    data.paths[order[19]] = TEST_DATA "/images/absent-2.jpg";
    data.paths[order[27]] = TEST_DATA "/images/absent-3.jpg";
    gm_context *context = test_context(GM_ISA_AUTO, 2);
    for (int32_t workers = 0; workers <= 3; workers++) {
        const gm_loader_options options = {.dataset = &data.dataset,
                                           .split = &data.dataset.train,
                                           .augmentation = &data.augmentation,
                                           .seed = 4,
                                           .batch = 10,
                                           .last = 3,
                                           .workers = workers,
                                           .context = context};
        gm_loader *loader;
        gm_loader_chunk chunk;
        gm_error error;
        ck_assert_int_eq(gm_loader_create(&options, &loader, &error), GM_OK);
        ck_assert_int_eq(gm_loader_next(loader, &chunk, &error), GM_OK);
        test_expect(gm_loader_next(loader, &chunk, &error), &error, GM_BAD_DATA, "absent-1.jpg");
        gm_loader_destroy(loader);
    }
    gm_context_destroy(context);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("color_view");
    TCase *tests = tcase_create("color_view");
    suite_add_tcase(suite, tests);
    tcase_add_test(tests, pipelines_are_those_of_torchvision);
    tcase_add_test(tests, long_images_are_framed_too);
    tcase_add_loop_test(tests, views_depend_on_nothing_but_their_key, 0, 2);
    tcase_add_test(tests, the_first_bad_image_is_the_error);
    tcase_add_test(tests, a_loader_hands_the_error_on);
    return test_run(suite);
}
