/* gm_batchnorm_add_*_f32() and gm_batchnorm_line_f32(), bit for bit against the calls without a residual, which
 * test_batchnorm.c compares with the truth. */
#include <gemel/batchnorm.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "support/norm.h"

static const norm_layer shapes[] = {
    {2, 1, 1, 1, true, false, 0},   {3, 5, 5, 1, true, true, 0},         {8, 16, 19, 2, true, true, 0},
    {9, 17, 17, 3, false, true, 0}, {40, 33, 40, 1, true, false, 0},     {66, 64, 64, 2, true, true, 1e4},
    {131, 7, 8, 1, true, true, 0},  {300, 1031, 1040, 1, true, true, 0}, {9000, 20, 20, 2, true, true, 0},
};

enum { SHAPES = sizeof shapes / sizeof *shapes };

/* A layer's operands, with the residual and what belongs to it. */
typedef struct trial {
    norm_trial norm;
    gm_batchnorm_options options;
    test_guard residual, dresidual, mask_memory;
    uint8_t *mask; /* ends where an unreadable page begins */
} trial;

static trial create(const norm_layer *l)
{
    test_random random = test_random_create(17);
    const int64_t mask_size = gm_batchnorm_mask_size(l->rows, l->cols);
    trial t = {.norm = norm_trial_create(l, gm_batchnorm_saved_size(l->cols, l->groups), 3),
               .options = gm_batchnorm_default_options()};
    t.options.groups = l->groups;
    t.options.relu = l->relu;
    t.residual = test_guard_create(t.norm.x.count);
    t.dresidual = test_guard_create(t.norm.x.count);
    t.mask_memory = test_guard_create((mask_size + 3) / 4);
    t.mask = (uint8_t *)(t.mask_memory.data + t.mask_memory.count) - mask_size;
    for (int64_t i = 0; i < l->rows; i++)
        test_fill_normal(&random, t.residual.data + i * l->ld, l->cols, 0, 1);
    test_guard_protect(&t.residual);
    return t;
}

static void destroy(trial *t)
{
    norm_trial_free(&t->norm);
    test_guard_free(&t->residual);
    test_guard_free(&t->dresidual);
    test_guard_free(&t->mask_memory);
}

static gm_context *context_for(gm_isa isa, int32_t threads, const trial *t)
{
    const norm_layer *l = &t->norm.layer;
    gm_context *context = test_context_with_workspace(isa, threads, 1);
    ck_assert_int_eq(gm_context_reserve(context, gm_batchnorm_f32_workspace(context, l->rows, l->cols, &t->options)),
                     GM_OK);
    return context;
}

static const float *weight(const trial *t)
{
    return t->norm.layer.affine ? t->norm.weight.data : NULL;
}

static const float *bias(const trial *t)
{
    return t->norm.layer.affine ? t->norm.bias.data : NULL;
}

static void add_forward(gm_context *context, trial *t, const float *x, const float *residual, float *y)
{
    const norm_layer *l = &t->norm.layer;
    ck_assert_int_eq(gm_batchnorm_add_forward_f32(context, l->rows, l->cols, x, l->ld, residual, l->ld, weight(t),
                                                  bias(t), &t->options, t->norm.running_mean.data,
                                                  t->norm.running_variance.data, t->norm.saved.data,
                                                  l->relu ? t->mask : NULL, y, l->ld),
                     GM_OK);
}

static void add_backward(gm_context *context, trial *t, const float *dy, float *dx, float *dresidual)
{
    const norm_layer *l = &t->norm.layer;
    ck_assert_int_eq(gm_batchnorm_add_backward_f32(context, l->rows, l->cols, dy, l->ld, t->norm.x.data, l->ld,
                                                   l->relu ? t->mask : NULL, weight(t), t->norm.saved.data, &t->options,
                                                   dx, l->ld, dresidual, l->ld, t->norm.dweight.data,
                                                   t->norm.dbias.data),
                     GM_OK);
}

static void check_same(const test_guard *ours, const test_guard *expected, const char *what)
{
    ck_assert_msg(test_same_bits(ours->data, expected->data, (size_t)expected->count * sizeof(float)), "%s", what);
}

