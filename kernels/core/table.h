/* The kernel table: for each operation the entry of the best instruction set that is allowed. */
#ifndef GEMEL_TABLE_H
#define GEMEL_TABLE_H

#include <gemel/cpu.h>

/* One row an operation. An entry is a `const struct gm_<op>_kernels gm_<op>_f32_<isa>` whose first member is
 * `const char *name`. */
#define GM_OPERATIONS(X)                                                                                               \
    X(barlow)                                                                                                          \
    X(batchnorm)                                                                                                       \
    X(bias_relu)                                                                                                       \
    X(blur)                                                                                                            \
    X(color)                                                                                                           \
    X(column_stats)                                                                                                    \
    X(conv)                                                                                                            \
    X(gemm)                                                                                                            \
    X(gray_view)                                                                                                       \
    X(layernorm)                                                                                                       \
    X(optimizer)                                                                                                       \
    X(pool)                                                                                                            \
    X(resample)

#define GM_DECLARE_OPERATION(op) struct gm_##op##_kernels;
GM_OPERATIONS(GM_DECLARE_OPERATION)
#undef GM_DECLARE_OPERATION

struct gm_kernels {
#define GM_TABLE_MEMBER(op) const struct gm_##op##_kernels *op;
    GM_OPERATIONS(GM_TABLE_MEMBER)
#undef GM_TABLE_MEMBER
};

/* Fills the table with the scalar entries, then lets each available instruction set up to `isa` override them. */
void gm_table_fill(struct gm_kernels *table, gm_isa isa);

/* The index-th operation's name and its entry's name; false when there is none. */
bool gm_table_entry(const struct gm_kernels *table, int32_t index, const char **operation, const char **kernel);

#endif
