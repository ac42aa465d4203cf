#include <gemel/conv.h>

#include <stdlib.h>

#include "column_stats/column_stats.h"
#include "conv/conv.h"

/* In the caller's memory, followed by what the algorithm packs. */
struct gm_conv_packed {
    const struct gm_gemm_kernels *gemm; /* stand for the instruction set */
    const struct gm_conv_algorithm *algorithm;
    gm_conv_pass pass;
    int64_t in_channels, out_channels, kernel_height, kernel_width, stride, padding;
};

/* A function of the shape, the options and the instruction set. */
static const struct gm_conv_algorithm *choose(const gm_conv_plan *plan, gm_conv_pass pass)
{
    const struct gm_conv_algorithm *winograd = plan->options.exact ? NULL : gm_conv_winograd(plan, pass);
    if (winograd)
        return winograd;
    if (pass == GM_CONV_FORWARD)
        return &gm_conv_implicit;
    if (pass == GM_CONV_DATA_GRADIENT)
        return gm_conv_transposed_patches_pay(plan) ? &gm_conv_patch_data_gradient : &gm_conv_implicit;
    return gm_conv_patches_pay(plan) ? &gm_conv_patch_gradient : &gm_conv_implicit_gradient;
}

static bool pass_valid(gm_conv_pass pass)
{
    return pass == GM_CONV_FORWARD || pass == GM_CONV_DATA_GRADIENT || pass == GM_CONV_WEIGHT_GRADIENT;
}

static gm_status check_shape(const gm_conv_shape *s)
{
    const int64_t most = INT64_MAX / 64;
    if (!s || !gm_options_valid(s->size, sizeof *s) || s->batch < 1 || s->height < 1 || s->width < 1 ||
        s->in_channels < 1 || s->out_channels < 1 || s->kernel_height < 1 || s->kernel_width < 1 || s->stride < 1 ||
        s->padding < 0)
        return GM_INVALID_ARGUMENT;
    if (s->padding > INT32_MAX || s->height > INT32_MAX || s->width > INT32_MAX || s->stride > INT32_MAX)
        return GM_SIZE_OVERFLOW;
    const int64_t height = s->height + 2 * s->padding, width = s->width + 2 * s->padding;
    if (s->kernel_height > height || s->kernel_width > width)
        return GM_INVALID_ARGUMENT;
    /* Images and weights whose sizes in bytes, and all sums of a few of them, are numbers. */
    const double pixels = (double)s->batch * (double)height * (double)width;
    const double weights =
        (double)s->in_channels * (double)s->out_channels * (double)s->kernel_height * (double)s->kernel_width;
    const double channels = (double)gm_max_i64(s->in_channels, s->out_channels);
    return pixels * channels > (double)most || weights * 64 > (double)most ? GM_SIZE_OVERFLOW : GM_OK;
}

gm_status gm_conv_plan_create(const gm_context *context, const gm_conv_shape *shape, const gm_conv_options *options,
                              gm_conv_plan **plan)
{
    if (!plan)
        return GM_INVALID_ARGUMENT;
    *plan = NULL;
    const gm_conv_options defaults = gm_conv_default_options();
    if (!options)
        options = &defaults;
    const gm_status status = check_shape(shape);
    if (status != GM_OK)
        return status;
    if (!context || !gm_options_valid(options->size, sizeof *options) || options->groups < 1 ||
        shape->batch % options->groups != 0)
        return GM_INVALID_ARGUMENT;
    gm_conv_plan *created = malloc(sizeof *created);
    if (!created)
        return GM_OUT_OF_MEMORY;
    *created = (gm_conv_plan){
        .gemm = context->kernels.gemm,
        .shape = *shape,
        .options = *options,
        .out_height = gm_conv_out_height(shape),
        .out_width = gm_conv_out_width(shape),
    };
    for (int pass = 0; pass < GM_CONV_PASSES; pass++)
        created->algorithm[pass] = choose(created, (gm_conv_pass)pass);
    *plan = created;
    return GM_OK;
}

void gm_conv_plan_destroy(gm_conv_plan *plan)
{
    free(plan);
}

const char *gm_conv_algorithm(const gm_conv_plan *plan, gm_conv_pass pass)
{
    return plan && pass_valid(pass) ? plan->algorithm[pass]->name : NULL;
}

