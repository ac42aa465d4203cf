/* What gemel info says of runs and of files of weights. */
#ifndef GEMEL_INSPECT_H
#define GEMEL_INSPECT_H

#include <stdio.h>

#include <gemel/error.h>

/* A run's folder: settings, how far it is, its latest losses, its results, its files and its backbone. Any other file:
 * format, tensors, architecture, what it takes, its classes. Errors: GM_BAD_DATA (neither of them, or damaged),
 * GM_IO_ERROR, GM_OUT_OF_MEMORY. */
gm_status gm_inspect(const char *path, FILE *out, gm_error *error);

#endif
