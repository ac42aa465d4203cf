#include "train/softmax.h"

#include <math.h>

enum { CHUNK = 32 };

struct softmax {
    int64_t rows, divisor;
    int32_t classes;
    const int32_t *labels;
    float *logits;
    double *losses;
};

static void softmax_rows(void *arg, int64_t chunk, int worker)
{
    (void)worker;
    const struct softmax *s = arg;
    const int64_t end = (chunk + 1) * CHUNK < s->rows ? (chunk + 1) * CHUNK : s->rows;
    for (int64_t i = chunk * CHUNK; i < end; i++) {
        float *row = s->logits + i * s->classes;
        const int32_t label = s->labels[i];
        float most = row[0];
        for (int32_t c = 1; c < s->classes; c++)
            most = fmaxf(most, row[c]);
        const float own = row[label] - most;
        float sum = 0.0f;
        for (int32_t c = 0; c < s->classes; c++) {
            row[c] = expf(row[c] - most);
            sum += row[c];
        }
        s->losses[i] = log((double)sum) - own;
        const float factor = 1.0f / (sum * (float)s->divisor);
        for (int32_t c = 0; c < s->classes; c++)
            row[c] *= factor;
        row[label] -= 1.0f / (float)s->divisor;
    }
}

void gm_softmax_cross_entropy(gm_context *context, int64_t rows, int32_t classes, const int32_t *labels,
                              int64_t divisor, float *logits, double *losses)
{
    struct softmax s = {rows, divisor, classes, labels, logits, losses};
    gm_context_parallel_for(context, (rows + CHUNK - 1) / CHUNK, softmax_rows, &s);
}

int32_t gm_label_rank(const float *logits, int32_t classes, int32_t label)
{
    const float own = logits[label];
    int32_t rank = 0;
    for (int32_t c = 0; c < classes; c++)
        rank += c != label && !(logits[c] < own || (logits[c] == own && c > label));
    return rank;
}

double gm_cosine_rate(double rate, int32_t epoch, int32_t epochs)
{
    return rate * 0.5 * (1.0 + cos(3.14159265358979323846 * epoch / epochs));
}
