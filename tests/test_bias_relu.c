/* gm_bias_relu_*_f32(): every value is exact but the sums, which have a bound. */
#include <gemel/bias_relu.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "support/support.h"

typedef struct layer {
    int64_t rows, cols, ld;
    bool relu, bias;
} layer;

static const layer shapes[] = {
    {1, 1, 1, true, true},      {3, 5, 5, false, true},      {8, 16, 19, true, true},     {9, 17, 17, true, false},
    {40, 33, 40, false, false}, {131, 65, 67, true, true},   {300, 513, 515, true, true}, {1030, 96, 96, true, true},
    {140000, 1, 1, true, true}, {2, 2000, 2001, true, true},
};

enum { SHAPES = sizeof shapes / sizeof *shapes };

typedef struct operands {
    test_guard x, y, dy, dx, bias, dbias;
} operands;

static operands operands_create(const layer *l, uint64_t seed)
{
    const int64_t count = (l->rows - 1) * l->ld + l->cols;
    test_random random = test_random_create(seed);
    operands o = {test_guard_create(count), test_guard_create(count),   test_guard_create(count),
                  test_guard_create(count), test_guard_create(l->cols), test_guard_create(l->cols)};
    for (int64_t i = 0; i < l->rows; i++) {
        test_fill_normal(&random, o.x.data + i * l->ld, l->cols, 0, 1);
        test_fill_normal(&random, o.dy.data + i * l->ld, l->cols, 0.1, 1);
    }
    test_fill_normal(&random, o.bias.data, l->cols, 0, 1);
    test_guard_protect(&o.x);
    test_guard_protect(&o.dy);
    test_guard_protect(&o.bias);
    return o;
}

static void operands_free(operands *o)
{
    test_guard *const all[] = {&o->x, &o->y, &o->dy, &o->dx, &o->bias, &o->dbias};
    for (int i = 0; i < 6; i++)
        test_guard_free(all[i]);
}

static gm_context *context_for(gm_isa isa, int32_t threads, const layer *l)
{
    gm_context *context = test_context_with_workspace(isa, threads, 1);
    ck_assert_int_eq(gm_context_reserve(context, gm_bias_relu_f32_workspace(context, l->rows, l->cols)), GM_OK);
    return context;
}

static void run(gm_context *context, const layer *l, operands *o)
{
    ck_assert_int_eq(gm_bias_relu_forward_f32(context, l->rows, l->cols, o->x.data, l->ld,
                                              l->bias ? o->bias.data : NULL, l->relu, o->y.data, l->ld),
                     GM_OK);
    ck_assert_int_eq(gm_bias_relu_backward_f32(context, l->rows, l->cols, o->dy.data, l->ld, l->relu ? o->y.data : NULL,
                                               l->ld, l->relu, o->dx.data, l->ld, o->dbias.data),
                     GM_OK);
}

static void check(const layer *l, const operands *o)
{
    for (int64_t j = 0; j < l->cols; j++) {
        double sum = 0, terms = 0;
        for (int64_t i = 0; i < l->rows; i++) {
            const int64_t at = i * l->ld + j;
            const float v = o->x.data[at] + (l->bias ? o->bias.data[j] : 0), y = l->relu && v < 0 ? 0 : v;
            const float g = l->relu && !(y > 0) ? 0 : o->dy.data[at];
            if (o->y.data[at] != y || o->dx.data[at] != g) /* ck_assert() is too slow for every element */
                ck_abort_msg("[%ld, %ld]: y %g, dx %g instead of %g, %g", (long)i, (long)j, o->y.data[at],
                             o->dx.data[at], y, g);
            sum += g;
            terms += fabsf(g);
        }
        ck_assert_msg(fabs(o->dbias.data[j] - sum) <= 8 * test_unit_roundoff * terms,
                      "%ldx%ld: dbias[%ld] is %.9g instead of %.9g", (long)l->rows, (long)l->cols, (long)j,
                      o->dbias.data[j], sum);
    }
    for (int64_t i = 0; i + 1 < l->rows; i++)
        for (int64_t j = l->cols; j < l->ld; j++)
            if (!isnan(o->y.data[i * l->ld + j]) || !isnan(o->dx.data[i * l->ld + j]))
                ck_abort_msg("padding of row %ld was written", (long)i);
}

