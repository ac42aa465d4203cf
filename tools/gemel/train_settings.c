#include "train_settings.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "data/dataset.h"
#include "recipes.h"
#include "support/file.h"
#include "train/run_folder.h"

static bool is_set(const gm_train_config *config, const char *field)
{
    return config->set[gm_config_find(field)];
}

/* DATA is the folder, or where its data are now if --checkpoint-dir names the folder. */
const char *gm_train_resumed_folder(const gm_train_arguments *a)
{
    return a->checkpoint_dir ? a->checkpoint_dir : is_set(&a->flags, "data") ? a->flags.data : NULL;
}

static bool may_change(const gm_train_arguments *a, const char *field)
{
    return !strcmp(field, "epochs") ||
           (a->checkpoint_dir && (!strcmp(field, "labels") || !strcmp(field, "train-list")));
}

static void say_changes(const gm_train_config *was, const gm_train_config *config, const char *folder)
{
    static const char *const may[] = {"epochs", "data", "labels", "train-list"};
    for (size_t i = 0; i < sizeof may / sizeof *may; i++) {
        const int32_t field = gm_config_find(may[i]);
        char before[GM_CONFIG_PATH], now[GM_CONFIG_PATH];
        gm_config_get(was, field, before, sizeof before);
        gm_config_get(config, field, now, sizeof now);
        if (strcmp(before, now))
            fprintf(stderr, "gemel train: %s: %s %s instead of %s from here on%s\n", folder, may[i], now,
                    *before ? before : "none", i == 0 ? ", and the learning rates of a run of that length" : "");
    }
}

/* A resumed run has its settings from its own folder. */
static gm_status resumed_settings(const gm_train_arguments *a, const char *folder, gm_train_config *config,
                                  gm_error *error)
{
    const int32_t data = gm_config_find("data");
    gm_train_config changes = a->flags;
    changes.set[data] = changes.set[data] && a->checkpoint_dir;
    for (int32_t i = 0; i < gm_config_field_count(); i++)
        if (changes.set[i] && i != data && !may_change(a, gm_config_field(i)->name))
            return gm_error_set(error, GM_BAD_USAGE,
                                "--%s: a resumed run keeps its settings, all but --epochs; leave it "
                                "out, or begin a new run with --config",
                                gm_config_field(i)->name);
    char path[GM_RUN_PATH + 64];
    gm_run_path(folder, "config.json", path);
    gm_train_config was;
    gm_config_init(&was);
    const gm_status status = gm_config_read(path, &was, error);
    if (status != GM_OK)
        return status;
    *config = was;
    for (int32_t i = 0; i < gm_config_field_count(); i++)
        if (changes.set[i])
            gm_config_copy_field(config, &changes, i);
    say_changes(&was, config, folder);
    return GM_OK;
}

/* Settings from --config or --recipe, then the flags over them. */
static gm_status new_settings(const gm_train_arguments *a, gm_train_config *config, gm_error *error)
{
    gm_status status = GM_OK;
    if (a->config && a->recipe)
        return gm_error_set(error, GM_BAD_USAGE, "--config and --recipe: give one of them");
    if (a->config)
        status = gm_config_read(a->config, config, error);
    if (a->recipe)
        status = gm_recipe_read(a->recipe, config, error);
    if (status != GM_OK)
        return status;
    gm_config_overlay(config, &a->flags);
    if (!is_set(config, "data"))
        return gm_error_set(error, GM_BAD_USAGE, "no data set; begin with: gemel train fashion-mnist");
    return GM_OK;
}

gm_status gm_train_settings(const gm_train_arguments *a, gm_train_config *config, gm_error *error)
{
    gm_config_init(config);
    if (!a->resume)
        return new_settings(a, config, error);
    const char *folder = gm_train_resumed_folder(a);
    if (!folder || a->config || a->recipe || a->overwrite)
        return gm_error_set(error, GM_BAD_USAGE,
                            "--resume takes the folder of one run, without --config, --recipe and --overwrite: gemel "
                            "train runs/NAME-1 --resume");
    return resumed_settings(a, folder, config, error);
}

/* What is no file stays as it is: names of data sets, and files that are gone. */
static void make_absolute(char path[GM_CONFIG_PATH])
{
    char absolute[PATH_MAX];
    if (realpath(path, absolute) && strlen(absolute) < GM_CONFIG_PATH)
        strcpy(path, absolute);
}

gm_status gm_train_write_config(const gm_train_config *config, const char *folder, gm_error *error)
{
    char path[GM_RUN_PATH + 64];
    gm_run_path(folder, "config.json", path);
    gm_train_config placed = *config;
    if (!gm_dataset_is_name(placed.data))
        make_absolute(placed.data);
    if (is_set(&placed, "labels"))
        make_absolute(placed.labels);
    if (is_set(&placed, "train-list"))
        make_absolute(placed.train_list);
    if (is_set(&placed, "init"))
        make_absolute(placed.init);
    errno = 0;
    char *text = gm_config_json(&placed);
    if (!text && errno == ENOMEM)
        return gm_error_set(error, GM_OUT_OF_MEMORY, "%s: no memory for its text", path);
    if (!text)
        return gm_error_set(error, GM_BAD_USAGE, "%s: a path in the configuration is not UTF-8; rename the file", path);
    const gm_status status = gm_file_write(path, text, strlen(text), error);
    free(text);
    return status;
}
