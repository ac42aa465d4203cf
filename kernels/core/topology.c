#include "core/topology.h"

#include <limits.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The first line of a small file, without its newline; false if it cannot be read. */
static bool read_line(const char *path, char *line, int size)
{
    FILE *file = fopen(path, "re");
    if (!file)
        return false;
    const bool read = fgets(line, size, file) != NULL;
    fclose(file);
    if (read)
        line[strcspn(line, "\n")] = '\0';
    return read;
}

static void affinity_mask(cpu_set_t *mask)
{
    if (sched_getaffinity(0, sizeof *mask, mask) != 0 || CPU_COUNT(mask) == 0) {
        CPU_ZERO(mask);
        CPU_SET(0, mask);
    }
}

int32_t gm_logical_cpus(void)
{
    cpu_set_t mask;
    affinity_mask(&mask);
    return CPU_COUNT(&mask);
}

/* Whether a CPU below `cpu` in the mask is in the list "0,64" or "0-1" of its siblings. */
static bool has_lower_sibling(const char *list, int cpu, const cpu_set_t *mask)
{
    while (*list) {
        char *end;
        const long first = strtol(list, &end, 10);
        if (end == list)
            return false;
        const long last = *end == '-' ? strtol(end + 1, &end, 10) : first;
        for (long sibling = first; sibling <= last && sibling < cpu; sibling++)
            if (sibling >= 0 && sibling < CPU_SETSIZE && CPU_ISSET((size_t)sibling, mask))
                return true;
        list = *end == ',' ? end + 1 : end;
    }
    return false;
}

int32_t gm_physical_cores(void)
{
    cpu_set_t mask;
    affinity_mask(&mask);
    int32_t cores = 0;
    for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
        char path[96], siblings[256];
        if (!CPU_ISSET((size_t)cpu, &mask))
            continue;
        snprintf(path, sizeof path, "/sys/devices/system/cpu/cpu%d/topology/thread_siblings_list", cpu);
        if (!read_line(path, siblings, sizeof siblings) || !has_lower_sibling(siblings, cpu, &mask))
            cores++;
    }
    return cores;
}

/* "200000 100000" of cgroup v2, or "max 100000". */
static double parse_cpu_max(const char *line)
{
    char *end;
    const double quota = strtod(line, &end), period = strtod(end, NULL);
    return end != line && quota > 0 && period > 0 ? quota / period : 0;
}

static double tighter(double limit, double other)
{
    return other > 0 && (limit == 0 || other < limit) ? other : limit;
}

static double quota_v1(void)
{
    char quota[64], period[64];
    if (!read_line("/sys/fs/cgroup/cpu/cpu.cfs_quota_us", quota, sizeof quota) ||
        !read_line("/sys/fs/cgroup/cpu/cpu.cfs_period_us", period, sizeof period))
        return 0;
    const double q = strtod(quota, NULL), p = strtod(period, NULL);
    return q > 0 && p > 0 ? q / p : 0;
}

/* A group is limited by itself and by each of its ancestors. */
double gm_cpu_quota(void)
{
    double limit = quota_v1();
    char group[PATH_MAX], path[PATH_MAX + 64], line[64];
    if (!read_line("/proc/self/cgroup", group, sizeof group) || strncmp(group, "0::", 3) != 0)
        return limit;
    char *name = group + 3;
    for (;;) {
        snprintf(path, sizeof path, "/sys/fs/cgroup%s/cpu.max", strcmp(name, "/") == 0 ? "" : name);
        if (read_line(path, line, sizeof line))
            limit = tighter(limit, parse_cpu_max(line));
        char *slash = strrchr(name, '/');
        if (!slash || slash[1] == '\0')
            return limit;
        slash[slash == name] = '\0';
    }
}

static int64_t parse_size(const char *text)
{
    char *end;
    const long long value = strtoll(text, &end, 10);
    return value * (*end == 'K' ? 1024 : *end == 'M' ? 1024 * 1024 : 1);
}

/* sysfs and not sysconf(): glibc reports the L3 of all sockets' slices together on some machines. */
int64_t gm_cache_bytes(int level)
{
    cpu_set_t mask;
    affinity_mask(&mask);
    int cpu = 0;
    while (!CPU_ISSET((size_t)cpu, &mask))
        cpu++;
    for (int index = 0; index < 16; index++) {
        char path[112], line[64];
        snprintf(path, sizeof path, "/sys/devices/system/cpu/cpu%d/cache/index%d/level", cpu, index);
        if (!read_line(path, line, sizeof line))
            return 0;
        if (atoi(line) != level)
            continue;
        snprintf(path, sizeof path, "/sys/devices/system/cpu/cpu%d/cache/index%d/type", cpu, index);
        if (!read_line(path, line, sizeof line) || strcmp(line, "Instruction") == 0)
            continue;
        snprintf(path, sizeof path, "/sys/devices/system/cpu/cpu%d/cache/index%d/size", cpu, index);
        return read_line(path, line, sizeof line) ? parse_size(line) : 0;
    }
    return 0;
}
