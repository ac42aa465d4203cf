/* gm_barlow_loss_f32() and gm_cross_correlation_tiles_f32(): exact and special cases, memory, threads, arguments.
 * test_barlow_accuracy.c has their errors. */
#include <gemel/barlow.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "support/barlow_reference.h"
#include "support/support.h"

static float *floats(int64_t count)
{
    return malloc((size_t)count * sizeof(float));
}

static double *doubles(int64_t count)
{
    return calloc((size_t)count, sizeof(double));
}

/* ---- Exact results ---- */

/* Rows of +1 and -1, columns balanced: mean 0 and variance 1 are exact, and with n a power of two so is all of C. The
 * loss differs from the exact one only by lambda's multiplications. */
START_TEST(balanced_signs_are_exact)
{
    enum { N = 16, D = 13 };
    gm_isa isas[GM_ISA_COUNT];
    float za[N * D], zb[N * D], dza[N * D], dzb[N * D];
    for (int i = 0; i < N; i++) {
        for (int j = 0; j < D; j++) {
            za[i * D + j] = (float)barlow_walsh(N, i, j);
            zb[i * D + j] = (float)barlow_walsh(N, i, j % 3 ? j : (j + 1) % D);
        }
    }
    gm_barlow_options o = gm_barlow_default_options();
    o.eps = 0.0f;
    o.lambda = 0.125f;
    o.scale = 2.0f;
    barlow_reference ref = barlow_reference_of_floats(&o, N, D, za, zb);
    for (int i = 0, n = test_isas(isas); i < n; i++) {
        for (int f = 0; f < 2; f++) {
            o.form = barlow_forms[f];
            gm_barlow_result result;
            ck_assert_int_eq(barlow_loss(isas[i], 2, N, D, za, zb, &o, &result, dza, dzb), GM_OK);
            ck_assert(result.invariance == ref.invariance && result.redundancy == ref.redundancy);
            ck_assert(result.loss == result.invariance + result.redundancy);
            for (int k = 0; k < N * D; k++)
                ck_assert(dza[k] == (float)ref.dza[k] && dzb[k] == (float)ref.dzb[k]);
        }
    }
    barlow_reference_free(&ref);
}
END_TEST

START_TEST(the_cheaper_form_is_chosen_and_the_result_is_the_same_without_gradients)
{
    const struct {
        int64_t n, d;
        gm_barlow_form form;
    } cases[] = {{44, 50, GM_BARLOW_DUAL},    {45, 50, GM_BARLOW_PRIMAL},  {50, 50, GM_BARLOW_PRIMAL},
                 {61, 100, GM_BARLOW_DUAL},   {62, 100, GM_BARLOW_PRIMAL}, {96, 129, GM_BARLOW_DUAL},
                 {97, 129, GM_BARLOW_PRIMAL}, {340, 400, GM_BARLOW_DUAL},  {348, 400, GM_BARLOW_PRIMAL},
                 {410, 400, GM_BARLOW_PRIMAL}};
    float *za = floats(410 * 400), *zb = floats(410 * 400), *dza = floats(410 * 400), *dzb = floats(410 * 400);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        gm_barlow_result with, without;
        barlow_fill_views(BARLOW_NORMAL, cases[i].n, cases[i].d, za, zb);
        ck_assert_int_eq(barlow_loss(GM_ISA_AUTO, 2, cases[i].n, cases[i].d, za, zb, NULL, &with, dza, dzb), GM_OK);
        ck_assert_int_eq(barlow_loss(GM_ISA_AUTO, 2, cases[i].n, cases[i].d, za, zb, NULL, &without, NULL, NULL),
                         GM_OK);
        ck_assert_int_eq(with.form, cases[i].form);
        ck_assert(test_same_bits(&with.loss, &without.loss, sizeof with.loss));
        ck_assert(test_same_bits(&with.redundancy, &without.redundancy, sizeof with.loss));
    }
    free(za), free(zb), free(dza), free(dzb);
}
END_TEST

