#include "barlow/barlow.h"

#include <math.h>

/* 8 n^2 bytes of the dual form stay addressable. */
static const int64_t most_dual_rows = (int64_t)1 << 30;

/* By arithmetic the dual form wins for n < d. What it stores and reads again moves the border to 0.9, and, where the
 * primal form holds all of C, to 0.75 for the fewest columns and gradually back to 1. Where those are few enough for
 * a single chunk of columns, which keeps all but one thread of the dual form waiting, it lies between that of one
 * thread, 0.75, and that of two, 0.5. */
static gm_barlow_form choose_form(int64_t n, int64_t d, gm_barlow_form asked)
{
    if (asked != GM_BARLOW_AUTO)
        return asked;
    const double columns = (double)d, tall_share = d <= GM_BARLOW_COLS ? 0.62 : 0.7 + columns / 2500;
    const double share = d < GM_BARLOW_TALL_COLS_LEAST ? 0.9 : tall_share;
    return (double)n < (share < 1 ? share : 1) * columns ? GM_BARLOW_DUAL : GM_BARLOW_PRIMAL;
}

static bool options_valid(const gm_barlow_options *options)
{
    return gm_options_valid(options->size, sizeof *options) && options->normalization >= GM_BARLOW_BATCHNORM &&
           options->normalization <= GM_BARLOW_COSINE && options->form >= GM_BARLOW_AUTO &&
           options->form <= GM_BARLOW_PRIMAL && isfinite(options->eps) && options->eps >= 0 &&
           isfinite(options->lambda) && options->lambda >= 0 && isfinite(options->scale) &&
           isfinite(options->divisor) && options->divisor >= 0;
}

gm_status gm_barlow_check(const gm_context *context, int64_t n, int64_t d, const float *za, int64_t ldza,
                          const float *zb, int64_t ldzb, const gm_barlow_options *given, gm_barlow_options *options)
{
    *options = gm_barlow_default_options();
    if (!context || n < 2 || d < 1)
        return GM_INVALID_ARGUMENT;
    if (given) {
        if (!options_valid(given))
            return GM_INVALID_ARGUMENT;
        *options = *given;
    }
    options->form = choose_form(n, d, options->form);
    gm_status status = gm_check_matrix(n, d, za, ldza);
    if (status == GM_OK)
        status = gm_check_matrix(n, d, zb, ldzb);
    if (status == GM_OK && options->form == GM_BARLOW_DUAL && n > most_dual_rows)
        status = GM_SIZE_OVERFLOW;
    return status;
}

size_t gm_barlow_views_workspace(int64_t d)
{
    return 6 * gm_workspace_bytes((size_t)d * sizeof(float));
}

static struct gm_barlow_view take_view(gm_context *context, int64_t d, const float *z, int64_t ldz)
{
    const size_t bytes = (size_t)d * sizeof(float);
    struct gm_barlow_view view = {.z = z, .ldz = ldz};
    view.mean_high = gm_workspace_take(context, bytes);
    view.mean_low = gm_workspace_take(context, bytes);
    view.scale = gm_workspace_take(context, bytes);
    return view;
}

void gm_barlow_take_views(struct gm_barlow_job *job, const float *za, int64_t ldza, const float *zb, int64_t ldzb)
{
    job->a.view = take_view(job->context, job->d, za, ldza);
    job->b.view = take_view(job->context, job->d, zb, ldzb);
}

void gm_barlow_set_divisor(struct gm_barlow_job *job)
{
    const double norm = job->options.normalization == GM_BARLOW_COSINE ? 1 : (double)job->n;
    job->divisor = job->options.divisor > 0 ? job->options.divisor : norm;
    job->share = norm / job->divisor;
}

struct procedure {
    void (*run)(struct gm_barlow_job *job);
    size_t (*workspace)(const gm_context *context, int64_t n, int64_t d, bool gradients);
};

static const struct procedure *procedure_of(int64_t n, int64_t d, gm_barlow_form form)
{
    static const struct procedure narrow = {gm_barlow_narrow, gm_barlow_narrow_workspace},
                                  dual = {gm_barlow_dual, gm_barlow_dual_workspace},
                                  tall = {gm_barlow_tall, gm_barlow_tall_workspace},
                                  primal = {gm_barlow_primal, gm_barlow_primal_workspace};
    if (form == GM_BARLOW_PRIMAL)
        return d >= GM_BARLOW_TALL_COLS_LEAST && d <= GM_BARLOW_TALL_COLS ? &tall : &primal;
    return n <= GM_BARLOW_NARROW_ROWS ? &narrow : &dual;
}

static size_t loss_workspace(const gm_context *context, int64_t n, int64_t d, gm_barlow_form form, bool gradients)
{
    const size_t weight = gradients ? gm_workspace_bytes((size_t)d * sizeof(float)) : 0;
    return gm_barlow_views_workspace(d) + weight + procedure_of(n, d, form)->workspace(context, n, d, gradients);
}

static gm_status fill_result(const struct gm_barlow_job *job, gm_barlow_result *result)
{
    const double scale = (double)job->options.scale;
    result->invariance = scale * job->invariance;
    result->redundancy = scale * (double)job->options.lambda * job->redundancy;
    result->loss = result->invariance + result->redundancy;
    result->constant_columns = job->constant_columns;
    result->form = job->options.form;
    return isfinite(result->loss) ? GM_OK : GM_NOT_FINITE;
}

gm_status gm_barlow_loss_f32(gm_context *context, int64_t n, int64_t d, const float *za, int64_t ldza, const float *zb,
                             int64_t ldzb, const gm_barlow_options *options, gm_barlow_result *result, float *dza,
                             int64_t lddza, float *dzb, int64_t lddzb)
{
    struct gm_barlow_job job = {.context = context, .n = n, .d = d, .gradients = dza || dzb};
    gm_status status = gm_barlow_check(context, n, d, za, ldza, zb, ldzb, options, &job.options);
    if (status == GM_OK && job.gradients)
        status = gm_check_matrix(n, d, dza, lddza);
    if (status == GM_OK && job.gradients)
        status = gm_check_matrix(n, d, dzb, lddzb);
    if (status == GM_OK && (!result || !gm_options_valid(result->size, sizeof *result)))
        status = GM_INVALID_ARGUMENT;
    if (status != GM_OK)
        return status;
    if (!gm_workspace_fits(context, loss_workspace(context, n, d, job.options.form, job.gradients)))
        return GM_WORKSPACE_TOO_SMALL;

    const size_t mark = gm_workspace_mark(context);
    gm_barlow_take_views(&job, za, ldza, zb, ldzb);
    gm_barlow_set_divisor(&job);
    if (job.gradients) {
        job.a.dz = dza;
        job.a.lddz = lddza;
        job.b.dz = dzb;
        job.b.lddz = lddzb;
        job.weight = gm_workspace_take(context, (size_t)d * sizeof(float));
    }
    procedure_of(n, d, job.options.form)->run(&job);
    gm_workspace_release(context, mark);
    return fill_result(&job, result);
}

size_t gm_barlow_loss_f32_workspace(const gm_context *context, int64_t n, int64_t d, const gm_barlow_options *options,
                                    bool gradients)
{
    const gm_barlow_form form = choose_form(n, d, options ? options->form : GM_BARLOW_AUTO);
    if (!context || n < 2 || d < 1 || (form == GM_BARLOW_DUAL && n > most_dual_rows))
        return 0;
    return loss_workspace(context, n, d, form, gradients);
}