/* Of dbias: the sums of dy's columns in two parts. */
static size_t bias_bytes(const gm_conv_plan *plan)
{
    return 2 * gm_workspace_bytes((size_t)plan->shape.out_channels * sizeof(float));
}

size_t gm_conv_f32_workspace(const gm_context *context, const gm_conv_plan *plan, gm_conv_pass pass)
{
    if (!context || !plan || !pass_valid(pass))
        return 0;
    const size_t bytes = plan->algorithm[pass]->workspace(context, plan, pass);
    if (pass != GM_CONV_WEIGHT_GRADIENT)
        return bytes;
    const size_t bias =
        bias_bytes(plan) + gm_column_stats_run_workspace(gm_conv_out_rows(&plan->shape), plan->shape.out_channels, 1);
    return bytes > bias ? bytes : bias;
}

static float *panels_of(const gm_conv_packed *packed)
{
    const uintptr_t end = (uintptr_t)(packed + 1);
    return (float *)((end + GM_CACHE_LINE - 1) / GM_CACHE_LINE * GM_CACHE_LINE);
}

size_t gm_conv_packed_f32_size(const gm_conv_plan *plan, gm_conv_pass pass)
{
    if (!plan || (pass != GM_CONV_FORWARD && pass != GM_CONV_DATA_GRADIENT))
        return 0;
    return sizeof(gm_conv_packed) + GM_CACHE_LINE +
           (size_t)plan->algorithm[pass]->packed_floats(plan, pass) * sizeof(float);
}

static bool is_aligned(const gm_conv_packed *packed)
{
    return packed && (uintptr_t)packed % _Alignof(max_align_t) == 0;
}

gm_status gm_conv_pack_f32(gm_context *context, const gm_conv_plan *plan, gm_conv_pass pass, const float *weight,
                           gm_conv_packed *packed)
{
    if (!context || !plan || !weight || !is_aligned(packed) || context->kernels.gemm != plan->gemm ||
        (pass != GM_CONV_FORWARD && pass != GM_CONV_DATA_GRADIENT))
        return GM_INVALID_ARGUMENT;
    const gm_conv_shape *s = &plan->shape;
    *packed =
        (struct gm_conv_packed){plan->gemm,       plan->algorithm[pass], pass,      s->in_channels, s->out_channels,
                                s->kernel_height, s->kernel_width,       s->stride, s->padding};
    plan->algorithm[pass]->pack(context, plan, pass, weight, panels_of(packed));
    return GM_OK;
}

static bool is_packed_for(const gm_conv_packed *packed, const gm_conv_plan *plan, gm_conv_pass pass)
{
    const gm_conv_shape *s = &plan->shape;
    return is_aligned(packed) && packed->gemm == plan->gemm && packed->algorithm == plan->algorithm[pass] &&
           packed->pass == pass && packed->in_channels == s->in_channels && packed->out_channels == s->out_channels &&
           packed->kernel_height == s->kernel_height && packed->kernel_width == s->kernel_width &&
           packed->stride == s->stride && packed->padding == s->padding;
}

static gm_status check_images(const gm_conv_plan *plan, const float *x, int64_t ldx, const float *y, int64_t ldy)
{
    const gm_status status = gm_check_matrix(gm_conv_in_rows(&plan->shape), plan->shape.in_channels, x, ldx);
    return status != GM_OK ? status : gm_check_matrix(gm_conv_out_rows(&plan->shape), plan->shape.out_channels, y, ldy);
}

static bool input_valid(const gm_conv_input *input)
{
    return !input->scale == !input->shift;
}

static gm_status check_forward(const gm_conv_plan *plan, const gm_conv_forward_options *o, const float *y, int64_t ldy)
{
    if (!gm_options_valid(o->size, sizeof *o) || !input_valid(&o->input) || !o->mean != !o->mean_low ||
        !o->mean != !o->variance || (o->residual && o->residual == y && o->ldresidual != ldy))
        return GM_INVALID_ARGUMENT;
    return o->residual
               ? gm_check_matrix(gm_conv_out_rows(&plan->shape), plan->shape.out_channels, o->residual, o->ldresidual)
               : GM_OK;
}

