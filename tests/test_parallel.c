/* Parallel loops on every threading: each chunk once, floating-point state, nesting, forks, many loops at random. */
#include <gemel/context.h>

#include <dirent.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#if defined(__x86_64__)
#include <xmmintrin.h>
#endif

#include "support/support.h"

static const gm_threading kinds[] = {GM_THREADING_POOL, GM_THREADING_OPENMP, GM_THREADING_INJECTED,
                                     GM_THREADING_SERIAL};

enum { KINDS = sizeof kinds / sizeof *kinds, CHUNKS = 1000, MOST_THREADS = 7 };

/* A pool of the caller's, which starts its threads anew for every loop. */
typedef struct outside {
    int32_t threads;
    int loops;
    int64_t chunks;
    _Atomic int64_t next;
    gm_chunk_body body;
    void *arg;
} outside;

typedef struct outside_worker {
    outside *pool;
    pthread_t thread;
    int number;
} outside_worker;

static void *run_outside_worker(void *arg)
{
    const outside_worker *worker = arg;
    outside *pool = worker->pool;
    int64_t chunk;
    while ((chunk = atomic_fetch_add(&pool->next, 1)) < pool->chunks)
        pool->body(pool->arg, chunk, worker->number);
    return NULL;
}

static void run_outside(void *arg, int64_t chunks, gm_chunk_body body, void *body_arg)
{
    outside *pool = arg;
    outside_worker workers[MOST_THREADS];
    pool->loops++;
    pool->chunks = chunks;
    pool->body = body;
    pool->arg = body_arg;
    atomic_store(&pool->next, 0);
    for (int i = 0; i < pool->threads; i++)
        workers[i] = (outside_worker){.pool = pool, .number = i};
    for (int i = 1; i < pool->threads; i++)
        if (pthread_create(&workers[i].thread, NULL, run_outside_worker, &workers[i]) != 0)
            abort();
    run_outside_worker(&workers[0]);
    for (int i = 1; i < pool->threads; i++)
        pthread_join(workers[i].thread, NULL);
}

static gm_status create(gm_threading threading, int32_t threads, outside *pool, gm_context **context)
{
    *pool = (outside){.threads = threads};
    gm_context_options options = gm_context_default_options();
    options.isa = GM_ISA_SCALAR;
    options.threading = threading;
    options.threads = threads;
    options.parallel_for = run_outside;
    options.pool = pool;
    return gm_context_create(&options, context);
}

/* `pool` is for GM_THREADING_INJECTED and must outlive the context. NULL where the build lacks this threading. */
static gm_context *context_with(gm_threading threading, int32_t threads, outside *pool)
{
    gm_context *context;
    const gm_status status = create(threading, threads, pool, &context);
    if (!gm_threading_available(threading)) {
        ck_assert_int_eq(status, GM_UNKNOWN_THREADING);
        return NULL;
    }
    ck_assert_int_eq(status, GM_OK);
    ck_assert_int_eq(gm_context_threading(context), threading);
    ck_assert_int_eq(gm_context_threads(context), threading == GM_THREADING_SERIAL ? 1 : threads);
    return context;
}

typedef struct tally {
    gm_context *context;
    int32_t threads;
    int runs[CHUNKS];
    atomic_int worker_out_of_range, worker_twice, inner, flush_to_zero;
    atomic_bool busy[MOST_THREADS];
} tally;

static void count_chunk(void *arg, int64_t chunk, int worker)
{
    tally *t = arg;
    if (worker < 0 || worker >= t->threads) {
        t->worker_out_of_range++;
        return;
    }
    t->worker_twice += atomic_exchange(&t->busy[worker], true);
    t->runs[chunk]++;
#if defined(__x86_64__)
    t->flush_to_zero += _MM_GET_FLUSH_ZERO_MODE() == _MM_FLUSH_ZERO_ON;
#endif
    t->busy[worker] = false;
}

