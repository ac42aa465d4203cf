#include <gemel/pool.h>

#include <math.h>

#include "pool/pool.h"

/* Elements of the result that a chunk writes, about. */
enum { CHUNK_ELEMENTS = 1 << 15 };

/* A map and its leading dimension; also of results, which only the kernels write. */
struct map {
    int64_t images, height, width, channels;
    const float *data;
    int64_t ld;
};

static gm_status check_map(const struct map *map)
{
    int64_t pixels;
    if (map->images < 0 || map->height < 0 || map->width < 0)
        return GM_INVALID_ARGUMENT;
    if (__builtin_mul_overflow(map->images, map->height, &pixels) ||
        __builtin_mul_overflow(pixels, map->width, &pixels))
        return GM_SIZE_OVERFLOW;
    return gm_check_matrix(pixels, map->channels, map->data, map->ld);
}

static gm_status check_line(const struct map *map, const gm_pool_line *line)
{
    if (!line)
        return GM_OK;
    const bool valid = line->groups >= 1 && map->images % line->groups == 0 && line->scale && line->shift;
    return valid || map->channels == 0 ? GM_OK : GM_INVALID_ARGUMENT;
}

static struct gm_pool_values values_of(const struct map *x, const gm_pool_line *line, int64_t image, int64_t channel)
{
    struct gm_pool_values values = {.x = x->data + image * x->height * x->width * x->ld + channel, .ldx = x->ld};
    if (line) {
        const int64_t first = image / (x->images / line->groups) * x->channels + channel;
        values.scale = line->scale + first;
        values.shift = line->shift + first;
        values.floor = line->relu ? 0.0f : -INFINITY;
    }
    return values;
}

/* Max pooling: a chunk is a band of rows of one image, of y or of dv. */
struct max_job {
    const struct gm_pool_kernels *kernels;
    struct gm_max_pool pool; /* of all images */
    struct map x;            /* or dv */
    const gm_pool_line *line;
    int64_t rows, band; /* to write of an image, by a chunk */
};

static struct gm_max_pool image_of(const struct max_job *job, int64_t chunk, int64_t *image)
{
    const int64_t bands = gm_ceil_div(job->rows, job->band);
    struct gm_max_pool pool = job->pool;
    *image = chunk / bands;
    pool.first = chunk % bands * job->band;
    pool.last = gm_min_i64(pool.first + job->band, job->rows);
    return pool;
}

static void max_forward_chunk(void *arg, int64_t chunk, int worker)
{
    (void)worker;
    const struct max_job *job = arg;
    int64_t image;
    struct gm_max_pool pool = image_of(job, chunk, &image);
    const int64_t pixels = image * pool.out_height * pool.out_width;
    pool.in = values_of(&job->x, job->line, image, 0);
    pool.y += pixels * pool.ldy;
    pool.new_winners = pool.new_winners ? pool.new_winners + pixels * pool.channels : NULL;
    job->kernels->max_forward(&pool);
}

static void max_backward_chunk(void *arg, int64_t chunk, int worker)
{
    (void)worker;
    const struct max_job *job = arg;
    int64_t image;
    struct gm_max_pool pool = image_of(job, chunk, &image);
    const int64_t pixels = image * pool.out_height * pool.out_width;
    pool.dy += pixels * pool.lddy;
    pool.winners += pixels * pool.channels;
    pool.dv += image * pool.height * pool.width * pool.lddv;
    job->kernels->max_backward(&pool);
}

static void run_max(gm_context *context, struct max_job *job, gm_chunk_body body, int64_t rows, int64_t width)
{
    job->kernels = context->kernels.pool;
    job->rows = rows;
    job->band = gm_max_i64(1, CHUNK_ELEMENTS / (width * job->pool.channels));
    gm_parallel(context, job->x.images * gm_ceil_div(rows, job->band), body, job);
}

static const gm_max_pool_options *max_options(const gm_max_pool_options *options, const gm_max_pool_options *defaults)
{
    if (!options)
        return defaults;
    const bool valid = gm_options_valid(options->size, sizeof *options) && options->kernel >= 1 &&
                       options->kernel <= GM_POOL_MOST_KERNEL && options->stride >= 1 && options->stride <= INT32_MAX &&
                       options->padding >= 0 && options->padding <= options->kernel / 2;
    return valid ? options : NULL;
}

