#include "train/run_history.h"

#include <stdlib.h>
#include <string.h>

void gm_history_init(gm_run_history *history)
{
    memset(history, 0, sizeof *history);
    history->stride = 1;
}

void gm_history_free(gm_run_history *history)
{
    free(history->epochs);
    free(history->first_tiles);
    free(history->last_tiles);
    gm_history_init(history);
}

static void add(gm_history_point *sum, const gm_history_point *point)
{
    sum->step += point->step;
    sum->loss += point->loss;
    sum->invariance += point->invariance;
    sum->redundancy += point->redundancy;
    sum->lr_weights += point->lr_weights;
    sum->lr_biases += point->lr_biases;
    sum->images_per_second += point->images_per_second;
}

static void divide(gm_history_point *point, double by)
{
    point->step /= by;
    point->loss /= by;
    point->invariance /= by;
    point->redundancy /= by;
    point->lr_weights /= by;
    point->lr_biases /= by;
    point->images_per_second /= by;
}

static void halve(gm_run_history *history)
{
    for (int i = 0; i < GM_HISTORY_POINTS / 2; i++) {
        history->points[i] = history->points[2 * i];
        add(&history->points[i], &history->points[2 * i + 1]);
        divide(&history->points[i], 2);
    }
    history->point_count = GM_HISTORY_POINTS / 2;
    history->stride *= 2;
}

void gm_history_add_step(gm_run_history *history, const gm_history_point *step)
{
    if (history->point_count == GM_HISTORY_POINTS)
        halve(history);
    add(&history->pending, step);
    if (++history->pending_steps < history->stride)
        return;
    divide(&history->pending, (double)history->pending_steps);
    history->points[history->point_count++] = history->pending;
    memset(&history->pending, 0, sizeof history->pending);
    history->pending_steps = 0;
}

gm_status gm_history_add_epoch(gm_run_history *history, const gm_history_epoch *epoch, gm_error *error)
{
    if (history->epoch_count == history->epoch_capacity) {
        const int64_t capacity = history->epoch_capacity ? 2 * history->epoch_capacity : 64;
        gm_history_epoch *epochs = realloc(history->epochs, (size_t)capacity * sizeof *epochs);
        if (!epochs)
            return gm_error_set(error, GM_OUT_OF_MEMORY, "no memory for the record of %lld epochs",
                                (long long)capacity);
        history->epochs = epochs;
        history->epoch_capacity = capacity;
    }
    history->epochs[history->epoch_count++] = *epoch;
    return GM_OK;
}

gm_status gm_history_reserve_tiles(gm_run_history *history, int64_t tiles, gm_error *error)
{
    float *first = calloc((size_t)(tiles * tiles), sizeof *first);
    float *last = calloc((size_t)(tiles * tiles), sizeof *last);
    if (!first || !last) {
        free(first);
        free(last);
        return gm_error_set(error, GM_OUT_OF_MEMORY, "no memory for two pictures of %lld x %lld tiles",
                            (long long)tiles, (long long)tiles);
    }
    free(history->first_tiles);
    free(history->last_tiles);
    history->first_tiles = first;
    history->last_tiles = last;
    history->tiles = tiles;
    return GM_OK;
}