static bool is_right(const tally *t, int64_t chunks)
{
    for (int64_t i = 0; i < CHUNKS; i++)
        if (t->runs[i] != (i < chunks))
            return false;
    return t->worker_out_of_range == 0 && t->worker_twice == 0;
}

START_TEST(every_chunk_runs_once)
{
    for (int32_t threads = 1; threads <= MOST_THREADS; threads++) {
        tally t = {.threads = threads};
        outside pool;
        gm_context *context = context_with(kinds[_i], threads, &pool);
        if (!context)
            return;
        gm_context_parallel_for(context, CHUNKS, count_chunk, &t);
        gm_context_parallel_for(context, 0, count_chunk, &t);
        ck_assert(is_right(&t, CHUNKS));
        ck_assert_int_eq(pool.loops, kinds[_i] == GM_THREADING_INJECTED && threads > 1);
        gm_context_destroy(context);
    }
}
END_TEST

static void count_inner(void *arg, int64_t chunk, int worker)
{
    (void)chunk;
    tally *t = arg;
    t->inner += worker == 0;
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
    outside pool;
    t.context = context_with(kinds[_i], 3, &pool);
    if (!t.context)
        return;
    gm_context_parallel_for(t.context, CHUNKS, nest, &t);
    ck_assert(is_right(&t, CHUNKS));
    ck_assert_int_eq(t.inner, 3 * CHUNKS);
    gm_context_destroy(t.context);
}
END_TEST

#if defined(__x86_64__)
START_TEST(workers_take_over_the_floating_point_state)
{
    tally t = {.threads = 4};
    outside pool;
    gm_context *context = context_with(kinds[_i], 4, &pool);
    if (!context)
        return;
    gm_context_parallel_for(context, CHUNKS, count_chunk, &t);
    ck_assert_int_eq(t.flush_to_zero, 0);
    _MM_SET_FLUSH_ZERO_MODE(_MM_FLUSH_ZERO_ON);
    gm_context_parallel_for(context, CHUNKS, count_chunk, &t);
    _MM_SET_FLUSH_ZERO_MODE(_MM_FLUSH_ZERO_OFF);
    ck_assert_int_eq(t.flush_to_zero, CHUNKS);
    gm_context_parallel_for(context, CHUNKS, count_chunk, &t);
    ck_assert_int_eq(t.flush_to_zero, CHUNKS);
    gm_context_destroy(context);
}
END_TEST
#endif

/* Chunks that wait for each other: as many as threads end only if every thread takes part. */
typedef struct meeting {
    int64_t expected;
    _Atomic int64_t present;
    atomic_int workers[MOST_THREADS]; /* chunks that each runs */
} meeting;

static void meet(void *arg, int64_t chunk, int worker)
{
    (void)chunk;
    meeting *m = arg;
    m->workers[worker]++;
    m->present++;
    while (m->present < m->expected)
        sched_yield();
}

/* A child has none of its parent's threads: loops on the parent's context run in the caller, as worker 0. */
static bool inherits(gm_context *context)
{
    const bool injected = gm_context_threading(context) == GM_THREADING_INJECTED;
    tally t = {.threads = injected ? gm_context_threads(context) : 1};
    gm_context_parallel_for(context, CHUNKS, count_chunk, &t);
    gm_context_destroy(context);
    return is_right(&t, CHUNKS);
}

static bool starts_its_own(gm_threading threading)
{
    tally t = {.threads = 3};
    outside pool;
    gm_context *context;
    if (create(threading, 3, &pool, &context) != GM_OK)
        return false;
    gm_context_parallel_for(context, CHUNKS, count_chunk, &t);
    gm_context_destroy(context);
    return is_right(&t, CHUNKS);
}

/* A thread that holds a lock of Check or of a sanitizer's allocator when its process forks would hold it in the child
 * for ever. So the child does without Check, all workers have begun before, and beside `others` it starts no thread. */
