/* What every fallible function of the library returns. */
#ifndef GEMEL_STATUS_H
#define GEMEL_STATUS_H

#include <gemel/api.h>

GM_BEGIN_DECLS

/* Unless a function says otherwise, a status other than GM_OK and GM_NOT_FINITE means that no output was touched. */
typedef enum gm_status {
    GM_OK = 0,
    GM_INVALID_ARGUMENT,    /* null pointer, negative size, leading dimension below the width, unknown enum value */
    GM_SIZE_OVERFLOW,       /* the sizes describe more memory than can be addressed */
    GM_OUT_OF_MEMORY,       /* the system refused memory or threads in a create or reserve call */
    GM_WORKSPACE_TOO_SMALL, /* gm_context_reserve() the bytes that gm_<operation>_workspace() names, then call again */
    GM_UNKNOWN_ISA,         /* GEMEL_ISA or the options name no instruction set that the library knows */
    GM_UNAVAILABLE_ISA,     /* it is known, but this machine, system or build does not have it */
    GM_INVALID_ENVIRONMENT, /* OMP_NUM_THREADS is not a positive number */
    GM_NOT_FINITE,          /* an input or the result holds NaN or infinity; outputs were written */
    GM_IO_ERROR,            /* a file could not be read or written */
    GM_BAD_DATA,            /* a data, weights or configuration file is malformed */
    GM_BAD_USAGE,           /* flags that contradict each other, an occupied folder */
    GM_DIVERGED,            /* training met NaN or infinity */
    GM_INTERRUPTED,         /* a signal asked to stop */
    GM_UNKNOWN_THREADING,   /* GEMEL_THREADING or the options name no threading that this build has */
} gm_status;

/* A short description in English, for example "workspace too small"; never NULL, also for unknown values. */
GM_API const char *gm_status_string(gm_status status);

GM_END_DECLS

#endif
