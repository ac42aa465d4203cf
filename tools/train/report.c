#include "train/report.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <gemel/version.h>

#include "support/file.h"
#include "support/parse.h"
#include "train/report_chart.h"
#include "train/report_html.h"
#include "train/report_map.h"
#include "train/report_picture.h"
#include "train/report_style.h"
#include "train/softmax.h"

static void write_fact(FILE *out, const char *name, const char *value, const char *remark)
{
    fprintf(out, "<div><dt>%s</dt><dd>%s<small>", name, value);
    gm_html_text(out, remark);
    fputs("</small></dd></div>\n", out);
}

static double training_seconds(const gm_run_history *history)
{
    double seconds = 0.0;
    for (int64_t e = 0; e < history->epoch_count; e++)
        seconds += history->epochs[e].seconds;
    return seconds;
}

static void write_training_facts(FILE *out, const gm_run_history *history)
{
    if (!history->epoch_count)
        return;
    char value[64], remark[128];
    double images = 0.0, wait = 0.0;
    const double seconds = training_seconds(history);
    for (int64_t e = 0; e < history->epoch_count; e++) {
        images += history->epochs[e].images_per_second * history->epochs[e].seconds;
        wait += history->epochs[e].data_wait;
    }
    gm_format_duration(value, sizeof value, seconds);
    snprintf(remark, sizeof remark, "%lld epoch%s, %lld steps", (long long)history->epoch_count,
             history->epoch_count == 1 ? "" : "s", (long long)history->epochs[history->epoch_count - 1].steps);
    write_fact(out, "Training", value, remark);
    gm_format_number(value, sizeof value, seconds > 0.0 ? images / seconds : 0.0);
    snprintf(remark, sizeof remark, "%.0f %% of the time for views", seconds > 0.0 ? 100.0 * wait / seconds : 0.0);
    write_fact(out, "Samples a second", value, remark);
}

static void write_accuracy_fact(FILE *out, const char *name, double model, const char *baseline, double raw)
{
    char value[64], remark[192] = "";
    snprintf(value, sizeof value, "%.2f %%", 100.0 * model);
    if (baseline)
        snprintf(remark, sizeof remark, "%s %.2f %%", baseline, 100.0 * raw);
    write_fact(out, name, value, remark);
}

static void write_header(FILE *out, const gm_report *report)
{
    const gm_dataset *data = report->dataset;
    fputs("<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\"/>\n"
          "<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\"/>\n<title>",
          out);
    gm_html_text(out, report->name);
    fprintf(out, " – gemel</title>\n<style>\n%s</style>\n</head>\n<body>\n<main>\n<header>\n<h1>", gm_report_style);
    gm_html_text(out, report->name);
    fputs("</h1>\n<p class=\"quiet\">Barlow Twins on ", out);
    gm_html_text(out, data->name);
    fprintf(out, ", %lld training samples of %lld numbers", (long long)data->train.rows, (long long)data->dim);
    fprintf(out, ". Encoder and projector: %s.", gm_arch_name((gm_arch)report->config->arch));
    if (report->context)
        fprintf(out, " Kernels: %s on %d threads.", gm_isa_name(gm_context_isa(report->context)),
                gm_context_threads(report->context));
    fputs("</p>\n", out);
    if (report->command_line) {
        fputs("<code>", out);
        gm_html_text(out, report->command_line);
        fputs("</code>\n", out);
    }
    fputs("<dl class=\"facts\">\n", out);
    const gm_evaluation *e = report->evaluation;
    const char *baseline = gm_evaluation_baseline_name(data);
    if (e && e->measured && e->options.linear)
        write_accuracy_fact(out, "Linear probe", e->model.linear, baseline, e->raw.linear);
    if (e && e->measured)
        write_accuracy_fact(out, "Nearest neighbours", e->model.knn, baseline, e->raw.knn);
    write_training_facts(out, report->history);
    fputs("</dl>\n</header>\n", out);
}

