#include "train/run_log.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

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
    if (fseek(log->metrics, 0, SEEK_END) == 0 && ftell(log->metrics) == 0)
        fprintf(log->metrics, "epoch,steps,loss,invariance,redundancy,images_per_second,seconds,data_wait,"
                              "smallest_deviation,mean_off_diagonal,constant_columns,effective_rank,knn,linear\n");
    status = flush(log->stats, folder, "stats.txt", error);
    if (status == GM_OK)
        status = flush(log->metrics, folder, "metrics.csv", error);
    if (status == GM_OK)
        return GM_OK;
fail:
    gm_run_log_close(log);
    return status;
}

/* Accuracies belong to the steps before them; those that gemel evaluate adds, to no step. */
static bool keep_accuracies(const char *line, int64_t step)
{
    long long steps;
    return sscanf(line, "{\"epoch\": %*d, \"step\": %lld, \"knn\": ", &steps) != 1 || steps <= step;
}

/* Whether a line stays. Lines of stats.txt that are no JSON are the command's. */
static bool take_step(const char *line, int64_t step, gm_run_history *history)
{
    gm_history_point p = {0};
    if (*line != '{')
        return true;
    if (strstr(line, "\"acc1\""))
        return keep_accuracies(line, step);
    const bool taken = sscanf(line,
                              "{\"epoch\": %*d, \"step\": %lf, \"lr_weights\": %lf, \"lr_biases\": %lf, "
                              "\"loss\": %lf, \"invariance\": %lf, \"redundancy\": %lf, \"time\"",
                              &p.step, &p.lr_weights, &p.lr_biases, &p.loss, &p.invariance, &p.redundancy) == 6 &&
                       p.step < (double)step;
    if (taken)
        gm_history_add_step(history, &p);
    return taken;
}

static bool take_epoch(const char *line, int64_t step, gm_run_history *history)
{
    gm_history_epoch e = {0};
    long long epoch, steps, constant;
    int end = 0;
    if (!strncmp(line, "epoch,", 6))
        return true;
    const int read = sscanf(line, "%lld,%lld,%lf,%lf,%lf,%lf,%lf,%lf,%lf,%lf,%lld,%lf%n", &epoch, &steps, &e.loss,
                            &e.invariance, &e.redundancy, &e.images_per_second, &e.seconds, &e.data_wait,
                            &e.smallest_deviation, &e.mean_off_diagonal, &constant, &e.effective_rank, &end);
    if (read != 12 || steps > step)
        return false;
    e.epoch = epoch;
    e.steps = steps;
    e.constant_columns = constant;
    e.evaluated = sscanf(line + end, ",%lf,%lf", &e.knn, &e.linear) == 2;
    gm_error error; /* a report without the early epochs is no reason to stop */
    gm_history_add_epoch(history, &e, &error);
    return true;
}

static gm_status restore_file(const char *folder, const char *name, int64_t step, gm_run_history *history,
                              bool (*take)(const char *, int64_t, gm_run_history *), gm_error *error)
{
    enum { MOST = 1 << 30 };
    char path[GM_RUN_PATH + 64], *text;
    size_t size, kept = 0;
    gm_run_path(folder, name, path);
    if (access(path, F_OK))
        return GM_OK;
    gm_status status = gm_file_read(path, MOST, &text, &size, error);
    if (status != GM_OK)
        return status;
    for (char *line = text, *end; (end = memchr(line, '\n', size - (size_t)(line - text))); line = end + 1) {
        *end = '\0';
        const bool stays = take(line, step, history);
        *end = '\n';
        if (stays) {
            memmove(text + kept, line, (size_t)(end + 1 - line));
            kept += (size_t)(end + 1 - line);
        }
    }
    if (kept < size)
        status = gm_file_write(path, text, kept, error);
    free(text);
    return status;
}

gm_status gm_run_log_restore(const char *folder, int64_t step, gm_run_history *history, gm_error *error)
{
    const gm_status status = restore_file(folder, "stats.txt", step, history, take_step, error);
    return status == GM_OK ? restore_file(folder, "metrics.csv", step, history, take_epoch, error) : status;
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
    fprintf(log->metrics, "%lld,%lld,%.9g,%.9g,%.9g,%.1f,%.3f,%.3f,%.6g,%.6g,%lld,%.6g,", (long long)epoch->epoch,
            (long long)epoch->steps, epoch->loss, epoch->invariance, epoch->redundancy, epoch->images_per_second,
            epoch->seconds, epoch->data_wait, epoch->smallest_deviation, epoch->mean_off_diagonal,
            (long long)epoch->constant_columns, epoch->effective_rank);
    if (epoch->evaluated)
        fprintf(log->metrics, "%.9g,%.9g\n", epoch->knn, epoch->linear);
    else
        fputs(",\n", log->metrics);
    return flush(log->metrics, log->folder, "metrics.csv", error);
}

gm_status gm_run_log_accuracies(gm_run_log *log, const gm_history_epoch *epoch, double best, gm_error *error)
{
    fprintf(log->stats, "{\"epoch\": %lld, \"step\": %lld, \"knn\": %.4f, \"acc1\": %.4f, \"best_acc1\": %.4f}\n",
            (long long)epoch->epoch, (long long)epoch->steps, 100.0 * epoch->knn, 100.0 * epoch->linear, 100.0 * best);
    return flush(log->stats, log->folder, "stats.txt", error);
}

void gm_run_log_close(gm_run_log *log)
{
    if (log->stats)
        fclose(log->stats);
    if (log->metrics)
        fclose(log->metrics);
    log->stats = log->metrics = NULL;
}