/* More rows than the primal form of few columns holds normalised at once. */
START_TEST(blocks_of_rows_add_up)
{
    const int64_t n = 530, d = 511, count = n * d;
    float *za = floats(count), *zb = floats(count), *dz[4];
    double *expected = doubles(count);
    gm_barlow_result result[2];
    barlow_fill_views(BARLOW_NORMAL, n, d, za, zb);
    for (int f = 0; f < 2; f++) {
        gm_barlow_options o = gm_barlow_default_options();
        o.form = barlow_forms[f];
        dz[2 * f] = floats(count), dz[2 * f + 1] = floats(count);
        ck_assert_int_eq(barlow_loss(GM_ISA_AUTO, 2, n, d, za, zb, &o, &result[f], dz[2 * f], dz[2 * f + 1]), GM_OK);
    }
    ck_assert(fabs(result[1].loss - result[0].loss) <= 1e-5 * result[0].loss);
    for (int side = 0; side < 2; side++) {
        double size = 0;
        for (int64_t k = 0; k < count; k++) {
            expected[k] = (double)dz[side][k];
            size += expected[k] * expected[k];
        }
        ck_assert(barlow_error(dz[2 + side], expected, count, sqrt(size)) <= 2e-5);
    }
    for (int k = 0; k < 4; k++)
        free(dz[k]);
    free(za), free(zb), free(expected);
}
END_TEST

/* ---- Columns without variation, two samples, one dimension ---- */

/* Shapes that take different ways, in either form. */
static const int64_t ways[][2] = {{40, 37}, {110, 100}, {270, 45}};

static void check_constant_columns(gm_isa isa, int64_t n, int64_t d, const gm_barlow_options *o, const float *za,
                                   const float *zb)
{
    const int64_t count = n * d;
    float *dza = floats(count), *dzb = floats(count);
    gm_barlow_result result;
    ck_assert_int_eq(barlow_loss(isa, 2, n, d, za, zb, o, &result, dza, dzb), GM_OK);
    ck_assert_int_eq(result.constant_columns, 3);
    barlow_reference ref = barlow_reference_of_floats(o, n, d, za, zb);
    ck_assert(fabs(result.loss - ref.loss) <= 1e-5 * ref.loss);
    ck_assert(barlow_error(dza, ref.dza, count, ref.size_a.whole) <= 1e-5);
    ck_assert(barlow_error(dzb, ref.dzb, count, ref.size_b.whole) <= 1e-5);
    for (int64_t row = 0; row < n && o->normalization != GM_BARLOW_BATCHNORM; row++)
        ck_assert(dza[row * d + 3] == 0.0f && dza[row * d + 36] == 0.0f && dzb[row * d + 36] == 0.0f);
    barlow_reference_free(&ref);
    free(dza), free(dzb);
}

START_TEST(constant_columns_are_counted_and_do_no_harm)
{
    gm_isa isas[GM_ISA_COUNT];
    const int isa_count = test_isas(isas);
    for (size_t w = 0; w < sizeof ways / sizeof *ways; w++) {
        const int64_t n = ways[w][0], d = ways[w][1];
        float *za = floats(n * d), *zb = floats(n * d);
        barlow_fill_views(BARLOW_NORMAL, n, d, za, zb);
        for (int64_t i = 0; i < n; i++) {
            za[i * d + 3] = 0.1f;
            za[i * d + 36] = zb[i * d + 36] = -1234.567f;
        }
        for (int i = 0; i < isa_count; i++) {
            for (int k = 0; k < 6; k++) {
                gm_barlow_options o = gm_barlow_default_options();
                o.normalization = barlow_normalizations[k / 2];
                o.form = barlow_forms[k % 2];
                check_constant_columns(isas[i], n, d, &o, za, zb);
            }
        }
        free(za), free(zb);
    }
}
END_TEST

START_TEST(without_any_eps_a_constant_column_still_gives_numbers)
{
    float za[] = {1, 2, 1, 4, 1, 7}, zb[] = {3, 5, 4, 8, 3, 1}, dza[6], dzb[6];
    gm_barlow_options o = gm_barlow_default_options();
    gm_barlow_result result;
    o.eps = 0.0f;
    ck_assert_int_eq(barlow_loss(GM_ISA_AUTO, 1, 3, 2, za, zb, &o, &result, dza, dzb), GM_OK);
    ck_assert_int_eq(result.constant_columns, 1);
    for (int i = 0; i < 6; i++)
        ck_assert(isfinite(dza[i]) && isfinite(dzb[i]));
}
END_TEST

