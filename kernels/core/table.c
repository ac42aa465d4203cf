#include "core/table.h"

#include <string.h>

#include "isa_config.h"

/* Every entry begins with its name, which is all that this file reads of it. */
struct named_entry {
    const char *name;
};

#define GM_DECLARE_ENTRY(op, isa) extern const struct gm_##op##_kernels gm_##op##_f32_##isa;
#define GM_FILL_ENTRY(op, isa) table->op = &gm_##op##_f32_##isa;

#define GM_DECLARE_SCALAR(op) GM_DECLARE_ENTRY(op, scalar)
#define GM_FILL_SCALAR(op) GM_FILL_ENTRY(op, scalar)
GM_OPERATIONS(GM_DECLARE_SCALAR)

#ifdef GM_HAVE_NEON
#define GM_DECLARE_NEON(op) GM_DECLARE_ENTRY(op, neon)
#define GM_FILL_NEON(op) GM_FILL_ENTRY(op, neon)
GM_OPERATIONS(GM_DECLARE_NEON)
#endif
#ifdef GM_HAVE_AVX2
#define GM_DECLARE_AVX2(op) GM_DECLARE_ENTRY(op, avx2)
#define GM_FILL_AVX2(op) GM_FILL_ENTRY(op, avx2)
GM_OPERATIONS(GM_DECLARE_AVX2)
#endif
#ifdef GM_HAVE_AVX512
#define GM_DECLARE_AVX512(op) GM_DECLARE_ENTRY(op, avx512)
#define GM_FILL_AVX512(op) GM_FILL_ENTRY(op, avx512)
GM_OPERATIONS(GM_DECLARE_AVX512)
#endif

void gm_table_fill(struct gm_kernels *table, gm_isa isa)
{
    GM_OPERATIONS(GM_FILL_SCALAR)
#ifdef GM_HAVE_NEON
    if (isa >= GM_ISA_NEON && gm_isa_available(GM_ISA_NEON)) {
        GM_OPERATIONS(GM_FILL_NEON)
    }
#endif
#ifdef GM_HAVE_AVX2
    if (isa >= GM_ISA_AVX2 && gm_isa_available(GM_ISA_AVX2)) {
        GM_OPERATIONS(GM_FILL_AVX2)
    }
#endif
#ifdef GM_HAVE_AVX512
    if (isa >= GM_ISA_AVX512 && gm_isa_available(GM_ISA_AVX512)) {
        GM_OPERATIONS(GM_FILL_AVX512)
    }
#endif
    (void)isa;
}

bool gm_table_entry(const struct gm_kernels *table, int32_t index, const char **operation, const char **kernel)
{
    int32_t i = 0;
#define GM_NAME_ENTRY(op)                                                                                              \
    if (i++ == index) {                                                                                                \
        *operation = #op;                                                                                              \
        *kernel = ((const struct named_entry *)(const void *)table->op)->name;                                         \
        return true;                                                                                                   \
    }
    GM_OPERATIONS(GM_NAME_ENTRY)
#undef GM_NAME_ENTRY
    return false;
}
