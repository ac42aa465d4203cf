/* Pieces of HTML and SVG that the report is written with. */
#ifndef GEMEL_REPORT_HTML_H
#define GEMEL_REPORT_HTML_H

#include <stdio.h>

#include "formats/png.h"

/* Writes text so that it stands for itself between tags and in quoted attributes: & < > " ' are escaped, and control
 * characters and bytes that are not UTF-8 become U+FFFD. */
void gm_html_text(FILE *out, const char *text);

/* Writes the picture as "data:image/png;base64,…". Errors: as gm_png_encode(). */
gm_status gm_html_picture(FILE *out, const gm_picture *picture, gm_error *error);

void gm_base64_write(FILE *out, const uint8_t *bytes, size_t size);

#endif