/* The forward call by the one without residual and ReLU: y of it, of which the result is max(0, y + residual). */
static void check_forward(gm_context *context, const trial *t)
{
    const norm_layer *l = &t->norm.layer;
    trial plain = create(l);
    gm_batchnorm_options options = t->options;
    options.relu = false;
    ck_assert_int_eq(gm_batchnorm_forward_f32(context, l->rows, l->cols, t->norm.x.data, l->ld, weight(t), bias(t),
                                              &options, plain.norm.running_mean.data, plain.norm.running_variance.data,
                                              plain.norm.saved.data, plain.norm.y.data, l->ld),
                     GM_OK);
    check_same(&t->norm.saved, &plain.norm.saved, "saved");
    check_same(&t->norm.running_mean, &plain.norm.running_mean, "running mean");
    check_same(&t->norm.running_variance, &plain.norm.running_variance, "running variance");
    for (int64_t i = 0; i < l->rows; i++) {
        const uint8_t *mask = t->mask + i * ((l->cols + 7) / 8);
        for (int64_t j = 0; j < l->cols; j++) {
            const float v = plain.norm.y.data[i * l->ld + j] + t->residual.data[i * l->ld + j];
            if (t->norm.y.data[i * l->ld + j] != (l->relu && v < 0 ? 0 : v))
                ck_abort_msg("y[%ld, %ld]", (long)i, (long)j);
            if (l->relu && (mask[j / 8] >> j % 8 & 1) != (v > 0))
                ck_abort_msg("mask[%ld, %ld]", (long)i, (long)j);
        }
    }
    destroy(&plain);
}

/* The backward call by the one without residual and ReLU, given the masked gradient, which is dresidual. */
static void check_backward(gm_context *context, const trial *t)
{
    const norm_layer *l = &t->norm.layer;
    trial plain = create(l);
    gm_batchnorm_options options = t->options;
    options.relu = false;
    for (int64_t i = 0; i < l->rows; i++)
        for (int64_t j = 0; j < l->cols; j++) {
            const int64_t at = i * l->ld + j;
            plain.dresidual.data[at] = l->relu && !(t->norm.y.data[at] > 0) ? 0 : t->norm.dy.data[at];
        }
    check_same(&t->dresidual, &plain.dresidual, "dresidual");
    ck_assert_int_eq(gm_batchnorm_backward_f32(context, l->rows, l->cols, plain.dresidual.data, l->ld, t->norm.x.data,
                                               l->ld, weight(t), bias(t), t->norm.saved.data, &options,
                                               plain.norm.dx.data, l->ld, plain.norm.dweight.data,
                                               plain.norm.dbias.data),
                     GM_OK);
    check_same(&t->norm.dx, &plain.norm.dx, "dx");
    check_same(&t->norm.dweight, &plain.norm.dweight, "dweight");
    check_same(&t->norm.dbias, &plain.norm.dbias, "dbias");
    destroy(&plain);
}

START_TEST(bits_are_those_of_the_calls_without_a_residual)
{
    gm_isa isas[GM_ISA_COUNT];
    for (int i = 0, n = test_isas(isas); i < n; i++) {
        trial t = create(&shapes[_i]);
        gm_context *context = context_for(isas[i], 2, &t);
        add_forward(context, &t, t.norm.x.data, t.residual.data, t.norm.y.data);
        check_forward(context, &t);
        add_backward(context, &t, t.norm.dy.data, t.norm.dx.data, t.dresidual.data);
        check_backward(context, &t);
        norm_check_padding(&t.norm);
        gm_context_destroy(context);
        destroy(&t);
    }
}
END_TEST

