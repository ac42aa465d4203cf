#include "train/linear_probe.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <gemel/data.h>
#include <gemel/gemm.h>

#include "support/random.h"
#include "train/softmax.h"

enum { CHUNK = 32 };

static inline int64_t smaller(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static inline int64_t chunks_of(int64_t rows)
{
    return (rows + CHUNK - 1) / CHUNK;
}

/* Everything that one probe holds; a row of x and of w is one longer than the features, for the bias. */
struct probe {
    gm_context *context;
    const gm_standardization *standardization;
    int64_t dim, width, batch;
    int32_t classes;
    float *w, *gradient, *velocity; /* [classes, width] */
    float *x;                       /* [batch, width] */
    float *probabilities;           /* [batch, classes] */
    double *losses;                 /* [batch] */
    int32_t *labels;                /* [batch] */
    int64_t *order;                 /* [training rows] */
};

struct gather {
    const struct probe *probe;
    const gm_samples *samples;
    const int64_t *rows;
    int64_t count;
};

static void gather_rows(void *arg, int64_t chunk, int worker)
{
    (void)worker;
    const struct gather *g = arg;
    const struct probe *p = g->probe;
    const float *mean = p->standardization->mean, *scale = p->standardization->scale;
    const int64_t end = smaller((chunk + 1) * CHUNK, g->count);
    for (int64_t i = chunk * CHUNK; i < end; i++) {
        const float *from = g->samples->x + g->rows[i] * p->dim;
        float *to = p->x + i * p->width;
        for (int64_t j = 0; j < p->dim; j++)
            to[j] = (from[j] - mean[j]) * scale[j];
        to[p->dim] = 1.0f;
        p->labels[i] = g->samples->labels[g->rows[i]];
    }
}

/* x and labels = the samples rows[0 ... count), standardised. */
static void gather(const struct probe *p, const gm_samples *samples, const int64_t *rows, int64_t count)
{
    struct gather g = {p, samples, rows, count};
    gm_context_parallel_for(p->context, chunks_of(count), gather_rows, &g);
}

gm_status gm_softmax_gradient(gm_context *context, int64_t rows, int64_t dim, int32_t classes, const float *x,
                              const int32_t *labels, const float *w, float *gradient, float *probabilities,
                              double *losses, double *loss)
{
    gm_status status = gm_gemm_f32(context, GM_NO_TRANSPOSE, GM_TRANSPOSE, rows, classes, dim, 1.0f, x, dim, w, dim,
                                   0.0f, probabilities, classes);
    if (status != GM_OK)
        return status;
    gm_softmax_cross_entropy(context, rows, classes, labels, rows, probabilities, losses);
    *loss = 0.0;
    for (int64_t i = 0; i < rows; i++)
        *loss += losses[i];
    return gm_gemm_f32(context, GM_TRANSPOSE, GM_NO_TRANSPOSE, classes, dim, rows, 1.0f, probabilities, classes, x, dim,
                       0.0f, gradient, dim);
}

static void initialise(struct probe *p, uint64_t seed)
{
    gm_random stream = gm_random_stream(seed, 0, 0, 0, GM_RANDOM_PROBE);
    const float bound = 1.0f / sqrtf((float)p->dim);
    for (int64_t i = 0; i < p->classes * p->width; i++)
        p->w[i] = gm_random_between(&stream, -bound, bound);
    memset(p->velocity, 0, sizeof(float) * (size_t)(p->classes * p->width));
}

static void update(struct probe *p, float rate, float momentum, float weight_decay)
{
    for (int64_t i = 0; i < p->classes * p->width; i++) {
        p->velocity[i] = momentum * p->velocity[i] + (p->gradient[i] + weight_decay * p->w[i]);
        p->w[i] -= rate * p->velocity[i];
    }
}

static gm_status train_epoch(struct probe *p, const gm_samples *train, const gm_probe_options *o, int32_t epoch,
                             double *loss)
{
    const float rate = (float)gm_cosine_rate((double)o->learning_rate, epoch, o->epochs);
    gm_shuffle(o->seed, epoch, p->order, train->rows);
    double sum = 0.0;
    for (int64_t first = 0; first < train->rows; first += p->batch) {
        const int64_t count = smaller(p->batch, train->rows - first);
        double part;
        gather(p, train, p->order + first, count);
        const gm_status status = gm_softmax_gradient(p->context, count, p->width, p->classes, p->x, p->labels, p->w,
                                                     p->gradient, p->probabilities, p->losses, &part);
        if (status != GM_OK)
            return status;
        update(p, rate, o->momentum, o->weight_decay);
        sum += part;
    }
    *loss = sum / (double)train->rows;
    return isfinite(*loss) ? GM_OK : GM_NOT_FINITE;
}

static gm_status measure(struct probe *p, const gm_samples *test, gm_probe_result *result)
{
    int64_t top1 = 0, top5 = 0;
    for (int64_t first = 0; first < test->rows; first += p->batch) {
        const int64_t count = smaller(p->batch, test->rows - first);
        for (int64_t i = 0; i < count; i++)
            p->order[i] = first + i;
        gather(p, test, p->order, count);
        const gm_status status = gm_gemm_f32(p->context, GM_NO_TRANSPOSE, GM_TRANSPOSE, count, p->classes, p->width,
                                             1.0f, p->x, p->width, p->w, p->width, 0.0f, p->probabilities, p->classes);
        if (status != GM_OK)
            return status;
        for (int64_t i = 0; i < count; i++) {
            const int32_t rank = gm_label_rank(p->probabilities + i * p->classes, p->classes, p->labels[i]);
            top1 += rank < 1;
            top5 += rank < GM_TOP;
        }
    }
    result->top1 = (double)top1 / (double)test->rows;
    result->top5 = (double)top5 / (double)test->rows;
    return GM_OK;
}

/* w ((x - mean) scale) + b = (w scale) x + (b - sum of w scale mean) */
static void fold(const struct probe *p, const gm_probe_classifier *classifier)
{
    const float *mean = p->standardization->mean, *scale = p->standardization->scale;
    for (int32_t c = 0; c < p->classes; c++) {
        const float *w = p->w + c * p->width;
        double bias = (double)w[p->dim];
        for (int64_t j = 0; j < p->dim; j++) {
            classifier->weight[c * p->dim + j] = w[j] * scale[j];
            bias -= (double)(w[j] * scale[j]) * (double)mean[j];
        }
        classifier->bias[c] = (float)bias;
    }
}

static gm_status allocate(struct probe *p, int64_t train_rows)
{
    const size_t weights = sizeof(float) * (size_t)p->classes * (size_t)p->width, batch = (size_t)p->batch;
    p->w = malloc(weights);
    p->gradient = malloc(weights);
    p->velocity = malloc(weights);
    p->x = malloc(sizeof(float) * batch * (size_t)p->width);
    p->probabilities = malloc(sizeof(float) * batch * (size_t)p->classes);
    p->losses = malloc(sizeof(double) * batch);
    p->labels = malloc(sizeof(int32_t) * batch);
    p->order = malloc(sizeof(int64_t) * (size_t)(train_rows > p->batch ? train_rows : p->batch));
    const bool all =
        p->w && p->gradient && p->velocity && p->x && p->probabilities && p->losses && p->labels && p->order;
    return all ? GM_OK : GM_OUT_OF_MEMORY;
}

static void release(struct probe *p)
{
    free(p->w);
    free(p->gradient);
    free(p->velocity);
    free(p->x);
    free(p->probabilities);
    free(p->losses);
    free(p->labels);
    free(p->order);
}

gm_status gm_linear_probe(gm_context *context, const gm_samples *train, const gm_samples *test, int32_t classes,
                          const gm_standardization *standardization, const gm_probe_options *options,
                          gm_probe_result *result, const gm_probe_classifier *classifier, gm_error *error)
{
    const gm_probe_options o = options ? *options : gm_probe_default_options();
    const int64_t dim = train->dim;
    if (train->rows < 1 || test->rows < 1 || dim < 1 || test->dim != dim || standardization->dim != dim ||
        classes < 1 || o.epochs < 1 || o.batch < 1)
        return gm_error_set(error, GM_INVALID_ARGUMENT,
                            "a linear probe needs samples of one width, a class, an epoch and a row a batch");
    struct probe p = {.context = context,
                      .standardization = standardization,
                      .dim = dim,
                      .width = dim + 1,
                      .batch = o.batch,
                      .classes = classes};
    double loss = 0.0;
    gm_status status = allocate(&p, train->rows);
    if (status != GM_OK)
        goto fail;
    initialise(&p, o.seed);
    for (int32_t epoch = 0; epoch < o.epochs; epoch++) {
        status = train_epoch(&p, train, &o, epoch, &loss);
        if (status != GM_OK)
            goto fail;
    }
    status = measure(&p, test, result);
    result->loss = loss;
    if (classifier)
        fold(&p, classifier);

fail:
    release(&p);
    if (status == GM_NOT_FINITE)
        gm_error_set(error, status, "the linear probe diverged; lower its learning rate, now %g",
                     (double)o.learning_rate);
    else if (status != GM_OK)
        gm_error_set(error, status, "linear probe on %lld samples of %lld features: %s", (long long)train->rows,
                     (long long)dim, gm_status_string(status));
    return status;
}
