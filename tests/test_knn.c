/* Nearest neighbours against brute force in double, ties, votes, and arguments that are refused. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "support/support.h"
#include "train/knn.h"

struct neighbour {
    double similarity;
    int32_t index;
};

static int by_similarity(const void *a, const void *b)
{
    const struct neighbour *x = a, *y = b;
    if (x->similarity != y->similarity)
        return x->similarity < y->similarity ? 1 : -1;
    return (x->index > y->index) - (x->index < y->index);
}

/* All rows of the bank in order of their cosine to one query. */
static struct neighbour *brute_force(const gm_samples *bank, const float *query)
{
    struct neighbour *all = malloc(sizeof *all * (size_t)bank->rows);
    for (int64_t i = 0; i < bank->rows; i++) {
        double dot = 0.0, qq = 0.0, bb = 0.0;
        for (int64_t j = 0; j < bank->dim; j++) {
            const double b = bank->x[i * bank->dim + j];
            dot += query[j] * b;
            qq += (double)query[j] * query[j];
            bb += b * b;
        }
        all[i] = (struct neighbour){dot / fmax(sqrt(qq), 1e-12) / fmax(sqrt(bb), 1e-12), (int32_t)i};
    }
    qsort(all, (size_t)bank->rows, sizeof *all, by_similarity);
    return all;
}

static float *normal_matrix(uint64_t seed, int64_t count, double mean)
{
    test_random random = test_random_create(seed);
    float *x = malloc(sizeof *x * (size_t)count);
    test_fill_normal(&random, x, count, mean, 1.0);
    return x;
}

START_TEST(neighbours_are_those_of_brute_force)
{
    /* The bank reaches into a second and third block of the search, the queries into a second one. */
    static const struct {
        int64_t bank, queries, dim;
        int32_t k;
    } shapes[] = {{1, 1, 1, 1}, {5, 3, 2, 5}, {2049, 9, 17, 20}, {4200, 4, 48, 200}, {130, 1030, 3, 7}};
    gm_isa isas[GM_ISA_COUNT];
    for (int i = 0, n = test_isas(isas); i < n; i++)
        for (size_t s = 0; s < sizeof shapes / sizeof *shapes; s++) {
            gm_context *context = test_context(isas[i], 2);
            const int64_t queries = shapes[s].queries, dim = shapes[s].dim;
            const int32_t k = shapes[s].k;
            const gm_samples bank = {shapes[s].bank, dim, normal_matrix(1, shapes[s].bank * dim, 0.3), NULL};
            const gm_samples asked = {queries, dim, normal_matrix(2, queries * dim, 0.3), NULL};
            float *similarity = malloc(sizeof *similarity * (size_t)(queries * k));
            int32_t *index = malloc(sizeof *index * (size_t)(queries * k));
            gm_error error;
            ck_assert_int_eq(gm_nearest(context, &bank, &asked, k, similarity, index, &error), GM_OK);
            const double bound = ((double)dim + 6.0) * test_unit_roundoff;
            for (int64_t q = 0; q < queries; q++) {
                struct neighbour *all = brute_force(&bank, asked.x + q * dim);
                for (int32_t r = 0; r < k; r++) {
                    ck_assert_double_eq_tol(similarity[q * k + r], all[r].similarity, bound);
                    /* Another row may stand here only if it is as near, as far as float32 can tell. */
                    for (int64_t at = 0; index[q * k + r] != all[r].index && at < bank.rows; at++)
                        if (all[at].index == index[q * k + r])
                            ck_assert_double_eq_tol(all[at].similarity, all[r].similarity, 2.0 * bound);
                }
                free(all);
            }
            free(similarity);
            free(index);
            free((void *)bank.x);
            free((void *)asked.x);
            gm_context_destroy(context);
        }
}
END_TEST

