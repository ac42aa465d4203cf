/* gm_barlow_loss_f32() against PyTorch, and the reference of the tests against PyTorch and finite differences. */
#include <gemel/barlow.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/barlow_reference.h"
#include "support/support.h"

static const char *const normalization_names[] = {"batchnorm", "unbiased", "cosine"};

static float *floats(int64_t count)
{
    return malloc((size_t)count * sizeof(float));
}

static double *doubles(int64_t count)
{
    return calloc((size_t)count, sizeof(double));
}

/* ---- PyTorch's values ---- */

typedef struct stored {
    barlow_input kind;
    int64_t n, d;
    gm_barlow_normalization normalization;
    double loss, probe_a, probe_b;                         /* float64 */
    double loss_error, gradient_error_a, gradient_error_b; /* float32 */
} stored;

static int name_index(const char *const *names, int count, const char *name)
{
    for (int i = 0; i < count; i++)
        if (!strcmp(names[i], name))
            return i;
    ck_abort_msg("unknown name %s", name);
    return -1;
}

/* The next row of the file; false at its end. */
static bool stored_next(FILE *file, stored *row)
{
    char line[512], kind[16], normalization[16];
    while (fgets(line, sizeof line, file)) {
        if (line[0] == '#')
            continue;
        long n, d;
        ck_assert_int_eq(sscanf(line, "%15[^,],%ld,%ld,%15[^,],%lf,%lf,%lf,%lf,%lf,%lf", kind, &n, &d, normalization,
                                &row->loss, &row->probe_a, &row->probe_b, &row->loss_error, &row->gradient_error_a,
                                &row->gradient_error_b),
                         10);
        row->kind = (barlow_input)name_index(barlow_input_names, BARLOW_KINDS, kind);
        row->normalization = (gm_barlow_normalization)name_index(normalization_names, 3, normalization);
        row->n = n;
        row->d = d;
        return true;
    }
    return false;
}

static FILE *stored_open(void)
{
    FILE *file = fopen(TEST_DATA "/barlow_pytorch.csv", "r");
    ck_assert_msg(file != NULL, "cannot read " TEST_DATA "/barlow_pytorch.csv");
    return file;
}

static double probe(const double *x, int64_t count)
{
    double *noise = doubles(count), sum = 0;
    barlow_fill_noise(3, noise, count);
    for (int64_t i = 0; i < count; i++)
        sum += x[i] * noise[i];
    free(noise);
    return sum;
}

START_TEST(the_reference_is_pytorch_in_float64)
{
    FILE *file = stored_open();
    int rows = 0;
    for (stored row; stored_next(file, &row); rows++) {
        const int64_t count = row.n * row.d;
        float *za = floats(count), *zb = floats(count);
        barlow_fill_views(row.kind, row.n, row.d, za, zb);
        gm_barlow_options o = gm_barlow_default_options();
        o.normalization = row.normalization;
        barlow_reference ref = barlow_reference_of_floats(&o, row.n, row.d, za, zb);
        ck_assert_msg(fabs(ref.loss - row.loss) <= 1e-9 * (row.loss + 0.0051 * (double)row.d),
                      "%s %ldx%ld: loss %.17g, PyTorch %.17g", barlow_input_names[row.kind], (long)row.n, (long)row.d,
                      ref.loss, row.loss);
        const double most = 1e-8 * sqrt((double)count);
        ck_assert(fabs(probe(ref.dza, count) - row.probe_a) <= most * ref.size_a.whole);
        ck_assert(fabs(probe(ref.dzb, count) - row.probe_b) <= most * ref.size_b.whole);
        barlow_reference_free(&ref);
        free(za), free(zb);
    }
    ck_assert_int_ge(rows, 50);
    fclose(file);
}
END_TEST

/* 1e-5 of |r g|, and where the dual form is asked for although n > d, the rounding of its products besides: near
 * convergence they are many times as large as what is left when C's diagonal is taken from them. */
