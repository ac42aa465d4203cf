/* Updates of one parameter array by its gradient, in place; numerics of PyTorch's SGD and Adam and of Facebook's LARS.
 */
#ifndef GEMEL_OPTIMIZER_H
#define GEMEL_OPTIMIZER_H

#include <gemel/api.h>
#include <gemel/context.h>
#include <gemel/status.h>

GM_BEGIN_DECLS

/* g = gradient + weight_decay p; velocity = momentum velocity + g; p -= rate velocity. velocity starts at 0.
 * All arrays: [count]. Errors: GM_INVALID_ARGUMENT. */
GM_API gm_status gm_sgd_f32(gm_context *context, int64_t count, float *parameter, const float *gradient,
                            float *velocity, float rate, float momentum, float weight_decay);

/* g = gradient + weight_decay p; first = beta1 first + (1 - beta1) g; second = beta2 second + (1 - beta2) g^2;
 * p -= rate (first / (1 - beta1^step)) / (sqrt(second / (1 - beta2^step)) + eps). step counts from 1. */
GM_API gm_status gm_adam_f32(gm_context *context, int64_t count, float *parameter, const float *gradient, float *first,
                             float *second, float rate, float beta1, float beta2, float eps, float weight_decay,
                             int64_t step);

/* g = gradient + weight_decay p; g *= eta |p| / |g| (by 1 if either norm is 0); velocity = momentum velocity + g;
 * p -= rate velocity. For biases and normalisation parameters, which skip decay and scaling, use gm_sgd_f32(). */
GM_API gm_status gm_lars_f32(gm_context *context, int64_t count, float *parameter, const float *gradient,
                             float *velocity, float rate, float momentum, float weight_decay, float eta);

/* Bytes of workspace that gm_lars_f32() needs for its ordered sums; the others need none. */
GM_API size_t gm_lars_f32_workspace(const gm_context *context, int64_t count);

GM_END_DECLS

#endif
