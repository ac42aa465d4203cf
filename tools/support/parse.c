#include "support/parse.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* strtod() and its kin skip leading space; here that is part of a wrong number. */
static bool starts_a_number(const char *text)
{
    return *text && !isspace((unsigned char)*text);
}

bool gm_parse_int64(const char *text, int64_t low, int64_t high, int64_t *value)
{
    char *end;
    errno = 0;
    const long long parsed = strtoll(text, &end, 10);
    if (!starts_a_number(text) || *end || errno || parsed < low || parsed > high)
        return false;
    *value = parsed;
    return true;
}

bool gm_parse_uint64(const char *text, uint64_t *value)
{
    char *end;
    errno = 0;
    const unsigned long long parsed = strtoull(text, &end, 10);
    if (!isdigit((unsigned char)*text) || *end || errno)
        return false;
    *value = parsed;
    return true;
}

bool gm_parse_double(const char *text, double low, double high, double *value)
{
    char *end;
    const double parsed = strtod(text, &end);
    if (!starts_a_number(text) || *end || !isfinite(parsed) || parsed < low || parsed > high)
        return false;
    *value = parsed;
    return true;
}

bool gm_parse_duration(const char *text, double *seconds)
{
    char *end;
    const double number = strtod(text, &end);
    if (!starts_a_number(text) || end == text || !isfinite(number) || number <= 0)
        return false;
    if (!strcmp(end, "h"))
        *seconds = number * 3600;
    else if (!strcmp(end, "m"))
        *seconds = number * 60;
    else if (!*end || !strcmp(end, "s"))
        *seconds = number;
    else
        return false;
    return true;
}

void gm_format_duration(char *text, size_t size, double seconds)
{
    const long long s = llround(seconds);
    if (s < 120)
        snprintf(text, size, "%.*f s", seconds < 10.0 ? 1 : 0, seconds);
    else if (s < 7200)
        snprintf(text, size, "%lld min %lld s", s / 60, s % 60);
    else
        snprintf(text, size, "%lld h %lld min", s / 3600, s / 60 % 60);
}

static bool is_control(char c)
{
    return (unsigned char)c < ' ' || c == '\x7f';
}

bool gm_text_is_plain(const char *text, size_t length)
{
    for (size_t i = 0; i < length; i++)
        if (is_control(text[i]))
            return false;
    return true;
}

void gm_format_text(char *out, size_t size, const char *text, size_t length)
{
    size_t used = 0;
    for (size_t i = 0; i < length && used + sizeof "\\x00" <= size; i++)
        used +=
            (size_t)snprintf(out + used, size - used, is_control(text[i]) ? "\\x%02x" : "%c", (unsigned char)text[i]);
    out[used] = '\0';
}
