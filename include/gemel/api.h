/* Linkage of every public declaration. */
#ifndef GEMEL_API_H
#define GEMEL_API_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define GM_API __attribute__((visibility("default")))

#ifdef __cplusplus
#define GM_BEGIN_DECLS extern "C" {
#define GM_END_DECLS }
#else
#define GM_BEGIN_DECLS
#define GM_END_DECLS
#endif

#endif
