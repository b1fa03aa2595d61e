/* Reads memory as fast as one core can. */
#ifndef LLMIND_PROFILE_BANDWIDTH_H
#define LLMIND_PROFILE_BANDWIDTH_H

#include <stddef.h>
#include <stdint.h>

/* Reads every byte of data[0..length) once, with the widest loads this CPU has, and returns a number that
 * depends on all of them. No alignment is needed. */
uint64_t bandwidth_read(const uint8_t *data, size_t length);

#endif