START_TEST(values_are_exact_and_sums_bounded)
{
    gm_isa isas[GM_ISA_COUNT];
    for (int i = 0, n = test_isas(isas); i < n; i++) {
        operands o = operands_create(&shapes[_i], (uint64_t)_i);
        gm_context *context = context_for(isas[i], 2, &shapes[_i]);
        run(context, &shapes[_i], &o);
        check(&shapes[_i], &o);
        gm_context_destroy(context);
        operands_free(&o);
    }
}
END_TEST

START_TEST(integer_sums_are_exact)
{
    gm_isa isas[GM_ISA_COUNT];
    enum { ROWS = 3000, COLS = 41 };
    static float dy[ROWS * COLS];
    float dbias[COLS];
    test_random random = test_random_create(2);
    test_fill_integers(&random, dy, ROWS * COLS, 100);
    for (int k = 0, n = test_isas(isas); k < n; k++) {
        gm_context *context = test_context(isas[k], 2);
        ck_assert_int_eq(gm_bias_relu_backward_f32(context, ROWS, COLS, dy, COLS, NULL, 0, false, dy, COLS, dbias),
                         GM_OK);
        for (int j = 0; j < COLS; j++) {
            float sum = 0;
            for (int i = 0; i < ROWS; i++)
                sum += dy[i * COLS + j];
            ck_assert(dbias[j] == sum);
        }
        gm_context_destroy(context);
    }
}
END_TEST

START_TEST(in_place_gives_the_same_bits)
{
    gm_isa isas[GM_ISA_COUNT];
    const layer *l = &shapes[5];
    const size_t bytes = (size_t)(l->rows * l->ld) * sizeof(float), inside = bytes - 2 * sizeof(float);
    float *copy = malloc(bytes), dbias[65];
    for (int i = 0, n = test_isas(isas); i < n; i++) {
        operands o = operands_create(l, 4);
        gm_context *context = context_for(isas[i], 2, l);
        run(context, l, &o);
        memcpy(copy, o.x.data, inside);
        gm_bias_relu_forward_f32(context, l->rows, l->cols, copy, l->ld, o.bias.data, true, copy, l->ld);
        ck_assert(test_same_bits(copy, o.y.data, inside));
        memcpy(copy, o.dy.data, inside);
        gm_bias_relu_backward_f32(context, l->rows, l->cols, copy, l->ld, o.y.data, l->ld, true, copy, l->ld, dbias);
        ck_assert(test_same_bits(copy, o.dx.data, inside));
        ck_assert(test_same_bits(dbias, o.dbias.data, sizeof dbias));
        gm_context_destroy(context);
        operands_free(&o);
    }
    free(copy);
}
END_TEST

START_TEST(bits_do_not_depend_on_threads)
{
    static const int32_t threads[] = {1, 2, 3, 7};
    static const layer l = {5000, 130, 130, true, true};
    gm_isa isas[GM_ISA_COUNT];
    for (int i = 0, n = test_isas(isas); i < n; i++) {
        float first[130];
        for (int t = 0; t < 4; t++) {
            operands o = operands_create(&l, 1);
            gm_context *context = context_for(isas[i], threads[t], &l);
            run(context, &l, &o);
            if (t == 0)
                memcpy(first, o.dbias.data, sizeof first);
            ck_assert(test_same_bits(first, o.dbias.data, sizeof first));
            gm_context_destroy(context);
            operands_free(&o);
        }
    }
}
END_TEST

START_TEST(not_a_number_passes_through)
{
    gm_isa isas[GM_ISA_COUNT];
    const float x[3] = {NAN, -INFINITY, INFINITY}, bias[3] = {0};
    float y[3];
    for (int i = 0, n = test_isas(isas); i < n; i++) {
        gm_context *context = test_context(isas[i], 1);
        ck_assert_int_eq(gm_bias_relu_forward_f32(context, 1, 3, x, 3, bias, true, y, 3), GM_OK);
        ck_assert(isnan(y[0]) && y[1] == 0 && y[2] == INFINITY);
        gm_context_destroy(context);
    }
}
END_TEST

