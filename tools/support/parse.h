/* Numbers as people type them: the whole text or nothing, and a range; times as they read them; text for messages. */
#ifndef GEMEL_PARSE_H
#define GEMEL_PARSE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Each returns false, with *value untouched, unless the whole text is one number in [low, high]. */
bool gm_parse_int64(const char *text, int64_t low, int64_t high, int64_t *value);
bool gm_parse_uint64(const char *text, uint64_t *value);
bool gm_parse_double(const char *text, double low, double high, double *value); /* finite */

/* Seconds from "90", "90s", "15m" or "8h", fractions allowed; positive. */
bool gm_parse_duration(const char *text, double *seconds);

/* "8.5 s", "100 s", "3 min 20 s" or "2 h 5 min". */
void gm_format_duration(char *text, size_t size, double seconds);

/* Whether text is free of control characters, so that it can stand in a message and on a terminal. */
bool gm_text_is_plain(const char *text, size_t length);

/* Text from a file as it can stand in a message: control characters as \xNN, the end cut. */
void gm_format_text(char *out, size_t size, const char *text, size_t length);

#endif
