/* CIFAR-10 and CIFAR-100 in their binary version: records of labels, then 32 x 32 red, green and blue values.
 * https://www.cs.toronto.edu/~kriz/cifar.html */
#ifndef GEMEL_CIFAR_H
#define GEMEL_CIFAR_H

#include <gemel/error.h>

enum { GM_CIFAR_SIDE = 32, GM_CIFAR_BYTES = 3 * GM_CIFAR_SIDE * GM_CIFAR_SIDE };

/* Begin with one that is all zero. */
typedef struct gm_cifar {
    int64_t rows;
    uint8_t *pixels; /* [rows, 32, 32, 3] */
    int32_t *labels; /* [rows] */
} gm_cifar;

/* Appends the records of a file. classes: 10, or 100 for the fine labels of CIFAR-100. Errors: GM_IO_ERROR, GM_BAD_DATA
 * (no record, part of one, a label too large), GM_OUT_OF_MEMORY; what was there stays. */
gm_status gm_cifar_append(const char *path, int32_t classes, gm_cifar *images, gm_error *error);
void gm_cifar_free(gm_cifar *images);

#endif
