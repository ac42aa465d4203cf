#include "train/matrix_view.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

typedef struct rgb {
    int red, green, blue;
} rgb;

static const rgb negative = {70, 150, 255}, zero = {28, 28, 34}, positive = {255, 176, 60};

gm_matrix_style gm_matrix_style_from_environment(void)
{
    const char *no_color = getenv("NO_COLOR"), *colors = getenv("COLORTERM"), *terminal = getenv("TERM");
    if (no_color && *no_color)
        return GM_MATRIX_SHADES;
    if (colors && (!strcmp(colors, "truecolor") || !strcmp(colors, "24bit")))
        return GM_MATRIX_TRUECOLOR;
    return terminal && strstr(terminal, "256color") ? GM_MATRIX_256 : GM_MATRIX_SHADES;
}

int64_t gm_matrix_lines(int64_t rows)
{
    return (rows + 1) / 2;
}

/* In [-1, 1]; a NaN draws as zero. */
static double clamped(float value, double scale)
{
    const double ratio = (double)value / scale;
    return ratio > 1 ? 1 : ratio < -1 ? -1 : isnan(ratio) ? 0 : ratio;
}

static rgb color_of(double value)
{
    const rgb end = value < 0 ? negative : positive;
    const double share = fabs(value);
    const rgb color = {
        (int)lrint(zero.red + share * (end.red - zero.red)),
        (int)lrint(zero.green + share * (end.green - zero.green)),
        (int)lrint(zero.blue + share * (end.blue - zero.blue)),
    };
    return color;
}

/* The nearest entry of xterm's cube of 6 x 6 x 6 colours, whose levels are 0, 95, 135 … 255. */
static int cube_level(int channel)
{
    return channel < 48 ? 0 : channel < 115 ? 1 : (channel - 35) / 40;
}

static void set_color(FILE *out, gm_matrix_style style, bool background, rgb color)
{
    const int plane = background ? 48 : 38;
    if (style == GM_MATRIX_TRUECOLOR)
        fprintf(out, "\033[%d;2;%d;%d;%dm", plane, color.red, color.green, color.blue);
    else
        fprintf(out, "\033[%d;5;%dm", plane,
                16 + 36 * cube_level(color.red) + 6 * cube_level(color.green) + cube_level(color.blue));
}

static const char *shade(double magnitude)
{
    static const char *const shades[] = {" ", "░", "▒", "▓", "█"};
    return shades[lrint(4 * magnitude)];
}

void gm_matrix_draw_line(FILE *out, gm_matrix_style style, const float *c, int64_t rows, int64_t line, double scale)
{
    const float *upper = c + 2 * line * rows;
    const float *lower = 2 * line + 1 < rows ? upper + rows : NULL;
    for (int64_t j = 0; j < rows; j++) {
        const double above = clamped(upper[j], scale), below = lower ? clamped(lower[j], scale) : 0;
        if (style == GM_MATRIX_SHADES) {
            fputs(shade(fmax(fabs(above), fabs(below))), out);
            continue;
        }
        set_color(out, style, false, color_of(above));
        set_color(out, style, true, color_of(below));
        fputs("▀", out);
    }
    if (style != GM_MATRIX_SHADES)
        fputs("\033[0m", out);
}

void gm_matrix_means(const float *c, int64_t rows, double *diagonal, double *off_diagonal)
{
    double on = 0, off = 0;
    for (int64_t i = 0; i < rows; i++)
        for (int64_t j = 0; j < rows; j++)
            if (i == j)
                on += c[i * rows + j];
            else
                off += fabs((double)c[i * rows + j]);
    *diagonal = on / (double)rows;
    *off_diagonal = rows > 1 ? off / (double)(rows * (rows - 1)) : 0;
}
