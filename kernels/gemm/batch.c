/* Many products of one shape: small ones are shared out whole, in one parallel region. */
#include "gemm/driver.h"

/* Products of which a thread may take one at a time; and the multiply-adds of a chunk of smaller ones. */
enum { PRODUCTS_A_THREAD = 4 };
static const double least_chunk_work = 1 << 18;

struct batch {
    const gm_context *context;
    struct gm_gemm_product product; /* the first one */
    int64_t count, chunks;
    int64_t stride_a, stride_b, stride_c;
    float *workspace;
    size_t worker_bytes; /* of it for each worker */
};

/* One of the products, with what it points to. */
struct item {
    struct gm_gemm_source a, b;
    struct gm_gemm_epilogue epilogue;
    struct gm_gemm_product product;
};

static void point_to(const struct batch *batch, int64_t i, struct item *item)
{
    const struct gm_gemm_product *first = &batch->product;
    item->a.data = first->a->data + i * batch->stride_a;
    item->b.data = first->b->data + i * batch->stride_b;
    item->epilogue.c = first->epilogue->c + i * batch->stride_c;
}

static void make_item(const struct batch *batch, struct item *item)
{
    item->product = batch->product;
    item->a = *batch->product.a;
    item->b = *batch->product.b;
    item->epilogue = *batch->product.epilogue;
    item->product.a = &item->a;
    item->product.b = &item->b;
    item->product.epilogue = &item->epilogue;
}

static void multiply_item(const struct batch *batch, const struct item *item, float *workspace)
{
    const struct gm_gemm_product *p = &item->product;
    if (gm_gemm_is_near(item->a.transposed, item->b.transposed, p->m, p->n, p->k))
        gm_gemm_near_run(batch->context, p);
    else
        gm_gemm_direct_run_serially(batch->context, p, workspace);
}

static void multiply_chunk(void *arg, int64_t chunk, int worker)
{
    const struct batch *batch = arg;
    float *workspace = (float *)((char *)batch->workspace + (size_t)worker * batch->worker_bytes);
    struct item item;
    make_item(batch, &item);
    const int64_t end = gm_gemm_share(batch->count, batch->chunks, chunk + 1);
    for (int64_t i = gm_gemm_share(batch->count, batch->chunks, chunk); i < end; i++) {
        point_to(batch, i, &item);
        multiply_item(batch, &item, workspace);
    }
}

static gm_status run_whole(gm_context *context, struct batch *batch)
{
    const struct gm_gemm_product *p = &batch->product;
    const double work = (double)p->m * (double)p->n * (double)p->k * (double)batch->count;
    const double chunks = work / least_chunk_work;
    batch->chunks = chunks < 1 ? 1 : chunks < (double)batch->count ? (int64_t)chunks : batch->count;
    batch->worker_bytes = gm_gemm_direct_serial_workspace(context, p->m, p->n, p->k);
    const size_t bytes = batch->worker_bytes * (size_t)(batch->chunks == 1 ? 1 : context->threads);
    if (!gm_workspace_fits(context, bytes))
        return GM_WORKSPACE_TOO_SMALL;
    const size_t mark = gm_workspace_mark(context);
    batch->workspace = gm_workspace_take(context, bytes);
    gm_parallel(context, batch->chunks, multiply_chunk, batch);
    gm_workspace_release(context, mark);
    return GM_OK;
}

static gm_status run_one_by_one(gm_context *context, const struct batch *batch)
{
    struct item item;
    make_item(batch, &item);
    gm_status status = GM_OK;
    for (int64_t i = 0; i < batch->count && status == GM_OK; i++) {
        point_to(batch, i, &item);
        status = gm_gemm_run_product(context, &item.product);
    }
    return status;
}

/* A k that is cut into parts needs workspace for them. */
static bool whole_pays(const gm_context *context, const struct batch *batch)
{
    const struct gm_gemm_product *p = &batch->product;
    if (gm_gemm_parts(p) > 1)
        return false;
    return gm_gemm_threads(context, p->m, p->n, p->k) == 1 ||
           (batch->count >= PRODUCTS_A_THREAD * context->threads && gm_gemm_direct_pays(context, p));
}

/* Whether matrices of `rows` rows so far apart can be addressed. */
static bool is_addressable(int64_t count, int64_t stride, int64_t rows, int64_t ld)
{
    int64_t reach;
    return !__builtin_mul_overflow(count - 1, stride, &reach) && !__builtin_add_overflow(reach, rows * ld, &reach) &&
           reach <= INT64_MAX / (int64_t)sizeof(double);
}

/* Results lie behind each other, or beside each other in the same rows. */
static bool are_apart(int64_t count, int64_t m, int64_t n, int64_t ldc, int64_t stride)
{
    if (count == 1 || m == 0 || n == 0)
        return true;
    return stride >= (m - 1) * ldc + n || (stride >= n && (count - 1) * stride + n <= ldc);
}

gm_status gm_gemm_batch_f32(gm_context *context, gm_transpose ta, gm_transpose tb, int64_t count, int64_t m, int64_t n,
                            int64_t k, float alpha, const float *a, int64_t lda, int64_t stride_a, const float *b,
                            int64_t ldb, int64_t stride_b, float beta, float *c, int64_t ldc, int64_t stride_c)
{
    if (!context || count < 0 || stride_a < 0 || stride_b < 0 || stride_c < 0)
        return GM_INVALID_ARGUMENT;
    const gm_status status = gm_gemm_check_product(ta, tb, m, n, k, a, lda, b, ldb, c, ldc);
    if (status != GM_OK || count == 0 || m == 0 || n == 0)
        return status;
    if (!is_addressable(count, stride_a, ta == GM_TRANSPOSE ? k : m, lda) ||
        !is_addressable(count, stride_b, tb == GM_TRANSPOSE ? n : k, ldb) || !is_addressable(count, stride_c, m, ldc))
        return GM_SIZE_OVERFLOW;
    if (!are_apart(count, m, n, ldc, stride_c))
        return GM_INVALID_ARGUMENT;
    const struct gm_gemm_source left = {.transposed = ta == GM_TRANSPOSE, .data = a, .ld = lda};
    const struct gm_gemm_source right = {.transposed = tb == GM_TRANSPOSE, .data = b, .ld = ldb};
    const struct gm_gemm_epilogue store = {.c = c, .ldc = ldc, .alpha = alpha, .beta = beta};
    struct batch batch = {.context = context,
                          .product = {m, n, alpha == 0.0f ? 0 : k, &left, &right, &store},
                          .count = count,
                          .stride_a = stride_a,
                          .stride_b = stride_b,
                          .stride_c = stride_c};
    return whole_pays(context, &batch) ? run_whole(context, &batch) : run_one_by_one(context, &batch);
}

size_t gm_gemm_batch_f32_workspace(const gm_context *context, gm_transpose ta, gm_transpose tb, int64_t count,
                                   int64_t m, int64_t n, int64_t k)
{
    (void)ta;
    (void)tb;
    if (!context || count < 1 || m < 1 || n < 1 || k < 0)
        return 0;
    const size_t one = gm_gemm_workspace(context, m, n, k, GM_GEMM_STORE, 1);
    const size_t whole = gm_gemm_direct_serial_workspace(context, m, n, k) * (size_t)context->threads;
    return one > whole ? one : whole;
}
