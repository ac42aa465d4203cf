/* What a run shows and keeps: thinned series, the drawn matrix, the folder, the logs. */
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "support/files.h"
#include "support/support.h"
#include "train/matrix_view.h"
#include "train/progress.h"
#include "train/run_folder.h"
#include "train/run_history.h"
#include "train/run_log.h"

START_TEST(thinning_keeps_means)
{
    static gm_run_history history;
    gm_history_init(&history);
    const int64_t steps = 4 * GM_HISTORY_POINTS;
    for (int64_t i = 0; i < steps; i++) {
        const gm_history_point step = {.step = (double)i, .loss = 3.0 * (double)i, .lr_weights = 0.5};
        gm_history_add_step(&history, &step);
    }
    ck_assert_int_eq(history.stride, 4);
    ck_assert_int_eq(history.point_count, GM_HISTORY_POINTS);
    for (int64_t i = 0; i < history.point_count; i++) {
        ck_assert_double_eq(history.points[i].step, 4.0 * (double)i + 1.5);
        ck_assert_double_eq(history.points[i].loss, 3 * history.points[i].step);
        ck_assert_double_eq(history.points[i].lr_weights, 0.5);
    }
    gm_history_free(&history);
}
END_TEST

START_TEST(epochs_and_tiles_are_kept)
{
    static gm_run_history history;
    gm_history_init(&history);
    gm_error error;
    for (int64_t i = 0; i < 200; i++) {
        const gm_history_epoch epoch = {.epoch = i, .loss = (double)i};
        ck_assert_int_eq(gm_history_add_epoch(&history, &epoch, &error), GM_OK);
    }
    ck_assert_int_eq(history.epoch_count, 200);
    ck_assert_int_eq(history.epochs[199].epoch, 199);
    ck_assert_int_eq(gm_history_reserve_tiles(&history, 3, &error), GM_OK);
    ck_assert_float_eq(history.last_tiles[8], 0);
    gm_history_free(&history);
    ck_assert_int_eq(history.epoch_count, 0);
}
END_TEST

static char *draw(gm_matrix_style style, const float *c, int64_t rows, double scale)
{
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    for (int64_t line = 0; line < gm_matrix_lines(rows); line++) {
        gm_matrix_draw_line(out, style, c, rows, line, scale);
        fputc('\n', out);
    }
    fclose(out);
    return text;
}

START_TEST(a_matrix_is_drawn)
{
    const float c[9] = {1, 0, -0.01f, 0, 1, 0, 0.3f, 0, 5};
    char *shades = draw(GM_MATRIX_SHADES, c, 3, 1);
    ck_assert_str_eq(shades, "██ \n░ █\n");
    char *colors = draw(GM_MATRIX_TRUECOLOR, c, 3, 1);
    ck_assert(!strncmp(colors, "\033[38;2;255;176;60m\033[48;2;28;28;34m▀", 36));
    ck_assert_str_eq(colors + strlen(colors) - 5, "\033[0m\n");
    char *few_colors = draw(GM_MATRIX_256, c, 3, 1);
    ck_assert(!strncmp(few_colors, "\033[38;5;215m\033[48;5;16m▀", 22));
    free(shades);
    free(colors);
    free(few_colors);
    double diagonal, off_diagonal;
    gm_matrix_means(c, 3, &diagonal, &off_diagonal);
    ck_assert_double_eq_tol(diagonal, 7.0 / 3, 1e-6);
    ck_assert_double_eq_tol(off_diagonal, 0.31 / 6, 1e-7);
}
END_TEST

START_TEST(the_environment_chooses_the_style)
{
    const struct {
        const char *no_color, *colors, *terminal;
        gm_matrix_style style;
    } cases[] = {
        {"1", "truecolor", "xterm-256color", GM_MATRIX_SHADES},
        {"", "truecolor", "xterm", GM_MATRIX_TRUECOLOR},
        {"", "24bit", "xterm", GM_MATRIX_TRUECOLOR},
        {"", "", "xterm-256color", GM_MATRIX_256},
        {"", "", "vt100", GM_MATRIX_SHADES},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        setenv("NO_COLOR", cases[i].no_color, 1);
        setenv("COLORTERM", cases[i].colors, 1);
        setenv("TERM", cases[i].terminal, 1);
        ck_assert_int_eq(gm_matrix_style_from_environment(), cases[i].style);
    }
}
END_TEST

