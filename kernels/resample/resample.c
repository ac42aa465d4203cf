#include <gemel/resample.h>

#include <math.h>

#include "resample/resample.h"

/* Pixels of the source that count for an output on each side of it where the image does not shrink. */
static double radius_of(gm_resample_filter filter)
{
    return filter == GM_RESAMPLE_BICUBIC ? 2.0 : 1.0;
}

static double weight_at(gm_resample_filter filter, double x)
{
    x = fabs(x);
    if (filter == GM_RESAMPLE_BILINEAR)
        return x < 1.0 ? 1.0 - x : 0.0;
    const double a = -0.5;
    if (x < 1.0)
        return ((a + 2.0) * x - (a + 3.0)) * x * x + 1.0;
    return x < 2.0 ? (((x - 5.0) * x + 8.0) * x - 4.0) * a : 0.0;
}

/* Where the filter of an output lies in the source. The order of operations is Pillow's: weights are to have its bits.
 */
struct window {
    double centre, scale; /* in pixels of the source; of the filter, at least 1 */
    int64_t first, count;
};

static struct window window_of(gm_resample_filter filter, int64_t side, int64_t out_side, int64_t i)
{
    const double step = (double)side / (double)out_side, scale = step < 1.0 ? 1.0 : step;
    const double radius = radius_of(filter) * scale, centre = ((double)i + 0.5) * step;
    const int64_t first = gm_max_i64((int64_t)(centre - radius + 0.5), 0);
    return (struct window){centre, scale, first, gm_min_i64((int64_t)(centre + radius + 0.5), side) - first};
}

static int64_t most_pairs(gm_resample_filter filter, int64_t side, int64_t out_side)
{
    const double scale = (double)side / (double)out_side;
    const int64_t taps = 2 * (int64_t)ceil(radius_of(filter) * fmax(scale, 1.0)) + 1;
    return gm_ceil_div(gm_min_i64(taps, side), 2);
}

static int32_t fixed_of(double weight)
{
    const double scaled = weight * (1 << GM_RESAMPLE_PRECISION);
    return (int32_t)(scaled < 0.0 ? scaled - 0.5 : scaled + 0.5);
}

/* The parts of two weights as the kernel wants them. */
static void put_pair(int32_t first, int32_t second, int32_t *high, int32_t *low)
{
    const uint32_t a = (uint32_t)(first >> GM_RESAMPLE_LOW), b = (uint32_t)(second >> GM_RESAMPLE_LOW);
    const uint32_t part = (1u << GM_RESAMPLE_LOW) - 1u;
    *high = (int32_t)((a & 0xffffu) | b << 16);
    *low = (int32_t)(((uint32_t)first & part) | ((uint32_t)second & part) << 16);
}

/* weights: room for `side` numbers and one more. */
static void fill_axis(gm_resample_filter filter, const struct gm_resample_axis *axis, double *weights)
{
    for (int64_t i = 0; i < axis->outputs; i++) {
        const struct window window = window_of(filter, axis->side, axis->outputs, i);
        const double inverse = 1.0 / window.scale;
        int32_t *high = axis->high + i * axis->most_pairs, *low = axis->low + i * axis->most_pairs;
        double sum = 0.0;
        for (int64_t t = 0; t < window.count; t++) {
            weights[t] = weight_at(filter, ((double)(t + window.first) - window.centre + 0.5) * inverse);
            sum += weights[t];
        }
        axis->first[i] = (int32_t)window.first;
        axis->taps[i] = (int32_t)window.count;
        weights[window.count] = 0.0;
        for (int64_t t = 0; t < window.count; t += 2)
            put_pair(fixed_of(weights[t] / sum), fixed_of(weights[t + 1] / sum), high + t / 2, low + t / 2);
    }
}

static size_t axis_bytes(gm_resample_filter filter, int64_t side, int64_t outputs)
{
    return (size_t)(2 * outputs * (most_pairs(filter, side, outputs) + 1)) * sizeof(int32_t);
}

static struct gm_resample_axis take_axis(gm_context *context, gm_resample_filter filter, int64_t side, int64_t outputs,
                                         void *scratch)
{
    struct gm_resample_axis axis = {.side = side, .outputs = outputs, .most_pairs = most_pairs(filter, side, outputs)};
    axis.first = gm_workspace_take(context, axis_bytes(filter, side, outputs));
    axis.taps = axis.first + outputs;
    axis.high = axis.taps + outputs;
    axis.low = axis.high + outputs * axis.most_pairs;
    fill_axis(filter, &axis, scratch);
    return axis;
}

