#include "train/run_log.h"

#include <errno.h>

#include "support/file.h"
#include "train/run_folder.h"

static gm_status open_file(const char *folder, const char *name, bool resume, FILE **file, gm_error *error)
{
    char path[GM_RUN_PATH + 64];
    gm_run_path(folder, name, path);
    *file = fopen(path, resume ? "a" : "w");
    return *file ? GM_OK : gm_file_error(error, path, "write", errno);
}

/* Each line reaches the file at once, so that a killed run keeps its log and a full disk is noticed. */
static gm_status flush(FILE *file, const char *folder, const char *name, gm_error *error)
{
    if (!fflush(file) && !ferror(file))
        return GM_OK;
    char path[GM_RUN_PATH + 64];
    gm_run_path(folder, name, path);
    return gm_file_error(error, path, "write", errno);
}

gm_status gm_run_log_open(gm_run_log *log, const char *folder, const char *command_line, bool resume, gm_error *error)
{
    *log = (gm_run_log){NULL, NULL, folder};
    gm_status status = open_file(folder, "stats.txt", resume, &log->stats, error);
    if (status == GM_OK)
        status = open_file(folder, "metrics.csv", resume, &log->metrics, error);
    if (status != GM_OK)
        goto fail;
    fprintf(log->stats, "%s\n", command_line);
    if (!resume)
        fprintf(log->metrics, "epoch,steps,loss,invariance,redundancy,images_per_second,seconds,data_wait,"
                              "smallest_deviation,mean_off_diagonal,constant_columns,effective_rank\n");
    status = flush(log->stats, folder, "stats.txt", error);
    if (status == GM_OK)
        status = flush(log->metrics, folder, "metrics.csv", error);
    if (status == GM_OK)
        return GM_OK;
fail:
    gm_run_log_close(log);
    return status;
}

gm_status gm_run_log_step(gm_run_log *log, int64_t epoch, const gm_history_point *step, double seconds, gm_error *error)
{
    fprintf(log->stats,
            "{\"epoch\": %lld, \"step\": %.0f, \"lr_weights\": %.9g, \"lr_biases\": %.9g, \"loss\": %.9g, "
            "\"invariance\": %.9g, \"redundancy\": %.9g, \"time\": %.0f}\n",
            (long long)epoch, step->step, step->lr_weights, step->lr_biases, step->loss, step->invariance,
            step->redundancy, seconds);
    return flush(log->stats, log->folder, "stats.txt", error);
}

gm_status gm_run_log_epoch(gm_run_log *log, const gm_history_epoch *epoch, gm_error *error)
{
    fprintf(log->metrics, "%lld,%lld,%.9g,%.9g,%.9g,%.1f,%.3f,%.3f,%.6g,%.6g,%lld,%.6g\n", (long long)epoch->epoch,
            (long long)epoch->steps, epoch->loss, epoch->invariance, epoch->redundancy, epoch->images_per_second,
            epoch->seconds, epoch->data_wait, epoch->smallest_deviation, epoch->mean_off_diagonal,
            (long long)epoch->constant_columns, epoch->effective_rank);
    return flush(log->metrics, log->folder, "metrics.csv", error);
}

void gm_run_log_close(gm_run_log *log)
{
    if (log->stats)
        fclose(log->stats);
    if (log->metrics)
        fclose(log->metrics);
    log->stats = log->metrics = NULL;
}