static gm_status run(gm_context *context, const struct gm_conv_call *call)
{
    if (!gm_workspace_fits(context, gm_conv_f32_workspace(context, call->plan, call->pass)))
        return GM_WORKSPACE_TOO_SMALL;
    return call->plan->algorithm[call->pass]->run(context, call);
}

gm_status gm_conv_forward_f32(gm_context *context, const gm_conv_plan *plan, const float *x, int64_t ldx,
                              const gm_conv_packed *weight, const gm_conv_forward_options *options, float *y,
                              int64_t ldy)
{
    const gm_conv_forward_options defaults = gm_conv_default_forward_options();
    if (!options)
        options = &defaults;
    if (!context || !plan || context->kernels.gemm != plan->gemm || !is_packed_for(weight, plan, GM_CONV_FORWARD))
        return GM_INVALID_ARGUMENT;
    gm_status status = check_images(plan, x, ldx, y, ldy);
    if (status == GM_OK)
        status = check_forward(plan, options, y, ldy);
    if (status != GM_OK)
        return status;
    const struct gm_conv_call call = {
        .plan = plan,
        .pass = GM_CONV_FORWARD,
        .packed = panels_of(weight),
        .source = {x, ldx, options->input},
        .out = y,
        .ldout = ldy,
        .bias = options->bias,
        .residual = options->residual,
        .ldresidual = options->ldresidual,
        .relu = options->relu,
        .mean = options->mean,
        .mean_low = options->mean_low,
        .variance = options->variance,
    };
    return run(context, &call);
}

gm_status gm_conv_data_gradient_f32(gm_context *context, const gm_conv_plan *plan, const float *dy, int64_t lddy,
                                    const gm_conv_packed *weight, float beta, float *dx, int64_t lddx)
{
    if (!context || !plan || context->kernels.gemm != plan->gemm || (beta != 0.0f && beta != 1.0f) ||
        !is_packed_for(weight, plan, GM_CONV_DATA_GRADIENT))
        return GM_INVALID_ARGUMENT;
    const gm_status status = check_images(plan, dx, lddx, dy, lddy);
    if (status != GM_OK)
        return status;
    const struct gm_conv_call call = {
        .plan = plan,
        .pass = GM_CONV_DATA_GRADIENT,
        .packed = panels_of(weight),
        .source = {dy, lddy, {NULL, NULL, false}},
        .out = dx,
        .ldout = lddx,
        .beta = beta,
    };
    return run(context, &call);
}

/* The mean in two parts is as good as the sum. */
static void sum_columns(gm_context *context, const gm_conv_plan *plan, const float *dy, int64_t lddy, float *dbias)
{
    const int64_t rows = gm_conv_out_rows(&plan->shape), cols = plan->shape.out_channels;
    const size_t mark = gm_workspace_mark(context);
    float *const mean = gm_workspace_take(context, (size_t)cols * sizeof *mean);
    float *const mean_low = gm_workspace_take(context, (size_t)cols * sizeof *mean_low);
    gm_column_stats_run(context, rows, cols, dy, lddy, 1, 0, mean, mean_low, NULL);
    for (int64_t j = 0; j < cols; j++)
        dbias[j] = (float)(((double)mean[j] + (double)mean_low[j]) * (double)rows);
    gm_workspace_release(context, mark);
}

gm_status gm_conv_weight_gradient_f32(gm_context *context, const gm_conv_plan *plan, const float *dy, int64_t lddy,
                                      const float *x, int64_t ldx, const gm_conv_input *input, float *dweight,
                                      float *dbias)
{
    const gm_conv_input none = {NULL, NULL, false};
    if (!input)
        input = &none;
    if (!context || !plan || context->kernels.gemm != plan->gemm || !dweight || !input_valid(input))
        return GM_INVALID_ARGUMENT;
    gm_status status = check_images(plan, x, ldx, dy, lddy);
    if (status != GM_OK)
        return status;
    const struct gm_conv_call call = {
        .plan = plan,
        .pass = GM_CONV_WEIGHT_GRADIENT,
        .source = {x, ldx, *input},
        .dy = dy,
        .lddy = lddy,
        .dweight = dweight,
    };
    status = run(context, &call);
    if (status == GM_OK && dbias)
        sum_columns(context, plan, dy, lddy, dbias);
    return status;
}