/* Two samples of one dimension: C is what the normalisation makes of the two signs, and gradients almost vanish, so
 * they are judged against 2 |r b| / s, their size at C = 0. */
START_TEST(two_samples_of_one_dimension)
{
    const float za[] = {1.0f, 3.0f}, zb[] = {-5.0f, -4.0f};
    const double expected[] = {0, 0.25, 0};
    float dza[2], dzb[2];
    gm_isa isas[GM_ISA_COUNT];
    for (int i = 0, n = test_isas(isas); i < n; i++) {
        for (int k = 0; k < 6; k++) {
            gm_barlow_options o = gm_barlow_default_options();
            o.eps = 0.0f;
            o.normalization = barlow_normalizations[k / 2];
            o.form = barlow_forms[k % 2];
            gm_barlow_result result;
            ck_assert_int_eq(barlow_loss(isas[i], 1, 2, 1, za, zb, &o, &result, dza, dzb), GM_OK);
            ck_assert(fabs(result.invariance - expected[k / 2]) <= 1e-6);
            ck_assert(result.redundancy <= 1e-8 && result.redundancy >= 0);
            for (int row = 0; row < 2; row++)
                ck_assert(fabsf(dza[row]) <= 2e-6f && fabsf(dzb[row]) <= 4e-6f);
        }
    }
}
END_TEST

/* Gradients are written everywhere, but for what has no way from the bad value to it. */
static void check_not_finite(gm_isa isa, int64_t n, int64_t d, int64_t at, const gm_barlow_options *o, const float *za,
                             const float *zb)
{
    float *dza = floats(n * d), *dzb = floats(n * d);
    gm_barlow_result result;
    ck_assert_int_eq(barlow_loss(isa, 1, n, d, za, zb, o, &result, NULL, NULL), GM_NOT_FINITE);
    ck_assert(isnan(result.loss));
    for (int64_t k = 0; k < n * d; k++)
        dza[k] = dzb[k] = 1e30f;
    gm_context *context = barlow_context(isa, 1, n, d, o, true);
    ck_assert_int_eq(gm_barlow_loss_f32(context, n, d, za, d, zb, d, o, &result, dza, d, dzb, d), GM_NOT_FINITE);
    gm_context_destroy(context);
    ck_assert(isnan(result.loss));
    ck_assert(isnan(dza[at]) && isnan(dzb[at]));
    for (int64_t k = 0; k < n * d; k++)
        ck_assert(dza[k] != 1e30f && dzb[k] != 1e30f);
    free(dza), free(dzb);
}

START_TEST(not_finite_input_gives_nan_and_its_status)
{
    const float bad[] = {NAN, INFINITY, -INFINITY};
    gm_isa isas[GM_ISA_COUNT];
    const int isa_count = test_isas(isas);
    for (size_t w = 0; w < sizeof ways / sizeof *ways; w++) {
        const int64_t n = ways[w][0], d = ways[w][1], at = 7 * d + 32;
        float *za = floats(n * d), *zb = floats(n * d);
        for (int i = 0; i < isa_count; i++) {
            for (int k = 0; k < 12; k++) {
                gm_barlow_options o = gm_barlow_default_options();
                o.form = barlow_forms[k % 2];
                barlow_fill_views(BARLOW_NORMAL, n, d, za, zb);
                (k < 6 ? za : zb)[at] = bad[k / 2 % 3];
                check_not_finite(isas[i], n, d, at, &o, za, zb);
            }
        }
        free(za), free(zb);
    }
}
END_TEST

/* ---- Memory and threads ---- */

