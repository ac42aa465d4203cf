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

gm_status gm_augmentation_preset(const char *name, gm_augmentation *augmentation, gm_error *error)
{
    if (!name || !augmentation)
        return gm_error_set(error, GM_INVALID_ARGUMENT, "no augmentation named, or no place for it");
    gm_augmentation preset = no_augmentation;
    if (strcmp(name, "fashion") == 0) {
        preset.crop_probability = 1.0f;
        preset.crop_scale_min = 0.4f;
        preset.crop_ratio_min = 0.75f;
        preset.crop_ratio_max = 4.0f / 3.0f;
        preset.flip_probability = 0.5f;
        preset.jitter_probability = 0.8f;
        preset.brightness = preset.contrast = 0.4f;
        preset.blur_sigma_min = 0.1f;
        preset.blur_sigma_max = 1.0f;
    } else if (strcmp(name, "vectors") == 0) {
        preset.noise_std = 0.3f;
        preset.dropout_probability = 1.0f;
        preset.dropout_share = 0.1f;
    } else if (strcmp(name, "none") != 0) {
        return gm_error_set(error, GM_BAD_USAGE, "unknown augmentation '%s'; give fashion, vectors or none", name);
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
    if (fires(&stream, a->blur_probability))
        view.blur_sigma = gm_random_between(&stream, a->blur_sigma_min, a->blur_sigma_max);
    stream = open_stream(key, GM_RANDOM_SOLARIZE);
    if (fires(&stream, a->solarize_probability))
        view.solarize_threshold = a->solarize_threshold;
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
