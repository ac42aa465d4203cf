/* Inside tools/data: a data set under construction. */
#ifndef GEMEL_DATASET_INTERNAL_H
#define GEMEL_DATASET_INTERNAL_H

#include <stdbool.h>

#include <gemel/data.h>

#include "data/texts.h"

/* A data set and the memory that its splits point into. */
struct gm_dataset_memory {
    gm_dataset dataset; /* first: what the caller holds */
    uint8_t *train_pixels, *test_pixels;
    float *features; /* of the training rows, then of the test rows */
    double *columns; /* of vectors: means, then scales */
    int32_t *train_labels, *test_labels;
    struct gm_texts class_names, train_paths, test_paths, skipped;
    uint64_t split_seed; /* of a .npy: which of its rows are the test rows */
    bool split_drawn;
};

/* Whether a folder has any of MNIST's four files. */
bool gm_dataset_is_mnist(const char *folder);

/* The images and labels of a folder with MNIST's four files; package (NULL: none) is what its absence is blamed on.
 * Errors: those of gm_dataset_open(). What was read stays in *memory, also after an error. */
gm_status gm_dataset_read_mnist(struct gm_dataset_memory *memory, const char *folder, const char *package,
                                gm_error *error);

/* Whether a folder has the first of the binary files of CIFAR-10 or CIFAR-100; reads them all, under the conditions of
 * gm_dataset_read_mnist(). */
bool gm_dataset_is_cifar(const char *folder);
gm_status gm_dataset_read_cifar(struct gm_dataset_memory *memory, const char *folder, gm_error *error);

/* A folder of image files, or one such file, split and labelled as its subfolders and the options say; nothing is
 * decoded without options->skip_bad_images. */
gm_status gm_dataset_read_folder(struct gm_dataset_memory *memory, const char *folder,
                                 const gm_dataset_options *options, gm_error *error);

/* Whether gm_dataset_open() takes this as a name, whatever file has it. */
bool gm_dataset_is_name(const char *what);

/* Clusters in space: one Gaussian a class around a random centre. */
gm_status gm_dataset_make_synthetic(struct gm_dataset_memory *memory, const gm_dataset_options *options,
                                    gm_error *error);

/* A matrix of features, split and labelled as the options say. */
gm_status gm_dataset_read_npy(struct gm_dataset_memory *memory, const char *path, const gm_dataset_options *options,
                              gm_error *error);

/* How many of so many rows are `share` of them, at least one for a share above 0; `what` names them in errors:
 * GM_BAD_USAGE for a share outside [0, 1), or one that leaves no row. */
gm_status gm_dataset_test_rows(const char *what, int64_t rows, double share, int64_t *test_rows, gm_error *error);

/* Points the splits at memory->features, [train_rows + test_rows, dim], and standardises its columns by what the
 * options give for so many, else by the mean and standard deviation of the training rows: 0 for a constant column.
 * Values that are not finite stay as they are and do not count, so that the training step that meets one can say so. */
gm_status gm_dataset_set_vectors(struct gm_dataset_memory *memory, int64_t train_rows, int64_t test_rows, int64_t dim,
                                 const gm_dataset_options *options, gm_error *error);

#endif
