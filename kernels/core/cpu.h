/* The kind of core, which selects a row of block sizes. */
#ifndef GEMEL_CORE_CPU_H
#define GEMEL_CORE_CPU_H

typedef enum gm_core_type {
    GM_CORE_GENERIC = 0,
    GM_CORE_ZEN4,
    GM_CORE_ZEN5,
    GM_CORE_INTEL_SERVER,
    GM_CORE_NEOVERSE,
} gm_core_type;

gm_core_type gm_cpu_core_type(void);

#endif
