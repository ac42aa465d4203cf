#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "data/folder.h"
#include "formats/image.h"
#include "support/file.h"

/* Links may lead in circles. */
enum { MOST_DEPTH = 32, MOST_PATH = 4096 };

void gm_image_files_free(struct gm_image_files *files)
{
    gm_texts_free(&files->paths);
    gm_texts_free(&files->class_names);
    free(files->labels);
    free(files->parts);
}

static const char *last_part(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

const char *gm_image_files_inside(const struct gm_image_files *files, int64_t index)
{
    const char *path = files->paths.items[index], *inside = path + strlen(files->folder);
    return *inside ? inside + 1 : last_part(path);
}

static bool is_folder(const char *path)
{
    struct stat about;
    return stat(path, &about) == 0 && S_ISDIR(about.st_mode);
}

/* Most file systems say what an entry is; a link, and an entry of the others, is looked at. */
static bool entry_is_folder(const struct dirent *entry, const char *path)
{
    return entry->d_type == DT_DIR || ((entry->d_type == DT_LNK || entry->d_type == DT_UNKNOWN) && is_folder(path));
}

/* Appends the paths of a folder's subfolders and images, in no order; hidden ones are none. */
static gm_status read_folder(const char *folder, struct gm_texts *folders, struct gm_texts *images, gm_error *error)
{
    DIR *stream = opendir(folder);
    if (!stream)
        return gm_file_error(error, folder, "open", errno);
    gm_status status = GM_OK;
    const struct dirent *entry;
    while (status == GM_OK && (errno = 0, entry = readdir(stream))) {
        char path[MOST_PATH];
        const int length = snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
        if (entry->d_name[0] == '.')
            continue;
        if (length >= MOST_PATH)
            status = gm_file_error(error, folder, "open", ENAMETOOLONG);
        else if (entry_is_folder(entry, path))
            status = gm_texts_add(folders, path, (size_t)length, error);
        else if (gm_image_is_named(entry->d_name))
            status = gm_texts_add(images, path, (size_t)length, error);
    }
    if (status == GM_OK && errno != 0)
        status = gm_file_error(error, folder, "read", errno);
    closedir(stream);
    return status;
}

static gm_status list_images(const char *folder, int32_t depth, struct gm_texts *images, gm_error *error)
{
    struct gm_texts folders = {0};
    if (depth > MOST_DEPTH)
        return gm_error_set(error, GM_BAD_DATA, "%s: lies more than %d folders deep; does a link lead back?", folder,
                            MOST_DEPTH);
    gm_status status = read_folder(folder, &folders, images, error);
    for (int64_t i = 0; i < folders.count && status == GM_OK; i++)
        status = list_images(folders.items[i], depth + 1, images, error);
    gm_texts_free(&folders);
    return status;
}

/* All images of a folder come before those of its subfolders. */
static int by_folder_and_name(const void *a, const void *b)
{
    const char *x = *(const char *const *)a, *y = *(const char *const *)b;
    const size_t nx = (size_t)(last_part(x) - x), ny = (size_t)(last_part(y) - y);
    const int folders = memcmp(x, y, nx < ny ? nx : ny);
    if (folders != 0 || nx != ny)
        return folders != 0 ? folders : nx < ny ? -1 : 1;
    return strcmp(x + nx, y + ny);
}

static void sort_from(struct gm_texts *paths, int64_t first)
{
    if (paths->count > first)
        qsort(paths->items + first, (size_t)(paths->count - first), sizeof *paths->items, by_folder_and_name);
}

/* Makes labels, parts and paths of one length again; what is new gets this label and part. */
static gm_status extend(struct gm_image_files *files, int64_t first, int32_t label, gm_part part, gm_error *error)
{
    const size_t count = (size_t)files->paths.count;
    int32_t *labels = realloc(files->labels, count * sizeof *labels + 1);
    if (labels)
        files->labels = labels;
    uint8_t *parts = realloc(files->parts, count * sizeof *parts + 1);
    if (parts)
        files->parts = parts;
    if (!labels || !parts)
        return gm_file_no_memory(error, files->folder, count * (sizeof *labels + sizeof *parts));
    for (int64_t i = first; i < files->paths.count; i++) {
        labels[i] = label;
        parts[i] = (uint8_t)part;
    }
    return GM_OK;
}

static gm_status find_in_classes(struct gm_image_files *files, const struct gm_texts *folders, gm_part part,
                                 gm_error *error)
{
    for (int64_t i = 0; i < folders->count; i++) {
        const char *name = last_part(folders->items[i]);
        const int64_t first = files->paths.count;
        gm_status status = GM_OK;
        if (part == GM_PART_TRAIN)
            status = gm_texts_add(&files->class_names, name, strlen(name), error);
        const int64_t label = status == GM_OK ? gm_texts_find(&files->class_names, name) : 0;
        if (label < 0)
            return gm_error_set(error, GM_BAD_DATA, "%s: a class that has no training images; remove it",
                                folders->items[i]);
        if (status == GM_OK)
            status = list_images(folders->items[i], 0, &files->paths, error);
        if (status != GM_OK)
            return status;
        if (files->paths.count == first)
            return gm_error_set(error, GM_BAD_DATA, "%s: a class without images; remove it or add some",
                                folders->items[i]);
        sort_from(&files->paths, first);
        status = extend(files, first, (int32_t)label, part, error);
        if (status != GM_OK)
            return status;
    }
    return GM_OK;
}

/* Images beside subfolders belong to no class, and so do all of such a folder. */
static gm_status find_part(struct gm_image_files *files, const char *folder, gm_part part, gm_error *error)
{
    struct gm_texts folders = {0};
    const int64_t first = files->paths.count;
    gm_status status = read_folder(folder, &folders, &files->paths, error);
    if (status == GM_OK && files->paths.count == first && folders.count <= GM_MOST_CLASSES) {
        gm_texts_sort(&folders);
        status = find_in_classes(files, &folders, part, error);
    } else if (status == GM_OK) {
        for (int64_t i = 0; i < folders.count && status == GM_OK; i++)
            status = list_images(folders.items[i], 0, &files->paths, error);
        sort_from(&files->paths, first);
        if (status == GM_OK)
            status = extend(files, first, -1, part, error);
    }
    gm_texts_free(&folders);
    if (status == GM_OK && files->paths.count == first)
        status =
            gm_error_set(error, GM_BAD_DATA,
                         "%s: holds no images (.jpg, .jpeg, .png), nor the idx files of MNIST (train-images-idx3-ubyte "
                         "…), nor the binary files of CIFAR (data_batch_1.bin … or train.bin …)",
                         folder);
    return status;
}

/* train/ beside val/ or test/, or alone, holds the training images; among other folders it is a class. */
static gm_status find_splits(const char *folder, bool *train, char test[MOST_PATH], gm_error *error)
{
    struct gm_texts folders = {0}, images = {0};
    bool has_train = false, has_val = false, has_test = false;
    const gm_status status = read_folder(folder, &folders, &images, error);
    for (int64_t i = 0; i < folders.count; i++) {
        has_train |= strcmp(last_part(folders.items[i]), "train") == 0;
        has_val |= strcmp(last_part(folders.items[i]), "val") == 0;
        has_test |= strcmp(last_part(folders.items[i]), "test") == 0;
    }
    *train = has_train && (has_val || has_test || folders.count == 1);
    test[0] = '\0';
    if (*train && (has_val || has_test))
        snprintf(test, MOST_PATH, "%s/%s", folder, has_val ? "val" : "test");
    gm_texts_free(&folders);
    gm_texts_free(&images);
    return status;
}

static gm_status find_in_folder(struct gm_image_files *files, gm_error *error)
{
    bool split;
    char train[MOST_PATH], test[MOST_PATH];
    gm_status status = find_splits(files->folder, &split, test, error);
    if (status != GM_OK)
        return status;
    snprintf(train, sizeof train, "%s%s", files->folder, split ? "/train" : "");
    files->has_test = test[0] != '\0';
    status = find_part(files, train, GM_PART_TRAIN, error);
    if (status == GM_OK && files->has_test)
        status = find_part(files, test, GM_PART_TEST, error);
    return status;
}

static gm_status take_image(struct gm_image_files *files, gm_error *error)
{
    const gm_status status = gm_texts_add(&files->paths, files->folder, strlen(files->folder), error);
    return status == GM_OK ? extend(files, 0, -1, GM_PART_TRAIN, error) : status;
}

gm_status gm_image_files_find(struct gm_image_files *files, gm_error *error)
{
    const gm_status status = is_folder(files->folder) ? find_in_folder(files, error) : take_image(files, error);
    files->classes = (int32_t)files->class_names.count;
    if (files->classes == 0) {
        free(files->labels);
        files->labels = NULL;
    }
    return status;
}