START_TEST(inference_is_the_one_without_a_residual)
{
    gm_isa isas[GM_ISA_COUNT];
    const norm_layer *l = &shapes[_i];
    for (int i = 0, n = test_isas(isas); i < n; i++) {
        trial t = create(l);
        gm_context *context = context_for(isas[i], 2, &t);
        const float *mean = t.norm.running_mean.data, *variance = t.norm.running_variance.data, *x = t.norm.x.data;
        gm_batchnorm_options options = t.options;
        options.relu = false;
        ck_assert_int_eq(gm_batchnorm_infer_f32(context, l->rows, l->cols, x, l->ld, weight(&t), bias(&t), mean,
                                                variance, &options, t.norm.y.data, l->ld),
                         GM_OK);
        ck_assert_int_eq(gm_batchnorm_add_infer_f32(context, l->rows, l->cols, x, l->ld, t.residual.data, l->ld,
                                                    weight(&t), bias(&t), mean, variance, &t.options, t.norm.dx.data,
                                                    l->ld),
                         GM_OK);
        for (int64_t k = 0; k < l->rows * l->cols; k++) {
            const int64_t at = k / l->cols * l->ld + k % l->cols;
            const float v = t.norm.y.data[at] + t.residual.data[at];
            if (t.norm.dx.data[at] != (l->relu && v < 0 ? 0 : v))
                ck_abort_msg("element %ld", (long)k);
        }
        norm_check_padding(&t.norm);
        gm_context_destroy(context);
        destroy(&t);
    }
}
END_TEST

START_TEST(in_place_gives_the_same_bits)
{
    gm_isa isas[GM_ISA_COUNT];
    trial t = create(&shapes[_i]);
    const size_t bytes = (size_t)t.norm.x.count * sizeof(float);
    float *copy = malloc(bytes);
    for (int i = 0, n = test_isas(isas); i < n; i++) {
        gm_context *context = context_for(isas[i], 2, &t);
        add_forward(context, &t, t.norm.x.data, t.residual.data, t.norm.y.data);
        memcpy(copy, t.norm.x.data, bytes);
        add_forward(context, &t, copy, t.residual.data, copy);
        ck_assert(test_same_bits(copy, t.norm.y.data, bytes));
        memcpy(copy, t.residual.data, bytes);
        add_forward(context, &t, t.norm.x.data, copy, copy);
        ck_assert(test_same_bits(copy, t.norm.y.data, bytes));

        add_backward(context, &t, t.norm.dy.data, t.norm.dx.data, t.dresidual.data);
        memcpy(copy, t.norm.dy.data, bytes);
        add_backward(context, &t, copy, copy, t.norm.y.data);
        ck_assert(test_same_bits(copy, t.norm.dx.data, bytes));
        memcpy(copy, t.norm.dy.data, bytes);
        add_backward(context, &t, copy, t.norm.y.data, copy);
        ck_assert(test_same_bits(copy, t.dresidual.data, bytes));
        ck_assert(test_same_bits(t.norm.y.data, t.norm.dx.data, bytes));
        add_backward(context, &t, t.norm.dy.data, t.norm.y.data, NULL);
        ck_assert(test_same_bits(t.norm.y.data, t.norm.dx.data, bytes));
        gm_context_destroy(context);
    }
    free(copy);
    destroy(&t);
}
END_TEST

/* With what an earlier call has saved, which is not written: other statistics of x would show in the result. */
START_TEST(results_are_made_again_from_what_was_saved)
{
    gm_isa isas[GM_ISA_COUNT];
    const norm_layer *l = &shapes[_i];
    for (int i = 0, n = test_isas(isas); i < n; i++) {
        trial first = create(l), t = create(l);
        gm_context *context = context_for(isas[i], 2, &t);
        float *const deviations = t.norm.saved.data + 2 * l->groups * l->cols;
        gm_batchnorm_options plain = t.options;
        add_forward(context, &first, t.norm.x.data, t.residual.data, first.norm.y.data);
        memcpy(t.norm.saved.data, first.norm.saved.data, (size_t)t.norm.saved.count * sizeof(float));
        t.options.again = plain.again = true;
        for (int64_t k = 0; k < l->groups * l->cols; k++)
            deviations[k] = 0;
        plain.relu = false;
        ck_assert_int_eq(gm_batchnorm_forward_f32(context, l->rows, l->cols, t.norm.x.data, l->ld, NULL, NULL, &plain,
                                                  NULL, NULL, t.norm.saved.data, t.norm.y.data, l->ld),
                         GM_OK);
        for (int64_t k = 0; k < l->rows * l->cols; k++)
            if (t.norm.y.data[k / l->cols * l->ld + k % l->cols] != 0)
                ck_abort_msg("element %ld", (long)k);
        memcpy(t.norm.saved.data, first.norm.saved.data, (size_t)t.norm.saved.count * sizeof(float));
        test_guard_protect(&t.norm.saved);
        ck_assert_int_eq(gm_batchnorm_add_forward_f32(context, l->rows, l->cols, t.norm.x.data, l->ld, t.residual.data,
                                                      l->ld, weight(&t), bias(&t), &t.options, NULL, NULL,
                                                      t.norm.saved.data, l->relu ? t.mask : NULL, t.norm.y.data, l->ld),
                         GM_OK);
        check_same(&t.norm.y, &first.norm.y, "y");
        check_same(&t.mask_memory, &first.mask_memory, "mask");
        ck_assert_int_eq(gm_batchnorm_forward_f32(context, l->rows, l->cols, t.norm.x.data, l->ld, weight(&t), bias(&t),
                                                  &t.options, t.norm.running_mean.data, t.norm.running_variance.data,
                                                  t.norm.saved.data, t.norm.y.data, l->ld),
                         GM_INVALID_ARGUMENT);
        gm_context_destroy(context);
        destroy(&first);
        destroy(&t);
    }
}
END_TEST

