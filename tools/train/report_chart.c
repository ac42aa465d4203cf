#include "train/report_chart.h"

#include <math.h>
#include <string.h>

#include "train/report_html.h"

enum { LEFT = 52, RIGHT = 12, TOP = 8, BOTTOM = 34 };

enum { MARKED = 24 }; /* so few points that each gets a mark, and one alone is seen */

void gm_format_number(char *text, size_t size, double value)
{
    const double magnitude = fabs(value);
    if (!isfinite(value)) {
        snprintf(text, size, "–");
        return;
    }
    if (magnitude != 0.0 && (magnitude < 1e-3 || magnitude >= 1e7)) {
        snprintf(text, size, "%.3g", value);
        return;
    }
    if (magnitude < 1e4) {
        const int decimals = magnitude >= 100.0 || magnitude == 0.0 ? 0 : 2 - (int)floor(log10(magnitude));
        snprintf(text, size, "%.*f", decimals, value);
        if (strchr(text, '.')) { /* 0.500 is 0.5 */
            size_t end = strlen(text);
            while (text[end - 1] == '0')
                text[--end] = '\0';
            if (text[end - 1] == '.')
                text[end - 1] = '\0';
        }
        return;
    }
    const long long whole = llround(magnitude);
    const char *sign = value < 0.0 ? "-" : "";
    if (whole >= 1000000)
        snprintf(text, size, "%s%lld %03lld %03lld", sign, whole / 1000000, whole / 1000 % 1000, whole % 1000);
    else
        snprintf(text, size, "%s%lld %03lld", sign, whole / 1000, whole % 1000);
}

/* What an axis shows: low … high, on y as logarithms where that was asked for. */
struct axis {
    double low, high;
    bool logarithmic;
    double from, to; /* pixels of low and high */
};

static double place(const struct axis *axis, double value)
{
    const double v = axis->logarithmic ? log10(value) : value;
    return axis->from + (v - axis->low) / (axis->high - axis->low) * (axis->to - axis->from);
}

static bool drawable(const struct axis *axis, double value)
{
    return isfinite(value) && (!axis->logarithmic || value > 0.0);
}

/* A step of 1, 2 or 5 times a power of ten that divides the range into about `parts`. */
static double nice_step(double range, double parts)
{
    const double raw = range / parts, power = pow(10.0, floor(log10(raw))), lead = raw / power;
    return power * (lead < 1.5 ? 1.0 : lead < 3.5 ? 2.0 : lead < 7.5 ? 5.0 : 10.0);
}

/* Sets low and high from the data; false if there is nothing to draw. Linear axes begin at 0. */
static bool fit_y(const gm_chart *chart, struct axis *axis)
{
    double least = INFINITY, most = -INFINITY;
    for (int32_t s = 0; s < chart->series_count; s++)
        for (int64_t i = 0; i < chart->count; i++) {
            const double y = chart->series[s].y[i];
            if (!drawable(axis, y))
                continue;
            least = fmin(least, axis->logarithmic ? log10(y) : y);
            most = fmax(most, axis->logarithmic ? log10(y) : y);
        }
    if (!(least <= most))
        return false;
    if (axis->logarithmic) {
        const double room = fmax(0.05, 0.04 * (most - least));
        axis->low = least - room;
        axis->high = most + room;
    } else {
        axis->low = fmin(0.0, least);
        axis->high = most > axis->low ? most + 0.04 * (most - axis->low) : axis->low + 1.0;
    }
    return true;
}

static void write_y_tick(FILE *out, const gm_chart *chart, const struct axis *axis, double value)
{
    const double position = axis->logarithmic ? log10(value) : value;
    if (position < axis->low || position > axis->high)
        return;
    char text[32];
    gm_format_number(text, sizeof text, value);
    const double y = place(axis, value);
    fprintf(out, "<path class=\"grid\" d=\"M%d %.1fH%.1f\"/><text class=\"tick end\" x=\"%d\" y=\"%.1f\">%s</text>\n",
            LEFT, y, chart->width - RIGHT, LEFT - 8, y + 3.5, text);
}

static void write_even_ticks(FILE *out, const gm_chart *chart, const struct axis *axis, double low, double high)
{
    const double step = nice_step(high - low, chart->height / 55.0);
    for (double tick = ceil(low / step); tick * step <= high; tick++)
        write_y_tick(out, chart, axis, tick * step);
}