static void check_child(gm_context *context, bool others)
{
    const gm_threading threading = gm_context_threading(context);
    meeting m = {.expected = gm_context_threads(context)};
    gm_context_parallel_for(context, m.expected, meet, &m);
    const pid_t child = fork();
    if (child == 0) {
        alarm(60);
        _exit(inherits(context) && (others || starts_its_own(threading)) ? 0 : 1);
    }
    ck_assert_int_ge(child, 0);
    int status;
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0, "child: %d", status);
}

START_TEST(a_forked_child_needs_no_threads)
{
    tally t = {.threads = 3};
    outside pool;
    gm_context *context = context_with(kinds[_i], 3, &pool);
    if (!context)
        return;
    gm_context_parallel_for(context, CHUNKS / 2, count_chunk, &t);
    ck_assert(is_right(&t, CHUNKS / 2));
    check_child(context, false);
    t = (tally){.threads = 3};
    gm_context_parallel_for(context, CHUNKS, count_chunk, &t);
    ck_assert(is_right(&t, CHUNKS));
    gm_context_destroy(context);
}
END_TEST

START_TEST(all_threads_take_part)
{
    static const int64_t pauses[] = {0, 100, 5000, 30000}; /* us: threads awake, threads asleep */
    outside pool;
    gm_context *context = kinds[_i] == GM_THREADING_SERIAL ? NULL : context_with(kinds[_i], 3, &pool);
    if (!context)
        return;
    for (int round = 0; round < 40; round++) {
        meeting m = {.expected = round % 3 + 1};
        usleep((useconds_t)pauses[round % 4]);
        gm_context_parallel_for(context, m.expected, meet, &m);
        ck_assert_int_eq(m.present, m.expected);
        for (int i = 0; i < MOST_THREADS; i++)
            ck_assert_int_le(m.workers[i], i < 3);
    }
    gm_context_destroy(context);
}
END_TEST

/* Threads of this process that the library started. */
static int find_workers(pid_t *workers, int most)
{
    int count = 0;
    DIR *tasks = opendir("/proc/self/task");
    ck_assert_ptr_nonnull(tasks);
    for (struct dirent *entry; (entry = readdir(tasks)) != NULL;) {
        char path[300], name[16] = "";
        snprintf(path, sizeof path, "/proc/self/task/%s/comm", entry->d_name);
        FILE *file = fopen(path, "r");
        if (file && fgets(name, sizeof name, file) && !strcmp(name, "gemel\n") && count < most)
            workers[count++] = (pid_t)atoi(entry->d_name);
        if (file)
            fclose(file);
    }
    closedir(tasks);
    return count;
}

static atomic_int held;
static atomic_bool holding;

static void hold(int signal)
{
    (void)signal;
    held++;
    while (holding)
        usleep(1000);
    held--;
}

/* The processor may be elsewhere for long, here in a signal's handler. */
START_TEST(nobody_waits_for_a_thread_without_a_chunk)
{
    outside pool;
    pid_t workers[MOST_THREADS];
    gm_context *context = context_with(GM_THREADING_POOL, MOST_THREADS, &pool);
    while (find_workers(workers, MOST_THREADS) < MOST_THREADS - 1)
        usleep(1000);
    usleep((useconds_t)_i * 20000); /* awake, asleep */
    signal(SIGTRAP, hold);
    holding = true;
    for (int i = 0; i < MOST_THREADS - 1; i++)
        ck_assert_int_eq((int)syscall(SYS_tgkill, getpid(), workers[i], SIGTRAP), 0);
    while (held < MOST_THREADS - 1)
        usleep(1000);
    for (int round = 0; round < 100; round++) {
        tally t = {.threads = 1}; /* worker 0 alone */
        gm_context_parallel_for(context, CHUNKS, count_chunk, &t);
        ck_assert(is_right(&t, CHUNKS));
    }
    ck_assert_int_eq(held, MOST_THREADS - 1);
    holding = false;
    while (held > 0)
        usleep(1000);
    meeting m = {.expected = MOST_THREADS};
    gm_context_parallel_for(context, MOST_THREADS, meet, &m);
    gm_context_destroy(context);
    ck_assert_int_eq(find_workers(workers, MOST_THREADS), 0);
}
END_TEST