/* What is between the passes in either order, and what a pass needs. */
static size_t middle_bytes(int64_t channels, int64_t height, int64_t width, int64_t out_height, int64_t out_width)
{
    return (size_t)(gm_max_i64(height * out_width, out_height * width) * channels);
}

static size_t scratch_bytes(int64_t channels, int64_t height, int64_t width, int64_t out_height, int64_t out_width)
{
    return (size_t)gm_max_i64(gm_resample_scratch(width, out_width, channels),
                              gm_resample_scratch(height, out_height, channels));
}

static bool side_valid(int64_t side)
{
    return side >= 1 && side <= GM_RESAMPLE_SIDE;
}

static bool sizes_valid(gm_resample_filter filter, int64_t channels, int64_t height, int64_t width, int64_t out_height,
                        int64_t out_width)
{
    return filter >= 0 && filter < GM_RESAMPLE_FILTER_COUNT && (channels == 1 || channels == 3) && side_valid(height) &&
           side_valid(width) && side_valid(out_height) && side_valid(out_width);
}

/* Which direction Pillow (13) resamples first: what it does to the rounding of the other is part of the result. */
static bool columns_first(int64_t height, int64_t width, int64_t out_height, int64_t out_width)
{
    return out_height < height && height - out_height > 2 * (width - out_width);
}

gm_status gm_resample_u8(gm_context *context, gm_resample_filter filter, int64_t channels, int64_t height,
                         int64_t width, const uint8_t *x, int64_t ldx, int64_t out_height, int64_t out_width,
                         uint8_t *y, int64_t ldy)
{
    if (!context || !sizes_valid(filter, channels, height, width, out_height, out_width))
        return GM_INVALID_ARGUMENT;
    gm_status status = gm_check_matrix(height, width * channels, x, ldx);
    if (status == GM_OK)
        status = gm_check_matrix(out_height, out_width * channels, y, ldy);
    if (status != GM_OK)
        return status;
    if (!gm_workspace_fits(context,
                           gm_resample_u8_workspace(context, filter, channels, height, width, out_height, out_width)))
        return GM_WORKSPACE_TOO_SMALL;
    const struct gm_resample_kernels *kernels = context->kernels.resample;
    const size_t mark = gm_workspace_mark(context);
    uint8_t *middle = gm_workspace_take(context, middle_bytes(channels, height, width, out_height, out_width));
    uint8_t *scratch = gm_workspace_take(context, scratch_bytes(channels, height, width, out_height, out_width));
    const struct gm_resample_axis cols = take_axis(context, filter, width, out_width, scratch);
    const struct gm_resample_axis rows = take_axis(context, filter, height, out_height, scratch);
    if (columns_first(height, width, out_height, out_width)) {
        const int64_t ld = width * channels;
        kernels->along_columns(&(struct gm_resample_pass){rows, x, ldx, middle, ld}, ld, scratch);
        kernels->along_rows(&(struct gm_resample_pass){cols, middle, ld, y, ldy}, out_height, channels, scratch);
    } else {
        const int64_t ld = out_width * channels;
        kernels->along_rows(&(struct gm_resample_pass){cols, x, ldx, middle, ld}, height, channels, scratch);
        kernels->along_columns(&(struct gm_resample_pass){rows, middle, ld, y, ldy}, ld, scratch);
    }
    gm_workspace_release(context, mark);
    return GM_OK;
}

size_t gm_resample_u8_workspace(const gm_context *context, gm_resample_filter filter, int64_t channels, int64_t height,
                                int64_t width, int64_t out_height, int64_t out_width)
{
    (void)context;
    if (!sizes_valid(filter, channels, height, width, out_height, out_width))
        return 0;
    return gm_workspace_bytes(middle_bytes(channels, height, width, out_height, out_width)) +
           gm_workspace_bytes(scratch_bytes(channels, height, width, out_height, out_width)) +
           gm_workspace_bytes(axis_bytes(filter, width, out_width)) +
           gm_workspace_bytes(axis_bytes(filter, height, out_height));
}
