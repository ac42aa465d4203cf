/* Two augmented views of images by the presets of gemel train, on one thread. Requests: "WHAT SOURCE PATH", where PATH
 * is a folder of images or another data set's name. WHAT: "time", seconds for the first ROWS images; "value", the mean
 * square of all numbers. SOURCE: "files" (or whatever the data set is made of); "decoded", the images of a folder in
 * memory. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <gemel/color.h>

#include "data/color_view.h"
#include "data/image.h"
#include "server.h"

enum { VIEWS = 2, ROWS = 64, REQUEST = 1024 };

struct work {
    char request[REQUEST];
    gm_context *context;
    gm_dataset *dataset;
    gm_augmentation augmentation;
    bool decoded;
    int64_t rows;
    gm_image images[ROWS], buffer;
    uint8_t *view; /* [dim] */
    float *y;      /* [VIEWS rows, dim] */
    double last;
};

static void check(gm_status status, const gm_error *error)
{
    if (status != GM_OK)
        server_fail("%s", error->message);
}

static const char *preset(const gm_dataset *dataset)
{
    if (dataset->kind == GM_DATA_COLOR_IMAGES)
        return dataset->train.paths ? "imagenet" : "cifar";
    return dataset->kind == GM_DATA_GRAY_IMAGES ? "fashion" : "vectors";
}

static void prepare(struct work *work, const char *request)
{
    gm_error error = {GM_OK, "out of memory"};
    gm_context_options options = gm_context_default_options();
    char source[SERVER_WORD];
    const char *path = server_first_word(request, source);
    options.threads = 1;
    options.threading = GM_THREADING_SERIAL;
    if (work->dataset || strlen(request) >= REQUEST)
        server_fail("one data set for each program, with a path that is not too long");
    strcpy(work->request, request);
    check(gm_context_create(&options, &work->context), &error);
    check(gm_dataset_open(path, NULL, &work->dataset, &error), &error);
    check(gm_augmentation_preset(preset(work->dataset), &work->augmentation, &error), &error);
    work->decoded = !strcmp(source, "decoded");
    work->rows = work->dataset->train.rows < ROWS ? work->dataset->train.rows : ROWS;
    for (int64_t i = 0; i < work->rows && work->decoded; i++)
        check(gm_dataset_read_image(work->dataset, &work->dataset->train, i, &work->images[i], &error), &error);
    work->view = malloc((size_t)work->dataset->dim);
    work->y = calloc((size_t)(VIEWS * work->rows * work->dataset->dim), sizeof *work->y);
    if (!work->view || !work->y)
        server_fail("out of memory");
}

static void make_decoded(struct work *work, int32_t view, int64_t i, gm_error *error)
{
    const gm_dataset *dataset = work->dataset;
    const gm_image *image = &work->images[i];
    const struct gm_view_key key = {0, 0, i, view};
    const gm_color_view drawn = gm_augmentation_draw_color(&work->augmentation, key, image->height, image->width);
    check(gm_color_view_apply(&drawn, work->context, image, true, dataset->height, dataset->width, &work->buffer,
                              work->view, error),
          error);
    check(gm_normalize_u8_f32(work->context, 3, dataset->height, dataset->width, work->view, 3 * dataset->width,
                              dataset->channel_mean, dataset->channel_std,
                              work->y + (view * work->rows + i) * dataset->dim, 3 * dataset->width),
          error);
}

static void run(void *arg)
{
    struct work *work = arg;
    gm_error error = {GM_OK, "an image kernel failed"};
    if (!work->decoded)
        check(gm_dataset_views_f32(work->dataset, &work->dataset->train, work->context, &work->augmentation, 0, 0,
                                   VIEWS, NULL, work->rows, work->y, work->dataset->dim, &error),
              &error);
    for (int64_t i = 0; i < work->rows && work->decoded; i++)
        for (int32_t view = 0; view < VIEWS; view++)
            make_decoded(work, view, i, &error);
}

static double answer(const char *request)
{
    static struct work work;
    char what[SERVER_WORD];
    const char *rest = server_first_word(request, what);
    if (strcmp(rest, work.request) != 0)
        prepare(&work, rest);
    if (!strcmp(what, "time"))
        return server_time(run, &work, &work.last);
    if (strcmp(what, "value") != 0)
        server_fail("not a request: %s", request);
    run(&work);
    const int64_t count = VIEWS * work.rows * work.dataset->dim;
    return server_sum_of_squares(count, work.y) / (double)count;
}

int main(int argc, char **argv)
{
    if (argc != 1)
        server_fail("usage: %s", argv[0]);
    return server_run(answer);
}