/* Matrices end at an unreadable page, their rows are padded with NaN, and padding of the gradients must survive. */
START_TEST(nothing_beyond_the_matrices_is_touched)
{
    static const int64_t shapes[][2] = {{5, 3},    {16, 33},  {40, 50},  {31, 129}, {70, 65},
                                        {35, 300}, {261, 40}, {64, 261}, {390, 45}};
    gm_isa isas[GM_ISA_COUNT];
    for (int i = 0, count = test_isas(isas); i < count; i++) {
        for (size_t s = 0; s < 2 * sizeof shapes / sizeof *shapes; s++) {
            const int64_t n = shapes[s / 2][0], d = shapes[s / 2][1], ld = d + 5, size = (n - 1) * ld + d;
            float *za = floats(n * d), *zb = floats(n * d), *dza = floats(n * d), *dzb = floats(n * d);
            barlow_fill_views(BARLOW_NORMAL, n, d, za, zb);
            gm_barlow_options o = gm_barlow_default_options();
            o.form = barlow_forms[s % 2];
            gm_barlow_result dense, padded = {.size = sizeof padded};
            ck_assert_int_eq(barlow_loss(isas[i], 2, n, d, za, zb, &o, &dense, dza, dzb), GM_OK);

            test_guard in_a = test_guard_create(size), in_b = test_guard_create_at_start(size);
            test_guard out_a = test_guard_create(size), out_b = test_guard_create_at_start(size);
            for (int64_t row = 0; row < n; row++) {
                memcpy(in_a.data + row * ld, za + row * d, (size_t)d * sizeof(float));
                memcpy(in_b.data + row * ld, zb + row * d, (size_t)d * sizeof(float));
            }
            test_guard_protect(&in_a);
            test_guard_protect(&in_b);
            gm_context *context = barlow_context(isas[i], 2, n, d, &o, true);
            ck_assert_int_eq(gm_barlow_loss_f32(context, n, d, in_a.data, ld, in_b.data, ld, &o, &padded, out_a.data,
                                                ld, out_b.data, ld),
                             GM_OK);
            gm_context_destroy(context);
            ck_assert(padded.loss == dense.loss);
            for (int64_t k = 0; k < size; k++) {
                const int64_t row = k / ld, col = k % ld;
                const float a = out_a.data[k], b = out_b.data[k];
                ck_assert(col < d ? a == dza[row * d + col] && b == dzb[row * d + col] : isnan(a) && isnan(b));
            }
            test_guard_free(&in_a), test_guard_free(&in_b), test_guard_free(&out_a), test_guard_free(&out_b);
            free(za), free(zb), free(dza), free(dzb);
        }
    }
}
END_TEST

/* Large gradients whose vectors are aligned are written past the caches, others are not. */
START_TEST(bits_do_not_depend_on_alignment)
{
    const int64_t n = 64, d = 2051, ld = 2064;
    gm_isa isas[GM_ISA_COUNT];
    float *za = floats(n * d), *zb = floats(n * d), *out[4];
    barlow_fill_views(BARLOW_NORMAL, n, d, za, zb);
    for (int k = 0; k < 4; k++)
        out[k] = aligned_alloc(64, (size_t)(n * ld + 16) * sizeof(float));
    for (int i = 0, count = test_isas(isas); i < count; i++) {
        gm_context *context = barlow_context(isas[i], 2, n, d, NULL, true);
        for (int k = 0; k < 4; k++)
            test_fill_nan(out[k], n * ld + 16);
        for (int shift = 0; shift < 2; shift++) {
            gm_barlow_result result = {.size = sizeof result};
            ck_assert_int_eq(gm_barlow_loss_f32(context, n, d, za, d, zb, d, NULL, &result, out[2 * shift] + shift, ld,
                                                out[2 * shift + 1] + shift, ld),
                             GM_OK);
        }
        for (int64_t k = 0; k < n * ld; k++) {
            ck_assert(k % ld < d ? out[0][k] == out[2][k + 1] : isnan(out[0][k]) && isnan(out[2][k + 1]));
            ck_assert(k % ld < d ? out[1][k] == out[3][k + 1] : isnan(out[1][k]) && isnan(out[3][k + 1]));
        }
        gm_context_destroy(context);
    }
    for (int k = 0; k < 4; k++)
        free(out[k]);
    free(za), free(zb);
}
END_TEST

