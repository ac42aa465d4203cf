/* gm_max_pool_*_f32() and gm_average_pool_*_f32(): numbers are small integers, so that every result is exact. */
#include <gemel/pool.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "data/pool.h"
#include "support/support.h"

typedef struct pooling {
    int64_t images, height, width, channels, pad; /* pad: of the leading dimensions */
    int64_t kernel, stride, padding;              /* of max pooling */
    int64_t grid;                                 /* of average pooling */
    bool planar;
    int64_t groups; /* of the line; 0: none */
    bool relu;
} pooling;

static const pooling cases[] = {
    {1, 1, 1, 1, 0, 1, 1, 0, 1, false, 0, false},   {1, 1, 1, 5, 2, 3, 2, 1, 2, true, 1, true},
    {2, 5, 7, 3, 1, 3, 2, 1, 2, false, 0, false},   {4, 6, 4, 17, 3, 2, 2, 0, 3, true, 2, true},
    {2, 7, 7, 33, 0, 3, 2, 1, 2, true, 2, false},   {1, 8, 9, 16, 0, 3, 1, 1, 1, false, 1, true},
    {3, 4, 11, 19, 5, 4, 3, 2, 4, false, 3, true},  {2, 9, 6, 8, 0, 2, 5, 0, 5, true, 0, false},
    {1, 3, 2, 40, 0, 5, 1, 2, 16, true, 1, true},   {1, 33, 31, 4, 1, 16, 3, 8, 7, false, 0, false},
    {2, 2, 2, 1100, 4, 2, 2, 0, 2, true, 1, true},  {1, 2, 3, 4133, 0, 2, 1, 1, 1, false, 1, false},
    {2, 56, 56, 64, 0, 3, 2, 1, 1, false, 2, true},
};

enum { CASES = sizeof cases / sizeof *cases };

typedef struct operands {
    int64_t ld, out_height, out_width;
    test_guard x, scale, shift;
    test_guard y, dy, dv;                /* max pooling */
    test_guard mean, dmean, dv_of_means; /* average pooling */
    test_guard winner_floats;            /* holds the bytes */
    uint8_t *winners;
    gm_pool_line line;
    gm_max_pool_options max;
    gm_average_pool_options average;
} operands;

static int64_t matrix_size(int64_t rows, int64_t cols, int64_t ld)
{
    return rows > 0 ? (rows - 1) * ld + cols : 0;
}

static test_guard integers(test_random *random, int64_t rows, int64_t cols, int64_t ld, int most)
{
    test_guard guard = test_guard_create(matrix_size(rows, cols, ld));
    for (int64_t i = 0; i < rows; i++)
        test_fill_integers(random, guard.data + i * ld, cols, most);
    test_guard_protect(&guard);
    return guard;
}

static operands operands_create(const pooling *p, uint64_t seed)
{
    test_random random = test_random_create(seed);
    operands o = {.ld = p->channels + p->pad};
    const int64_t pixels = p->images * p->height * p->width, groups = p->groups ? p->groups : 1;
    const int64_t cells = p->grid * p->grid * p->channels;
    o.max = gm_max_pool_default_options();
    o.max.kernel = p->kernel;
    o.max.stride = p->stride;
    o.max.padding = p->padding;
    o.average = gm_average_pool_default_options();
    o.average.grid = p->grid;
    o.average.planar = p->planar;
    o.out_height = gm_max_pool_extent(p->height, &o.max);
    o.out_width = gm_max_pool_extent(p->width, &o.max);
    const int64_t out = p->images * o.out_height * o.out_width;
    o.x = integers(&random, pixels, p->channels, o.ld, 3);
    o.scale = integers(&random, groups, p->channels, p->channels, 2);
    o.shift = integers(&random, groups, p->channels, p->channels, 2);
    o.dy = integers(&random, out, p->channels, o.ld, 9);
    o.dmean = integers(&random, p->images, cells, cells + p->pad, 9);
    o.y = test_guard_create(matrix_size(out, p->channels, o.ld));
    o.dv = test_guard_create(matrix_size(pixels, p->channels, o.ld));
    o.mean = test_guard_create(matrix_size(p->images, cells, cells + p->pad));
    o.dv_of_means = test_guard_create(matrix_size(pixels, p->channels, o.ld));
    const int64_t bytes = out * p->channels;
    o.winner_floats = test_guard_create((bytes + 3) / 4);
    o.winners = (uint8_t *)(o.winner_floats.data + o.winner_floats.count) - bytes;
    return o;
}

