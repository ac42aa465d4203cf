/* Line charts as inline SVG, coloured by classes of the page's style sheet. */
#ifndef GEMEL_REPORT_CHART_H
#define GEMEL_REPORT_CHART_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

enum { GM_CHART_MOST_SERIES = 3 };

typedef struct gm_chart_series {
    const char *name;
    const double *y; /* [count]; values that are not finite, or not positive on a logarithmic scale, leave a gap */
} gm_chart_series;

typedef struct gm_chart {
    const char *title, *x_name;
    bool logarithmic;     /* the y axis */
    double width, height; /* in pixels at full size; the chart shrinks with the page */
    int64_t count;
    const double *x; /* [count], ascending */
    double x_end;    /* the axis reaches at least this far */
    int32_t series_count;
    gm_chart_series series[GM_CHART_MOST_SERIES]; /* drawn in the colours of the classes s0, s1, s2 */
} gm_chart;

/* A figure with title, key (each name with its last value) and plot; says so when there is nothing to plot. */
void gm_chart_write(FILE *out, const gm_chart *chart);

/* The number with three significant digits, and thousands separated: 0.00123, 12.3, 41 200; a dash for NaN
 * and infinity. */
void gm_format_number(char *text, size_t size, double value);

#endif