static double most_gradient_error(const stored *row, gm_barlow_form form, const barlow_sizes *size)
{
    const double rounding = form == GM_BARLOW_DUAL && row->n > row->d ? 4 * test_unit_roundoff : 0;
    return 1e-5 + rounding * size->subtracted / size->whole;
}

static void check_gradient(const char *name, const float *dz, const double *expected, int64_t count,
                           const barlow_sizes *size, double pytorch, double most)
{
    const double error = barlow_error(dz, expected, count, size->whole);
    ck_assert_msg(error <= most, "%s is %g off, %g allowed", name, error, most);
    ck_assert_msg(error <= 2 * pytorch + 1e-6, "%s is %g off, PyTorch's float32 %g", name, error, pytorch);
}

static void check_stored(const stored *row, gm_isa isa, gm_barlow_form form, const barlow_reference *ref,
                         const gm_barlow_options *o, const float *za, const float *zb)
{
    const int64_t count = row->n * row->d;
    float *dza = floats(count), *dzb = floats(count);
    gm_barlow_result result;
    ck_assert_int_eq(barlow_loss(isa, 1, row->n, row->d, za, zb, o, &result, dza, dzb), GM_OK);
    char name[96];
    snprintf(name, sizeof name, "%s %s %s %s %ldx%ld", gm_isa_name(isa), form == GM_BARLOW_DUAL ? "dual" : "primal",
             barlow_input_names[row->kind], normalization_names[row->normalization], (long)row->n, (long)row->d);
    ck_assert_int_eq(result.form, form);
    ck_assert_int_eq(result.constant_columns, 0);
    const double loss_error = fabs(result.loss - ref->loss) / (ref->loss + (double)o->lambda * (double)row->d);
    ck_assert_msg(loss_error <= 1e-5, "%s: loss is %g off", name, loss_error);
    ck_assert_msg(fabs(result.invariance - ref->invariance) <= 1e-5 * ref->invariance + 1e-20,
                  "%s: invariance is %.9g not %.9g", name, result.invariance, ref->invariance);
    check_gradient(name, dza, ref->dza, count, &ref->size_a, row->gradient_error_a,
                   most_gradient_error(row, form, &ref->size_a));
    check_gradient(name, dzb, ref->dzb, count, &ref->size_b, row->gradient_error_b,
                   most_gradient_error(row, form, &ref->size_b));
    free(dza), free(dzb);
}

START_TEST(errors_are_bounded_and_near_those_of_pytorch)
{
    gm_isa isas[GM_ISA_COUNT];
    const int isa_count = test_isas(isas);
    FILE *file = stored_open();
    for (stored row; stored_next(file, &row);) {
        float *za = floats(row.n * row.d), *zb = floats(row.n * row.d);
        barlow_fill_views(row.kind, row.n, row.d, za, zb);
        gm_barlow_options o = gm_barlow_default_options();
        o.normalization = row.normalization;
        barlow_reference ref = barlow_reference_of_floats(&o, row.n, row.d, za, zb);
        for (int i = 0; i < isa_count; i++) {
            for (int f = 0; f < 2; f++) {
                o.form = barlow_forms[f];
                check_stored(&row, isas[i], barlow_forms[f], &ref, &o, za, zb);
            }
        }
        barlow_reference_free(&ref);
        free(za), free(zb);
    }
    fclose(file);
}
END_TEST

/* ---- A divisor other than the normalisation's ---- */

static void check_divisor(gm_isa isa, int64_t n, int64_t d, const gm_barlow_options *o, const float *za,
                          const float *zb)
{
    const int64_t count = n * d;
    float *dza = floats(count), *dzb = floats(count);
    gm_barlow_result result;
    barlow_reference ref = barlow_reference_of_floats(o, n, d, za, zb);
    ck_assert_int_eq(barlow_loss(isa, 2, n, d, za, zb, o, &result, dza, dzb), GM_OK);
    const double error_a = barlow_error(dza, ref.dza, count, ref.size_a.whole),
                 error_b = barlow_error(dzb, ref.dzb, count, ref.size_b.whole);
    ck_assert_msg(fabs(result.invariance / ref.invariance - 1) < 1e-5 &&
                      fabs(result.redundancy - ref.redundancy) < 1e-5 * ref.loss && error_a < 1e-5 && error_b < 1e-5,
                  "%s %s %ldx%ld, divisor %g: %g + %g instead of %g + %g, gradients %g and %g off", gm_isa_name(isa),
                  normalization_names[o->normalization], (long)n, (long)d, o->divisor, result.invariance,
                  result.redundancy, ref.invariance, ref.redundancy, error_a, error_b);
    barlow_reference_free(&ref);
    free(dza), free(dzb);
}