/* The options' line lies in the structure, which must not move afterwards. */
static void set_line(const pooling *p, operands *o)
{
    o->line = (gm_pool_line){p->groups, o->scale.data, o->shift.data, p->relu};
    o->max.line = o->average.line = p->groups ? &o->line : NULL;
}

static void operands_free(operands *o)
{
    test_guard *const all[] = {&o->x,  &o->scale, &o->shift, &o->y,           &o->dy,
                               &o->dv, &o->mean,  &o->dmean, &o->dv_of_means, &o->winner_floats};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        test_guard_free(all[i]);
}

static void run(gm_context *context, const pooling *p, operands *o)
{
    const int64_t ldmean = p->grid * p->grid * p->channels + p->pad;
    ck_assert_int_eq(gm_max_pool_forward_f32(context, p->images, p->height, p->width, p->channels, o->x.data, o->ld,
                                             &o->max, o->y.data, o->ld, o->winners),
                     GM_OK);
    ck_assert_int_eq(gm_max_pool_backward_f32(context, p->images, p->height, p->width, p->channels, o->dy.data, o->ld,
                                              o->winners, &o->max, o->dv.data, o->ld),
                     GM_OK);
    ck_assert_int_eq(gm_average_pool_forward_f32(context, p->images, p->height, p->width, p->channels, o->x.data, o->ld,
                                                 &o->average, o->mean.data, ldmean),
                     GM_OK);
    ck_assert_int_eq(gm_average_pool_backward_f32(context, p->images, p->height, p->width, p->channels, o->dmean.data,
                                                  ldmean, &o->average, o->dv_of_means.data, o->ld),
                     GM_OK);
}

static float value_at(const pooling *p, const operands *o, int64_t n, int64_t h, int64_t w, int64_t c)
{
    const float x = o->x.data[((n * p->height + h) * p->width + w) * o->ld + c];
    if (!p->groups)
        return x;
    const int64_t column = n / (p->images / p->groups) * p->channels + c;
    const float v = o->scale.data[column] * x + o->shift.data[column];
    return p->relu && v < 0 ? 0 : v;
}

static void expect(const char *what, int64_t at, float is, float expected)
{
    if (is != expected && !(isnan(is) && isnan(expected))) /* ck_assert() is too slow for every element */
        ck_abort_msg("%s[%ld] is %g instead of %g", what, (long)at, is, expected);
}

/* One window of max pooling as PyTorch does it; dv: [images * height * width, channels]. */
static void check_window(const pooling *p, const operands *o, int64_t n, int64_t i, int64_t j, int64_t c, float *dv)
{
    float best = -INFINITY;
    int64_t winner = -1, pixel = -1;
    for (int64_t place = 0; place < p->kernel * p->kernel; place++) {
        const int64_t h = i * p->stride - p->padding + place / p->kernel;
        const int64_t w = j * p->stride - p->padding + place % p->kernel;
        if (h < 0 || h >= p->height || w < 0 || w >= p->width)
            continue;
        const float v = value_at(p, o, n, h, w, c);
        if (winner < 0 || v > best || isnan(v)) {
            best = v;
            winner = place;
            pixel = (n * p->height + h) * p->width + w;
        }
    }
    const int64_t out = (n * o->out_height + i) * o->out_width + j;
    expect("y", out * o->ld + c, o->y.data[out * o->ld + c], best);
    expect("winners", out * p->channels + c, o->winners[out * p->channels + c], (float)winner);
    dv[pixel * p->channels + c] += o->dy.data[out * o->ld + c];
}

static void check_max(const pooling *p, const operands *o)
{
    const int64_t pixels = p->images * p->height * p->width;
    float *dv = calloc((size_t)(pixels * p->channels), sizeof *dv);
    for (int64_t n = 0; n < p->images; n++)
        for (int64_t i = 0; i < o->out_height; i++)
            for (int64_t j = 0; j < o->out_width; j++)
                for (int64_t c = 0; c < p->channels; c++)
                    check_window(p, o, n, i, j, c, dv);
    for (int64_t pixel = 0; pixel < pixels; pixel++)
        for (int64_t c = 0; c < p->channels; c++)
            expect("dv", pixel * o->ld + c, o->dv.data[pixel * o->ld + c], dv[pixel * p->channels + c]);
    free(dv);
}

static int64_t cell_first(int64_t i, int64_t size, int64_t grid)
{
    return (int64_t)floor((double)(i * size) / (double)grid);
}

static int64_t cell_last(int64_t i, int64_t size, int64_t grid)
{
    return (int64_t)ceil((double)((i + 1) * size) / (double)grid);
}