START_TEST(equal_rows_come_by_index)
{
    enum { ROWS = 5000, DIM = 6, K = 50, KINDS = 3 };
    float *x = calloc(ROWS * DIM, sizeof *x);
    for (int i = 0; i < ROWS; i++) /* three directions in turn, with lengths whose cosines are exact */
        x[i * DIM + i % KINDS] = (float)(1 << i % 5);
    const float query[DIM] = {0.0f, 2.0f, 1.0f};
    const gm_samples bank = {ROWS, DIM, x, NULL}, asked = {1, DIM, query, NULL};
    float similarity[K];
    int32_t index[K];
    gm_error error;
    gm_isa isas[GM_ISA_COUNT];
    for (int i = 0, n = test_isas(isas); i < n; i++) {
        gm_context *context = test_context(isas[i], 2);
        ck_assert_int_eq(gm_nearest(context, &bank, &asked, K, similarity, index, &error), GM_OK);
        for (int r = 0; r < K; r++)
            ck_assert_int_eq(index[r], KINDS * r + 1);
        gm_context_destroy(context);
    }
    free(x);
}
END_TEST

START_TEST(a_row_of_zeros_is_similar_to_nothing)
{
    const float bank_x[] = {-1.0f, 0.0f, 0.0f, 0.0f, 3.0f, 4.0f}, queries_x[] = {1.0f, 0.0f, 0.0f, 0.0f};
    const gm_samples bank = {3, 2, bank_x, NULL}, asked = {2, 2, queries_x, NULL};
    const float expected[] = {0.6f, 0.0f, -1.0f, 0.0f, 0.0f, 0.0f};
    const int32_t expected_index[] = {2, 1, 0, 0, 1, 2};
    float similarity[6];
    int32_t index[6];
    gm_error error;
    gm_context *context = test_context(GM_ISA_AUTO, 1);
    ck_assert_int_eq(gm_nearest(context, &bank, &asked, 3, similarity, index, &error), GM_OK);
    for (int i = 0; i < 6; i++) {
        ck_assert_float_eq_tol(similarity[i], expected[i], 1e-7f);
        ck_assert_int_eq(index[i], expected_index[i]);
    }
    gm_context_destroy(context);
}
END_TEST

START_TEST(threads_do_not_change_bits)
{
    enum { BANK = 3000, QUERIES = 70, DIM = 24, K = 20 };
    const gm_samples bank = {BANK, DIM, normal_matrix(3, BANK * DIM, 0.0), NULL};
    const gm_samples asked = {QUERIES, DIM, normal_matrix(4, QUERIES * DIM, 0.0), NULL};
    static float similarity[2][QUERIES * K];
    static int32_t index[2][QUERIES * K];
    static const int threads[] = {1, 2, 3, 7};
    gm_error error;
    for (int t = 0; t < 4; t++) {
        const int which = t > 0;
        gm_context *context = test_context(GM_ISA_AUTO, threads[t]);
        ck_assert_int_eq(gm_nearest(context, &bank, &asked, K, similarity[which], index[which], &error), GM_OK);
        gm_context_destroy(context);
        ck_assert(!which || test_same_bits(similarity[0], similarity[1], sizeof similarity[0]));
        ck_assert(!which || test_same_bits(index[0], index[1], sizeof index[0]));
    }
    free((void *)bank.x);
    free((void *)asked.x);
}
END_TEST

START_TEST(votes_weigh_by_similarity)
{
    static const int32_t labels[] = {2, 0, 0, 1};
    static const int32_t index[] = {0, 1, 2, 3};
    double votes[3];
    const float near_and_far[] = {0.9f, 0.2f, 0.1f, 0.1f};
    ck_assert_int_eq(gm_knn_vote(4, near_and_far, index, labels, 3, 0.1f, votes), 2);
    ck_assert_double_eq_tol(votes[0], exp(-7.0) + exp(-8.0), 1e-5);
    const float alike[] = {0.5f, 0.5f, 0.5f, 0.5f};
    ck_assert_int_eq(gm_knn_vote(4, alike, index, labels, 3, 0.1f, votes), 0);
    ck_assert_int_eq(gm_knn_vote(1, alike, index, labels, 3, 0.1f, votes), 2);
    static const int32_t tied[] = {2, 1, 2, 1};
    ck_assert_int_eq(gm_knn_vote(4, alike, index, tied, 3, 0.1f, votes), 1);
    ck_assert_int_eq(gm_knn_vote(4, near_and_far, index, labels, 3, 1e-30f, votes), 2); /* does not overflow */
}
END_TEST

