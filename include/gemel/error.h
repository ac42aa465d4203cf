/* What went wrong, for functions that meet files and people. */
#ifndef GEMEL_ERROR_H
#define GEMEL_ERROR_H

#include <gemel/api.h>
#include <gemel/status.h>

GM_BEGIN_DECLS

/* Filled by a function that returns a status other than GM_OK; the message names the thing and the remedy, without a
 * newline: "data/a.npy: holds objects, not numbers; save it with dtype float32". */
typedef struct gm_error {
    gm_status code;
    char message[1024];
} gm_error;

/* Fills *error (NULL: does nothing) in printf's manner, cutting an overlong message, and returns code. */
__attribute__((format(printf, 3, 4))) GM_API gm_status gm_error_set(gm_error *error, gm_status code, const char *format,
                                                                    ...);

GM_END_DECLS

#endif
