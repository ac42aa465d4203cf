#include "progress_bar.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "support/parse.h"

static const double redraw_seconds = 0.2;

static double monotonic_seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

gm_progress_bar gm_progress_bar_begin(bool wanted, int64_t total)
{
    const char *terminal = getenv("TERM");
    gm_progress_bar bar = {.total = total};
    bar.shown = wanted && total > 0 && isatty(STDERR_FILENO) && terminal && strcmp(terminal, "dumb");
    bar.start = monotonic_seconds();
    bar.next = bar.start + redraw_seconds;
    return bar;
}

void gm_progress_bar_set(gm_progress_bar *bar, int64_t done)
{
    enum { WIDTH = 30 };
    static const char filled[] = "##############################", empty[] = "..............................";
    const double now = monotonic_seconds(), seconds = now - bar->start;
    char remaining[32];
    if (!bar->shown || now < bar->next || done < 1)
        return;
    const int full = (int)(WIDTH * done / bar->total);
    gm_format_duration(remaining, sizeof remaining, seconds * (double)(bar->total - done) / (double)done);
    fprintf(stderr, "\r[%.*s%.*s] %lld/%lld  %.3g/s  %s left\033[K", full, filled, WIDTH - full, empty, (long long)done,
            (long long)bar->total, (double)done / seconds, remaining);
    bar->next = now + redraw_seconds;
}

void gm_progress_bar_end(const gm_progress_bar *bar)
{
    if (bar->shown)
        fputs("\r\033[K", stderr);
}
