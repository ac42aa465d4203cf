#include "inspect.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "support/file.h"
#include "support/parse.h"
#include "train/backbone.h"
#include "train/config.h"
#include "train/head.h"
#include "train/run_folder.h"
#include "train/weights.h"

enum { MOST_TEXT = 1 << 28, MOST_NAMES = 8, NAME = 64 };

/* --- weights --------------------------------------------------------------------------------------------------- */

static void print_size(int64_t bytes, FILE *out)
{
    if (bytes >= 1 << 20)
        fprintf(out, "%.1f MiB", (double)bytes / (1 << 20));
    else
        fprintf(out, "%.1f KiB", (double)bytes / (1 << 10));
}

static int64_t size_of(const char *path)
{
    struct stat about;
    return stat(path, &about) ? 0 : (int64_t)about.st_size;
}

/* Parts of a model, by the names of their tensors. */
enum part { PART_ENCODER, PART_PROJECTOR, PART_CLASSIFIER, PART_OTHER, PARTS };

static enum part part_of(const char *bare_name)
{
    if (gm_weights_is_encoder(bare_name))
        return PART_ENCODER;
    return strncmp(bare_name, "projector.", 10) == 0 ? PART_PROJECTOR
           : strncmp(bare_name, "fc.", 3) == 0       ? PART_CLASSIFIER
                                                     : PART_OTHER;
}

static bool is_statistic(const char *name)
{
    return strstr(name, ".running_mean") || strstr(name, ".running_var") || strstr(name, "num_batches_tracked");
}

static void print_parts(const gm_tensor_file *file, FILE *out)
{
    static const char *const names[PARTS] = {"encoder", "projector", "classifier", "other"};
    int64_t tensors[PARTS] = {0}, parameters[PARTS] = {0};
    for (int64_t i = 0; i < gm_tensor_file_count(file); i++) {
        const gm_tensor tensor = gm_tensor_file_tensor(file, i);
        const enum part part = part_of(gm_weights_bare_name(tensor.name));
        int64_t count = 0, bytes;
        gm_tensor_size(&tensor, &count, &bytes); /* the file's reader has checked it */
        tensors[part]++;
        parameters[part] += is_statistic(tensor.name) ? 0 : count;
    }
    for (int part = 0; part < PARTS; part++)
        if (tensors[part] > 0 && part == PART_OTHER)
            fprintf(out, "%s: %lld tensors\n", names[part], (long long)tensors[part]);
        else if (tensors[part] > 0)
            fprintf(out, "%s: %lld tensors, %lld parameters\n", names[part], (long long)tensors[part],
                    (long long)parameters[part]);
}

static void print_numbers(const char *name, int32_t count, const float *numbers, FILE *out)
{
    fprintf(out, ", %s", name);
    for (int32_t i = 0; i < count; i++)
        fprintf(out, " %.4g", (double)numbers[i]);
}

static void print_input(const gm_model_options *options, const gm_pixel_scale *scale, FILE *out)
{
    fprintf(out, "architecture: %s", gm_arch_name(options->arch));
    if (options->arch >= GM_ARCH_RESNET18)
        fprintf(out, ", stem %s", gm_stem_name(options->stem));
    fputs("\ninput: ", out);
    if (!gm_arch_takes_images(options->arch)) {
        fprintf(out, "vectors of %lld numbers\n", (long long)options->encoder_dim);
        return;
    }
    fputs("images", out);
    if (options->height > 0)
        fprintf(out, " of %lld x %lld pixels", (long long)options->width, (long long)options->height);
    fprintf(out, ", %lld channel%s", (long long)options->channels, options->channels == 1 ? "" : "s");
    if (scale->channels > 0) {
        print_numbers("mean", scale->channels, scale->mean, out);
        print_numbers("std", scale->channels, scale->std, out);
    }
    putc('\n', out);
}

static void print_classes(const gm_head *head, FILE *out)
{
    if (head->classes == 0) {
        fputs("classes: none; gemel evaluate --save-head trains a classifier\n", out);
        return;
    }
    fprintf(out, "classes: %lld of %lld features", (long long)head->classes, (long long)head->dim);
    for (int64_t i = 0; i < head->classes && i < MOST_NAMES && head->class_names; i++) {
        char name[NAME];
        gm_format_text(name, sizeof name, head->class_names[i], strlen(head->class_names[i]));
        fprintf(out, "%s%s", i ? ", " : ": ", name);
    }
    fputs(head->class_names && head->classes > MOST_NAMES ? ", …\n"
          : head->class_names                             ? "\n"
                                                          : ", without names\n",
          out);
}

static gm_status print_weights(gm_tensor_file *file, FILE *out, gm_error *error)
{
    gm_model_options options;
    gm_pixel_scale scale;
    gm_head head;
    const gm_status status = gm_head_read(file, &head, error);
    if (status != GM_OK)
        return status;
    fprintf(out, "format: %s, ", gm_tensor_file_format(file));
    print_size(size_of(gm_tensor_file_path(file)), out);
    putc('\n', out);
    if (gm_backbone_options(file, &options, &scale, error) == GM_OK)
        print_input(&options, &scale, out);
    else
        fputs("architecture: none that gemel knows\n", out);
    print_parts(file, out);
    print_classes(&head, out);
    gm_head_free(&head);
    return GM_OK;
}

