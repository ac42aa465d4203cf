/* Version of the headers, and of the library that is loaded. The shared library's SONAME follows the major number. */
#ifndef GEMEL_VERSION_H
#define GEMEL_VERSION_H

#include <gemel/api.h>

#define GM_VERSION_MAJOR 0
#define GM_VERSION_MINOR 1
#define GM_VERSION_PATCH 0

GM_BEGIN_DECLS

/* The library's version as "major.minor.patch"; it may differ from the macros of the headers compiled against. */
GM_API const char *gm_version(void);

GM_END_DECLS

#endif
