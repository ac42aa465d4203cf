#include <gemel/error.h>

#include <stdarg.h>
#include <stdio.h>

gm_status gm_error_set(gm_error *error, gm_status code, const char *format, ...)
{
    if (!error)
        return code;
    error->code = code;
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(error->message, sizeof error->message, format, arguments);
    va_end(arguments);
    return code;
}
