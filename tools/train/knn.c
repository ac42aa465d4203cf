#include "train/knn.h"

#include <math.h>
#include <stdlib.h>

#include <gemel/gemm.h>

/* The product of a block of queries with a block of the bank is scanned while it is in cache: 8 MiB, of which each of
 * the two passes over the bank's block reuses 1024 rows. */
enum { QUERY_BLOCK = 1024, BANK_BLOCK = 2048, GROUP = 64, ROWS_PER_CHUNK = 16 };

static inline int64_t smaller(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

struct norms {
    int64_t rows, dim;
    const float *x;
    float *inverse;
};

enum { NORM_CHUNK = 256 };

static void invert_norms(void *arg, int64_t chunk, int worker)
{
    (void)worker;
    const struct norms *n = arg;
    const int64_t end = smaller((chunk + 1) * NORM_CHUNK, n->rows);
    for (int64_t i = chunk * NORM_CHUNK; i < end; i++) {
        const float *row = n->x + i * n->dim;
        double sum = 0.0;
        for (int64_t j = 0; j < n->dim; j++)
            sum += (double)row[j] * row[j];
        n->inverse[i] = (float)(1.0 / fmax(sqrt(sum), 1e-12));
        if (!isfinite(sum))
            n->inverse[i] = NAN;
    }
}

/* inverse[i] = 1 / |row i|. With finite norms every similarity is finite too, by Cauchy and Schwarz. */
static bool inverse_norms(gm_context *context, const gm_samples *samples, float *inverse)
{
    struct norms norms = {samples->rows, samples->dim, samples->x, inverse};
    gm_context_parallel_for(context, (samples->rows + NORM_CHUNK - 1) / NORM_CHUNK, invert_norms, &norms);
    for (int64_t i = 0; i < samples->rows; i++)
        if (isnan(inverse[i]))
            return false;
    return true;
}

/* A block of scores <q, b> for the queries and bank rows from q0 and b0 on, and the best found so far. */
struct scan {
    int64_t q0, b0, queries, width;
    int32_t k;
    const float *scores;  /* [queries, BANK_BLOCK] */
    const float *inverse; /* of the bank's norms, from b0 on */
    float *best;          /* [all queries, k], descending; <q, b> / |b| until the end */
    int32_t *index;
};

static void insert(int32_t k, float *best, int32_t *index, float value, int32_t row)
{
    int32_t at = k - 1;
    for (; at > 0 && best[at - 1] < value; at--) {
        best[at] = best[at - 1];
        index[at] = index[at - 1];
    }
    best[at] = value;
    index[at] = row;
}

static inline void consider(const struct scan *s, const float *row, int64_t j, float *best, int32_t *index)
{
    const float value = row[j] * s->inverse[j];
    if (value > best[s->k - 1])
        insert(s->k, best, index, value, (int32_t)(s->b0 + j));
}

static void scan_rows(void *arg, int64_t chunk, int worker)
{
    (void)worker;
    const struct scan *s = arg;
    const int64_t end = smaller((chunk + 1) * ROWS_PER_CHUNK, s->queries);
    for (int64_t q = chunk * ROWS_PER_CHUNK; q < end; q++) {
        const float *row = s->scores + q * BANK_BLOCK;
        float *best = s->best + (s->q0 + q) * s->k;
        int32_t *index = s->index + (s->q0 + q) * s->k;
        int64_t j = 0;
        for (; j + GROUP <= s->width; j += GROUP) {
            const float least = best[s->k - 1];
            int any = 0; /* almost always stays 0, and takes a few vector instructions to find out */
            for (int64_t i = j; i < j + GROUP; i++)
                any |= row[i] * s->inverse[i] > least;
            for (int64_t i = j; any && i < j + GROUP; i++)
                consider(s, row, i, best, index);
        }
        for (; j < s->width; j++)
            consider(s, row, j, best, index);
    }
}

/* Bank rows are met in ascending order and enter only when strictly better, so that of equals the first stays ahead. */
static gm_status scan_all(gm_context *context, const gm_samples *bank, const gm_samples *queries, int32_t k,
                          const float *bank_inverse, float *scores, float *best, int32_t *index)
{
    for (int64_t q0 = 0; q0 < queries->rows; q0 += QUERY_BLOCK) {
        const int64_t count = smaller(QUERY_BLOCK, queries->rows - q0);
        for (int64_t b0 = 0; b0 < bank->rows; b0 += BANK_BLOCK) {
            const int64_t width = smaller(BANK_BLOCK, bank->rows - b0);
            const gm_status status = gm_gemm_f32(context, GM_NO_TRANSPOSE, GM_TRANSPOSE, count, width, bank->dim, 1.0f,
                                                 queries->x + q0 * bank->dim, bank->dim, bank->x + b0 * bank->dim,
                                                 bank->dim, 0.0f, scores, BANK_BLOCK);
            if (status != GM_OK)
                return status;
            struct scan scan = {q0, b0, count, width, k, scores, bank_inverse + b0, best, index};
            gm_context_parallel_for(context, (count + ROWS_PER_CHUNK - 1) / ROWS_PER_CHUNK, scan_rows, &scan);
        }
    }
    return GM_OK;
}

gm_status gm_nearest(gm_context *context, const gm_samples *bank, const gm_samples *queries, int32_t k,
                     float *similarity, int32_t *index, gm_error *error)
{
    if (k < 1 || k > bank->rows || bank->rows > INT32_MAX || bank->dim < 1 || queries->dim != bank->dim)
        return gm_error_set(error, GM_INVALID_ARGUMENT,
                            "no %d nearest of %lld samples of %lld features for queries of %lld features", k,
                            (long long)bank->rows, (long long)bank->dim, (long long)queries->dim);
    gm_status status = GM_OUT_OF_MEMORY;
    float *scores = malloc(sizeof(float) * QUERY_BLOCK * BANK_BLOCK);
    float *bank_inverse = malloc(sizeof(float) * (size_t)bank->rows);
    float *query_inverse = malloc(sizeof(float) * (size_t)queries->rows);
    if (!scores || !bank_inverse || !query_inverse)
        goto fail;
    status = GM_NOT_FINITE;
    if (!inverse_norms(context, bank, bank_inverse) || !inverse_norms(context, queries, query_inverse))
        goto fail;
    for (int64_t i = 0; i < queries->rows * k; i++) {
        similarity[i] = -INFINITY;
        index[i] = 0;
    }
    status = scan_all(context, bank, queries, k, bank_inverse, scores, similarity, index);
    if (status != GM_OK)
        goto fail;
    for (int64_t q = 0; q < queries->rows; q++)
        for (int32_t i = 0; i < k; i++)
            similarity[q * k + i] *= query_inverse[q];

fail:
    free(scores);
    free(bank_inverse);
    free(query_inverse);
    if (status != GM_OK)
        gm_error_set(error, status, "nearest neighbours among %lld samples of %lld features: %s", (long long)bank->rows,
                     (long long)bank->dim, gm_status_string(status));
    return status;
}

int32_t gm_knn_vote(int32_t k, const float *similarity, const int32_t *index, const int32_t *labels, int32_t classes,
                    float temperature, double *votes)
{
    for (int32_t c = 0; c < classes; c++)
        votes[c] = 0.0;
    /* Relative to the nearest, which changes no winner and cannot overflow. */
    for (int32_t i = 0; i < k; i++)
        votes[labels[index[i]]] += exp(((double)similarity[i] - similarity[0]) / temperature);
    int32_t winner = 0;
    for (int32_t c = 1; c < classes; c++)
        if (votes[c] > votes[winner])
            winner = c;
    return winner;
}

gm_status gm_knn_accuracy(gm_context *context, const gm_samples *bank, const gm_samples *queries, int32_t classes,
                          const gm_knn_options *options, double *accuracy, gm_error *error)
{
    const gm_knn_options o = options ? *options : gm_knn_default_options();
    if (o.k < 1 || !(o.temperature > 0.0f) || classes < 1 || queries->rows < 1 || bank->rows < 1)
        return gm_error_set(error, GM_INVALID_ARGUMENT,
                            "kNN needs samples, classes, k >= 1 and a temperature above 0, not k %d at temperature %g",
                            o.k, (double)o.temperature);
    const int32_t k = (int32_t)smaller(o.k, bank->rows);
    gm_status status = GM_OUT_OF_MEMORY;
    float *similarity = malloc(sizeof(float) * (size_t)queries->rows * (size_t)k);
    int32_t *index = malloc(sizeof(int32_t) * (size_t)queries->rows * (size_t)k);
    double *votes = malloc(sizeof(double) * (size_t)classes);
    if (!similarity || !index || !votes) {
        gm_error_set(error, status, "no memory for the neighbours of %lld samples", (long long)queries->rows);
        goto fail;
    }
    status = gm_nearest(context, bank, queries, k, similarity, index, error);
    if (status != GM_OK)
        goto fail;
    int64_t right = 0;
    for (int64_t q = 0; q < queries->rows; q++)
        right += gm_knn_vote(k, similarity + q * k, index + q * k, bank->labels, classes, o.temperature, votes) ==
                 queries->labels[q];
    *accuracy = (double)right / (double)queries->rows;

fail:
    free(similarity);
    free(index);
    free(votes);
    return status;
}