/* Not a terminal: plain lines, no escapes, the matrix only when asked for. */
START_TEST(progress_elsewhere_is_plain)
{
    const float c[4] = {0.5f, 0, 0, 0.5f};
    const gm_progress_state state = {.epoch = 1,
                                     .epochs = 6,
                                     .step = 468,
                                     .steps = 1404,
                                     .loss = 12.5,
                                     .invariance = 2.5,
                                     .redundancy = 10,
                                     .images_per_second = 9500,
                                     .lr = 0.002,
                                     .data_share = 0.083,
                                     .remaining = 3725,
                                     .width = 4,
                                     .tiles = 2,
                                     .c = c};
    char text[4096];
    FILE *out = tmpfile();
    gm_progress progress;
    gm_progress_init(&progress, out, GM_MATRIX_AUTO);
    ck_assert_int_eq(progress.tiles, 0);
    gm_progress_init(&progress, out, GM_MATRIX_ON);
    ck_assert_int_gt(progress.tiles, 0);
    ck_assert(!gm_progress_due(&progress, 1e9));
    gm_progress_epoch(&progress, &state, true, 0);
    rewind(out);
    text[fread(text, 1, sizeof text - 1, out)] = '\0';
    fclose(out);
    ck_assert_str_eq(text,
                     "epoch 2/6  step 468/1404 33%  loss 12.5 (invariance 2.5 + redundancy 10)  9500 images/s  ETA "
                     "1:02:05  lr 0.002  data 8%\n██  cross-correlation of the two views\n");
    gm_progress_init(&progress, NULL, GM_MATRIX_ON);
    gm_progress_epoch(&progress, &state, true, 0);
}
END_TEST

static test_folder enter_temporary_folder(void)
{
    const test_folder folder = test_folder_create();
    ck_assert_int_eq(chdir(folder.path), 0);
    return folder;
}

/* What a terminal of this size shows: the text written since the last call. It arrives in pieces, so the end is where
 * nothing has come for a while. */
static size_t read_screen(int screen, char *text, size_t size)
{
    enum { QUIET_MS = 200 };
    struct pollfd ready = {.fd = screen, .events = POLLIN};
    size_t length = 0;
    while (length < size - 1 && poll(&ready, 1, QUIET_MS) > 0) {
        const ssize_t got = read(screen, text + length, size - 1 - length);
        if (got <= 0)
            break;
        length += (size_t)got;
    }
    text[length] = '\0';
    return strlen(text);
}

START_TEST(progress_on_a_terminal_is_drawn_in_place)
{
    const float c[4] = {0.5f, 0, 0, 0.5f};
    const gm_progress_state state = {.epochs = 6, .step = 10, .steps = 60, .width = 4, .tiles = 2, .c = c};
    const struct winsize window = {.ws_row = 10, .ws_col = 60};
    char text[4096];
    const int screen = posix_openpt(O_RDWR | O_NOCTTY);
    ck_assert(screen >= 0 && !grantpt(screen) && !unlockpt(screen) && !ioctl(screen, TIOCSWINSZ, &window));
    FILE *out = fopen(ptsname(screen), "w");
    ck_assert_ptr_nonnull(out);
    setenv("TERM", "xterm-256color", 1);
    setenv("NO_COLOR", "1", 1);
    gm_progress progress;
    gm_progress_init(&progress, out, GM_MATRIX_AUTO);
    ck_assert_int_eq(progress.tiles, 14); /* in 10 - 3 lines */
    ck_assert(gm_progress_due(&progress, 100));
    gm_progress_draw(&progress, &state, 100);
    ck_assert(!gm_progress_due(&progress, 100.1) && gm_progress_due(&progress, 100.25));
    read_screen(screen, text, sizeof text);
    ck_assert_msg(!strncmp(text, "\r1/6  10/60 17%  loss 0", 23), "%s", text);
    ck_assert(strstr(text, "\n██  cross-correlation") && !strcmp(text + strlen(text) - 4, "\033[2A"));
    ck_assert(strchr(text, '\n') - text < 60 + 8);

    gm_progress_epoch(&progress, &state, false, 100.5);
    ck_assert(read_screen(screen, text, sizeof text) > 0);
    gm_progress_epoch(&progress, &state, false, 100.9); /* a line a second */
    gm_progress_epoch(&progress, &state, true, 100.9);  /* but always the last one */
    read_screen(screen, text, sizeof text);
    ck_assert_msg(!strncmp(text, "\r\033[J1/6", 7) && !strstr(text, "\033[2A"), "%s", text);

    gm_progress_clear(&progress);
    read_screen(screen, text, sizeof text);
    ck_assert_str_eq(text, "\r\033[J");

    setenv("TERM", "dumb", 1);
    gm_progress_init(&progress, out, GM_MATRIX_AUTO);
    ck_assert(!progress.terminal && progress.tiles == 0);
    fclose(out);
    close(screen);
}
END_TEST