START_TEST(bits_do_not_depend_on_threads)
{
    static const int32_t threads[] = {1, 2, 3, 7};
    static const norm_layer l = {4000, 130, 130, 2, true, true, 0};
    gm_isa isas[GM_ISA_COUNT];
    for (int i = 0, n = test_isas(isas); i < n; i++) {
        trial first = create(&l);
        for (int k = 0; k < 4; k++) {
            trial again = create(&l), *t = k == 0 ? &first : &again;
            gm_context *context = context_for(isas[i], threads[k], t);
            add_forward(context, t, t->norm.x.data, t->residual.data, t->norm.y.data);
            add_backward(context, t, t->norm.dy.data, t->norm.dx.data, t->dresidual.data);
            check_same(&t->norm.y, &first.norm.y, "y");
            check_same(&t->mask_memory, &first.mask_memory, "mask");
            check_same(&t->norm.dx, &first.norm.dx, "dx");
            check_same(&t->dresidual, &first.dresidual, "dresidual");
            check_same(&t->norm.dweight, &first.norm.dweight, "dweight");
            check_same(&t->norm.dbias, &first.norm.dbias, "dbias");
            gm_context_destroy(context);
            destroy(&again);
        }
        destroy(&first);
    }
}
END_TEST

/* Results of 32 MiB are written past the caches, unless they are in place. */
START_TEST(streamed_results_have_the_same_bits)
{
    static const norm_layer l = {8192, 1024, 1024, 1, true, true, 0};
    trial t = create(&l);
    const size_t bytes = (size_t)t.norm.x.count * sizeof(float);
    float *copy = malloc(bytes);
    gm_isa isas[GM_ISA_COUNT];
    for (int i = 0, n = test_isas(isas); i < n; i++) {
        gm_context *context = context_for(isas[i], 2, &t);
        add_forward(context, &t, t.norm.x.data, t.residual.data, t.norm.y.data);
        memcpy(copy, t.norm.x.data, bytes);
        add_forward(context, &t, copy, t.residual.data, copy);
        ck_assert(test_same_bits(copy, t.norm.y.data, bytes));
        add_backward(context, &t, t.norm.dy.data, t.norm.dx.data, t.dresidual.data);
        memcpy(copy, t.norm.dy.data, bytes);
        add_backward(context, &t, copy, copy, t.norm.y.data);
        ck_assert(test_same_bits(copy, t.norm.dx.data, bytes));
        ck_assert(test_same_bits(t.norm.y.data, t.dresidual.data, bytes));
        gm_context_destroy(context);
    }
    free(copy);
    destroy(&t);
}
END_TEST

