/* What convolution refuses. */
#include <math.h>

#include "support/convolution.h"

START_TEST(shapes_that_cannot_be)
{
    const int64_t huge = (int64_t)1 << 40;
    const struct {
        conv_case c;
        gm_status status;
    } bad[] = {
        {{0, 5, 5, 3, 4, 3, 3, 1, 1, 1, 0}, GM_INVALID_ARGUMENT},
        {{2, 0, 5, 3, 4, 3, 3, 1, 1, 1, 0}, GM_INVALID_ARGUMENT},
        {{2, 5, -1, 3, 4, 3, 3, 1, 1, 1, 0}, GM_INVALID_ARGUMENT},
        {{2, 5, 5, 0, 4, 3, 3, 1, 1, 1, 0}, GM_INVALID_ARGUMENT},
        {{2, 5, 5, 3, 0, 3, 3, 1, 1, 1, 0}, GM_INVALID_ARGUMENT},
        {{2, 5, 5, 3, 4, 0, 3, 1, 1, 1, 0}, GM_INVALID_ARGUMENT},
        {{2, 5, 5, 3, 4, 3, 0, 1, 1, 1, 0}, GM_INVALID_ARGUMENT},
        {{2, 5, 5, 3, 4, 3, 3, 0, 1, 1, 0}, GM_INVALID_ARGUMENT},
        {{2, 5, 5, 3, 4, 3, 3, 1, -1, 1, 0}, GM_INVALID_ARGUMENT},
        {{2, 5, 5, 3, 4, 8, 3, 1, 1, 1, 0}, GM_INVALID_ARGUMENT},
        {{2, 5, 5, 3, 4, 3, 8, 1, 1, 1, 0}, GM_INVALID_ARGUMENT},
        {{2, 5, 5, 3, 4, 3, 3, 1, 1, 0, 0}, GM_INVALID_ARGUMENT},
        {{3, 5, 5, 3, 4, 3, 3, 1, 1, 2, 0}, GM_INVALID_ARGUMENT},
        {{huge, 5, huge, 3, 4, 3, 3, 1, 1, 1, 0}, GM_SIZE_OVERFLOW},
        {{2, 5, 5, huge, huge, 3, 3, 1, 1, 1, 0}, GM_SIZE_OVERFLOW},
    };
    gm_context *context = test_context(GM_ISA_AUTO, 1);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        const gm_conv_shape shape = conv_shape_of(&bad[i].c);
        gm_conv_options options = gm_conv_default_options();
        options.groups = bad[i].c.groups;
        gm_conv_plan *plan = (gm_conv_plan *)context;
        ck_assert_msg(gm_conv_plan_create(context, &shape, &options, &plan) == bad[i].status, "shape %zu", i);
        ck_assert_ptr_null(plan);
    }
    gm_conv_shape shape = conv_shape_of(&conv_cases[2]);
    gm_conv_plan *plan;
    ck_assert_int_eq(gm_conv_plan_create(context, &shape, NULL, NULL), GM_INVALID_ARGUMENT);
    ck_assert_int_eq(gm_conv_plan_create(context, NULL, NULL, &plan), GM_INVALID_ARGUMENT);
    ck_assert_int_eq(gm_conv_plan_create(NULL, &shape, NULL, &plan), GM_INVALID_ARGUMENT);
    shape.size = 8;
    ck_assert_int_eq(gm_conv_plan_create(context, &shape, NULL, &plan), GM_INVALID_ARGUMENT);
    gm_conv_plan_destroy(NULL);
    gm_context_destroy(context);
}
END_TEST

