/* The style sheet of the report. */
#ifndef GEMEL_REPORT_STYLE_H
#define GEMEL_REPORT_STYLE_H

extern const char gm_report_style[];

#endif
