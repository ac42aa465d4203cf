#include "data/augmentation.h"

#include <math.h>
#include <string.h>

#include "support/random.h"

static const gm_augmentation no_augmentation = {
    .size = sizeof(gm_augmentation),
    .crop_scale_min = 1.0f,
    .crop_scale_max = 1.0f,
    .crop_ratio_min = 1.0f,
    .crop_ratio_max = 1.0f,
    .solarize_threshold = 0.5f,
};

/* What the presets for colour images share; they have blur and solarization of their own. */
static gm_augmentation colorful(void)
{
    gm_augmentation preset = no_augmentation;
    preset.crop_probability = 1.0f;
    preset.crop_scale_min = 0.08f;
    preset.crop_ratio_min = 0.75f;
    preset.crop_ratio_max = 4.0f / 3.0f;
    preset.flip_probability = 0.5f;
    preset.jitter_probability = 0.8f;
    preset.brightness = preset.contrast = preset.saturation = 0.4f;
    preset.hue = 0.1f;
    preset.gray_probability = 0.2f;
    return preset;
}

gm_status gm_augmentation_preset(const char *name, gm_augmentation *augmentation, gm_error *error)
{
    if (!name || !augmentation)
        return gm_error_set(error, GM_INVALID_ARGUMENT, "no augmentation named, or no place for it");
    gm_augmentation preset = no_augmentation;
    if (strcmp(name, "imagenet") == 0) {
        preset = colorful();
        preset.saturation = 0.2f;
        preset.blur_probability = 1.0f;
        preset.blur_probability_2 = 0.1f;
        preset.blur_sigma_min = 0.1f;
        preset.blur_sigma_max = 2.0f;
        preset.solarize_probability_2 = 0.2f;
    } else if (strcmp(name, "cifar") == 0) {
        preset = colorful();
    } else if (strcmp(name, "fashion") == 0) {
        preset.crop_probability = 1.0f;
        preset.crop_scale_min = 0.4f;
        preset.crop_ratio_min = 0.75f;
        preset.crop_ratio_max = 4.0f / 3.0f;
        preset.flip_probability = 0.5f;
        /* SimCLR's distances at its strength 1, in every view; what weaker ones cost stands in docs/guide.md. */
        preset.jitter_probability = 1.0f;
        preset.brightness = preset.contrast = 0.8f;
        preset.blur_sigma_min = 0.1f;
        preset.blur_sigma_max = 1.0f;
    } else if (strcmp(name, "vectors") == 0) {
        preset.noise_std = 0.3f;
        preset.dropout_probability = 1.0f;
        preset.dropout_share = 0.1f;
    } else if (strcmp(name, "none") != 0) {
        return gm_error_set(error, GM_BAD_USAGE,
                            "unknown augmentation '%s'; give imagenet, cifar, fashion, vectors or none", name);
    }
    *augmentation = preset;
    return GM_OK;
}

static gm_random open_stream(struct gm_view_key key, gm_random_operation operation)
{
    return gm_random_stream(key.seed, key.epoch, key.sample, key.view, operation);
}

/* Always the first draw of a stream: below 1 strictly, so that probability 1 fires always and 0 never. */
static bool fires(gm_random *stream, float probability)
{
    return gm_random_uniform(stream) < probability;
}

static float of_view(int32_t view, float first, float second)
{
    return view % 2 == 0 ? first : second;
}

/* A box that would not fit is cut at the sides of the image, as rounding may also ask for. */
static void draw_crop(const gm_augmentation *a, gm_random *stream, float height, float width, gm_gray_view *view)
{
    const float area = gm_random_between(stream, a->crop_scale_min, a->crop_scale_max) * height * width;
    const float ratio = expf(gm_random_between(stream, logf(a->crop_ratio_min), logf(a->crop_ratio_max)));
    view->width = fminf(sqrtf(area * ratio), width);
    view->height = fminf(sqrtf(area / ratio), height);
    view->left = fminf(gm_random_uniform(stream) * (width - view->width), width - view->width);
    view->top = fminf(gm_random_uniform(stream) * (height - view->height), height - view->height);
}

gm_gray_view gm_augmentation_draw(const gm_augmentation *augmentation, struct gm_view_key key, int64_t height,
                                  int64_t width)
{
    const gm_augmentation *a = augmentation;
    gm_gray_view view = gm_plain_view(height, width);
    gm_random stream = open_stream(key, GM_RANDOM_CROP);
    if (fires(&stream, a->crop_probability))
        draw_crop(a, &stream, (float)height, (float)width, &view);
    stream = open_stream(key, GM_RANDOM_FLIP);
    view.flip = fires(&stream, a->flip_probability);
    stream = open_stream(key, GM_RANDOM_JITTER);
    if (fires(&stream, a->jitter_probability)) {
        view.brightness = gm_random_between(&stream, 1.0f - a->brightness, 1.0f + a->brightness);
        view.contrast = gm_random_between(&stream, 1.0f - a->contrast, 1.0f + a->contrast);
    }
    stream = open_stream(key, GM_RANDOM_BLUR);
    if (fires(&stream, of_view(key.view, a->blur_probability, a->blur_probability_2)))
        view.blur_sigma = gm_random_between(&stream, a->blur_sigma_min, a->blur_sigma_max);
    stream = open_stream(key, GM_RANDOM_SOLARIZE);
    if (fires(&stream, of_view(key.view, a->solarize_probability, a->solarize_probability_2)))
        view.solarize_threshold = a->solarize_threshold;
    return view;
}

