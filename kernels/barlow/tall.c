/* The primal form of few columns: C is small enough to be held as a whole, without its diagonal and also transposed, so
 * that the products that make the gradients find it packed. The projections of the chain rule are sums of its squares
 * along rows and columns: gradients are finished as soon as their product is there. */
#include "barlow/barlow.h"
#include "gemm/kernel.h"

/* Elements of one embedding that are held normalised: all of a small one, else one block of rows after the other. */
enum { BLOCK_ELEMENTS = 1 << 18 };

/* Rows of one product of the gradients: with 512 columns they take half a level-2 cache of 1 MiB. */
enum { GRADIENT_ROWS = 256 };

struct sizes {
    int64_t group_cols, groups; /* of columns that are normalised together, and are the rows of one product */
    int64_t panels, padded;     /* of C, in columns; columns of all panels */
    int64_t blocks, block_rows; /* of the embeddings, the longest */
    int64_t ld;                 /* of a normalised block */
    int64_t left;               /* floats for each row of a group's columns as a left operand */
    int64_t panel, product;     /* floats of a worker */
};

struct task {
    struct gm_barlow_job *job;
    const struct gm_gemm_kernels *gemm;
    struct sizes sizes;
    int64_t row, rows;                  /* of the block */
    double *gap;                        /* [d] */
    float *a, *b;                       /* [block_rows, ld]: the block, normalised */
    float *left;                        /* [groups, block_rows, sizes.left]: the same of A as left operands */
    float *c, *transposed;              /* [panels, padded, nr]: C without its diagonal, and its transpose */
    double *row_squares, *col_squares;  /* [panels, padded], [groups, padded]: of the chunks of C */
    float *a_projection, *b_projection; /* [padded] */
    float *workers;
};

static struct sizes make_sizes(const gm_context *context, int64_t n, int64_t d)
{
    const struct gm_gemm_kernels *gemm = context->kernels.gemm;
    const int64_t line = GM_CACHE_LINE / (int64_t)sizeof(float);
    const int64_t group_cols = d <= GM_BARLOW_COLS ? GM_BARLOW_COLS / 2 : GM_BARLOW_COLS; /* two threads have work */
    struct sizes s = {.group_cols = group_cols / gemm->nr * gemm->nr};
    s.groups = gm_ceil_div(d, s.group_cols);
    s.panels = gm_ceil_div(d, gemm->nr);
    s.padded = s.panels * gemm->nr;
    s.blocks = gm_ceil_div(n, BLOCK_ELEMENTS / d);
    s.block_rows = gm_ceil_div(n, s.blocks);
    s.ld = gm_round_up(d, line) + line;
    s.left = gm_gemm_row_tiles(gm_min_i64(d, s.group_cols), gemm->mr) * gemm->mr;
    s.panel = gm_round_up(gm_max_i64(gemm->nr * gemm->depth, gemm->least_panel) + gemm->slack, line);
    s.product = gm_round_up(GRADIENT_ROWS * gemm->nr, line);
    return s;
}

/* Products are cut in k alike. */
static int64_t depth_blocks(const struct task *task, int64_t k)
{
    return gm_ceil_div(k, task->gemm->depth);
}

static int64_t group_width(const struct task *task, int64_t group)
{
    return gm_min_i64(task->sizes.group_cols, task->job->d - group * task->sizes.group_cols);
}

/* Where a group's columns of A from row k of the block on are as a left operand. */
static float *left_at(const struct task *task, int64_t group, int64_t k)
{
    const struct sizes *s = &task->sizes;
    return task->left + (group * s->block_rows + k) * s->left + group * task->gemm->slack;
}

/* Packs block i of the rows of a group's columns. */
static void pack_group(const struct task *task, int64_t group, int64_t i)
{
    const struct gm_gemm_source a = {.transposed = true, .data = task->a, .ld = task->sizes.ld};
    const int64_t blocks = depth_blocks(task, task->rows), k = gm_gemm_share(task->rows, blocks, i);
    task->gemm->pack_a(&a, group * task->sizes.group_cols, group_width(task, group), k,
                       gm_gemm_share(task->rows, blocks, i + 1) - k, left_at(task, group, k));
}

