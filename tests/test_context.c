/* Contexts: choice of instruction set and threads, workspace, parallel loops. */
#include <gemel/gemel.h>

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#if defined(__x86_64__)
#include <xmmintrin.h>
#endif

#include "support/support.h"

static gm_status create_with(const char *isa, const char *threads, gm_context **context)
{
    isa ? setenv("GEMEL_ISA", isa, 1) : unsetenv("GEMEL_ISA");
    threads ? setenv("OMP_NUM_THREADS", threads, 1) : unsetenv("OMP_NUM_THREADS");
    return gm_context_create(NULL, context);
}

START_TEST(environment_is_obeyed_or_refused)
{
    const char *elsewhere = gm_isa_available(GM_ISA_NEON) ? "avx2" : "neon";
    const struct {
        const char *isa, *threads;
        gm_status status;
    } cases[] = {
        {NULL, NULL, GM_OK},
        {"", "", GM_OK},
        {"scalar", NULL, GM_OK},
        {"avx9", NULL, GM_UNKNOWN_ISA},
        {"AVX2 ", NULL, GM_UNKNOWN_ISA},
        {elsewhere, NULL, GM_UNAVAILABLE_ISA},
        {NULL, "3", GM_OK},
        {NULL, "2,4", GM_OK},
        {NULL, "0", GM_INVALID_ENVIRONMENT},
        {NULL, "-1", GM_INVALID_ENVIRONMENT},
        {NULL, "two", GM_INVALID_ENVIRONMENT},
        {NULL, "2x", GM_INVALID_ENVIRONMENT},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        gm_context *context = (gm_context *)1;
        const gm_status status = create_with(cases[i].isa, cases[i].threads, &context);
        ck_assert_msg(status == cases[i].status, "case %zu: %s", i, gm_status_string(status));
        ck_assert((context != NULL) == (status == GM_OK));
        if (context && cases[i].isa && *cases[i].isa)
            ck_assert_str_eq(gm_isa_name(gm_context_isa(context)), cases[i].isa);
        gm_context_destroy(context);
    }
}
END_TEST

START_TEST(options_are_checked)
{
    const gm_context_options good = gm_context_default_options();
    gm_context_options cut = good, negative = good, crowd = good, poolless = good, odd = good;
    cut.size = 8;
    negative.threads = -1;
    crowd.threads = 1 << 20;
    poolless.threading = GM_THREADING_INJECTED;
    odd.threading = (gm_threading)9;
    const gm_context_options *cases[] = {&cut, &negative, &crowd, &poolless, &odd};
    gm_context *context;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        ck_assert_int_eq(gm_context_create(cases[i], &context), GM_INVALID_ARGUMENT);
    ck_assert_int_eq(gm_context_create(NULL, NULL), GM_INVALID_ARGUMENT);
    gm_context_destroy(NULL);
}
END_TEST

START_TEST(every_operation_names_its_kernel)
{
    gm_isa isas[GM_ISA_COUNT];
    for (int i = 0, n = test_isas(isas); i < n; i++) {
        gm_context *context = test_context(isas[i], 1);
        const char *operation, *kernel;
        int32_t count = 0;
        for (; gm_context_kernel(context, count, &operation, &kernel); count++) {
            ck_assert(strlen(operation) > 0);
            ck_assert_msg(strncmp(kernel, gm_isa_name(isas[i]), strlen(gm_isa_name(isas[i]))) == 0, "%s: %s", operation,
                          kernel);
        }
        ck_assert_int_gt(count, 0);
        ck_assert(!gm_context_kernel(context, -1, &operation, &kernel));
        gm_context_destroy(context);
    }
}
END_TEST

START_TEST(the_workspace_grows_and_never_shrinks)
{
    gm_context *context = test_context_with_workspace(GM_ISA_SCALAR, 1, 100);
    ck_assert_uint_eq(gm_context_workspace(context), 100);
    ck_assert_int_eq(gm_context_reserve(context, 5 << 20), GM_OK);
    ck_assert_int_eq(gm_context_reserve(context, 1), GM_OK);
    ck_assert_uint_eq(gm_context_workspace(context), 5 << 20);
    ck_assert_int_eq(gm_context_reserve(context, SIZE_MAX - 5), GM_OUT_OF_MEMORY);
    ck_assert_uint_eq(gm_context_workspace(context), 5 << 20);
    ck_assert_int_eq(gm_context_reserve(NULL, 1), GM_INVALID_ARGUMENT);
    gm_context_destroy(context);
}
END_TEST

enum { CHUNKS = 1000 };

typedef struct tally {
    gm_context *context;
    int32_t threads;
    int runs[CHUNKS];
    int worker_out_of_range;
    int inner;
    unsigned flush_to_zero;
} tally;

static void count_chunk(void *arg, int64_t chunk, int worker)
{
    tally *t = arg;
    __atomic_fetch_add(&t->runs[chunk], 1, __ATOMIC_RELAXED);
    if (worker < 0 || worker >= t->threads)
        __atomic_fetch_add(&t->worker_out_of_range, 1, __ATOMIC_RELAXED);
#if defined(__x86_64__)
    if (_MM_GET_FLUSH_ZERO_MODE() == _MM_FLUSH_ZERO_ON)
        __atomic_fetch_add(&t->flush_to_zero, 1, __ATOMIC_RELAXED);
#endif
}

static void check_tally(const tally *t)
{
    for (int i = 0; i < CHUNKS; i++)
        ck_assert_int_eq(t->runs[i], 1);
    ck_assert_int_eq(t->worker_out_of_range, 0);
}

