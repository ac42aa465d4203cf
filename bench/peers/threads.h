/* The same work on several threads at once, timed from their common start to the end of the last. */
#ifndef GEMEL_BENCH_THREADS_H
#define GEMEL_BENCH_THREADS_H

/* Seconds that `threads` threads take, each calling body(arg, thread). */
double threads_time(int threads, void (*body)(void *arg, int thread), void *arg);

#endif
