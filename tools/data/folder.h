/* Inside tools/data: the image files of a folder before they become a data set. */
#ifndef GEMEL_FOLDER_H
#define GEMEL_FOLDER_H

#include <gemel/data.h>

#include "data/texts.h"

enum { GM_MOST_CLASSES = 1 << 16 };

typedef enum gm_part { GM_PART_TRAIN, GM_PART_TEST, GM_PART_OUT } gm_part;

/* Begin with one that is all zero but for the folder; free with gm_image_files_free(). */
struct gm_image_files {
    const char *folder;
    struct gm_texts paths;       /* begin with the folder */
    struct gm_texts class_names; /* sorted; none if the classes have numbers only */
    int32_t classes;
    int32_t *labels; /* [paths.count], -1 where there is none; NULL without labels */
    uint8_t *parts;  /* gm_part [paths.count] */
    bool has_test;   /* the folder itself tells test images from training images */
};

void gm_image_files_free(struct gm_image_files *files);

/* A path as lists name it: inside the folder, or the name of a file that is the data. */
const char *gm_image_files_inside(const struct gm_image_files *files, int64_t index);

/* The image that `folder` is; or the images of train/ and of val/ or test/ where there are such, else of the whole
 * folder; of subfolders, also. A folder of folders is a tree of classes, named as these. Files are in the order of
 * torchvision's ImageFolder. Errors: GM_IO_ERROR, GM_BAD_DATA (no image, an empty class …), GM_OUT_OF_MEMORY. */
gm_status gm_image_files_find(struct gm_image_files *files, gm_error *error);

/* Replaces the labels by those of a text of lines PATH,LABEL; `path` names it. Errors also: an image without label. */
gm_status gm_image_files_label(struct gm_image_files *files, const char *path, gm_error *error);

/* Leaves out the training images that a text does not name; `path` names it. Errors: as above; a line that names no
 * image, or several. */
gm_status gm_image_files_keep(struct gm_image_files *files, const char *path, gm_error *error);

/* Bad images are those in formats that are not decoded, and with `skip` also those that cannot be decoded, which only
 * reading them tells. With `skip` they are left out and *skipped gets what is wrong with each, else the first one is
 * an error. context: whose threads read, NULL for the caller alone. Errors: GM_BAD_DATA, GM_OUT_OF_MEMORY. */
gm_status gm_image_files_check(struct gm_image_files *files, gm_context *context, bool skip, struct gm_texts *skipped,
                               gm_error *error);

#endif