/* raw: NULL without a baseline */
static void write_accuracy(FILE *out, const char *protocol, double model, const double *baseline)
{
    if (!baseline) {
        fprintf(out,
                "<tr><td>%s</td><td class=\"bars\"><span class=\"bar\" style=\"width:%.1f%%\"></span></td>"
                "<td class=\"value\">%.2f %%</td></tr>\n",
                protocol, 100.0 * model, 100.0 * model);
        return;
    }
    const double raw = *baseline, gain = 100.0 * (model - raw);
    fprintf(out,
            "<tr><td>%s</td><td class=\"bars\"><span class=\"bar\" style=\"width:%.1f%%\"></span>"
            "<span class=\"bar raw\" style=\"width:%.1f%%\"></span></td><td class=\"value\">%.2f %%</td>"
            "<td>%.2f %%</td><td class=\"%s\">%s%.2f</td></tr>\n",
            protocol, 100.0 * model, 100.0 * raw, 100.0 * model, 100.0 * raw, gain < 0.0 ? "bad" : "good",
            gain < 0.0 ? "−" : "+", fabs(gain));
}

static void write_accuracies(FILE *out, const gm_report *report)
{
    const gm_evaluation *e = report->evaluation;
    if (!e || !e->measured)
        return;
    const gm_evaluation_options *o = &e->options;
    const char *baseline = gm_evaluation_baseline_name(report->dataset);
    const gm_accuracies *raw = baseline ? &e->raw : NULL;
    char protocol[192];
    fprintf(out,
            "<section><h2>What the features are worth</h2>\n<p class=\"quiet\">The encoder’s %lld features, frozen, on "
            "%lld test samples%s.</p>\n<div class=\"card scroll\"><table>\n"
            "<tr><th>protocol</th><th></th><th>model</th>",
            (long long)e->feature_size, (long long)report->dataset->test.rows,
            !baseline                                  ? ""
            : report->dataset->kind == GM_DATA_VECTORS ? ", beside the same protocols on the given vectors"
                                                       : ", beside the same protocols on the pixels");
    if (baseline)
        fprintf(out, "<th>%s</th><th>gain</th>", baseline);
    fputs("</tr>\n", out);
    if (o->linear) {
        snprintf(protocol, sizeof protocol, "Linear probe, top 1 <span class=\"quiet small\">%d epochs of SGD</span>",
                 o->probe.epochs);
        write_accuracy(out, protocol, e->model.linear, raw ? &raw->linear : NULL);
        if (report->dataset->classes > GM_TOP)
            write_accuracy(out, "Linear probe, top 5", e->model.linear_top5, raw ? &raw->linear_top5 : NULL);
    }
    snprintf(protocol, sizeof protocol,
             "Nearest neighbours <span class=\"quiet small\">k %d, temperature %g, cosine</span>", o->knn.k,
             (double)o->knn.temperature);
    write_accuracy(out, protocol, e->model.knn, raw ? &raw->knn : NULL);
    if (o->labels_per_class > 0) {
        const char *form = "%s, %d labels a class <span class=\"quiet small\">mean of %d draws</span>";
        if (o->linear) {
            snprintf(protocol, sizeof protocol, form, "Linear probe", o->labels_per_class, o->draws);
            write_accuracy(out, protocol, e->model.few_linear, raw ? &raw->few_linear : NULL);
        }
        snprintf(protocol, sizeof protocol, form, "Nearest neighbours", o->labels_per_class, o->draws);
        write_accuracy(out, protocol, e->model.few_knn, raw ? &raw->few_knn : NULL);
    }
    fputs("</table></div></section>\n", out);
}

/* The columns of a history as arrays, for charts. */
struct columns {
    double *memory; /* of all below */
    double *step, *loss, *invariance, *redundancy, *rate_weights, *rate_biases;
    double *epoch, *speed, *deviation, *off_diagonal, *rank;
    double *evaluated, *knn, *linear; /* of the epochs with accuracies: evaluations of them */
    int64_t evaluations;
};