START_TEST(bits_do_not_depend_on_threads)
{
    static const int32_t threads[] = {1, 2, 3, 7};
    static const int64_t shapes[][2] = {{70, 600}, {16, 1100}, {270, 140}, {400, 75}};
    gm_isa isas[GM_ISA_COUNT];
    for (int i = 0, count = test_isas(isas); i < count; i++) {
        for (size_t s = 0; s < 2 * sizeof shapes / sizeof *shapes; s++) {
            const int64_t n = shapes[s / 2][0], d = shapes[s / 2][1];
            const size_t bytes = (size_t)(n * d) * sizeof(float);
            float *za = floats(n * d), *zb = floats(n * d), *gradients[4];
            for (int k = 0; k < 4; k++)
                gradients[k] = floats(n * d);
            barlow_fill_views(BARLOW_NORMAL, n, d, za, zb);
            gm_barlow_options o = gm_barlow_default_options();
            o.form = barlow_forms[s % 2];
            gm_barlow_result first = {0}, again;
            for (int t = 0; t < 4; t++) {
                gm_barlow_result *result = t ? &again : &first;
                float **out = t ? gradients + 2 : gradients;
                ck_assert_int_eq(barlow_loss(isas[i], threads[t], n, d, za, zb, &o, result, out[0], out[1]), GM_OK);
                ck_assert(t == 0 || test_same_bits(&first.loss, &again.loss, sizeof first.loss));
                ck_assert(test_same_bits(gradients[0], out[0], bytes) && test_same_bits(gradients[1], out[1], bytes));
            }
            for (int k = 0; k < 4; k++)
                free(gradients[k]);
            free(za), free(zb);
        }
    }
}
END_TEST

/* Dual: 8 n^2 bytes, primal: 1024 d bytes, and for both 64 d bytes and 6 MB a thread. */
START_TEST(workspace_keeps_its_bounds)
{
    static const int64_t shapes[][2] = {{2, 1},       {32, 8192},   {256, 8192}, {2048, 8192}, {32, 65536},
                                        {4096, 4096}, {65536, 128}, {512, 256},  {1024, 1100}, {7, 1 << 20},
                                        {2000, 1999}, {512, 512},   {16384, 512}};
    for (int32_t threads = 1; threads <= 4; threads *= 2) {
        gm_context *context = test_context(GM_ISA_AUTO, threads);
        for (size_t s = 0; s < 2 * sizeof shapes / sizeof *shapes; s++) {
            const double n = (double)shapes[s / 2][0], d = (double)shapes[s / 2][1];
            gm_barlow_options o = gm_barlow_default_options();
            o.form = barlow_forms[s % 2];
            const double bytes =
                (double)gm_barlow_loss_f32_workspace(context, shapes[s / 2][0], shapes[s / 2][1], &o, true);
            const double most = (s % 2 ? 1024 * d : 8 * n * n) + 64 * d + 6e6 * threads;
            ck_assert_msg(bytes <= most, "%gx%g, %d threads: %g bytes, %g allowed", n, d, threads, bytes, most);
            ck_assert(bytes >= (s % 2 ? 0 : 8 * n * n));
        }
        gm_context_destroy(context);
    }
}
END_TEST

/* 65536 columns: C would be 17 GB. In double through the dual identity. */
START_TEST(wide_embeddings_run_in_little_memory)
{
    const int64_t n = 12, d = 65536;
    float *za = floats(n * d), *zb = floats(n * d), *dza = floats(n * d), *dzb = floats(n * d);
    double *a = doubles(n * d), *b = doubles(n * d), squares = 0, invariance = 0, inner = 0;
    const gm_barlow_options o = gm_barlow_default_options();
    gm_barlow_result result;
    barlow_fill_views(BARLOW_NORMAL, n, d, za, zb);
    for (int64_t i = 0; i < n * d; i++)
        a[i] = (double)za[i], b[i] = (double)zb[i];
    for (int64_t j = 0; j < d; j++) {
        double diagonal = 0;
        barlow_reference_normalize(&o, n, d, a + j, a + j);
        barlow_reference_normalize(&o, n, d, b + j, b + j);
        for (int64_t i = 0; i < n; i++)
            diagonal += a[i * d + j] * b[i * d + j] / (double)n;
        squares += diagonal * diagonal;
        invariance += (diagonal - 1) * (diagonal - 1);
    }
    for (int64_t i = 0; i < n; i++) {
        for (int64_t k = 0; k < n; k++) {
            double ka = 0, kb = 0;
            for (int64_t j = 0; j < d; j++) {
                ka += a[i * d + j] * a[k * d + j];
                kb += b[i * d + j] * b[k * d + j];
            }
            inner += ka * kb / (double)(n * n);
        }
    }
    ck_assert_int_eq(barlow_loss(GM_ISA_AUTO, 2, n, d, za, zb, NULL, &result, dza, dzb), GM_OK);
    ck_assert_int_eq(result.form, GM_BARLOW_DUAL);
    ck_assert(fabs(result.invariance - invariance) <= 1e-6 * invariance);
    ck_assert(fabs(result.redundancy - (double)o.lambda * (inner - squares)) <= 1e-6 * result.redundancy);
    for (int64_t i = 0; i < n * d; i++)
        ck_assert(isfinite(dza[i]) && isfinite(dzb[i]));
    free(za), free(zb), free(dza), free(dzb), free(a), free(b);
}
END_TEST

