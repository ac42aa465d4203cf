#include "data/loader.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "data/view.h"

/* Chunks in memory with workers: the one in use and the one being made. Samples that a worker takes at a time. */
enum { SLOTS = 2, PIECE = 8 };

struct slot {
    gm_loader_chunk chunk;
    int64_t *rows;
    float *x;
    int64_t taken, done; /* samples that workers have begun with and are through with */
    int64_t failed;      /* the first sample that could not be had; beyond the last one: none */
    gm_error error;      /* of that one */
};

struct worker {
    gm_loader *loader;
    gm_context *context;
    pthread_t thread;
    bool started;
};

/* Chunks are counted over the whole sequence; chunk c is made in slot c % slots. */
struct gm_loader {
    gm_loader_options options;
    int64_t batches, chunks_a_pass; /* of an epoch, of a batch */
    int64_t chunks;                 /* of the sequence */
    int32_t slots;
    struct slot slot[SLOTS];
    int64_t *order; /* of epoch order_epoch */
    int64_t order_epoch;

    struct worker *workers;
    pthread_mutex_t mutex; /* of all that follows, and of the slots' counts */
    pthread_cond_t work, ready;
    int64_t opened;   /* chunks whose rows are known */
    int64_t returned; /* chunks that the caller is through with */
    bool held, stopping;
};

