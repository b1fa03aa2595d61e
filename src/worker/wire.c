/* Bytes are shifted one by one: the compiler makes one move of it, and the host's byte order does not matter.
 * IEEE floats travel as their bits, so a number that went through a worker is the same number, NaN included.
 */
#include "worker/wire.h"

#include <string.h>

static const uint32_t null_string = UINT32_MAX;

static void put(struct buffer *out, uint64_t value, size_t bytes)
{
    char raw[8];
    for (size_t i = 0; i < bytes; i++)
        raw[i] = (char)(value >> (8 * i) & 0xFF);
    buffer_append(out, raw, bytes);
}

void wire_put_u8(struct buffer *out, uint8_t value)
{
    put(out, value, 1);
}

void wire_put_u16(struct buffer *out, uint16_t value)
{
    put(out, value, 2);
}

void wire_put_u32(struct buffer *out, uint32_t value)
{
    put(out, value, 4);
}

void wire_put_u64(struct buffer *out, uint64_t value)
{
    put(out, value, 8);
}

void wire_put_f32(struct buffer *out, float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    put(out, bits, 4);
}

void wire_put_f64(struct buffer *out, double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    put(out, bits, 8);
}

void wire_put_bytes(struct buffer *out, const void *bytes, size_t length)
{
    if (length >= null_string) {
        out->failed = true;
        return;
    }
    put(out, length, 4);
    buffer_append(out, bytes, length);
    put(out, 0, 1);
}

void wire_put_string(struct buffer *out, const char *text)
{
    if (text)
        wire_put_bytes(out, text, strlen(text));
    else
        put(out, null_string, 4);
}

/* The next n bytes, or NULL. */
static const char *take(struct wire *wire, size_t n)
{
    if (wire->failed || n > wire->length - wire->at) {
        wire->failed = true;
        return NULL;
    }
    const char *bytes = wire->data + wire->at;
    wire->at += n;
    return bytes;
}

static uint64_t get(struct wire *wire, size_t bytes)
{
    const char *raw = take(wire, bytes);
    uint64_t value = 0;
    for (size_t i = 0; raw && i < bytes; i++)
        value |= (uint64_t)(uint8_t)raw[i] << (8 * i);
    return value;
}

uint8_t wire_u8(struct wire *wire)
{
    return (uint8_t)get(wire, 1);
}

uint16_t wire_u16(struct wire *wire)
{
    return (uint16_t)get(wire, 2);
}

uint32_t wire_u32(struct wire *wire)
{
    return (uint32_t)get(wire, 4);
}

uint64_t wire_u64(struct wire *wire)
{
    return get(wire, 8);
}

float wire_f32(struct wire *wire)
{
    uint32_t bits = wire_u32(wire);
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

double wire_f64(struct wire *wire)
{
    uint64_t bits = wire_u64(wire);
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

bool wire_bool(struct wire *wire)
{
    uint8_t value = wire_u8(wire);
    if (value > 1)
        wire->failed = true;
    return value == 1;
}

static const char *take_bytes(struct wire *wire, uint32_t length)
{
    const char *bytes = take(wire, length);
    const char *end = take(wire, 1);
    if (!end || *end != '\0') {
        wire->failed = true;
        return NULL;
    }
    return bytes;
}

const char *wire_bytes(struct wire *wire, size_t *length)
{
    uint32_t n = wire_u32(wire);
    const char *bytes = take_bytes(wire, n);
    *length = bytes ? n : 0;
    return bytes;
}

const char *wire_string(struct wire *wire)
{
    uint32_t length = wire_u32(wire);
    if (wire->failed || length == null_string)
        return NULL;
    const char *text = take_bytes(wire, length);
    if (text && memchr(text, '\0', length)) {
        wire->failed = true;
        return NULL;
    }
    return text;
}

uint32_t wire_count(struct wire *wire, size_t element_bytes)
{
    uint32_t count = wire_u32(wire);
    if (wire->failed || count > (wire->length - wire->at) / element_bytes) {
        wire->failed = true;
        return 0;
    }
    return count;
}

bool wire_finish(const struct wire *wire)
{
    return !wire->failed && wire->at == wire->length;
}
