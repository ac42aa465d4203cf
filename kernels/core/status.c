#include <gemel/status.h>
#include <gemel/version.h>

#define GM_STRINGIFY_(x) #x
#define GM_STRINGIFY(x) GM_STRINGIFY_(x)

const char *gm_version(void)
{
    return GM_STRINGIFY(GM_VERSION_MAJOR) "." GM_STRINGIFY(GM_VERSION_MINOR) "." GM_STRINGIFY(GM_VERSION_PATCH);
}

const char *gm_status_string(gm_status status)
{
    switch (status) {
    case GM_OK:
        return "ok";
    case GM_INVALID_ARGUMENT:
        return "invalid argument";
    case GM_SIZE_OVERFLOW:
        return "sizes overflow the address space";
    case GM_OUT_OF_MEMORY:
        return "out of memory";
    case GM_WORKSPACE_TOO_SMALL:
        return "workspace too small";
    case GM_UNKNOWN_ISA:
        return "unknown instruction set";
    case GM_UNAVAILABLE_ISA:
        return "instruction set not available here";
    case GM_INVALID_ENVIRONMENT:
        return "OMP_NUM_THREADS is not a positive number";
    case GM_NOT_FINITE:
        return "not finite";
    case GM_IO_ERROR:
        return "input or output error";
    case GM_BAD_DATA:
        return "malformed data";
    case GM_BAD_USAGE:
        return "wrong usage";
    case GM_DIVERGED:
        return "diverged";
    case GM_INTERRUPTED:
        return "interrupted";
    case GM_UNKNOWN_THREADING:
        return "unknown threading, or not in this build";
    }
    return "unknown status";
}
