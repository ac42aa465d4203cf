/* A bar on standard error where that is a terminal; silent elsewhere. */
#ifndef GEMEL_PROGRESS_BAR_H
#define GEMEL_PROGRESS_BAR_H

#include <stdbool.h>
#include <stdint.h>

typedef struct gm_progress_bar {
    bool shown;
    int64_t total;
    double start, next; /* seconds of a steady clock: of the first call, of the next redraw */
} gm_progress_bar;

/* wanted: false for none at all. */
gm_progress_bar gm_progress_bar_begin(bool wanted, int64_t total);

/* Redraws it if it is time. */
void gm_progress_bar_set(gm_progress_bar *bar, int64_t done);

/* Takes it from the screen. */
void gm_progress_bar_end(const gm_progress_bar *bar);

#endif
