#include "server.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
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

double server_time(void (*call)(void *arg), void *arg, double *last)
{
    const double at_least = 0.03;
    if (*last < at_least)
        call(arg);
    /* The clock is read between batches that double until they are long enough to time. */
    double seconds = 0;
    for (long calls = 1; seconds < at_least; calls *= 2) {
        const double start = server_seconds();
        for (long i = 0; i < calls; i++)
            call(arg);
        seconds = server_seconds() - start;
        *last = seconds / (double)calls;
    }
    return *last;
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
