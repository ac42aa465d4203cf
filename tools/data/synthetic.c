#include <stdlib.h>

#include "data/dataset.h"
#include "support/file.h"
#include "support/random.h"

/* Centres are about 0.45 sqrt(2 dim) = 5 standard deviations apart, near enough for neighbours to be mistaken. */
enum { CLASSES = 10, DIM = 64, TRAIN_ROWS = 4096, TEST_ROWS = 1024 };

static const float centre_deviation = 0.45f;

/* What an epoch is to other streams tells centres and rows apart here. */
enum { STREAM_CENTRES, STREAM_ROWS };

static void draw(uint64_t seed, int64_t part, int64_t number, float deviation, float *values)
{
    gm_random stream = gm_random_stream(seed, part, number, 0, GM_RANDOM_SYNTHETIC);
    for (int64_t j = 0; j < DIM; j++)
        values[j] = deviation * gm_random_normal(&stream);
}

gm_status gm_dataset_make_synthetic(struct gm_dataset_memory *memory, const gm_dataset_options *options,
                                    gm_error *error)
{
    const uint64_t seed = options->seed;
    const int64_t rows = TRAIN_ROWS + TEST_ROWS;
    memory->features = malloc((size_t)rows * DIM * sizeof(float));
    memory->train_labels = malloc((size_t)rows * sizeof(int32_t));
    if (!memory->features || !memory->train_labels)
        return gm_file_no_memory(error, "synthetic", (size_t)rows * (DIM + 1) * sizeof(float));
    float centres[CLASSES][DIM];
    for (int64_t c = 0; c < CLASSES; c++)
        draw(seed, STREAM_CENTRES, c, centre_deviation, centres[c]);
    for (int64_t i = 0; i < rows; i++) {
        const int32_t label = (int32_t)(i % CLASSES);
        float *row = memory->features + i * DIM;
        draw(seed, STREAM_ROWS, i, 1.0f, row);
        for (int64_t j = 0; j < DIM; j++)
            row[j] += centres[label][j];
        memory->train_labels[i] = label;
    }
    const gm_status status = gm_dataset_set_vectors(memory, TRAIN_ROWS, TEST_ROWS, DIM, options, error);
    memory->dataset.test.labels = memory->train_labels + TRAIN_ROWS;
    memory->dataset.classes = CLASSES;
    return status;
}
