/* What a training run leaves for its report, held in memory: thinned series, one row an epoch, two pictures of C. */
#ifndef GEMEL_RUN_HISTORY_H
#define GEMEL_RUN_HISTORY_H

#include <gemel/error.h>
#include <stdbool.h>
#include <stdint.h>

/* Means over `stride` successive steps. */
typedef struct gm_history_point {
    double step; /* the middle one of those averaged; the first step of a run is 0 */
    double loss, invariance, redundancy;
    double lr_weights, lr_biases;
    double images_per_second;
} gm_history_point;

typedef struct gm_history_epoch {
    int64_t epoch;                       /* from 0 */
    int64_t steps;                       /* taken since the run began */
    double loss, invariance, redundancy; /* means over the epoch's steps */
    double images_per_second;            /* both views of an image count as one */
    double seconds;                      /* of training: neither saving nor evaluation */
    double data_wait;                    /* seconds of these spent producing views */
    /* The collapse monitor, from the last batch of the epoch. */
    double smallest_deviation; /* of any column of either view's embedding */
    double mean_off_diagonal;  /* mean |c| over the off-diagonal tiles of C */
    int64_t constant_columns;
    double effective_rank; /* of the first view's embedding */
    bool evaluated;        /* whether these two were measured behind the epoch (train/online.h) */
    double knn, linear;
} gm_history_epoch;

enum { GM_HISTORY_POINTS = 1024, GM_HISTORY_MOST_TILES = 512 };

typedef struct gm_run_history {
    int64_t point_count; /* complete points, at most GM_HISTORY_POINTS */
    int64_t stride;      /* steps in a point: a power of two */
    gm_history_point points[GM_HISTORY_POINTS];
    gm_history_point pending; /* sums over pending_steps steps */
    int64_t pending_steps;

    int64_t epoch_count, epoch_capacity;
    gm_history_epoch *epochs;

    /* The cross-correlation matrix at the first step and at the end of the latest epoch, means over tiles x tiles
     * tiles, row by row; tiles is 0 until there is room for them. */
    int64_t tiles;
    float *first_tiles, *last_tiles;
} gm_run_history;

void gm_history_init(gm_run_history *history);
void gm_history_free(gm_run_history *history);

/* Adds one step. When the points are full, neighbours are averaged in pairs and the stride doubles. */
void gm_history_add_step(gm_run_history *history, const gm_history_point *step);

/* Errors: GM_OUT_OF_MEMORY. */
gm_status gm_history_add_epoch(gm_run_history *history, const gm_history_epoch *epoch, gm_error *error);

/* Room for two pictures of tiles x tiles, both zero. Errors: GM_OUT_OF_MEMORY. */
gm_status gm_history_reserve_tiles(gm_run_history *history, int64_t tiles, gm_error *error);

#endif
