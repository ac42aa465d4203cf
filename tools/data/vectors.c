#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "data/dataset.h"
#include "data/folder.h"
#include "formats/npy.h"
#include "support/file.h"
#include "support/random.h"

enum { MOST_DIM = 1 << 20 };

/* Sums over the finite values of a column, of their differences d from the first one: these are exact in double for
 * nearly all floats, so that a constant column has exactly no variance and a large offset costs nothing. */
struct column {
    double first, count, sum, squares;
};

static void add_value(struct column *column, double x)
{
    if (column->count == 0.0)
        column->first = x;
    const double d = x - column->first;
    column->count += 1.0;
    column->sum += d;
    column->squares += d * d;
}

static void finish_column(const struct column *column, double *mean, double *scale)
{
    const double count = column->count > 0.0 ? column->count : 1.0;
    const double average = column->sum / count;
    const double variance = column->squares / count - average * average;
    *mean = column->first + average;
    *scale = variance > 0.0 ? 1.0 / sqrt(variance) : 0.0;
}

static gm_status measure_columns(const float *x, int64_t rows, int64_t dim, double *mean, double *scale)
{
    struct column *columns = calloc((size_t)dim, sizeof *columns);
    if (!columns)
        return GM_OUT_OF_MEMORY;
    for (int64_t i = 0; i < rows; i++) /* by rows: one column at a time would miss the cache at every value */
        for (int64_t j = 0; j < dim; j++)
            if (isfinite(x[i * dim + j]))
                add_value(&columns[j], (double)x[i * dim + j]);
    for (int64_t j = 0; j < dim; j++)
        finish_column(&columns[j], &mean[j], &scale[j]);
    free(columns);
    return GM_OK;
}

gm_status gm_dataset_set_vectors(struct gm_dataset_memory *memory, int64_t train_rows, int64_t test_rows, int64_t dim,
                                 const gm_dataset_options *options, gm_error *error)
{
    gm_dataset *dataset = &memory->dataset;
    float *x = memory->features;
    double *mean = malloc(2 * (size_t)dim * sizeof *mean);
    if (!mean)
        return gm_file_no_memory(error, dataset->name, 2 * (size_t)dim * sizeof *mean);
    double *scale = mean + dim;
    memory->columns = mean;
    if (options->columns == dim) {
        memcpy(mean, options->column_mean, (size_t)dim * sizeof *mean);
        memcpy(scale, options->column_scale, (size_t)dim * sizeof *scale);
    } else if (measure_columns(x, train_rows, dim, mean, scale) != GM_OK) {
        return gm_file_no_memory(error, dataset->name, (size_t)dim * sizeof(struct column));
    }
    for (int64_t i = 0; i < train_rows + test_rows; i++)
        for (int64_t j = 0; j < dim; j++)
            x[i * dim + j] = (float)(((double)x[i * dim + j] - mean[j]) * scale[j]);
    dataset->kind = GM_DATA_VECTORS;
    dataset->dim = dim;
    dataset->std = 1.0f;
    dataset->column_mean = mean;
    dataset->column_scale = scale;
    dataset->train = (gm_split){.rows = train_rows, .features = x, .labels = memory->train_labels};
    dataset->test = (gm_split){.rows = test_rows, .features = x + train_rows * dim, .labels = memory->test_labels};
    return GM_OK;
}

/* labels[i]: NULL without. classes = the largest + 1. */
static gm_status read_labels(const char *path, int64_t rows, int32_t **labels, int32_t *classes, gm_error *error)
{
    int64_t count, *values;
    gm_status status = gm_npy_read_i64(path, &count, &values, error);
    if (status != GM_OK)
        return status;
    if (count != rows) {
        status = gm_error_set(error, GM_BAD_DATA, "%s: holds %lld labels for %lld rows", path, (long long)count,
                              (long long)rows);
        goto fail;
    }
    *labels = malloc((size_t)rows * sizeof **labels);
    if (!*labels) {
        status = gm_file_no_memory(error, path, (size_t)rows * sizeof **labels);
        goto fail;
    }
    for (int64_t i = 0; i < rows; i++) {
        if (values[i] < 0 || values[i] >= GM_MOST_CLASSES) {
            status = gm_error_set(error, GM_BAD_DATA, "%s: label %lld of row %lld is not in [0, %d)", path,
                                  (long long)values[i], (long long)i, GM_MOST_CLASSES);
            goto fail;
        }
        (*labels)[i] = (int32_t)values[i];
        if (values[i] >= *classes)
            *classes = (int32_t)values[i] + 1;
    }
fail:
    free(values);
    return status;
}

