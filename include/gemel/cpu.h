/* What the processor and the operating system offer, and the instruction sets that the library has kernels for. */
#ifndef GEMEL_CPU_H
#define GEMEL_CPU_H

#include <gemel/api.h>
#include <gemel/status.h>

GM_BEGIN_DECLS

/* In ascending order of preference on a machine that has several. */
typedef enum gm_isa {
    GM_ISA_SCALAR = 0, /* C without intrinsics: multiply, then add */
    GM_ISA_NEON,       /* AArch64 Advanced SIMD */
    GM_ISA_AVX2,       /* AVX2 and FMA */
    GM_ISA_AVX512,     /* AVX-512 F, BW, DQ and VL */
    GM_ISA_COUNT,
    GM_ISA_AUTO = -1, /* in options: GEMEL_ISA if set, else the best available */
} gm_isa;

typedef struct gm_cpu_info {
    size_t size;          /* set to sizeof(gm_cpu_info) before the call */
    char brand[64];       /* "AMD EPYC 9R14", or "unknown" */
    char core[24];        /* the row of block sizes in use: "zen4", "zen5", "intel-server", "neoverse" or "generic" */
    int64_t l1d_bytes;    /* of one core */
    int64_t l2_bytes;     /* of one core */
    int64_t l3_bytes;     /* of the cores that share one L3; 0 if there is none */
    int32_t logical_cpus; /* in the affinity mask of the calling thread */
    int32_t physical_cores;
    double quota_cpus; /* the cgroup's limit in CPUs; 0 if there is none */
} gm_cpu_info;

/* Fills the first info->size bytes of *info. Errors: GM_INVALID_ARGUMENT. */
GM_API gm_status gm_cpu_query(gm_cpu_info *info);

/* "scalar", "neon", "avx2", "avx512"; NULL for anything else. */
GM_API const char *gm_isa_name(gm_isa isa);

/* The reverse of gm_isa_name(). Errors: GM_UNKNOWN_ISA, with *isa untouched. */
GM_API gm_status gm_isa_from_name(const char *name, gm_isa *isa);

/* Whether the build has kernels for it, the processor has its instructions and the system saves its registers. */
GM_API bool gm_isa_available(gm_isa isa);

GM_END_DECLS

#endif
