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
