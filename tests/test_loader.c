/* The loader's batches: the sequence that its options say, whoever makes them. */
#include "data/loader.h"

#include <stdlib.h>
#include <string.h>

#include "support/files.h"
#include "support/support.h"

enum { ROWS = 103, DIM = 11 };

struct data {
    gm_dataset dataset;
    gm_augmentation augmentation;
    float features[ROWS * DIM];
};

static void fill(struct data *data)
{
    test_random random = test_random_create(3);
    test_fill_normal(&random, data->features, ROWS * DIM, 0, 1);
    data->dataset = (gm_dataset){.kind = GM_DATA_VECTORS, .dim = DIM, .std = 1};
    data->dataset.train = (gm_split){.rows = ROWS, .features = data->features};
    ck_assert_int_eq(gm_augmentation_preset("vectors", &data->augmentation, NULL), GM_OK);
    data->augmentation.noise_probability = 0.5f;
}

static gm_loader_options options_of(const struct data *data, gm_context *context)
{
    const gm_loader_options options = {
        .dataset = &data->dataset,
        .split = &data->dataset.train,
        .augmentation = &data->augmentation,
        .seed = 5,
        .batch = 20,
        .last = 12,
        .context = context,
    };
    return options;
}

static int64_t epoch_rows(const gm_loader_options *o)
{
    return o->multiple == 4 ? 104 : ROWS; /* the multiples of this test */
}

static int64_t batches_of(const gm_loader_options *o)
{
    const int64_t whole = epoch_rows(o) / o->batch;
    return o->keep_last && whole * o->batch < epoch_rows(o) ? whole + 1 : whole;
}

static int64_t batch_rows_of(const gm_loader_options *o, int64_t batch)
{
    const int64_t left = epoch_rows(o) - batch % batches_of(o) * o->batch;
    return left < o->batch ? left : o->batch;
}

/* Compares a chunk with views made one by one. */
static void check_chunk(const gm_loader_options *o, const gm_loader_chunk *chunk, int64_t batch, int32_t pass,
                        int64_t begin)
{
    const int64_t batches = batches_of(o), rows = o->chunk ? o->chunk : o->batch;
    const int64_t first = batch % batches * o->batch, batch_rows = batch_rows_of(o, batch);
    int64_t order[2 * ROWS];
    gm_shuffle(o->seed, batch / batches, order, ROWS);
    memcpy(order + ROWS, order, sizeof order / 2);
    ck_assert_int_eq(chunk->batch, batch);
    ck_assert_int_eq(chunk->epoch, batch / batches);
    ck_assert_int_eq(chunk->pass, pass);
    ck_assert_int_eq(chunk->batch_rows, batch_rows);
    ck_assert_int_eq(chunk->begin, begin);
    ck_assert_int_eq(chunk->end, begin + rows < batch_rows ? begin + rows : batch_rows);
    const int64_t count = chunk->end - chunk->begin;
    int64_t wrong = 0;
    for (int64_t i = 0; i < count; i++) {
        ck_assert_int_eq(chunk->rows[i], order[first + begin + i]);
        for (int32_t view = 0; view < GM_LOADER_VIEWS; view++) {
            float y[DIM];
            ck_assert_int_eq(gm_dataset_view_f32(o->dataset, o->split, o->context, o->augmentation, o->seed,
                                                 chunk->epoch, view, &chunk->rows[i], 1, y, DIM, NULL),
                             GM_OK);
            wrong += !test_same_bits(y, chunk->x + (view * count + i) * DIM, sizeof y);
        }
    }
    ck_assert_int_eq(wrong, 0);
}

static void check_sequence(const gm_loader_options *o)
{
    gm_loader *loader;
    gm_loader_chunk chunk;
    gm_error error;
    const int64_t rows = o->chunk ? o->chunk : o->batch;
    ck_assert_int_eq(gm_loader_rows(o), epoch_rows(o));
    ck_assert_int_eq(gm_loader_batches(o), batches_of(o));
    ck_assert_int_eq(gm_loader_last_rows(o), batch_rows_of(o, batches_of(o) - 1));
    ck_assert_int_eq(gm_loader_create(o, &loader, &error), GM_OK);
    for (int64_t batch = o->first; batch < o->last; batch++) {
        const int64_t batch_rows = batch_rows_of(o, batch);
        for (int32_t pass = 0; pass < (o->again ? 2 : 1); pass++)
            for (int64_t begin = 0; begin + (pass > 0 ? rows : 0) < batch_rows; begin += rows) {
                ck_assert_int_eq(gm_loader_next(loader, &chunk, &error), GM_OK);
                check_chunk(o, &chunk, batch, pass, begin);
            }
    }
    test_expect(gm_loader_next(loader, &chunk, &error), &error, GM_INVALID_ARGUMENT, "last batch");
    gm_loader_destroy(loader);
}