/* A group of columns of the only block: statistics, normalised values, left operand. */
static void prepare_group(void *arg, int64_t group, int worker)
{
    (void)worker;
    const struct task *task = arg;
    const int64_t first = group * task->sizes.group_cols;
    const struct gm_barlow_view a = gm_barlow_view_from(&task->job->a.view, first),
                                b = gm_barlow_view_from(&task->job->b.view, first);
    const struct gm_barlow_copies copies = {task->a + first, task->b + first, task->sizes.ld};
    gm_barlow_normalize_columns(task->job, group_width(task, group), &a, &b, task->gap + first, &copies);
    for (int64_t i = 0; i < depth_blocks(task, task->rows); i++)
        pack_group(task, group, i);
}

/* Some rows of one of several blocks, of one side; the statistics are known. */
static void load_rows(void *arg, int64_t chunk, int worker)
{
    (void)worker;
    const struct task *task = arg;
    const bool is_a = chunk % 2 == 0;
    const int64_t blocks = depth_blocks(task, task->rows), i = chunk / 2, k = gm_gemm_share(task->rows, blocks, i);
    struct gm_barlow_view view = is_a ? task->job->a.view : task->job->b.view;
    view.z += (task->row + k) * view.ldz;
    task->job->context->kernels.barlow->normalize(gm_gemm_share(task->rows, blocks, i + 1) - k, task->job->d, &view,
                                                  (is_a ? task->a : task->b) + k * task->sizes.ld, task->sizes.ld);
    for (int64_t group = 0; group < task->sizes.groups && is_a; group++)
        pack_group(task, group, i);
}

/* Chunk of C that is complete: clears its diagonal and what pads its panel, transposes it, sums its squares. */
static void finish_correlation(const struct task *task, int64_t group, int64_t panel)
{
    const struct sizes *s = &task->sizes;
    const struct gm_barlow_kernels *kernels = task->job->context->kernels.barlow;
    const int64_t nr = task->gemm->nr, d = task->job->d, row = group * s->group_cols, col = panel * nr;
    const int64_t end = gm_min_i64(row + s->group_cols, s->padded), cols = gm_min_i64(nr, d - col);
    float *c = task->c + panel * s->padded * nr;
    for (int64_t i = row; i < end; i++)
        for (int64_t j = i < d ? cols : 0; j < nr; j++)
            c[i * nr + j] = 0.0f;
    for (int64_t j = gm_max_i64(row, col); j < gm_min_i64(end, col + cols); j++)
        c[j * nr + j - col] = 0.0f;
    kernels->squares(end - row, nr, c + row * nr, nr, task->col_squares + group * s->padded + col);
    const struct gm_gemm_source source = {.transposed = true, .data = c, .ld = nr};
    for (int64_t i = row; i < end; i += nr) {
        float *transposed = task->transposed + i * s->padded + col * nr;
        task->gemm->pack_b(&source, i, nr, 0, nr, transposed);
        kernels->squares(nr, nr, transposed, nr, task->row_squares + panel * s->padded + i);
    }
}

