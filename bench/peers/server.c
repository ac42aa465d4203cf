#include "server.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

int server_run(server_answer answer)
{
    char request[256];
    while (fgets(request, sizeof request, stdin)) {
        request[strcspn(request, "\n")] = '\0';
        printf("%.9g\n", answer(request));
        fflush(stdout);
    }
    return 0;
}

void server_fail(const char *format, ...)
{
    va_list values;
    va_start(values, format);
    vfprintf(stderr, format, values);
    va_end(values);
    fputc('\n', stderr);
    exit(1);
}

double server_seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

/* How often a thread of this process had to leave its processor to another program's. */
static long preemptions(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return usage.ru_nivcsw;
}

double server_least(double (*batch)(void *arg), void *arg)
{
    const double enough = 0.035, most = 0.35;
    double least = 0, passed = 0;
    bool calm = false;
    while (passed < enough || (!calm && passed < most)) {
        const long before = preemptions();
        const double seconds = batch(arg);
        calm = calm || preemptions() == before;
        least = passed == 0 || seconds < least ? seconds : least;
        passed += seconds;
    }
    return least;
}

typedef struct calls {
    void (*call)(void *arg);
    void *arg;
    long count;
} calls;

static double time_calls(void *arg)
{
    const calls *c = arg;
    const double start = server_seconds();
    for (long i = 0; i < c->count; i++)
        c->call(c->arg);
    return server_seconds() - start;
}

double server_time(void (*call)(void *arg), void *arg, double *last)
{
    const double warm = 0.005, batch = 0.004, long_call = 0.035;
    calls c = {call, arg, 1};
    /* The clock is read between batches, which double until they are long enough to tell the time of one call. */
    for (double passed = 0; *last < long_call && passed < warm; c.count *= 2) {
        passed = time_calls(&c);
        *last = passed / (double)c.count;
    }
    c.count = *last < batch ? (long)(batch / *last) + 1 : 1;
    return *last = server_least(time_calls, &c) / (double)c.count;
}

const char *server_first_word(const char *request, char word[SERVER_WORD])
{
    int rest = 0;
    if (sscanf(request, "%15s %n", word, &rest) != 1)
        server_fail("not a request: %s", request);
    return request + rest;
}

double server_sum_of_squares(int64_t count, const float *x)
{
    double sum = 0;
    for (int64_t i = 0; i < count; i++)
        sum += (double)x[i] * x[i];
    return sum;
}

static size_t status_bytes(const char *field)
{
    FILE *status = fopen("/proc/self/status", "r");
    char line[256];
    size_t kilobytes = 0;
    while (status && fgets(line, sizeof line, status))
        if (!strncmp(line, field, strlen(field)))
            kilobytes = strtoul(line + strlen(field), NULL, 10);
    if (!status || !kilobytes)
        server_fail("/proc/self/status does not tell %s", field);
    fclose(status);
    return kilobytes * 1024;
}

size_t server_resident(void)
{
    return status_bytes("VmRSS:");
}

size_t server_peak(void)
{
    return status_bytes("VmHWM:");
}

void server_reset_peak(void)
{
    FILE *file = fopen("/proc/self/clear_refs", "w");
    if (!file || fputs("5", file) < 0 || fclose(file) != 0)
        server_fail("/proc/self/clear_refs cannot be written: no peak memory to be had");
}
