/* The linear probe: its gradient against finite differences in double, what it learns, and what it stands on. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "support/support.h"
#include "train/linear_probe.h"

/* Mean cross-entropy in double. */
static double mean_loss(int64_t rows, int64_t dim, int32_t classes, const float *x, const int32_t *labels,
                        const double *w)
{
    double loss = 0.0;
    for (int64_t i = 0; i < rows; i++) {
        double sum = 0.0, own = 0.0;
        for (int32_t c = 0; c < classes; c++) {
            double logit = 0.0;
            for (int64_t j = 0; j < dim; j++)
                logit += x[i * dim + j] * w[c * dim + j];
            sum += exp(logit);
            if (c == labels[i])
                own = logit;
        }
        loss += log(sum) - own;
    }
    return loss / (double)rows;
}

START_TEST(gradient_is_that_of_finite_differences)
{
    enum { ROWS = 70, DIM = 9, CLASSES = 4 };
    test_random random = test_random_create(5);
    float x[ROWS * DIM], w[CLASSES * DIM], gradient[CLASSES * DIM], probabilities[ROWS * CLASSES];
    double losses[ROWS], exact[CLASSES * DIM], loss;
    int32_t labels[ROWS];
    test_fill_normal(&random, x, ROWS * DIM, 0.0, 1.0);
    test_fill_normal(&random, w, CLASSES * DIM, 0.0, 0.7);
    for (int i = 0; i < ROWS; i++)
        labels[i] = (int32_t)(test_random_bits(&random) % CLASSES);
    for (int i = 0; i < CLASSES * DIM; i++)
        exact[i] = w[i];
    gm_isa isas[GM_ISA_COUNT];
    for (int n = test_isas(isas), i = 0; i < n; i++) {
        gm_context *context = test_context(isas[i], 2);
        test_fill_nan(gradient, CLASSES * DIM);
        ck_assert_int_eq(
            gm_softmax_gradient(context, ROWS, DIM, CLASSES, x, labels, w, gradient, probabilities, losses, &loss),
            GM_OK);
        ck_assert_double_eq_tol(loss / ROWS, mean_loss(ROWS, DIM, CLASSES, x, labels, exact), 1e-6);
        for (int p = 0; p < CLASSES * DIM; p++) {
            const double h = 1e-5, kept = exact[p];
            exact[p] = kept + h;
            const double above = mean_loss(ROWS, DIM, CLASSES, x, labels, exact);
            exact[p] = kept - h;
            const double below = mean_loss(ROWS, DIM, CLASSES, x, labels, exact);
            exact[p] = kept;
            ck_assert_double_eq_tol(gradient[p], (above - below) / (2.0 * h), 1e-6);
        }
        gm_context_destroy(context);
    }
}
END_TEST

enum { BLOB_DIM = 12, BLOB_CLASSES = 3 };

/* Classes around centres at unequal scales and offsets; every seventh label is wrong if `noise`. */
static gm_samples blobs(uint64_t seed, int64_t rows, bool noise)
{
    test_random random = test_random_create(seed);
    float *x = malloc(sizeof *x * (size_t)(rows * BLOB_DIM));
    int32_t *labels = malloc(sizeof *labels * (size_t)rows);
    test_fill_normal(&random, x, rows * BLOB_DIM, 0.0, 0.3);
    for (int64_t i = 0; i < rows; i++) {
        labels[i] = (int32_t)(i % BLOB_CLASSES);
        x[i * BLOB_DIM + labels[i]] += 2.0f;
        for (int j = 0; j < BLOB_DIM; j++)
            x[i * BLOB_DIM + j] = x[i * BLOB_DIM + j] * (float)(1 << j) + 100.0f;
        x[i * BLOB_DIM + BLOB_DIM - 1] = 5.0f; /* says nothing */
        if (noise && i % 7 == 0)
            labels[i] = (labels[i] + 1) % BLOB_CLASSES;
    }
    return (gm_samples){rows, BLOB_DIM, x, labels};
}

static gm_probe_result run_probe(int threads, const gm_samples *train, const gm_samples *test,
                                 const gm_probe_options *options)
{
    gm_context *context = test_context(GM_ISA_AUTO, threads);
    gm_standardization standardization;
    gm_probe_result result;
    gm_error error;
    ck_assert_int_eq(gm_standardization_create(context, train, &standardization, &error), GM_OK);
    ck_assert_int_eq(
        gm_linear_probe(context, train, test, BLOB_CLASSES, &standardization, options, &result, NULL, &error), GM_OK);
    gm_standardization_free(&standardization);
    gm_context_destroy(context);
    return result;
}

START_TEST(separable_classes_are_learned)
{
    gm_samples train = blobs(1, 1000, false), test = blobs(2, 301, false);
    const gm_probe_result result = run_probe(1, &train, &test, NULL);
    ck_assert_double_eq(result.top1, 1.0);
    ck_assert_double_eq(result.top5, 1.0);
    ck_assert(result.loss > 0.0 && result.loss < 0.02);
    gm_samples_free(&train);
    gm_samples_free(&test);
}
END_TEST

START_TEST(wrong_labels_cost_their_share)
{
    gm_samples train = blobs(3, 1400, true), test = blobs(4, 700, true);
    const gm_probe_result result = run_probe(1, &train, &test, NULL);
    ck_assert_double_eq_tol(result.top1, 6.0 / 7.0, 0.02); /* one test label of seven is wrong */
    gm_samples_free(&train);
    gm_samples_free(&test);
}
END_TEST