int64_t gm_max_pool_extent(int64_t size, const gm_max_pool_options *options)
{
    const gm_max_pool_options defaults = gm_max_pool_default_options(), *valid = max_options(options, &defaults);
    if (!valid || size < 1 || size > INT64_MAX - 2 * GM_POOL_MOST_KERNEL)
        return 0;
    const int64_t room = size + 2 * valid->padding - valid->kernel;
    return room < 0 ? 0 : room / valid->stride + 1;
}

/* Fills the job but for the pointers that only one direction has. x: the map of x or dv, out: of y or dy. */
static gm_status prepare_max(gm_context *context, const struct map *x, const float *out, int64_t ldout,
                             const gm_max_pool_options *options, struct max_job *job)
{
    const struct map y = {
        x->images, gm_max_pool_extent(x->height, options), gm_max_pool_extent(x->width, options), x->channels, out,
        ldout};
    if (!context || !options)
        return GM_INVALID_ARGUMENT;
    gm_status status = check_map(x);
    if (status == GM_OK)
        status = check_map(&y);
    *job = (struct max_job){.x = *x,
                            .pool = {.height = x->height,
                                     .width = x->width,
                                     .channels = x->channels,
                                     .out_height = y.height,
                                     .out_width = y.width,
                                     .kernel = options->kernel,
                                     .stride = options->stride,
                                     .padding = options->padding}};
    return status;
}

static bool empty(const struct map *map)
{
    return map->images == 0 || map->height == 0 || map->width == 0 || map->channels == 0;
}

gm_status gm_max_pool_forward_f32(gm_context *context, int64_t images, int64_t height, int64_t width, int64_t channels,
                                  const float *x, int64_t ldx, const gm_max_pool_options *options, float *y,
                                  int64_t ldy, uint8_t *winners)
{
    const gm_max_pool_options defaults = gm_max_pool_default_options();
    const struct map map = {images, height, width, channels, x, ldx};
    struct max_job job;
    options = max_options(options, &defaults);
    gm_status status = prepare_max(context, &map, y, ldy, options, &job);
    if (status == GM_OK)
        status = check_line(&map, options->line);
    if (status != GM_OK || empty(&map) || job.pool.out_height == 0 || job.pool.out_width == 0)
        return status;
    job.line = options->line;
    job.pool.y = y;
    job.pool.ldy = ldy;
    job.pool.new_winners = winners;
    run_max(context, &job, max_forward_chunk, job.pool.out_height, job.pool.out_width);
    return GM_OK;
}

gm_status gm_max_pool_backward_f32(gm_context *context, int64_t images, int64_t height, int64_t width, int64_t channels,
                                   const float *dy, int64_t lddy, const uint8_t *winners,
                                   const gm_max_pool_options *options, float *dv, int64_t lddv)
{
    const gm_max_pool_options defaults = gm_max_pool_default_options();
    const struct map map = {images, height, width, channels, dv, lddv};
    struct max_job job;
    const gm_status status = prepare_max(context, &map, dy, lddy, max_options(options, &defaults), &job);
    if (status != GM_OK || empty(&map))
        return status;
    if (!winners && job.pool.out_height * job.pool.out_width > 0)
        return GM_INVALID_ARGUMENT;
    job.pool.dy = dy;
    job.pool.lddy = lddy;
    job.pool.winners = winners;
    job.pool.dv = dv;
    job.pool.lddv = lddv;
    run_max(context, &job, max_backward_chunk, height, width);
    return GM_OK;
}

/* Average pooling: a chunk is a block of channels of one image. */
struct average_job {
    const struct gm_pool_kernels *kernels;
    struct gm_average_pool pool; /* of all images and channels */
    struct map x;                /* or dv */
    const gm_pool_line *line;
    int64_t block, ldy; /* channels of a chunk; of y or dy */
};

