#include "core/pool.h"

#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdalign.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "core/core.h"
#include "core/topology.h"

/* The protocol. One word, the gate, says of the newest job which one it is (generation), whether it may still be
 * entered (OPEN), and how many workers are inside (INSIDE).
 *
 *   caller   writes the job and next = 0, then opens the gate with a new generation     publish
 *   worker   adds 1 to INSIDE by a compare-and-swap that fails unless the gate is open  enter
 *   all      take chunks from `next` and run them until none is left                    work
 *   worker   subtracts 1 from INSIDE                                                    leave
 *   caller   clears OPEN, then waits until INSIDE is 0                                  close
 *
 * Every chunk is run before the caller returns: who takes a chunk runs it; the caller closes when none is left to take,
 * and waits for all who entered and thus for all who took one. Nobody touches a job that is over: a worker reads the
 * job, `next` and what the body's argument points to only while it is inside, where the closing caller waits for it,
 * and after closing nobody can enter. A worker that arrives late finds the gate closed or the next job open, and does
 * nothing or enters that one. So the caller never waits for a worker that has no processor, unless it lost it inside.
 *
 * The job, `next` and the generation have one writer, the caller, which writes them only when the gate is closed and
 * INSIDE is 0. The entering compare-and-swap reads from the publishing store and makes the job visible (release and
 * acquire); the leaving subtractions make the workers' results visible to the caller that reads INSIDE = 0, for each is
 * followed in the gate's modification order by read-modify-writes alone up to the one that it reads.
 *
 * A generation may come again after 2^17 jobs. A worker that slept through exactly so many takes the gate of one job
 * for that of another, to no harm: entering is right whenever the gate is open, since the job is read afterwards; and
 * not entering is always right, since no job needs a worker. For the same reason a missed wake-up would cost only time;
 * there is none, for the caller stores the gate before it reads `asleep`, and a worker counts itself in `asleep` before
 * the kernel compares the gate (all sequentially consistent). */
enum {
    INSIDE = (1 << 13) - 1, /* holds GM_MOST_THREADS */
    OPEN = 1 << 13,
    END = 1 << 14,        /* of the pool */
    GENERATION = 1 << 15, /* the least bit of the generation, which fills the rest */
};

/* How a worker waits for the next job. First it only pauses, which sees a job soonest; then it yields the processor to
 * whoever wants it; then it sleeps, from where waking takes some 50 us on a virtual machine. */
enum { PAUSES = 200, AWAKE_NANOSECONDS = 10 * 1000 * 1000 };

struct worker {
    struct gm_pool *pool;
    pthread_t thread;
    int index;
};

struct gm_pool {
    alignas(GM_CACHE_LINE) _Atomic uint32_t gate;
    alignas(GM_CACHE_LINE) _Atomic int64_t next; /* chunk to take */
    alignas(GM_CACHE_LINE) int64_t chunks;       /* the job: this and the two below */
    gm_chunk_body body;
    void *arg;
    _Atomic uint32_t asleep; /* workers that sleep or are about to */
    pid_t process;           /* in which the workers live */
    int started;
    struct worker workers[];
};

static void pause_briefly(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("isb" : : : "memory"); /* `yield` does nothing on most cores */
#endif
}

static int64_t nanoseconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

/* The end is news however often it was seen: a worker whose entering failed may have read it there. */
static bool is_newer(uint32_t gate, uint32_t seen)
{
    return (gate & END) || (gate ^ seen) >= GENERATION;
}

/* Not a condition variable: glibc's broadcast may wait until the threads that it woke before have run. */
static void sleep_until_newer(struct gm_pool *pool, uint32_t seen)
{
    uint32_t gate;
    atomic_fetch_add(&pool->asleep, 1);
    while (!is_newer(gate = atomic_load(&pool->gate), seen))
        syscall(SYS_futex, &pool->gate, FUTEX_WAIT_PRIVATE, gate, NULL, NULL, 0);
    atomic_fetch_sub(&pool->asleep, 1);
}

/* Wakes sleepers until so many workers are up. */
static void wake(struct gm_pool *pool, int64_t wanted)
{
    const int64_t asleep = atomic_load(&pool->asleep), up = pool->started - asleep;
    if (asleep > 0 && wanted > up)
        syscall(SYS_futex, &pool->gate, FUTEX_WAKE_PRIVATE, (int)gm_min_i64(wanted - up, asleep), NULL, NULL, 0);
}