START_TEST(the_line_is_the_normalisation)
{
    gm_isa isas[GM_ISA_COUNT];
    const norm_layer *l = &shapes[_i];
    const int64_t columns = l->groups * l->cols;
    for (int i = 0, n = test_isas(isas); i < n; i++) {
        trial t = create(l), plain = create(l);
        test_guard scale = test_guard_create(columns), shift = test_guard_create(columns);
        gm_context *context = context_for(isas[i], 2, &t);
        t.options.relu = false;
        ck_assert_int_eq(gm_batchnorm_forward_f32(context, l->rows, l->cols, t.norm.x.data, l->ld, weight(&t), bias(&t),
                                                  &t.options, plain.norm.running_mean.data,
                                                  plain.norm.running_variance.data, plain.norm.saved.data,
                                                  plain.norm.y.data, l->ld),
                         GM_OK);
        ck_assert_int_eq(gm_batchnorm_line_f32(context, l->rows, l->cols, t.norm.x.data, l->ld, weight(&t), bias(&t),
                                               &t.options, t.norm.running_mean.data, t.norm.running_variance.data,
                                               t.norm.saved.data, scale.data, shift.data),
                         GM_OK);
        check_same(&t.norm.saved, &plain.norm.saved, "saved");
        check_same(&t.norm.running_mean, &plain.norm.running_mean, "running mean");
        check_same(&t.norm.running_variance, &plain.norm.running_variance, "running variance");
        for (int64_t row = 0; row < l->rows; row++) {
            const int64_t group = row / (l->rows / l->groups) * l->cols;
            for (int64_t j = 0; j < l->cols; j++) {
                const double a = (double)scale.data[group + j], b = (double)shift.data[group + j];
                const double v = a * (double)t.norm.x.data[row * l->ld + j] + b;
                const double bound = 16 * test_unit_roundoff * (fabs(b) + fabs(a) * (1 + l->offset) + fabs(v));
                norm_check_value(&plain.norm, &plain.norm.y, row, j, v, bound);
            }
        }
        gm_context_destroy(context);
        test_guard_free(&scale);
        test_guard_free(&shift);
        destroy(&t);
        destroy(&plain);
    }
}
END_TEST

/* Of options that say they are nothing but their size, nothing else may be read: behind them is a guard page. */
START_TEST(short_options_are_refused_unread)
{
    gm_context *context = test_context(GM_ISA_SCALAR, 1);
    test_guard end = test_guard_create(sizeof(size_t) / sizeof(float));
    const gm_batchnorm_options *options = (const void *)end.data;
    float x[16] = {0}, y[16], z[16], w[4] = {0}, saved[12] = {0};
    uint8_t mask[4] = {0};
    memcpy(end.data, &(const size_t){sizeof(size_t)}, sizeof(size_t));
    ck_assert_int_eq(
        gm_batchnorm_add_forward_f32(context, 4, 4, x, 4, x, 4, w, w, options, NULL, NULL, saved, mask, y, 4),
        GM_INVALID_ARGUMENT);
    ck_assert_int_eq(
        gm_batchnorm_add_backward_f32(context, 4, 4, x, 4, x, 4, mask, w, saved, options, y, 4, z, 4, NULL, NULL),
        GM_INVALID_ARGUMENT);
    test_guard_free(&end);
    gm_context_destroy(context);
}
END_TEST

