/* The kernel contract: what gemm.c asks of an instruction set. Everything here is single-threaded.
 *
 * Packed A of a block of `rows` rows: gm_gemm_row_tiles() panels of mr floats for each k, rows shared out evenly.
 * Packed B: panels of nr columns, nr floats for each k; the last one as many vectors as it needs. What stands for
 * missing rows and columns is never used. Both end in `slack` floats that packing may overwrite. */
#ifndef GEMEL_KERNELS_GEMM_KERNEL_H
#define GEMEL_KERNELS_GEMM_KERNEL_H

#include "gemm/gemm.h"

/* Where the tiles of the last block of k leave the squares of the loss. A slot is the sum over one row and `cols`
 * columns. */
struct gm_gemm_loss_slots {
    int64_t cols;     /* of a slot, a multiple of nr; blocks of C begin at multiples of it */
    int64_t diagonal; /* the diagonal crosses row i of the block in its column i + diagonal */
    double *squares;  /* [rows, lds], from the block's first slot */
    int64_t lds;
    float lambda;
};

/* The finish of what begins at this row, a multiple of GM_GEMM_SUM_ROWS if there are sums, and this column. */
static inline struct gm_gemm_finish gm_gemm_finish_from(const struct gm_gemm_finish *f, int64_t row, int64_t col)
{
    const struct gm_gemm_finish from = {
        .scale = f->scale ? f->scale + col : NULL,
        .bias = f->bias ? f->bias + col : NULL,
        .relu = f->relu,
        .sums = f->sums ? f->sums + row / GM_GEMM_SUM_ROWS * f->ldsums + col : NULL,
        .ldsums = f->ldsums,
    };
    return from;
}

struct gm_gemm_block {
    int64_t rows, cols, depth;
    const float *a; /* packed, or with lda as it is stored: by rows [rows, depth], or transposed [depth, rows] */
    int64_t lda;
    int64_t a_panel; /* packed: from one panel to the next; 0: they follow each other */
    bool a_transposed;
    const float *next_a;                 /* of the block after this one, asked for in the last tile; or NULL */
    const float *b;                      /* packed; or NULL, then `source` */
    int64_t b_others, b_before;          /* k of a packed panel that are not the block's, and those before it */
    const float *next_b;                 /* what the block after this one, a single panel, reads; or NULL */
    int64_t next_floats;                 /* of it this block asks for ahead */
    const struct gm_gemm_source *source; /* op(B) as it is stored, from this column and this k on, */
    int64_t source_col, source_k;
    float *panel; /* packed panel by panel into nr depth + slack floats */
    float *c;
    int64_t ldc;
    const float *old; /* what beta multiplies, in place of C; NULL: C */
    int64_t ldold;
    float alpha, beta;
    bool stream;                           /* C is large and new, beta 0 and k no longer than depth */
    int64_t skip_from;                     /* tiles all of whose columns are >= row + skip_from are left out */
    const struct gm_gemm_loss_slots *loss; /* NULL: none */
    const struct gm_gemm_finish *finish;   /* from the block's first row and column on, or NULL; with sums the block
                                            * begins at a multiple of GM_GEMM_SUM_ROWS */
};

/* Rows, columns and k of products that go the near way; from about there the direct way is as fast. Less than any
 * depth, so that k is one block there, too. */
enum { GM_GEMM_NEAR_MOST = 104 };

struct gm_gemm_kernels {
    const char *name;
    int64_t mr, nr, slack;
    int64_t depth;       /* most k in one block */
    int64_t depth_wide;  /* the same for a C so wide that deeper blocks of B would not be packed whole */
    bool whole_rows;     /* a tile reads mr rows of A whatever its rows are: a transposed A must be packed */
    int64_t least_panel; /* floats of a panel's buffer, whatever the depth */

    /* Rows [row, row + rows) and columns [col, col + cols) of op(A) and op(B), k in [first, first + depth). col and the
     * place in `packed` belong to a panel's beginning. */
    void (*pack_a)(const struct gm_gemm_source *a, int64_t row, int64_t rows, int64_t first, int64_t depth,
                   float *packed);
    void (*pack_b)(const struct gm_gemm_source *b, int64_t col, int64_t cols, int64_t first, int64_t depth,
                   float *packed);

    /* C = alpha A B + beta C for one block, then the loss or the finish. `old` is for packed operands alone. */
    void (*multiply)(const struct gm_gemm_block *block);

    /* C = alpha A B + beta C, finished unless NULL; no operand transposed, m and n positive, k <= depth: for operands
     * in the nearest cache. */
    void (*multiply_near)(int64_t m, int64_t n, int64_t k, float alpha, const float *a, int64_t lda, const float *b,
                          int64_t ldb, float beta, float *c, int64_t ldc, const struct gm_gemm_finish *finish);

    /* C, which holds X, becomes what `finish` says. */
    void (*finish)(const struct gm_gemm_finish *finish, int64_t rows, int64_t cols, float *c, int64_t ldc);
};

static inline int64_t gm_gemm_row_tiles(int64_t rows, int64_t mr)
{
    return (rows + mr - 1) / mr;
}

/* The beginning of part i when `total` is shared out evenly among `parts`. */
static inline int64_t gm_gemm_share(int64_t total, int64_t parts, int64_t i)
{
    return total / parts * i + (i < total % parts ? i : total % parts);
}

#endif
