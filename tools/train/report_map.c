#include "train/report_map.h"

#include <math.h>

#include "train/report_html.h"

enum { WIDTH = 820, HEIGHT = 560, MARGIN = 14, LEGEND_CLASSES = 20 };

static const gm_split *split_of(const gm_dataset *dataset, const gm_projection *projection)
{
    return projection->of_training ? &dataset->train : &dataset->test;
}

/* One hue a class, at equal distances, the lightness alternating so that neighbours differ. */
static void write_colour(FILE *out, int32_t label, int32_t classes)
{
    fprintf(out, "hsl(%d,70%%,%d%%)", classes > 0 ? label * 360 / classes : 20, label % 2 ? 40 : 56);
}

static void write_name(FILE *out, const gm_dataset *dataset, int32_t label)
{
    if (dataset->class_names)
        gm_html_text(out, dataset->class_names[label]);
    else
        fprintf(out, "class %d", label);
}

/* From the samples' coordinates to the picture's. */
typedef struct frame {
    double middle[2], scale;
} frame;

static frame frame_of(const gm_projection *p)
{
    double low[2] = {INFINITY, INFINITY}, high[2] = {-INFINITY, -INFINITY};
    for (int32_t i = 0; i < p->points; i++)
        for (int k = 0; k < 2; k++) {
            low[k] = fmin(low[k], (double)p->at[i][k]);
            high[k] = fmax(high[k], (double)p->at[i][k]);
        }
    const double across = fmax((high[0] - low[0]) / (WIDTH - 2 * MARGIN), (high[1] - low[1]) / (HEIGHT - 2 * MARGIN));
    const frame f = {{(low[0] + high[0]) / 2, (low[1] + high[1]) / 2}, across > 0 ? 1 / across : 0};
    return f;
}

/* The dots of a class, as lines of no length with round ends. */
static void write_class(FILE *out, const gm_dataset *dataset, const gm_projection *p, const frame *f, int32_t label)
{
    const int32_t *labels = split_of(dataset, p)->labels;
    fputs("<path style=\"stroke:", out);
    write_colour(out, label, labels ? dataset->classes : 0);
    fputs("\" d=\"", out);
    for (int32_t i = 0; i < p->points; i++)
        if (!labels || labels[p->row[i]] == label)
            fprintf(out, "M%.0f %.0fh0", WIDTH / 2 + ((double)p->at[i][0] - f->middle[0]) * f->scale,
                    HEIGHT / 2 - ((double)p->at[i][1] - f->middle[1]) * f->scale);
    fputs("\"/>\n", out);
}

static void write_legend(FILE *out, const gm_dataset *dataset)
{
    fputs("<p class=\"key\">", out);
    for (int32_t c = 0; c < dataset->classes; c++) {
        fputs("<span><i style=\"background:", out);
        write_colour(out, c, dataset->classes);
        fputs("\"></i>", out);
        write_name(out, dataset, c);
        fputs("</span>\n", out);
    }
    fputs("</p>\n", out);
}

void gm_report_map_write(FILE *out, const gm_dataset *dataset, const gm_projection *projection)
{
    if (!projection->points)
        return;
    const bool labelled = split_of(dataset, projection)->labels;
    const frame f = frame_of(projection);
    fprintf(out,
            "<section><h2>The features in the plane</h2>\n<p class=\"quiet\">%d %s samples along the two directions in "
            "which their features differ most, which hold %.0f %% and %.0f %% of the variance.</p>\n"
            "<div class=\"card\">\n",
            projection->points, projection->of_training ? "training" : "test", 100 * projection->shares[0],
            100 * projection->shares[1]);
    if (labelled && dataset->classes <= LEGEND_CLASSES)
        write_legend(out, dataset);
    fprintf(out, "<svg class=\"map\" viewBox=\"0 0 %d %d\" role=\"img\" aria-label=\"Features in the plane\">\n", WIDTH,
            HEIGHT);
    for (int32_t c = 0; c < (labelled ? dataset->classes : 1); c++)
        write_class(out, dataset, projection, &f, c);
    fputs("</svg></div></section>\n", out);
}
