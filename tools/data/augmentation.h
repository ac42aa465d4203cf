/* Inside tools/data: the random choices behind one view of one sample. Each is a function of (seed, epoch, sample,
 * view) alone. */
#ifndef GEMEL_AUGMENTATION_H
#define GEMEL_AUGMENTATION_H

#include <gemel/data.h>
#include <gemel/gray_view.h>

struct gm_view_key {
    uint64_t seed;
    int64_t epoch, sample;
    int32_t view;
};

/* The steps of one view of one colour image, in the order that they are taken in. */
typedef struct gm_color_view {
    bool crop;                        /* else the image is framed as without augmentation */
    int64_t left, top, width, height; /* the crop's box in pixels, inside the image */
    bool flip;
    bool jitter;
    uint8_t order[4]; /* of the jitter's steps: 0 brightness, 1 contrast, 2 saturation, 3 hue */
    float brightness, contrast, saturation, hue;
    bool gray;
    float blur_sigma;           /* 0: none */
    int32_t solarize_threshold; /* 256: none */
} gm_color_view;

/* height, width: of the image as it is stored. The box is that of torchvision's RandomResizedCrop: ten tries, then the
 * largest centred one of an allowed ratio. */
gm_color_view gm_augmentation_draw_color(const gm_augmentation *augmentation, struct gm_view_key key, int64_t height,
                                         int64_t width);

gm_gray_view gm_augmentation_draw(const gm_augmentation *augmentation, struct gm_view_key key, int64_t height,
                                  int64_t width);

/* y = x with noise, then dropout; both [dim]. */
void gm_augmentation_apply_f32(const gm_augmentation *augmentation, struct gm_view_key key, int64_t dim, const float *x,
                               float *y);

/* The whole image as it is. */
static inline gm_gray_view gm_plain_view(int64_t height, int64_t width)
{
    gm_gray_view view = {0.0f, 0.0f, (float)width, (float)height, false, 1.0f, 1.0f, 0.0f, 2.0f};
    return view;
}

#endif