/* ---- Tiles ---- */

static void check_tiles(gm_isa isa, int64_t n, int64_t d, int64_t tiles, const gm_barlow_options *o)
{
    float *za = floats(n * d), *zb = floats(n * d);
    const int64_t ldc = tiles + 3;
    test_guard c = test_guard_create((tiles - 1) * ldc + tiles);
    barlow_fill_views(BARLOW_NORMAL, n, d, za, zb);
    barlow_reference ref = barlow_reference_of_floats(o, n, d, za, zb);
    gm_context *context = test_context_with_workspace(isa, 2, 1);
    ck_assert_int_eq(gm_context_reserve(context, gm_cross_correlation_tiles_f32_workspace(context, n, d, tiles)),
                     GM_OK);
    ck_assert_int_eq(gm_cross_correlation_tiles_f32(context, n, d, za, d, zb, d, o, tiles, c.data, ldc), GM_OK);
    for (int64_t row = 0; row < tiles; row++) {
        for (int64_t col = 0; col < tiles; col++) {
            const int64_t i0 = row * d / tiles, i1 = (row + 1) * d / tiles;
            const int64_t j0 = col * d / tiles, j1 = (col + 1) * d / tiles;
            double mean = 0;
            for (int64_t i = i0; i < i1; i++)
                for (int64_t j = j0; j < j1; j++)
                    mean += ref.c[i * d + j] / (double)((i1 - i0) * (j1 - j0));
            ck_assert_msg(fabs((double)c.data[row * ldc + col] - mean) <= 1e-6, "%ldx%ld in %ld tiles: %g not %g",
                          (long)n, (long)d, (long)tiles, c.data[row * ldc + col], mean);
        }
        for (int64_t col = tiles; col < ldc && row < tiles - 1; col++)
            ck_assert(isnan(c.data[row * ldc + col]));
    }
    gm_context_destroy(context);
    barlow_reference_free(&ref);
    test_guard_free(&c);
    free(za), free(zb);
}

START_TEST(tiles_are_means_of_the_cross_correlation)
{
    static const int64_t cases[][3] = {{20, 1, 1}, {20, 33, 1}, {20, 33, 33}, {33, 64, 16}, {17, 131, 12}, {70, 40, 7}};
    gm_isa isas[GM_ISA_COUNT];
    for (int i = 0, n = test_isas(isas); i < n; i++) {
        for (size_t s = 0; s < 3 * sizeof cases / sizeof *cases; s++) {
            gm_barlow_options o = gm_barlow_default_options();
            o.normalization = barlow_normalizations[s % 3];
            check_tiles(isas[i], cases[s / 3][0], cases[s / 3][1], cases[s / 3][2], &o);
        }
    }
}
END_TEST

START_TEST(tiles_report_what_is_not_finite)
{
    float za[12] = {1, 2, 3, 4, 5, 7, 6, 5, 4, 3, 2, 1}, zb[12] = {1, 2, 3, 3, 2, 1, NAN, 1, 2, 5, 5, 5}, c[4];
    gm_context *context = test_context(GM_ISA_AUTO, 1);
    test_fill_nan(c, 4);
    ck_assert_int_eq(gm_cross_correlation_tiles_f32(context, 3, 4, za, 4, zb, 4, NULL, 2, c, 2), GM_NOT_FINITE);
    ck_assert(isfinite(c[0]) && isfinite(c[2]) == isfinite(c[0]) && isnan(c[1]));
    gm_context_destroy(context);
}
END_TEST