static uint32_t wait_until_newer(struct gm_pool *pool, uint32_t seen)
{
    uint32_t gate;
    for (int i = 0; i < PAUSES; i++) {
        if (is_newer(gate = atomic_load_explicit(&pool->gate, memory_order_relaxed), seen))
            return gate;
        pause_briefly();
    }
    const int64_t end = nanoseconds() + AWAKE_NANOSECONDS;
    while (nanoseconds() < end) {
        sched_yield();
        if (is_newer(gate = atomic_load_explicit(&pool->gate, memory_order_relaxed), seen))
            return gate;
    }
    sleep_until_newer(pool, seen);
    return atomic_load_explicit(&pool->gate, memory_order_relaxed);
}

static void work(struct gm_pool *pool, int index)
{
    const int64_t chunks = pool->chunks;
    int64_t chunk;
    while ((chunk = atomic_fetch_add_explicit(&pool->next, 1, memory_order_relaxed)) < chunks)
        pool->body(pool->arg, chunk, index);
}

/* On success *gate has the generation entered; otherwise that of the job that was closed. */
static bool enter(struct gm_pool *pool, uint32_t *gate)
{
    while (*gate & OPEN)
        if (atomic_compare_exchange_weak_explicit(&pool->gate, gate, *gate + 1, memory_order_acquire,
                                                  memory_order_relaxed))
            return true;
    return false;
}

static void leave(struct gm_pool *pool)
{
    atomic_fetch_sub_explicit(&pool->gate, 1, memory_order_release);
}

static void *run_worker(void *arg)
{
    const struct worker *worker = arg;
    struct gm_pool *pool = worker->pool;
    uint32_t gate = 0;
    pthread_setname_np(pthread_self(), "gemel");
    while (!((gate = wait_until_newer(pool, gate)) & END)) {
        if (enter(pool, &gate)) {
            work(pool, worker->index);
            leave(pool);
        }
    }
    return NULL;
}

static void publish(struct gm_pool *pool, int64_t chunks, gm_chunk_body body, void *arg)
{
    pool->chunks = chunks;
    pool->body = body;
    pool->arg = arg;
    atomic_store_explicit(&pool->next, 0, memory_order_relaxed);
    const uint32_t closed = atomic_load_explicit(&pool->gate, memory_order_relaxed);
    atomic_store(&pool->gate, (closed + GENERATION) | OPEN);
}

static void close_and_wait(struct gm_pool *pool)
{
    uint32_t gate = atomic_fetch_and_explicit(&pool->gate, ~(uint32_t)OPEN, memory_order_acquire);
    for (int i = 0; gate & INSIDE; i++) {
        i < PAUSES ? pause_briefly() : (void)sched_yield();
        gate = atomic_load_explicit(&pool->gate, memory_order_acquire);
    }
}

void gm_pool_run(void *pool, int64_t chunks, gm_chunk_body body, void *arg)
{
    publish(pool, chunks, body, arg);
    wake(pool, chunks - 1);
    work(pool, 0);
    close_and_wait(pool);
}

static bool start_worker(struct gm_pool *pool)
{
    struct worker *worker = &pool->workers[pool->started];
    *worker = (struct worker){.pool = pool, .index = pool->started + 1};
    if (pthread_create(&worker->thread, NULL, run_worker, worker) != 0)
        return false;
    pool->started++;
    return true;
}

/* Signals are for the program's threads, except those that a thread's own fault raises. */
static sigset_t foreign_signals(void)
{
    static const int own[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP};
    sigset_t signals;
    sigfillset(&signals);
    for (size_t i = 0; i < sizeof own / sizeof *own; i++)
        sigdelset(&signals, own[i]);
    return signals;
}

gm_status gm_pool_create(int32_t threads, struct gm_pool **pool)
{
    const size_t bytes = sizeof(struct gm_pool) + (size_t)(threads - 1) * sizeof(struct worker);
    struct gm_pool *created = aligned_alloc(GM_CACHE_LINE, (size_t)gm_round_up((int64_t)bytes, GM_CACHE_LINE));
    *pool = NULL;
    if (!created)
        return GM_OUT_OF_MEMORY;
    created->started = 0;
    created->process = getpid();
    atomic_init(&created->gate, 0);
    atomic_init(&created->asleep, 0);
    const sigset_t blocked = foreign_signals();
    sigset_t usual;
    pthread_sigmask(SIG_BLOCK, &blocked, &usual);
    bool started = true;
    while (started && created->started < threads - 1)
        started = start_worker(created);
    pthread_sigmask(SIG_SETMASK, &usual, NULL);
    if (!started) {
        gm_pool_destroy(created);
        return GM_OUT_OF_MEMORY;
    }
    *pool = created;
    return GM_OK;
}

void gm_pool_destroy(struct gm_pool *pool)
{
    if (!pool)
        return;
    if (pool->process == getpid()) {
        atomic_fetch_or(&pool->gate, END);
        wake(pool, pool->started);
        for (int i = 0; i < pool->started; i++)
            pthread_join(pool->workers[i].thread, NULL);
    }
    free(pool);
}
