/* What a person sees of a run: on a terminal a line that is updated in place with the cross-correlation matrix below
 * it; elsewhere one plain line an epoch. */
#ifndef GEMEL_PROGRESS_H
#define GEMEL_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "train/matrix_view.h"

typedef enum gm_matrix_mode {
    GM_MATRIX_AUTO = 0, /* live on a terminal, otherwise not at all */
    GM_MATRIX_ON,       /* live on a terminal, otherwise as text at the end of every epoch */
    GM_MATRIX_OFF,
} gm_matrix_mode;

typedef struct gm_progress {
    FILE *out; /* NULL: silent */
    bool terminal;
    int64_t columns; /* of the terminal */
    int64_t tiles;   /* rows of the picture that fits; 0: none is wanted */
    gm_matrix_style style;
    double next_draw; /* earliest times of the next redraw … */
    double next_line; /* … and of the next line that stays, on a terminal */
} gm_progress;

typedef struct gm_progress_state {
    int64_t epoch, epochs; /* the present one, from 0 */
    int64_t step, steps;   /* taken, and in all */
    double loss, invariance, redundancy;
    double images_per_second;
    double lr;
    double data_share; /* of the time that went into producing views */
    double remaining;  /* seconds */
    bool evaluated;    /* whether there are these two accuracies */
    double knn, linear;
    int64_t width;  /* columns of the embedding */
    int64_t tiles;  /* rows of c; 0: no picture */
    const float *c; /* [tiles, tiles] means over tiles of the cross-correlation matrix */
} gm_progress_state;

/* out: where to print, NULL for nothing. */
void gm_progress_init(gm_progress *progress, FILE *out, gm_matrix_mode mode);

/* Whether it is time to redraw; now: seconds of a steady clock. Always false where nothing is drawn live. */
bool gm_progress_due(const gm_progress *progress, double now);

/* Redraws the live picture. */
void gm_progress_draw(gm_progress *progress, const gm_progress_state *state, double now);

/* Prints what stays of an epoch, the loss terms being means over it. On a terminal epochs of less than a second leave a
 * line a second, and the live picture stays behind the last one. */
void gm_progress_epoch(gm_progress *progress, const gm_progress_state *state, bool last, double now);

enum { GM_PROGRESS_WARNING = 512 };

/* Says something on standard error, above the live picture, also where the progress is silent. epoch: from 0. */
void gm_progress_warn(const gm_progress *progress, int64_t epoch, const char *text);

/* Clears the live picture from the screen, so that a message can follow. */
void gm_progress_clear(const gm_progress *progress);

#endif
