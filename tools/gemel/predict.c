#include "predict.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "progress_bar.h"
#include "support/file.h"
#include "support/parse.h"

enum { TOP5 = 5 };

/* --- true labels ----------------------------------------------------------------------------------------------- */

/* The head's class of each of the data set's. */
typedef struct truth {
    int64_t *classes; /* NULL: there is nothing to compare with */
    char unknown[64]; /* a class of the data set's that the head does not have, so that there is no accuracy; or "" */
    bool by_order;    /* names differ, but there are as many */
} truth;

static int64_t find_class(const gm_head *head, const char *name)
{
    int64_t c = 0;
    while (c < head->classes && strcmp(head->class_names[c], name) != 0)
        c++;
    return c;
}

/* By names where both have some; else, and where no name is known but there are as many, by number. */
static gm_status find_truth(const gm_dataset *dataset, const gm_head *head, truth *t, gm_error *error)
{
    const int32_t classes = dataset->classes;
    *t = (truth){NULL, "", false};
    if (classes < 1 || (!dataset->train.labels && !dataset->test.labels))
        return GM_OK;
    t->classes = malloc((size_t)classes * sizeof *t->classes);
    if (!t->classes)
        return gm_error_set(error, GM_OUT_OF_MEMORY, "no memory for %d classes", classes);
    const bool named = dataset->class_names && head->class_names;
    int32_t known = 0, unknown = 0;
    for (int32_t c = 0; c < classes; c++) {
        t->classes[c] = named ? find_class(head, dataset->class_names[c]) : c;
        known += t->classes[c] < head->classes;
        if (t->classes[c] >= head->classes)
            unknown = c;
    }
    t->by_order = named && known == 0 && classes == head->classes;
    for (int32_t c = 0; c < classes && t->by_order; c++)
        t->classes[c] = c;
    if (known == classes || t->by_order)
        return GM_OK;
    if (dataset->class_names)
        gm_format_text(t->unknown, sizeof t->unknown, dataset->class_names[unknown],
                       strlen(dataset->class_names[unknown]));
    else
        snprintf(t->unknown, sizeof t->unknown, "%d", unknown);
    return GM_OK;
}

/* --- samples in, text out -------------------------------------------------------------------------------------- */

typedef struct prediction {
    const gm_evaluate_inputs *inputs;
    const gm_head *head;
    int64_t batch, dim;
    float *samples, *features, *probabilities;
    int64_t *rows, *top; /* [batch]; [ranks] */
    int64_t ranks;       /* the top classes that are looked for */
    truth truth;
    gm_prediction_text text;
    gm_progress_bar bar;
    FILE *out;
    const char *output;
} prediction;

static void prediction_free(prediction *p)
{
    free(p->samples);
    free(p->features);
    free(p->probabilities);
    free(p->rows);
    free(p->top);
    free(p->truth.classes);
}

static gm_status prediction_allocate(prediction *p, gm_error *error)
{
    const size_t rows = (size_t)p->batch;
    p->samples = malloc(rows * (size_t)p->inputs->dataset->dim * sizeof *p->samples);
    p->features = malloc(rows * (size_t)p->dim * sizeof *p->features);
    p->probabilities = malloc(rows * (size_t)p->head->classes * sizeof *p->probabilities);
    p->rows = malloc(rows * sizeof *p->rows);
    p->top = malloc((size_t)p->ranks * sizeof *p->top);
    if (p->samples && p->features && p->probabilities && p->rows && p->top)
        return GM_OK;
    return gm_error_set(error, GM_OUT_OF_MEMORY, "no memory for %lld samples of %s; lower --batch-size",
                        (long long)p->batch, p->inputs->dataset->name);
}

static gm_status compute(prediction *p, const gm_split *split, int64_t first, int64_t count, gm_error *error)
{
    const gm_dataset *dataset = p->inputs->dataset;
    for (int64_t i = 0; i < count; i++)
        p->rows[i] = first + i;
    gm_status status =
        gm_dataset_plain_f32(dataset, split, p->inputs->context, p->rows, count, p->samples, dataset->dim, error);
    if (status != GM_OK)
        return status;
    status = gm_model_features_f32(p->inputs->model, count, p->samples, dataset->dim, p->features, p->dim);
    if (status == GM_OK)
        status = gm_head_probabilities(p->inputs->context, p->head, count, p->features, p->probabilities);
    if (status == GM_NOT_FINITE)
        return gm_error_set(error, GM_BAD_DATA,
                            "%s: NaN or infinity among samples %lld to %lld, or in what the weights make of them",
                            dataset->name, (long long)first, (long long)(first + count - 1));
    return status == GM_OK ? GM_OK : gm_error_set(error, status, "%s: %s", dataset->name, gm_status_string(status));
}

