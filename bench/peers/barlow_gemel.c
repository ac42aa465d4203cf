#include "barlow.h"
#include "server.h"

#include "support/operands.h"

#include <gemel/barlow.h>

static gm_context *context;

void barlow_open(int argc, char **argv)
{
    if (argc != 1)
        server_fail("usage: %s", argv[0]);
}

double barlow_loss(int64_t n, int64_t d, const float *za, const float *zb, float *dza, float *dzb)
{
    if (!context)
        context = bench_context(0, 0);
    gm_barlow_result result = {.size = sizeof result};
    gm_status status = gm_context_reserve(context, gm_barlow_loss_f32_workspace(context, n, d, NULL, true));
    if (status == GM_OK)
        status = gm_barlow_loss_f32(context, n, d, za, d, zb, d, NULL, &result, dza, d, dzb, d);
    if (status != GM_OK)
        server_fail("gm_barlow_loss_f32: %s", gm_status_string(status));
    return result.loss;
}
