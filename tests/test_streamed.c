/* Results of 32 MiB and more go past the caches where all rows are aligned, unless they are in place: the bits are the
 * same either way, and matrices that are not aligned are welcome. */
#include <gemel/gemel.h>
#include <stdlib.h>
#include <string.h>

#include "support/support.h"

enum { ROWS = 1027, COLS = 8192, PADDED = COLS + 1, COUNT = ROWS * PADDED, ALIGNMENT = 64 };

/* Where a matrix begins, in floats behind an aligned place, and the distance of its rows. */
typedef struct layout {
    int64_t offset, ld;
} layout;

static const layout layouts[] = {{0, COLS}, {1, COLS}, {0, PADDED}};

enum { LAYOUTS = sizeof layouts / sizeof *layouts };

/* in, out: of the layout; other: a further operand, of COLS columns; columns: [4, COLS], to be written. */
typedef void (*call)(gm_context *context, const float *in, const float *other, int64_t ld, float *out, float *columns);

static float *allocate(void)
{
    const size_t bytes = ((size_t)COUNT + ALIGNMENT) * sizeof(float);
    float *x = aligned_alloc(ALIGNMENT, bytes / ALIGNMENT * ALIGNMENT);
    ck_assert(x);
    return x;
}

static bool same(const float *a, const float *b, int64_t ld)
{
    for (int64_t i = 0; i < ROWS; i++)
        if (!test_same_bits(a + i * ld, b + i * ld, COLS * sizeof *a))
            return false;
    return true;
}

/* The call in place and not. */
static void check(call f, const layout *l)
{
    gm_isa isas[GM_ISA_COUNT];
    float *const in = allocate(), *const other = allocate(), *const out = allocate(), *const copy = allocate(),
                 *const columns = calloc(4 * PADDED, sizeof *columns);
    test_random random = test_random_create(1);
    test_fill_integers(&random, in, COUNT, 100);
    test_fill_integers(&random, other, COUNT, 100);
    for (int k = 0, n = test_isas(isas); k < n; k++) {
        gm_context *context = test_context(isas[k], 2);
        size_t bytes = gm_batchnorm_f32_workspace(context, ROWS, COLS, NULL);
        bytes += gm_layernorm_f32_workspace(context, ROWS, COLS) + gm_bias_relu_f32_workspace(context, ROWS, COLS);
        ck_assert_int_eq(gm_context_reserve(context, bytes), GM_OK);
        memcpy(copy, in, COUNT * sizeof *copy);
        test_fill_nan(out, COUNT);
        f(context, in + l->offset, other, l->ld, out + l->offset, columns);
        f(context, copy + l->offset, other, l->ld, copy + l->offset, columns);
        ck_assert(same(out + l->offset, copy + l->offset, l->ld));
        gm_context_destroy(context);
    }
    float *const all[] = {in, other, out, copy, columns};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        free(all[i]);
}

static gm_batchnorm_options with_relu(void)
{
    gm_batchnorm_options options = gm_batchnorm_default_options();
    options.relu = true;
    return options;
}

static void batchnorm_forward(gm_context *context, const float *in, const float *other, int64_t ld, float *out,
                              float *columns)
{
    const gm_batchnorm_options options = with_relu();
    (void)other;
    ck_assert_int_eq(
        gm_batchnorm_forward_f32(context, ROWS, COLS, in, ld, NULL, NULL, &options, NULL, NULL, columns, out, ld),
        GM_OK);
}

/* in: dy */
static void batchnorm_backward(gm_context *context, const float *in, const float *other, int64_t ld, float *out,
                               float *columns)
{
    const gm_batchnorm_options options = with_relu();
    for (int64_t j = 0; j < COLS; j++) { /* mean and its low part, inverse deviation */
        columns[j] = 1;
        columns[COLS + j] = 0;
        columns[2 * COLS + j] = 0.5f;
    }
    ck_assert_int_eq(gm_batchnorm_backward_f32(context, ROWS, COLS, in, ld, other, COLS, NULL, NULL, columns, &options,
                                               out, ld, NULL, NULL),
                     GM_OK);
}

static void layernorm_forward(gm_context *context, const float *in, const float *other, int64_t ld, float *out,
                              float *columns)
{
    (void)other;
    ck_assert_int_eq(gm_layernorm_forward_f32(context, ROWS, COLS, in, ld, NULL, NULL, NULL, columns, out, ld), GM_OK);
}

static void layernorm_backward(gm_context *context, const float *in, const float *other, int64_t ld, float *out,
                               float *columns)
{
    for (int64_t i = 0; i < 3 * ROWS; i++)
        columns[i] = i % 3 == 2 ? 0.5f : 0; /* mean and its low part, inverse deviation */
    ck_assert_int_eq(gm_layernorm_backward_f32(context, ROWS, COLS, in, ld, other, COLS, NULL, columns, NULL, out, ld,
                                               columns + 3 * PADDED - COLS, columns + 3 * PADDED),
                     GM_OK);
}

static void bias_relu_forward(gm_context *context, const float *in, const float *other, int64_t ld, float *out,
                              float *columns)
{
    (void)columns;
    ck_assert_int_eq(gm_bias_relu_forward_f32(context, ROWS, COLS, in, ld, other, true, out, ld), GM_OK);
}

static void bias_relu_backward(gm_context *context, const float *in, const float *other, int64_t ld, float *out,
                               float *columns)
{
    ck_assert_int_eq(gm_bias_relu_backward_f32(context, ROWS, COLS, in, ld, other, COLS, true, out, ld, columns),
                     GM_OK);
}

static const call calls[] = {batchnorm_forward,  batchnorm_backward, layernorm_forward,
                             layernorm_backward, bias_relu_forward,  bias_relu_backward};

enum { CALLS = sizeof calls / sizeof *calls };

START_TEST(streamed_results_are_those_in_place)
{
    check(calls[_i / LAYOUTS], &layouts[_i % LAYOUTS]);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("streamed");
    TCase *tests = tcase_create("streamed");
    suite_add_tcase(suite, tests);
    tcase_add_loop_test(tests, streamed_results_are_those_in_place, 0, CALLS * LAYOUTS);
    return test_run(suite);
}