static gm_status columns_create(const gm_run_history *history, struct columns *c, gm_error *error)
{
    const int64_t points = history->point_count, epochs = history->epoch_count;
    c->evaluations = 0;
    double *at = c->memory = malloc(sizeof(double) * (size_t)(6 * points + 8 * epochs + 1));
    if (!at)
        return gm_error_set(error, GM_OUT_OF_MEMORY, "no memory for the charts of %lld epochs", (long long)epochs);
    double **const by_point[] = {&c->step, &c->loss, &c->invariance, &c->redundancy, &c->rate_weights, &c->rate_biases};
    double **const by_epoch[] = {&c->epoch, &c->speed,     &c->deviation, &c->off_diagonal,
                                 &c->rank,  &c->evaluated, &c->knn,       &c->linear};
    for (int i = 0; i < 6; i++, at += points)
        *by_point[i] = at;
    for (int i = 0; i < 8; i++, at += epochs)
        *by_epoch[i] = at;
    /* Steps count as epochs passed, if one was finished. */
    const gm_history_epoch *last = epochs ? &history->epochs[epochs - 1] : NULL;
    const double scale = last && last->steps ? (double)(last->epoch + 1) / (double)last->steps : 1.0;
    for (int64_t i = 0; i < points; i++) {
        const gm_history_point *p = &history->points[i];
        c->step[i] = p->step * scale;
        c->loss[i] = p->loss;
        c->invariance[i] = p->invariance;
        c->redundancy[i] = p->redundancy;
        c->rate_weights[i] = p->lr_weights;
        c->rate_biases[i] = p->lr_biases;
    }
    for (int64_t i = 0; i < epochs; i++) {
        const gm_history_epoch *e = &history->epochs[i];
        c->epoch[i] = (double)e->epoch + 1.0;
        c->speed[i] = e->images_per_second;
        c->deviation[i] = e->smallest_deviation;
        c->off_diagonal[i] = e->mean_off_diagonal;
        c->rank[i] = e->effective_rank;
        if (!e->evaluated)
            continue;
        c->evaluated[c->evaluations] = c->epoch[i];
        c->knn[c->evaluations] = e->knn;
        c->linear[c->evaluations++] = e->linear;
    }
    return GM_OK;
}

static gm_chart small_chart(const char *title, const char *x_name, int64_t count, const double *x, double x_end)
{
    const gm_chart chart = {
        .title = title, .x_name = x_name, .width = 514, .height = 220, .count = count, .x = x, .x_end = x_end};
    return chart;
}

/* The learning rate, and what there is one of for each epoch. */
static void write_small_charts(FILE *out, const gm_run_history *history, const struct columns *c, const char *x_name)
{
    const int64_t epochs = history->epoch_count;
    const double end = (double)epochs;
    const bool one_rate = !memcmp(c->rate_weights, c->rate_biases, sizeof(double) * (size_t)history->point_count);
    gm_chart rate = small_chart("Learning rate", x_name, history->point_count, c->step, end);
    rate.series_count = one_rate ? 1 : 2;
    rate.series[0] = (gm_chart_series){one_rate ? "all parameters" : "weights", c->rate_weights};
    rate.series[1] = (gm_chart_series){"biases", c->rate_biases};
    gm_chart speed = small_chart("Samples a second", "epochs", epochs, c->epoch, end);
    speed.series_count = 1;
    speed.series[0] = (gm_chart_series){"by epoch", c->speed};
    gm_chart collapse = small_chart("Signs of collapse, logarithmic", "epochs", epochs, c->epoch, end);
    collapse.logarithmic = true;
    collapse.series_count = 2;
    collapse.series[0] = (gm_chart_series){"|off-diagonal|", c->off_diagonal};
    collapse.series[1] = (gm_chart_series){"smallest deviation", c->deviation};
    gm_chart rank = small_chart("Effective rank of the embedding", "epochs", epochs, c->epoch, end);
    rank.series_count = 1;
    rank.series[0] = (gm_chart_series){"dimensions filled", c->rank};
    gm_chart accuracy =
        small_chart("Accuracy on a part of the test samples", "epochs", c->evaluations, c->evaluated, end);
    accuracy.series_count = 2;
    accuracy.series[0] = (gm_chart_series){"nearest neighbours", c->knn};
    accuracy.series[1] = (gm_chart_series){"linear probe", c->linear};
    const gm_chart *const charts[] = {&rate, &speed, &collapse, &rank, &accuracy};
    fputs("<div class=\"row pairs\">\n", out);
    for (int i = 0; i < (c->evaluations > 0 ? 5 : 4); i++)
        gm_chart_write(out, charts[i]);
    fputs("</div>\n", out);
}

