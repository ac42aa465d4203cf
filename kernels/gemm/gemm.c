#include <gemel/gemm.h>

#include <assert.h>

#include "gemm/driver.h"

/* Rows of C mirrored by one chunk: their lines fit in one set of the first-level cache. */
enum { MIRROR_ROWS = 8 };

static void mirror_chunk(void *arg, int64_t chunk, int worker)
{
    (void)worker;
    const struct gm_gemm_product *p = arg;
    float *c = p->epilogue->c;
    const int64_t ldc = p->epilogue->ldc, first = chunk * MIRROR_ROWS, end = gm_min_i64(first + MIRROR_ROWS, p->m);
    for (int64_t j = first + 1; j < p->m; j++)
        for (int64_t i = first; i < gm_min_i64(j, end); i++)
            c[i * ldc + j] = c[j * ldc + i];
}

static void mirror(gm_context *context, const struct gm_gemm_product *p)
{
    gm_gemm_share_out(context, p, gm_ceil_div(p->m, MIRROR_ROWS), mirror_chunk, (void *)p);
}

/* Panels of columns up to which A is not worth packing; and up to which a B that is stored plain is packed by those who
 * read it. */
enum { DIRECT_PANELS = 8, DIRECT_PLAIN_PANELS = 32 };

/* Rows, and k, up to which a B that is stored plain is best read where it is. */
enum { DIRECT_ROWS = 28, DIRECT_DEPTH = 64 };

/* Many rows of B a multiple of 4 KiB apart are read well only by whoever packs many panels at once. */
static bool rows_clash(const struct gm_gemm_source *b)
{
    return b->ld % 1024 == 0;
}

/* Every chunk packs its columns of B anew. Half a C has too little work for each of them when threads cut it. */
static bool symmetric_direct_pays(const gm_context *context, const struct gm_gemm_product *p)
{
    const struct gm_gemm_kernels *kernels = context->kernels.gemm;
    return p->n <= DIRECT_PANELS * kernels->nr &&
           (p->k <= 2 * kernels->depth || gm_gemm_threads(context, p->m, p->n, p->k) == 1);
}

bool gm_gemm_direct_pays(const gm_context *context, const struct gm_gemm_product *p)
{
    if (p->epilogue->kind != GM_GEMM_STORE)
        return false;
    if (gm_gemm_parts(p) > 1 || p->b->kind == GM_GEMM_PACKED)
        return true;
    const int64_t nr = context->kernels.gemm->nr;
    if (p->epilogue->symmetric)
        return symmetric_direct_pays(context, p);
    if (p->n <= DIRECT_PANELS * nr)
        return true;
    const bool plain = p->b->kind == GM_GEMM_PLAIN && !p->b->transposed;
    return plain &&
           (p->m <= DIRECT_ROWS || (p->n <= DIRECT_PLAIN_PANELS * nr && (p->k <= DIRECT_DEPTH || !rows_clash(p->b))));
}

gm_status gm_gemm_run_product(gm_context *context, const struct gm_gemm_product *p)
{
    if (p->m == 0 || p->n == 0)
        return GM_OK;
    const gm_status status =
        gm_gemm_direct_pays(context, p) ? gm_gemm_direct_run(context, p) : gm_gemm_shared_run(context, p);
    if (status == GM_OK && p->epilogue->symmetric && p->epilogue->kind == GM_GEMM_STORE)
        mirror(context, p);
    return status;
}

void gm_gemm_run(gm_context *context, int64_t m, int64_t n, int64_t k, const struct gm_gemm_source *a,
                 const struct gm_gemm_source *b, const struct gm_gemm_epilogue *epilogue)
{
    const struct gm_gemm_product product = {m, n, epilogue->alpha == 0.0f ? 0 : k, a, b, epilogue};
    if (epilogue->kind == GM_GEMM_LOSS)
        *epilogue->squares = 0;
    const gm_status status = gm_gemm_run_product(context, &product);
    assert(status == GM_OK);
    (void)status;
}

size_t gm_gemm_workspace(const gm_context *context, int64_t m, int64_t n, int64_t k, enum gm_gemm_epilogue_kind kind,
                         int64_t row_grain)
{
    if (m == 0 || n == 0)
        return 0;
    const size_t shared = gm_gemm_shared_workspace(context, m, n, k, kind, row_grain);
    const size_t direct = kind == GM_GEMM_STORE ? gm_gemm_direct_workspace(context, m, n, k, row_grain) : 0;
    return shared > direct ? shared : direct;
}

size_t gm_gemm_run_workspace(const gm_context *context, int64_t m, int64_t n, int64_t k,
                             enum gm_gemm_epilogue_kind kind)
{
    return gm_gemm_workspace(context, m, n, k, kind, 1);
}

gm_status gm_gemm_check_operand(gm_transpose transpose, int64_t rows, int64_t cols, const float *data, int64_t ld)
{
    if (transpose != GM_NO_TRANSPOSE && transpose != GM_TRANSPOSE)
        return GM_INVALID_ARGUMENT;
    return transpose == GM_TRANSPOSE ? gm_check_matrix(cols, rows, data, ld) : gm_check_matrix(rows, cols, data, ld);
}

