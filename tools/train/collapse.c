#include "train/collapse.h"

#include <math.h>
#include <stdio.h>

#include <gemel/column_stats.h>

#include "train/effective_rank.h"

enum { VIEWS = 2 };

static gm_column_stats_options by_view(void)
{
    const gm_column_stats_options options = {sizeof options, VIEWS, false};
    return options;
}

size_t gm_collapse_workspace(const gm_context *context, int64_t n, int64_t d)
{
    const gm_column_stats_options options = by_view();
    const size_t statistics = gm_column_stats_f32_workspace(context, VIEWS * n, d, &options);
    const size_t rank = gm_effective_rank_workspace(context, n, d);
    return statistics > rank ? statistics : rank;
}

gm_status gm_collapse_measure(gm_context *context, int64_t n, int64_t d, const float *z, float *statistics,
                              float *scratch, gm_history_epoch *epoch, gm_error *error)
{
    const gm_column_stats_options options = by_view();
    const float *variance = statistics + VIEWS * d;
    gm_status status = gm_column_stats_f32(context, VIEWS * n, d, z, d, &options, statistics, statistics + VIEWS * d);
    if (status != GM_OK)
        return gm_error_set(error, status, "column statistics: %s", gm_status_string(status));
    float smallest = variance[0];
    for (int64_t j = 1; j < VIEWS * d; j++)
        smallest = fminf(smallest, variance[j]);
    epoch->smallest_deviation = sqrt(smallest);
    status = gm_effective_rank(context, n, d, z, statistics, scratch, &epoch->effective_rank);
    return status == GM_OK ? GM_OK : gm_error_set(error, status, "effective rank: %s", gm_status_string(status));
}

/* Runs that learn stay far from these: of forty on images and vectors, none had an effective rank below a fifth of what
 * is possible, a mean magnitude off the diagonal above 0.3, or a deviation below 0.15. */
bool gm_collapse_sign(const gm_history_epoch *epoch, int64_t n, int64_t d, double eps, char *text, size_t size)
{
    static const double low_share = 0.02, lowest_rank = 1.5, most_alike = 0.5;
    enum { FEW = 8 };
    const double dimensions = (double)(n - 1 < d ? n - 1 : d);
    if (dimensions >= FEW && epoch->effective_rank < fmax(low_share * dimensions, lowest_rank)) {
        snprintf(text, size,
                 "the embedding fills %.1f of %.0f dimensions (effective rank); lower the learning rate, raise lambd, "
                 "or look whether the samples differ at all",
                 epoch->effective_rank, dimensions);
        return true;
    }
    if (dimensions >= FEW && epoch->mean_off_diagonal > most_alike) {
        snprintf(text, size,
                 "the features of the embedding copy each other (mean |off-diagonal| %.2f); raise lambd or lower the "
                 "learning rate",
                 epoch->mean_off_diagonal);
        return true;
    }
    if (epoch->constant_columns > 0 || epoch->smallest_deviation * epoch->smallest_deviation < eps) {
        snprintf(text, size,
                 "a feature of the embedding hardly differs between samples (smallest deviation %.2g; %lld of %lld "
                 "constant); lower the learning rate or lengthen the warm-up",
                 epoch->smallest_deviation, (long long)epoch->constant_columns, (long long)d);
        return true;
    }
    return false;
}