static gm_status write_charts(FILE *out, const gm_report *report, gm_error *error)
{
    const gm_run_history *history = report->history;
    struct columns c;
    const gm_status status = columns_create(history, &c, error);
    if (status != GM_OK)
        return status;
    const char *x_name = history->epoch_count ? "epochs" : "steps";
    const gm_chart loss = {.title = "Loss and its two terms, logarithmic",
                           .x_name = x_name,
                           .logarithmic = true,
                           .width = 1040,
                           .height = 340,
                           .count = history->point_count,
                           .x = c.step,
                           .x_end = (double)history->epoch_count,
                           .series_count = 3,
                           .series = {{"invariance: views agree", c.invariance},
                                      {"redundancy: features differ", c.redundancy},
                                      {"loss, their sum", c.loss}}};
    fputs("<section><h2>Training</h2>\n", out);
    gm_chart_write(out, &loss);
    write_small_charts(out, history, &c, x_name);
    free(c.memory);
    return GM_OK;
}

static void write_number_cell(FILE *out, double value)
{
    char text[32];
    gm_format_number(text, sizeof text, value);
    fprintf(out, "<td>%s</td>", text);
}

static void write_epochs(FILE *out, const gm_run_history *history)
{
    if (history->epoch_count) {
        fputs("<details><summary>Every epoch in numbers</summary>\n<div class=\"card scroll\"><table>\n<tr><th>epoch"
              "</th><th>loss</th><th>invariance</th><th>redundancy</th><th>samples/s</th><th>seconds</th><th>for views"
              "</th><th>smallest deviation</th><th>mean |off-diagonal|</th><th>effective rank</th><th>constant "
              "columns</th></tr>\n",
              out);
        for (int64_t i = 0; i < history->epoch_count; i++) {
            const gm_history_epoch *e = &history->epochs[i];
            const double values[] = {e->loss,          e->invariance, e->redundancy,         e->images_per_second,
                                     e->seconds,       e->data_wait,  e->smallest_deviation, e->mean_off_diagonal,
                                     e->effective_rank};
            fprintf(out, "<tr><td>%lld</td>", (long long)e->epoch + 1);
            for (size_t v = 0; v < sizeof values / sizeof *values; v++)
                write_number_cell(out, values[v]);
            fprintf(out, "<td>%lld</td></tr>\n", (long long)e->constant_columns);
        }
        fputs("</table></div></details>\n", out);
    }
    fputs("</section>\n", out);
}

/* The greatest magnitude in either matrix, at most 1: means over tiles flatten the diagonal. */
static float matrix_unit(const gm_run_history *history)
{
    float unit = 0.0f;
    for (int64_t i = 0; i < history->tiles * history->tiles; i++)
        unit = fmaxf(unit, fmaxf(fabsf(history->first_tiles[i]), fabsf(history->last_tiles[i])));
    return unit > 0.0f ? fminf(unit, 1.0f) : 1.0f;
}

static gm_status write_matrix(FILE *out, const gm_run_history *history, const float *tiles, const char *title,
                              gm_error *error)
{
    double diagonal = 0.0, rest = 0.0;
    char diagonal_text[32], rest_text[32];
    const int64_t n = history->tiles;
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = 0; j < n; j++) {
            if (i == j)
                diagonal += tiles[i * n + j];
            else
                rest += fabs((double)tiles[i * n + j]);
        }
    gm_format_number(diagonal_text, sizeof diagonal_text, diagonal / (double)n);
    gm_format_number(rest_text, sizeof rest_text, n > 1 ? rest / (double)(n * n - n) : 0.0);
    fprintf(
        out,
        "<figure class=\"card\"><figcaption>%s</figcaption><p class=\"key\"><span>diagonal tiles, mean <b>%s</b></span>"
        "<span>others, mean magnitude <b>%s</b></span></p>\n<img class=\"pixels\" alt=\"%s\" src=\"",
        title, diagonal_text, rest_text, title);
    gm_picture picture;
    gm_status status = gm_picture_of_matrix(tiles, n, matrix_unit(history), &picture, error);
    if (status == GM_OK)
        status = gm_html_picture(out, &picture, error);
    gm_picture_free(&picture);
    fputs("\"/></figure>\n", out);
    return status;
}

