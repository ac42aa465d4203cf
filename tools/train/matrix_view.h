/* A matrix in [-1, 1] as text: blocks of Unicode, two rows of the matrix to a line, so that cells look square. */
#ifndef GEMEL_MATRIX_VIEW_H
#define GEMEL_MATRIX_VIEW_H

#include <stdint.h>
#include <stdio.h>

typedef enum gm_matrix_style {
    GM_MATRIX_SHADES = 0, /* " ░▒▓█" by the greater magnitude of the two cells */
    GM_MATRIX_256,        /* half blocks in the 256 colours: blue below zero, dark at zero, orange above */
    GM_MATRIX_TRUECOLOR,
} gm_matrix_style;

/* What NO_COLOR, COLORTERM and TERM allow. */
gm_matrix_style gm_matrix_style_from_environment(void);

/* Lines of a picture of so many rows. */
int64_t gm_matrix_lines(int64_t rows);

/* Writes one line without its newline: rows 2 line and 2 line + 1 of c [rows, rows]; c / scale is drawn, clamped to
 * [-1, 1]. */
void gm_matrix_draw_line(FILE *out, gm_matrix_style style, const float *c, int64_t rows, int64_t line, double scale);

/* Mean of the diagonal and mean magnitude off it (0 where there is nothing else) of c [rows, rows]. */
void gm_matrix_means(const float *c, int64_t rows, double *diagonal, double *off_diagonal);

#endif
