/* The report is a well-formed page, needs nothing outside itself, and holds pictures that can be decoded. */
#include <ctype.h>
#include <math.h>
#include <spng.h>
#include <stdlib.h>
#include <string.h>

#include "support/file.h"
#include "support/files.h"
#include "support/support.h"
#include "train/report.h"
#include "train/report_chart.h"
#include "train/report_html.h"
#include "train/report_picture.h"

/* Checks a text as XML would be: elements nest, attributes are quoted, & begins an entity. Returns what is wrong, or
 * NULL. */
enum { DEEPEST = 32, LONGEST = 16 };

static const char *read_attributes(const char **at, bool *closed)
{
    for (;;) {
        while (isspace((unsigned char)**at))
            ++*at;
        *closed = **at == '/';
        if (*closed)
            ++*at;
        if (**at == '>')
            return NULL;
        if (*closed || !isalpha((unsigned char)**at))
            return "an attribute's name";
        while (isalnum((unsigned char)**at) || **at == '-')
            ++*at;
        if ((*at)[0] != '=' || (*at)[1] != '"')
            return "an attribute's value";
        for (*at += 2; **at && **at != '"'; ++*at)
            if (**at == '<')
                return "< in an attribute";
        if (!**at)
            return "the end of an attribute";
        ++*at;
    }
}

static const char *malformed(const char *text)
{
    char open[DEEPEST][LONGEST];
    int depth = 0;
    if (!strncmp(text, "<!DOCTYPE html>", 15))
        text += 15;
    for (const char *at = text; *at; at++) {
        if (*at == '&') {
            const size_t length = strcspn(at, "; <\n");
            if (at[length] != ';' || length > 8)
                return "an entity";
        }
        if (*at != '<')
            continue;
        const bool closing = *++at == '/';
        at += closing;
        const size_t length = strspn(at, "abcdefghijklmnopqrstuvwxyz0123456789");
        if (!islower((unsigned char)*at) || length >= LONGEST)
            return "an element's name";
        char name[LONGEST] = "";
        memcpy(name, at, length);
        at += length;
        bool closed = false;
        const char *wrong = closing ? (*at == '>' ? NULL : "a closing tag") : read_attributes(&at, &closed);
        if (wrong)
            return wrong;
        if (closing && (!depth || strcmp(open[--depth], name)))
            return "a closing tag without its opening one";
        if (!closing && !closed) {
            if (depth == DEEPEST)
                return "depth";
            memcpy(open[depth++], name, LONGEST);
        }
    }
    return depth ? "an element left open" : NULL;
}

START_TEST(the_check_itself_finds_faults)
{
    static const char *const good[] = {"", "<a></a>", "<!DOCTYPE html>\n<p class=\"x\">a &lt; b<br/></p>",
                                       "<svg><path d=\"M0 0\"/></svg>"};
    static const char *const bad[] = {"<a>",
                                      "</a>",
                                      "<a></b>",
                                      "<p class=x></p>",
                                      "a & b",
                                      "<a href></a>",
                                      "<p title=\"a<b\"/>",
                                      "<p title=\"a/>",
                                      "<p><b></p></b>",
                                      "<1/>"};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        ck_assert_msg(!malformed(good[i]), "%s: %s", good[i], malformed(good[i]));
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        ck_assert_msg(malformed(bad[i]) != NULL, "%s", bad[i]);
}
END_TEST

static int digit_value(char c)
{
    const char *digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const char *found = c ? strchr(digits, c) : NULL;
    return found ? (int)(found - digits) : -1;
}

/* Decodes base64 up to the first other character; returns the number of bytes. */
static size_t base64_decode(const char *text, uint8_t *bytes)
{
    size_t count = 0;
    uint32_t bits = 0;
    for (int held = 0; digit_value(*text) >= 0; text++) {
        bits = bits << 6 | (uint32_t)digit_value(*text);
        held += 6;
        if (held >= 8) {
            held -= 8;
            bytes[count++] = (uint8_t)(bits >> held);
        }
    }
    return count;
}

