#include "train/progress.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

static const double redraw_seconds = 0.2, line_seconds = 1;
enum { MOST_TILES = 32, LINE = 256 };

void gm_progress_init(gm_progress *progress, FILE *out, gm_matrix_mode mode)
{
    const char *terminal = getenv("TERM");
    *progress = (gm_progress){.out = out, .columns = 80};
    if (!out)
        return;
    progress->terminal = isatty(fileno(out)) && terminal && strcmp(terminal, "dumb");
    progress->style = progress->terminal ? gm_matrix_style_from_environment() : GM_MATRIX_SHADES;
    if (mode == GM_MATRIX_ON || (mode == GM_MATRIX_AUTO && progress->terminal))
        progress->tiles = MOST_TILES;
    struct winsize window;
    if (progress->terminal && !ioctl(fileno(out), TIOCGWINSZ, &window) && window.ws_col > 0) {
        progress->columns = window.ws_col;
        const int64_t rows = 2 * ((int64_t)window.ws_row - 3); /* the line, the matrix, a spare line */
        if (rows < progress->tiles)
            progress->tiles = rows > 0 ? rows : 0;
        if (progress->columns <= progress->tiles)
            progress->tiles = 0;
    }
}

bool gm_progress_due(const gm_progress *progress, double now)
{
    return progress->terminal && now >= progress->next_draw;
}

static void format_seconds(double seconds, char *text, size_t size)
{
    const long long s = isfinite(seconds) && seconds < 1e9 ? llround(seconds) : 0;
    if (s >= 3600)
        snprintf(text, size, "%lld:%02lld:%02lld", s / 3600, s / 60 % 60, s % 60);
    else
        snprintf(text, size, "%lld:%02lld", s / 60, s % 60);
}

static void format_line(const gm_progress *progress, const gm_progress_state *s, char *text, size_t size)
{
    char remaining[32];
    format_seconds(s->remaining, remaining, sizeof remaining);
    const double percent = 100 * (double)s->step / (double)s->steps;
    const bool roomy = !progress->terminal || progress->columns > 112;
    snprintf(text, size,
             roomy ? "epoch %lld/%lld  step %lld/%lld %.0f%%  loss %.4g (invariance %.4g + redundancy %.4g)  "
                     "%.0f images/s  ETA %s  lr %.2g  data %.0f%%"
                   : "%lld/%lld  %lld/%lld %.0f%%  loss %.4g (%.4g + %.4g)  %.0f/s  ETA %s  lr %.2g  data %.0f%%",
             (long long)s->epoch + 1, (long long)s->epochs, (long long)s->step, (long long)s->steps, percent, s->loss,
             s->invariance, s->redundancy, s->images_per_second, remaining, s->lr, 100 * s->data_share);
    const size_t used = strlen(text);
    if (s->evaluated && roomy)
        snprintf(text + used, size - used, "  kNN %.4f  linear %.4f", s->knn, s->linear);
    if (progress->terminal && (int64_t)strlen(text) >= progress->columns)
        text[progress->columns - 1] = '\0';
}

/* A tile on the diagonal of the identity has the mean 1 / its width, which is drawn at full strength. */
static double full_scale(const gm_progress_state *state)
{
    return (double)state->tiles / (double)state->width;
}

/* What stands beside a line of the matrix. */
static void format_legend(const gm_progress_state *s, int64_t line, double diagonal, double off_diagonal, char *text,
                          size_t size)
{
    text[0] = '\0';
    if (line == 0)
        snprintf(text, size, "cross-correlation of the two views");
    else if (line == 1)
        snprintf(text, size, "%lld x %lld, as %lld x %lld means", (long long)s->width, (long long)s->width,
                 (long long)s->tiles, (long long)s->tiles);
    else if (line == 3)
        snprintf(text, size, "diagonal       %7.4f  goal %.4f", diagonal, full_scale(s));
    else if (line == 4)
        snprintf(text, size, "|off-diagonal| %7.4f  goal 0", off_diagonal);
}

static void draw_matrix(const gm_progress *progress, const gm_progress_state *state, FILE *frame)
{
    double diagonal, off_diagonal;
    gm_matrix_means(state->c, state->tiles, &diagonal, &off_diagonal);
    const int64_t room = progress->columns - state->tiles - 3;
    for (int64_t line = 0; line < gm_matrix_lines(state->tiles); line++) {
        char legend[LINE];
        format_legend(state, line, diagonal, off_diagonal, legend, sizeof legend);
        if (room < (int64_t)strlen(legend))
            legend[room > 0 ? room : 0] = '\0';
        gm_matrix_draw_line(frame, progress->style, state->c, state->tiles, line, full_scale(state));
        fprintf(frame, "%s%s%s\n", *legend ? "  " : "", legend, progress->terminal ? "\033[K" : "");
    }
}

/* The live picture begins at the cursor's line, where the cursor returns. */
static void draw_live(const gm_progress *progress, const gm_progress_state *state, FILE *frame)
{
    char line[LINE];
    format_line(progress, state, line, sizeof line);
    fprintf(frame, "\r%s\033[K\n", line);
    if (state->tiles > 0)
        draw_matrix(progress, state, frame);
    const int64_t lines = 1 + (state->tiles > 0 ? gm_matrix_lines(state->tiles) : 0);
    fprintf(frame, "\033[%lldA", (long long)lines);
}

/* A frame is written at once, so that the terminal never shows half of one. */
static void show(const gm_progress *progress, const char *frame)
{
    fputs(frame, progress->out);
    fflush(progress->out);
}

void gm_progress_draw(gm_progress *progress, const gm_progress_state *state, double now)
{
    char *text = NULL;
    size_t size;
    FILE *frame = open_memstream(&text, &size);
    if (!frame)
        return;
    draw_live(progress, state, frame);
    if (!fclose(frame))
        show(progress, text);
    free(text);
    progress->next_draw = now + redraw_seconds;
}

void gm_progress_epoch(gm_progress *progress, const gm_progress_state *state, bool last, double now)
{
    if (!progress->out || (progress->terminal && !last && now < progress->next_line))
        return;
    char line[LINE];
    format_line(progress, state, line, sizeof line);
    fprintf(progress->out, progress->terminal ? "\r\033[J%s\n" : "%s\n", line);
    if (state->tiles > 0 && (last || !progress->terminal))
        draw_matrix(progress, state, progress->out);
    if (progress->terminal && !last)
        gm_progress_draw(progress, state, now);
    progress->next_line = now + line_seconds;
    fflush(progress->out);
}

void gm_progress_clear(const gm_progress *progress)
{
    if (!progress->terminal)
        return;
    fputs("\r\033[J", progress->out);
    fflush(progress->out);
}

void gm_progress_warn(const gm_progress *progress, int64_t epoch, const char *text)
{
    gm_progress_clear(progress);
    fprintf(stderr, "gemel train: WARNING: epoch %lld: %s\n", (long long)epoch + 1, text);
}