/* One cell of average pooling; shares are rounded one by one, so dv is summed in double. */
static void check_cell(const pooling *p, const operands *o, int64_t n, int64_t cell, int64_t c, double *dv)
{
    const int64_t cells = p->grid * p->grid, i = cell / p->grid, j = cell % p->grid;
    const int64_t h0 = cell_first(i, p->height, p->grid), h1 = cell_last(i, p->height, p->grid);
    const int64_t w0 = cell_first(j, p->width, p->grid), w1 = cell_last(j, p->width, p->grid);
    const int64_t at = n * (cells * p->channels + p->pad) + (p->planar ? c * cells + cell : cell * p->channels + c);
    const float count = (float)((h1 - h0) * (w1 - w0));
    float sum = 0;
    for (int64_t h = h0; h < h1; h++)
        for (int64_t w = w0; w < w1; w++) {
            sum += value_at(p, o, n, h, w, c);
            dv[((n * p->height + h) * p->width + w) * p->channels + c] += (double)(o->dmean.data[at] / count);
        }
    expect("mean", at, o->mean.data[at], sum / count);
}

static void check_average(const pooling *p, const operands *o)
{
    const int64_t pixels = p->images * p->height * p->width, cells = p->grid * p->grid;
    double *dv = calloc((size_t)(pixels * p->channels), sizeof *dv);
    for (int64_t n = 0; n < p->images; n++)
        for (int64_t cell = 0; cell < cells; cell++)
            for (int64_t c = 0; c < p->channels; c++)
                check_cell(p, o, n, cell, c, dv);
    for (int64_t pixel = 0; pixel < pixels; pixel++)
        for (int64_t c = 0; c < p->channels; c++) {
            const double is = (double)o->dv_of_means.data[pixel * o->ld + c], d = dv[pixel * p->channels + c];
            if (!(fabs(is - d) <= 9.0 * (double)cells * (double)cells * test_unit_roundoff))
                ck_abort_msg("dv of means [%ld, %ld] is %g instead of %g", (long)pixel, (long)c, is, d);
        }
    free(dv);
}

static void check_padding(const pooling *p, const operands *o, const test_guard *guard)
{
    for (int64_t i = 0; i < guard->count; i++)
        if (i % o->ld >= p->channels && !isnan(guard->data[i]))
            ck_abort_msg("padding at %ld was written", (long)i);
}

START_TEST(values_are_exact)
{
    const pooling *p = &cases[_i];
    gm_isa isas[GM_ISA_COUNT];
    for (int i = 0, n = test_isas(isas); i < n; i++) {
        operands o = operands_create(p, (uint64_t)_i);
        gm_context *context = test_context(isas[i], 2);
        set_line(p, &o);
        run(context, p, &o);
        check_max(p, &o);
        check_average(p, &o);
        check_padding(p, &o, &o.y);
        check_padding(p, &o, &o.dv);
        check_padding(p, &o, &o.dv_of_means);
        gm_context_destroy(context);
        operands_free(&o);
    }
}
END_TEST

/* Normal numbers, so that the order of sums shows. */
START_TEST(bits_do_not_depend_on_threads)
{
    static const int32_t threads[] = {1, 2, 3, 7};
    static const pooling p = {4, 21, 19, 70, 0, 3, 2, 1, 2, true, 2, true};
    gm_isa isas[GM_ISA_COUNT];
    for (int i = 0, n = test_isas(isas); i < n; i++) {
        operands all[4];
        for (int t = 0; t < 4; t++) {
            operands *o = &all[t];
            *o = operands_create(&p, 1);
            set_line(&p, o);
            float *x = malloc((size_t)o->x.count * sizeof *x);
            test_random random = test_random_create(5);
            test_fill_normal(&random, x, o->x.count, 0, 1);
            test_guard_free(&o->x);
            o->x = test_guard_create(4 * 21 * 19 * 70);
            memcpy(o->x.data, x, (size_t)o->x.count * sizeof *x);
            free(x);
            gm_context *context = test_context(isas[i], threads[t]);
            run(context, &p, o);
            const test_guard *const mine[] = {&o->y, &o->dv, &o->mean, &o->dv_of_means, &o->winner_floats};
            const test_guard *const first[] = {&all[0].y, &all[0].dv, &all[0].mean, &all[0].dv_of_means,
                                               &all[0].winner_floats};
            for (int g = 0; g < 5; g++)
                ck_assert(test_same_bits(mine[g]->data, first[g]->data, (size_t)mine[g]->count * sizeof(float)));
            gm_context_destroy(context);
        }
        for (int t = 0; t < 4; t++)
            operands_free(&all[t]);
    }
}
END_TEST

