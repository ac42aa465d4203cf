/* Usage: barlow_gemel [auto|dual|primal [loss]]: the form to take, and whether to leave out the gradients. */
#include "barlow.h"
#include "server.h"

#include "support/operands.h"

#include <gemel/barlow.h>

#include <string.h>

static gm_context *context;
static gm_barlow_options options;
static bool gradients = true;

void barlow_open(int argc, char **argv)
{
    static const char *const forms[] = {
        [GM_BARLOW_AUTO] = "auto", [GM_BARLOW_DUAL] = "dual", [GM_BARLOW_PRIMAL] = "primal"};
    options = gm_barlow_default_options();
    if (argc > 1) {
        int form = 0;
        while (form < 3 && strcmp(argv[1], forms[form]))
            form++;
        gradients = argc == 2;
        if (form == 3 || argc > 3 || (argc == 3 && strcmp(argv[2], "loss")))
            server_fail("usage: %s [auto|dual|primal [loss]]", argv[0]);
        options.form = (gm_barlow_form)form;
    }
}

double barlow_loss(int64_t n, int64_t d, const float *za, const float *zb, float *dza, float *dzb)
{
    if (!context)
        context = bench_context(0, 0);
    gm_barlow_result result = {.size = sizeof result};
    gm_status status = gm_context_reserve(context, gm_barlow_loss_f32_workspace(context, n, d, &options, gradients));
    if (status == GM_OK)
        status = gm_barlow_loss_f32(context, n, d, za, d, zb, d, &options, &result, gradients ? dza : NULL, d,
                                    gradients ? dzb : NULL, d);
    if (status != GM_OK)
        server_fail("gm_barlow_loss_f32: %s", gm_status_string(status));
    return result.loss;
}