/* Adds the block's share of C in the rows of a group and the columns of a panel. */
static void correlate_chunk(void *arg, int64_t chunk, int worker)
{
    const struct task *task = arg;
    const struct sizes *s = &task->sizes;
    const int64_t nr = task->gemm->nr, group = chunk / s->panels, panel = chunk % s->panels;
    const int64_t blocks = depth_blocks(task, task->rows);
    const struct gm_gemm_source b = {.data = task->b, .ld = s->ld};
    for (int64_t i = 0; i < blocks; i++) {
        const int64_t k = gm_gemm_share(task->rows, blocks, i);
        const struct gm_gemm_block block = {.rows = group_width(task, group),
                                            .cols = gm_min_i64(nr, task->job->d - panel * nr),
                                            .depth = gm_gemm_share(task->rows, blocks, i + 1) - k,
                                            .a = left_at(task, group, k),
                                            .source = &b,
                                            .source_col = panel * nr,
                                            .source_k = k,
                                            .panel = task->workers + worker * (s->panel + s->product),
                                            .c = task->c + (panel * s->padded + group * s->group_cols) * nr,
                                            .ldc = nr,
                                            .alpha = (float)(1 / task->job->divisor),
                                            .beta = task->row + i == 0 ? 0.0f : 1.0f,
                                            .skip_from = INT64_MAX / 2};
        task->gemm->multiply(&block);
    }
    if (task->row + task->rows == task->job->n)
        finish_correlation(task, group, panel);
}

/* sum_i g_ij a_ij is s w_j C_jj from the diagonal, and 2 lambda scale times the squares of C's row from all else. */
static void project(const struct task *task, const double *squares, int64_t parts, float *projection)
{
    const struct gm_barlow_job *job = task->job;
    for (int64_t j = 0; j < job->d; j++) {
        double sum = 0;
        for (int64_t part = 0; part < parts; part++)
            sum += squares[part * task->sizes.padded + j];
        sum *= 2 * (double)job->options.lambda * (double)job->options.scale;
        sum += (double)job->weight[j] * job->divisor * (1 - task->gap[j]);
        gm_barlow_divide_projections(job, 1, &sum, &projection[j]);
    }
}

/* dL/dz of some rows of the block in the columns of a panel, of one side. */
static void gradient_chunk(void *arg, int64_t chunk, int worker)
{
    const struct task *task = arg;
    const struct sizes *s = &task->sizes;
    const struct gm_barlow_job *job = task->job;
    const int64_t nr = task->gemm->nr, panel = chunk / 2 % s->panels, first = panel * nr;
    const bool is_a = chunk % 2 == 0;
    const int64_t row = chunk / 2 / s->panels * GRADIENT_ROWS, rows = gm_min_i64(GRADIENT_ROWS, task->rows - row);
    const float *own = is_a ? task->a : task->b, *other = is_a ? task->b : task->a;
    const struct gm_barlow_side *side = is_a ? &job->a : &job->b;
    float *product = task->workers + worker * (s->panel + s->product) + s->panel;
    const int64_t blocks = depth_blocks(task, job->d);
    for (int64_t i = 0; i < blocks; i++) {
        const int64_t k = gm_gemm_share(job->d, blocks, i);
        const struct gm_gemm_block block = {
            .rows = rows,
            .cols = nr,
            .depth = gm_gemm_share(job->d, blocks, i + 1) - k,
            .a = other + row * s->ld + k,
            .lda = s->ld,
            .b = (is_a ? task->transposed : task->c) + (panel * s->padded + k) * nr,
            .c = product,
            .ldc = nr,
            .alpha = (float)(2 * (double)job->options.lambda * (double)job->options.scale / job->divisor),
            .beta = i == 0 ? 0.0f : 1.0f,
            .skip_from = INT64_MAX / 2};
        task->gemm->multiply(&block);
    }
    const struct gm_barlow_gradient gradient = {
        .own = own + row * s->ld + first,
        .other = other + row * s->ld + first,
        .ld = s->ld,
        .g = product,
        .ldg = nr,
        .weight = job->weight + first,
        .projection = (is_a ? task->a_projection : task->b_projection) + first,
        .scale = side->view.scale + first,
        .dz = side->dz + (task->row + row) * side->lddz + first,
        .lddz = side->lddz,
        .stream = gm_barlow_streams(job),
    };
    job->context->kernels.barlow->finish(rows, gm_min_i64(nr, job->d - first), &gradient);
}