START_TEST(every_chunk_runs_once)
{
    for (int32_t threads = 1; threads <= 7; threads++) {
        tally t = {.threads = threads};
        gm_context *context = test_context(GM_ISA_SCALAR, threads);
        gm_context_parallel_for(context, CHUNKS, count_chunk, &t);
        gm_context_parallel_for(context, 0, count_chunk, &t);
        check_tally(&t);
        gm_context_destroy(context);
    }
}
END_TEST

static void count_inner(void *arg, int64_t chunk, int worker)
{
    (void)chunk;
    tally *t = arg;
    if (worker == 0)
        __atomic_fetch_add(&t->inner, 1, __ATOMIC_RELAXED);
}

static void nest(void *arg, int64_t chunk, int worker)
{
    tally *t = arg;
    count_chunk(arg, chunk, worker);
    gm_context_parallel_for(t->context, 3, count_inner, t);
}

START_TEST(nested_loops_run_serially)
{
    tally t = {.threads = 3};
    t.context = test_context(GM_ISA_SCALAR, 3);
    gm_context_parallel_for(t.context, CHUNKS, nest, &t);
    check_tally(&t);
    ck_assert_int_eq(t.inner, 3 * CHUNKS);
    gm_context_destroy(t.context);
}
END_TEST

/* libgomp waits for ever in a child of a process in which it has started threads. */
START_TEST(a_forked_child_runs_serially)
{
    tally t = {.threads = 2};
    gm_context *context = test_context(GM_ISA_SCALAR, 2);
    gm_context_parallel_for(context, CHUNKS, count_chunk, &t);
    const pid_t child = fork();
    if (child == 0) {
        tally inside = {.threads = 1}; /* serial: worker 0 alone */
        alarm(20);
        gm_context_parallel_for(context, CHUNKS, count_chunk, &inside);
        _exit(inside.worker_out_of_range == 0 && inside.runs[CHUNKS - 1] == 1 ? 0 : 1);
    }
    int status;
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    gm_context_parallel_for(context, CHUNKS, count_inner, &t);
    gm_context_destroy(context);
}
END_TEST

#if defined(__x86_64__)
START_TEST(workers_take_over_the_floating_point_state)
{
    tally t = {.threads = 4};
    gm_context *context = test_context(GM_ISA_SCALAR, 4);
    gm_context_parallel_for(context, CHUNKS, count_chunk, &t);
    ck_assert_uint_eq(t.flush_to_zero, 0);
    _MM_SET_FLUSH_ZERO_MODE(_MM_FLUSH_ZERO_ON);
    gm_context_parallel_for(context, CHUNKS, count_chunk, &t);
    _MM_SET_FLUSH_ZERO_MODE(_MM_FLUSH_ZERO_OFF);
    ck_assert_uint_eq(t.flush_to_zero, CHUNKS);
    gm_context_parallel_for(context, CHUNKS, count_chunk, &t);
    ck_assert_uint_eq(t.flush_to_zero, CHUNKS);
    gm_context_destroy(context);
}
END_TEST
#endif

/* A pool of the caller's: two threads, even chunks for one, odd chunks for the other. */
typedef struct half {
    int64_t first, chunks;
    gm_chunk_body body;
    void *arg;
} half;

static void *run_half(void *arg)
{
    const half *h = arg;
    for (int64_t chunk = h->first; chunk < h->chunks; chunk += 2)
        h->body(h->arg, chunk, (int)h->first);
    return NULL;
}

static void two_threads(void *pool, int64_t chunks, gm_chunk_body body, void *arg)
{
    pthread_t thread;
    half even = {0, chunks, body, arg}, odd = {1, chunks, body, arg};
    ++*(int *)pool;
    ck_assert_int_eq(pthread_create(&thread, NULL, run_half, &odd), 0);
    run_half(&even);
    pthread_join(thread, NULL);
}

START_TEST(an_injected_pool_is_used)
{
    int calls = 0;
    tally t = {.threads = 2};
    gm_context_options options = gm_context_default_options();
    options.threading = GM_THREADING_INJECTED;
    options.threads = 2;
    options.parallel_for = two_threads;
    options.pool = &calls;
    gm_context *context;
    ck_assert_int_eq(gm_context_create(&options, &context), GM_OK);
    gm_context_parallel_for(context, CHUNKS, count_chunk, &t);
    check_tally(&t);
    ck_assert_int_eq(calls, 1);
    gm_context_destroy(context);
}
END_TEST

START_TEST(statuses_and_version_have_texts)
{
    for (int status = GM_OK; status <= GM_INTERRUPTED; status++)
        ck_assert_str_ne(gm_status_string((gm_status)status), "unknown status");
    ck_assert_str_eq(gm_status_string((gm_status)999), "unknown status");
    ck_assert_int_eq(gm_version()[0] - '0', GM_VERSION_MAJOR);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("context");
    TCase *tests = tcase_create("context");
    suite_add_tcase(suite, tests);
    tcase_add_test(tests, environment_is_obeyed_or_refused);
    tcase_add_test(tests, options_are_checked);
    tcase_add_test(tests, every_operation_names_its_kernel);
    tcase_add_test(tests, the_workspace_grows_and_never_shrinks);
    tcase_add_test(tests, every_chunk_runs_once);
    tcase_add_test(tests, nested_loops_run_serially);
    tcase_add_test(tests, a_forked_child_runs_serially);
#if defined(__x86_64__)
    tcase_add_test(tests, workers_take_over_the_floating_point_state);
#endif
    tcase_add_test(tests, an_injected_pool_is_used);
    tcase_add_test(tests, statuses_and_version_have_texts);
    return test_run(suite);
}