START_TEST(bad_arguments_return_their_status)
{
    gm_context *context = test_context(GM_ISA_SCALAR, 1), *bare = test_context_with_workspace(GM_ISA_SCALAR, 1, 1);
    float x[12] = {0}, y[12] = {0}, sum[4];
    const struct {
        gm_context *context;
        int64_t rows, cols, ldx, ldy;
        const float *x;
        float *y;
        gm_status forward, backward; /* x is dy and y is dx there, and also the mask */
    } cases[] = {
        {NULL, 3, 4, 4, 4, x, y, GM_INVALID_ARGUMENT, GM_INVALID_ARGUMENT},
        {context, 3, 4, 4, 4, NULL, y, GM_INVALID_ARGUMENT, GM_INVALID_ARGUMENT},
        {context, 3, 4, 4, 4, x, NULL, GM_INVALID_ARGUMENT, GM_INVALID_ARGUMENT},
        {context, -3, 4, 4, 4, x, y, GM_INVALID_ARGUMENT, GM_INVALID_ARGUMENT},
        {context, 3, -4, 4, 4, x, y, GM_INVALID_ARGUMENT, GM_INVALID_ARGUMENT},
        {context, 3, 4, 3, 4, x, y, GM_INVALID_ARGUMENT, GM_INVALID_ARGUMENT},
        {context, 3, 4, 4, 3, x, y, GM_INVALID_ARGUMENT, GM_INVALID_ARGUMENT},
        {context, 2, 4, 5, 4, y, y, GM_INVALID_ARGUMENT, GM_INVALID_ARGUMENT},
        {context, INT64_MAX / 2, 4, 4, 4, x, y, GM_SIZE_OVERFLOW, GM_SIZE_OVERFLOW},
        {bare, 3, 4, 4, 4, x, y, GM_OK, GM_WORKSPACE_TOO_SMALL},
        {context, 0, 4, 4, 4, NULL, NULL, GM_OK, GM_OK},
        {context, 3, 0, 4, 4, NULL, NULL, GM_OK, GM_OK},
        {context, 3, 4, 4, 4, x, y, GM_OK, GM_OK},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        gm_status status = gm_bias_relu_forward_f32(cases[i].context, cases[i].rows, cases[i].cols, cases[i].x,
                                                    cases[i].ldx, NULL, true, cases[i].y, cases[i].ldy);
        ck_assert_msg(status == cases[i].forward, "case %zu: forward: %s", i, gm_status_string(status));
        status = gm_bias_relu_backward_f32(cases[i].context, cases[i].rows, cases[i].cols, cases[i].x, cases[i].ldx, y,
                                           4, true, cases[i].y, cases[i].ldy, sum);
        ck_assert_msg(status == cases[i].backward, "case %zu: backward: %s", i, gm_status_string(status));
    }
    ck_assert_int_eq(gm_bias_relu_backward_f32(context, 3, 4, x, 4, NULL, 4, true, y, 4, sum), GM_INVALID_ARGUMENT);
    ck_assert_int_eq(gm_bias_relu_backward_f32(context, 3, 4, x, 4, NULL, 4, false, x, 4, NULL), GM_OK);
    sum[3] = NAN;
    ck_assert_int_eq(gm_bias_relu_backward_f32(context, 0, 4, NULL, 4, NULL, 4, false, NULL, 4, sum), GM_OK);
    ck_assert(sum[3] == 0);
    gm_context_destroy(context);
    gm_context_destroy(bare);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("bias_relu");
    TCase *tests = tcase_create("bias_relu");
    suite_add_tcase(suite, tests);
    tcase_add_loop_test(tests, values_are_exact_and_sums_bounded, 0, SHAPES);
    tcase_add_test(tests, integer_sums_are_exact);
    tcase_add_test(tests, in_place_gives_the_same_bits);
    tcase_add_test(tests, bits_do_not_depend_on_threads);
    tcase_add_test(tests, not_a_number_passes_through);
    tcase_add_test(tests, bad_arguments_return_their_status);
    return test_run(suite);
}