START_TEST(folders_are_numbered_and_guarded)
{
    char folder[GM_RUN_PATH];
    gm_error error;
    const test_folder home = enter_temporary_folder();
    ck_assert_int_eq(gm_run_folder_create(NULL, "digits", false, folder, &error), GM_OK);
    ck_assert_str_eq(folder, "runs/digits-1");
    ck_assert_int_eq(gm_run_folder_create(NULL, "digits", false, folder, &error), GM_OK);
    ck_assert_str_eq(folder, "runs/digits-2");
    ck_assert_int_eq(gm_run_folder_create("a/b/c", "digits", false, folder, &error), GM_OK);
    ck_assert_int_eq(gm_run_folder_create("a/b/c", "digits", false, folder, &error), GM_OK); /* exists, but empty */
    test_write("a/b/c/mine.txt", "mine", 4);
    test_write("a/b/c/stats.txt", "", 0);
    test_write("a/b/c/results.txt", "", 0);
    ck_assert_int_eq(gm_run_folder_create("a/b/c", "digits", false, folder, &error), GM_BAD_USAGE);
    ck_assert_ptr_nonnull(strstr(error.message, "--overwrite"));
    ck_assert_int_eq(gm_run_folder_create("a/b/c", "digits", true, folder, &error), GM_OK);
    ck_assert_int_eq(access("a/b/c/stats.txt", F_OK), -1);
    ck_assert_int_eq(access("a/b/c/results.txt", F_OK), -1);
    ck_assert_int_eq(access("a/b/c/mine.txt", F_OK), 0);
    ck_assert_int_eq(gm_run_folder_create("a/b/c/mine.txt", "digits", false, folder, &error), GM_IO_ERROR);
    ck_assert_int_eq(gm_run_folder_create("", "digits", false, folder, &error), GM_BAD_USAGE);
    test_folder_remove(&home);
}
END_TEST

START_TEST(logs_have_the_published_names)
{
    char text[4096];
    gm_error error;
    gm_run_log log;
    const test_folder home = enter_temporary_folder();
    ck_assert_int_eq(gm_run_log_open(&log, ".", "gemel train digits", false, &error), GM_OK);
    const gm_history_point step = {100, 3.5, 1.5, 2, 0.25, 0.125, 1000};
    ck_assert_int_eq(gm_run_log_step(&log, 7, &step, 12.4, &error), GM_OK);
    const gm_history_epoch epoch = {
        .epoch = 7, .steps = 800, .loss = 3.5, .constant_columns = 2, .effective_rank = 41.5};
    ck_assert_int_eq(gm_run_log_epoch(&log, &epoch, &error), GM_OK);
    gm_run_log_close(&log);
    FILE *stats = fopen("stats.txt", "r");
    text[fread(text, 1, sizeof text - 1, stats)] = '\0';
    fclose(stats);
    ck_assert_str_eq(text,
                     "gemel train digits\n{\"epoch\": 7, \"step\": 100, \"lr_weights\": 0.25, \"lr_biases\": 0.125, "
                     "\"loss\": 3.5, \"invariance\": 1.5, \"redundancy\": 2, \"time\": 12}\n");
    FILE *metrics = fopen("metrics.csv", "r");
    text[fread(text, 1, sizeof text - 1, metrics)] = '\0';
    fclose(metrics);
    ck_assert_ptr_nonnull(strstr(text, "\n7,800,3.5,0,0,0.0,0.000,0.000,0,0,2,41.5,,\n"));
    ck_assert_int_eq(gm_run_log_open(&log, "nowhere", "gemel", false, &error), GM_IO_ERROR);
    ck_assert_ptr_nonnull(strstr(error.message, "nowhere/stats.txt"));
    test_folder_remove(&home);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("run records");
    TCase *tests = tcase_create("run records");
    tcase_add_test(tests, thinning_keeps_means);
    tcase_add_test(tests, epochs_and_tiles_are_kept);
    tcase_add_test(tests, a_matrix_is_drawn);
    tcase_add_test(tests, the_environment_chooses_the_style);
    tcase_add_test(tests, progress_elsewhere_is_plain);
    tcase_add_test(tests, progress_on_a_terminal_is_drawn_in_place);
    tcase_add_test(tests, folders_are_numbered_and_guarded);
    tcase_add_test(tests, logs_have_the_published_names);
    suite_add_tcase(suite, tests);
    return test_run(suite);
}