START_TEST(the_sequence_is_that_of_the_options)
{
    static const int32_t workers[] = {0, 1, 2, 3, 7};
    struct data data;
    fill(&data);
    gm_context *context = test_context(GM_ISA_AUTO, 2);
    gm_loader_options o = options_of(&data, context);
    o.workers = workers[_i];
    check_sequence(&o);
    o.first = 7; /* inside the second epoch */
    check_sequence(&o);
    o.keep_last = true;
    o.chunk = 8;
    check_sequence(&o);
    o.again = true;
    o.chunk = 3; /* the last batch has 3 rows: its other chunks are empty */
    check_sequence(&o);
    o.multiple = 4;
    check_sequence(&o);
    o.batch = 26;
    check_sequence(&o); /* no rest */
    o.multiple = 0;
    o.keep_last = false;
    o.batch = o.chunk = ROWS;
    o.last = 9;
    check_sequence(&o);
    gm_context_destroy(context);
}
END_TEST

/* Wherever the workers are. */
START_TEST(stops_at_any_time)
{
    struct data data;
    fill(&data);
    gm_context *context = test_context(GM_ISA_AUTO, 1);
    gm_loader_options o = options_of(&data, context);
    o.last = INT64_C(1) << 40;
    gm_loader_chunk chunk;
    for (int taken = 0; taken < 40; taken++) {
        gm_loader *loader;
        o.workers = taken % 4;
        ck_assert_int_eq(gm_loader_create(&o, &loader, NULL), GM_OK);
        for (int i = 0; i < taken / 4; i++)
            ck_assert_int_eq(gm_loader_next(loader, &chunk, NULL), GM_OK);
        gm_loader_destroy(loader);
    }
    gm_loader_destroy(NULL);
    gm_context_destroy(context);
}
END_TEST

START_TEST(refuses_sizes_that_make_no_batch)
{
    struct data data;
    fill(&data);
    gm_context *context = test_context(GM_ISA_AUTO, 1);
    const gm_loader_options good = options_of(&data, context);
    gm_loader_options bad[8] = {good, good, good, good, good, good, good, good};
    bad[0].batch = 0;
    bad[1].batch = ROWS + 1; /* an epoch without a batch */
    bad[2].chunk = -1;
    bad[3].multiple = ROWS + 1; /* an epoch with a row three times */
    bad[4].workers = -1;
    bad[5].workers = GM_LOADER_MOST_WORKERS + 1;
    bad[6].first = 13;
    bad[7].augmentation = NULL;
    for (int i = 0; i < 8; i++) {
        gm_loader *loader = (gm_loader *)&data;
        gm_error error;
        test_expect(gm_loader_create(&bad[i], &loader, &error), &error, GM_INVALID_ARGUMENT, "loader");
        ck_assert_ptr_null(loader);
    }
    gm_loader_options o = good;
    o.batch = ROWS + 1;
    o.keep_last = true;
    o.last = 3;
    check_sequence(&o);
    gm_context_destroy(context);
}
END_TEST

START_TEST(memory_is_that_of_the_chunks)
{
    struct data data;
    fill(&data);
    gm_loader_options o = options_of(&data, NULL);
    ck_assert_uint_eq(gm_loader_memory(&o), sizeof(float) * GM_LOADER_VIEWS * 20 * DIM);
    o.workers = 5; /* one in use, one in the making */
    ck_assert_uint_eq(gm_loader_memory(&o), sizeof(float) * 2 * GM_LOADER_VIEWS * 20 * DIM);
    o.chunk = 4;
    ck_assert_uint_eq(gm_loader_memory(&o), sizeof(float) * 2 * GM_LOADER_VIEWS * 4 * DIM);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("loader");
    TCase *tests = tcase_create("loader");
    suite_add_tcase(suite, tests);
    tcase_add_loop_test(tests, the_sequence_is_that_of_the_options, 0, 5);
    tcase_add_test(tests, stops_at_any_time);
    tcase_add_test(tests, refuses_sizes_that_make_no_batch);
    tcase_add_test(tests, memory_is_that_of_the_chunks);
    return test_run(suite);
}
