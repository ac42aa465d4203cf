/* Google Benchmark for C. A benchmark file defines bench_setup(), which registers its cases; the shim brings main()
 * with Google Benchmark's flags (--benchmark_filter=REGEX, --benchmark_format=json, --benchmark_repetitions=N, …). */
#ifndef GEMEL_BENCH_SHIM_H
#define GEMEL_BENCH_SHIM_H

#include <stdbool.h>

#ifdef __cplusplus
extern "C" {
#endif

/* One run of one case: valid inside the function that received it. */
typedef struct bench_run bench_run;

/* Prepares its operands, repeats the timed work while (bench_next(run)), counts, and frees. */
typedef void (*bench_function)(bench_run *run, const void *arg);

/* Defined by the benchmark file. */
void bench_setup(void);

/* Adds a case with a name in printf's manner; arg is handed to the function and must live until the program ends. */
__attribute__((format(printf, 3, 4))) void bench_register(bench_function function, const void *arg, const char *format,
                                                          ...);

/* True as long as the timed work is to be repeated. Time passes from the first true to the false. */
bool bench_next(bench_run *run);

/* Keep preparations inside the loop out of the time (each pair costs about a microsecond). */
void bench_pause(bench_run *run);
void bench_resume(bench_run *run);

/* After the loop: floating-point operations and bytes moved per repetition, reported per second ("FLOP=116G/s"). */
void bench_flops(bench_run *run, double per_repetition);
void bench_bytes(bench_run *run, double per_repetition);

/* After the loop: any other figure. */
void bench_counter(bench_run *run, const char *name, double value);

/* Reports the case as failed with this message instead of timing it; return from the function without a loop. */
void bench_fail(bench_run *run, const char *message);

#ifdef __cplusplus
}
#endif

#endif
