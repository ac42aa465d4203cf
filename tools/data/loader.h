/* Batches of views, made ahead of their use by threads of the loader's own. */
#ifndef GEMEL_LOADER_H
#define GEMEL_LOADER_H

#include <gemel/data.h>

enum { GM_LOADER_VIEWS = 2, GM_LOADER_MOST_WORKERS = 1024 };

typedef struct gm_loader gm_loader;

/* The sequence: the epochs one after the other, each a permutation of the split's rows by (seed, epoch) cut into
 * batches; of each batch its chunks in order, and then, if asked for, all but the last once more. Everything named by a
 * pointer outlives the loader. */
typedef struct gm_loader_options {
    const gm_dataset *dataset;
    const gm_split *split;
    const gm_augmentation *augmentation;
    uint64_t seed;
    int64_t batch;       /* rows; at most those of the split unless keep_last */
    int64_t chunk;       /* rows handed out at once, at most; 0: the whole batch */
    bool again;          /* all chunks of a batch but the last are handed out twice */
    bool keep_last;      /* the rows left at the end of an epoch are a batch, too; else they are dropped */
    int64_t multiple;    /* an epoch takes as many of its first rows again as make their number one of this; 0: 1 */
    int64_t first, last; /* the batches [first, last), counted from the beginning of epoch 0 */
    int32_t workers;     /* threads; 0: gm_loader_next() makes the views, on the context's threads */
    gm_context *context; /* its instruction set is the workers', too */
} gm_loader_options;

typedef struct gm_loader_chunk {
    int64_t batch, epoch;
    int32_t pass;        /* 1 if it is handed out again, else 0 */
    int64_t batch_rows;  /* of the whole batch */
    int64_t begin, end;  /* the chunk's among them */
    const int64_t *rows; /* [end - begin] of the split */
    const float *x;      /* [GM_LOADER_VIEWS (end - begin), dim]: the first views, then the second ones */
} gm_loader_chunk;

/* Rows of an epoch, those that it takes again among them; of the options, split, batch, keep_last and multiple
 * matter here and below. */
int64_t gm_loader_rows(const gm_loader_options *options);

/* Batches of an epoch. */
int64_t gm_loader_batches(const gm_loader_options *options);

/* Rows of the last of them. */
int64_t gm_loader_last_rows(const gm_loader_options *options);

/* Bytes of the views that a loader holds at a time. */
size_t gm_loader_memory(const gm_loader_options *options);

/* Starts the workers, which begin with the first chunk. Errors: GM_INVALID_ARGUMENT, GM_OUT_OF_MEMORY; *loader is NULL
 * then. */
gm_status gm_loader_create(const gm_loader_options *options, gm_loader **loader, gm_error *error);

/* Stops the workers, wherever they are. NULL is allowed. */
void gm_loader_destroy(gm_loader *loader);

/* The next chunk, the same for any number of workers; it is valid until the next call. Errors: GM_INVALID_ARGUMENT
 * after the last one; those of gm_dataset_views_f32() for the first sample, in the sequence's order, that cannot be
 * had. After an error only gm_loader_destroy() is left. */
gm_status gm_loader_next(gm_loader *loader, gm_loader_chunk *chunk, gm_error *error);

#endif
