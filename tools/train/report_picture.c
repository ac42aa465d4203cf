#include "train/report_picture.h"

#include <math.h>

/* Around every image there is room for its frame, and between query and neighbours a gap. */
enum { FRAME = 1, MARGIN = 1, QUERY_GAP = 4, WRONG = 0xE0453A };

static void set_rgba(const gm_picture *picture, int32_t x, int32_t y, uint32_t rgb, uint8_t alpha)
{
    uint8_t *pixel = picture->pixels + ((int64_t)y * picture->width + x) * 4;
    pixel[0] = (uint8_t)(rgb >> 16);
    pixel[1] = (uint8_t)(rgb >> 8);
    pixel[2] = (uint8_t)rgb;
    pixel[3] = alpha;
}

gm_status gm_picture_of_matrix(const float *values, int64_t tiles, float unit, gm_picture *picture, gm_error *error)
{
    const gm_status status = gm_picture_create((int32_t)tiles, (int32_t)tiles, 4, picture, error);
    if (status != GM_OK)
        return status;
    for (int32_t y = 0; y < picture->height; y++)
        for (int32_t x = 0; x < picture->width; x++) {
            const float v = values[(int64_t)y * tiles + x] / unit;
            const float opacity = isfinite(v) ? fminf(fabsf(v), 1.0f) : 0.0f;
            set_rgba(picture, x, y, v < 0.0f ? GM_COLOUR_NEGATIVE : GM_COLOUR_POSITIVE,
                     (uint8_t)lrintf(255.0f * opacity));
        }
    return GM_OK;
}

gm_sheet_layout gm_sheet_layout_of(const gm_dataset *dataset, const gm_neighbours *neighbours)
{
    gm_sheet_layout layout = {.cell_width = (int32_t)dataset->width + 2 * (FRAME + MARGIN),
                              .cell_height = (int32_t)dataset->height + 2 * (FRAME + MARGIN)};
    layout.width = layout.cell_width * (1 + neighbours->k) + QUERY_GAP;
    layout.height = layout.cell_height * neighbours->queries;
    return layout;
}

int32_t gm_sheet_x(const gm_sheet_layout *layout, int32_t column)
{
    return layout->cell_width * column + (column ? QUERY_GAP : 0) + FRAME + MARGIN;
}

int32_t gm_sheet_y(const gm_sheet_layout *layout, int32_t row)
{
    return layout->cell_height * row + FRAME + MARGIN;
}

static void draw_frame(const gm_picture *picture, int32_t x0, int32_t y0, int32_t width, int32_t height)
{
    for (int32_t y = y0 - FRAME; y < y0 + height + FRAME; y++)
        for (int32_t x = x0 - FRAME; x < x0 + width + FRAME; x++)
            set_rgba(picture, x, y, WRONG, 255);
}

static void draw_image(const gm_dataset *dataset, const gm_split *split, int64_t row, const gm_picture *picture,
                       int32_t x0, int32_t y0)
{
    const uint8_t *pixels = split->pixels + row * dataset->dim;
    for (int32_t y = 0; y < dataset->height; y++)
        for (int32_t x = 0; x < dataset->width; x++)
            set_rgba(picture, x0 + x, y0 + y, pixels[y * dataset->width + x] * 0x010101u, 255);
}

gm_status gm_picture_of_neighbours(const gm_dataset *dataset, const gm_neighbours *neighbours, gm_picture *picture,
                                   gm_error *error)
{
    const gm_sheet_layout layout = gm_sheet_layout_of(dataset, neighbours);
    const gm_status status = gm_picture_create(layout.width, layout.height, 4, picture, error);
    if (status != GM_OK)
        return status;
    const gm_split *train = &dataset->train, *from = neighbours->of_training ? train : &dataset->test;
    for (int32_t q = 0; q < neighbours->queries; q++) {
        const int64_t query = neighbours->query[q];
        const int32_t y = gm_sheet_y(&layout, q);
        draw_image(dataset, from, query, picture, gm_sheet_x(&layout, 0), y);
        for (int32_t i = 0; i < neighbours->k; i++) {
            const int64_t row = neighbours->index[q][i];
            const int32_t x = gm_sheet_x(&layout, i + 1);
            if (from->labels && train->labels && from->labels[query] != train->labels[row])
                draw_frame(picture, x, y, (int32_t)dataset->width, (int32_t)dataset->height);
            draw_image(dataset, train, row, picture, x, y);
        }
    }
    return GM_OK;
}
