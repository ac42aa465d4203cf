#include "data/color_view.h"

#include <math.h>
#include <stdlib.h>

#include <gemel/blur.h>
#include <gemel/color.h>
#include <gemel/resample.h>

#include "data/image.h"

/* Images that a thread takes at a time. */
enum { CHUNK = 4, CHANNELS = 3 };

/* What one thread works with: kernels for one image take a context for themselves. */
struct scratch {
    gm_context *context;
    gm_image image, framed;
    uint8_t *view;  /* [height, width, 3] */
    int64_t failed; /* the first of its samples that could not be had … */
    gm_error error; /* … and why */
};

struct color_job {
    const struct gm_view_request *request;
    struct scratch *scratch; /* [threads] */
};

static gm_status internal(gm_status status, const char *what, gm_error *error)
{
    return status == GM_OK ? GM_OK : gm_error_set(error, status, "%s: %s", what, gm_status_string(status));
}

static gm_status resample(gm_context *context, gm_resample_filter filter, const gm_image *image, int64_t top,
                          int64_t left, int64_t height, int64_t width, int64_t out_height, int64_t out_width,
                          uint8_t *y, gm_error *error)
{
    const int64_t ldx = CHANNELS * image->width;
    gm_status status = gm_context_reserve(
        context, gm_resample_u8_workspace(context, filter, CHANNELS, height, width, out_height, out_width));
    if (status == GM_OK)
        status = gm_resample_u8(context, filter, CHANNELS, height, width, image->pixels + top * ldx + CHANNELS * left,
                                ldx, out_height, out_width, y, CHANNELS * out_width);
    return internal(status, "resizing an image", error);
}

static void copy_box(const gm_image *image, int64_t top, int64_t left, int64_t height, int64_t width, uint8_t *y)
{
    const int64_t row = CHANNELS * width;
    for (int64_t i = 0; i < height; i++)
        for (int64_t j = 0; j < row; j++)
            y[i * row + j] = image->pixels[((top + i) * image->width + left) * CHANNELS + j];
}

/* Where torchvision's CenterCrop begins. */
static int64_t middle(int64_t length, int64_t part)
{
    return llrint((double)(length - part) / 2);
}

/* The shorter side at 256/224 of the size, then the middle: what ResNets are tested with. An image longer than 16 times
 * its shorter side would only cost memory at its ends. */
static gm_status frame(gm_context *context, const gm_image *image, int64_t height, int64_t width, gm_image *buffer,
                       uint8_t *y, gm_error *error)
{
    enum { LONGEST = 16 };
    const int64_t most = LONGEST * (image->height < image->width ? image->height : image->width);
    const int64_t h = image->height < most ? image->height : most, w = image->width < most ? image->width : most;
    const int64_t size = height > width ? height : width, shorter = (256 * size + 112) / 224;
    const int64_t resized_h = h <= w ? shorter : shorter * h / w, resized_w = h <= w ? shorter * w / h : shorter;
    gm_status status = gm_image_resize(buffer, resized_h, resized_w, "an image", error);
    if (status == GM_OK)
        status = resample(context, GM_RESAMPLE_BILINEAR, image, (image->height - h) / 2, (image->width - w) / 2, h, w,
                          resized_h, resized_w, buffer->pixels, error);
    if (status == GM_OK)
        copy_box(buffer, middle(resized_h, height), middle(resized_w, width), height, width, y);
    return status;
}

static gm_status jitter(const gm_color_view *view, gm_context *context, int64_t height, int64_t width, uint8_t *y)
{
    const int64_t ld = CHANNELS * width;
    gm_status status = GM_OK;
    for (int i = 0; i < 4 && status == GM_OK; i++)
        switch (view->order[i]) {
        case 0:
            status = gm_adjust_brightness_u8(context, CHANNELS, height, width, y, ld, view->brightness, y, ld);
            break;
        case 1:
            status = gm_adjust_contrast_u8(context, CHANNELS, height, width, y, ld, view->contrast, y, ld);
            break;
        case 2:
            status = gm_adjust_saturation_u8(context, CHANNELS, height, width, y, ld, view->saturation, y, ld);
            break;
        default: /* a hue that is not turned would lose by the way there and back */
            if (view->hue != 0.0f)
                status = gm_adjust_hue_u8(context, CHANNELS, height, width, y, ld, view->hue, y, ld);
        }
    return status;
}

static gm_status blur(const gm_color_view *view, gm_context *context, int64_t height, int64_t width, uint8_t *y)
{
    const int64_t ld = CHANNELS * width;
    gm_status status = gm_context_reserve(context, gm_gaussian_blur_u8_workspace(context, CHANNELS, height, width));
    if (status == GM_OK)
        status = gm_gaussian_blur_u8(context, CHANNELS, height, width, y, ld, view->blur_sigma, y, ld);
    return status;
}

