/* Products whose tiles are finished, column by column, before they leave the cache. */
#include "gemm/driver.h"

/* Columns whose sums one chunk adds up. */
enum { MERGE_COLS = 256 };

struct merge {
    const struct gm_gemm_finish *finish;
    int64_t blocks, cols;
    float *column_sums;
};

static void merge_chunk(void *arg, int64_t chunk, int worker)
{
    (void)worker;
    const struct merge *merge = arg;
    const int64_t first = chunk * MERGE_COLS, cols = gm_min_i64(merge->cols - first, MERGE_COLS);
    double sum[MERGE_COLS] = {0};
    for (int64_t block = 0; block < merge->blocks; block++)
        for (int64_t j = 0; j < cols; j++)
            sum[j] += (double)merge->finish->sums[block * merge->finish->ldsums + first + j];
    for (int64_t j = 0; j < cols; j++)
        merge->column_sums[first + j] = (float)sum[j];
}

static void merge_sums(gm_context *context, const struct gm_gemm_product *p, const struct gm_gemm_finish *finish,
                       float *column_sums)
{
    struct merge merge = {finish, gm_ceil_div(p->m, GM_GEMM_SUM_ROWS), p->n, column_sums};
    gm_gemm_share_out(context, p, gm_ceil_div(p->n, MERGE_COLS), merge_chunk, &merge);
}

static size_t sums_bytes(int64_t m, int64_t n)
{
    return gm_workspace_bytes((size_t)(gm_ceil_div(m, GM_GEMM_SUM_ROWS) * n) * sizeof(float));
}

static gm_status run(gm_context *context, const struct gm_gemm_product *p)
{
    const struct gm_gemm_source *a = p->a, *b = p->b;
    if (a->kind != GM_GEMM_PLAIN || b->kind != GM_GEMM_PLAIN ||
        !gm_gemm_is_near(a->transposed, b->transposed, p->m, p->n, p->k) ||
        gm_gemm_threads(context, p->m, p->n, p->k) > 1)
        return gm_gemm_run_product(context, p);
    gm_gemm_near_run(context, p);
    return GM_OK;
}

gm_status gm_gemm_run_fused(gm_context *context, const struct gm_gemm_product *p, const gm_gemm_options *options)
{
    if (!options)
        return run(context, p);
    struct gm_gemm_finish finish = {
        .scale = options->scale, .bias = options->bias, .relu = options->relu, .ldsums = p->n};
    struct gm_gemm_epilogue epilogue = *p->epilogue;
    epilogue.finish = &finish;
    struct gm_gemm_product product = *p;
    product.epilogue = &epilogue;
    if (!options->column_sums)
        return run(context, &product);
    if (!gm_workspace_fits(context, sums_bytes(p->m, p->n)))
        return GM_WORKSPACE_TOO_SMALL;
    const size_t mark = gm_workspace_mark(context);
    finish.sums = gm_workspace_take(context, sums_bytes(p->m, p->n));
    const gm_status status = run(context, &product);
    if (status == GM_OK)
        merge_sums(context, p, &finish, options->column_sums);
    gm_workspace_release(context, mark);
    return status;
}

gm_status gm_gemm_fused_f32(gm_context *context, gm_transpose ta, gm_transpose tb, int64_t m, int64_t n, int64_t k,
                            float alpha, const float *a, int64_t lda, const float *b, int64_t ldb, float beta, float *c,
                            int64_t ldc, const gm_gemm_options *options)
{
    if (!context || (options && !gm_options_valid(options->size, sizeof *options)))
        return GM_INVALID_ARGUMENT;
    const gm_status status = gm_gemm_check_product(ta, tb, m, n, k, a, lda, b, ldb, c, ldc);
    if (status != GM_OK)
        return status;
    const struct gm_gemm_source left = {.transposed = ta == GM_TRANSPOSE, .data = a, .ld = lda};
    const struct gm_gemm_source right = {.transposed = tb == GM_TRANSPOSE, .data = b, .ld = ldb};
    const struct gm_gemm_epilogue store = {.c = c, .ldc = ldc, .alpha = alpha, .beta = beta};
    const struct gm_gemm_product product = {m, n, alpha == 0.0f ? 0 : k, &left, &right, &store};
    return gm_gemm_run_fused(context, &product, options);
}

size_t gm_gemm_fused_f32_workspace(const gm_context *context, gm_transpose ta, gm_transpose tb, int64_t m, int64_t n,
                                   int64_t k, const gm_gemm_options *options)
{
    (void)ta;
    (void)tb;
    if (!context || m < 0 || n < 0 || k < 0)
        return 0;
    if (!options || !options->column_sums)
        return gm_gemm_workspace(context, m, n, k, GM_GEMM_STORE, 1);
    return sums_bytes(m, n) + gm_gemm_workspace(context, m, n, k, GM_GEMM_STORE, GM_GEMM_SUM_ROWS);
}