static void swap_rows(float *x, int64_t dim, int32_t *labels, int64_t a, int64_t b)
{
    for (int64_t j = 0; j < dim; j++) {
        const float value = x[a * dim + j];
        x[a * dim + j] = x[b * dim + j];
        x[b * dim + j] = value;
    }
    if (labels) {
        const int32_t label = labels[a];
        labels[a] = labels[b];
        labels[b] = label;
    }
}

/* Fisher and Yates's shuffle, stopped when the rows at the end are chosen. */
static void move_test_rows_last(float *x, int64_t dim, int32_t *labels, int64_t rows, int64_t test_rows, uint64_t seed)
{
    gm_random stream = gm_random_stream(seed, 0, 0, 0, GM_RANDOM_SPLIT);
    for (int64_t last = rows - 1; last >= rows - test_rows; last--)
        swap_rows(x, dim, labels, gm_random_below(&stream, (uint32_t)last + 1), last);
}

void gm_dataset_order(const gm_dataset *dataset, int64_t *order)
{
    const struct gm_dataset_memory *memory = (const struct gm_dataset_memory *)dataset;
    const int64_t rows = dataset->train.rows + dataset->test.rows;
    for (int64_t i = 0; i < rows; i++)
        order[i] = i;
    if (!memory->split_drawn)
        return;
    gm_random stream = gm_random_stream(memory->split_seed, 0, 0, 0, GM_RANDOM_SPLIT);
    for (int64_t last = rows - 1; last >= dataset->train.rows; last--) { /* as move_test_rows_last() */
        const int64_t other = gm_random_below(&stream, (uint32_t)last + 1), row = order[other];
        order[other] = order[last];
        order[last] = row;
    }
}

gm_status gm_dataset_test_rows(const char *what, int64_t rows, double share, int64_t *test_rows, gm_error *error)
{
    if (!(share >= 0.0 && share < 1.0))
        return gm_error_set(error, GM_BAD_USAGE, "the validation split must be in [0, 1), not %g", share);
    *test_rows = llround((double)rows * share);
    if (share > 0.0 && *test_rows == 0)
        *test_rows = 1;
    if (*test_rows >= rows)
        return gm_error_set(error, GM_BAD_USAGE, "%s: a validation split of %g leaves none of %lld rows to train on",
                            what, share, (long long)rows);
    return GM_OK;
}

gm_status gm_dataset_read_npy(struct gm_dataset_memory *memory, const char *path, const gm_dataset_options *options,
                              gm_error *error)
{
    int64_t rows, dim, test_rows = 0;
    gm_status status = gm_npy_read_f32(path, &rows, &dim, &memory->features, error);
    if (status != GM_OK)
        return status;
    if (rows > UINT32_MAX || dim > MOST_DIM)
        return gm_error_set(error, GM_BAD_DATA, "%s: is [%lld, %lld]; at most [%lld, %d] is supported", path,
                            (long long)rows, (long long)dim, (long long)UINT32_MAX, MOST_DIM);
    const double usual = options->labels ? options->usual_val_split : 0.0;
    status =
        gm_dataset_test_rows(path, rows, options->val_split != 0.0 ? options->val_split : usual, &test_rows, error);
    if (status != GM_OK)
        return status;
    if (options->labels) {
        status = read_labels(options->labels, rows, &memory->train_labels, &memory->dataset.classes, error);
        if (status != GM_OK)
            return status;
    }
    memory->split_seed = options->seed;
    memory->split_drawn = true;
    move_test_rows_last(memory->features, dim, memory->train_labels, rows, test_rows, options->seed);
    status = gm_dataset_set_vectors(memory, rows - test_rows, test_rows, dim, options, error);
    if (status == GM_OK && memory->train_labels)
        memory->dataset.test.labels = memory->train_labels + (rows - test_rows);
    return status;
}
