#include "threads.h"

#include "server.h"

#include <pthread.h>

enum { MOST_THREADS = 256 };

typedef struct start {
    pthread_barrier_t together;
    void (*body)(void *arg, int thread);
    void *arg;
} start;

typedef struct worker {
    pthread_t id;
    start *start;
    int thread;
    double began, ended;
} worker;

static void *work(void *arg)
{
    worker *w = arg;
    pthread_barrier_wait(&w->start->together);
    w->began = server_seconds();
    w->start->body(w->start->arg, w->thread);
    w->ended = server_seconds();
    return NULL;
}

double threads_time(int threads, void (*body)(void *arg, int thread), void *arg)
{
    worker workers[MOST_THREADS];
    start s = {.body = body, .arg = arg};
    if (threads < 1 || threads > MOST_THREADS)
        server_fail("between 1 and %d threads, please", MOST_THREADS);
    pthread_barrier_init(&s.together, NULL, (unsigned)threads);
    for (int i = 0; i < threads; i++) {
        workers[i] = (worker){.start = &s, .thread = i};
        if (pthread_create(&workers[i].id, NULL, work, &workers[i]) != 0)
            server_fail("no thread to be had");
    }
    double began = 0, ended = 0;
    for (int i = 0; i < threads; i++) {
        pthread_join(workers[i].id, NULL);
        began = i == 0 || workers[i].began < began ? workers[i].began : began;
        ended = workers[i].ended > ended ? workers[i].ended : ended;
    }
    pthread_barrier_destroy(&s.together);
    return ended - began;
}