gm_status gm_color_view_apply(const gm_color_view *view, gm_context *context, const gm_image *image, bool framed,
                              int64_t height, int64_t width, gm_image *buffer, uint8_t *y, gm_error *error)
{
    const int64_t ld = CHANNELS * width;
    gm_status status = GM_OK;
    if (view->crop)
        status = resample(context, GM_RESAMPLE_BICUBIC, image, view->top, view->left, view->height, view->width, height,
                          width, y, error);
    else if (framed)
        status = frame(context, image, height, width, buffer, y, error);
    else
        copy_box(image, 0, 0, height, width, y);
    if (status != GM_OK)
        return status;
    if (view->flip)
        status = gm_flip_u8(context, CHANNELS, height, width, y, ld, y, ld);
    if (status == GM_OK && view->jitter)
        status = jitter(view, context, height, width, y);
    if (status == GM_OK && view->gray)
        status = gm_grayscale_u8(context, CHANNELS, height, width, y, ld, y, ld);
    if (status == GM_OK && view->blur_sigma > 0.0f)
        status = blur(view, context, height, width, y);
    if (status == GM_OK && view->solarize_threshold < 256)
        status = gm_solarize_u8(context, CHANNELS, height, width, y, ld, view->solarize_threshold, y, ld);
    return internal(status, "augmentation", error);
}

static gm_status make_sample(const struct gm_view_request *r, struct scratch *s, int64_t i, gm_error *error)
{
    const gm_dataset *dataset = r->dataset;
    const int64_t row = r->rows ? r->rows[i] : i;
    gm_status status = gm_dataset_read_image(dataset, r->split, row, &s->image, error);
    for (int32_t v = 0; v < r->views && status == GM_OK; v++) {
        const struct gm_view_key key = {r->seed, r->epoch, row, r->first_view + v};
        const gm_color_view plain = {.solarize_threshold = 256};
        const gm_color_view view =
            r->augmentation ? gm_augmentation_draw_color(r->augmentation, key, s->image.height, s->image.width) : plain;
        status = gm_color_view_apply(&view, s->context, &s->image, r->split->paths != NULL, dataset->height,
                                     dataset->width, &s->framed, s->view, error);
        if (status == GM_OK)
            status =
                internal(gm_normalize_u8_f32(s->context, CHANNELS, dataset->height, dataset->width, s->view,
                                             CHANNELS * dataset->width, dataset->channel_mean, dataset->channel_std,
                                             r->y + v * r->view_stride + i * r->ldy, CHANNELS * dataset->width),
                         "normalisation", error);
    }
    return status;
}

static void make_chunk(void *arg, int64_t chunk, int worker)
{
    const struct color_job *job = arg;
    struct scratch *scratch = &job->scratch[worker];
    const int64_t begin = chunk * CHUNK, count = job->request->count;
    for (int64_t i = begin; i < count && i < begin + CHUNK; i++) {
        gm_error error;
        const gm_status status = make_sample(job->request, scratch, i, &error);
        if (status != GM_OK && i < scratch->failed) {
            scratch->failed = i;
            scratch->error = error;
            scratch->error.code = status;
        }
    }
}

/* A thread of its own needs a context of its own. */
static gm_status fill_scratch(const struct gm_view_request *request, gm_context *context, struct scratch *scratch,
                              gm_error *error)
{
    const int32_t threads = gm_context_threads(context);
    gm_context_options options = gm_context_default_options();
    options.isa = gm_context_isa(context);
    options.threading = GM_THREADING_SERIAL;
    options.threads = 1;
    for (int32_t t = 0; t < threads; t++) {
        struct scratch *s = &scratch[t];
        s->failed = request->count;
        s->view = malloc((size_t)request->dataset->dim);
        s->context = threads == 1 ? context : NULL;
        const gm_status status = threads == 1 ? GM_OK : gm_context_create(&options, &s->context);
        if (status != GM_OK || !s->view)
            return gm_error_set(error, status != GM_OK ? status : GM_OUT_OF_MEMORY, "%s: no memory for %d threads",
                                request->dataset->name, threads);
    }
    return GM_OK;
}

static void free_scratch(struct scratch *scratch, int32_t threads)
{
    for (int32_t t = 0; scratch && t < threads; t++) {
        gm_image_free(&scratch[t].image);
        gm_image_free(&scratch[t].framed);
        free(scratch[t].view);
        if (threads > 1)
            gm_context_destroy(scratch[t].context);
    }
    free(scratch);
}

gm_status gm_color_views_make(const struct gm_view_request *request, gm_context *context, gm_error *error)
{
    const int32_t threads = gm_context_threads(context);
    struct scratch *scratch = calloc((size_t)threads, sizeof *scratch);
    gm_status status = GM_OUT_OF_MEMORY;
    if (!scratch)
        return gm_error_set(error, status, "%s: no memory for %d threads", request->dataset->name, threads);
    status = fill_scratch(request, context, scratch, error);
    if (status != GM_OK)
        goto end;
    struct color_job job = {request, scratch};
    gm_context_parallel_for(context, (request->count + CHUNK - 1) / CHUNK, make_chunk, &job);
    const struct scratch *first = scratch;
    for (int32_t t = 1; t < threads; t++)
        if (scratch[t].failed < first->failed)
            first = &scratch[t];
    if (first->failed < request->count)
        status = gm_error_set(error, first->error.code, "%s", first->error.message);
end:
    free_scratch(scratch, threads);
    return status;
}
