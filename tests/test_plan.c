/* gm_plan(): buffers that live at the same time never share memory, and others do. */
#include "nn/plan.h"

#include <stdlib.h>

#include "support/support.h"

static bool overlap(int64_t a_first, int64_t a_end, int64_t b_first, int64_t b_end)
{
    return a_first < b_end && b_first < a_end;
}

static void check_plan(const gm_buffer *buffers, int32_t count, int64_t size)
{
    for (int32_t i = 0; i < count; i++) {
        const gm_buffer *a = &buffers[i];
        ck_assert_int_eq(a->offset % 64, 0);
        ck_assert(a->offset >= 0 && a->offset + a->bytes <= size);
        for (int32_t j = 0; j < i; j++) {
            const gm_buffer *b = &buffers[j];
            ck_assert(!overlap(a->first, a->last + 1, b->first, b->last + 1) ||
                      !overlap(a->offset, a->offset + a->bytes, b->offset, b->offset + b->bytes));
        }
    }
}

static int64_t most_at_one_step(const gm_buffer *buffers, int32_t count, int32_t steps)
{
    int64_t most = 0;
    for (int32_t step = 0; step < steps; step++) {
        int64_t bytes = 0;
        for (int32_t i = 0; i < count; i++)
            if (buffers[i].first <= step && step <= buffers[i].last)
                bytes += gm_size_align(buffers[i].bytes);
        most = bytes > most ? bytes : most;
    }
    return most;
}

START_TEST(random_lifetimes_never_overlap)
{
    enum { COUNT = 60, STEPS = 40 };
    test_random random = test_random_create(1);
    for (int round = 0; round < 200; round++) {
        gm_buffer buffers[COUNT];
        for (int i = 0; i < COUNT; i++) {
            const int32_t first = (int32_t)(test_random_bits(&random) % STEPS);
            const int32_t length = (int32_t)(test_random_bits(&random) % (uint64_t)(STEPS - first));
            buffers[i] = (gm_buffer){(int64_t)(test_random_bits(&random) % 5000), first, first + length, 0};
        }
        const int64_t size = gm_plan(buffers, COUNT), least = most_at_one_step(buffers, COUNT, STEPS);
        check_plan(buffers, COUNT, size);
        ck_assert(size >= least && size <= least + least / 4);
    }
}
END_TEST

/* Activations pile up on the way forward; on the way back each gradient takes the place of the activation that was used
 * up just before. */
START_TEST(gradients_of_a_chain_take_no_memory)
{
    enum { LAYERS = 9 };
    gm_buffer buffers[2 * LAYERS];
    int64_t activations = 0;
    for (int i = 0; i < LAYERS; i++) {
        const int32_t backward = 2 * LAYERS + 2 * (LAYERS - 1 - i);
        const int64_t bytes = 64 * (1 + (5 * i) % 7);
        buffers[2 * i] = (gm_buffer){bytes, i, backward, 0};
        buffers[2 * i + 1] = (gm_buffer){bytes, backward + 1, backward + 3, 0};
        activations += bytes;
    }
    buffers[2 * LAYERS - 1].bytes = 0;
    const int64_t size = gm_plan(buffers, 2 * LAYERS);
    check_plan(buffers, 2 * LAYERS, size);
    ck_assert_int_eq(size, activations);
}
END_TEST

START_TEST(empty_and_huge_sizes)
{
    gm_buffer none = {0, 0, 0, 7}, huge[] = {{INT64_MAX / 2, 0, 1, 0}, {INT64_MAX / 2 + 2, 2, 3, 0}};
    ck_assert_int_eq(gm_plan(&none, 0), 0);
    ck_assert_int_eq(gm_plan(&none, 1), 0);
    ck_assert_int_eq(none.offset, 0);
    ck_assert(gm_plan(huge, 2) == INT64_MAX);
    ck_assert(gm_size_mul(INT64_MAX / 2, 3) == INT64_MAX && gm_size_add(INT64_MAX, 1) == INT64_MAX);
    ck_assert(gm_size_align(65) == 128 && gm_size_align(INT64_MAX - 5) == INT64_MAX);
    ck_assert_ptr_null(gm_block_allocate(INT64_MAX));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("plan");
    TCase *tests = tcase_create("plan");
    suite_add_tcase(suite, tests);
    tcase_add_test(tests, random_lifetimes_never_overlap);
    tcase_add_test(tests, gradients_of_a_chain_take_no_memory);
    tcase_add_test(tests, empty_and_huge_sizes);
    return test_run(suite);
}