static int64_t min_i64(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

int64_t gm_loader_rows(const gm_loader_options *o)
{
    const int64_t multiple = o->multiple > 0 ? o->multiple : 1;
    return (o->split->rows + multiple - 1) / multiple * multiple;
}

int64_t gm_loader_batches(const gm_loader_options *o)
{
    const int64_t rows = gm_loader_rows(o);
    return o->keep_last ? (rows + o->batch - 1) / o->batch : rows / o->batch;
}

int64_t gm_loader_last_rows(const gm_loader_options *o)
{
    return min_i64(o->batch, gm_loader_rows(o) - (gm_loader_batches(o) - 1) * o->batch);
}

static int64_t chunk_rows(const gm_loader_options *options)
{
    return options->chunk > 0 ? min_i64(options->chunk, options->batch) : options->batch;
}

static int32_t slot_count(const gm_loader_options *options)
{
    return options->workers > 0 ? SLOTS : 1;
}

size_t gm_loader_memory(const gm_loader_options *options)
{
    return sizeof(float) * (size_t)(slot_count(options) * GM_LOADER_VIEWS * chunk_rows(options)) *
           (size_t)options->dataset->dim;
}

static int64_t rows_of(const struct slot *slot)
{
    return slot->chunk.end - slot->chunk.begin;
}

static void set_order(struct gm_loader *loader, int64_t epoch)
{
    const gm_loader_options *o = &loader->options;
    if (epoch == loader->order_epoch)
        return;
    gm_shuffle(o->seed, epoch, loader->order, o->split->rows);
    for (int64_t i = o->split->rows; i < gm_loader_rows(o); i++)
        loader->order[i] = loader->order[i - o->split->rows];
    loader->order_epoch = epoch;
}

/* Decides what chunk number `opened` consists of. Chunks that are not handed out are empty, and gm_loader_next() passes
 * them over: those beyond the rows of a smaller batch, and the last of a batch when it would come again. */
static struct slot *open_slot(gm_loader *loader)
{
    const gm_loader_options *o = &loader->options;
    struct slot *slot = &loader->slot[loader->opened % loader->slots];
    const int64_t chunks_a_batch = loader->chunks_a_pass * (o->again ? 2 : 1), rows = chunk_rows(o);
    const int64_t batch = o->first + loader->opened / chunks_a_batch, in_batch = loader->opened % chunks_a_batch;
    const int64_t epoch = batch / loader->batches, first_row = batch % loader->batches * o->batch;
    set_order(loader, epoch);
    const int32_t pass = in_batch >= loader->chunks_a_pass;
    const int64_t batch_rows = min_i64(o->batch, gm_loader_rows(o) - first_row);
    const int64_t begin = min_i64(in_batch % loader->chunks_a_pass * rows, batch_rows);
    const int64_t until = min_i64(begin + rows, batch_rows);
    const int64_t end = pass > 0 && until == batch_rows ? begin : until;
    slot->chunk = (gm_loader_chunk){batch, epoch, pass, batch_rows, begin, end, slot->rows, slot->x};
    memcpy(slot->rows, loader->order + first_row + begin, (size_t)(end - begin) * sizeof *slot->rows);
    slot->taken = slot->done = 0;
    slot->failed = end - begin;
    loader->opened++;
    return slot;
}

/* Makes the slot's samples [begin, begin + count). */
static gm_status make(const gm_loader *loader, const struct slot *slot, int64_t begin, int64_t count,
                      gm_context *context, gm_error *error)
{
    const gm_loader_options *o = &loader->options;
    const int64_t dim = o->dataset->dim;
    const struct gm_view_request request = {
        .dataset = o->dataset,
        .split = o->split,
        .augmentation = o->augmentation,
        .seed = o->seed,
        .epoch = slot->chunk.epoch,
        .views = GM_LOADER_VIEWS,
        .rows = slot->rows + begin,
        .count = count,
        .y = slot->x + begin * dim,
        .ldy = dim,
        .view_stride = rows_of(slot) * dim,
    };
    return gm_views_make(&request, context, error);
}

/* The slot with samples that nobody has taken, opened if there is room; NULL if there is nothing to do. */
static struct slot *find_work(gm_loader *loader)
{
    struct slot *slot = NULL;
    if (loader->opened > loader->returned)
        slot = &loader->slot[(loader->opened - 1) % loader->slots];
    while (!slot || slot->taken == rows_of(slot)) {
        if (loader->opened == loader->chunks || loader->opened == loader->returned + loader->slots)
            return NULL;
        slot = open_slot(loader);
        if (rows_of(slot) == 0)
            pthread_cond_signal(&loader->ready);
    }
    return slot;
}

static void make_piece(gm_loader *loader, struct slot *slot, gm_context *context)
{
    const int64_t begin = slot->taken, count = min_i64(PIECE, rows_of(slot) - begin);
    slot->taken += count;
    pthread_mutex_unlock(&loader->mutex);
    gm_error error;
    const gm_status status = make(loader, slot, begin, count, context, &error);
    pthread_mutex_lock(&loader->mutex);
    if (status != GM_OK && begin < slot->failed) {
        slot->failed = begin;
        slot->error = error;
    }
    slot->done += count;
    if (slot->done == rows_of(slot))
        pthread_cond_signal(&loader->ready);
}

static void *work(void *arg)
{
    const struct worker *worker = arg;
    gm_loader *loader = worker->loader;
    pthread_mutex_lock(&loader->mutex);
    while (!loader->stopping) {
        struct slot *slot = find_work(loader);
        if (slot)
            make_piece(loader, slot, worker->context);
        else
            pthread_cond_wait(&loader->work, &loader->mutex);
    }
    pthread_mutex_unlock(&loader->mutex);
    return NULL;
}

/* Signals are for the thread that trains. */
static gm_status start_workers(gm_loader *loader, gm_error *error)
{
    gm_context_options options = gm_context_default_options();
    options.isa = gm_context_isa(loader->options.context);
    options.threading = GM_THREADING_SERIAL;
    options.threads = 1;
    gm_status status = GM_OK;
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    for (int32_t i = 0; i < loader->options.workers && status == GM_OK; i++) {
        struct worker *worker = &loader->workers[i];
        worker->loader = loader;
        status = gm_context_create(&options, &worker->context);
        worker->started = status == GM_OK && pthread_create(&worker->thread, NULL, work, worker) == 0;
        if (!worker->started)
            status = gm_error_set(error, GM_OUT_OF_MEMORY, "cannot start %d threads that load data; pass fewer workers",
                                  loader->options.workers);
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return status;
}

static bool valid(const gm_loader_options *o)
{
    return o->dataset && o->split && o->augmentation && o->context && o->batch >= 1 && o->chunk >= 0 &&
           o->multiple >= 0 && o->multiple <= o->split->rows && o->workers >= 0 &&
           o->workers <= GM_LOADER_MOST_WORKERS && o->first >= 0 && o->first <= o->last && gm_loader_batches(o) >= 1;
}

static gm_status reserve(gm_loader *loader, gm_error *error)
{
    const gm_loader_options *o = &loader->options;
    bool complete = true;
    for (int32_t i = 0; i < loader->slots; i++) {
        struct slot *slot = &loader->slot[i];
        slot->rows = calloc((size_t)chunk_rows(o), sizeof *slot->rows);
        slot->x = malloc(gm_loader_memory(o) / (size_t)loader->slots);
        complete = complete && slot->rows && slot->x;
    }
    loader->order = calloc((size_t)gm_loader_rows(o), sizeof *loader->order);
    loader->workers = calloc((size_t)o->workers + 1, sizeof *loader->workers);
    if (complete && loader->order && loader->workers)
        return GM_OK;
    return gm_error_set(error, GM_OUT_OF_MEMORY, "no memory for the batch (%zu bytes); choose a smaller batch-size",
                        gm_loader_memory(o));
}

gm_status gm_loader_create(const gm_loader_options *options, gm_loader **loader, gm_error *error)
{
    *loader = NULL;
    if (!valid(options))
        return gm_error_set(error, GM_INVALID_ARGUMENT, "a loader without a batch, or with sizes below 1");
    gm_loader *l = calloc(1, sizeof *l);
    if (!l)
        return gm_error_set(error, GM_OUT_OF_MEMORY, "no memory for the loader");
    l->options = *options;
    l->slots = slot_count(options);
    l->batches = gm_loader_batches(options);
    l->chunks_a_pass = (options->batch + chunk_rows(options) - 1) / chunk_rows(options);
    l->chunks = (options->last - options->first) * l->chunks_a_pass * (options->again ? 2 : 1);
    l->order_epoch = -1;
    pthread_mutex_init(&l->mutex, NULL);
    pthread_cond_init(&l->work, NULL);
    pthread_cond_init(&l->ready, NULL);
    gm_status status = reserve(l, error);
    if (status == GM_OK)
        status = start_workers(l, error);
    if (status != GM_OK)
        goto fail;
    *loader = l;
    return GM_OK;
fail:
    gm_loader_destroy(l);
    return status;
}

void gm_loader_destroy(gm_loader *loader)
{
    if (!loader)
        return;
    pthread_mutex_lock(&loader->mutex);
    loader->stopping = true;
    pthread_cond_broadcast(&loader->work);
    pthread_mutex_unlock(&loader->mutex);
    for (int32_t i = 0; loader->workers && i < loader->options.workers; i++) {
        if (loader->workers[i].started)
            pthread_join(loader->workers[i].thread, NULL);
        gm_context_destroy(loader->workers[i].context);
    }
    pthread_cond_destroy(&loader->ready);
    pthread_cond_destroy(&loader->work);
    pthread_mutex_destroy(&loader->mutex);
    for (int32_t i = 0; i < loader->slots; i++) {
        free(loader->slot[i].rows);
        free(loader->slot[i].x);
    }
    free(loader->workers);
    free(loader->order);
    free(loader);
}

static gm_status await(gm_loader *loader, const struct slot *slot, gm_error *error)
{
    while (loader->opened <= loader->returned || slot->done < rows_of(slot))
        pthread_cond_wait(&loader->ready, &loader->mutex);
    return slot->failed == rows_of(slot) ? GM_OK : gm_error_set(error, slot->error.code, "%s", slot->error.message);
}

/* The chunk that the caller held is the workers' again; the next one is waited for, or made here. */
static gm_status next_slot(gm_loader *loader, struct slot **slot, gm_error *error)
{
    gm_status status;
    pthread_mutex_lock(&loader->mutex);
    loader->returned += loader->held;
    loader->held = loader->returned < loader->chunks;
    *slot = &loader->slot[loader->returned % loader->slots];
    pthread_cond_broadcast(&loader->work);
    if (!loader->held) {
        status = gm_error_set(error, GM_INVALID_ARGUMENT, "the loader's last batch has been handed out");
    } else if (loader->options.workers > 0) {
        status = await(loader, *slot, error);
    } else {
        open_slot(loader);
        status = make(loader, *slot, 0, rows_of(*slot), loader->options.context, error);
    }
    pthread_mutex_unlock(&loader->mutex);
    return status;
}

gm_status gm_loader_next(gm_loader *loader, gm_loader_chunk *chunk, gm_error *error)
{
    struct slot *slot;
    gm_status status;
    do {
        status = next_slot(loader, &slot, error);
        if (status == GM_OK)
            *chunk = slot->chunk;
    } while (status == GM_OK && chunk->begin == chunk->end);
    return status;
}
