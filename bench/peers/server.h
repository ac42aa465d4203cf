/* The programs that compare.py pairs: each runs in a process of its own, reads one request a line and answers each with
 * one number on a line, so that rounds of several programs can be interleaved. */
#ifndef GEMEL_BENCH_SERVER_H
#define GEMEL_BENCH_SERVER_H

#include <stddef.h>
#include <stdint.h>

/* Answers one request; the state of the last request (operands) may be kept for the next. Ends the program by
 * server_fail() when the request makes no sense. */
typedef double (*server_answer)(const char *request);

/* Reads requests until the end of the input; the exit status of the program. */
int server_run(server_answer answer);

/* Prints a message in printf's manner and ends the program. */
__attribute__((noreturn, format(printf, 1, 2))) void server_fail(const char *format, ...);

/* The least of the seconds that batch() returns, called until they are 35 ms together, and for up to 0.35 s as long as
 * other programs interrupted each of them: what else runs on a machine disturbs some batches and spares others. */
double server_least(double (*batch)(void *arg), void *arg);

/* Seconds of one call: the mean of the calls in the fastest of batches of 4 ms, after 5 ms that warm caches and thread
 * pools. A call known to take longer than 35 ms is not warmed: *last (0 at first) remembers the time of the latest one.
 */
double server_time(void (*call)(void *arg), void *arg, double *last);

double server_seconds(void);

enum { SERVER_WORD = 16 };

/* Copies the first word of a request, and returns the rest of it. */
const char *server_first_word(const char *request, char word[SERVER_WORD]);

/* In double. */
double server_sum_of_squares(int64_t count, const float *x);

/* Bytes of memory that the process occupies, and the most that it has occupied since server_reset_peak(). */
size_t server_resident(void);
size_t server_peak(void);
void server_reset_peak(void);

#endif
