/* Protocol Buffers' messages, written: https://protobuf.dev/programming-guides/encoding. Fields stand one behind the
 * other, each as its number and type, then its value. */
#ifndef GEMEL_PROTOBUF_H
#define GEMEL_PROTOBUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A message in memory, empty at first. Where memory runs out, `failed` is set and what follows is left out. */
typedef struct gm_protobuf {
    uint8_t *bytes;
    size_t size, capacity;
    bool failed;
} gm_protobuf;

void gm_protobuf_free(gm_protobuf *message);

void gm_protobuf_integer(gm_protobuf *message, int field, int64_t value); /* int32, int64, enum */
void gm_protobuf_float(gm_protobuf *message, int field, float value);
void gm_protobuf_text(gm_protobuf *message, int field, const char *value); /* string */

/* A message inside: what is written between these two, and `behind` more bytes, which the caller writes elsewhere. */
size_t gm_protobuf_begin(gm_protobuf *message, int field);
void gm_protobuf_end(gm_protobuf *message, size_t begin, size_t behind);

/* The front of a field of `size` bytes, which the caller writes elsewhere. */
void gm_protobuf_announce(gm_protobuf *message, int field, size_t size);

#endif
