#include <gemel/optimizer.h>

#include <math.h>

#include "optimizer/optimizer.h"

/* Elements of one chunk: 128 KiB of each array. */
enum { CHUNK = 1 << 15 };

struct job {
    const struct gm_optimizer_kernels *kernels;
    int64_t count;
    float *parameter, *velocity, *first, *second;
    const float *gradient;
    float rate, momentum, weight_decay, scale;
    const struct gm_adam_factors *factors;
    double (*sums)[2]; /* one pair a chunk */
};

static void momentum_chunk(void *arg, int64_t chunk, int worker)
{
    (void)worker;
    const struct job *job = arg;
    const int64_t i = chunk * CHUNK;
    job->kernels->momentum(gm_min_i64(CHUNK, job->count - i), job->parameter + i, job->gradient + i, job->velocity + i,
                           job->rate, job->momentum, job->weight_decay, job->scale);
}

static void adam_chunk(void *arg, int64_t chunk, int worker)
{
    (void)worker;
    const struct job *job = arg;
    const int64_t i = chunk * CHUNK;
    job->kernels->adam(gm_min_i64(CHUNK, job->count - i), job->parameter + i, job->gradient + i, job->first + i,
                       job->second + i, job->factors);
}

static void squares_chunk(void *arg, int64_t chunk, int worker)
{
    (void)worker;
    const struct job *job = arg;
    const int64_t i = chunk * CHUNK;
    job->kernels->squares(gm_min_i64(CHUNK, job->count - i), job->parameter + i, job->gradient + i, job->weight_decay,
                          job->sums[chunk]);
}

static gm_status check_arrays(const gm_context *context, int64_t count, const float *parameter, const float *gradient,
                              const float *state)
{
    if (!context || count < 0 || (count > 0 && (!parameter || !gradient || !state)))
        return GM_INVALID_ARGUMENT;
    return GM_OK;
}

static bool valid_share(float beta)
{
    return beta >= 0 && beta < 1;
}

/* What SGD and LARS share: the gradient's factor is 1 until LARS finds another. */
static struct job momentum_job(const gm_context *context, int64_t count, float *parameter, const float *gradient,
                               float *velocity, float rate, float momentum, float weight_decay)
{
    struct job job = {.kernels = context->kernels.optimizer,
                      .count = count,
                      .parameter = parameter,
                      .gradient = gradient,
                      .velocity = velocity,
                      .rate = rate,
                      .momentum = momentum,
                      .weight_decay = weight_decay,
                      .scale = 1};
    return job;
}

static bool valid_momentum(float rate, float momentum, float weight_decay)
{
    return rate >= 0 && momentum >= 0 && weight_decay >= 0;
}

gm_status gm_sgd_f32(gm_context *context, int64_t count, float *parameter, const float *gradient, float *velocity,
                     float rate, float momentum, float weight_decay)
{
    const gm_status status = check_arrays(context, count, parameter, gradient, velocity);
    if (status != GM_OK || !valid_momentum(rate, momentum, weight_decay))
        return GM_INVALID_ARGUMENT;
    struct job job = momentum_job(context, count, parameter, gradient, velocity, rate, momentum, weight_decay);
    gm_parallel(context, gm_ceil_div(count, CHUNK), momentum_chunk, &job);
    return GM_OK;
}

gm_status gm_adam_f32(gm_context *context, int64_t count, float *parameter, const float *gradient, float *first,
                      float *second, float rate, float beta1, float beta2, float eps, float weight_decay, int64_t step)
{
    const gm_status status = check_arrays(context, count, parameter, gradient, first);
    if (status != GM_OK || (count > 0 && !second) || !(rate >= 0) || !valid_share(beta1) || !valid_share(beta2) ||
        !(eps >= 0) || !(weight_decay >= 0) || step < 1)
        return GM_INVALID_ARGUMENT;
    const struct gm_adam_factors factors = {
        .beta1 = beta1,
        .beta2 = beta2,
        .new1 = 1 - beta1,
        .new2 = 1 - beta2,
        .rate = (float)(rate / (1 - pow(beta1, (double)step))),
        .second_deviation = (float)(1 / sqrt(1 - pow(beta2, (double)step))),
        .eps = eps,
        .weight_decay = weight_decay,
    };
    struct job job = {.kernels = context->kernels.optimizer,
                      .count = count,
                      .parameter = parameter,
                      .gradient = gradient,
                      .first = first,
                      .second = second,
                      .factors = &factors};
    gm_parallel(context, gm_ceil_div(count, CHUNK), adam_chunk, &job);
    return GM_OK;
}

/* eta |p| / |g|, or 1 if either norm is 0. The chunks are merged in their order. */
static float lars_scale(const struct job *job, int64_t chunks, float eta)
{
    double parameter = 0, gradient = 0;
    for (int64_t i = 0; i < chunks; i++) {
        parameter += job->sums[i][0];
        gradient += job->sums[i][1];
    }
    return parameter == 0 || gradient == 0 ? 1.0f : (float)(eta * sqrt(parameter / gradient));
}

gm_status gm_lars_f32(gm_context *context, int64_t count, float *parameter, const float *gradient, float *velocity,
                      float rate, float momentum, float weight_decay, float eta)
{
    const gm_status status = check_arrays(context, count, parameter, gradient, velocity);
    if (status != GM_OK || !valid_momentum(rate, momentum, weight_decay) || !(eta >= 0))
        return GM_INVALID_ARGUMENT;
    if (!gm_workspace_fits(context, gm_lars_f32_workspace(context, count)))
        return GM_WORKSPACE_TOO_SMALL;
    const int64_t chunks = gm_ceil_div(count, CHUNK);
    const size_t mark = gm_workspace_mark(context);
    struct job job = momentum_job(context, count, parameter, gradient, velocity, rate, momentum, weight_decay);
    job.sums = gm_workspace_take(context, (size_t)chunks * sizeof *job.sums);
    gm_parallel(context, chunks, squares_chunk, &job);
    job.scale = lars_scale(&job, chunks, eta);
    gm_parallel(context, chunks, momentum_chunk, &job);
    gm_workspace_release(context, mark);
    return GM_OK;
}

size_t gm_lars_f32_workspace(const gm_context *context, int64_t count)
{
    (void)context;
    return count < 1 ? 0 : gm_workspace_bytes((size_t)gm_ceil_div(count, CHUNK) * 2 * sizeof(double));
}