/* ---- Bad arguments ---- */

START_TEST(bad_arguments_return_their_status)
{
    enum { N = 3, D = 4, COUNT = N * D };
    gm_context *ample = test_context(GM_ISA_SCALAR, 1), *bare = test_context_with_workspace(GM_ISA_SCALAR, 1, 64);
    float z[COUNT] = {1, 2, 3, 4, 2, 4, 4, 5, 1, 1, 2, 2}, g[COUNT], h[COUNT];
    gm_barlow_result good = {.size = sizeof good}, cut = {.size = 8};
    const gm_barlow_options ok = gm_barlow_default_options();
    gm_barlow_options size = ok, normalization = ok, form = ok, eps = ok, lambda = ok, scale = ok, dual = ok,
                      divisor = ok;
    size.size = 4;
    normalization.normalization = (gm_barlow_normalization)3;
    form.form = (gm_barlow_form)-1;
    eps.eps = -1.0f;
    lambda.lambda = NAN;
    scale.scale = INFINITY;
    dual.form = GM_BARLOW_DUAL;
    divisor.divisor = -1;
    const struct {
        gm_context *context;
        int64_t n, d;
        const float *za;
        int64_t ldza;
        const float *zb;
        int64_t ldzb;
        const gm_barlow_options *options;
        gm_barlow_result *result;
        float *dza;
        int64_t lddza;
        float *dzb;
        int64_t lddzb;
        gm_status status;
    } cases[] = {
        {NULL, N, D, z, D, z, D, NULL, &good, g, D, h, D, GM_INVALID_ARGUMENT},
        {ample, 1, D, z, D, z, D, NULL, &good, g, D, h, D, GM_INVALID_ARGUMENT},
        {ample, -3, D, z, D, z, D, NULL, &good, g, D, h, D, GM_INVALID_ARGUMENT},
        {ample, N, 0, z, D, z, D, NULL, &good, g, D, h, D, GM_INVALID_ARGUMENT},
        {ample, N, D, NULL, D, z, D, NULL, &good, g, D, h, D, GM_INVALID_ARGUMENT},
        {ample, N, D, z, D, NULL, D, NULL, &good, g, D, h, D, GM_INVALID_ARGUMENT},
        {ample, N, D, z, 3, z, D, NULL, &good, g, D, h, D, GM_INVALID_ARGUMENT},
        {ample, N, D, z, D, z, 3, NULL, &good, g, D, h, D, GM_INVALID_ARGUMENT},
        {ample, N, D, z, D, z, D, NULL, &good, g, 3, h, D, GM_INVALID_ARGUMENT},
        {ample, N, D, z, D, z, D, NULL, &good, g, D, h, 3, GM_INVALID_ARGUMENT},
        {ample, N, D, z, D, z, D, NULL, &good, NULL, D, h, D, GM_INVALID_ARGUMENT},
        {ample, N, D, z, D, z, D, NULL, &good, g, D, NULL, D, GM_INVALID_ARGUMENT},
        {ample, N, D, z, D, z, D, NULL, NULL, g, D, h, D, GM_INVALID_ARGUMENT},
        {ample, N, D, z, D, z, D, NULL, &cut, g, D, h, D, GM_INVALID_ARGUMENT},
        {ample, N, D, z, D, z, D, &size, &good, g, D, h, D, GM_INVALID_ARGUMENT},
        {ample, N, D, z, D, z, D, &normalization, &good, g, D, h, D, GM_INVALID_ARGUMENT},
        {ample, N, D, z, D, z, D, &form, &good, g, D, h, D, GM_INVALID_ARGUMENT},
        {ample, N, D, z, D, z, D, &eps, &good, g, D, h, D, GM_INVALID_ARGUMENT},
        {ample, N, D, z, D, z, D, &lambda, &good, g, D, h, D, GM_INVALID_ARGUMENT},
        {ample, N, D, z, D, z, D, &scale, &good, g, D, h, D, GM_INVALID_ARGUMENT},
        {ample, N, D, z, D, z, D, &divisor, &good, g, D, h, D, GM_INVALID_ARGUMENT},
        {ample, INT64_MAX / 8, D, z, D, z, D, NULL, &good, g, D, h, D, GM_SIZE_OVERFLOW},
        {ample, INT64_C(1) << 40, D, z, D, z, D, &dual, &good, g, D, h, D, GM_SIZE_OVERFLOW},
        {bare, N, D, z, D, z, D, NULL, &good, g, D, h, D, GM_WORKSPACE_TOO_SMALL},
        {bare, N, D, z, D, z, D, NULL, &good, NULL, 0, NULL, 0, GM_WORKSPACE_TOO_SMALL},
        {ample, N, D, z, D, z, D, NULL, &good, NULL, 0, NULL, 0, GM_OK},
        {ample, N, D, z, D, z, D, &ok, &good, g, D, h, D, GM_OK},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const gm_status status = gm_barlow_loss_f32(
            cases[i].context, cases[i].n, cases[i].d, cases[i].za, cases[i].ldza, cases[i].zb, cases[i].ldzb,
            cases[i].options, cases[i].result, cases[i].dza, cases[i].lddza, cases[i].dzb, cases[i].lddzb);
        ck_assert_msg(status == cases[i].status, "case %zu: %s", i, gm_status_string(status));
    }
    gm_context_destroy(ample);
    gm_context_destroy(bare);
}
END_TEST