static struct gm_average_pool block_of(const struct average_job *job, int64_t chunk, int64_t *image, int64_t *channel)
{
    const int64_t blocks = gm_ceil_div(job->x.channels, job->block);
    struct gm_average_pool pool = job->pool;
    *image = chunk / blocks;
    *channel = chunk % blocks * job->block;
    pool.channels = gm_min_i64(job->block, job->x.channels - *channel);
    return pool;
}

static void average_forward_chunk(void *arg, int64_t chunk, int worker)
{
    (void)worker;
    const struct average_job *job = arg;
    int64_t image, channel;
    struct gm_average_pool pool = block_of(job, chunk, &image, &channel);
    pool.in = values_of(&job->x, job->line, image, channel);
    pool.y += image * job->ldy + channel * pool.channel_stride;
    job->kernels->average_forward(&pool);
}

static void average_backward_chunk(void *arg, int64_t chunk, int worker)
{
    (void)worker;
    const struct average_job *job = arg;
    int64_t image, channel;
    struct gm_average_pool pool = block_of(job, chunk, &image, &channel);
    pool.dy += image * job->ldy + channel * pool.channel_stride;
    pool.dv += image * pool.height * pool.width * pool.lddv + channel;
    job->kernels->average_backward(&pool);
}

/* Checks and fills the job but for the pointers that only one direction has. x: the map of x or dv, out: y or dy. */
static gm_status prepare_average(gm_context *context, const struct map *x, const float *out, int64_t ldout,
                                 const gm_average_pool_options *options, struct average_job *job)
{
    if (!context || !gm_options_valid(options->size, sizeof *options) || options->grid < 1 ||
        options->grid > GM_POOL_MOST_GRID || x->height < 1 || x->width < 1)
        return GM_INVALID_ARGUMENT;
    const int64_t cells = options->grid * options->grid;
    gm_status status = check_map(x);
    if (status != GM_OK)
        return status;
    if (x->channels > INT64_MAX / cells)
        return GM_SIZE_OVERFLOW;
    status = gm_check_matrix(x->images, x->channels * cells, out, ldout);
    *job = (struct average_job){.kernels = context->kernels.pool,
                                .x = *x,
                                .block = GM_POOL_BLOCK / cells,
                                .ldy = ldout,
                                .pool = {.height = x->height,
                                         .width = x->width,
                                         .grid = options->grid,
                                         .cell_stride = options->planar ? 1 : x->channels,
                                         .channel_stride = options->planar ? cells : 1}};
    return status;
}

static void run_average(gm_context *context, struct average_job *job, gm_chunk_body body)
{
    gm_parallel(context, job->x.images * gm_ceil_div(job->x.channels, job->block), body, job);
}

gm_status gm_average_pool_forward_f32(gm_context *context, int64_t images, int64_t height, int64_t width,
                                      int64_t channels, const float *x, int64_t ldx,
                                      const gm_average_pool_options *options, float *y, int64_t ldy)
{
    const gm_average_pool_options defaults = gm_average_pool_default_options();
    const struct map map = {images, height, width, channels, x, ldx};
    struct average_job job;
    if (!options)
        options = &defaults;
    gm_status status = prepare_average(context, &map, y, ldy, options, &job);
    if (status == GM_OK)
        status = check_line(&map, options->line);
    if (status != GM_OK || empty(&map))
        return status;
    job.line = options->line;
    job.pool.y = y;
    run_average(context, &job, average_forward_chunk);
    return GM_OK;
}

gm_status gm_average_pool_backward_f32(gm_context *context, int64_t images, int64_t height, int64_t width,
                                       int64_t channels, const float *dy, int64_t lddy,
                                       const gm_average_pool_options *options, float *dv, int64_t lddv)
{
    const gm_average_pool_options defaults = gm_average_pool_default_options();
    const struct map map = {images, height, width, channels, dv, lddv};
    struct average_job job;
    const gm_status status = prepare_average(context, &map, dy, lddy, options ? options : &defaults, &job);
    if (status != GM_OK || empty(&map))
        return status;
    job.pool.dy = dy;
    job.pool.dv = dv;
    job.pool.lddv = lddv;
    run_average(context, &job, average_backward_chunk);
    return GM_OK;
}
