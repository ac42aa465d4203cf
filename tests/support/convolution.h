/* Convolutions to test: shapes, guarded operands, and calls with just the workspace that they need. */
#ifndef GEMEL_TEST_CONVOLUTION_H
#define GEMEL_TEST_CONVOLUTION_H

#include <gemel/conv.h>

#include "support/support.h"

typedef struct conv_case {
    int64_t batch, height, width, in_channels, out_channels, kernel_height, kernel_width, stride, padding;
    int64_t groups, pad; /* pad: of every leading dimension */
} conv_case;

enum { CONV_CASES = 39 };
extern const conv_case conv_cases[CONV_CASES];

gm_conv_shape conv_shape_of(const conv_case *c);

/* The case in words, until the next call. */
const char *conv_describe(const conv_case *c);

/* Matrices in guarded memory, rows padded with NaN; options that are on or off together. */
typedef struct conv_operands {
    const conv_case *c;
    gm_conv_shape shape;
    int64_t in_rows, out_rows, ldx, ldy, depth;
    test_guard x, y, dx, dy, residual, weight, dweight, dbias, scale, shift, bias;
    bool relu; /* and line, bias and residual */
    gm_conv_plan *plan;
} conv_operands;

typedef void (*conv_fill)(test_random *random, float *x, int64_t n);

/* From -3 to 3, and normal. */
void conv_integers(test_random *random, float *x, int64_t n);
void conv_normal(test_random *random, float *x, int64_t n);

/* exact: of the plan's options. */
conv_operands conv_operands_create(const gm_context *context, const conv_case *c, bool options, bool exact,
                                   conv_fill numbers);
void conv_operands_free(conv_operands *o);

/* The line and ReLU of the input if there are options. */
gm_conv_input conv_input_of(const conv_operands *o);

/* Just the workspace that a pass needs. */
void conv_reserve(gm_context *context, const conv_operands *o, gm_conv_pass pass);

/* Weights packed into just the memory they need, between guards and read-only. */
test_guard conv_pack(gm_context *context, const conv_operands *o, gm_conv_pass pass);

/* The passes: y, dx and dweight with dbias. Those that return nothing abort the test unless they succeed. */
gm_status conv_forward(gm_context *context, const conv_operands *o, float *mean, float *mean_low, float *variance);
void conv_data_gradient(gm_context *context, const conv_operands *o, float beta);
void conv_weight_gradient(gm_context *context, const conv_operands *o);

/* The forward pass's statistics against those of its result. */
void conv_check_statistics(gm_context *context, const conv_operands *o);

#endif