static void set_block(struct task *task, int64_t block)
{
    task->row = gm_gemm_share(task->job->n, task->sizes.blocks, block);
    task->rows = gm_gemm_share(task->job->n, task->sizes.blocks, block + 1) - task->row;
}

static void correlate(struct task *task)
{
    struct gm_barlow_job *job = task->job;
    const struct sizes *s = &task->sizes;
    if (s->blocks > 1)
        gm_barlow_normalize(job, task->gap);
    for (int64_t block = 0; block < s->blocks; block++) {
        set_block(task, block);
        if (s->blocks == 1)
            gm_parallel(job->context, s->groups, prepare_group, task);
        else
            gm_parallel(job->context, 2 * depth_blocks(task, task->rows), load_rows, task);
        gm_parallel(job->context, s->groups * s->panels, correlate_chunk, task);
    }
    struct gm_barlow_diagonal_sums sums = {0, 0};
    gm_barlow_add_diagonal(job, 0, job->d, task->gap, &sums);
    job->invariance = sums.invariance;
    for (int64_t i = 0; i < s->groups * s->padded; i++)
        job->redundancy += task->col_squares[i];
}

static void differentiate(struct task *task)
{
    gm_context *context = task->job->context;
    const struct sizes *s = &task->sizes;
    project(task, task->row_squares, s->panels, task->a_projection);
    project(task, task->col_squares, s->groups, task->b_projection);
    for (int64_t block = s->blocks - 1; block >= 0; block--) { /* the last one is still there */
        if (block < s->blocks - 1) {
            set_block(task, block);
            gm_parallel(context, 2 * depth_blocks(task, task->rows), load_rows, task);
        }
        gm_parallel(context, gm_ceil_div(task->rows, GRADIENT_ROWS) * s->panels * 2, gradient_chunk, task);
    }
}

/* Takes memory from the workspace, or only counts it. */
static void *take(gm_context *context, size_t *bytes, int64_t count, size_t size)
{
    *bytes += gm_workspace_bytes((size_t)count * size);
    return context ? gm_workspace_take(context, (size_t)count * size) : NULL;
}

static size_t take_all(gm_context *context, struct task *task, int32_t threads, int64_t d)
{
    const struct sizes *s = &task->sizes;
    size_t bytes = 0;
    task->gap = take(context, &bytes, d, sizeof(double));
    task->a = take(context, &bytes, s->block_rows * s->ld, sizeof(float));
    task->b = take(context, &bytes, s->block_rows * s->ld, sizeof(float));
    task->left = take(context, &bytes, s->groups * (s->block_rows * s->left + task->gemm->slack), sizeof(float));
    task->c = take(context, &bytes, s->padded * s->padded, sizeof(float));
    task->transposed = take(context, &bytes, s->padded * s->padded + task->gemm->slack, sizeof(float));
    task->row_squares = take(context, &bytes, s->panels * s->padded, sizeof(double));
    task->col_squares = take(context, &bytes, s->groups * s->padded, sizeof(double));
    task->a_projection = take(context, &bytes, d, sizeof(float));
    task->b_projection = take(context, &bytes, d, sizeof(float));
    task->workers = take(context, &bytes, (s->panel + s->product) * threads, sizeof(float));
    return bytes;
}

void gm_barlow_tall(struct gm_barlow_job *job)
{
    gm_context *context = job->context;
    struct task task = {.job = job, .gemm = context->kernels.gemm, .sizes = make_sizes(context, job->n, job->d)};
    const size_t mark = gm_workspace_mark(context);
    take_all(context, &task, context->threads, job->d);
    correlate(&task);
    if (job->gradients)
        differentiate(&task);
    gm_workspace_release(context, mark);
}

size_t gm_barlow_tall_workspace(const gm_context *context, int64_t n, int64_t d, bool gradients)
{
    (void)gradients;
    struct task task = {.gemm = context->kernels.gemm, .sizes = make_sizes(context, n, d)};
    return take_all(NULL, &task, context->threads, d);
}