static void write_scale(FILE *out, float unit)
{
    char text[32];
    gm_format_number(text, sizeof text, (double)unit);
    fprintf(out,
            "<div class=\"scale\" style=\"background:linear-gradient(90deg,#%06X,#%06X00 50%%,#%06X00 50%%,#%06X)\">"
            "</div>\n<p class=\"ends quiet small\"><span>−%s</span><span>0</span><span>%s</span></p>\n",
            GM_COLOUR_NEGATIVE, GM_COLOUR_NEGATIVE, GM_COLOUR_POSITIVE, GM_COLOUR_POSITIVE, text, text);
}

static gm_status write_matrices(FILE *out, const gm_run_history *history, gm_error *error)
{
    if (!history->tiles)
        return GM_OK;
    fprintf(out,
            "<section><h2>Cross-correlation of the two views</h2>\n<p class=\"quiet\">Barlow Twins turns it into "
            "the identity: each feature agrees with itself across the views and with no other. Means over %lld × "
            "%lld tiles.</p>\n<div class=\"row\">\n",
            (long long)history->tiles, (long long)history->tiles);
    gm_status status = write_matrix(out, history, history->first_tiles, "First step", error);
    if (status == GM_OK)
        status = write_matrix(out, history, history->last_tiles, "Last step", error);
    fputs("</div>\n", out);
    write_scale(out, matrix_unit(history));
    fputs("</section>\n", out);
    return status;
}

static void write_sheet_label(FILE *out, const gm_report *report, int32_t q, double x, double y, double size)
{
    const gm_neighbours *n = &report->evaluation->neighbours;
    const gm_split *split = n->of_training ? &report->dataset->train : &report->dataset->test;
    fprintf(out, "<text class=\"end\" x=\"%.1f\" y=\"%.1f\" font-size=\"%.2f\">", x, y, size);
    if (split->labels && report->dataset->class_names)
        gm_html_text(out, report->dataset->class_names[split->labels[n->query[q]]]);
    else if (split->labels)
        fprintf(out, "class %d", split->labels[n->query[q]]);
    else
        fprintf(out, "%lld", (long long)n->query[q]);
    fputs("</text>\n", out);
}

/* Labels stand to the left of the picture, in the picture's pixels. */
static gm_status write_neighbours(FILE *out, const gm_report *report, gm_error *error)
{
    const gm_evaluation *e = report->evaluation;
    if (!e || report->dataset->kind == GM_DATA_VECTORS || !e->neighbours.queries || !e->neighbours.k)
        return GM_OK;
    const gm_sheet_layout layout = gm_sheet_layout_of(report->dataset, &e->neighbours);
    const double labels = 1.6 * layout.cell_width, size = 0.22 * layout.cell_height;
    const char *from = e->neighbours.of_training ? "training" : "test";
    fprintf(
        out,
        "<section><h2>Nearest neighbours</h2>\n<p class=\"quiet\">On the left %s images, beside each the %d training "
        "images whose features are most similar, nearest first.%s</p>\n<div class=\"card\"><svg class=\"sheet\" "
        "viewBox=\"0 0 %.1f %d\" role=\"img\" aria-label=\"Images and their nearest neighbours\">\n",
        from, e->neighbours.k, report->dataset->train.labels ? " A red frame marks those of another class." : "",
        labels + layout.width, layout.height);
    for (int32_t q = 0; q < e->neighbours.queries; q++)
        write_sheet_label(out, report, q, labels - 0.15 * layout.cell_width,
                          gm_sheet_y(&layout, q) + 0.5 * layout.image_height + 0.35 * size, size);
    fprintf(out, "<image x=\"%.1f\" y=\"0\" width=\"%d\" height=\"%d\" href=\"", labels, layout.width, layout.height);
    gm_picture picture;
    gm_status status = gm_picture_of_neighbours(report->dataset, &e->neighbours, &picture, error);
    if (status == GM_OK)
        status = gm_html_picture(out, &picture, error);
    gm_picture_free(&picture);
    fputs("\"/>\n</svg></div></section>\n", out);
    return status;
}