START_TEST(base64_comes_back)
{
    for (size_t length = 0; length < 20; length++) {
        uint8_t bytes[20], back[32];
        for (size_t i = 0; i < length; i++)
            bytes[i] = (uint8_t)(251 * i + 7 * length + 130);
        char *text;
        size_t size;
        FILE *out = open_memstream(&text, &size);
        gm_base64_write(out, bytes, length);
        fclose(out);
        ck_assert_uint_eq(size, (length + 2) / 3 * 4);
        ck_assert_uint_eq(base64_decode(text, back), length);
        ck_assert_mem_eq(back, bytes, length);
        free(text);
    }
}
END_TEST

START_TEST(text_is_escaped)
{
    static const char *const cases[][2] = {
        {"a < b & c > \"d\" 'e'", "a &lt; b &amp; c &gt; &quot;d&quot; &#39;e&#39;"},
        {"Stra\xC3\x9F"
         "e \xE2\x82\xAC \xF0\x9F\x90\x88",
         "Stra\xC3\x9F"
         "e \xE2\x82\xAC \xF0\x9F\x90\x88"},
        {"a\tb\nc", "a\tb\nc"},
        {"\x01\x7F", "&#xFFFD;&#xFFFD;"},
        {"\xFF"
         "a\xC3",
         "&#xFFFD;a&#xFFFD;"},
        {"\xC0\xAF", "&#xFFFD;&#xFFFD;"},
        {"\xED\xA0\x80", "&#xFFFD;&#xFFFD;&#xFFFD;"},
        {"\xE2\x82", "&#xFFFD;&#xFFFD;"},
        {"", ""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char *text;
        size_t size;
        FILE *out = open_memstream(&text, &size);
        gm_html_text(out, cases[i][0]);
        fclose(out);
        ck_assert_str_eq(text, cases[i][1]);
        free(text);
    }
}
END_TEST

START_TEST(numbers_are_short)
{
    static const struct {
        double value;
        const char *text;
    } cases[] = {{0.0, "0"},
                 {1.0, "1"},
                 {0.5, "0.5"},
                 {12.34, "12.3"},
                 {999.6, "1000"},
                 {8811.4, "8811"},
                 {41234.0, "41 234"},
                 {1234567.0, "1 234 567"},
                 {-20500.0, "-20 500"},
                 {0.00123, "0.00123"},
                 {1.5e-5, "1.5e-05"},
                 {-0.25, "-0.25"},
                 {2.5e9, "2.5e+09"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[32];
        gm_format_number(text, sizeof text, cases[i].value);
        ck_assert_str_eq(text, cases[i].text);
    }
}
END_TEST

enum { WIDTH = 5, HEIGHT = 4, ROWS = 12, TILES = 8 };

static uint8_t pixels[ROWS * WIDTH * HEIGHT];
static const int32_t labels[ROWS] = {0, 1, 2, 0, 1, 2, 0, 1, 2, 0, 1, 2};
static const char *const hostile_names[] = {"<script>alert(1)</script>", "\" onload=\"x", "a & b"};
static gm_run_history history;
static gm_train_config config;

static gm_dataset small_dataset(void)
{
    for (int i = 0; i < ROWS * WIDTH * HEIGHT; i++)
        pixels[i] = (uint8_t)(i * 37);
    const gm_split split = {.rows = ROWS, .pixels = pixels, .labels = labels};
    return (gm_dataset){.kind = GM_DATA_GRAY_IMAGES,
                        .name = "</title><i>&",
                        .dim = WIDTH * HEIGHT,
                        .height = HEIGHT,
                        .width = WIDTH,
                        .classes = 3,
                        .class_names = hostile_names,
                        .train = split,
                        .test = split};
}

static gm_evaluation small_evaluation(void)
{
    gm_evaluation evaluation = {.options = gm_evaluation_default_options(),
                                .measured = true,
                                .feature_size = 16,
                                .model = {0.8512, 0.8731, 0.999, 0.6512, 0.7103},
                                .raw = {0.9, 0.84, 0.99, 0.61, 0.67}};
    evaluation.neighbours = (gm_neighbours){.queries = 3, .k = 2, .query = {0, 1, 2}};
    for (int q = 0; q < 3; q++)
        for (int i = 0; i < 2; i++)
            evaluation.neighbours.index[q][i] = q + 4 * i;
    evaluation.projection =
        (gm_projection){.points = 3, .row = {0, 1, 2}, .at = {{-2, 1}, {0, 0.5f}, {2, -1}}, .shares = {0.5, 0.25}};
    return evaluation;
}

static void small_history(void)
{
    gm_error error;
    gm_history_init(&history);
    for (int i = 0; i < 50; i++) {
        const gm_history_point point = {.step = i,
                                        .loss = 50.0 - i,
                                        .invariance = 30.0 - 0.5 * i,
                                        .lr_weights = 0.1,
                                        .redundancy = i == 20 ? NAN : 20.0 - 0.5 * i,
                                        .lr_biases = 0.01};
        gm_history_add_step(&history, &point);
    }
    for (int i = 0; i < 2; i++) {
        const gm_history_epoch epoch = {.epoch = i,
                                        .steps = 25 * (i + 1),
                                        .loss = 10.0,
                                        .images_per_second = 12345.0,
                                        .seconds = 2.0,
                                        .data_wait = 0.5,
                                        .mean_off_diagonal = 0.1,
                                        .effective_rank = 23.5};
        ck_assert_int_eq(gm_history_add_epoch(&history, &epoch, &error), GM_OK);
    }
    ck_assert_int_eq(gm_history_reserve_tiles(&history, TILES, &error), GM_OK);
    for (int i = 0; i < TILES * TILES; i++) {
        history.first_tiles[i] = i % 3 == 0 ? -0.4f : 0.3f;
        history.last_tiles[i] = i % (TILES + 1) == 0 ? 0.9f : NAN;
    }
}

static test_folder folder;

static char *write_page(const gm_report *report)
{
    char *page;
    size_t size;
    gm_error error = {GM_OK, ""};
    const char *path = test_path(&folder, "report.html");
    ck_assert_msg(gm_report_write(report, path, &error) == GM_OK, "%s", error.message);
    ck_assert_int_eq(gm_file_read(path, 1 << 24, &page, &size, &error), GM_OK);
    ck_assert_uint_eq(strlen(page), size);
    return page;
}

static void make_folder(void)
{
    folder = test_folder_create();
    gm_config_init(&config);
    small_history();
}

static void remove_folder(void)
{
    gm_history_free(&history);
    test_folder_remove(&folder);
}

static int count(const char *text, const char *what)
{
    int found = 0;
    for (const char *at = text; (at = strstr(at, what)); at += strlen(what))
        found++;
    return found;
}

/* Width and height of the PNG files in a page, in order. */
static int decode_pictures(const char *page, uint32_t sizes[][2], int most)
{
    static const char start[] = "data:image/png;base64,";
    int found = 0;
    for (const char *at = page; (at = strstr(at, start)); found++) {
        at += strlen(start);
        ck_assert_int_lt(found, most);
        uint8_t *bytes = malloc(strlen(at));
        const size_t size = base64_decode(at, bytes);
        spng_ctx *decoder = spng_ctx_new(0);
        struct spng_ihdr header;
        size_t length;
        ck_assert_int_eq(spng_set_png_buffer(decoder, bytes, size), 0);
        ck_assert_int_eq(spng_get_ihdr(decoder, &header), 0);
        ck_assert_int_eq(spng_decoded_image_size(decoder, SPNG_FMT_RGBA8, &length), 0);
        uint8_t *decoded = malloc(length);
        ck_assert_int_eq(spng_decode_image(decoder, decoded, length, SPNG_FMT_RGBA8, 0), 0);
        sizes[found][0] = header.width;
        sizes[found][1] = header.height;
        spng_ctx_free(decoder);
        free(decoded);
        free(bytes);
    }
    return found;
}

START_TEST(a_whole_report_is_well_formed)
{
    const gm_dataset dataset = small_dataset();
    const gm_evaluation evaluation = small_evaluation();
    const gm_report report = {.name = "runs/<b>&",
                              .command_line = "gemel train \"a&b\" '<x>'",
                              .config = &config,
                              .dataset = &dataset,
                              .history = &history,
                              .evaluation = &evaluation};
    char *page = write_page(&report);
    ck_assert_msg(!malformed(page), "%s", malformed(page));
    ck_assert_ptr_null(strstr(page, "<script"));
    ck_assert_ptr_null(strstr(page, "http"));
    ck_assert_ptr_null(strstr(page, "nan"));
    ck_assert_int_eq(count(page, "&lt;script&gt;"), 2); /* the first class, on the sheet and on the map */
    ck_assert_ptr_nonnull(strstr(page, "3 test samples along the two directions in which their features differ most, "
                                       "which hold 50 % and 25 % of the variance"));
    ck_assert_ptr_nonnull(strstr(page, "M14 82h0"));
    ck_assert_ptr_nonnull(strstr(page, "M806 478h0"));
    ck_assert_ptr_nonnull(strstr(page, "87.31 %"));
    ck_assert_ptr_nonnull(strstr(page, "+3.31"));
    ck_assert_ptr_nonnull(strstr(page, "−4.88"));
    ck_assert_int_eq(count(page, "<svg"), 7);
    uint32_t sizes[4][2];
    ck_assert_int_eq(decode_pictures(page, sizes, 4), 3);
    ck_assert(sizes[0][0] == TILES && sizes[0][1] == TILES && sizes[1][0] == TILES && sizes[1][1] == TILES);
    ck_assert(sizes[2][0] > 3 * WIDTH && sizes[2][1] >= 3 * HEIGHT);
    free(page);
}
END_TEST

START_TEST(parts_without_data_are_left_out)
{
    gm_dataset dataset = small_dataset();
    gm_evaluation evaluation = small_evaluation();
    dataset.kind = GM_DATA_VECTORS;
    gm_run_history empty;
    gm_history_init(&empty);
    evaluation.measured = false;
    const gm_report reports[] = {
        {.name = "a", .config = &config, .dataset = &dataset, .history = &history, .evaluation = &evaluation},
        {.name = "b", .config = &config, .dataset = &dataset, .history = &empty, .evaluation = NULL},
    };
    static const int charts[] = {6, 0}, pictures[] = {2, 0};
    for (int i = 0; i < 2; i++) {
        char *page = write_page(&reports[i]);
        uint32_t sizes[4][2];
        ck_assert_msg(!malformed(page), "%s", malformed(page));
        ck_assert_int_eq(count(page, "<svg"), charts[i]);
        ck_assert_int_eq(decode_pictures(page, sizes, 4), pictures[i]);
        ck_assert_ptr_null(strstr(page, "Nearest neighbours"));
        free(page);
    }
}
END_TEST

START_TEST(failures_to_write_name_the_file)
{
    const gm_dataset dataset = small_dataset();
    const gm_report report = {.name = "a", .config = &config, .dataset = &dataset, .history = &history};
    gm_error error = {GM_OK, ""};
    ck_assert_int_eq(gm_report_write(&report, "/nonexistent/report.html", &error), GM_IO_ERROR);
    ck_assert_ptr_nonnull(strstr(error.message, "/nonexistent/report.html"));
}
END_TEST

START_TEST(both_matrices_fit_on_one_picture)
{
    char *bytes;
    size_t size;
    gm_error error;
    const char *path = test_path(&folder, "matrices.png");
    ck_assert_int_eq(gm_report_write_matrices(&history, path, &error), GM_OK);
    ck_assert_int_eq(gm_file_read(path, 1 << 24, &bytes, &size, &error), GM_OK);
    spng_ctx *decoder = spng_ctx_new(0);
    struct spng_ihdr header;
    ck_assert_int_eq(spng_set_png_buffer(decoder, bytes, size), 0);
    ck_assert_int_eq(spng_get_ihdr(decoder, &header), 0);
    ck_assert_uint_gt(header.width, 2 * header.height);
    ck_assert_uint_eq(header.height % TILES, 0);
    spng_ctx_free(decoder);
    free(bytes);
}
END_TEST

/* Of colour images each is drawn in its colours, one from a file smaller than the network sees it. */
START_TEST(neighbours_in_colour)
{
    enum { SIDE = 4, BYTES = 3 * SIDE * SIDE };
    static const uint8_t colours[2][3] = {{200, 30, 90}, {10, 220, 40}};
    uint8_t rgb[2 * BYTES];
    for (int i = 0; i < 2 * BYTES; i++)
        rgb[i] = colours[i / BYTES][i % 3];
    const int32_t classes[] = {0, 1};
    const gm_dataset dataset = {.kind = GM_DATA_COLOR_IMAGES,
                                .dim = BYTES,
                                .height = SIDE,
                                .width = SIDE,
                                .channels = 3,
                                .train = {.rows = 2, .pixels = rgb, .labels = classes}};
    const gm_neighbours neighbours = {.queries = 1, .k = 1, .of_training = true, .query = {1}, .index = {{0}}};
    const gm_sheet_layout layout = gm_sheet_layout_of(&dataset, &neighbours);
    gm_picture picture;
    gm_error error;
    ck_assert_int_eq(gm_picture_of_neighbours(&dataset, &neighbours, &picture, &error), GM_OK);
    for (int column = 0; column < 2; column++)
        for (int i = 0; i < SIDE * SIDE; i++) {
            const int x = gm_sheet_x(&layout, column) + i % SIDE, y = gm_sheet_y(&layout, 0) + i / SIDE;
            const uint8_t *pixel = picture.pixels + 4 * (y * picture.width + x);
            ck_assert_mem_eq(pixel, colours[1 - column], 3);
            ck_assert_uint_eq(pixel[3], 255);
        }
    gm_picture_free(&picture);

    static const char *const paths[] = {TEST_DATA "/images/rgb8.png", TEST_DATA "/images/absent.png"};
    gm_dataset files = dataset;
    files.height = files.width = 224;
    files.train = (gm_split){.rows = 2, .paths = paths};
    gm_neighbours itself = neighbours;
    itself.query[0] = 0;
    const gm_sheet_layout small = gm_sheet_layout_of(&files, &itself);
    ck_assert_int_eq(small.image_width, 64);
    ck_assert_int_eq(gm_picture_of_neighbours(&files, &itself, &picture, &error), GM_OK);
    const uint8_t *query = picture.pixels + 4 * (gm_sheet_y(&small, 0) * picture.width + gm_sheet_x(&small, 0));
    const uint8_t *nearest = picture.pixels + 4 * (gm_sheet_y(&small, 0) * picture.width + gm_sheet_x(&small, 1));
    ck_assert_mem_eq(query, nearest, 4 * 64);
    gm_picture_free(&picture);
    ck_assert_int_eq(gm_picture_of_neighbours(&files, &neighbours, &picture, &error), GM_BAD_DATA);
    ck_assert_ptr_nonnull(strstr(error.message, "absent.png"));
    gm_picture_free(&picture);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("report");
    TCase *pieces = tcase_create("pieces"), *pages = tcase_create("pages");
    tcase_add_test(pieces, the_check_itself_finds_faults);
    tcase_add_test(pieces, base64_comes_back);
    tcase_add_test(pieces, text_is_escaped);
    tcase_add_test(pieces, numbers_are_short);
    tcase_add_checked_fixture(pages, make_folder, remove_folder);
    tcase_add_test(pages, a_whole_report_is_well_formed);
    tcase_add_test(pages, parts_without_data_are_left_out);
    tcase_add_test(pages, failures_to_write_name_the_file);
    tcase_add_test(pages, both_matrices_fit_on_one_picture);
    tcase_add_test(pages, neighbours_in_colour);
    suite_add_tcase(suite, pieces);
    suite_add_tcase(suite, pages);
    return test_run(suite);
}