static void check_torch_max(gm_context *context, int64_t kernel, int64_t padding, const float *y, const float *dy,
                            const float *dx)
{
    enum { IMAGES = 2, HEIGHT = 5, WIDTH = 7, CHANNELS = 3, SIZE = IMAGES * HEIGHT * WIDTH * CHANNELS };
    float out[SIZE], dv[SIZE];
    uint8_t winners[SIZE];
    gm_max_pool_options options = gm_max_pool_default_options();
    options.kernel = kernel;
    options.padding = padding;
    gm_max_pool_forward_f32(context, IMAGES, HEIGHT, WIDTH, CHANNELS, torch_nan_x, CHANNELS, &options, out, CHANNELS,
                            winners);
    gm_max_pool_backward_f32(context, IMAGES, HEIGHT, WIDTH, CHANNELS, dy, CHANNELS, winners, &options, dv, CHANNELS);
    const int64_t count =
        IMAGES * gm_max_pool_extent(HEIGHT, &options) * gm_max_pool_extent(WIDTH, &options) * CHANNELS;
    for (int64_t i = 0; i < count; i++)
        expect("y", i, out[i], y[i]);
    for (int64_t i = 0; i < SIZE; i++)
        expect("dv", i, dv[i], dx[i]);
}

START_TEST(max_pooling_is_pytorchs)
{
    gm_isa isas[GM_ISA_COUNT];
    for (int i = 0, n = test_isas(isas); i < n; i++) {
        gm_context *context = test_context(isas[i], 1);
        check_torch_max(context, 3, 1, torch_max_3_2_1_y, torch_max_3_2_1_dy, torch_max_3_2_1_dx);
        check_torch_max(context, 2, 0, torch_max_2_2_0_y, torch_max_2_2_0_dy, torch_max_2_2_0_dx);
        gm_context_destroy(context);
    }
}
END_TEST

START_TEST(average_pooling_is_pytorchs)
{
    enum { IMAGES = 2, HEIGHT = 5, WIDTH = 7, CHANNELS = 3, CELLS = 4, SIZE = IMAGES * HEIGHT * WIDTH * CHANNELS };
    gm_isa isas[GM_ISA_COUNT];
    gm_average_pool_options options = gm_average_pool_default_options();
    options.grid = 2;
    options.planar = true;
    for (int i = 0, n = test_isas(isas); i < n; i++) {
        gm_context *context = test_context(isas[i], 1);
        float y[IMAGES * CELLS * CHANNELS], dv[SIZE];
        gm_average_pool_forward_f32(context, IMAGES, HEIGHT, WIDTH, CHANNELS, torch_x, CHANNELS, &options, y,
                                    CELLS * CHANNELS);
        gm_average_pool_backward_f32(context, IMAGES, HEIGHT, WIDTH, CHANNELS, torch_average_dy, CELLS * CHANNELS,
                                     &options, dv, CHANNELS);
        for (int j = 0; j < IMAGES * CELLS * CHANNELS; j++)
            ck_assert_float_eq_tol(y[j], torch_average_y[j], 1e-6f);
        for (int j = 0; j < SIZE; j++)
            ck_assert_float_eq_tol(dv[j], torch_average_dx[j], 1e-6f);
        gm_context_destroy(context);
    }
}
END_TEST

START_TEST(relu_and_averages_keep_not_a_number)
{
    gm_isa isas[GM_ISA_COUNT];
    const float x[4] = {NAN, -INFINITY, -1, 2}, scale[2] = {1, 1}, shift[2] = {0, 0};
    const gm_pool_line line = {1, scale, shift, true};
    gm_max_pool_options max = {sizeof max, 2, 1, 0, &line};
    gm_average_pool_options average = {sizeof average, 1, false, &line};
    for (int i = 0, n = test_isas(isas); i < n; i++) {
        gm_context *context = test_context(isas[i], 1);
        float y[2];
        max.kernel = 1;
        max.stride = 2;
        ck_assert_int_eq(gm_max_pool_forward_f32(context, 1, 1, 2, 2, x, 2, &max, y, 2, NULL), GM_OK);
        ck_assert(isnan(y[0]) && y[1] == 0);
        ck_assert_int_eq(gm_average_pool_forward_f32(context, 1, 1, 2, 2, x, 2, &average, y, 2), GM_OK);
        ck_assert(isnan(y[0]) && y[1] == 1);
        gm_context_destroy(context);
    }
}
END_TEST

