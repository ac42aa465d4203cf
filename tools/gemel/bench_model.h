/* gemel bench ARCH: a training step and inference of a model of images, and where their time goes. */
#ifndef GEMEL_BENCH_MODEL_H
#define GEMEL_BENCH_MODEL_H

#include <gemel/error.h>
#include <gemel/model.h>

typedef struct bench_model_options {
    gm_arch arch; /* of images */
    int64_t batch, size, channels, conv_width;
    bool exact;
} bench_model_options;

gm_status bench_model_run(gm_context *context, const bench_model_options *options, gm_error *error);

#endif
