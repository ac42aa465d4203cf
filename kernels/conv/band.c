/* Pixels copied for the products: rows of a band between zeros, and whole patches. */
#include <string.h>

#include "conv/implicit.h"

void gm_conv_copy_row(const struct gm_conv_reader *reader, int64_t image, int64_t h, const struct gm_conv_span *span,
                      float *out, int64_t pixel)
{
    const struct gm_conv_window *w = reader->window;
    const struct gm_conv_source *s = reader->source;
    const int64_t left = span->left, step = span->step;
    const int64_t first = left < 0 ? gm_min_i64(gm_ceil_div(-left, step), span->pixels) : 0;
    const int64_t inside = w->width > left ? gm_ceil_div(w->width - left, step) : 0;
    const int64_t end = gm_max_i64(first, gm_min_i64(span->pixels, inside));
    memset(out, 0, (size_t)(first * pixel) * sizeof *out);
    memset(out + end * pixel, 0, (size_t)((span->pixels - end) * pixel) * sizeof *out);
    if (first == end)
        return;
    const int64_t line = reader->group * w->channels;
    const struct gm_conv_copy copy = {
        .pixels = end - first,
        .cols = w->channels,
        .x = s->x + ((image * w->height + h) * w->width + left + first * step) * s->ldx,
        .ldx = step * s->ldx,
        .scale = s->input.scale ? s->input.scale + line : NULL,
        .shift = s->input.scale ? s->input.shift + line : NULL,
        .relu = s->input.relu,
        .out = out + first * pixel,
        .ldout = pixel,
    };
    reader->kernels->copy(&copy);
}

int64_t gm_conv_line_floats(const struct gm_conv_window *w, const struct gm_gemm_kernels *gemm, int64_t cols)
{
    const int64_t floats = ((cols - 1) * w->stride + w->kernel_width) * w->channels;
    return gm_round_up(floats + gemm->slack, GM_CACHE_LINE / (int64_t)sizeof(float));
}

/* Rows of images between zeros first, then kernel_width pixels of each for every output. */
void gm_conv_copy_patches(const struct gm_conv_reader *reader, int64_t image, int64_t row, int64_t col, int64_t cols,
                          float *lines, int64_t ldlines, float *out)
{
    const struct gm_conv_window *w = reader->window;
    const struct gm_conv_span span = {col * w->stride - w->left, (cols - 1) * w->stride + w->kernel_width, 1};
    for (int64_t i = 0; i < w->kernel_height; i++) {
        const int64_t h = row * w->stride - w->top + i;
        if (0 <= h && h < w->height)
            gm_conv_copy_row(reader, image, h, &span, lines + i * ldlines, w->channels);
        else
            memset(lines + i * ldlines, 0, (size_t)(span.pixels * w->channels) * sizeof *lines);
    }
    const struct gm_conv_patches patches = {
        .patches = cols,
        .rows = w->kernel_height,
        .cols = w->kernel_width * w->channels,
        .lines = lines,
        .ldlines = ldlines,
        .step = w->stride * w->channels,
        .out = out,
    };
    reader->kernels->copy_patches(&patches);
}
