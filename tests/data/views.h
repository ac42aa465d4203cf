/* Made by make_views.py: parameters of the cases in views.u8. */
/* clang-format off */
enum { VIEWS_HEIGHT = 61, VIEWS_WIDTH = 83 };

static const struct views_case {
    int64_t height, width;
    gm_color_view view;
} views_cases[] = {
    {32, 32, {.crop = true, .top = 7, .left = 11, .height = 40, .width = 52, .flip = true, .jitter = true, .order = {2, 0, 3, 1}, .brightness = 1.3125f, .contrast = 0.6875f, .saturation = 1.1875f, .hue = -0.09375f, .blur_sigma = 1.25f, .solarize_threshold = 256}},
    {32, 32, {.crop = true, .top = 20, .left = 3, .height = 22, .width = 17, .jitter = true, .order = {0, 1, 2, 3}, .brightness = 0.625f, .contrast = 1.375f, .saturation = 0.8125f, .hue = 0.078125f, .blur_sigma = 0.3125f, .solarize_threshold = 128}},
    {33, 47, {.crop = true, .top = 0, .left = 0, .height = 61, .width = 83, .flip = true, .jitter = true, .order = {3, 2, 1, 0}, .brightness = 0.75f, .contrast = 1.25f, .saturation = 1.125f, .hue = 0.0625f, .gray = true, .blur_sigma = 1.9375f, .solarize_threshold = 256}},
    {24, 40, {.crop = true, .top = 50, .left = 70, .height = 11, .width = 13, .blur_sigma = 0.6875f, .solarize_threshold = 128}},
    {32, 32, {.crop = true, .top = 3, .left = 40, .height = 58, .width = 43, .jitter = true, .order = {1, 3, 0, 2}, .brightness = 1.40625f, .contrast = 1.40625f, .saturation = 0.8125f, .hue = 0.09375f, .gray = true, .blur_sigma = 0.0f, .solarize_threshold = 128}},
    {32, 32, {.crop = true, .top = 29, .left = 30, .height = 32, .width = 32, .flip = true, .jitter = true, .order = {3, 0, 2, 1}, .brightness = 1.1875f, .contrast = 0.59375f, .saturation = 1.21875f, .hue = -0.046875f, .blur_sigma = 0.0f, .solarize_threshold = 256}},
    {32, 32, {.blur_sigma = 0.0f, .solarize_threshold = 256}},
    {48, 48, {.flip = true, .blur_sigma = 0.125f, .solarize_threshold = 100}},
};