START_TEST(bad_arguments_return_their_status)
{
    gm_context *context = test_context(GM_ISA_SCALAR, 1);
    float x[64] = {0}, y[64];
    uint8_t winners[64];
    const gm_max_pool_options small = {1, 3, 2, 1, NULL}, wide = {sizeof wide, 17, 1, 0, NULL},
                              padded = {sizeof padded, 3, 2, 2, NULL}, still = {sizeof still, 3, 0, 1, NULL};
    const gm_pool_line odd = {3, x, x, false}, none = {1, NULL, x, false};
    const gm_max_pool_options thirds = {sizeof thirds, 3, 2, 1, &odd}, lineless = {sizeof lineless, 3, 2, 1, &none};
    const struct {
        gm_context *context;
        int64_t images, height, channels, ldx, ldy;
        const float *x;
        float *y;
        const gm_max_pool_options *options;
        gm_status status;
    } table[] = {
        {NULL, 2, 4, 2, 2, 2, x, y, NULL, GM_INVALID_ARGUMENT},
        {context, -2, 4, 2, 2, 2, x, y, NULL, GM_INVALID_ARGUMENT},
        {context, 2, -4, 2, 2, 2, x, y, NULL, GM_INVALID_ARGUMENT},
        {context, 2, 4, -2, 2, 2, x, y, NULL, GM_INVALID_ARGUMENT},
        {context, 2, 4, 2, 1, 2, x, y, NULL, GM_INVALID_ARGUMENT},
        {context, 2, 4, 2, 2, 1, x, y, NULL, GM_INVALID_ARGUMENT},
        {context, 2, 4, 2, 2, 2, NULL, y, NULL, GM_INVALID_ARGUMENT},
        {context, 2, 4, 2, 2, 2, x, NULL, NULL, GM_INVALID_ARGUMENT},
        {context, 2, 4, 2, 2, 2, x, y, &small, GM_INVALID_ARGUMENT},
        {context, 2, 4, 2, 2, 2, x, y, &wide, GM_INVALID_ARGUMENT},
        {context, 2, 4, 2, 2, 2, x, y, &padded, GM_INVALID_ARGUMENT},
        {context, 2, 4, 2, 2, 2, x, y, &still, GM_INVALID_ARGUMENT},
        {context, 2, 4, 2, 2, 2, x, y, &thirds, GM_INVALID_ARGUMENT},
        {context, 2, 4, 2, 2, 2, x, y, &lineless, GM_INVALID_ARGUMENT},
        {context, INT64_MAX / 2, 4, 2, 2, 2, x, y, NULL, GM_SIZE_OVERFLOW},
        {context, 0, 4, 2, 2, 2, NULL, NULL, NULL, GM_OK},
        {context, 2, 4, 0, 2, 2, NULL, NULL, NULL, GM_OK},
        {context, 2, 4, 2, 2, 2, x, y, NULL, GM_OK},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        const gm_status status =
            gm_max_pool_forward_f32(table[i].context, table[i].images, table[i].height, 4, table[i].channels,
                                    table[i].x, table[i].ldx, table[i].options, table[i].y, table[i].ldy, winners);
        ck_assert_msg(status == table[i].status, "case %zu: %s", i, gm_status_string(status));
    }
    ck_assert_int_eq(gm_max_pool_backward_f32(context, 2, 4, 4, 2, x, 2, NULL, NULL, y, 2), GM_INVALID_ARGUMENT);
    const gm_average_pool_options fine = {sizeof fine, 17, false, NULL}, coarse = {sizeof coarse, 0, false, NULL};
    ck_assert_int_eq(gm_average_pool_forward_f32(context, 2, 4, 4, 2, x, 2, &fine, y, 4), GM_INVALID_ARGUMENT);
    ck_assert_int_eq(gm_average_pool_backward_f32(context, 2, 4, 4, 2, x, 2, &coarse, y, 2), GM_INVALID_ARGUMENT);
    ck_assert_int_eq(gm_average_pool_forward_f32(context, 2, 0, 4, 2, x, 2, NULL, y, 2), GM_INVALID_ARGUMENT);
    ck_assert_int_eq(gm_max_pool_extent(0, NULL), 0);
    ck_assert_int_eq(gm_max_pool_extent(224 / 2, NULL), 56);
    gm_context_destroy(context);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("pool");
    TCase *tests = tcase_create("pool");
    suite_add_tcase(suite, tests);
    tcase_add_loop_test(tests, values_are_exact, 0, CASES);
    tcase_add_test(tests, bits_do_not_depend_on_threads);
    tcase_add_test(tests, max_pooling_is_pytorchs);
    tcase_add_test(tests, average_pooling_is_pytorchs);
    tcase_add_test(tests, relu_and_averages_keep_not_a_number);
    tcase_add_test(tests, bad_arguments_return_their_status);
    return test_run(suite);
}