static gm_status inspect_weights(const char *path, FILE *out, gm_error *error)
{
    gm_tensor_file *file;
    gm_status status = gm_tensor_file_open(path, &file, error);
    if (status != GM_OK)
        return status == GM_IO_ERROR ? GM_BAD_DATA : status;
    fprintf(out, "weights: %s\n", path);
    status = print_weights(file, out, error);
    gm_tensor_file_close(file);
    return status;
}

/* --- runs ------------------------------------------------------------------------------------------------------ */

static void print_settings(const gm_train_config *config, FILE *out)
{
    static const char *const shown[] = {"data",
                                        "image-size",
                                        "arch",
                                        "hidden-size",
                                        "conv-width",
                                        "projector",
                                        "projection-dim",
                                        "lambd",
                                        "optimizer",
                                        "learning-rate-weights",
                                        "learning-rate-biases",
                                        "batch-size",
                                        "seed"};
    for (size_t i = 0; i < sizeof shown / sizeof *shown; i++) {
        const int32_t field = gm_config_find(shown[i]);
        char text[GM_CONFIG_PATH];
        if (!config->set[field])
            continue;
        gm_config_get(config, field, text, sizeof text);
        fprintf(out, "%s: %s\n", shown[i], text);
    }
}

/* The last whole line of metrics.csv: epoch,steps,loss,invariance,redundancy … */
static void print_progress(const char *folder, int64_t epochs, FILE *out)
{
    char path[GM_RUN_PATH + 64], *text = NULL;
    size_t size;
    long long epoch = -1, steps = 0;
    double loss = 0.0, invariance = 0.0, redundancy = 0.0;
    gm_run_path(folder, "metrics.csv", path);
    if (gm_file_read(path, MOST_TEXT, &text, &size, NULL) == GM_OK)
        for (const char *line = text, *end; (end = strchr(line, '\n')); line = end + 1)
            (void)sscanf(line, "%lld,%lld,%lf,%lf,%lf", &epoch, &steps, &loss, &invariance, &redundancy);
    free(text);
    fprintf(out, "epoch: %lld of %lld", epoch + 1, (long long)epochs);
    if (epoch >= 0)
        fprintf(out, ", %lld steps\nloss: %.6g (invariance %.6g + redundancy %.6g)", steps, loss, invariance,
                redundancy);
    putc('\n', out);
}

static void print_results(const char *folder, FILE *out)
{
    char path[GM_RUN_PATH + 64], *text = NULL;
    size_t size;
    gm_run_path(folder, "results.txt", path);
    if (gm_file_read(path, MOST_TEXT, &text, &size, NULL) == GM_OK && gm_text_is_plain(text, strcspn(text, "\n")))
        fputs(text, out);
    free(text);
}

static int no_hidden(const struct dirent *entry)
{
    return entry->d_name[0] != '.';
}

static gm_status print_files(const char *folder, FILE *out, gm_error *error)
{
    struct dirent **entries;
    const int count = scandir(folder, &entries, no_hidden, alphasort);
    if (count < 0)
        return gm_file_error(error, folder, "open", errno);
    for (int i = 0; i < count; i++) {
        char path[GM_RUN_PATH + 64], name[2 * NAME];
        snprintf(path, sizeof path, "%s/%s", folder, entries[i]->d_name);
        gm_format_text(name, sizeof name, entries[i]->d_name, strlen(entries[i]->d_name));
        fprintf(out, "file %s: ", name);
        print_size(size_of(path), out);
        putc('\n', out);
        free(entries[i]);
    }
    free(entries);
    return GM_OK;
}

static gm_status inspect_run(const char *folder, FILE *out, gm_error *error)
{
    char path[GM_RUN_PATH + 64];
    struct stat about;
    gm_train_config config;
    if (strlen(folder) >= GM_RUN_PATH)
        return gm_error_set(error, GM_BAD_USAGE, "%s: too long a path", folder);
    gm_run_path(folder, "config.json", path);
    if (stat(path, &about))
        return gm_error_set(error, GM_BAD_DATA, "%s: no run, since it has no config.json", folder);
    gm_config_init(&config);
    gm_status status = gm_config_read(path, &config, error);
    if (status != GM_OK)
        return status;
    fprintf(out, "run: %s\n", folder);
    print_settings(&config, out);
    print_progress(folder, config.epochs, out);
    print_results(folder, out);
    status = print_files(folder, out, error);
    gm_run_path(folder, "backbone.safetensors", path);
    if (status != GM_OK || stat(path, &about))
        return status;
    return inspect_weights(path, out, error);
}

gm_status gm_inspect(const char *path, FILE *out, gm_error *error)
{
    struct stat about;
    if (stat(path, &about))
        return gm_error_set(error, GM_BAD_DATA, "%s: cannot open: %m; give a run's folder or a file of weights", path);
    return S_ISDIR(about.st_mode) ? inspect_run(path, out, error) : inspect_weights(path, out, error);
}