static void take_signal(int signal)
{
    (void)signal;
}

START_TEST(workers_leave_signals_to_the_program)
{
    sigset_t blocked;
    outside pool;
    signal(SIGUSR1, take_signal);
    gm_context *context = context_with(GM_THREADING_POOL, 3, &pool);
    pthread_sigmask(SIG_SETMASK, NULL, &blocked);
    ck_assert(!sigismember(&blocked, SIGUSR1));
    sigemptyset(&blocked);
    sigaddset(&blocked, SIGUSR1);
    pthread_sigmask(SIG_BLOCK, &blocked, NULL);
    kill(getpid(), SIGUSR1);
    usleep(20000);
    sigpending(&blocked);
    ck_assert(sigismember(&blocked, SIGUSR1));
    gm_context_destroy(context);
}
END_TEST

typedef struct strand {
    gm_threading threading;
    int32_t threads;
    uint64_t seed;
    int contexts, loops;
    bool alone; /* in its process */
} strand;

/* Loops of random length with random pauses, on one context after the other; results lie on this thread's stack. */
static void *run_strand(void *arg)
{
    const strand *s = arg;
    test_random random = test_random_create(s->seed);
    for (int c = 0; c < s->contexts; c++) {
        outside pool;
        gm_context *context = context_with(s->threading, s->threads, &pool);
        for (int loop = 0; context && loop < s->loops; loop++) {
            tally t = {.threads = s->threads};
            const uint64_t bits = test_random_bits(&random);
            const int64_t chunks = (int64_t)(bits % 64 == 0 ? bits / 64 % CHUNKS : bits / 64 % 10);
            gm_context_parallel_for(context, chunks, count_chunk, &t);
            ck_assert(is_right(&t, chunks));
            if (bits >> 57 == 0)
                usleep(5000);
        }
        if (context && (s->alone || s->threading != GM_THREADING_INJECTED))
            check_child(context, !s->alone);
        gm_context_destroy(context);
    }
    return NULL;
}

START_TEST(many_loops_at_random)
{
    static const int32_t threads[] = {1, 2, 3, MOST_THREADS};
    for (int i = 0; i < 4; i++) {
        const int loops = kinds[_i] == GM_THREADING_POOL ? 2000 : 100;
        strand s = {kinds[_i], threads[i], (uint64_t)i, 5, loops, true};
        run_strand(&s);
    }
}
END_TEST

START_TEST(contexts_are_independent)
{
    const int loops = kinds[_i] == GM_THREADING_POOL ? 2000 : 100;
    strand mine = {kinds[_i], 3, 10, 5, loops, false}, other = {kinds[_i], 2, 11, 5, loops, false};
    pthread_t thread;
    ck_assert_int_eq(pthread_create(&thread, NULL, run_strand, &other), 0);
    run_strand(&mine);
    pthread_join(thread, NULL);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("parallel");
    TCase *tests = tcase_create("parallel");
    suite_add_tcase(suite, tests);
    tcase_add_loop_test(tests, every_chunk_runs_once, 0, KINDS);
    tcase_add_loop_test(tests, nested_loops_run_serially, 0, KINDS);
#if defined(__x86_64__)
    tcase_add_loop_test(tests, workers_take_over_the_floating_point_state, 0, KINDS);
#endif
    tcase_add_loop_test(tests, a_forked_child_needs_no_threads, 0, KINDS);
    tcase_add_loop_test(tests, all_threads_take_part, 0, KINDS);
    tcase_add_loop_test(tests, nobody_waits_for_a_thread_without_a_chunk, 0, 2);
    tcase_add_test(tests, workers_leave_signals_to_the_program);
    tcase_add_loop_test(tests, many_loops_at_random, 0, KINDS);
    tcase_add_loop_test(tests, contexts_are_independent, 0, KINDS);
    return test_run(suite);
}