/* One argument of a good call changed at a time; results stay as they are. */
START_TEST(bad_arguments_are_refused)
{
    gm_context *context = test_context(GM_ISA_AUTO, 1), *scalar = test_context(GM_ISA_SCALAR, 1);
    conv_operands o = conv_operands_create(context, &conv_cases[3], true, true, conv_normal);
    const gm_conv_plan *plan = o.plan;
    const int64_t ldx = o.ldx, ldy = o.ldy;
    const float *x = o.x.data, *dy = o.dy.data, *w = o.weight.data;
    float *y = o.y.data, *dx = o.dx.data, *dw = o.dweight.data;
    test_guard packed = conv_pack(context, &o, GM_CONV_FORWARD),
               gradient = conv_pack(context, &o, GM_CONV_DATA_GRADIENT);
    gm_conv_packed *f = (gm_conv_packed *)packed.data, *g = (gm_conv_packed *)gradient.data;
    gm_conv_forward_options small = gm_conv_default_forward_options(), half = small, line = small, place = small,
                            short_rows = small;
    small.size = 8;
    half.mean = y;
    line.input.scale = x;
    place.residual = y;
    place.ldresidual = ldy + 1;
    short_rows.residual = dy;
    short_rows.ldresidual = 2;
    const gm_conv_input input = {NULL, x, false};
    conv_reserve(context, &o, GM_CONV_FORWARD);
    test_fill_nan(dx, o.dx.count);
    const gm_status got[] = {
        gm_conv_forward_f32(NULL, plan, x, ldx, f, NULL, y, ldy),
        gm_conv_forward_f32(context, NULL, x, ldx, f, NULL, y, ldy),
        gm_conv_forward_f32(context, plan, NULL, ldx, f, NULL, y, ldy),
        gm_conv_forward_f32(context, plan, x, 3, f, NULL, y, ldy),
        gm_conv_forward_f32(context, plan, x, ldx, NULL, NULL, y, ldy),
        gm_conv_forward_f32(context, plan, x, ldx, g, NULL, y, ldy),
        gm_conv_forward_f32(context, plan, x, ldx, f, NULL, NULL, ldy),
        gm_conv_forward_f32(context, plan, x, ldx, f, NULL, y, 32),
        gm_conv_forward_f32(context, plan, x, ldx, f, &small, y, ldy),
        gm_conv_forward_f32(context, plan, x, ldx, f, &half, y, ldy),
        gm_conv_forward_f32(context, plan, x, ldx, f, &line, y, ldy),
        gm_conv_forward_f32(context, plan, x, ldx, f, &place, y, ldy),
        gm_conv_forward_f32(context, plan, x, ldx, f, &short_rows, y, ldy),
        gm_conv_data_gradient_f32(NULL, plan, dy, ldy, g, 0, dx, ldx),
        gm_conv_data_gradient_f32(context, NULL, dy, ldy, g, 0, dx, ldx),
        gm_conv_data_gradient_f32(context, plan, NULL, ldy, g, 0, dx, ldx),
        gm_conv_data_gradient_f32(context, plan, dy, ldy, f, 0, dx, ldx),
        gm_conv_data_gradient_f32(context, plan, dy, ldy, g, 0.5f, dx, ldx),
        gm_conv_data_gradient_f32(context, plan, dy, ldy, g, 0, dx, 3),
        gm_conv_weight_gradient_f32(NULL, plan, dy, ldy, x, ldx, NULL, dw, NULL),
        gm_conv_weight_gradient_f32(context, plan, dy, 32, x, ldx, NULL, dw, NULL),
        gm_conv_weight_gradient_f32(context, plan, dy, ldy, NULL, ldx, NULL, dw, NULL),
        gm_conv_weight_gradient_f32(context, plan, dy, ldy, x, ldx, &input, dw, NULL),
        gm_conv_weight_gradient_f32(context, plan, dy, ldy, x, ldx, NULL, NULL, NULL),
        gm_conv_pack_f32(NULL, plan, GM_CONV_FORWARD, w, f),
        gm_conv_pack_f32(context, plan, GM_CONV_WEIGHT_GRADIENT, w, f),
        gm_conv_pack_f32(context, plan, GM_CONV_FORWARD, NULL, f),
        gm_conv_pack_f32(context, plan, GM_CONV_FORWARD, w, NULL),
        gm_conv_pack_f32(context, plan, GM_CONV_FORWARD, w, (gm_conv_packed *)((char *)f + 4)),
    };
    for (size_t i = 0; i < sizeof got / sizeof *got; i++)
        ck_assert_msg(got[i] == GM_INVALID_ARGUMENT, "call %zu: %s", i, gm_status_string(got[i]));
    if (gm_context_isa(context) != GM_ISA_SCALAR)
        ck_assert_int_eq(gm_conv_forward_f32(scalar, plan, x, ldx, f, NULL, y, ldy), GM_INVALID_ARGUMENT);
    ck_assert(isnan(y[0]) && isnan(dx[0]) && isnan(dw[0]));
    ck_assert_uint_eq(gm_conv_packed_f32_size(plan, GM_CONV_WEIGHT_GRADIENT), 0);
    ck_assert_ptr_null(gm_conv_algorithm(plan, GM_CONV_PASSES));
    ck_assert_str_eq(gm_conv_algorithm(plan, GM_CONV_FORWARD), "implicit gemm");
    test_guard_free(&packed);
    test_guard_free(&gradient);
    conv_operands_free(&o);
    gm_context_destroy(context);
    gm_context_destroy(scalar);
}
END_TEST

START_TEST(too_little_workspace_is_refused)
{
    gm_context *context = test_context_with_workspace(GM_ISA_AUTO, 1, 1);
    conv_operands o = conv_operands_create(context, &conv_cases[3], false, true, conv_normal);
    test_guard packed = conv_pack(context, &o, GM_CONV_FORWARD);
    ck_assert_int_eq(
        gm_conv_forward_f32(context, o.plan, o.x.data, o.ldx, (gm_conv_packed *)packed.data, NULL, o.y.data, o.ldy),
        GM_WORKSPACE_TOO_SMALL);
    ck_assert_int_eq(
        gm_conv_weight_gradient_f32(context, o.plan, o.dy.data, o.ldy, o.x.data, o.ldx, NULL, o.dweight.data, NULL),
        GM_WORKSPACE_TOO_SMALL);
    ck_assert(isnan(o.y.data[0]) && isnan(o.dweight.data[0]));
    test_guard_free(&packed);
    conv_operands_free(&o);
    gm_context_destroy(context);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("conv_arguments");
    TCase *tests = tcase_create("conv_arguments");
    suite_add_tcase(suite, tests);
    tcase_add_test(tests, shapes_that_cannot_be);
    tcase_add_test(tests, bad_arguments_are_refused);
    tcase_add_test(tests, too_little_workspace_is_refused);
    return test_run(suite);
}