START_TEST(threads_do_not_change_bits_but_seeds_do)
{
    gm_samples train = blobs(5, 700, true), test = blobs(6, 100, true);
    gm_probe_options options = gm_probe_default_options();
    options.epochs = 3;
    options.batch = 100;
    const double loss = run_probe(1, &train, &test, &options).loss;
    static const int threads[] = {2, 3, 7};
    for (int i = 0; i < 3; i++)
        ck_assert_double_eq(run_probe(threads[i], &train, &test, &options).loss, loss);
    options.seed = 1;
    ck_assert_double_ne(run_probe(1, &train, &test, &options).loss, loss);
    gm_samples_free(&train);
    gm_samples_free(&test);
}
END_TEST

START_TEST(standardization_is_unbiased)
{
    const float x[] = {1.0f, 7.0f, 2.0f, 7.0f, 6.0f, 7.0f};
    const gm_samples samples = {3, 2, x, NULL}, one = {1, 2, x, NULL};
    gm_standardization s;
    gm_error error;
    gm_context *context = test_context(GM_ISA_AUTO, 1);
    ck_assert_int_eq(gm_standardization_create(context, &samples, &s, &error), GM_OK);
    ck_assert_float_eq_tol(s.mean[0], 3.0f, 1e-6f);
    ck_assert_float_eq_tol(s.scale[0], 1.0f / (sqrtf(7.0f) + 1e-6f), 1e-6f);
    ck_assert_float_eq(s.scale[1], 0.0f);
    gm_standardization_free(&s);
    ck_assert_int_eq(gm_standardization_create(context, &one, &s, &error), GM_INVALID_ARGUMENT);
    ck_assert_ptr_null(s.mean);
    gm_context_destroy(context);
}
END_TEST

START_TEST(few_labels_are_drawn_evenly)
{
    gm_samples all = blobs(7, 400, false), few, again;
    ((int32_t *)all.labels)[1] = 3; /* a class of one */
    int32_t counts[4] = {0};
    gm_error error;
    ck_assert_int_eq(gm_samples_few(&all, 4, 10, 42, &few, &error), GM_OK);
    ck_assert_int_eq(gm_samples_few(&all, 4, 10, 42, &again, &error), GM_OK);
    ck_assert_int_eq(few.rows, 31);
    ck_assert(test_same_bits(few.x, again.x, sizeof(float) * 31 * BLOB_DIM));
    gm_samples_free(&again);
    ck_assert_int_eq(gm_samples_few(&all, 4, 10, 43, &again, &error), GM_OK);
    ck_assert(!test_same_bits(few.x, again.x, sizeof(float) * 31 * BLOB_DIM));
    for (int64_t i = 0; i < few.rows; i++) {
        counts[few.labels[i]]++;
        int64_t found = 0; /* the very row that has this label */
        for (int64_t j = 0; j < all.rows; j++)
            found += all.labels[j] == few.labels[i] &&
                     test_same_bits(all.x + j * BLOB_DIM, few.x + i * BLOB_DIM, sizeof(float) * BLOB_DIM);
        ck_assert_int_eq(found, 1);
    }
    ck_assert(counts[0] == 10 && counts[1] == 10 && counts[2] == 10 && counts[3] == 1);
    gm_samples_free(&few);
    gm_samples_free(&again);
    gm_samples_free(&all);
}
END_TEST

START_TEST(bad_arguments_and_divergence_are_reported)
{
    gm_samples train = blobs(8, 60, false), test = blobs(9, 20, false);
    const gm_samples narrow = {20, BLOB_DIM - 1, test.x, test.labels}, empty = {0, BLOB_DIM, test.x, test.labels};
    const gm_probe_options good = gm_probe_default_options();
    gm_probe_options lasting = good, batchless = good, wild = good;
    lasting.epochs = 0;
    batchless.batch = 0;
    wild.learning_rate = 1e30f;
    const struct {
        const gm_samples *train, *test;
        const gm_probe_options *options;
        gm_status status;
    } cases[] = {
        {&train, &narrow, &good, GM_INVALID_ARGUMENT},
        {&train, &empty, &good, GM_INVALID_ARGUMENT},
        {&empty, &test, &good, GM_INVALID_ARGUMENT},
        {&train, &test, &lasting, GM_INVALID_ARGUMENT},
        {&train, &test, &batchless, GM_INVALID_ARGUMENT},
        {&train, &test, &wild, GM_NOT_FINITE},
        {&train, &test, &good, GM_OK},
    };
    gm_context *context = test_context(GM_ISA_AUTO, 1);
    gm_standardization standardization;
    ck_assert_int_eq(gm_standardization_create(context, &train, &standardization, NULL), GM_OK);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        gm_error error = {GM_OK, ""};
        gm_probe_result result;
        const gm_status status = gm_linear_probe(context, cases[i].train, cases[i].test, BLOB_CLASSES, &standardization,
                                                 cases[i].options, &result, NULL, &error);
        ck_assert_msg(status == cases[i].status, "case %zu: %s", i, gm_status_string(status));
        ck_assert_int_eq(error.code, status);
    }
    gm_standardization_free(&standardization);
    gm_context_destroy(context);
    gm_samples_free(&train);
    gm_samples_free(&test);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("linear_probe");
    TCase *tests = tcase_create("linear_probe");
    tcase_add_test(tests, gradient_is_that_of_finite_differences);
    tcase_add_test(tests, separable_classes_are_learned);
    tcase_add_test(tests, wrong_labels_cost_their_share);
    tcase_add_test(tests, threads_do_not_change_bits_but_seeds_do);
    tcase_add_test(tests, standardization_is_unbiased);
    tcase_add_test(tests, few_labels_are_drawn_evenly);
    tcase_add_test(tests, bad_arguments_and_divergence_are_reported);
    suite_add_tcase(suite, tests);
    return test_run(suite);
}
