/* What the operating system says of processors and caches. */
#ifndef GEMEL_TOPOLOGY_H
#define GEMEL_TOPOLOGY_H

#include <stdint.h>

enum { GM_MOST_THREADS = 4096 };

int32_t gm_logical_cpus(void);   /* in the calling thread's affinity mask, at least 1 */
int32_t gm_physical_cores(void); /* with at least one CPU in it, at least 1 */
double gm_cpu_quota(void);       /* the tightest cgroup limit in CPUs; 0 without one */

/* Bytes of the data or unified cache of this level next to the first CPU of the mask; 0 where there is none. */
int64_t gm_cache_bytes(int level);

#endif
