#include "formats/protobuf.h"

#include <stdlib.h>
#include <string.h>

/* How the value of a field is to be read; the lowest three bits of its front. */
enum { VARINT = 0, LENGTH = 2, FIXED32 = 5 };

enum { MOST_VARINT = 10, FIRST_CAPACITY = 4096 };

void gm_protobuf_free(gm_protobuf *message)
{
    free(message->bytes);
    *message = (gm_protobuf){0};
}

static bool reserve(gm_protobuf *message, size_t more)
{
    size_t capacity = message->capacity ? message->capacity : FIRST_CAPACITY;
    while (capacity - message->size < more)
        capacity *= 2;
    if (message->failed || capacity == message->capacity)
        return !message->failed;
    uint8_t *bytes = realloc(message->bytes, capacity);
    message->failed = !bytes;
    if (!bytes)
        return false;
    message->bytes = bytes;
    message->capacity = capacity;
    return true;
}

static void put(gm_protobuf *message, const void *bytes, size_t size)
{
    if (size == 0 || !reserve(message, size))
        return;
    memcpy(message->bytes + message->size, bytes, size);
    message->size += size;
}

/* Seven bits a byte, the lowest first; all but the last have the upper bit set. */
static size_t varint(uint64_t value, uint8_t bytes[MOST_VARINT])
{
    size_t size = 0;
    for (; value >= 0x80; value >>= 7)
        bytes[size++] = (uint8_t)(value | 0x80);
    bytes[size++] = (uint8_t)value;
    return size;
}

static void put_varint(gm_protobuf *message, uint64_t value)
{
    uint8_t bytes[MOST_VARINT];
    put(message, bytes, varint(value, bytes));
}

static void put_front(gm_protobuf *message, int field, int type)
{
    put_varint(message, (uint64_t)field << 3 | (uint64_t)type);
}

void gm_protobuf_integer(gm_protobuf *message, int field, int64_t value)
{
    put_front(message, field, VARINT);
    put_varint(message, (uint64_t)value);
}

void gm_protobuf_float(gm_protobuf *message, int field, float value)
{
    put_front(message, field, FIXED32);
    put(message, &value, sizeof value); /* the ISAs of this project are little endian */
}

void gm_protobuf_text(gm_protobuf *message, int field, const char *value)
{
    gm_protobuf_announce(message, field, strlen(value));
    put(message, value, strlen(value));
}

size_t gm_protobuf_begin(gm_protobuf *message, int field)
{
    put_front(message, field, LENGTH);
    return message->size;
}

/* The length stands before what it measures, in as many bytes as it needs: what is there moves. */
void gm_protobuf_end(gm_protobuf *message, size_t begin, size_t behind)
{
    uint8_t bytes[MOST_VARINT];
    if (message->failed)
        return;
    const size_t inside = message->size - begin, size = varint(inside + behind, bytes);
    if (!reserve(message, size))
        return;
    memmove(message->bytes + begin + size, message->bytes + begin, inside);
    memcpy(message->bytes + begin, bytes, size);
    message->size += size;
}

void gm_protobuf_announce(gm_protobuf *message, int field, size_t size)
{
    put_front(message, field, LENGTH);
    put_varint(message, size);
}