struct hits {
    int64_t top1, top5;
};

/* base: rows of the data set before the split's. */
static void write_batch(prediction *p, const gm_split *split, int64_t base, int64_t first, int64_t count,
                        struct hits *hits)
{
    for (int64_t i = 0; i < count; i++) {
        const float *probabilities = p->probabilities + i * p->head->classes;
        const int64_t row = first + i;
        const gm_predicted_sample sample = {split->paths ? split->paths[row] : NULL, base + row};
        gm_head_top(probabilities, p->head->classes, p->ranks, p->top);
        gm_prediction_add(&p->text, &sample, p->top, probabilities, p->out);
        if (!split->labels || !p->truth.classes)
            continue;
        const int64_t right = p->truth.classes[split->labels[row]];
        hits->top1 += p->top[0] == right;
        for (int64_t k = 0; k < p->ranks && k < TOP5; k++)
            hits->top5 += p->top[k] == right;
    }
}

/* A write that fails shows at the end of each batch, and not hours later. */
static gm_status predict_split(prediction *p, const gm_split *split, int64_t base, struct hits *hits, gm_error *error)
{
    gm_status status = GM_OK;
    for (int64_t first = 0; first < split->rows && status == GM_OK; first += p->batch) {
        const int64_t count = split->rows - first < p->batch ? split->rows - first : p->batch;
        status = compute(p, split, first, count, error);
        if (status != GM_OK)
            break;
        write_batch(p, split, base, first, count, hits);
        if (fflush(p->out))
            status = gm_file_error(error, p->output, "write", errno);
        gm_progress_bar_set(&p->bar, base + first + count);
    }
    return status;
}

static void say_accuracy(const prediction *p, const char *part, const gm_split *split, const struct hits *hits)
{
    if (!split->labels)
        return;
    const double rows = (double)split->rows;
    fprintf(stderr, "accuracy on %lld %ssamples of %s: top-1 %.4f", (long long)split->rows, part,
            p->inputs->dataset->name, (double)hits->top1 / rows);
    if (p->head->classes > TOP5)
        fprintf(stderr, ", top-5 %.4f", (double)hits->top5 / rows);
    fprintf(stderr, "%s\n", p->truth.by_order ? " (classes in their order: their names differ)" : "");
}

static void say_accuracies(const prediction *p, const struct hits *train, const struct hits *test)
{
    const gm_dataset *dataset = p->inputs->dataset;
    if (!p->truth.classes)
        return;
    if (*p->truth.unknown) {
        fprintf(stderr, "no accuracy: class '%s' of %s is none of the %lld of the weights\n", p->truth.unknown,
                dataset->name, (long long)p->head->classes);
        return;
    }
    say_accuracy(p, dataset->test.rows > 0 ? "training " : "", &dataset->train, train);
    say_accuracy(p, "test ", &dataset->test, test);
}

gm_status gm_predict(const gm_evaluate_inputs *inputs, const gm_head *head, const gm_predict_options *options,
                     FILE *out, gm_error *error)
{
    const gm_dataset *dataset = inputs->dataset;
    const int64_t rows = dataset->train.rows + dataset->test.rows, ranks = options->top > TOP5 ? options->top : TOP5;
    prediction p = {.inputs = inputs,
                    .head = head,
                    .batch = options->batch < rows ? options->batch : rows,
                    .dim = gm_model_feature_size(inputs->model),
                    .ranks = ranks < head->classes ? ranks : head->classes,
                    .text = {.format = options->format, .head = head, .top = options->top},
                    .out = out,
                    .output = options->output};
    p.text.paths = dataset->train.paths != NULL;
    p.bar = gm_progress_bar_begin(options->progress, rows);
    gm_status status = find_truth(dataset, head, &p.truth, error);
    if (status == GM_OK)
        status = prediction_allocate(&p, error);
    if (status != GM_OK)
        goto fail;
    gm_prediction_begin(&p.text, out);
    struct hits train = {0, 0}, test = {0, 0};
    status = predict_split(&p, &dataset->train, 0, &train, error);
    if (status == GM_OK)
        status = predict_split(&p, &dataset->test, dataset->train.rows, &test, error);
    gm_progress_bar_end(&p.bar);
    if (status != GM_OK)
        goto fail;
    gm_prediction_end(&p.text, out);
    say_accuracies(&p, &train, &test);
fail:
    prediction_free(&p);
    return status;
}