START_TEST(accuracy_counts_the_right_ones)
{
    /* Three classes on three axes; one query of four lies with another class. */
    const float bank_x[] = {1.0f, 0.0f, 0.0f, 2.0f, 0.1f, 0.0f, 0.0f, 1.0f, 0.0f, 0.0f, 0.0f, 1.0f};
    const int32_t bank_labels[] = {0, 0, 1, 2};
    const float queries_x[] = {3.0f, 0.1f, 0.0f, 0.0f, 1.0f, 0.1f, 0.0f, 0.0f, 5.0f, 0.0f, 0.2f, 1.0f};
    const int32_t query_labels[] = {0, 1, 2, 1};
    const gm_samples bank = {4, 3, bank_x, bank_labels}, asked = {4, 3, queries_x, query_labels};
    gm_context *context = test_context(GM_ISA_AUTO, 1);
    gm_error error;
    double accuracy;
    ck_assert_int_eq(gm_knn_accuracy(context, &bank, &asked, 3, NULL, &accuracy, &error), GM_OK); /* k 20, 4 rows */
    ck_assert_double_eq(accuracy, 0.75);
    gm_context_destroy(context);
}
END_TEST

START_TEST(bad_arguments_are_refused)
{
    float x[] = {1.0f, 2.0f, 3.0f, 4.0f}, odd[] = {1.0f, NAN, 3.0f, 4.0f}, endless[] = {1.0f, INFINITY, 3.0f, 4.0f};
    int32_t labels[] = {0, 1};
    const gm_samples good = {2, 2, x, labels}, nan = {2, 2, odd, labels}, infinite = {2, 2, endless, labels},
                     wide = {1, 4, x, labels}, empty = {0, 2, x, labels};
    const struct {
        const gm_samples *bank, *queries;
        int32_t k;
        gm_status status;
    } cases[] = {
        {&good, &good, 0, GM_INVALID_ARGUMENT}, {&good, &good, 3, GM_INVALID_ARGUMENT},
        {&good, &wide, 1, GM_INVALID_ARGUMENT}, {&empty, &good, 1, GM_INVALID_ARGUMENT},
        {&nan, &good, 1, GM_NOT_FINITE},        {&good, &nan, 1, GM_NOT_FINITE},
        {&infinite, &good, 1, GM_NOT_FINITE},   {&good, &good, 2, GM_OK},
    };
    gm_context *context = test_context(GM_ISA_AUTO, 1);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        gm_error error = {GM_OK, ""};
        float similarity[8];
        int32_t index[8];
        const gm_status status =
            gm_nearest(context, cases[i].bank, cases[i].queries, cases[i].k, similarity, index, &error);
        ck_assert_msg(status == cases[i].status, "case %zu: %s", i, gm_status_string(status));
        ck_assert_int_eq(error.code, status);
    }
    const gm_knn_options options[] = {{0, 0.1f}, {20, 0.0f}, {20, NAN}};
    for (size_t i = 0; i < sizeof options / sizeof *options; i++) {
        double accuracy;
        ck_assert_int_eq(gm_knn_accuracy(context, &good, &good, 2, &options[i], &accuracy, NULL), GM_INVALID_ARGUMENT);
    }
    gm_context_destroy(context);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("knn");
    TCase *tests = tcase_create("knn");
    tcase_add_test(tests, neighbours_are_those_of_brute_force);
    tcase_add_test(tests, equal_rows_come_by_index);
    tcase_add_test(tests, a_row_of_zeros_is_similar_to_nothing);
    tcase_add_test(tests, threads_do_not_change_bits);
    tcase_add_test(tests, votes_weigh_by_similarity);
    tcase_add_test(tests, accuracy_counts_the_right_ones);
    tcase_add_test(tests, bad_arguments_are_refused);
    suite_add_tcase(suite, tests);
    return test_run(suite);
}