static void centre_box(const gm_augmentation *a, int64_t height, int64_t width, gm_color_view *view)
{
    const double ratio = (double)width / (double)height;
    view->width = ratio > a->crop_ratio_max ? llrint((double)height * a->crop_ratio_max) : width;
    view->height = ratio < a->crop_ratio_min ? llrint((double)width / a->crop_ratio_min) : height;
    view->left = (width - view->width) / 2;
    view->top = (height - view->height) / 2;
}

static void draw_box(const gm_augmentation *a, gm_random *stream, int64_t height, int64_t width, gm_color_view *view)
{
    enum { TRIES = 10 };
    const double low = log(a->crop_ratio_min), high = log(a->crop_ratio_max);
    view->crop = true;
    for (int i = 0; i < TRIES; i++) {
        const double area =
            gm_random_between(stream, a->crop_scale_min, a->crop_scale_max) * (double)height * (double)width;
        const double ratio = exp(low + (high - low) * gm_random_uniform(stream));
        view->width = llrint(sqrt(area * ratio));
        view->height = llrint(sqrt(area / ratio));
        if (view->width > 0 && view->width <= width && view->height > 0 && view->height <= height) {
            view->top = gm_random_below(stream, (uint32_t)(height - view->height + 1));
            view->left = gm_random_below(stream, (uint32_t)(width - view->width + 1));
            return;
        }
    }
    centre_box(a, height, width, view);
}

static void draw_jitter(const gm_augmentation *a, gm_random *stream, gm_color_view *view)
{
    view->jitter = true;
    view->brightness = gm_random_between(stream, 1.0f - a->brightness, 1.0f + a->brightness);
    view->contrast = gm_random_between(stream, 1.0f - a->contrast, 1.0f + a->contrast);
    view->saturation = gm_random_between(stream, 1.0f - a->saturation, 1.0f + a->saturation);
    view->hue = gm_random_between(stream, -a->hue, a->hue);
    for (uint32_t i = 3; i > 0; i--) {
        const uint32_t j = gm_random_below(stream, i + 1);
        const uint8_t step = view->order[i];
        view->order[i] = view->order[j];
        view->order[j] = step;
    }
}

gm_color_view gm_augmentation_draw_color(const gm_augmentation *augmentation, struct gm_view_key key, int64_t height,
                                         int64_t width)
{
    const gm_augmentation *a = augmentation;
    gm_color_view view = {.order = {0, 1, 2, 3}, .solarize_threshold = 256};
    gm_random stream = open_stream(key, GM_RANDOM_CROP);
    if (fires(&stream, a->crop_probability))
        draw_box(a, &stream, height, width, &view);
    stream = open_stream(key, GM_RANDOM_FLIP);
    view.flip = fires(&stream, a->flip_probability);
    stream = open_stream(key, GM_RANDOM_JITTER);
    if (fires(&stream, a->jitter_probability))
        draw_jitter(a, &stream, &view);
    stream = open_stream(key, GM_RANDOM_GRAY);
    view.gray = fires(&stream, a->gray_probability);
    stream = open_stream(key, GM_RANDOM_BLUR);
    if (fires(&stream, of_view(key.view, a->blur_probability, a->blur_probability_2)))
        view.blur_sigma = gm_random_between(&stream, a->blur_sigma_min, a->blur_sigma_max);
    stream = open_stream(key, GM_RANDOM_SOLARIZE);
    if (fires(&stream, of_view(key.view, a->solarize_probability, a->solarize_probability_2)))
        view.solarize_threshold = (int32_t)ceilf(255.0f * a->solarize_threshold);
    return view;
}

void gm_augmentation_apply_f32(const gm_augmentation *augmentation, struct gm_view_key key, int64_t dim, const float *x,
                               float *y)
{
    gm_random stream = open_stream(key, GM_RANDOM_NOISE);
    const float deviation = fires(&stream, augmentation->noise_probability) ? augmentation->noise_std : 0.0f;
    if (deviation > 0.0f)
        for (int64_t j = 0; j < dim; j++)
            y[j] = x[j] + deviation * gm_random_normal(&stream);
    else
        memcpy(y, x, (size_t)dim * sizeof *y);
    stream = open_stream(key, GM_RANDOM_DROPOUT);
    if (fires(&stream, augmentation->dropout_probability))
        for (int64_t j = 0; j < dim; j++)
            if (gm_random_uniform(&stream) < augmentation->dropout_share)
                y[j] = 0.0f;
}