/* Each of the four procedures. */
START_TEST(the_divisor_may_be_another)
{
    static const int64_t shapes[][2] = {{20, 31}, {260, 300}, {70, 13}, {150, 110}};
    static const double divisors[] = {2048, 0.75};
    gm_isa isas[GM_ISA_COUNT];
    const int isa_count = test_isas(isas);
    for (int s = 0; s < 4; s++) {
        const int64_t n = shapes[s][0], d = shapes[s][1];
        float *za = floats(n * d), *zb = floats(n * d);
        barlow_fill_views(BARLOW_NORMAL, n, d, za, zb);
        for (int k = 0; k < 6; k++) {
            gm_barlow_options o = gm_barlow_default_options();
            o.normalization = barlow_normalizations[k % 3];
            o.divisor = divisors[k / 3];
            for (int i = 0; i < isa_count; i++)
                check_divisor(isas[i], n, d, &o, za, zb);
        }
        free(za), free(zb);
    }
}
END_TEST

/* ---- The reference itself ---- */

static double reference_loss_at(const gm_barlow_options *o, int64_t n, int64_t d, const double *za, const double *zb,
                                const double *direction_a, const double *direction_b, double step)
{
    double *moved_a = doubles(n * d), *moved_b = doubles(n * d);
    for (int64_t i = 0; i < n * d; i++) {
        moved_a[i] = za[i] + step * direction_a[i];
        moved_b[i] = zb[i] + step * direction_b[i];
    }
    barlow_reference ref = barlow_reference_create(o, n, d, moved_a, moved_b);
    const double value = ref.loss;
    barlow_reference_free(&ref);
    free(moved_a), free(moved_b);
    return value;
}

START_TEST(the_reference_agrees_with_finite_differences)
{
    enum { N = 7, D = 11, COUNT = N * D };
    double za[COUNT], zb[COUNT], da[COUNT], db[COUNT];
    barlow_fill_noise(4, za, COUNT), barlow_fill_noise(5, zb, COUNT), barlow_fill_noise(6, da, COUNT),
        barlow_fill_noise(7, db, COUNT);
    for (int k = 0; k < 6; k++) {
        gm_barlow_options o = gm_barlow_default_options();
        o.normalization = barlow_normalizations[k % 3];
        o.divisor = k < 3 ? 0 : 9;
        o.eps = 0.25f; /* large enough to be seen */
        o.scale = 3.0f;
        barlow_reference ref = barlow_reference_create(&o, N, D, za, zb);
        double slope = 0;
        for (int i = 0; i < COUNT; i++)
            slope += ref.dza[i] * da[i] + ref.dzb[i] * db[i];
        const double step = 1e-5, ahead = reference_loss_at(&o, N, D, za, zb, da, db, step),
                     behind = reference_loss_at(&o, N, D, za, zb, da, db, -step);
        ck_assert_msg(fabs((ahead - behind) / (2 * step) - slope) <= 1e-7 * fabs(slope), "%s: slope %g, difference %g",
                      normalization_names[k % 3], slope, (ahead - behind) / (2 * step));
        barlow_reference_free(&ref);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("barlow_accuracy");
    TCase *tests = tcase_create("barlow_accuracy");
    suite_add_tcase(suite, tests);
    tcase_add_test(tests, the_reference_agrees_with_finite_differences);
    tcase_add_test(tests, the_reference_is_pytorch_in_float64);
    tcase_add_test(tests, errors_are_bounded_and_near_those_of_pytorch);
    tcase_add_test(tests, the_divisor_may_be_another);
    return test_run(suite);
}
