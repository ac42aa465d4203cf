#include "recipes.h"

#include <dirent.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The folder of recipes, so that an installation can be moved: beside this program's folder in a build, under share/
 * where it is installed. */
static bool find_folder(char folder[PATH_MAX])
{
    static const char *const places[] = {"../recipes", "../share/gemel/recipes"};
    char program[PATH_MAX];
    const ssize_t length = readlink("/proc/self/exe", program, sizeof program - 1);
    if (length <= 0)
        return false;
    program[length] = '\0';
    char *slash = strrchr(program, '/');
    if (!slash)
        return false;
    *slash = '\0';
    for (size_t i = 0; i < sizeof places / sizeof *places; i++)
        if (snprintf(folder, PATH_MAX, "%s/%s", program, places[i]) < PATH_MAX && !access(folder, R_OK | X_OK))
            return true;
    return false;
}

static int is_visible(const struct dirent *entry)
{
    return entry->d_name[0] != '.';
}

static void list(const char *path, char *names, size_t size)
{
    struct dirent **entries = NULL;
    const int count = scandir(path, &entries, is_visible, alphasort);
    size_t used = 0;
    for (int i = 0; i < count; i++) {
        if (used < size)
            used += (size_t)snprintf(names + used, size - used, "%s%s", i ? ", " : "", entries[i]->d_name);
        free(entries[i]);
    }
    free(entries);
}

gm_status gm_recipe_read(const char *name, gm_train_config *config, gm_error *error)
{
    char folder[PATH_MAX], path[PATH_MAX], names[512] = "";
    if (!find_folder(folder))
        return gm_error_set(error, GM_BAD_USAGE,
                            "--recipe %s: the recipes are not where this program is installed; give the file with "
                            "--config",
                            name);
    if (!strchr(name, '/') && snprintf(path, sizeof path, "%s/%s/config.json", folder, name) < PATH_MAX &&
        !access(path, F_OK))
        return gm_config_read(path, config, error);
    list(folder, names, sizeof names);
    return gm_error_set(error, GM_BAD_USAGE, "--recipe %s: no recipe of this name; there are: %s", name, names);
}