/* On a logarithmic axis powers of ten; with few of these also 2 and 5; within one decade even steps. */
static void write_y_ticks(FILE *out, const gm_chart *chart, const struct axis *axis)
{
    const double decades = axis->high - axis->low;
    if (!axis->logarithmic || decades < 1.0) {
        const bool powers = axis->logarithmic;
        write_even_ticks(out, chart, axis, powers ? pow(10.0, axis->low) : axis->low,
                         powers ? pow(10.0, axis->high) : axis->high);
        return;
    }
    const int stride = decades > 8.0 ? (int)ceil(decades / 6.0) : 1;
    for (int power = (int)floor(axis->low); power <= axis->high; power++) {
        if (power % stride == 0)
            write_y_tick(out, chart, axis, pow(10.0, power));
        for (int digit = 2; decades < 2.5 && digit <= 5; digit += 3)
            write_y_tick(out, chart, axis, digit * pow(10.0, power));
    }
}

static void write_x_ticks(FILE *out, const gm_chart *chart, const struct axis *axis)
{
    const double bottom = chart->height - BOTTOM;
    const double step = fmax(nice_step(axis->high - axis->low, chart->width / 80.0), 1e-9);
    fprintf(out, "<path class=\"axis\" d=\"M%d %.1fH%.1f\"/>\n", LEFT, bottom, chart->width - RIGHT);
    for (double tick = ceil(axis->low / step); tick * step <= axis->high * (1.0 + 1e-9); tick++) {
        char text[32];
        gm_format_number(text, sizeof text, tick * step);
        fprintf(out, "<text class=\"tick middle\" x=\"%.1f\" y=\"%.1f\">%s</text>\n", place(axis, tick * step),
                bottom + 15.0, text);
    }
    fprintf(out, "<text class=\"tick end\" x=\"%.1f\" y=\"%.1f\">", chart->width - RIGHT, chart->height - 3.0);
    gm_html_text(out, chart->x_name);
    fputs("</text>\n", out);
}

static void write_series(FILE *out, const gm_chart *chart, int32_t s, const struct axis *x_axis,
                         const struct axis *y_axis)
{
    const double *y = chart->series[s].y;
    bool pen_down = false;
    fprintf(out, "<path class=\"line s%d\" d=\"", s);
    for (int64_t i = 0; i < chart->count; i++) {
        const bool draw = drawable(y_axis, y[i]);
        if (draw)
            fprintf(out, "%c%.1f %.1f", pen_down ? 'L' : 'M', place(x_axis, chart->x[i]), place(y_axis, y[i]));
        pen_down = draw;
    }
    fputs("\"/>\n", out);
    for (int64_t i = 0; i < chart->count && chart->count <= MARKED; i++)
        if (drawable(y_axis, y[i]))
            fprintf(out, "<circle class=\"mark s%d\" cx=\"%.1f\" cy=\"%.1f\" r=\"2.5\"/>\n", s,
                    place(x_axis, chart->x[i]), place(y_axis, y[i]));
}

static void write_key(FILE *out, const gm_chart *chart)
{
    fputs("<p class=\"key\">", out);
    for (int32_t s = 0; s < chart->series_count; s++) {
        char text[32];
        gm_format_number(text, sizeof text, chart->series[s].y[chart->count - 1]);
        fprintf(out, "<span><i class=\"s%d\"></i>", s);
        gm_html_text(out, chart->series[s].name);
        fprintf(out, " <b>%s</b></span>", text);
    }
    fputs("</p>\n", out);
}

void gm_chart_write(FILE *out, const gm_chart *chart)
{
    fputs("<figure class=\"chart\"><figcaption>", out);
    gm_html_text(out, chart->title);
    fputs("</figcaption>\n", out);
    struct axis y_axis = {.logarithmic = chart->logarithmic, .from = chart->height - BOTTOM, .to = TOP};
    if (chart->count < 1 || !fit_y(chart, &y_axis)) {
        fputs("<p class=\"quiet\">Nothing was recorded.</p></figure>\n", out);
        return;
    }
    const double first = fmin(0.0, chart->x[0]), last = fmax(chart->x_end, chart->x[chart->count - 1]);
    const struct axis x_axis = {
        .low = first, .high = last > first ? last : first + 1.0, .from = LEFT, .to = chart->width - RIGHT};
    write_key(out, chart);
    fprintf(out, "<svg viewBox=\"0 0 %g %g\" role=\"img\" aria-label=\"", chart->width, chart->height);
    gm_html_text(out, chart->title);
    fputs("\">\n", out);
    write_y_ticks(out, chart, &y_axis);
    write_x_ticks(out, chart, &x_axis);
    for (int32_t s = chart->series_count - 1; s >= 0; s--) /* the first on top */
        write_series(out, chart, s, &x_axis, &y_axis);
    fputs("</svg></figure>\n", out);
}