static void write_settings(FILE *out, const gm_train_config *config)
{
    char text[GM_CONFIG_PATH];
    fputs("<section><h2>Configuration</h2>\n<div class=\"card\"><dl class=\"settings\">\n", out);
    for (int32_t i = 0; i < gm_config_field_count(); i++) {
        if (!config->set[i])
            continue;
        gm_config_get(config, i, text, sizeof text);
        fprintf(out, "<div><dt>%s</dt><dd>", gm_config_field(i)->name);
        gm_html_text(out, text);
        fputs("</dd></div>\n", out);
    }
    fprintf(out, "</dl></div></section>\n<p class=\"quiet small\" style=\"margin-top:32px\">Written by gemel %s.</p>\n",
            gm_version());
}

static gm_status write_page(FILE *out, const gm_report *report, gm_error *error)
{
    write_header(out, report);
    write_accuracies(out, report);
    gm_status status = write_charts(out, report, error);
    if (status != GM_OK)
        return status;
    write_epochs(out, report->history);
    status = write_matrices(out, report->history, error);
    if (status == GM_OK)
        status = write_neighbours(out, report, error);
    if (status != GM_OK)
        return status;
    if (report->evaluation)
        gm_report_map_write(out, report->dataset, &report->evaluation->projection);
    write_settings(out, report->config);
    fputs("</main>\n</body>\n</html>\n", out);
    return GM_OK;
}

gm_status gm_report_write(const gm_report *report, const char *path, gm_error *error)
{
    char *page = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&page, &size);
    if (!out)
        return gm_error_set(error, GM_OUT_OF_MEMORY, "%s: no memory for the report", path);
    gm_status status = write_page(out, report, error);
    if (fclose(out) && status == GM_OK)
        status = gm_error_set(error, GM_OUT_OF_MEMORY, "%s: no memory for the report", path);
    if (status == GM_OK)
        status = gm_file_write(path, page, size, error);
    free(page);
    return status;
}

/* Copies one picture into another, every pixel as a square of scale x scale. */
static void enlarge(const gm_picture *from, const gm_picture *to, int32_t x0, int32_t scale)
{
    for (int32_t y = 0; y < from->height * scale; y++)
        for (int32_t x = 0; x < from->width * scale; x++)
            memcpy(to->pixels + ((int64_t)y * to->width + x0 + x) * 4,
                   from->pixels + ((int64_t)(y / scale) * from->width + x / scale) * 4, 4);
}

gm_status gm_report_write_matrices(const gm_run_history *history, const char *path, gm_error *error)
{
    enum { SIDE = 384, GAP = 32 };
    if (!history->tiles)
        return GM_OK;
    const int32_t tiles = (int32_t)history->tiles, scale = tiles < SIDE ? (SIDE + tiles - 1) / tiles : 1;
    gm_picture both = {0}, first = {0}, last = {0};
    uint8_t *bytes = NULL;
    size_t size;
    const float unit = matrix_unit(history);
    gm_status status = gm_picture_of_matrix(history->first_tiles, tiles, unit, &first, error);
    if (status == GM_OK)
        status = gm_picture_of_matrix(history->last_tiles, tiles, unit, &last, error);
    if (status == GM_OK)
        status = gm_picture_create(2 * tiles * scale + GAP, tiles * scale, 4, &both, error);
    if (status != GM_OK)
        goto fail;
    enlarge(&first, &both, 0, scale);
    enlarge(&last, &both, tiles * scale + GAP, scale);
    status = gm_png_encode(&both, &bytes, &size, error);
    if (status == GM_OK)
        status = gm_file_write(path, bytes, size, error);

fail:
    free(bytes);
    gm_picture_free(&both);
    gm_picture_free(&first);
    gm_picture_free(&last);
    return status;
}
