#include "train/report_picture.h"

#include <gemel/resample.h>
#include <math.h>

#include "data/image.h"

/* Around every image there is room for its frame, and between query and neighbours a gap. */
enum { FRAME = 1, MARGIN = 1, QUERY_GAP = 4, WRONG = 0xE0453A };

/* Side of an image that comes from a file. */
enum { THUMBNAIL = 64, RGB = 3 };

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
    const bool shrink = dataset->train.paths && dataset->width > THUMBNAIL; /* files are square */
    gm_sheet_layout layout = {.image_width = shrink ? THUMBNAIL : (int32_t)dataset->width,
                              .image_height = shrink ? THUMBNAIL : (int32_t)dataset->height};
    layout.cell_width = layout.image_width + 2 * (FRAME + MARGIN);
    layout.cell_height = layout.image_height + 2 * (FRAME + MARGIN);
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

/* What images of the sheet are made with. */
struct sheet {
    const gm_dataset *dataset;
    gm_picture *picture;
    gm_sheet_layout layout;
    gm_context *context;    /* of colour images, these too: */
    gm_image image, scaled; /* as it is, and as it is shown */
};

static void draw_grey(const struct sheet *sheet, const gm_split *split, int64_t row, int32_t x0, int32_t y0)
{
    const int64_t width = sheet->dataset->width;
    const uint8_t *pixels = split->pixels + row * sheet->dataset->dim;
    for (int32_t y = 0; y < sheet->dataset->height; y++)
        for (int32_t x = 0; x < width; x++)
            set_rgba(sheet->picture, x0 + x, y0 + y, pixels[y * width + x] * 0x010101u, 255);
}

/* The square in the middle, resized. */
static gm_status draw_colour(struct sheet *sheet, const gm_split *split, int64_t row, int32_t x0, int32_t y0,
                             gm_error *error)
{
    const int64_t height = sheet->layout.image_height, width = sheet->layout.image_width;
    gm_image *image = &sheet->image, *scaled = &sheet->scaled;
    gm_status status = gm_dataset_read_image(sheet->dataset, split, row, image, error);
    if (status == GM_OK)
        status = gm_image_resize(scaled, height, width, sheet->dataset->name, error);
    if (status != GM_OK)
        return status;
    const int64_t side = image->height < image->width ? image->height : image->width;
    const uint8_t *middle =
        image->pixels + RGB * ((image->height - side) / 2 * image->width + (image->width - side) / 2);
    status = gm_context_reserve(
        sheet->context, gm_resample_u8_workspace(sheet->context, GM_RESAMPLE_BILINEAR, RGB, side, side, height, width));
    if (status == GM_OK)
        status = gm_resample_u8(sheet->context, GM_RESAMPLE_BILINEAR, RGB, side, side, middle, RGB * image->width,
                                height, width, scaled->pixels, RGB * width);
    if (status != GM_OK)
        return gm_error_set(error, status, "a picture of %s: %s", sheet->dataset->name, gm_status_string(status));
    for (int32_t y = 0; y < height; y++)
        for (int32_t x = 0; x < width; x++) {
            const uint8_t *p = scaled->pixels + RGB * (y * width + x);
            set_rgba(sheet->picture, x0 + x, y0 + y, (uint32_t)p[0] << 16 | (uint32_t)p[1] << 8 | p[2], 255);
        }
    return GM_OK;
}

static gm_status draw_image(struct sheet *sheet, const gm_split *split, int64_t row, int32_t x0, int32_t y0,
                            gm_error *error)
{
    if (sheet->dataset->kind == GM_DATA_COLOR_IMAGES)
        return draw_colour(sheet, split, row, x0, y0, error);
    draw_grey(sheet, split, row, x0, y0);
    return GM_OK;
}

static gm_status draw_row(struct sheet *sheet, const gm_neighbours *neighbours, int32_t q, gm_error *error)
{
    const gm_split *train = &sheet->dataset->train, *from = neighbours->of_training ? train : &sheet->dataset->test;
    const gm_sheet_layout *layout = &sheet->layout;
    const int64_t query = neighbours->query[q];
    const int32_t y = gm_sheet_y(layout, q);
    gm_status status = draw_image(sheet, from, query, gm_sheet_x(layout, 0), y, error);
    for (int32_t i = 0; i < neighbours->k && status == GM_OK; i++) {
        const int64_t row = neighbours->index[q][i];
        const int32_t x = gm_sheet_x(layout, i + 1);
        if (from->labels && train->labels && from->labels[query] != train->labels[row])
            draw_frame(sheet->picture, x, y, layout->image_width, layout->image_height);
        status = draw_image(sheet, train, row, x, y, error);
    }
    return status;
}

gm_status gm_picture_of_neighbours(const gm_dataset *dataset, const gm_neighbours *neighbours, gm_picture *picture,
                                   gm_error *error)
{
    struct sheet sheet = {.dataset = dataset, .picture = picture, .layout = gm_sheet_layout_of(dataset, neighbours)};
    gm_status status = gm_picture_create(sheet.layout.width, sheet.layout.height, 4, picture, error);
    if (status != GM_OK)
        return status;
    gm_context_options options = gm_context_default_options();
    options.threading = GM_THREADING_SERIAL;
    options.workspace = 1;
    status = gm_context_create(&options, &sheet.context);
    if (status != GM_OK)
        gm_error_set(error, status, "a picture of %s: %s", dataset->name, gm_status_string(status));
    for (int32_t q = 0; q < neighbours->queries && status == GM_OK; q++)
        status = draw_row(&sheet, neighbours, q, error);
    gm_context_destroy(sheet.context);
    gm_image_free(&sheet.image);
    gm_image_free(&sheet.scaled);
    return status;
}