START_TEST(bad_arguments_of_tiles_return_their_status)
{
    gm_context *ample = test_context(GM_ISA_SCALAR, 1), *bare = test_context_with_workspace(GM_ISA_SCALAR, 1, 64);
    float z[12] = {1, 2, 3, 4, 2, 4, 4, 5, 1, 1, 2, 2}, c[16];
    const struct {
        gm_context *context;
        int64_t n, d, tiles;
        float *c;
        int64_t ldc;
        gm_status status;
    } cases[] = {
        {NULL, 3, 4, 2, c, 2, GM_INVALID_ARGUMENT},     {ample, 1, 4, 2, c, 2, GM_INVALID_ARGUMENT},
        {ample, 3, 4, 0, c, 2, GM_INVALID_ARGUMENT},    {ample, 3, 4, 5, c, 5, GM_INVALID_ARGUMENT},
        {ample, 3, 4, 2, NULL, 2, GM_INVALID_ARGUMENT}, {ample, 3, 4, 2, c, 1, GM_INVALID_ARGUMENT},
        {bare, 3, 4, 2, c, 2, GM_WORKSPACE_TOO_SMALL},  {ample, 3, 4, 2, c, 2, GM_OK},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const gm_status status = gm_cross_correlation_tiles_f32(cases[i].context, cases[i].n, cases[i].d, z, 4, z, 4,
                                                                NULL, cases[i].tiles, cases[i].c, cases[i].ldc);
        ck_assert_msg(status == cases[i].status, "case %zu: %s", i, gm_status_string(status));
    }
    gm_context_destroy(ample);
    gm_context_destroy(bare);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("barlow");
    TCase *tests = tcase_create("barlow");
    suite_add_tcase(suite, tests);
    tcase_add_test(tests, balanced_signs_are_exact);
    tcase_add_test(tests, the_cheaper_form_is_chosen_and_the_result_is_the_same_without_gradients);
    tcase_add_test(tests, blocks_of_rows_add_up);
    tcase_add_test(tests, constant_columns_are_counted_and_do_no_harm);
    tcase_add_test(tests, without_any_eps_a_constant_column_still_gives_numbers);
    tcase_add_test(tests, two_samples_of_one_dimension);
    tcase_add_test(tests, not_finite_input_gives_nan_and_its_status);
    tcase_add_test(tests, nothing_beyond_the_matrices_is_touched);
    tcase_add_test(tests, bits_do_not_depend_on_alignment);
    tcase_add_test(tests, bits_do_not_depend_on_threads);
    tcase_add_test(tests, workspace_keeps_its_bounds);
    tcase_add_test(tests, wide_embeddings_run_in_little_memory);
    tcase_add_test(tests, tiles_are_means_of_the_cross_correlation);
    tcase_add_test(tests, tiles_report_what_is_not_finite);
    tcase_add_test(tests, bad_arguments_return_their_status);
    tcase_add_test(tests, bad_arguments_of_tiles_return_their_status);
    return test_run(suite);
}