START_TEST(bad_arguments_return_their_status)
{
    gm_context *context = test_context(GM_ISA_SCALAR, 1), *bare = test_context_with_workspace(GM_ISA_SCALAR, 1, 1);
    float x[16] = {0}, r[16] = {0}, y[16], z[16], w[4] = {1, 1, 1, 1}, v[4] = {1, 1, 1, 1}, saved[12] = {0};
    uint8_t mask[4] = {0};
    gm_batchnorm_options relu = gm_batchnorm_default_options();
    relu.relu = true;
    const struct {
        gm_context *context;
        const float *residual;
        int64_t ldresidual;
        uint8_t *mask;
        float *y, *z; /* dx and dresidual are y and z */
        int64_t ldy;
        const gm_batchnorm_options *options;
        gm_status forward, infer, backward;
    } cases[] = {
        {context, r, 4, mask, y, z, 4, &relu, GM_OK, GM_OK, GM_OK},
        {context, r, 4, NULL, y, NULL, 4, NULL, GM_OK, GM_OK, GM_OK},
        {context, r, 4, NULL, y, z, 4, &relu, GM_INVALID_ARGUMENT, GM_OK, GM_INVALID_ARGUMENT},
        {context, NULL, 4, mask, y, z, 4, &relu, GM_INVALID_ARGUMENT, GM_INVALID_ARGUMENT, GM_OK},
        {context, r, 3, mask, y, z, 4, &relu, GM_INVALID_ARGUMENT, GM_INVALID_ARGUMENT, GM_INVALID_ARGUMENT},
        {context, r, 4, mask, y, y, 4, &relu, GM_OK, GM_OK, GM_INVALID_ARGUMENT},
        {context, r, 4, mask, NULL, z, 4, &relu, GM_INVALID_ARGUMENT, GM_INVALID_ARGUMENT, GM_INVALID_ARGUMENT},
        {NULL, r, 4, mask, y, z, 4, &relu, GM_INVALID_ARGUMENT, GM_INVALID_ARGUMENT, GM_INVALID_ARGUMENT},
        {bare, r, 4, mask, y, z, 4, &relu, GM_WORKSPACE_TOO_SMALL, GM_WORKSPACE_TOO_SMALL, GM_WORKSPACE_TOO_SMALL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const int64_t ldresidual = cases[i].ldresidual, ldy = cases[i].ldy;
        gm_status status =
            gm_batchnorm_add_forward_f32(cases[i].context, 4, 4, x, 4, cases[i].residual, ldresidual, w, w,
                                         cases[i].options, NULL, NULL, saved, cases[i].mask, cases[i].y, ldy);
        ck_assert_msg(status == cases[i].forward, "case %zu: forward: %s", i, gm_status_string(status));
        status = gm_batchnorm_add_infer_f32(cases[i].context, 4, 4, x, 4, cases[i].residual, ldresidual, w, w, w, v,
                                            cases[i].options, cases[i].y, ldy);
        ck_assert_msg(status == cases[i].infer, "case %zu: infer: %s", i, gm_status_string(status));
        status = gm_batchnorm_add_backward_f32(cases[i].context, 4, 4, r, 4, x, 4, cases[i].mask, w, saved,
                                               cases[i].options, cases[i].y, ldy, cases[i].z, ldresidual, NULL, NULL);
        ck_assert_msg(status == cases[i].backward, "case %zu: backward: %s", i, gm_status_string(status));
    }
    ck_assert_int_eq(gm_batchnorm_add_forward_f32(context, 3, 4, x, 4, y, 5, w, w, NULL, NULL, NULL, saved, NULL, y, 4),
                     GM_INVALID_ARGUMENT);
    ck_assert_int_eq(
        gm_batchnorm_add_backward_f32(context, 3, 4, z, 5, x, 4, NULL, w, saved, NULL, y, 4, z, 4, NULL, NULL),
        GM_INVALID_ARGUMENT);
    ck_assert_int_eq(gm_batchnorm_line_f32(context, 4, 4, x, 4, w, w, NULL, NULL, NULL, saved, y, NULL),
                     GM_INVALID_ARGUMENT);
    ck_assert_int_eq(gm_batchnorm_line_f32(context, 1, 4, x, 4, w, w, NULL, NULL, NULL, saved, y, z),
                     GM_INVALID_ARGUMENT);
    ck_assert_int_eq(gm_batchnorm_line_f32(bare, 4, 4, x, 4, w, w, NULL, NULL, NULL, saved, y, z),
                     GM_WORKSPACE_TOO_SMALL);
    ck_assert_int_eq(gm_batchnorm_line_f32(context, 4, 4, x, 4, w, w, NULL, NULL, NULL, saved, y, z), GM_OK);
    x[5] = NAN;
    ck_assert_int_eq(gm_batchnorm_line_f32(context, 4, 4, x, 4, w, w, NULL, NULL, NULL, saved, y, z), GM_NOT_FINITE);
    gm_context_destroy(context);
    gm_context_destroy(bare);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("batchnorm_add");
    TCase *tests = tcase_create("batchnorm_add");
    suite_add_tcase(suite, tests);
    tcase_add_loop_test(tests, bits_are_those_of_the_calls_without_a_residual, 0, SHAPES);
    tcase_add_loop_test(tests, inference_is_the_one_without_a_residual, 0, SHAPES);
    tcase_add_loop_test(tests, in_place_gives_the_same_bits, 0, SHAPES);
    tcase_add_loop_test(tests, results_are_made_again_from_what_was_saved, 0, SHAPES);
    tcase_add_test(tests, bits_do_not_depend_on_threads);
    tcase_add_test(tests, streamed_results_have_the_same_bits);
    tcase_add_loop_test(tests, the_line_is_the_normalisation, 0, SHAPES);
    tcase_add_test(tests, bad_arguments_return_their_status);
    tcase_add_test(tests, short_options_are_refused_unread);
    return test_run(suite);
}
