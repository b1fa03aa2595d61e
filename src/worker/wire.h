/* Numbers and strings as bytes, and back: little-endian, no padding, no raw structs.
 *
 * Writing goes to a struct buffer, which remembers when memory was short. Reading is from bytes somebody else
 * wrote: every read is checked, a failed one gives zeros and is remembered (`failed`), so that a decoder
 * reads everything and asks once at the end, with wire_finish. Pure; one owner.
 */
#ifndef LLMIND_WORKER_WIRE_H
#define LLMIND_WORKER_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"

void wire_put_u8(struct buffer *out, uint8_t value);
void wire_put_u16(struct buffer *out, uint16_t value);
void wire_put_u32(struct buffer *out, uint32_t value);
void wire_put_u64(struct buffer *out, uint64_t value);
void wire_put_f32(struct buffer *out, float value);
void wire_put_f64(struct buffer *out, double value);
/* A length, the bytes, a zero. A string longer than 2^32 - 2 bytes marks the buffer as failed. */
void wire_put_string(struct buffer *out, const char *text); /* NULL stays NULL */
void wire_put_bytes(struct buffer *out, const void *bytes, size_t length);

struct wire {
    const char *data;
    size_t length, at;
    bool failed;
};

uint8_t wire_u8(struct wire *wire);
uint16_t wire_u16(struct wire *wire);
uint32_t wire_u32(struct wire *wire);
uint64_t wire_u64(struct wire *wire);
float wire_f32(struct wire *wire);
double wire_f64(struct wire *wire);
bool wire_bool(struct wire *wire); /* fails for anything but 0 and 1 */
/* Zero-terminated, inside the data: lives as long as they do. Fails when it has a zero byte within. */
const char *wire_string(struct wire *wire);
const char *wire_bytes(struct wire *wire, size_t *length); /* NULL when it failed */
/* A count of elements that take at least element_bytes each: fails when that many cannot be there, so that
 * nobody allocates what a short message claims. */
uint32_t wire_count(struct wire *wire, size_t element_bytes);
/* True when everything could be read and nothing is left over. */
bool wire_finish(const struct wire *wire);

#endif