gm_status gm_gemm_check_product(gm_transpose ta, gm_transpose tb, int64_t m, int64_t n, int64_t k, const float *a,
                                int64_t lda, const float *b, int64_t ldb, const float *c, int64_t ldc)
{
    gm_status status = gm_gemm_check_operand(ta, m, k, a, lda);
    if (status == GM_OK)
        status = gm_gemm_check_operand(tb, k, n, b, ldb);
    return status == GM_OK ? gm_check_matrix(m, n, c, ldc) : status;
}

/* A near product that is worth more than one thread. */
struct near_product {
    const struct gm_gemm_kernels *kernels;
    int64_t chunks, m, n, k;
    float alpha, beta;
    const float *a;
    int64_t lda;
    const float *b;
    int64_t ldb;
    float *c;
    int64_t ldc;
};

static void near_chunk(void *arg, int64_t chunk, int worker)
{
    (void)worker;
    const struct near_product *p = arg;
    const int64_t tiles = gm_gemm_row_tiles(p->m, p->kernels->mr);
    const int64_t row = gm_gemm_share(p->m, tiles, gm_gemm_share(tiles, p->chunks, chunk));
    const int64_t end = gm_gemm_share(p->m, tiles, gm_gemm_share(tiles, p->chunks, chunk + 1));
    if (row < end)
        p->kernels->multiply_near(end - row, p->n, p->k, p->alpha, p->a + row * p->lda, p->lda, p->b, p->ldb, p->beta,
                                  p->c + row * p->ldc, p->ldc, NULL);
}

/* Chunks of a microsecond or less. */
static int64_t near_chunks(int64_t m, int64_t n, int64_t k)
{
    const int64_t least_chunk_work = 1 << 16;
    return m * n * k / least_chunk_work;
}

gm_status gm_gemm_f32(gm_context *context, gm_transpose ta, gm_transpose tb, int64_t m, int64_t n, int64_t k,
                      float alpha, const float *a, int64_t lda, const float *b, int64_t ldb, float beta, float *c,
                      int64_t ldc)
{
    if (!context)
        return GM_INVALID_ARGUMENT;
    const gm_status status = gm_gemm_check_product(ta, tb, m, n, k, a, lda, b, ldb, c, ldc);
    if (status != GM_OK)
        return status;
    if (gm_gemm_is_near(ta == GM_TRANSPOSE, tb == GM_TRANSPOSE, m, n, k)) {
        const struct gm_gemm_kernels *kernels = context->kernels.gemm;
        k = alpha == 0.0f ? 0 : k;
        if (gm_gemm_threads(context, m, n, k) == 1) {
            kernels->multiply_near(m, n, k, alpha, a, lda, b, ldb, beta, c, ldc, NULL);
        } else {
            struct near_product near = {kernels, near_chunks(m, n, k), m, n, k, alpha, beta, a, lda, b, ldb, c, ldc};
            gm_parallel(context, near.chunks, near_chunk, &near);
        }
        return GM_OK;
    }
    const struct gm_gemm_source left = {.transposed = ta == GM_TRANSPOSE, .data = a, .ld = lda};
    const struct gm_gemm_source right = {.transposed = tb == GM_TRANSPOSE, .data = b, .ld = ldb};
    const struct gm_gemm_epilogue store = {.c = c, .ldc = ldc, .alpha = alpha, .beta = beta};
    const struct gm_gemm_product product = {m, n, alpha == 0.0f ? 0 : k, &left, &right, &store};
    return gm_gemm_run_product(context, &product);
}

size_t gm_gemm_f32_workspace(const gm_context *context, gm_transpose ta, gm_transpose tb, int64_t m, int64_t n,
                             int64_t k)
{
    (void)ta;
    (void)tb;
    return !context || m < 0 || n < 0 || k < 0 ? 0 : gm_gemm_run_workspace(context, m, n, k, GM_GEMM_STORE);
}

gm_status gm_syrk_f32(gm_context *context, gm_transpose ta, int64_t m, int64_t k, float alpha, const float *a,
                      int64_t lda, float beta, float *c, int64_t ldc)
{
    if (!context)
        return GM_INVALID_ARGUMENT;
    gm_status status = gm_gemm_check_operand(ta, m, k, a, lda);
    if (status == GM_OK)
        status = gm_check_matrix(m, m, c, ldc);
    if (status != GM_OK)
        return status;
    const struct gm_gemm_source left = {.transposed = ta == GM_TRANSPOSE, .data = a, .ld = lda};
    const struct gm_gemm_source right = {.transposed = ta != GM_TRANSPOSE, .data = a, .ld = lda};
    const bool worth = beta != 0.0f || m > context->kernels.gemm->nr; /* one tile is as wide as C */
    const struct gm_gemm_epilogue store = {.c = c, .ldc = ldc, .alpha = alpha, .beta = beta, .symmetric = worth};
    const struct gm_gemm_product product = {m, m, alpha == 0.0f ? 0 : k, &left, &right, &store};
    return gm_gemm_run_product(context, &product);
}

size_t gm_syrk_f32_workspace(const gm_context *context, gm_transpose ta, int64_t m, int64_t k)
{
    return gm_gemm_f32_workspace(context, ta, ta, m, m, k);
}
