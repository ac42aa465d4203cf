#include "core/cpu.h"

#include <gemel/cpu.h>
#include <string.h>

#include "core/topology.h"
#include "isa_config.h"

#if defined(__x86_64__)
#include <cpuid.h>
#endif

static const char *const isa_names[GM_ISA_COUNT] = {
    [GM_ISA_SCALAR] = "scalar", [GM_ISA_NEON] = "neon", [GM_ISA_AVX2] = "avx2", [GM_ISA_AVX512] = "avx512"};

const char *gm_isa_name(gm_isa isa)
{
    return (int)isa >= 0 && isa < GM_ISA_COUNT ? isa_names[isa] : NULL;
}

gm_status gm_isa_from_name(const char *name, gm_isa *isa)
{
    if (!name || !isa)
        return GM_INVALID_ARGUMENT;
    for (int i = 0; i < GM_ISA_COUNT; i++) {
        if (strcmp(name, isa_names[i]) == 0) {
            *isa = (gm_isa)i;
            return GM_OK;
        }
    }
    return GM_UNKNOWN_ISA;
}

#if defined(__x86_64__)
struct x86_features {
    bool avx2, avx512;
};

/* The system must save the registers (XCR0), else the instructions fault although cpuid announces them. */
static struct x86_features x86_features(void)
{
    struct x86_features found = {false, false};
    unsigned a, b, c, d;
    if (!__get_cpuid(1, &a, &b, &c, &d))
        return found;
    const bool fma = c & bit_FMA, osxsave = c & bit_OSXSAVE;
    if (!osxsave || !fma || !__get_cpuid_count(7, 0, &a, &b, &c, &d))
        return found;
    unsigned xcr0, high;
    __asm__ volatile("xgetbv" : "=a"(xcr0), "=d"(high) : "c"(0));
    const unsigned ymm_state = 0x06, zmm_state = 0xe6;
    const unsigned avx512 = bit_AVX512F | bit_AVX512BW | bit_AVX512DQ | bit_AVX512VL;
    found.avx2 = (xcr0 & ymm_state) == ymm_state && (b & bit_AVX2);
    found.avx512 = found.avx2 && (xcr0 & zmm_state) == zmm_state && (b & avx512) == avx512;
    return found;
}
#endif

bool gm_isa_available(gm_isa isa)
{
    switch (isa) {
    case GM_ISA_SCALAR:
        return true;
    case GM_ISA_NEON:
#ifdef GM_HAVE_NEON
        return true; /* part of every AArch64 system */
#else
        return false;
#endif
#ifdef GM_HAVE_AVX2
    case GM_ISA_AVX2:
        return x86_features().avx2;
#endif
#ifdef GM_HAVE_AVX512
    case GM_ISA_AVX512:
        return x86_features().avx512;
#endif
    default:
        return false;
    }
}

gm_core_type gm_cpu_core_type(void)
{
#if defined(__x86_64__)
    unsigned a, b, c, d, most;
    if (!__get_cpuid(0, &most, &b, &c, &d))
        return GM_CORE_GENERIC;
    const bool amd = b == signature_AMD_ebx, intel = b == signature_INTEL_ebx;
    if (!__get_cpuid(1, &a, &b, &c, &d))
        return GM_CORE_GENERIC;
    const unsigned family = (a >> 8 & 15) + (a >> 20 & 255);
    if (amd && family == 0x1a)
        return GM_CORE_ZEN5;
    if (amd && family == 0x19)
        return x86_features().avx512 ? GM_CORE_ZEN4 : GM_CORE_GENERIC;
    if (intel && x86_features().avx512)
        return GM_CORE_INTEL_SERVER;
    return GM_CORE_GENERIC;
#elif defined(__aarch64__)
    return GM_CORE_NEOVERSE;
#else
    return GM_CORE_GENERIC;
#endif
}

static const char *core_name(gm_core_type type)
{
    switch (type) {
    case GM_CORE_ZEN4:
        return "zen4";
    case GM_CORE_ZEN5:
        return "zen5";
    case GM_CORE_INTEL_SERVER:
        return "intel-server";
    case GM_CORE_NEOVERSE:
        return "neoverse";
    case GM_CORE_GENERIC:
        break;
    }
    return "generic";
}

static void read_brand(char brand[64])
{
    strcpy(brand, "unknown");
#if defined(__x86_64__)
    unsigned words[13] = {0};
    for (unsigned i = 0; i < 3; i++)
        if (!__get_cpuid(0x80000002 + i, &words[4 * i], &words[4 * i + 1], &words[4 * i + 2], &words[4 * i + 3]))
            return;
    const char *text = (const char *)words;
    while (*text == ' ')
        text++;
    size_t length = strlen(text);
    while (length > 0 && text[length - 1] == ' ')
        length--;
    if (length > 0 && length < 64) {
        memcpy(brand, text, length);
        brand[length] = '\0';
    }
#endif
}

gm_status gm_cpu_query(gm_cpu_info *info)
{
    if (!info || info->size < sizeof *info)
        return GM_INVALID_ARGUMENT;
    read_brand(info->brand);
    strcpy(info->core, core_name(gm_cpu_core_type()));
    info->l1d_bytes = gm_cache_bytes(1);
    info->l2_bytes = gm_cache_bytes(2);
    info->l3_bytes = gm_cache_bytes(3);
    info->logical_cpus = gm_logical_cpus();
    info->physical_cores = gm_physical_cores();
    info->quota_cpus = gm_cpu_quota();
    return GM_OK;
}
